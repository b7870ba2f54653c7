//! What smaller caches of keys and values cost.

use std::path::Path;

use anyhow::{Context, Result};
use mains_contract::{BlockFormat, Driver};
use mains_engine::models::{Model, ModelOptions};
use mains_measure::Evaluator;

use crate::drivers;

/// Types of cached keys and values whose damage is measured: all that plans choose among.
const TYPES: [BlockFormat; 3] = [BlockFormat::F16, BlockFormat::Q8_0, BlockFormat::Q4_0];

/// Nats a token that each type costs the model at `path`, of the types that the driver and the model's heads take.
pub(crate) fn damages(
    path: &Path,
    driver: &dyn Driver,
    evaluator: &Evaluator<'_>,
) -> Result<Vec<(BlockFormat, f64)>> {
    let mut found = Vec::new();
    for kv_format in TYPES {
        let options = ModelOptions {
            kv_format,
            ..ModelOptions::default()
        };
        let model = Model::open(path, &options).with_context(|| path.display().to_string())?;
        if drivers::check(driver, &model.graph, &model.formats()).is_ok() {
            // Rounding may make of a divergence near 0 one below, which no table takes.
            found.push((kv_format, evaluator.divergence_of(&model)?.mean().max(0.0)));
        }
    }
    Ok(found)
}
