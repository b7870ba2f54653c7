//! The blocks of one sequence.

use mains_contract::BlockId;

use super::BlockPool;

/// The pool has fewer free blocks than were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfBlocks;

/// Blocks of one sequence, in the order of its positions. Must be released to its pool before it is dropped.
#[derive(Debug, Default)]
pub struct BlockTable {
    blocks: Vec<BlockId>,
    /// Leading blocks that are others' by now: nothing reads them any more.
    given_up: usize,
}

impl BlockTable {
    /// A table without blocks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A table of blocks that are already held for it.
    pub(super) fn of(blocks: Vec<BlockId>) -> Self {
        Self { blocks, given_up: 0 }
    }

    /// The blocks, for a step; those that were given up among them.
    #[must_use]
    pub fn blocks(&self) -> &[BlockId] {
        &self.blocks
    }

    /// Grows to `blocks` blocks. All or nothing.
    ///
    /// # Errors
    /// [`OutOfBlocks`] leaves table and pool as they were.
    pub fn grow(&mut self, pool: &mut BlockPool, blocks: usize) -> Result<(), OutOfBlocks> {
        let wanted = blocks.saturating_sub(self.blocks.len());
        if wanted > pool.free() {
            return Err(OutOfBlocks);
        }
        self.blocks.extend((0..wanted).filter_map(|_| pool.take()));
        Ok(())
    }

    /// A table that shares the first `blocks` blocks of this one, as far as they are held.
    #[must_use]
    pub fn share(&self, pool: &mut BlockPool, blocks: usize) -> Self {
        let given_up = self.given_up.min(blocks);
        let blocks = self.blocks[..blocks].to_vec();
        for block in &blocks[given_up..] {
            pool.share(*block);
        }
        Self { blocks, given_up }
    }

    /// Gives the first `blocks` blocks back: their positions are beyond every window. They keep their places in the
    /// table.
    pub fn give_up(&mut self, pool: &mut BlockPool, blocks: usize) {
        for block in self.blocks.iter().take(blocks).skip(self.given_up) {
            pool.release(*block);
        }
        self.given_up = self.given_up.max(blocks.min(self.blocks.len()));
    }

    /// Leading blocks that were given up.
    #[must_use]
    pub fn given_up(&self) -> usize {
        self.given_up
    }

    /// Makes the block at `index` this sequence's own. Gives the copy that the driver has to make before anything is
    /// written, or `None` when nobody else holds the block.
    ///
    /// # Panics
    /// When the block was given up.
    ///
    /// # Errors
    /// [`OutOfBlocks`] when a copy is needed and there is no block for it; nothing has changed then.
    pub fn own(
        &mut self,
        pool: &mut BlockPool,
        index: usize,
    ) -> Result<Option<(BlockId, BlockId)>, OutOfBlocks> {
        assert!(index >= self.given_up, "block {index} of a table was given up");
        let shared = self.blocks[index];
        if pool.holders(shared) == 1 {
            return Ok(None);
        }
        let copy = pool.take().ok_or(OutOfBlocks)?;
        pool.release(shared);
        self.blocks[index] = copy;
        Ok(Some((shared, copy)))
    }

    /// Gives every block back.
    pub fn release(&mut self, pool: &mut BlockPool) {
        for block in self.blocks.drain(..).skip(self.given_up) {
            pool.release(block);
        }
        self.given_up = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::{BlockPool, BlockTable};

    #[derive(Debug, Clone)]
    enum Action {
        Grow(usize, usize),
        Share(usize, usize, usize),
        Own(usize, usize),
        GiveUp(usize, usize),
        Release(usize),
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            (0..4usize, 0..8usize).prop_map(|(table, blocks)| Action::Grow(table, blocks)),
            (0..4usize, 0..4usize, 0..8usize).prop_map(|(from, to, blocks)| Action::Share(from, to, blocks)),
            (0..4usize, 0..8usize).prop_map(|(table, index)| Action::Own(table, index)),
            (0..4usize, 0..9usize).prop_map(|(table, blocks)| Action::GiveUp(table, blocks)),
            (0..4usize).prop_map(Action::Release),
        ]
    }

    fn apply(action: &Action, tables: &mut [BlockTable], pool: &mut BlockPool) {
        match *action {
            Action::Grow(table, blocks) => {
                let before = (tables[table].blocks().len(), pool.free());
                if tables[table].grow(pool, blocks).is_err() {
                    assert_eq!((tables[table].blocks().len(), pool.free()), before);
                }
            }
            Action::Share(from, to, blocks) if from != to => {
                tables[to].release(pool);
                let blocks = blocks.min(tables[from].blocks().len());
                tables[to] = tables[from].share(pool, blocks);
            }
            Action::Own(table, index)
                if (tables[table].given_up()..tables[table].blocks().len()).contains(&index) =>
            {
                if tables[table].own(pool, index).is_ok() {
                    assert_eq!(pool.holders(tables[table].blocks()[index]), 1);
                }
            }
            Action::Share(..) | Action::Own(..) => {}
            Action::GiveUp(table, blocks) => tables[table].give_up(pool, blocks),
            Action::Release(table) => tables[table].release(pool),
        }
    }

    proptest! {
        /// Blocks in tables and free blocks are all there are, each as often as it is held.
        #[test]
        fn nothing_leaks_and_nothing_is_used_twice(actions in prop::collection::vec(action(), 0..60)) {
            let mut pool = BlockPool::new(9);
            let mut tables: Vec<BlockTable> = (0..4).map(|_| BlockTable::new()).collect();
            for action in &actions {
                apply(action, &mut tables, &mut pool);
                let mut held = HashMap::new();
                for block in tables.iter().flat_map(|table| &table.blocks()[table.given_up()..]) {
                    *held.entry(*block).or_insert(0u32) += 1;
                }
                prop_assert_eq!(held.len() + pool.free(), pool.total());
                for (block, count) in held {
                    prop_assert_eq!(pool.holders(block), count);
                }
            }
            for table in &mut tables {
                table.release(&mut pool);
            }
            prop_assert_eq!(pool.free(), pool.total());
        }
    }

    #[test]
    fn a_shared_block_is_copied_before_it_is_written() {
        let mut pool = BlockPool::new(3);
        let mut first = BlockTable::new();
        first.grow(&mut pool, 2).unwrap();
        let mut second = first.share(&mut pool, 2);
        let (from, to) = second.own(&mut pool, 1).unwrap().unwrap();
        assert_eq!((from, to), (first.blocks()[1], second.blocks()[1]));
        assert_ne!(from, to);
        assert_eq!(first.own(&mut pool, 1), Ok(None));
    }
}
