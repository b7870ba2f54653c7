//! Groups of tensors whose type is chosen together, and the types that each may have.

use mains_contract::{BlockFormat, Bytes, Graph, WeightUse};
use mains_engine::models::Model;

/// Tensors that share a type. A tensor here is a whole tensor of a GGUF file: fused projections, a stack of experts and a tied
/// embedding are one each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOfTensors {
    /// What tables call it: the tensor's name.
    pub name: String,
    /// Names of its tensors in GGUF.
    pub tensors: Vec<String>,
    /// Rows and columns of each.
    pub shapes: Vec<(usize, usize)>,
    /// Types that it may have, from the fewest bytes to the most.
    pub candidates: Vec<(BlockFormat, Bytes)>,
}

/// Types to choose among. Q4_1 and Q5_1 are larger than Q4_K and Q5_K and no better; MXFP4 is for models trained in it.
const TYPES: [BlockFormat; 9] = [
    BlockFormat::Q2_K,
    BlockFormat::Q3_K,
    BlockFormat::IQ4_XS,
    BlockFormat::IQ4_NL,
    BlockFormat::Q4_K,
    BlockFormat::Q5_0,
    BlockFormat::Q5_K,
    BlockFormat::Q6_K,
    BlockFormat::Q8_0,
];

/// Every matrix of `model` that may be quantized and the types that suit its rows, its own type last.
#[must_use]
pub fn groups(model: &Model) -> Vec<GroupOfTensors> {
    let matrices = model
        .weights
        .tensors()
        .filter(|facts| is_matrix(&model.graph, &facts.name));
    matrices
        .map(|facts| {
            let (rows, cols) = (to_usize(facts.rows), to_usize(facts.cols));
            GroupOfTensors {
                name: facts.name.clone(),
                tensors: vec![facts.name.clone()],
                shapes: vec![(rows, cols)],
                candidates: candidates(facts.format, &[(rows, cols)]),
            }
        })
        .filter(|group| group.candidates.len() > 1)
        .collect()
}

/// The types that tensors of these shapes may have, stored in `stored`, by growing bytes: none takes as many as the stored one,
/// which is the last.
#[must_use]
pub fn candidates(stored: BlockFormat, shapes: &[(usize, usize)]) -> Vec<(BlockFormat, Bytes)> {
    let bytes = |format: BlockFormat| {
        let each = shapes
            .iter()
            .map(|(rows, cols)| format.row_bytes(*cols).map(|row| Bytes::from(row * rows)));
        each.sum::<Option<Bytes>>()
    };
    let Some(whole) = bytes(stored) else {
        return Vec::new();
    };
    // What is quantized already is not quantized again: its numbers are all that is known of it.
    let types = TYPES.iter().filter(|_| !stored.is_quantized());
    let mut found: Vec<_> = types
        .filter_map(|format| Some((*format, bytes(*format)?)))
        .filter(|(_, bytes)| *bytes < whole)
        .collect();
    found.sort_by_key(|(_, bytes)| *bytes);
    found.push((stored, whole));
    found
}

/// Whether it is multiplied with activations or looked up in, and more than a vector.
fn is_matrix(graph: &Graph, name: &str) -> bool {
    let used = graph.nodes().iter().flat_map(|node| node.op.weights());
    let mut uses = used.filter(|(id, _)| graph.weight(*id).name == name);
    uses.any(|(id, used)| used != WeightUse::Vector && graph.weight(id).rows > 1)
}

fn to_usize(size: u64) -> usize {
    usize::try_from(size).expect("the tensor is mapped, so its sizes fit the address space")
}
