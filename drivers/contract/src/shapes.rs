//! Which shapes each operation takes, and how wide its output is.

use crate::{
    Activation, BlockFormat, ExpertGroups, GraphBuilder, GraphError, GroupRank, Op, StateId, StateSpec,
    ValueId, WeightId,
};

impl GraphBuilder {
    /// Numbers in a row of the output of `op` on `inputs`.
    ///
    /// # Errors
    /// [`GraphError`] names the first thing that does not fit.
    pub(crate) fn output_width(&self, op: &Op, inputs: &[ValueId]) -> Result<usize, GraphError> {
        let name = op.name();
        let counts = op.input_counts();
        if !counts.contains(&inputs.len()) {
            let reason = format!("takes {counts:?} inputs, not {}", inputs.len());
            return Err(invalid(name, reason));
        }
        self.check_rows(op, inputs)?;
        let widths: Vec<usize> = inputs.iter().map(|input| self.node(*input).width).collect();
        match op {
            Op::Input { width, .. } => Ok(*width),
            Op::Embed { table } | Op::EmbedPosition { table, .. } => Ok(self.weight_shape(*table).1),
            Op::Linear { .. }
            | Op::HeadLinear { .. }
            | Op::AddWeight { .. }
            | Op::MultiplyWeight { .. }
            | Op::RmsNorm { .. }
            | Op::LayerNorm { .. } => self.weighted_width(op, widths[0]),
            Op::Rope {
                head_dim,
                inverse_frequencies,
                start,
                ..
            } => {
                if start + inverse_frequencies.len() * 2 > *head_dim {
                    return Err(invalid(name, "more frequencies than pairs in a head".to_owned()));
                }
                whole_groups(name, widths[0], *head_dim)
            }
            Op::Attention { .. } => self.attention_width(op, &widths),
            Op::Route { .. } | Op::ExpertLinear { .. } | Op::CombineExperts { .. } => {
                self.check_route(op, inputs)?;
                self.expert_width(op, &widths)
            }
            Op::ShortConvolution { .. } | Op::GatedDelta { .. } => self.recurrent_width(op, &widths),
            _ => plain_width(op, &widths),
        }
    }

    /// Inputs have one row a token, or all one an output row. Only the former can go to state or be selected.
    fn check_rows(&self, op: &Op, inputs: &[ValueId]) -> Result<(), GraphError> {
        let mut selected = inputs.iter().map(|input| self.node(*input).selected);
        let Some(first) = selected.next() else {
            return Ok(());
        };
        if selected.any(|other| other != first) {
            let reason = "one input has selected rows, the other all";
            return Err(invalid(op.name(), reason.to_owned()));
        }
        if first && (op.state().is_some() || matches!(op, Op::SelectRows)) {
            return Err(invalid(op.name(), "takes all rows, not selected ones".to_owned()));
        }
        Ok(())
    }

    fn weighted_width(&self, op: &Op, width: usize) -> Result<usize, GraphError> {
        let name = op.name();
        match op {
            Op::Linear { weight, bias } => {
                let (rows, cols) = self.weight_shape(*weight);
                expect(name, cols, width)?;
                self.expect_vector(name, *bias, rows)?;
                Ok(rows)
            }
            Op::HeadLinear { weight, heads } => {
                let (rows, cols) = self.weight_shape(*weight);
                expect(name, heads * cols, width)?;
                whole_parts(name, rows, *heads)?;
                Ok(rows)
            }
            Op::AddWeight { weight, row } => {
                let (rows, cols) = self.weight_shape(*weight);
                if *row >= rows {
                    return Err(invalid(name, format!("row {row} of a weight of {rows}")));
                }
                expect(name, cols, width)?;
                Ok(width)
            }
            Op::MultiplyWeight { weight } => match self.weight_shape(*weight) {
                (1, 1) => Ok(width),
                (1, cols) => expect(name, cols, width).map(|()| width),
                (rows, _) => Err(invalid(name, format!("a weight of {rows} rows, it takes one"))),
            },
            Op::LayerNorm {
                weight, bias, group, ..
            } => {
                self.expect_vector(name, *weight, *group)?;
                self.expect_vector(name, *bias, *group)?;
                whole_groups(name, width, *group)
            }
            Op::RmsNorm { weight, group, .. } => {
                self.expect_vector(name, *weight, *group)?;
                whole_groups(name, width, *group)
            }
            _ => Ok(width),
        }
    }

