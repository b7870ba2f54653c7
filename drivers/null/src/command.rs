//! Commands and the memory that they touch.

use mains_contract::{BlockFormat, Bytes, Footprint, Graph, StateSpec, StepLimits, ValueId};

/// Bytes that allocations of weights are a multiple of: what GPUs ask of the offset of a storage buffer (Vulkan's
/// `minStorageBufferOffsetAlignment` is at most this).
pub(crate) const ALIGNMENT: u64 = 256;
/// Bytes of a number or an index.
pub(crate) const WORD_BYTES: u64 = 4;
/// Words that describe a sequence of a step: first row, rows, slot, start of its block table.
pub(crate) const SPAN_WORDS: u64 = 4;

/// Memory that commands name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Buffer {
    /// A weight of the graph, by index. Written at load.
    Weight(u32),
    /// The storage of a state of the graph, by index. Keeps what earlier steps wrote.
    State(u32),
    /// Values with a row a token, in numbers of a row.
    Rows,
    /// Values with a row an output row, in numbers of a row.
    OutputRows,
    /// Token ids, positions, sequences with their slots, block tables and rows of outputs. Uploaded for each step.
    Step,
    /// Rows from an earlier segment, in numbers of a row. Uploaded for each step.
    Inputs,
    /// What the host reads, by output of the graph.
    Output(u32),
}

/// A range of a buffer that a command reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Which buffer.
    pub buffer: Buffer,
    /// First number of a row in [`Buffer::Rows`], [`Buffer::OutputRows`] and [`Buffer::Inputs`]; 0 elsewhere.
    pub start: usize,
    /// Numbers of a row there; 1, for the whole, elsewhere.
    pub len: usize,
    /// The value that the range holds when it is read, or from now on when it is written.
    pub value: Option<ValueId>,
}

impl Access {
    /// A whole buffer that holds no value of the graph.
    #[must_use]
    pub const fn whole(buffer: Buffer) -> Self {
        Self {
            buffer,
            start: 0,
            len: 1,
            value: None,
        }
    }

    /// Whether both have memory in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.buffer == other.buffer
            && self.start < other.start + other.len
            && other.start < self.start + self.len
    }
}

/// One entry of a command list, in order of submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The host writes.
    Upload {
        /// What.
        writes: Access,
    },
    /// A kernel runs; it may overlap with what came before it since the last barrier.
    Dispatch {
        /// Its name: that of the operation, or of a part of it.
        kernel: &'static str,
        /// All that it reads.
        reads: Vec<Access>,
        /// All that it writes.
        writes: Vec<Access>,
    },
    /// All before it is done, and seen, before anything after it.
    Barrier,
    /// The host reads.
    Download {
        /// What.
        reads: Access,
    },
}

/// A lowered graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandList {
    /// The commands of a step.
    pub commands: Vec<Command>,
    /// Numbers of a row of [`Buffer::Rows`].
    pub row_width: usize,
    /// Numbers of a row of [`Buffer::OutputRows`].
    pub output_row_width: usize,
    /// Numbers of a row of [`Buffer::Inputs`].
    pub input_width: usize,
}

impl CommandList {
    /// The size of every buffer under `limits`, with the use that it counts as.
    #[must_use]
    pub fn allocations(&self, graph: &Graph, formats: &[BlockFormat], limits: &StepLimits) -> Footprint {
        let count = |count: usize| count as u64;
        let words = |words: u64| Bytes(WORD_BYTES).times(words);
        let rows = count(limits.rows);
        let outputs = count(limits.output_rows);
        let tables = rows.saturating_mul(count(limits.context.div_ceil(limits.block_tokens.max(1))));
        let tokens = count(limits.blocks).saturating_mul(count(limits.block_tokens));
        let state = |spec: &StateSpec| {
            spec.bytes_per_token().times(tokens) + spec.bytes_per_sequence().times(count(limits.slots))
        };
        let output_words: Bytes = graph
            .outputs()
            .iter()
            .map(|(_, value)| {
                let node = graph.node(*value);
                words(count(node.width)).times(if node.selected { outputs } else { rows })
            })
            .sum();
        Footprint {
            weights: weight_bytes(graph, formats).sum(),
            state: graph.states().iter().map(state).sum(),
            activations: words(count(self.row_width)).times(rows)
                + words(count(self.output_row_width)).times(outputs)
                + output_words
                + words(outputs),
            scratch: words((2 + SPAN_WORDS).saturating_mul(rows))
                + words(count(self.input_width)).times(rows)
                + words(tables),
        }
    }
}

/// The bytes of each weight: its own, up to the next place where another may begin.
pub(crate) fn weight_bytes<'a>(
    graph: &'a Graph,
    formats: &'a [BlockFormat],
) -> impl Iterator<Item = Bytes> + use<'a> {
    graph.weights().iter().enumerate().map(|(index, weight)| {
        let format = formats.get(index).copied().unwrap_or(BlockFormat::F32);
        let row = format.row_bytes(weight.cols).map(|bytes| bytes as u64);
        let bytes = row.and_then(|row| row.checked_mul(weight.rows as u64));
        Bytes(
            bytes
                .and_then(|bytes| bytes.checked_next_multiple_of(ALIGNMENT))
                .unwrap_or(u64::MAX),
        )
    })
}
