//! The prefix cache: blocks whose content is known by the text that led to it.
//!
//! A full block is found by the block before it and its own tokens, so an entry stands for the whole text up to its end
//! (a chain of hashes; the tokens themselves are compared, so no two texts are ever taken for one). The cache holds its
//! blocks like a sequence does. One that nobody else holds is idle: it counts as free and is given up when blocks run
//! short, the longest unused first and of one text the end before the beginning.

use std::collections::{BTreeMap, HashMap};

use mains_contract::BlockId;

use super::{BlockPool, BlockTable};

/// A text that ends with a full block: what the next block is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix(u64);

impl Prefix {
    /// The empty text.
    pub const EMPTY: Self = Self(0);
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    before: Prefix,
    tokens: Box<[u32]>,
}

#[derive(Debug)]
struct Entry {
    prefix: Prefix,
    block: BlockId,
    used: u64,
}

/// Full blocks by their text.
#[derive(Debug, Default)]
pub struct PrefixCache {
    entries: HashMap<Key, Entry>,
    by_use: BTreeMap<u64, Key>,
    prefixes: u64,
    uses: u64,
}

impl PrefixCache {
    /// Shares the blocks of the longest known beginning of `tokens`, in whole blocks of `block_tokens`. Gives them and
    /// the text that they hold.
    pub fn find(
        &mut self,
        pool: &mut BlockPool,
        tokens: &[u32],
        block_tokens: usize,
    ) -> (BlockTable, Prefix) {
        let known = self.use_text(tokens, block_tokens);
        let prefix = known.last().map_or(Prefix::EMPTY, |(_, prefix)| *prefix);
        let blocks: Vec<BlockId> = known.into_iter().map(|(block, _)| block).collect();
        for block in &blocks {
            pool.share(*block);
        }
        (BlockTable::of(blocks), prefix)
    }

    /// Counts the known beginning of `tokens` as just used, its end longest ago. Gives its blocks, each with the text up
    /// to its end.
    pub fn use_text(&mut self, tokens: &[u32], block_tokens: usize) -> Vec<(BlockId, Prefix)> {
        let mut keys = Vec::new();
        let mut known = Vec::new();
        let mut before = Prefix::EMPTY;
        for tokens in tokens.chunks_exact(block_tokens) {
            let tokens = tokens.into();
            let key = Key { before, tokens };
            let Some(entry) = self.entries.get(&key) else {
                break;
            };
            before = entry.prefix;
            known.push((entry.block, entry.prefix));
            keys.push(key);
        }
        for key in keys.iter().rev() {
            self.touch(key);
        }
        known
    }

    /// Keeps `block`, which holds `tokens` after the text `before`, unless another block is known for that text. Gives
    /// the longer text.
    pub fn insert(&mut self, pool: &mut BlockPool, before: Prefix, tokens: &[u32], block: BlockId) -> Prefix {
        let tokens = tokens.into();
        let key = Key { before, tokens };
        if let Some(known) = self.entries.get(&key) {
            return known.prefix;
        }
        pool.share(block);
        self.prefixes += 1;
        self.uses += 1;
        let prefix = Prefix(self.prefixes);
        let entry = Entry {
            prefix,
            block,
            used: self.uses,
        };
        self.by_use.insert(self.uses, key.clone());
        self.entries.insert(key, entry);
        prefix
    }

    /// Gives up idle blocks until `wanted` blocks of the pool are free. All or nothing; `false` when there are too few.
    pub fn make_free(&mut self, pool: &mut BlockPool, wanted: usize) -> bool {
        let missing = wanted.saturating_sub(pool.free());
        let oldest = self.by_use.values();
        let idle = oldest.filter(|key| pool.holders(self.entries[*key].block) == 1);
        let given_up: Vec<Key> = idle.take(missing).cloned().collect();
        if given_up.len() < missing {
            return false;
        }
        for key in given_up {
            if let Some(entry) = self.entries.remove(&key) {
                self.by_use.remove(&entry.used);
                pool.release(entry.block);
            }
        }
        true
    }

    /// Blocks that only the cache holds.
    #[must_use]
    pub fn idle(&self, pool: &BlockPool) -> usize {
        let blocks = self.entries.values().map(|entry| entry.block);
        blocks.filter(|block| pool.holders(*block) == 1).count()
    }

    fn touch(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            self.by_use.remove(&entry.used);
            self.uses += 1;
            entry.used = self.uses;
            self.by_use.insert(self.uses, key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BlockPool, BlockTable, Prefix, PrefixCache};

    fn kept(cache: &mut PrefixCache, pool: &mut BlockPool, text: &[u32]) -> BlockTable {
        let mut table = BlockTable::new();
        table.grow(pool, text.len() / 2).unwrap();
        let mut prefix = Prefix::EMPTY;
        for (tokens, block) in text.chunks_exact(2).zip(table.blocks().to_vec()) {
            prefix = cache.insert(pool, prefix, tokens, block);
        }
        table
    }

    #[test]
    fn a_text_is_found_as_far_as_it_is_known() {
        let (mut cache, mut pool) = (PrefixCache::default(), BlockPool::new(8));
        let first = kept(&mut cache, &mut pool, &[1, 2, 3, 4, 5, 6]);
        // The same tokens after another beginning are another text.
        let other = kept(&mut cache, &mut pool, &[9, 9, 3, 4]);
        for (text, blocks) in [
            (&[1, 2, 3, 4, 7, 7][..], &first.blocks()[..2]),
            (&[1, 2, 3], &first.blocks()[..1]),
            (&[9, 9, 3, 4], other.blocks()),
            (&[3, 4], &[]),
        ] {
            assert_eq!(cache.find(&mut pool, text, 2).0.blocks(), blocks, "{text:?}");
        }
    }

    #[test]
    fn idle_blocks_are_given_up_from_the_end_of_the_longest_unused_text() {
        let (mut cache, mut pool) = (PrefixCache::default(), BlockPool::new(6));
        let old = [1, 2, 3, 4, 5, 6];
        let new = [7, 8, 9, 10];
        kept(&mut cache, &mut pool, &old).release(&mut pool);
        cache.use_text(&old, 2);
        let mut held = kept(&mut cache, &mut pool, &new);
        assert_eq!((pool.free(), cache.idle(&pool)), (1, 3));
        assert!(cache.make_free(&mut pool, 2));
        let mut old = cache.find(&mut pool, &old, 2).0;
        assert_eq!(old.blocks().len(), 2);
        // Now the old text is held as well.
        assert!(!cache.make_free(&mut pool, 3));
        held.release(&mut pool);
        assert!(cache.make_free(&mut pool, 4));
        old.release(&mut pool);
        assert!(cache.make_free(&mut pool, 6));
    }
}
