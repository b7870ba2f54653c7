//! A model on one loaded graph, or cut into segments on several, with block tables kept for its sequences.

use std::sync::Arc;

use mains_contract::{
    BlockId, Driver, Graph, LoadedModel, OutputName, SequenceSpan, SequenceState, SlotId, Step, StepLimits,
};
use mains_engine::models::Model;

/// Tokens of one sequence in one step.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Which sequence.
    pub sequence: usize,
    /// The position of the first.
    pub position: usize,
    /// The tokens.
    pub tokens: &'a [u32],
}

/// Where the state of a sequence is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its blocks, for the whole context.
    pub blocks: Vec<BlockId>,
    /// Its slot.
    pub slot: SlotId,
}

impl Place {
    fn state(&self) -> SequenceState<'_> {
        SequenceState {
            blocks: &self.blocks,
            slot: self.slot,
        }
    }
}

/// Segments of a graph, each loaded by itself, that are run one after the other.
pub struct Segments {
    loaded: Vec<(Arc<Graph>, Box<dyn LoadedModel>)>,
    places: Vec<Place>,
}

impl Segments {
    /// Loads `model`, cut after each of the layers `cuts` (growing), with room for as many sequences as slots.
    ///
    /// # Panics
    /// When a cut is no border between layers, or the driver refuses a part.
    #[must_use]
    pub fn new(model: &Model, driver: &dyn Driver, limits: &StepLimits, cuts: &[usize]) -> Self {
        let mut graphs = vec![(*model.graph).clone()];
        let mut before = 0;
        for cut in cuts {
            let rest = graphs.pop().expect("there is always a last part");
            let parts = rest.split(cut - before).unwrap_or_else(|error| panic!("{error}"));
            before = cut + 1;
            graphs.extend(<[Graph; 2]>::from(parts));
        }
        let load = |graph: Graph| {
            let graph = Arc::new(graph);
            let loaded = driver.load(Arc::clone(&graph), &model.weights, limits);
            (graph, loaded.unwrap_or_else(|error| panic!("{error}")))
        };
        let sequences = limits.slots;
        let each = limits.context.div_ceil(limits.block_tokens);
        assert!(
            each * sequences <= limits.blocks,
            "too few blocks for {sequences} sequences"
        );
        let number = |number: usize| u32::try_from(number).expect("a test has few blocks");
        // Blocks of different sequences alternate, so that no table is a run.
        let place = |sequence: usize| Place {
            blocks: (0..each)
                .map(|block| BlockId(number(block * sequences + sequence)))
                .collect(),
            slot: SlotId(number(sequence)),
        };
        Self {
            loaded: graphs.into_iter().map(load).collect(),
            places: (0..sequences).map(place).collect(),
        }
    }

    /// Runs one step; gives the last segment's output `name`, all rows of it.
    ///
    /// # Panics
    /// When a part fails, or has no such output.
    pub fn step(&mut self, pieces: &[Piece<'_>], name: OutputName) -> Vec<f32> {
        let number = |number: usize| u32::try_from(number).expect("a test has few rows");
        let (mut tokens, mut positions, mut sequences) = (Vec::new(), Vec::new(), Vec::new());
        for piece in pieces {
            let place = &self.places[piece.sequence];
            sequences.push(SequenceSpan {
                first_row: number(tokens.len()),
                rows: number(piece.tokens.len()),
                blocks: &place.blocks,
                slot: place.slot,
            });
            tokens.extend(piece.tokens);
            positions.extend((piece.position..).take(piece.tokens.len()).map(number));
        }
        let output_rows: Vec<u32> = (0..number(tokens.len())).collect();
        let mut inputs = Vec::new();
        let last = self.loaded.len() - 1;
        for (index, (graph, loaded)) in self.loaded.iter_mut().enumerate() {
            let step = Step {
                tokens: &tokens,
                positions: &positions,
                sequences: &sequences,
                output_rows: &output_rows,
                inputs: &inputs,
            };
            let ranges: Vec<_> = graph.output_ranges(&step).collect();
            let mut out = vec![f32::NAN; ranges.last().map_or(0, |(_, range)| range.end)];
            loaded
                .run(&step, &mut out)
                .unwrap_or_else(|error| panic!("{error}"));
            let wanted = if index == last { name } else { OutputName::Border };
            let range = ranges.into_iter().find(|(found, _)| *found == wanted);
            let (_, range) = range.unwrap_or_else(|| panic!("no output {wanted:?}"));
            inputs = out[range].to_vec();
        }
        inputs
    }

    /// Moves the state of one sequence to where another one's is, by a snapshot of each segment; the other's is lost.
    ///
    /// # Panics
    /// When a part fails.
    pub fn exchange(&mut self, first: usize, second: usize) {
        let (from, to) = (self.places[first].clone(), self.places[second].clone());
        for (_, loaded) in &mut self.loaded {
            let snapshot = loaded
                .snapshot(&from.state())
                .unwrap_or_else(|error| panic!("{error}"));
            loaded
                .restore(&snapshot, &to.state())
                .unwrap_or_else(|error| panic!("{error}"));
        }
        self.places.swap(first, second);
    }
}
