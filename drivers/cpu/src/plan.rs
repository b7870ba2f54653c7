//! A graph turned into places: where each value lives, in which form each weight is kept, and all the bytes of it.

use mains_contract::{BlockFormat, Bytes, FootprintModel, Graph, Op, StateSpec, WeightUse, cache_rotation};

use crate::arena::{LINE_BYTES, padded};
use crate::kernels::{Router, SCORE_QUERIES, group_bytes, groups, is_packed, panel_bytes, quantized_bytes};
use crate::simd::LANES;

/// Bytes of a number.
const F32_BYTES: usize = size_of::<f32>();

/// Panels that a thread unpacks a matrix to at a time: with 4096 columns of Q8_0 they take 288 KiB of a second-level
/// cache, and the activations are read from it once for all of them.
const PANELS: usize = 4;

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the slot of that index, which other values use before and after it.
    Slot(usize),
    /// Where the caller wants the output of that index, without padding between rows.
    Output(usize),
}

/// How a weight is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) format: BlockFormat,
    /// In groups of rows, as products want it, rather than row by row.
    pub(crate) packed: bool,
    /// Equal parts, one below the other, each of which is multiplied by itself.
    pub(crate) parts: usize,
    /// With rows and columns exchanged, so that the numbers of neighbouring channels lie side by side.
    pub(crate) transposed: bool,
}

/// A table of angles: inverse frequencies and the factor on cosines and sines.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Angles {
    pub(crate) inverse_frequencies: Vec<f32>,
    pub(crate) scale: f32,
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
    pub(crate) kept: Vec<Kept>,
    pub(crate) angles: Vec<Angles>,
    /// By node: its table of angles.
    pub(crate) angles_of: Vec<Option<usize>>,
    pub(crate) scratch: Scratch,
}

/// The most that any operation needs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scratch {
    /// Bytes of a row of quantized activations, with all its parts.
    pub(crate) quantized_bytes: usize,
    /// Bytes of a thread's panels.
    pub(crate) panel_bytes: usize,
    /// Numbers (float64) of a thread's choice among experts.
    pub(crate) route_numbers: usize,
    /// Slots of a row of a route.
    pub(crate) slots: usize,
    /// Where the slots of each expert begin, and where the last ones end.
    pub(crate) expert_starts: usize,
    /// Numbers of a thread's row of a convolution.
    pub(crate) convolution: usize,
    /// Numbers of a head that is rotated.
    pub(crate) rotated: usize,
}

impl Plan {
    /// Places for `graph` when its weights come in `formats`, by index.
    pub(crate) fn new(graph: &Graph, formats: &[BlockFormat]) -> Self {
        let (places, slots) = place_values(graph);
        let kept = kept_weights(graph, formats);
        let mut angles: Vec<Angles> = Vec::new();
        let mut angles_of = Vec::with_capacity(graph.nodes().len());
        for node in graph.nodes() {
            let Op::Rope {
                inverse_frequencies,
                scale,
                ..
            } = &node.op
            else {
                angles_of.push(None);
                continue;
            };
            let wanted = Angles {
                inverse_frequencies: inverse_frequencies.clone(),
                scale: *scale,
            };
            let known = angles.iter().position(|table| *table == wanted);
            angles_of.push(Some(known.unwrap_or_else(|| {
                angles.push(wanted);
                angles.len() - 1
            })));
        }
        Self {
            scratch: scratch(graph, &kept),
            places,
            slots,
            kept,
            angles,
            angles_of,
        }
    }