    fn attention_width(&self, op: &Op, widths: &[usize]) -> Result<usize, GraphError> {
        let name = op.name();
        let Op::Attention {
            state,
            heads,
            kv_heads,
            head_dim,
            value_dim,
            window,
            soft_cap,
            sinks,
            value_from_key,
            ..
        } = op
        else {
            return Err(invalid(name, "is no attention".to_owned()));
        };
        if *kv_heads == 0 || heads % kv_heads != 0 {
            return Err(invalid(name, format!("{heads} heads over {kv_heads} key heads")));
        }
        if *window == Some(0) {
            return Err(invalid(name, "a window of no positions".to_owned()));
        }
        if soft_cap.is_some_and(|cap| cap <= 0.0) {
            return Err(invalid(name, "a soft cap that is not above 0".to_owned()));
        }
        if *value_from_key && value_dim > head_dim {
            let reason = format!("values of {value_dim} numbers from keys of {head_dim}");
            return Err(invalid(name, reason));
        }
        self.expect_vector(name, *sinks, *heads)?;
        let value_width = if *value_from_key { 0 } else { kv_heads * value_dim };
        let kept = [kv_heads * head_dim, value_width];
        expect(name, heads * head_dim, widths[0])?;
        for (kept, found) in kept.iter().zip(&widths[1..]) {
            expect(name, *kept, *found)?;
        }
        self.check_token_state(name, *state, kept, widths.len() > 1)?;
        self.check_window(name, *state, *window)?;
        Ok(heads * value_dim)
    }

    /// The state keeps rows of these widths, and has storage to write to, or storage that was written.
    fn check_token_state(
        &self,
        name: &'static str,
        state: StateId,
        [key_width, value_width]: [usize; 2],
        writes: bool,
    ) -> Result<(), GraphError> {
        let Some(spec @ StateSpec::PerToken { shared_with, .. }) = self.states.get(state.0 as usize) else {
            return Err(invalid(name, "takes a state of tokens".to_owned()));
        };
        let (keys, values, format) = token_rows(spec);
        expect(name, keys, key_width)?;
        expect(name, values, value_width)?;
        let Some(owner) = shared_with else {
            return if writes || self.is_written(state) {
                Ok(())
            } else {
                let reason = "reads keys that no earlier operation of this graph writes";
                Err(invalid(name, reason.to_owned()))
            };
        };
        if writes {
            return Err(invalid(
                name,
                "writes to a state that only reads another's".to_owned(),
            ));
        }
        match self.states.get(owner.0 as usize) {
            Some(
                spec @ StateSpec::PerToken {
                    shared_with: None, ..
                },
            ) if token_rows(spec) == (keys, values, format) && self.is_written(*owner) => Ok(()),
            _ => Err(invalid(
                name,
                "shares a state that does not exist, is not alike or is not written before".to_owned(),
            )),
        }
    }

    /// The state keeps all positions that are seen: beyond its window the engine gives blocks to others.
    fn check_window(
        &self,
        name: &'static str,
        state: StateId,
        seen: Option<usize>,
    ) -> Result<(), GraphError> {
        match self.states.get(state.0 as usize) {
            Some(StateSpec::PerToken {
                window: Some(kept), ..
            }) if seen.is_none_or(|seen| seen > *kept) => {
                let seen = seen.map_or("all".to_owned(), |seen| seen.to_string());
                let reason = format!("sees {seen} positions of a state that keeps {kept}");
                Err(invalid(name, reason))
            }
            _ => Ok(()),
        }
    }

    fn is_written(&self, state: StateId) -> bool {
        let writes = |op: &Op, inputs: usize| op.state() == Some(state) && inputs > 1;
        self.nodes.iter().any(|node| writes(&node.op, node.inputs.len()))
    }

