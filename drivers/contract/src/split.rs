//! A graph cut at the border of a layer into parts that run on different loaded models.

use std::collections::BTreeMap;

use crate::{Graph, GraphBuilder, GraphError, Node, Op, OutputName, StateId, StateSpec, ValueId, WeightId};

impl Graph {
    /// The layers up to the one at `after_layer`, and the rest. All that the rest needs of the first part - the residual
    /// stream, and what else layers share - becomes the first part's output [`OutputName::Border`], whose rows are the
    /// step's inputs of the rest. Blocks, slots, positions and token ids are the same for both; the rest can be cut
    /// again.
    ///
    /// # Errors
    /// [`GraphError::Invalid`] when there is no such layer, nothing comes after it, or a later layer reads the state of
    /// an earlier one.
    pub fn split(&self, after_layer: usize) -> Result<(Self, Self), GraphError> {
        let (cut, border) = self.cut_after(after_layer)?;
        Ok((self.before(cut, &border)?, self.after(cut, &border)?))
    }

    /// The first of the two graphs of [`Graph::split`] alone.
    ///
    /// # Errors
    /// As [`Graph::split`].
    pub(crate) fn split_before(&self, after_layer: usize) -> Result<Self, GraphError> {
        let (cut, border) = self.cut_after(after_layer)?;
        self.before(cut, &border)
    }

    /// The second of them alone.
    ///
    /// # Errors
    /// As [`Graph::split`].
    pub(crate) fn split_after(&self, after_layer: usize) -> Result<Self, GraphError> {
        let (cut, border) = self.cut_after(after_layer)?;
        self.after(cut, &border)
    }

    /// The first node behind the layer at `after_layer`, and what crosses the border before it.
    fn cut_after(&self, after_layer: usize) -> Result<(usize, Vec<ValueId>), GraphError> {
        let cut = match self.layer_ends().get(after_layer) {
            Some(end) if *end < self.nodes().len() => *end,
            _ => {
                let layers = self.layer_ends().len();
                return Err(refuse(format!(
                    "nothing to cut after layer {after_layer} of {layers}"
                )));
            }
        };
        let border = self.border(cut);
        if border.iter().any(|value| self.node(*value).selected) {
            return Err(refuse("rows are selected before the border".to_owned()));
        }
        Ok((cut, border))
    }

    /// The graph cut after each of these layers, which grow: one part more than there are cuts.
    ///
    /// # Errors
    /// As [`Graph::split`]; [`GraphError::Invalid`] also when the layers do not grow.
    pub fn split_all(&self, after_layers: &[usize]) -> Result<Vec<Self>, GraphError> {
        let mut parts = Vec::with_capacity(after_layers.len() + 1);
        let (mut rest, mut first_layer) = (self.clone(), 0);
        for layer in after_layers {
            let Some(after) = layer.checked_sub(first_layer) else {
                return Err(refuse(format!(
                    "a cut after layer {layer} comes behind one after layer {}",
                    first_layer - 1
                )));
            };
            let (part, more) = rest.split(after)?;
            parts.push(part);
            (rest, first_layer) = (more, layer + 1);
        }
        parts.push(rest);
        Ok(parts)
    }

    /// Values that are made before node `cut` and read from there on.
    fn border(&self, cut: usize) -> Vec<ValueId> {
        let later = self.nodes()[cut..]
            .iter()
            .flat_map(|node| node.inputs.iter().copied());
        let mut crossing: Vec<ValueId> = later.filter(|value| (value.0 as usize) < cut).collect();
        crossing.sort_unstable();
        crossing.dedup();
        crossing
    }

    fn before(&self, cut: usize, border: &[ValueId]) -> Result<Self, GraphError> {
        let mut part = Part::new(self);
        for (index, node) in self.nodes()[..cut].iter().enumerate() {
            part.copy(index, node)?;
            part.end_layer(index + 1);
        }
        part.copy_outputs();
        let mut values = border.iter().filter_map(|value| part.values[value.0 as usize]);
        let Some(mut row) = values.next() else {
            return Err(refuse("nothing crosses the border".to_owned()));
        };
        let rest: Vec<ValueId> = values.collect();
        for value in rest {
            let concat = Op::Concat {
                groups: 1,
                broadcast: false,
            };
            row = part.builder.push(concat, &[row, value])?;
        }
        part.builder.output(OutputName::Border, row);
        Ok(part.builder.build())
    }

    fn after(&self, cut: usize, border: &[ValueId]) -> Result<Self, GraphError> {
        let mut part = Part::new(self);
        let mut start = 0;
        for value in border {
            let width = self.node(*value).width;
            let input = part.builder.push(Op::Input { start, width }, &[])?;
            part.values[value.0 as usize] = Some(input);
            start += width;
        }
        for (index, node) in self.nodes().iter().enumerate().skip(cut) {
            part.copy(index, node)?;
            part.end_layer(index + 1);
        }
        part.copy_outputs();
        Ok(part.builder.build())
    }
}

/// A graph in the making, and where what was copied from the whole went.
struct Part<'a> {
    whole: &'a Graph,
    builder: GraphBuilder,
    /// By value of the whole.
    values: Vec<Option<ValueId>>,
    states: BTreeMap<StateId, StateId>,
}

impl<'a> Part<'a> {
    fn new(whole: &'a Graph) -> Self {
        Self {
            whole,
            builder: GraphBuilder::new(),
            values: vec![None; whole.nodes().len()],
            states: BTreeMap::new(),
        }
    }

    fn copy(&mut self, index: usize, node: &Node) -> Result<(), GraphError> {
        let mut op = node.op.clone();
        for (weight, _) in op.weights_mut() {
            *weight = self.weight(*weight)?;
        }
        if let Some(state) = op.state_mut() {
            *state = self.state(*state);
        }
        let copied = node.inputs.iter().map(|input| self.values[input.0 as usize]);
        let inputs: Option<Vec<ValueId>> = copied.collect();
        let inputs = inputs.ok_or_else(|| refuse("a value from before the border is read".to_owned()))?;
        self.values[index] = Some(self.builder.push(op, &inputs)?);
        Ok(())
    }

    fn weight(&mut self, id: WeightId) -> Result<WeightId, GraphError> {
        let declared = self.whole.weight(id);
        self.builder.weight(&declared.name, declared.rows, declared.cols)
    }

    fn state(&mut self, id: StateId) -> StateId {
        if let Some(known) = self.states.get(&id) {
            return *known;
        }
        let mut spec = self.whole.states()[id.0 as usize].clone();
        if let StateSpec::PerToken {
            shared_with: Some(owner),
            ..
        } = &mut spec
        {
            *owner = self.state(*owner);
        }
        let copy = self.builder.state(spec);
        self.states.insert(id, copy);
        copy
    }

    fn end_layer(&mut self, nodes: usize) {
        if self.whole.layer_ends().binary_search(&nodes).is_ok() {
            self.builder.end_layer();
        }
    }

    fn copy_outputs(&mut self) {
        for (name, value) in self.whole.outputs() {
            // An input stands for a value whose output the part before already gives.
            if let Some(copy) = self.values[value.0 as usize]
                && !matches!(self.builder.node(copy).op, Op::Input { .. })
            {
                self.builder.output(*name, copy);
            }
        }
    }
}

fn refuse(reason: String) -> GraphError {
    GraphError::Invalid { op: "split", reason }
}
