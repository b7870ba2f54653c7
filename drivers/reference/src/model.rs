//! A loaded graph: weights, state and values, run node by node.

use std::sync::Arc;

use mains_blocks::dequantize;
use mains_contract::{
    BlockId, Bytes, DriverError, Footprint, Graph, LoadedModel, Node, Op, Step, StepLimits, ValueId,
    WeightDecl, WeightId, WeightSource,
};

use crate::allocate::allocate;
use crate::attention::{AttentionShape, attend};
use crate::ops;
use crate::state::TokenState;

/// A graph with its weights as float32.
pub(crate) struct ReferenceModel {
    graph: Arc<Graph>,
    logits: ValueId,
    limits: StepLimits,
    weights: Vec<Vec<f32>>,
    states: Vec<TokenState>,
    /// One a node: `rows x width` of its limits.
    values: Vec<Vec<f32>>,
    scores: Vec<f64>,
}

impl ReferenceModel {
    /// Reads all weights and allocates for steps under `limits`.
    ///
    /// # Errors
    /// [`DriverError`] when a weight does not fit or memory runs out.
    pub(crate) fn load(
        graph: Arc<Graph>,
        logits: ValueId,
        source: &dyn WeightSource,
        limits: &StepLimits,
    ) -> Result<Self, DriverError> {
        if limits.block_tokens == 0 {
            return Err(DriverError::Limits(
                "a block of state must have positions".to_owned(),
            ));
        }
        let weights: Result<_, _> = graph
            .weights()
            .iter()
            .map(|weight| read_weight(weight, source))
            .collect();
        let states: Result<_, _> = graph
            .states()
            .iter()
            .map(|spec| TokenState::new(spec, limits))
            .collect();
        let values: Result<_, _> = graph
            .nodes()
            .iter()
            .map(|node| {
                let rows = if node.selected {
                    limits.output_rows
                } else {
                    limits.rows
                };
                allocate(rows.saturating_mul(node.width), "values between operations")
            })
            .collect();
        Ok(Self {
            weights: weights?,
            states: states?,
            values: values?,
            scores: allocate(limits.context, "attention scores")?,
            limits: *limits,
            graph,
            logits,
        })
    }

    fn weight(&self, id: WeightId) -> &[f32] {
        &self.weights[id.0 as usize]
    }

    fn run_node(&mut self, node: &Node, step: &Step<'_>, out: &mut [f32]) -> Result<(), DriverError> {
        if let Op::Attention { .. } = &node.op {
            self.run_attention(node, step, out);
            return Ok(());
        }
        let inputs: Vec<(&[f32], usize)> = node
            .inputs
            .iter()
            .map(|value| {
                (
                    self.values[value.0 as usize].as_slice(),
                    self.graph.node(*value).width,
                )
            })
            .collect();
        for (row, out) in out.chunks_exact_mut(node.width).enumerate() {
            let input = |index: usize| {
                let (values, width) = inputs[index];
                &values[row * width..][..width]
            };
            match &node.op {
                Op::Embed { table } => {
                    out.copy_from_slice(embedded(self.weight(*table), step.tokens[row], node.width)?);
                }
                Op::Linear { weight, bias } => {
                    ops::linear(
                        input(0),
                        self.weight(*weight),
                        bias.map(|bias| self.weight(bias)),
                        out,
                    );
                }
                Op::RmsNorm {
                    weight: Some(weight),
                    epsilon,
                    ..
                } => {
                    ops::rms_norm(input(0), self.weight(*weight), *epsilon, out);
                }
                Op::Rope {
                    head_dim,
                    inverse_frequencies,
                    pairing,
                    ..
                } => {
                    let position = step.positions[if node.selected {
                        step.output_rows[row] as usize
                    } else {
                        row
                    }];
                    ops::rope(input(0), *head_dim, inverse_frequencies, *pairing, position, out);
                }
                Op::Gated { activation } => ops::gated(*activation, input(0), input(1), out),
                Op::Add => ops::add(input(0), input(1), out),
                Op::SelectRows => {
                    let (values, width) = inputs[0];
                    out.copy_from_slice(&values[step.output_rows[row] as usize * width..][..width]);
                }
                other => unreachable!("{} is refused before a load", other.name()),
            }
        }
        Ok(())
    }

