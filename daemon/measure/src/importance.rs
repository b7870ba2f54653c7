//! The mean square of what flows into each column of each matrix, over texts, and the mean products of two columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use mains_contract::{Driver, Graph, Node, Op, OutputName, ValueId, WeightId};
use mains_engine::importance::Importance;
use mains_engine::models::Model;

use crate::{MeasureError, Texts, each_row};

mod moments;

/// Squares of one matrix's inputs, summed.
struct Sums {
    weight: WeightId,
    /// Which tap its inputs are, and how they are laid out in a row.
    tap: usize,
    layout: Layout,
    cols: usize,
    /// One row, or one an expert.
    squares: Vec<f64>,
    /// Inputs that each row is the sum of.
    counts: Vec<u64>,
}

/// How a row of a value holds a matrix's inputs.
#[derive(Clone, Copy)]
enum Layout {
    /// Groups of as many numbers as the matrix has columns: one, or one a head.
    Groups,
    /// One input for all the experts that the tap `route` names, or one for each.
    Experts {
        route: usize,
        used: usize,
        per_slot: bool,
    },
}

/// Measures every matrix of `model` on `texts`, computed by `driver`; `progress` is told how many texts are done.
///
/// # Errors
/// [`MeasureError::Driver`] when the model can not be loaded or the device fails.
pub fn importance(
    driver: &dyn Driver,
    model: &Model,
    texts: &Texts,
    mut progress: impl FnMut(usize),
) -> Result<Importance, MeasureError> {
    let (taps, mut sums) = plan(&model.graph);
    let positions = texts.rows().iter().map(Vec::len).sum();
    let (width, mut products) = moments::plan(&sums, positions);
    let graph = Arc::new(model.graph.tapped(&taps));
    let limits = texts.limits();
    let mut loaded = driver.load(Arc::clone(&graph), &model.weights, &limits)?;
    for (index, ids) in texts.rows().iter().enumerate() {
        each_row(&mut *loaded, &graph, &limits, ids, |_, outputs| {
            let taps: Vec<&[f32]> = outputs
                .iter()
                .filter(|(name, _)| *name == OutputName::Tap)
                .map(|(_, rows)| *rows)
                .collect();
            sums.iter_mut().for_each(|sums| sums.add(&graph, &taps));
            products.iter_mut().for_each(|products| products.add(&taps));
        })?;
        progress(index + 1);
    }
    let mut moments = BTreeMap::new();
    for products in products {
        let mean = products.means();
        for weight in products.weights {
            moments.insert(graph.weight(weight).name.clone(), Arc::clone(&mean));
        }
    }
    let columns = sums.into_iter().map(|sums| {
        (
            graph.weight(sums.weight).name.clone(),
            (sums.counts.len(), sums.means()),
        )
    });
    Ok(Importance::new(columns.collect()).with_moments(width, moments))
}

/// The values to give out, and what is summed of them. A matrix with several uses counts its first.
fn plan(graph: &Graph) -> (Vec<ValueId>, Vec<Sums>) {
    let mut taps: Vec<ValueId> = Vec::new();
    let mut tap = |value: ValueId| {
        taps.iter().position(|known| *known == value).unwrap_or_else(|| {
            taps.push(value);
            taps.len() - 1
        })
    };
    let mut sums: BTreeMap<WeightId, Sums> = BTreeMap::new();
    for Node { op, inputs, .. } in graph.nodes() {
        let (weight, layout, experts) = match op {
            Op::Linear { weight, .. } | Op::HeadLinear { weight, .. } => (*weight, Layout::Groups, 1),
            Op::ExpertLinear {
                weight,
                experts,
                used,
                per_slot,
                ..
            } => {
                let (route, used, per_slot) = (tap(inputs[1]), *used, *per_slot);
                (
                    *weight,
                    Layout::Experts {
                        route,
                        used,
                        per_slot,
                    },
                    *experts,
                )
            }
            _ => continue,
        };
        let cols = graph.weight(weight).cols;
        let tap = tap(inputs[0]);
        sums.entry(weight).or_insert_with(|| Sums {
            weight,
            tap,
            layout,
            cols,
            squares: vec![0.0; cols * experts],
            counts: vec![0; experts],
        });
    }
    (taps, sums.into_values().collect())
}

impl Sums {
    fn add(&mut self, graph: &Graph, taps: &[&[f32]]) {
        let inputs = taps[self.tap];
        match self.layout {
            Layout::Groups => {
                for row in inputs.chunks_exact(self.cols) {
                    self.add_input(0, row);
                }
            }
            Layout::Experts {
                route,
                used,
                per_slot,
            } => {
                let width = if per_slot { self.cols * used } else { self.cols };
                let routes = taps[route].chunks_exact(2 * used);
                for (row, route) in inputs.chunks_exact(width).zip(routes) {
                    for (slot, expert) in route[..used].iter().enumerate() {
                        let start = if per_slot { slot * self.cols } else { 0 };
                        self.add_input(whole(*expert), &row[start..start + self.cols]);
                    }
                }
            }
        }
        debug_assert_eq!(
            graph.weight(self.weight).cols,
            self.cols,
            "the graph that was planned for"
        );
    }

    fn add_input(&mut self, expert: usize, input: &[f32]) {
        let Some(count) = self.counts.get_mut(expert) else {
            return;
        };
        *count += 1;
        let squares = &mut self.squares[expert * self.cols..(expert + 1) * self.cols];
        for (square, number) in squares.iter_mut().zip(input) {
            *square += f64::from(*number) * f64::from(*number);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "means are kept as float32"
    )]
    fn means(&self) -> Vec<f32> {
        let rows = self.squares.chunks_exact(self.cols).zip(&self.counts);
        rows.flat_map(|(squares, count)| {
            squares
                .iter()
                .map(|square| (square / (*count).max(1) as f64) as f32)
        })
        .collect()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "routes hold ids of experts as whole numbers"
)]
fn whole(id: f32) -> usize {
    id as usize
}
