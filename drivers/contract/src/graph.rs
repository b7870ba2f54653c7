//! A graph of operations: what a family declares and a driver compiles. Nodes are in order of execution.

use std::collections::HashMap;
use std::ops::Range;

use crate::{Op, StateId, StateSpec, Step};

/// A value, `rows x width` float32: the index of the node that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// A weight, by its index in [`Graph::weights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId(pub u32);

/// A weight that a graph needs: a matrix (rows = outputs, cols = inputs), or a vector as one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightDecl {
    /// The tensor's name in GGUF, such as `blk.0.attn_q.weight`.
    pub name: String,
    /// Outputs, vocabulary entries, or 1.
    pub rows: usize,
    /// Inputs: the length of a row.
    pub cols: usize,
}

/// One operation with its inputs; its output is the value with the node's own index.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// Earlier values.
    pub inputs: Vec<ValueId>,
    /// Numbers in a row of the output.
    pub width: usize,
    /// Whether the output has one row an output row of the step rather than one a token.
    pub selected: bool,
}

/// What a graph gives out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputName {
    /// Unnormalised log-probabilities, vocabulary wide.
    Logits,
    /// What an encoder says of each token.
    Hidden,
    /// What a model says of a whole sequence, at the output row that stands for it.
    Pooled,
    /// What a later segment goes on with: its input rows.
    Border,
    /// Any value, to be measured; [`Graph::tapped`] may give out several.
    Tap,
}

/// A whole model as operations. Immutable once built: [`GraphBuilder`] has checked every shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
    weights: Vec<WeightDecl>,
    states: Vec<StateSpec>,
    outputs: Vec<(OutputName, ValueId)>,
    layer_ends: Vec<usize>,
}

impl Graph {
    /// Operations in order of execution.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Weights, each once however often it is used.
    #[must_use]
    pub fn weights(&self) -> &[WeightDecl] {
        &self.weights
    }

    /// States of a sequence.
    #[must_use]
    pub fn states(&self) -> &[StateSpec] {
        &self.states
    }

    /// Outputs by name.
    #[must_use]
    pub fn outputs(&self) -> &[(OutputName, ValueId)] {
        &self.outputs
    }