    /// Ids of experts come from a route over as many of them: a driver may index by them.
    fn check_route(&self, op: &Op, inputs: &[ValueId]) -> Result<(), GraphError> {
        let (wanted, among) = match op {
            Op::ExpertLinear { experts, used, .. } => (*used, Some(*experts)),
            Op::CombineExperts { used } => (*used, None),
            _ => return Ok(()),
        };
        match &self.node(inputs[1]).op {
            Op::Route { experts, used, .. }
                if *used == wanted && among.is_none_or(|among| among == *experts) =>
            {
                Ok(())
            }
            other => {
                let reason = format!(
                    "its second input is {}, not a route over its experts",
                    other.name()
                );
                Err(invalid(op.name(), reason))
            }
        }
    }

    fn expert_width(&self, op: &Op, widths: &[usize]) -> Result<usize, GraphError> {
        let name = op.name();
        match op {
            Op::Route {
                experts,
                used,
                groups,
                bias,
                expert_scale,
                ..
            } => {
                expect(name, *experts, widths[0])?;
                self.expect_vector(name, *bias, *experts)?;
                self.expect_vector(name, *expert_scale, *experts)?;
                check_choice(name, *experts, *used, *groups)?;
                Ok(2 * used)
            }
            Op::ExpertLinear {
                weight,
                bias,
                experts,
                used,
                per_slot,
            } => {
                let (rows, cols) = self.weight_shape(*weight);
                whole_parts(name, rows, *experts)?;
                let outputs = rows / experts;
                expect(name, if *per_slot { used * cols } else { cols }, widths[0])?;
                expect(name, 2 * used, widths[1])?;
                if let Some(bias) = bias
                    && self.weight_shape(*bias) != (*experts, outputs)
                {
                    return Err(invalid(name, format!("a bias that is not {experts} x {outputs}")));
                }
                Ok(used * outputs)
            }
            Op::CombineExperts { used } => {
                expect(name, 2 * used, widths[1])?;
                whole_parts(name, widths[0], *used)?;
                Ok(widths[0] / used)
            }
            _ => Err(invalid(name, "has no experts".to_owned())),
        }
    }

    fn recurrent_width(&self, op: &Op, widths: &[usize]) -> Result<usize, GraphError> {
        let name = op.name();
        match op {
            Op::ShortConvolution {
                state,
                weight,
                activation,
            } => {
                let (channels, kernel) = self.weight_shape(*weight);
                expect(name, channels, widths[0])?;
                check_function(name, *activation)?;
                if kernel == 0 {
                    return Err(invalid(name, "a kernel of no numbers".to_owned()));
                }
                self.expect_sequence_state(name, *state, (kernel - 1) * channels)?;
                Ok(channels)
            }
            Op::GatedDelta {
                state,
                heads,
                key_heads,
                key_dim,
                value_dim,
            } => {
                if *key_heads == 0 || heads % key_heads != 0 {
                    return Err(invalid(name, format!("{heads} heads over {key_heads} key heads")));
                }
                let (keys, values) = (key_heads * key_dim, heads * value_dim);
                for (expected, found) in [keys, keys, values, *heads, *heads].into_iter().zip(widths) {
                    expect(name, expected, *found)?;
                }
                self.expect_sequence_state(name, *state, heads * key_dim * value_dim)?;
                Ok(values)
            }
            _ => Err(invalid(name, "has no state of a sequence".to_owned())),
        }
    }

    fn expect_sequence_state(
        &self,
        name: &'static str,
        state: StateId,
        expected: usize,
    ) -> Result<(), GraphError> {
        match self.states.get(state.0 as usize) {
            Some(StateSpec::PerSequence { width, format }) => {
                expect(name, expected, *width)?;
                if *format != BlockFormat::F32 {
                    return Err(invalid(name, format!("a state in {format}, it must be F32")));
                }
                let uses = self.nodes.iter().filter(|node| node.op.state() == Some(state));
                match uses.count() {
                    0 => Ok(()),
                    _ => Err(invalid(name, "a state of a sequence has one use".to_owned())),
                }
            }
            _ => Err(invalid(name, "takes a state of a sequence".to_owned())),
        }
    }

