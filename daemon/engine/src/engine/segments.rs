//! A model whose layers are on several devices: each segment is loaded by itself, and a step goes through them in order.
//! What a segment leaves for the next one ([`OutputName::Border`]) becomes the next one's input rows.

use std::sync::Arc;

use mains_contract::{
    BlockId, Bytes, DriverError, Footprint, FootprintModel, Graph, GraphError, LoadedModel, OutputName,
    SequenceState, SlotId, Step, StepLimits,
};

/// A graph cut into segments that are yet to be loaded.
#[derive(Debug, Clone)]
pub struct Segments {
    graphs: Vec<Arc<Graph>>,
}

impl Segments {
    /// Cuts `graph` after each of these layers, which grow; not at all when there are none.
    ///
    /// # Errors
    /// [`GraphError`] when there is no border behind a layer, or one can not be cut there: later layers read an earlier
    /// one's state, or the graph gives something out before its last segment.
    pub fn cut(graph: &Arc<Graph>, after_layers: &[usize]) -> Result<Self, GraphError> {
        if after_layers.is_empty() {
            let graphs = vec![Arc::clone(graph)];
            return Ok(Self { graphs });
        }
        let graphs: Vec<_> = graph.split_all(after_layers)?.into_iter().map(Arc::new).collect();
        let (last, earlier) = graphs.split_last().expect("a cut graph has parts");
        let names =
            |graph: &Graph| -> Vec<OutputName> { graph.outputs().iter().map(|(name, _)| *name).collect() };
        if names(last) != names(graph) || earlier.iter().any(|part| names(part) != [OutputName::Border]) {
            return Err(GraphError::Invalid {
                op: "split",
                reason: "something is given out before the last segment".to_owned(),
            });
        }
        Ok(Self { graphs })
    }

    /// The segments, in order.
    #[must_use]
    pub fn graphs(&self) -> &[Arc<Graph>] {
        &self.graphs
    }

    /// What the rows between segments take, on the host: beside the footprints of the segments.
    #[must_use]
    pub fn borders(&self) -> FootprintModel {
        let width: usize = self.border_widths().sum();
        FootprintModel {
            activations_per_row: Bytes::from(size_of::<f32>()).times(width as u64),
            ..FootprintModel::default()
        }
    }

    /// Numbers of a row between each segment and the next.
    fn border_widths(&self) -> impl Iterator<Item = usize> {
        let later = self.graphs.iter().skip(1);
        later.map(|graph| graph.input_width())
    }

    /// The segments as one model, each loaded under `limits`: as many as there are, in order.
    ///
    /// # Errors
    /// [`DriverError::Limits`] when there are more or fewer, [`DriverError::OutOfMemory`] when there is no room for the
    /// rows between them.
    pub fn join(
        &self,
        mut loaded: Vec<Box<dyn LoadedModel>>,
        limits: &StepLimits,
    ) -> Result<Box<dyn LoadedModel>, DriverError> {
        if loaded.len() != self.graphs.len() {
            let (found, expected) = (loaded.len(), self.graphs.len());
            return Err(DriverError::Limits(format!(
                "{found} segments are loaded, the model has {expected}"
            )));
        }
        let last = loaded.pop().expect("there is at least one segment");
        if loaded.is_empty() {
            return Ok(last);
        }
        let border = |width: usize| -> Result<Border, DriverError> {
            let numbers = limits.rows.saturating_mul(width);
            let mut rows = Vec::new();
            rows.try_reserve_exact(numbers)
                .map_err(|_| DriverError::OutOfMemory {
                    what: "rows between segments",
                    bytes: numbers.saturating_mul(size_of::<f32>()) as u64,
                })?;
            rows.resize(numbers, 0.0);
            Ok(Border { width, rows })
        };
        let borders: Result<Vec<Border>, DriverError> = self.border_widths().map(border).collect();
        Ok(Box::new(Joined {
            earlier: loaded.into_iter().zip(borders?).collect(),
            last,
            limits: *limits,
        }))
    }
}

/// Rows on their way from one segment to the next.
struct Border {
    width: usize,
    rows: Vec<f32>,
}

/// Loaded segments that behave as one model.
struct Joined {
    /// All but the last, each with what it leaves for the next.
    earlier: Vec<(Box<dyn LoadedModel>, Border)>,
    last: Box<dyn LoadedModel>,
    limits: StepLimits,
}

/// Bytes before a segment's part of a snapshot: its length.
const LENGTH_BYTES: usize = size_of::<u64>();

impl Joined {
    fn all(&self) -> impl Iterator<Item = &dyn LoadedModel> {
        let earlier = self.earlier.iter().map(|(loaded, _)| &**loaded);
        earlier.chain([&*self.last])
    }

    /// Calls `act` on each segment, in order.
    fn each(
        &mut self,
        mut act: impl FnMut(&mut dyn LoadedModel) -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        for (loaded, _) in &mut self.earlier {
            act(&mut **loaded)?;
        }
        act(&mut *self.last)
    }
}

impl LoadedModel for Joined {
    fn footprint(&self) -> Footprint {
        let borders = self
            .earlier
            .iter()
            .map(|(_, border)| size_of_val(&border.rows[..]));
        let borders = Footprint {
            activations: borders.map(Bytes::from).sum(),
            ..Footprint::default()
        };
        self.all().map(LoadedModel::footprint).sum::<Footprint>() + borders
    }

    fn run(&mut self, step: &Step<'_>, out: &mut [f32]) -> Result<(), DriverError> {
        // Rows between segments have room for as many as the limits say.
        step.check(&self.limits)?;
        let rows = step.tokens.len();
        let mut inputs = step.inputs;
        for (loaded, border) in &mut self.earlier {
            let given = &mut border.rows[..rows * border.width];
            loaded.run(&Step { inputs, ..*step }, given)?;
            inputs = given;
        }
        self.last.run(&Step { inputs, ..*step }, out)
    }

    fn copy_blocks(&mut self, pairs: &[(BlockId, BlockId)]) -> Result<(), DriverError> {
        self.each(|loaded| loaded.copy_blocks(pairs))
    }

    fn copy_slots(&mut self, pairs: &[(SlotId, SlotId)]) -> Result<(), DriverError> {
        self.each(|loaded| loaded.copy_slots(pairs))
    }

    fn snapshot(&mut self, state: &SequenceState<'_>) -> Result<Vec<u8>, DriverError> {
        let mut all = Vec::new();
        self.each(|loaded| {
            let part = loaded.snapshot(state)?;
            all.extend((part.len() as u64).to_le_bytes());
            all.extend(part);
            Ok(())
        })?;
        Ok(all)
    }

    fn restore(&mut self, snapshot: &[u8], state: &SequenceState<'_>) -> Result<(), DriverError> {
        let mut rest = snapshot;
        self.each(|loaded| {
            let part = take_part(&mut rest)?;
            loaded.restore(part, state)
        })?;
        if rest.is_empty() {
            Ok(())
        } else {
            Err(other_size())
        }
    }
}

/// The next segment's part of a snapshot.
fn take_part<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], DriverError> {
    let (length, parts) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or_else(other_size)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (part, after) = parts.split_at_checked(length).ok_or_else(other_size)?;
    *rest = after;
    Ok(part)
}

fn other_size() -> DriverError {
    DriverError::Limits("the snapshot is not one of these segments".to_owned())
}
