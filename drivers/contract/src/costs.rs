//! How a footprint depends on the formats of weights, as values: the planner chooses formats where there is no driver.

use std::collections::HashMap;

use crate::{BlockFormat, Bytes, Driver, FootprintModel, Graph, Op, WeightId, WeightUse};

/// [`Driver::footprint`] of one graph for any formats of its weights.
///
/// Weights of one shape that are used alike cost alike, so there are few kinds of them. Bytes of weights add up; of working
/// memory the weight that needs most counts, since weights are used one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FormatCosts {
    /// What is allocated whatever the formats.
    pub base: FootprintModel,
    /// By kind: the formats that the driver takes, with what each adds.
    pub kinds: Vec<Vec<(BlockFormat, FootprintModel)>>,
    /// By weight: its kind.
    pub kind_of: Vec<u32>,
}

impl FormatCosts {
    /// The costs of `graph` on `driver`, of its weights in this order.
    #[must_use]
    pub fn of(driver: &dyn Driver, graph: &Graph, order: &[WeightId]) -> Self {
        let mut formats = vec![BlockFormat::F32; graph.weights().len()];
        let plain = driver.footprint(graph, &formats);
        // Of all runs of a model's parts only the base is asked for.
        let uses = if order.is_empty() { Vec::new() } else { uses(graph) };
        let mut known: HashMap<Kind, u32> = HashMap::new();
        let mut kinds = Vec::new();
        let mut kind_of = Vec::with_capacity(order.len());
        for weight in order {
            let declared = graph.weight(*weight);
            let used = &uses[weight.0 as usize];
            let kind = (
                declared.rows,
                declared.cols,
                used.iter().map(|(_, how)| *how).collect(),
            );
            let next = u32::try_from(kinds.len()).expect("kinds are fewer than weights, numbered in 32 bits");
            let index = *known.entry(kind).or_insert(next);
            if index == next {
                kinds.push(kind_costs(driver, graph, *weight, used, &plain, &mut formats));
            }
            kind_of.push(index);
        }
        let numbers = graph
            .weights()
            .iter()
            .map(|weight| plain_bytes(weight.rows, weight.cols));
        let weights = plain.weights.checked_sub(numbers.sum()).unwrap_or(Bytes::ZERO);
        Self {
            base: FootprintModel { weights, ..plain },
            kinds,
            kind_of,
        }
    }

    /// What weight `index` adds in each format that the driver takes.
    #[must_use]
    pub fn of_weight(&self, index: usize) -> &[(BlockFormat, FootprintModel)] {
        let kind = self
            .kind_of
            .get(index)
            .and_then(|kind| self.kinds.get(*kind as usize));
        kind.map_or(&[], Vec::as_slice)
    }

    /// What weight `index` adds in `format`; `None` when the driver does not take it.
    #[must_use]
    pub fn of_format(&self, index: usize, format: BlockFormat) -> Option<&FootprintModel> {
        let formats = self.of_weight(index);
        formats
            .iter()
            .find(|(known, _)| *known == format)
            .map(|(_, adds)| adds)
    }

    /// What these formats, one a weight, add together; `None` when the driver does not take them.
    #[must_use]
    pub fn adds(&self, formats: &[BlockFormat]) -> Option<FootprintModel> {
        if formats.len() != self.kind_of.len() {
            return None;
        }
        let mut adds = FootprintModel::default();
        for (index, format) in formats.iter().enumerate() {
            adds = adds.beside(self.of_format(index, *format)?);
        }
        Some(adds)
    }

    /// The footprint with these formats, one a weight; `None` when the driver does not take them.
    #[must_use]
    pub fn footprint(&self, formats: &[BlockFormat]) -> Option<FootprintModel> {
        Some(self.base + self.adds(formats)?)
    }
}

/// Rows, columns and uses of a weight.
type Kind = (usize, usize, Vec<Use>);

/// How an operation uses a weight, as far as a layout may depend on it.
type Use = (WeightUse, &'static str, usize, bool);

/// By weight: the nodes that read it, and how.
fn uses(graph: &Graph) -> Vec<Vec<(usize, Use)>> {
    let mut uses = vec![Vec::new(); graph.weights().len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        let (parts, per_slot) = match &node.op {
            Op::HeadLinear { heads, .. } => (*heads, false),
            Op::ExpertLinear {
                experts, per_slot, ..
            } => (*experts, *per_slot),
            _ => (1, false),
        };
        for (weight, used) in node.op.weights() {
            uses[weight.0 as usize].push((index, (used, node.op.name(), parts, per_slot)));
        }
    }
    uses
}

/// What `weight` adds in each format that the driver takes. `formats` are all F32, before and after.
fn kind_costs(
    driver: &dyn Driver,
    graph: &Graph,
    weight: WeightId,
    uses: &[(usize, Use)],
    plain: &FootprintModel,
    formats: &mut [BlockFormat],
) -> Vec<(BlockFormat, FootprintModel)> {
    let declared = graph.weight(weight);
    let own = plain_bytes(declared.rows, declared.cols);
    let mut costs = Vec::new();
    for format in BlockFormat::ALL {
        if format.row_bytes(declared.cols).is_none() {
            continue;
        }
        formats[weight.0 as usize] = format;
        let supported =
            |(node, _): &(usize, Use)| driver.supports(graph, &graph.nodes()[*node], formats).is_ok();
        if uses.iter().all(supported) {
            let found = driver.footprint(graph, formats);
            // The others' bytes are the same in both, so the difference is this weight's alone.
            let weights = (found.weights + own).checked_sub(plain.weights);
            costs.push((
                format,
                FootprintModel {
                    weights: weights.unwrap_or(Bytes::ZERO),
                    ..found.beyond(plain)
                },
            ));
        }
    }
    formats[weight.0 as usize] = BlockFormat::F32;
    costs
}

fn plain_bytes(rows: usize, cols: usize) -> Bytes {
    Bytes::from(size_of::<f32>())
        .times(rows as u64)
        .times(cols as u64)
}
