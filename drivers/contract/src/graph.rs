//! A graph of operations: what a family declares and a driver compiles. Nodes are in order of execution.

use crate::{Op, StateId, StateSpec};

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
}

/// A whole model as operations. Immutable once built: [`GraphBuilder`] has checked every shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
    weights: Vec<WeightDecl>,
    states: Vec<StateSpec>,
    outputs: Vec<(OutputName, ValueId)>,
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
    nodes: Vec<Node>,
    weights: Vec<WeightDecl>,
    states: Vec<StateSpec>,
    outputs: Vec<(OutputName, ValueId)>,
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
        if let Some(index) = self.weights.iter().position(|weight| weight.name == name) {
            let known = &self.weights[index];
            return if (known.rows, known.cols) == (rows, cols) {
                Ok(WeightId(index_u32(index)))
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
        Ok(WeightId(index_u32(self.weights.len() - 1)))
    }

    /// Declares a state of each sequence.
    pub fn state(&mut self, spec: StateSpec) -> StateId {
        self.states.push(spec);
        StateId(index_u32(self.states.len() - 1))
    }

    /// Adds an operation and returns its output.
    ///
    /// # Errors
    /// [`GraphError`] when an input's width does not fit the operation.
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
        }
    }

    fn node(&self, value: ValueId) -> &Node {
        &self.nodes[value.0 as usize]
    }

    fn weight_shape(&self, id: WeightId) -> (usize, usize) {
        let weight = &self.weights[id.0 as usize];
        (weight.rows, weight.cols)
    }

    fn output_width(&self, op: &Op, inputs: &[ValueId]) -> Result<usize, GraphError> {
        let name = op.name();
        let arity = op.arity();
        if inputs.len() != arity {
            return Err(invalid(
                name,
                format!("takes {arity} inputs, not {}", inputs.len()),
            ));
        }
        let widths: Vec<usize> = inputs.iter().map(|input| self.node(*input).width).collect();
        match op {
            Op::Embed { table } => Ok(self.weight_shape(*table).1),
            Op::Linear { weight, bias } => {
                let (rows, cols) = self.weight_shape(*weight);
                expect(name, cols, widths[0])?;
                if let Some(bias) = bias {
                    expect(name, rows, self.weight_shape(*bias).1)?;
                }
                Ok(rows)
            }
            Op::RmsNorm { weight, group, .. } => {
                expect(name, *group, self.weight_shape(*weight).1)?;
                whole_groups(name, widths[0], *group)
            }
            Op::Rope {
                head_dim,
                inverse_frequencies,
                ..
            } => {
                if inverse_frequencies.len() * 2 > *head_dim {
                    return Err(invalid(name, "more frequencies than pairs in a head".to_owned()));
                }
                whole_groups(name, widths[0], *head_dim)
            }
            Op::Attention {
                state,
                heads,
                kv_heads,
                head_dim,
                value_dim,
                ..
            } => {
                if *kv_heads == 0 || heads % kv_heads != 0 {
                    return Err(invalid(name, format!("{heads} heads over {kv_heads} key heads")));
                }
                let StateSpec::PerToken {
                    key_width,
                    value_width,
                    ..
                } = &self.states[state.0 as usize];
                expect(name, heads * head_dim, widths[0])?;
                expect(name, kv_heads * head_dim, widths[1])?;
                expect(name, kv_heads * value_dim, widths[2])?;
                expect(name, *key_width, widths[1])?;
                expect(name, *value_width, widths[2])?;
                Ok(heads * value_dim)
            }
            Op::Gated { .. } | Op::Add => {
                expect(name, widths[0], widths[1])?;
                if self.node(inputs[0]).selected != self.node(inputs[1]).selected {
                    return Err(invalid(
                        name,
                        "one input has selected rows, the other all".to_owned(),
                    ));
                }
                Ok(widths[0])
            }
            Op::SelectRows => Ok(widths[0]),
        }
    }
}

fn index_u32(index: usize) -> u32 {
    u32::try_from(index)
        .expect("a graph has fewer than 2^32 parts: layers are bounded by the readers of files")
}

fn invalid(op: &'static str, reason: String) -> GraphError {
    GraphError::Invalid { op, reason }
}

fn expect(op: &'static str, expected: usize, found: usize) -> Result<(), GraphError> {
    if expected == found {
        Ok(())
    } else {
        Err(GraphError::Width { op, expected, found })
    }
}

fn whole_groups(op: &'static str, width: usize, group: usize) -> Result<usize, GraphError> {
    if group > 0 && width.is_multiple_of(group) {
        Ok(width)
    } else {
        Err(invalid(
            op,
            format!("a row of {width} is no whole number of groups of {group}"),
        ))
    }
}
