//! All states of a loaded graph.

use mains_contract::{
    BlockId, Bytes, DriverError, Graph, SequenceState, SlotId, StateId, StateSpec, StepLimits,
};

use crate::allocate::allocate;
use crate::state::TokenState;

/// What is kept of sequences between steps, by the graph's states.
pub(crate) struct States {
    /// By state; without storage when another has it, or when it is of sequences.
    tokens: Vec<TokenState>,
    /// By state: `slots x width` numbers; none when it is of tokens.
    sequences: Vec<Vec<f32>>,
    /// By state: the one that has the storage.
    storage: Vec<StateId>,
    limits: StepLimits,
}

impl States {
    /// Zeroed storage for all blocks and slots of `limits`.
    ///
    /// # Errors
    /// [`DriverError::OutOfMemory`].
    pub(crate) fn new(graph: &Graph, limits: &StepLimits) -> Result<Self, DriverError> {
        let specs = graph.states().iter();
        let sequences = specs.clone().map(|spec| match spec {
            StateSpec::PerSequence { width, .. } => allocate(width.saturating_mul(limits.slots), "state"),
            StateSpec::PerToken { .. } => Ok(Vec::new()),
        });
        Ok(Self {
            tokens: specs
                .map(|spec| TokenState::new(spec, limits))
                .collect::<Result<_, _>>()?,
            sequences: sequences.collect::<Result<_, _>>()?,
            storage: (0..)
                .take(graph.states().len())
                .map(StateId)
                .map(|id| graph.storage(id))
                .collect(),
            limits: *limits,
        })
    }

    /// Bytes that were allocated.
    pub(crate) fn bytes(&self) -> Bytes {
        let slots = self
            .sequences
            .iter()
            .map(|numbers| Bytes::from(size_of_val(numbers.as_slice())));
        self.tokens.iter().map(TokenState::bytes).chain(slots).sum()
    }

    /// The storage of keys and values behind `id`.
    pub(crate) fn tokens(&mut self, id: StateId) -> &mut TokenState {
        let owner = self.storage[id.0 as usize];
        &mut self.tokens[owner.0 as usize]
    }

    /// The numbers of the sequence in `slot`; zeros when it `starts`.
    pub(crate) fn sequence(&mut self, id: StateId, slot: SlotId, starts: bool) -> &mut [f32] {
        let numbers = &mut self.sequences[id.0 as usize];
        let width = numbers.len() / self.limits.slots;
        let own = &mut numbers[slot.0 as usize * width..][..width];
        if starts {
            own.fill(0.0);
        }
        own
    }

    /// Copies blocks of every state, in order.
    ///
    /// # Errors
    /// [`DriverError::Limits`] when a block is beyond the limits.
    pub(crate) fn copy_blocks(&mut self, pairs: &[(BlockId, BlockId)]) -> Result<(), DriverError> {
        for (from, to) in pairs {
            self.check_blocks(&[*from, *to])?;
        }
        for (from, to) in pairs {
            for state in &mut self.tokens {
                state.copy_block(*from, *to);
            }
        }
        Ok(())
    }

    /// Copies slots of every state, in order.
    ///
    /// # Errors
    /// [`DriverError::Limits`] when a slot is beyond the limits.
    pub(crate) fn copy_slots(&mut self, pairs: &[(SlotId, SlotId)]) -> Result<(), DriverError> {
        for (from, to) in pairs {
            self.check_slot(*from)?;
            self.check_slot(*to)?;
        }
        for (from, to) in pairs {
            for numbers in &mut self.sequences {
                let width = numbers.len() / self.limits.slots.max(1);
                let source = from.0 as usize * width;
                numbers.copy_within(source..source + width, to.0 as usize * width);
            }
        }
        Ok(())
    }

    /// The bytes of a sequence: block by block of every state, then its slot of every state.
    ///
    /// # Errors
    /// [`DriverError::Limits`] when a block or the slot is beyond the limits.
    pub(crate) fn snapshot(&self, state: &SequenceState<'_>) -> Result<Vec<u8>, DriverError> {
        self.check_blocks(state.blocks)?;
        self.check_slot(state.slot)?;
        let mut bytes = Vec::with_capacity(self.snapshot_bytes(state));
        for tokens in &self.tokens {
            for block in state.blocks {
                tokens.save_block(*block, &mut bytes);
            }
        }
        for numbers in &self.sequences {
            let width = numbers.len() / self.limits.slots.max(1);
            let own = &numbers[state.slot.0 as usize * width..][..width];
            bytes.extend(own.iter().flat_map(|number| number.to_le_bytes()));
        }
        Ok(bytes)
    }

    /// Puts back what [`States::snapshot`] gave.
    ///
    /// # Errors
    /// [`DriverError::Limits`] when a block or the slot is beyond the limits, or the snapshot has another size.
    pub(crate) fn restore(&mut self, snapshot: &[u8], state: &SequenceState<'_>) -> Result<(), DriverError> {
        self.check_blocks(state.blocks)?;
        self.check_slot(state.slot)?;
        let expected = self.snapshot_bytes(state);
        if snapshot.len() != expected {
            return Err(DriverError::Limits(format!(
                "a snapshot of {} bytes, such a sequence has {expected}",
                snapshot.len()
            )));
        }
        let mut rest = snapshot;
        for tokens in &mut self.tokens {
            for block in state.blocks {
                let (own, after) = rest.split_at(tokens.block_bytes());
                tokens.load_block(*block, own);
                rest = after;
            }
        }
        let mut numbers = rest.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        for stored in &mut self.sequences {
            let width = stored.len() / self.limits.slots.max(1);
            let own = &mut stored[state.slot.0 as usize * width..][..width];
            for (stored, number) in own.iter_mut().zip(&mut numbers) {
                *stored = number;
            }
        }
        Ok(())
    }

    fn snapshot_bytes(&self, state: &SequenceState<'_>) -> usize {
        let blocks: usize = self.tokens.iter().map(TokenState::block_bytes).sum();
        let numbers: usize = self.sequences.iter().map(Vec::len).sum();
        blocks * state.blocks.len() + numbers / self.limits.slots.max(1) * size_of::<f32>()
    }

    fn check_blocks(&self, blocks: &[BlockId]) -> Result<(), DriverError> {
        let count = self.limits.blocks;
        match blocks.iter().find(|block| block.0 as usize >= count) {
            Some(block) => Err(DriverError::Limits(format!(
                "block {}, there are {count}",
                block.0
            ))),
            None => Ok(()),
        }
    }

    fn check_slot(&self, slot: SlotId) -> Result<(), DriverError> {
        let count = self.limits.slots;
        if (slot.0 as usize) < count.max(1) {
            Ok(())
        } else {
            Err(DriverError::Limits(format!("slot {}, there are {count}", slot.0)))
        }
    }
}
