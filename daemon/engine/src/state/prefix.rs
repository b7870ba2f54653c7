//! The prefix cache: blocks whose content is known by the text that led to it.
//!
//! A full block is found by the block before it and its own tokens, so an entry stands for the whole text up to its end
//! (a chain of hashes; the tokens themselves are compared, so no two texts are ever taken for one). The cache holds its
//! blocks like a sequence does. One that nobody else holds is idle: it counts as free and is given up when blocks run
//! short, the longest unused first and of one text the end before the beginning.
//!
//! Where a graph keeps sums over a sequence too, blocks are only a part of what a text has left behind. An entry may then
//! hold a slot with the sums up to its end, a checkpoint: texts are gone on from there and from nowhere else.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mains_contract::{BlockId, SlotId};

use super::{BlockPool, BlockTable, SlotPool};

/// A text that ends with a full block: what the next block is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix(u64);

impl Prefix {
    /// The empty text.
    pub const EMPTY: Self = Self(0);
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    before: Prefix,
    tokens: Box<[u32]>,
}

#[derive(Debug)]
struct Entry {
    key: Arc<Key>,
    block: BlockId,
    used: u64,
    slot: Option<SlotId>,
}

/// One block of a known beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownBlock {
    /// The block.
    pub block: BlockId,
    /// The text up to its end.
    pub text: Prefix,
    /// Where the sums up to its end are, if they are kept.
    pub slot: Option<SlotId>,
}

/// Full blocks by their text.
#[derive(Debug, Default)]
pub struct PrefixCache {
    texts: HashMap<Arc<Key>, Prefix>,
    entries: HashMap<Prefix, Entry>,
    /// The entry of each block: one at most.
    by_block: HashMap<BlockId, Prefix>,
    by_use: BTreeMap<u64, Prefix>,
    prefixes: u64,
    uses: u64,
}

/// Bytes of one entry of a hash table at the most: when it has just doubled, it has 16 places for every 7 entries and a byte for
/// each place (`hashbrown`, the table of the standard library).
const fn table_entry(key: usize, value: usize) -> usize {
    ((key + value).next_multiple_of(align_of::<u64>()) + 1) * 16 / 7
}

/// Bytes of one entry of a B-tree at the most, beside key and value: nodes of 11 entries are at least half full.
const TREE_ENTRY: usize = 16;

/// Bytes that an allocation takes beside its own.
const ALLOCATION: usize = 16;

impl PrefixCache {
    /// Bytes of memory that a known block of `block_tokens` positions takes at the most.
    pub(crate) const fn bytes_a_block(block_tokens: usize) -> usize {
        let (key, prefix) = (size_of::<Arc<Key>>(), size_of::<Prefix>());
        let counted = size_of::<Key>() + 2 * size_of::<usize>() + ALLOCATION;
        let tokens = block_tokens * size_of::<u32>() + ALLOCATION;
        counted
            + tokens
            + table_entry(key, prefix)
            + table_entry(prefix, size_of::<Entry>())
            + table_entry(size_of::<BlockId>(), prefix)
            + 2 * (size_of::<u64>() + prefix)
            + TREE_ENTRY
    }

    /// The longest known beginning of `tokens`, in whole blocks of `block_tokens`. Counts as just used, its end longest
    /// ago.
    pub fn find(&mut self, tokens: &[u32], block_tokens: usize) -> Vec<KnownBlock> {
        let mut known = Vec::new();
        let mut before = Prefix::EMPTY;
        for tokens in tokens.chunks_exact(block_tokens) {
            let tokens = tokens.into();
            let text = self.texts.get(&Key { before, tokens });
            let Some((text, entry)) = text.and_then(|text| Some((*text, self.entries.get(text)?))) else {
                break;
            };
            known.push(KnownBlock {
                block: entry.block,
                text,
                slot: entry.slot,
            });
            before = text;
        }
        for known in known.iter().rev() {
            self.touch(known.text);
        }
        known
    }