    fn expect_vector(
        &self,
        name: &'static str,
        weight: Option<WeightId>,
        width: usize,
    ) -> Result<(), GraphError> {
        match weight.map(|weight| self.weight_shape(weight)) {
            None => Ok(()),
            Some((1, cols)) => expect(name, width, cols),
            Some((rows, _)) => Err(invalid(name, format!("a vector of {rows} rows"))),
        }
    }
}

/// Widths of operations on numbers and groups of them alone.
fn plain_width(op: &Op, widths: &[usize]) -> Result<usize, GraphError> {
    let name = op.name();
    match op {
        Op::Gated { .. } | Op::Add => expect(name, widths[0], widths[1]).map(|()| widths[0]),
        Op::Multiply => whole_parts(name, widths[0], widths[1]).map(|()| widths[0]),
        Op::L2Norm { group, .. } => whole_groups(name, widths[0], *group),
        Op::Activate { activation } => check_function(name, Some(*activation)).map(|()| widths[0]),
        Op::SoftCap { cap } if *cap <= 0.0 => Err(invalid(name, "a cap that is not above 0".to_owned())),
        Op::Slice { group, start, width } => {
            whole_groups(name, widths[0], *group)?;
            if *width == 0 || start + width > *group {
                let reason = format!("{width} numbers from {start} on of groups of {group}");
                return Err(invalid(name, reason));
            }
            Ok(widths[0] / group * width)
        }
        Op::Concat { groups, broadcast } => {
            whole_parts(name, widths[0], *groups)?;
            if *broadcast {
                return Ok(widths[0] + groups * widths[1]);
            }
            whole_parts(name, widths[1], *groups)?;
            Ok(widths[0] + widths[1])
        }
        _ => Ok(widths[0]),
    }
}

fn check_choice(
    name: &'static str,
    experts: usize,
    used: usize,
    groups: Option<ExpertGroups>,
) -> Result<(), GraphError> {
    if used == 0 || used > experts {
        return Err(invalid(name, format!("{used} of {experts} experts")));
    }
    // Ids are values, and float32 counts no further than this.
    if experts > 1 << 24 {
        return Err(invalid(name, format!("{experts} experts")));
    }
    let Some(ExpertGroups { count, kept, rank }) = groups else {
        return Ok(());
    };
    whole_parts(name, experts, count)?;
    let each = experts / count;
    let least = match rank {
        GroupRank::Max => 1,
        GroupRank::TopTwoSum => 2,
    };
    if kept > count || kept * each < used || each < least {
        let reason = format!("{used} experts of {kept} of {count} groups of {each}");
        return Err(invalid(name, reason));
    }
    Ok(())
}

fn check_function(name: &'static str, activation: Option<Activation>) -> Result<(), GraphError> {
    match activation {
        Some(activation) if activation.needs_gate() => {
            Err(invalid(name, format!("{activation:?} needs a gate")))
        }
        _ => Ok(()),
    }
}

/// Widths of keys and values, and their format.
fn token_rows(spec: &StateSpec) -> (usize, usize, BlockFormat) {
    match spec {
        StateSpec::PerToken {
            key_width,
            value_width,
            format,
            ..
        } => (*key_width, *value_width, *format),
        StateSpec::PerSequence { format, .. } => (0, 0, *format),
    }
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

/// `width` is some number of groups of `group`; gives `width`.
fn whole_groups(op: &'static str, width: usize, group: usize) -> Result<usize, GraphError> {
    if group > 0 && width.is_multiple_of(group) {
        Ok(width)
    } else {
        let reason = format!("a row of {width} is no whole number of groups of {group}");
        Err(invalid(op, reason))
    }
}

/// `width` can be cut into `parts` equal parts.
fn whole_parts(op: &'static str, width: usize, parts: usize) -> Result<(), GraphError> {
    if parts > 0 && width.is_multiple_of(parts) {
        Ok(())
    } else {
        Err(invalid(
            op,
            format!("{width} cannot be cut into {parts} equal parts"),
        ))
    }
}
