//! What a load takes, for each driver: whole, and of every run of the parts that a model can be cut into.

use std::collections::HashMap;
use std::sync::Arc;

use mains_contract::{
    BlockFormat, Border, Driver, FootprintModel, FormatCosts, Graph, PartsOfWeight, Products, WeightId,
    run_costs, run_index,
};
use mains_types::{DriverCosts, SharedCosts};

use super::Model;

/// Places where a model may be cut, at the most: an eightieth of its layers is then the most that a device may be filled too
/// little by, and the costs of all runs stay a frame of some hundred kilobytes.
const BORDERS: usize = 23;

/// A model with its types of keys and values, and where it can be cut.
#[derive(Debug)]
pub struct LoadCosts<'a> {
    model: &'a Model,
    /// By type of keys and values.
    graphs: &'a [(BlockFormat, Arc<Graph>)],
    borders: Vec<Border>,
    /// By tensor.
    parts: Vec<PartsOfWeight>,
    /// By type of keys and values: all runs of parts; none when there is one part.
    runs: Vec<Vec<Graph>>,
    /// By tensor: the weight of the graph that it is.
    order: Vec<WeightId>,
}

impl<'a> LoadCosts<'a> {
    /// `graphs` are those of `model` for each type of keys and values, its own first.
    #[must_use]
    pub fn new(model: &'a Model, graphs: &'a [(BlockFormat, Arc<Graph>)]) -> Self {
        let weights = model.graph.weights().iter().zip(0..);
        let index: HashMap<&str, u32> = weights
            .map(|(weight, index)| (weight.name.as_str(), index))
            .collect();
        let tensors = model.weights.tensors();
        let order: Vec<WeightId> = tensors
            .filter_map(|tensor| index.get(tensor.name.as_str()).copied().map(WeightId))
            .collect();
        let mut borders = model.graph.borders(BORDERS);
        let runs = graphs.iter().map(|(_, graph)| graph.runs(&borders));
        let runs: Option<Vec<Vec<Graph>>> = runs.collect();
        if runs.is_none() {
            borders.clear();
        }
        let used = model.graph.parts_of_weights(&borders).unwrap_or_default();
        let part = |weight: &WeightId| used.get(weight.0 as usize).copied().unwrap_or_default();
        Self {
            parts: order.iter().map(part).collect(),
            runs: runs.filter(|_| !borders.is_empty()).unwrap_or_default(),
            borders,
            model,
            graphs,
            order,
        }
    }

    /// Where it can be cut: see [`mains_types::ModelFacts::borders`].
    #[must_use]
    pub fn borders(&self) -> &[Border] {
        &self.borders
    }

    /// By tensor, the parts that use it: see [`mains_types::ModelFacts::parts`].
    #[must_use]
    pub fn parts(&self) -> &[PartsOfWeight] {
        &self.parts
    }

    /// By tensor: how much of it a token is multiplied by.
    #[must_use]
    pub fn products(&self) -> Vec<Products> {
        let products = self.model.graph.products();
        self.order
            .iter()
            .map(|weight| products[weight.0 as usize])
            .collect()
    }

    /// What a load takes on `driver`, for any types of tensors and for those of keys and values that it takes.
    #[must_use]
    pub fn on(&self, driver: &dyn Driver) -> DriverCosts {
        let formats = self.model.formats();
        let taken = |(_, (_, graph)): &(usize, &(BlockFormat, Arc<Graph>))| {
            let mut nodes = graph.nodes().iter();
            nodes.all(|node| driver.supports(graph, node, &formats).is_ok())
        };
        let taken: Vec<_> = self.graphs.iter().enumerate().filter(taken).collect();
        let base = |(_, (kv, graph)): &(usize, &(BlockFormat, Arc<Graph>))| {
            (*kv, FormatCosts::of(driver, graph, &[]).base)
        };
        let runs = taken.iter().filter_map(|(index, _)| self.runs.get(*index));
        DriverCosts {
            driver: driver.capabilities().driver.to_owned(),
            kv: taken.iter().map(base).collect(),
            formats: FormatCosts::of(driver, &self.model.graph, &self.order),
            runs: runs.map(|runs| run_costs(driver, runs)).collect(),
            shared: self.shared(driver),
        }
    }

    fn shared(&self, driver: &dyn Driver) -> Vec<SharedCosts> {
        let Some(runs) = self.runs.first() else {
            return Vec::new();
        };
        let parts = self.borders.len() + 1;
        let alone = |part: u32, name: &str| -> Vec<(BlockFormat, FootprintModel)> {
            let part = part as usize;
            let graph = &runs[run_index(parts, part, part)];
            let weight = graph
                .weights()
                .iter()
                .zip(0..)
                .find(|(weight, _)| weight.name == name);
            let costs = weight.map(|(_, index)| FormatCosts::of(driver, graph, &[WeightId(index)]));
            costs.map_or_else(Vec::new, |costs| costs.of_weight(0).to_vec())
        };
        let tensors = (0_u32..).zip(self.order.iter().zip(&self.parts));
        tensors
            .filter(|(_, (_, (first, last)))| first != last)
            .map(|(tensor, (weight, (first, last)))| {
                let name = &self.model.graph.weight(*weight).name;
                SharedCosts {
                    tensor,
                    earlier: alone(*first, name),
                    later: alone(*last, name),
                }
            })
            .collect()
    }
}