    /// A table that shares these blocks.
    pub fn share(pool: &mut BlockPool, known: &[KnownBlock]) -> BlockTable {
        let blocks: Vec<BlockId> = known.iter().map(|known| known.block).collect();
        for block in &blocks {
            pool.share(*block);
        }
        BlockTable::of(blocks)
    }

    /// Keeps `block`, which holds `tokens` after the text `before`, unless another block is known for that text. Gives
    /// the longer text.
    ///
    /// `block` may be kept already, found by a beginning whose own block was given up meanwhile: from now on it, and with it
    /// what goes on from it, is found by `before`.
    pub fn insert(&mut self, pool: &mut BlockPool, before: Prefix, tokens: &[u32], block: BlockId) -> Prefix {
        let tokens = tokens.into();
        let key = Arc::new(Key { before, tokens });
        if let Some(known) = self.texts.get(&key) {
            return *known;
        }
        if let Some(text) = self.by_block.get(&block)
            && let Some(entry) = self.entries.get_mut(text)
        {
            self.texts.remove(&entry.key);
            entry.key = Arc::clone(&key);
            self.texts.insert(key, *text);
            return *text;
        }
        pool.share(block);
        self.prefixes += 1;
        self.uses += 1;
        let text = Prefix(self.prefixes);
        let entry = Entry {
            key: Arc::clone(&key),
            block,
            used: self.uses,
            slot: None,
        };
        self.texts.insert(key, text);
        self.entries.insert(text, entry);
        self.by_block.insert(block, text);
        self.by_use.insert(self.uses, text);
        text
    }

    /// Whether the sums up to the end of `text` could be kept: the text is known and they are not kept yet.
    #[must_use]
    pub fn wants_slot(&self, text: Prefix) -> bool {
        self.entries.get(&text).is_some_and(|entry| entry.slot.is_none())
    }

    /// Keeps the sums up to the end of `text`, which are in `slot`, for as long as the text is known.
    ///
    /// # Panics
    /// When the text does not want a slot.
    pub fn keep_slot(&mut self, text: Prefix, slot: SlotId) {
        assert!(self.wants_slot(text), "slot {} is kept for nobody", slot.0);
        if let Some(entry) = self.entries.get_mut(&text) {
            entry.slot = Some(slot);
        }
    }

    /// Gives up the checkpoint that was not used for longest. `None` when there is none.
    pub fn take_slot(&mut self) -> Option<SlotId> {
        let mut oldest = self.by_use.values().copied();
        let text = oldest.find(|text| self.entries[text].slot.is_some())?;
        self.entries.get_mut(&text)?.slot.take()
    }

    /// Checkpoints that are kept.
    #[must_use]
    pub fn kept_slots(&self) -> usize {
        self.entries.values().filter(|entry| entry.slot.is_some()).count()
    }