    /// The value that is given out as `name`.
    #[must_use]
    pub fn output(&self, name: OutputName) -> Option<ValueId> {
        let mut outputs = self.outputs.iter();
        outputs.find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The same graph that gives `values` out as [`OutputName::Tap`], in their order, after its other outputs.
    ///
    /// # Panics
    /// When a value belongs to another graph.
    #[must_use]
    pub fn tapped(&self, values: &[ValueId]) -> Self {
        let mut graph = self.clone();
        for value in values {
            assert!((value.0 as usize) < graph.nodes.len(), "a value of another graph");
            graph.outputs.push((OutputName::Tap, *value));
        }
        graph
    }

    /// Where each output of `step` is in what [`crate::LoadedModel::run`] writes, in numbers; the last one's end is the
    /// length of all.
    pub fn output_ranges(&self, step: &Step<'_>) -> impl Iterator<Item = (OutputName, Range<usize>)> {
        let (rows, selected) = (step.tokens.len(), step.output_rows.len());
        self.outputs.iter().scan(0, move |end, (name, value)| {
            let node = self.node(*value);
            let start = *end;
            *end += node.width * if node.selected { selected } else { rows };
            Some((*name, start..*end))
        })
    }

    /// Numbers in a row of the step's inputs; 0 when the graph takes none.
    #[must_use]
    pub fn input_width(&self) -> usize {
        let ends = self.nodes.iter().map(|node| match &node.op {
            Op::Input { start, width } => start + width,
            _ => 0,
        });
        ends.max().unwrap_or(0)
    }

    /// Whether every token depends on earlier ones alone. A sequence of a graph that is not causal must be whole in one
    /// step.
    #[must_use]
    pub fn is_causal(&self) -> bool {
        let hides = |node: &Node| !matches!(node.op, Op::Attention { causal: false, .. });
        self.nodes.iter().all(hides)
    }

    /// Whether a sequence has state beside its tokens': it can then not go on from an earlier position, and a prefix can
    /// be shared only where its slot was copied.
    #[must_use]
    pub fn has_sequence_state(&self) -> bool {
        let per_sequence = |spec: &StateSpec| matches!(spec, StateSpec::PerSequence { .. });
        self.states.iter().any(per_sequence)
    }

    /// Positions that are ever read again, the newest included: the widest window. `None` when some attention sees all
    /// positions, or there is none.
    #[must_use]
    pub fn window(&self) -> Option<usize> {
        let windows = self.states.iter().filter_map(|spec| match spec {
            StateSpec::PerToken { window, .. } => Some(window.unwrap_or(usize::MAX)),
            StateSpec::PerSequence { .. } => None,
        });
        windows.max().filter(|window| *window < usize::MAX)
    }

    /// The state that has the storage of `state`: itself, or the one that it is shared with.
    ///
    /// # Panics
    /// When `state` belongs to another graph.
    #[must_use]
    pub fn storage(&self, state: StateId) -> StateId {
        match &self.states[state.0 as usize] {
            StateSpec::PerToken {
                shared_with: Some(owner),
                ..
            } => *owner,
            _ => state,
        }
    }

    /// Layers: the number of nodes up to the end of each.
    #[must_use]
    pub fn layer_ends(&self) -> &[usize] {
        &self.layer_ends
    }

    /// The node that makes `value`.
    ///
    /// # Panics
    /// When `value` belongs to another graph.
    #[must_use]
    pub fn node(&self, value: ValueId) -> &Node {
        &self.nodes[value.0 as usize]
    }

    /// The weight behind `id`.
    ///
    /// # Panics
    /// When `id` belongs to another graph.
    #[must_use]
    pub fn weight(&self, id: WeightId) -> &WeightDecl {
        &self.weights[id.0 as usize]
    }
}

/// A shape or reference that does not fit: a mistake in a declaration or a configuration that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// An input has another width than the operation needs.
    #[error("{op}: the input is {found} wide, it must be {expected}")]
    Width {
        /// The operation's name.
        op: &'static str,
        /// What the operation needs.
        expected: usize,
        /// What it was given.
        found: usize,
    },
    /// One weight was declared twice with two shapes.
    #[error("{name}: declared as {first:?} and as {second:?} (rows, columns)")]
    Redeclared {
        /// The tensor's name.
        name: String,
        /// Rows and columns of the first declaration.
        first: (usize, usize),
        /// Rows and columns of the second.
        second: (usize, usize),
    },
    /// Anything else that contradicts itself.
    #[error("{op}: {reason}")]
    Invalid {
        /// The operation's name.
        op: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// Builds a [`Graph`], checking each operation as it is added.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    pub(crate) nodes: Vec<Node>,
    pub(crate) weights: Vec<WeightDecl>,
    weight_ids: HashMap<String, WeightId>,
    pub(crate) states: Vec<StateSpec>,
    outputs: Vec<(OutputName, ValueId)>,
    layer_ends: Vec<usize>,
}

impl GraphBuilder {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a weight, or finds the one of that name: a tied embedding is one weight with two uses.
    ///
    /// # Errors
    /// [`GraphError::Redeclared`] when the name is known with another shape.
    pub fn weight(&mut self, name: &str, rows: usize, cols: usize) -> Result<WeightId, GraphError> {
        if let Some(id) = self.weight_ids.get(name) {
            let known = &self.weights[id.0 as usize];
            return if (known.rows, known.cols) == (rows, cols) {
                Ok(*id)
            } else {
                Err(GraphError::Redeclared {
                    name: name.to_owned(),
                    first: (known.rows, known.cols),
                    second: (rows, cols),
                })
            };
        }
        self.weights.push(WeightDecl {
            name: name.to_owned(),
            rows,
            cols,
        });
        let id = WeightId(index_u32(self.weights.len() - 1));
        self.weight_ids.insert(name.to_owned(), id);
        Ok(id)
    }

    /// Declares a state of each sequence.
    pub fn state(&mut self, spec: StateSpec) -> StateId {
        self.states.push(spec);
        StateId(index_u32(self.states.len() - 1))
    }

    /// Adds an operation and returns its output.
    ///
    /// # Errors
    /// [`GraphError`] when inputs, weights or state do not fit the operation.
    pub fn push(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        let width = self.output_width(&op, inputs)?;
        let selected = matches!(op, Op::SelectRows) || inputs.iter().any(|input| self.node(*input).selected);
        self.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            width,
            selected,
        });
        Ok(ValueId(index_u32(self.nodes.len() - 1)))
    }

    /// Numbers in a row of `value`.
    ///
    /// # Panics
    /// When `value` belongs to another graph.
    #[must_use]
    pub fn width(&self, value: ValueId) -> usize {
        self.node(value).width
    }

    /// Ends a layer: the graph may be cut after the last node, see [`Graph::split`].
    pub fn end_layer(&mut self) {
        self.layer_ends.push(self.nodes.len());
    }

    /// Gives `value` out under `name`.
    pub fn output(&mut self, name: OutputName, value: ValueId) {
        self.outputs.push((name, value));
    }

    /// The finished graph.
    #[must_use]
    pub fn build(self) -> Graph {
        Graph {
            nodes: self.nodes,
            weights: self.weights,
            states: self.states,
            outputs: self.outputs,
            layer_ends: self.layer_ends,
        }
    }

    /// The node that makes `value`.
    pub(crate) fn node(&self, value: ValueId) -> &Node {
        &self.nodes[value.0 as usize]
    }

    /// Rows and columns of a weight.
    pub(crate) fn weight_shape(&self, id: WeightId) -> (usize, usize) {
        let weight = &self.weights[id.0 as usize];
        (weight.rows, weight.cols)
    }
}

pub(crate) fn index_u32(index: usize) -> u32 {
    u32::try_from(index)
        .expect("a graph has fewer than 2^32 parts: layers are bounded by the readers of files")
}