    /// The bytes of a load.
    pub(crate) fn footprint(&self, graph: &Graph) -> FootprintModel {
        let weights = graph.weights().iter().zip(&self.kept);
        let slots = |selected: bool| -> Bytes {
            let slots = self.slots.iter().filter(|slot| slot.selected == selected);
            slots
                .map(|slot| Bytes::from(padded(slot.width) * F32_BYTES))
                .sum()
        };
        let angles = self
            .angles
            .iter()
            .map(|table| Bytes::from(angle_numbers(table.inverse_frequencies.len()) * F32_BYTES));
        let score_bytes = Bytes::from(SCORE_QUERIES * F32_BYTES);
        let scratch = &self.scratch;
        let of_thread = scratch.panel_bytes
            + scratch.route_numbers * size_of::<f64>()
            + SCORE_QUERIES * scratch.rotated * F32_BYTES
            + padded(scratch.convolution) * F32_BYTES;
        FootprintModel {
            weights: weights
                .map(|(weight, kept)| Bytes::from(weight_bytes(*kept, weight.rows, weight.cols)))
                .sum(),
            state_per_token: graph.states().iter().map(StateSpec::bytes_per_token).sum(),
            state_per_sequence: graph.states().iter().map(StateSpec::bytes_per_sequence).sum(),
            activations_per_row: slots(false),
            activations_per_output_row: slots(true),
            scratch: Bytes::from(scratch.expert_starts * size_of::<u32>()),
            scratch_per_row: Bytes::from(scratch.quantized_bytes + scratch.slots * size_of::<u32>())
                + angles.sum(),
            scratch_per_context_token: Bytes::ZERO,
            scratch_per_thread: score_bytes.times(SCORE_SLACK as u64) + Bytes::from(of_thread),
            scratch_per_thread_and_context_token: score_bytes,
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
pub(crate) fn weight_bytes(kept: Kept, rows: usize, cols: usize) -> usize {
    if kept.format.row_bytes(cols).is_none() || !rows.is_multiple_of(kept.parts) {
        return usize::MAX;
    }
    let bytes = if kept.packed {
        (kept.parts * groups(rows / kept.parts)).checked_mul(group_bytes(kept.format, cols))
    } else {
        kept.format.row_bytes(cols).and_then(|row| row.checked_mul(rows))
    };
    bytes
        .and_then(|bytes| bytes.checked_next_multiple_of(LINE_BYTES))
        .unwrap_or(usize::MAX)
}

/// How many matrices a weight is to an operation, one below the other.
pub(crate) const fn parts_of(op: &Op) -> usize {
    match op {
        Op::HeadLinear { heads, .. } => *heads,
        Op::ExpertLinear { experts, .. } => *experts,
        _ => 1,
    }
}

/// Matrices are kept in their format, the quantized ones packed; tables as they come; vectors become float32.
fn kept_weights(graph: &Graph, formats: &[BlockFormat]) -> Vec<Kept> {
    let vector = Kept {
        format: BlockFormat::F32,
        packed: false,
        parts: 1,
        transposed: false,
    };
    let mut kept = vec![vector; graph.weights().len()];
    for node in graph.nodes() {
        for (weight, used) in node.op.weights() {
            let index = weight.0 as usize;
            let format = formats.get(index).copied().unwrap_or(BlockFormat::F32);
            let kept = &mut kept[index];
            match used {
                WeightUse::Vector => kept.transposed |= matches!(node.op, Op::ShortConvolution { .. }),
                WeightUse::Table => kept.format = format,
                WeightUse::Matrix => {
                    *kept = Kept {
                        format,
                        packed: is_packed(format),
                        parts: parts_of(&node.op),
                        transposed: false,
                    };
                }
            }
        }
    }
    kept
}

fn scratch(graph: &Graph, kept: &[Kept]) -> Scratch {
    let mut most = Scratch::default();
    for node in graph.nodes() {
        let parts = match &node.op {
            Op::ExpertLinear {
                experts,
                used,
                per_slot,
                ..
            } => {
                most.slots = most.slots.max(*used);
                most.expert_starts = most.expert_starts.max(experts + 1);
                if *per_slot { *used } else { 1 }
            }
            Op::HeadLinear { heads, .. } => *heads,
            Op::Route { experts, .. } => {
                most.route_numbers = most.route_numbers.max(Router::scratch(*experts));
                continue;
            }
            Op::ShortConvolution { .. } => {
                most.convolution = most.convolution.max(node.width);
                continue;
            }
            Op::Attention {
                state,
                head_dim,
                value_dim,
                ..
            } => {
                if let Some(StateSpec::PerToken { format, .. }) = graph.states().get(state.0 as usize)
                    && cache_rotation(&node.op, *format).is_some()
                {
                    most.rotated = most.rotated.max(*head_dim).max(*value_dim);
                }
                continue;
            }
            Op::Linear { .. } => 1,
            _ => continue,
        };
        for (weight, used) in node.op.weights() {
            let Kept { format, packed, .. } = kept[weight.0 as usize];
            let cols = graph.weight(weight).cols;
            if used == WeightUse::Matrix && packed {
                most.quantized_bytes = most.quantized_bytes.max(parts * quantized_bytes(cols));
                most.panel_bytes = most.panel_bytes.max(PANELS * panel_bytes(format, cols));
            }
        }
    }
    most
}

/// Gives each value a slot that is free while it is needed, the narrowest that is wide enough.
fn place_values(graph: &Graph) -> (Vec<Place>, Vec<Slot>) {
    let nodes = graph.nodes();
    let mut last_use: Vec<usize> = (0..nodes.len()).collect();
    for (index, node) in nodes.iter().enumerate() {
        for input in &node.inputs {
            last_use[input.0 as usize] = index;
        }
    }
    let mut ending = vec![Vec::new(); nodes.len()];
    for (value, last) in last_use.iter().enumerate() {
        ending[*last].push(value);
    }
    let is_output = |index: usize| graph.outputs().iter().any(|(_, value)| value.0 as usize == index);
    // An output that nothing else reads goes to the caller at once.
    let only_output = |index: usize| {
        let mut names = (0..)
            .zip(graph.outputs())
            .filter(|(_, (_, value))| value.0 as usize == index);
        let first = names.next();
        first.filter(|_| names.next().is_none()).map(|(output, _)| output)
    };
    let mut slots: Vec<Slot> = Vec::new();
    let mut free: Vec<bool> = Vec::new();
    let mut places = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        match only_output(index) {
            Some(output) if last_use[index] == index => places.push(Place::Output(output)),
            _ => {
                let slot = take_slot(&mut slots, &mut free, node.width, node.selected);
                places.push(Place::Slot(slot));
            }
        }
        // Inputs end after the output began: an operation never writes what it reads.
        for value in &ending[index] {
            if let Place::Slot(slot) = places[*value]
                && !is_output(*value)
            {
                free[slot] = true;
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