    /// Gives up idle blocks until `wanted` blocks of the pool are free, and their checkpoints with them. All or nothing;
    /// `false` when there are too few.
    pub fn make_free(&mut self, pool: &mut BlockPool, slots: &mut SlotPool, wanted: usize) -> bool {
        let missing = wanted.saturating_sub(pool.free());
        let oldest = self.by_use.values().copied();
        let idle = oldest.filter(|text| pool.holders(self.entries[text].block) == 1);
        let given_up: Vec<Prefix> = idle.take(missing).collect();
        if given_up.len() < missing {
            return false;
        }
        for text in given_up {
            if let Some(entry) = self.entries.remove(&text) {
                self.texts.remove(&entry.key);
                self.by_use.remove(&entry.used);
                self.by_block.remove(&entry.block);
                pool.release(entry.block);
                if let Some(slot) = entry.slot {
                    slots.release(slot);
                }
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

    fn touch(&mut self, text: Prefix) {
        if let Some(entry) = self.entries.get_mut(&text) {
            self.by_use.remove(&entry.used);
            self.uses += 1;
            entry.used = self.uses;
            self.by_use.insert(self.uses, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use mains_contract::{BlockId, SlotId};

    use super::{BlockPool, BlockTable, KnownBlock, Prefix, PrefixCache, SlotPool};

    fn kept(cache: &mut PrefixCache, pool: &mut BlockPool, text: &[u32]) -> BlockTable {
        let mut table = BlockTable::new();
        table.grow(pool, text.len() / 2).unwrap();
        let mut prefix = Prefix::EMPTY;
        for (tokens, block) in text.chunks_exact(2).zip(table.blocks().to_vec()) {
            prefix = cache.insert(pool, prefix, tokens, block);
        }
        table
    }

    fn found(known: &[KnownBlock]) -> Vec<BlockId> {
        known.iter().map(|known| known.block).collect()
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
            assert_eq!(found(&cache.find(text, 2)), blocks, "{text:?}");
        }
    }

    #[test]
    fn idle_blocks_are_given_up_from_the_end_of_the_longest_unused_text() {
        let (mut cache, mut pool, mut slots) = (PrefixCache::default(), BlockPool::new(6), SlotPool::new(0));
        let old = [1, 2, 3, 4, 5, 6];
        let new = [7, 8, 9, 10];
        kept(&mut cache, &mut pool, &old).release(&mut pool);
        cache.find(&old, 2);
        let mut held = kept(&mut cache, &mut pool, &new);
        assert_eq!((pool.free(), cache.idle(&pool)), (1, 3));
        assert!(cache.make_free(&mut pool, &mut slots, 2));
        let known = cache.find(&old, 2);
        let mut old = PrefixCache::share(&mut pool, &known);
        assert_eq!(old.blocks().len(), 2);
        // Now the old text is held as well.
        assert!(!cache.make_free(&mut pool, &mut slots, 3));
        held.release(&mut pool);
        assert!(cache.make_free(&mut pool, &mut slots, 4));
        old.release(&mut pool);
        assert!(cache.make_free(&mut pool, &mut slots, 6));
    }

    #[test]
    fn a_block_is_kept_once_though_another_held_its_beginning() {
        let (mut cache, mut pool, mut slots) = (PrefixCache::default(), BlockPool::new(6), SlotPool::new(0));
        let text = [1, 2, 3, 4, 5, 6];
        // The cache knows the beginning from another sequence, and the rest from this one.
        let mut other = kept(&mut cache, &mut pool, &text[..2]);
        let mut table = kept(&mut cache, &mut pool, &text);
        other.release(&mut pool);
        assert!(cache.make_free(&mut pool, &mut slots, 3));
        assert_eq!(cache.find(&text, 2), []);
        let mut prefix = Prefix::EMPTY;
        for (tokens, block) in text.chunks_exact(2).zip(table.blocks()) {
            prefix = cache.insert(&mut pool, prefix, tokens, *block);
        }
        assert_eq!(found(&cache.find(&text, 2)), table.blocks());
        table.release(&mut pool);
        assert_eq!((pool.free(), cache.idle(&pool)), (3, 3));
        assert!(cache.make_free(&mut pool, &mut slots, 6));
    }

    #[test]
    fn checkpoints_go_with_their_blocks_or_the_longest_unused_first() {
        let (mut cache, mut pool, mut slots) = (PrefixCache::default(), BlockPool::new(4), SlotPool::new(3));
        let (first, second) = ([1, 2, 3, 4], [5, 6]);
        let mut tables = [&first[..], &second].map(|text| kept(&mut cache, &mut pool, text));
        for text in [&first[..], &second] {
            let text = cache.find(text, 2).last().unwrap().text;
            assert!(cache.wants_slot(text));
            cache.keep_slot(text, slots.take().unwrap());
            assert!(!cache.wants_slot(text));
        }
        assert!(!cache.wants_slot(Prefix::EMPTY));
        assert_eq!(cache.find(&first, 2).last().unwrap().slot, Some(SlotId(0)));
        assert_eq!(cache.take_slot(), Some(SlotId(1)));
        assert_eq!((cache.kept_slots(), slots.free()), (1, 1));
        tables.iter_mut().for_each(|table| table.release(&mut pool));
        assert!(cache.make_free(&mut pool, &mut slots, 4));
        assert_eq!(
            (cache.take_slot(), cache.kept_slots(), slots.free()),
            (None, 0, 2)
        );
    }
}
