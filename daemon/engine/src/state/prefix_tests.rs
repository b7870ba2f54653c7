//! The prefix cache against a memory of what was written to every block and slot.

use std::collections::{HashMap, HashSet};

use mains_contract::{BlockId, SlotId};
use proptest::prelude::*;

use super::{BlockPool, BlockTable, Prefix, PrefixCache, SlotPool};

const BLOCK_TOKENS: usize = 2;
const BLOCKS: u32 = 9;
const SLOTS: u32 = 3;

#[derive(Debug, Clone)]
enum Action {
    /// A text is computed from what is known of it on, perhaps with a checkpoint at its end; its blocks are held.
    Compute { text: Vec<u32>, checkpoint: bool },
    /// Whoever holds blocks gives them back.
    Release(usize),
    /// Blocks are wanted.
    MakeFree(usize),
    /// A slot is wanted.
    TakeSlot,
}

fn action() -> impl Strategy<Value = Action> {
    // Few tokens: texts often begin alike.
    let text = prop::collection::vec(0..2u32, 1..12);
    prop_oneof![
        6 => (text, any::<bool>()).prop_map(|(text, checkpoint)| Action::Compute { text, checkpoint }),
        3 => (0..9usize).prop_map(Action::Release),
        1 => (0..9usize).prop_map(Action::MakeFree),
        1 => Just(Action::TakeSlot),
    ]
}

struct World {
    cache: PrefixCache,
    pool: BlockPool,
    slots: SlotPool,
    held: Vec<BlockTable>,
    /// By block: the whole text up to its end.
    blocks: HashMap<BlockId, Vec<u32>>,
    /// By slot: the text that was summed up.
    sums: HashMap<SlotId, Vec<u32>>,
}

impl World {
    fn apply(&mut self, action: Action) {
        match action {
            Action::Compute { text, checkpoint } => self.compute(&text, checkpoint),
            Action::Release(index) if index < self.held.len() => {
                self.held.swap_remove(index).release(&mut self.pool);
            }
            Action::Release(_) => {}
            Action::MakeFree(wanted) => {
                let could = self.pool.free() + self.cache.idle(&self.pool) >= wanted;
                assert_eq!(
                    self.cache.make_free(&mut self.pool, &mut self.slots, wanted),
                    could
                );
                assert!(!could || self.pool.free() >= wanted);
            }
            Action::TakeSlot => {
                let kept = self.cache.kept_slots();
                let taken = self.cache.take_slot();
                assert_eq!(taken.is_some(), kept > 0);
                taken.into_iter().for_each(|slot| self.slots.release(slot));
            }
        }
    }

    fn compute(&mut self, text: &[u32], checkpoint: bool) {
        let known = self.cache.find(text, BLOCK_TOKENS);
        for (index, known) in known.iter().enumerate() {
            let before = &text[..(index + 1) * BLOCK_TOKENS];
            assert_eq!(self.blocks[&known.block], before);
            assert!(known.slot.is_none_or(|slot| self.sums[&slot] == before));
        }
        let mut table = PrefixCache::share(&mut self.pool, &known);
        let whole = text.len() / BLOCK_TOKENS;
        if !self
            .cache
            .make_free(&mut self.pool, &mut self.slots, whole - known.len())
        {
            return table.release(&mut self.pool);
        }
        table.grow(&mut self.pool, whole).unwrap();
        let mut last = known.last().map_or(Prefix::EMPTY, |known| known.text);
        for index in known.len()..whole {
            let block = table.blocks()[index];
            let range = index * BLOCK_TOKENS..(index + 1) * BLOCK_TOKENS;
            self.blocks.insert(block, text[..range.end].to_vec());
            last = self.cache.insert(&mut self.pool, last, &text[range], block);
        }
        if checkpoint && self.cache.wants_slot(last) {
            let slot = self.slots.take().or_else(|| self.cache.take_slot()).unwrap();
            self.sums.insert(slot, text[..whole * BLOCK_TOKENS].to_vec());
            self.cache.keep_slot(last, slot);
        }
        self.held.push(table);
    }

    /// Every block is free, idle or held, every slot free or kept.
    fn check(&self) {
        let held: HashSet<&BlockId> = self.held.iter().flat_map(BlockTable::blocks).collect();
        let counted = self.pool.free() + self.cache.idle(&self.pool) + held.len();
        assert_eq!(counted, self.pool.total());
        assert_eq!(self.slots.free() + self.cache.kept_slots(), SLOTS as usize);
    }
}

proptest! {
    #[test]
    fn what_is_found_is_what_was_computed(actions in prop::collection::vec(action(), 0..80)) {
        let mut world = World {
            cache: PrefixCache::default(),
            pool: BlockPool::new(BLOCKS),
            slots: SlotPool::new(SLOTS),
            held: Vec::new(),
            blocks: HashMap::new(),
            sums: HashMap::new(),
        };
        for action in actions {
            world.apply(action);
            world.check();
        }
        world.held.drain(..).for_each(|mut table| table.release(&mut world.pool));
        prop_assert!(world.cache.make_free(&mut world.pool, &mut world.slots, BLOCKS as usize));
        world.check();
        prop_assert_eq!(world.cache.kept_slots(), 0);
    }
}
