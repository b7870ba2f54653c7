//! A graph turned into places: where each value lives, in which form each weight is kept, and all the bytes of it.

use mains_contract::{BlockFormat, Bytes, FootprintModel, Graph, Op, OutputName, StateSpec, ValueId};

use crate::arena::{LINE_BYTES, padded};
use crate::kernels::{SCORE_HEADS, block_numbers, quant_bytes};
use crate::simd::LANES;

/// Bytes of a number.
const F32_BYTES: usize = size_of::<f32>();

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the slot of that index, which other values use before and after it.
    Slot(usize),
    /// Where the caller wants the logits, without padding between rows.
    Logits,
}

/// Memory that values use one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    /// Numbers of a row.
    pub(crate) width: usize,
    /// Whether there is one row an output row rather than one a token.
    pub(crate) selected: bool,
}

/// A compiled graph.
pub(crate) struct Plan {
    /// By node.
    pub(crate) places: Vec<Place>,
    pub(crate) slots: Vec<Slot>,
    /// By weight.
    pub(crate) formats: Vec<BlockFormat>,
    /// Inverse frequencies of each table of angles.
    pub(crate) angles: Vec<Vec<f32>>,
    /// By node: its table of angles.
    pub(crate) angles_of: Vec<Option<usize>>,
    /// Width of the widest activations that are quantized; 0 when none are.
    pub(crate) quantized_cols: usize,
}

impl Plan {
    /// Places for `graph` when its weights come in `formats`, by index.
    pub(crate) fn new(graph: &Graph, formats: &[BlockFormat]) -> Self {
        let formats = kept_formats(graph, formats);
        let (places, slots) = place_values(graph);
        let mut angles: Vec<Vec<f32>> = Vec::new();
        let mut angles_of = Vec::with_capacity(graph.nodes().len());
        let mut quantized_cols = 0;
        for node in graph.nodes() {
            if let Op::Linear { weight, .. } = &node.op
                && formats[weight.0 as usize].is_quantized()
            {
                quantized_cols = quantized_cols.max(graph.weight(*weight).cols);
            }
            angles_of.push(match &node.op {
                Op::Rope {
                    inverse_frequencies, ..
                } => {
                    let known = angles.iter().position(|table| table == inverse_frequencies);
                    Some(known.unwrap_or_else(|| {
                        angles.push(inverse_frequencies.clone());
                        angles.len() - 1
                    }))
                }
                _ => None,
            });
        }
        Self {
            places,
            slots,
            formats,
            angles,
            angles_of,
            quantized_cols,
        }
    }

    /// The bytes of a load that `threads` share.
    pub(crate) fn footprint(&self, graph: &Graph, threads: usize) -> FootprintModel {
        let weights = graph.weights().iter().zip(&self.formats);
        let slots = |selected: bool| -> Bytes {
            let slots = self.slots.iter().filter(|slot| slot.selected == selected);
            slots
                .map(|slot| Bytes::from(padded(slot.width) * F32_BYTES))
                .sum()
        };
        let angles = self
            .angles
            .iter()
            .map(|table| angle_numbers(table.len()) * F32_BYTES);
        let quantized = quant_bytes(self.quantized_cols) + 2 * block_numbers(self.quantized_cols) * F32_BYTES;
        let score_bytes = Bytes::from(SCORE_HEADS * F32_BYTES).times(threads as u64);
        FootprintModel {
            weights: weights
                .map(|(weight, format)| Bytes::from(weight_bytes(*format, weight.rows, weight.cols)))
                .sum(),
            state_per_token: graph.states().iter().map(StateSpec::bytes_per_token).sum(),
            state_per_sequence: graph.states().iter().map(StateSpec::bytes_per_sequence).sum(),
            activations_per_row: slots(false),
            activations_per_output_row: slots(true),
            scratch: score_bytes.times(SCORE_SLACK as u64),
            scratch_per_row: Bytes::from(quantized) + angles.map(Bytes::from).sum(),
            scratch_per_context_token: score_bytes,
            scratch_per_table_entry: Bytes::ZERO,
        }
    }
}

/// Scores of a head beyond one a position: its last 16 may not be full.
pub(crate) const SCORE_SLACK: usize = LANES;

/// Numbers of a row of a table of angles for `pairs` pairs: cosines, then sines.
pub(crate) const fn angle_numbers(pairs: usize) -> usize {
    2 * padded(pairs)
}

/// Bytes of a weight in the arena: its own, rounded up to whole cache lines. More than there are when no whole number of
/// blocks makes its rows.
pub(crate) fn weight_bytes(format: BlockFormat, rows: usize, cols: usize) -> usize {
    let bytes = format.row_bytes(cols).and_then(|row| row.checked_mul(rows));
    bytes
        .and_then(|bytes| bytes.checked_next_multiple_of(LINE_BYTES))
        .unwrap_or(usize::MAX)
}

/// Matrices are kept as they come; gains and biases become float32.
fn kept_formats(graph: &Graph, formats: &[BlockFormat]) -> Vec<BlockFormat> {
    let mut kept = vec![BlockFormat::F32; graph.weights().len()];
    for node in graph.nodes() {
        if let Op::Linear { weight, .. } | Op::Embed { table: weight } = &node.op {
            let index = weight.0 as usize;
            kept[index] = formats.get(index).copied().unwrap_or(BlockFormat::F32);
        }
    }
    kept
}

/// Gives each value a slot that is free while it is needed, the narrowest that is wide enough.
fn place_values(graph: &Graph) -> (Vec<Place>, Vec<Slot>) {
    let nodes = graph.nodes();
    let logits = graph.output(OutputName::Logits);
    let mut last_use: Vec<usize> = (0..nodes.len()).collect();
    for (index, node) in nodes.iter().enumerate() {
        for input in &node.inputs {
            last_use[input.0 as usize] = index;
        }
    }
    let is_output = |index: usize| logits.is_some_and(|ValueId(logits)| logits as usize == index);
    let mut slots: Vec<Slot> = Vec::new();
    let mut free: Vec<bool> = Vec::new();
    let mut places = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        if is_output(index) && last_use[index] == index {
            places.push(Place::Logits);
        } else {
            let slot = take_slot(&mut slots, &mut free, node.width, node.selected);
            places.push(Place::Slot(slot));
        }
        // Inputs end after the output began: an operation never writes what it reads.
        for (value, place) in places.iter().enumerate() {
            if let Place::Slot(slot) = place
                && last_use[value] == index
                && !is_output(value)
            {
                free[*slot] = true;
            }
        }
    }
    (places, slots)
}

fn take_slot(slots: &mut Vec<Slot>, free: &mut Vec<bool>, width: usize, selected: bool) -> usize {
    let fitting = (0..slots.len())
        .filter(|slot| free[*slot] && slots[*slot].selected == selected)
        .min_by_key(|slot| (slots[*slot].width < width, slots[*slot].width.abs_diff(width)));
    let slot = fitting.unwrap_or_else(|| {
        slots.push(Slot { width, selected });
        free.push(false);
        slots.len() - 1
    });
    slots[slot].width = slots[slot].width.max(width);
    free[slot] = false;
    slot
}
