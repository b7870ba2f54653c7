//! Where a graph can be cut for several devices, and what each run of its parts takes, as values: the planner has no graph.

use crate::{Driver, FootprintModel, FormatCosts, Graph, OutputName, WeightId};

/// A place where a graph can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Border {
    /// The last layer before it.
    pub after_layer: u32,
    /// Numbers of a row that crosses it.
    pub width: u32,
}

/// The parts, first and last, in which a weight is used.
pub type PartsOfWeight = (u32, u32);

/// How many runs of neighbouring parts there are.
#[must_use]
pub const fn run_count(parts: usize) -> usize {
    parts * (parts + 1) / 2
}

/// The place of the run from part `first` to part `last` among all runs of so many `parts`: by their first part, then by
/// their last.
#[must_use]
pub const fn run_index(parts: usize, first: usize, last: usize) -> usize {
    // Runs that begin earlier: `parts` with the first part, one less with each next.
    first * (2 * parts + 1 - first) / 2 + (last - first)
}

impl Graph {
    /// Up to `most` places where it can be cut, as evenly spread over its layers as possible. None where something is given
    /// out or read from a state across a layer's end, nor when a weight is used in more than two of the parts.
    #[must_use]
    pub fn borders(&self, most: usize) -> Vec<Border> {
        let layers = self.layer_ends().len();
        let inner = layers.saturating_sub(1);
        let chosen = most.min(inner);
        let layer = |index: usize| (index + 1) * layers / (chosen + 1) - 1;
        let borders: Vec<Border> = (0..chosen)
            .filter_map(|index| self.border_after(layer(index)))
            .collect();
        if self.parts_of_weights(&borders).is_some() {
            borders
        } else {
            Vec::new()
        }
    }

    fn border_after(&self, layer: usize) -> Option<Border> {
        let (before, after) = self.split(layer).ok()?;
        let gives_border = before
            .outputs()
            .iter()
            .all(|(name, _)| *name == OutputName::Border);
        let gives_all = after.outputs().len() == self.outputs().len();
        (gives_border && gives_all).then_some(Border {
            after_layer: u32::try_from(layer).ok()?,
            width: u32::try_from(after.input_width()).ok()?,
        })
    }

    /// Every run of neighbouring parts between `borders`, in the order of [`run_index`]. None when it can not be cut there.
    #[must_use]
    pub fn runs(&self, borders: &[Border]) -> Option<Vec<Self>> {
        let mut runs = Vec::with_capacity(run_count(borders.len() + 1));
        let mut rest = self.clone();
        let mut done = 0;
        for first in 0..=borders.len() {
            for border in &borders[first..] {
                let layers = border.after_layer as usize + 1 - done;
                runs.push(rest.split_before(layers - 1).ok()?);
            }
            runs.push(rest.clone());
            if let Some(border) = borders.get(first) {
                let end = border.after_layer as usize + 1;
                rest = rest.split_after(end - done - 1).ok()?;
                done = end;
            }
        }
        Some(runs)
    }

    /// By weight, the parts between `borders` in which it is used. None when one is used in more than two.
    #[must_use]
    pub fn parts_of_weights(&self, borders: &[Border]) -> Option<Vec<PartsOfWeight>> {
        let end = |border: &Border| self.layer_ends()[border.after_layer as usize];
        let ends: Vec<usize> = borders.iter().map(end).collect();
        let mut found: Vec<Option<PartsOfWeight>> = vec![None; self.weights().len()];
        for (index, node) in self.nodes().iter().enumerate() {
            let part = u32::try_from(ends.partition_point(|end| *end <= index)).ok()?;
            for (WeightId(weight), _) in node.op.weights() {
                let parts = found[weight as usize].get_or_insert((part, part));
                if parts.1 != part && parts.1 != parts.0 {
                    return None;
                }
                parts.1 = part;
            }
        }
        // A weight that nothing uses is in the first part's memory.
        Some(found.into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// What each of `runs` takes on `driver` whatever the formats of weights.
#[must_use]
pub fn run_costs(driver: &dyn Driver, runs: &[Graph]) -> Vec<FootprintModel> {
    let base = |run: &Graph| FormatCosts::of(driver, run, &[]).base;
    runs.iter().map(base).collect()
}

#[cfg(test)]
mod tests {
    use super::{run_count, run_index};
    use crate::{Graph, GraphBuilder, Op, OutputName};

    /// A tied table around so many layers of one matrix each.
    fn graph(layers: usize) -> Graph {
        let mut graph = GraphBuilder::new();
        let table = graph.weight("token_embd.weight", 10, 4).unwrap();
        let linear = |weight| Op::Linear { weight, bias: None };
        let mut x = graph.push(Op::Embed { table }, &[]).unwrap();
        for layer in 0..layers {
            let matrix = graph.weight(&format!("blk.{layer}.weight"), 4, 4).unwrap();
            x = graph.push(linear(matrix), &[x]).unwrap();
            graph.end_layer();
        }
        x = graph.push(Op::SelectRows, &[x]).unwrap();
        let logits = graph.push(linear(table), &[x]).unwrap();
        graph.output(OutputName::Logits, logits);
        graph.build()
    }

    #[test]
    fn runs_are_numbered_by_their_first_part() {
        for parts in 1..9 {
            let mut next = 0;
            for first in 0..parts {
                for last in first..parts {
                    assert_eq!(run_index(parts, first, last), next);
                    next += 1;
                }
            }
            assert_eq!(run_count(parts), next);
        }
    }

    #[test]
    fn a_graph_is_cut_evenly() {
        let layers = |most| -> Vec<u32> {
            let borders = graph(6).borders(most);
            borders.iter().map(|border| border.after_layer).collect()
        };
        assert_eq!(layers(100), [0, 1, 2, 3, 4]);
        assert_eq!(layers(1), [2]);
        assert_eq!(layers(2), [1, 3]);
        assert_eq!(layers(0), []);
        assert_eq!(graph(1).borders(5), []);
    }

    #[test]
    fn a_run_has_its_own_weights_alone() {
        let graph = graph(3);
        let borders = graph.borders(2);
        assert!(borders.iter().all(|border| border.width == 4));
        let runs = graph.runs(&borders).unwrap();
        let names = |first, last| -> Vec<&str> {
            let weights = runs[run_index(3, first, last)].weights().iter();
            weights.map(|weight| weight.name.as_str()).collect()
        };
        assert_eq!(names(0, 0), ["token_embd.weight", "blk.0.weight"]);
        assert_eq!(names(1, 1), ["blk.1.weight"]);
        assert_eq!(names(1, 2), ["blk.1.weight", "blk.2.weight", "token_embd.weight"]);
        assert_eq!(names(0, 2).len(), 4);
        let parts = graph.parts_of_weights(&borders).unwrap();
        assert_eq!(parts, [(0, 2), (0, 0), (1, 1), (2, 2)]);
    }
}