    fn run_attention(&mut self, node: &Node, step: &Step<'_>, out: &mut [f32]) {
        let Op::Attention {
            state,
            heads,
            kv_heads,
            head_dim,
            value_dim,
            scale,
            window,
            ..
        } = &node.op
        else {
            return;
        };
        let shape = AttentionShape {
            heads: *heads,
            kv_heads: *kv_heads,
            head_dim: *head_dim,
            value_dim: *value_dim,
            scale: *scale,
            window: *window,
        };
        let row_of = |input: usize, row: usize| {
            let value = node.inputs[input];
            let width = self.graph.node(value).width;
            &self.values[value.0 as usize][row * width..][..width]
        };
        let state = &mut self.states[state.0 as usize];
        for span in step.sequences {
            let rows = span.first_row as usize..(span.first_row + span.rows) as usize;
            for row in rows.clone() {
                let position = step.positions[row] as usize;
                state.write(span.blocks, position, row_of(1, row), row_of(2, row));
            }
            for row in rows {
                let position = step.positions[row] as usize;
                let out = &mut out[row * node.width..][..node.width];
                attend(
                    &shape,
                    state,
                    span.blocks,
                    position,
                    row_of(0, row),
                    &mut self.scores,
                    out,
                );
            }
        }
    }
}

impl LoadedModel for ReferenceModel {
    fn footprint(&self) -> Footprint {
        let bytes = |values: &[f32]| Bytes::from(size_of_val(values));
        Footprint {
            weights: self.weights.iter().map(|weight| bytes(weight)).sum(),
            state: self.states.iter().map(TokenState::bytes).sum(),
            activations: self.values.iter().map(|values| bytes(values)).sum(),
            scratch: Bytes::from(size_of_val(self.scores.as_slice())),
        }
    }

    fn run(&mut self, step: &Step<'_>, logits: &mut [f32]) -> Result<(), DriverError> {
        step.check(&self.limits)?;
        step.check_for(&self.graph)?;
        let graph = Arc::clone(&self.graph);
        let wanted = step.output_rows.len() * graph.node(self.logits).width;
        if logits.len() != wanted {
            return Err(DriverError::Limits(format!(
                "room for {} logits, the step gives {wanted}",
                logits.len()
            )));
        }
        for (index, node) in graph.nodes().iter().enumerate() {
            let rows = if node.selected {
                step.output_rows.len()
            } else {
                step.tokens.len()
            };
            // Taken out while it is written, so that the node's inputs can be read from the same list.
            let mut out = std::mem::take(&mut self.values[index]);
            let done = self.run_node(node, step, &mut out[..rows * node.width]);
            self.values[index] = out;
            done?;
        }
        logits.copy_from_slice(&self.values[self.logits.0 as usize][..wanted]);
        Ok(())
    }

    fn copy_blocks(&mut self, pairs: &[(BlockId, BlockId)]) -> Result<(), DriverError> {
        let ids = pairs.iter().flat_map(|(from, to)| [from, to]);
        if let Some(beyond) = ids
            .into_iter()
            .find(|block| block.0 as usize >= self.limits.blocks)
        {
            return Err(DriverError::Limits(format!(
                "block {}, there are {}",
                beyond.0, self.limits.blocks
            )));
        }
        for (from, to) in pairs {
            for state in &mut self.states {
                state.copy_block(*from, *to);
            }
        }
        Ok(())
    }

    fn copy_slots(
        &mut self,
        _pairs: &[(mains_contract::SlotId, mains_contract::SlotId)],
    ) -> Result<(), DriverError> {
        Ok(())
    }

    fn snapshot(&mut self, _: &mains_contract::SequenceState<'_>) -> Result<Vec<u8>, DriverError> {
        Err(DriverError::Device("no snapshots".to_owned()))
    }

    fn restore(&mut self, _: &[u8], _: &mains_contract::SequenceState<'_>) -> Result<(), DriverError> {
        Err(DriverError::Device("no snapshots".to_owned()))
    }
}

fn embedded(table: &[f32], token: u32, width: usize) -> Result<&[f32], DriverError> {
    let start = (token as usize).saturating_mul(width);
    table.get(start..start.saturating_add(width)).ok_or_else(|| {
        DriverError::Limits(format!(
            "token {token}, the table has {}",
            table.len() / width.max(1)
        ))
    })
}

fn read_weight(declared: &WeightDecl, source: &dyn WeightSource) -> Result<Vec<f32>, DriverError> {
    let data = source.weight(&declared.name)?;
    let refuse = |reason: String| DriverError::Weight {
        name: declared.name.clone(),
        reason,
    };
    if (data.rows, data.cols) != (declared.rows, declared.cols) {
        return Err(refuse(format!(
            "it is {} x {}, the model declares {} x {}",
            data.rows, data.cols, declared.rows, declared.cols
        )));
    }
    let mut numbers = allocate(data.rows.saturating_mul(data.cols), "weights")?;
    dequantize(data.format, data.bytes, &mut numbers).map_err(|error| refuse(error.to_string()))?;
    Ok(numbers)
}
