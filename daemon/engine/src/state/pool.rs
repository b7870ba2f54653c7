//! The blocks that there are, and how many sequences hold each.

use mains_contract::BlockId;

/// Counts holders of blocks. Free blocks are handed out last in, first out: their storage is the likeliest in a cache.
#[derive(Debug, Clone)]
pub struct BlockPool {
    holders: Vec<u32>,
    free: Vec<BlockId>,
}

impl BlockPool {
    /// A pool of `blocks` free blocks, numbered from 0.
    #[must_use]
    pub fn new(blocks: u32) -> Self {
        Self {
            holders: vec![0; blocks as usize],
            free: (0..blocks).rev().map(BlockId).collect(),
        }
    }

    /// Blocks that nobody holds.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// All blocks.
    #[must_use]
    pub fn total(&self) -> usize {
        self.holders.len()
    }

    /// Takes a block that nobody holds.
    pub fn take(&mut self) -> Option<BlockId> {
        let block = self.free.pop()?;
        self.holders[block.0 as usize] = 1;
        Some(block)
    }

    /// Adds a holder of a held block.
    ///
    /// # Panics
    /// When nobody holds `block`: its content is already somebody else's to overwrite.
    pub fn share(&mut self, block: BlockId) {
        let holders = &mut self.holders[block.0 as usize];
        assert!(*holders > 0, "block {} is shared while nobody holds it", block.0);
        *holders += 1;
    }

    /// Removes a holder; the last one's leaving frees the block.
    ///
    /// # Panics
    /// When nobody holds `block`.
    pub fn release(&mut self, block: BlockId) {
        let holders = &mut self.holders[block.0 as usize];
        assert!(
            *holders > 0,
            "block {} is released while nobody holds it",
            block.0
        );
        *holders -= 1;
        if *holders == 0 {
            self.free.push(block);
        }
    }

    /// Holders of `block`.
    #[must_use]
    pub fn holders(&self, block: BlockId) -> u32 {
        self.holders[block.0 as usize]
    }
}
