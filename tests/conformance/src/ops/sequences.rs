//! Sequences on a loaded model: block tables kept for them, outputs gathered.

use std::sync::Arc;

use mains_contract::{
    BlockId, Driver, DriverError, Graph, LoadedModel, OutputName, SequenceSpan, SlotId, Step, StepLimits,
};

use super::Weights;

/// Tokens of one sequence in one step.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Which sequence.
    pub sequence: usize,
    /// The tokens.
    pub tokens: Vec<u32>,
    /// The position of the first.
    pub position: u32,
}

/// A loaded model with one block table a sequence. Blocks of different sequences alternate, so that no table is a run.
pub struct Runner {
    /// The model.
    pub model: Box<dyn LoadedModel>,
    /// Blocks of each sequence.
    pub tables: Vec<Vec<BlockId>>,
    /// Slot of each sequence, in reverse, so that none has its own number; all 0 under limits of none.
    pub slots: Vec<SlotId>,
    vocabulary: usize,
}

impl Runner {
    /// Loads `graph` and gives each of `sequences` sequences blocks for the whole context.
    ///
    /// # Panics
    /// When the load fails.
    #[must_use]
    pub fn new(
        driver: &dyn Driver,
        graph: &Arc<Graph>,
        weights: &Weights,
        limits: &StepLimits,
        sequences: usize,
    ) -> Self {
        let model = driver
            .load(Arc::clone(graph), weights, limits)
            .expect("a test loads what is supported");
        let blocks = limits.context.div_ceil(limits.block_tokens);
        assert!(
            blocks * sequences <= limits.blocks,
            "a test plans blocks for its sequences"
        );
        let table = |sequence: usize| -> Vec<BlockId> {
            let ids =
                (0..blocks).map(|block| u32::try_from(block * sequences + sequence).expect("few blocks"));
            ids.map(BlockId).collect()
        };
        let logits = graph
            .output(OutputName::Logits)
            .expect("a test's graph has logits");
        let slot = |sequence: usize| {
            let last = limits.slots.saturating_sub(1);
            SlotId(u32::try_from(last.saturating_sub(sequence)).expect("few slots"))
        };
        Self {
            model,
            slots: (0..sequences).map(slot).collect(),
            tables: (0..sequences).map(table).collect(),
            vocabulary: graph.node(logits).width,
        }
    }

    /// Runs one step; gives the outputs of all its rows.
    ///
    /// # Panics
    /// When the step fails.
    pub fn step(&mut self, chunks: &[Chunk]) -> Vec<f32> {
        self.try_step(chunks).expect("a test runs what the limits allow")
    }

    /// Runs one step; gives the outputs of all its rows.
    ///
    /// # Errors
    /// What the driver says.
    ///
    /// # Panics
    /// When a chunk has more rows than a u32 counts.
    pub fn try_step(&mut self, chunks: &[Chunk]) -> Result<Vec<f32>, DriverError> {
        let (mut tokens, mut positions, mut sequences) = (Vec::new(), Vec::new(), Vec::new());
        for chunk in chunks {
            let rows = u32::try_from(chunk.tokens.len()).expect("few rows");
            sequences.push(SequenceSpan {
                first_row: u32::try_from(tokens.len()).expect("few rows"),
                rows,
                blocks: &self.tables[chunk.sequence],
                slot: self.slots[chunk.sequence],
            });
            tokens.extend(&chunk.tokens);
            positions.extend(chunk.position..chunk.position + rows);
        }
        let output_rows: Vec<u32> = (0..u32::try_from(tokens.len()).expect("few rows")).collect();
        let step = Step {
            tokens: &tokens,
            positions: &positions,
            sequences: &sequences,
            output_rows: &output_rows,
            inputs: &[],
        };
        let mut logits = vec![f32::NAN; tokens.len() * self.vocabulary];
        self.model.run(&step, &mut logits)?;
        Ok(logits)
    }

    /// Runs `tokens` of sequence 0 from position 0, in steps of `sizes` rows and the rest at once; gives all outputs.
    pub fn whole(&mut self, tokens: &[u32], sizes: &[usize]) -> Vec<f32> {
        let mut outputs = Vec::new();
        let mut done = 0;
        for size in sizes.iter().copied().chain([usize::MAX]) {
            let end = done + size.min(tokens.len() - done);
            if end > done {
                let position = u32::try_from(done).expect("few tokens");
                outputs.extend(self.step(&[Chunk {
                    sequence: 0,
                    tokens: tokens[done..end].to_vec(),
                    position,
                }]));
            }
            done = end;
        }
        outputs
    }
}
