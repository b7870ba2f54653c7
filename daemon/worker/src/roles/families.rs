//! `mains-worker families`: which families each driver computes, asked of the drivers before there is a model.

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::{Context, Result};
use mains_contract::{BlockFormat, Driver, Graph, WeightUse};
use mains_engine::models::{self, Family, ModelError, ModelOptions};
use mains_wire::http::{FamiliesBody, FamilyBody, FamilyDriverBody, LackBody};

use crate::drivers;

/// Format of matrices and tables in what is asked. Drivers list the formats that they multiply by apart from this; any
/// shape has whole blocks of this one.
const MATRICES: BlockFormat = BlockFormat::BF16;

/// Writes the table on `out`, as JSON on one line.
///
/// # Errors
/// When a driver can not be opened, a family contradicts itself, or `out` can not be written.
pub(crate) fn run(out: &mut impl Write) -> Result<()> {
    let table = table(&drivers::judges()?, models::families())?;
    serde_json::to_writer(&mut *out, &table)?;
    Ok(writeln!(out)?)
}

/// `families` by `drivers`.
fn table(drivers: &[Box<dyn Driver>], families: &[Family]) -> Result<FamiliesBody> {
    let mut rows = Vec::with_capacity(families.len());
    for family in families {
        let graphs = graphs(family).with_context(|| format!("the declaration of {}", family.name))?;
        rows.push(FamilyBody {
            name: family.name.to_owned(),
            gguf: family.gguf.to_owned(),
            display_name: family.display_name.to_owned(),
            lacks: drivers.iter().map(|driver| lacks(&**driver, &graphs)).collect(),
        });
    }
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(FamiliesBody {
        drivers: drivers.iter().map(|driver| body(&**driver)).collect(),
        families: rows,
    })
}

fn body(driver: &dyn Driver) -> FamilyDriverBody {
    let capabilities = driver.capabilities();
    let formats = capabilities.weight_formats.iter();
    FamilyDriverBody {
        name: capabilities.driver.to_owned(),
        kernels: capabilities.kernels.clone(),
        weight_formats: formats.map(ToString::to_string).collect(),
    }
}

/// Small graphs that between them have all operations of `family`.
fn graphs(family: &Family) -> Result<Vec<Graph>, ModelError> {
    let kv_format = ModelOptions::default().kv_format;
    let configs = family.tiny().into_iter();
    configs.map(|config| family.graph(&config, kv_format)).collect()
}

/// What `driver` can not compute of `graphs`, each once.
fn lacks(driver: &dyn Driver, graphs: &[Graph]) -> Vec<LackBody> {
    let mut found = BTreeSet::new();
    for graph in graphs {
        let formats = formats(graph);
        let nodes = graph.nodes().iter();
        let refusals = nodes.filter_map(|node| driver.supports(graph, node, &formats).err());
        found.extend(refusals.map(|refusal| LackBody {
            op: refusal.op.to_owned(),
            reason: refusal.reason,
        }));
    }
    found.into_iter().collect()
}

/// The format of each weight by its use.
fn formats(graph: &Graph) -> Vec<BlockFormat> {
    let mut formats = vec![MATRICES; graph.weights().len()];
    for (weight, used) in graph.nodes().iter().flat_map(|node| node.op.weights()) {
        if used == WeightUse::Vector {
            formats[weight.0 as usize] = BlockFormat::F32;
        }
    }
    formats
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mains_contract::{
        Capabilities, DriverError, FootprintModel, LoadedModel, Node, Op, StepLimits, Unsupported,
        WeightSource,
    };

    use super::*;

    /// Has no attention with a window, and multiplies by nothing but F16.
    struct Narrow(Capabilities);

    impl Driver for Narrow {
        fn capabilities(&self) -> &Capabilities {
            &self.0
        }

        fn supports(&self, _: &Graph, node: &Node, _: &[BlockFormat]) -> Result<(), Unsupported> {
            match &node.op {
                Op::Attention { window: Some(_), .. } => Err(Unsupported {
                    driver: self.0.driver,
                    op: node.op.name(),
                    reason: "it has a window".to_owned(),
                }),
                _ => Ok(()),
            }
        }

        fn footprint(&self, _: &Graph, _: &[BlockFormat]) -> FootprintModel {
            FootprintModel::default()
        }

        fn load(
            &self,
            _: Arc<Graph>,
            _: &dyn WeightSource,
            _: &StepLimits,
        ) -> Result<Box<dyn LoadedModel>, DriverError> {
            Err(DriverError::Device("it is not there".to_owned()))
        }
    }

    #[test]
    fn what_a_driver_lacks_is_said_once_a_family() {
        let capabilities = Capabilities {
            driver: "narrow",
            kernels: "none".to_owned(),
            weight_formats: vec![BlockFormat::F16],
            threads: 1,
        };
        let drivers: [Box<dyn Driver>; 1] = [Box::new(Narrow(capabilities))];
        let table = table(&drivers, models::families()).unwrap();
        assert_eq!(table.drivers[0].weight_formats, ["F16"]);
        let lacks = |name: &str| {
            let found = table.families.iter().find(|family| family.name == name);
            found.unwrap().lacks[0].clone()
        };
        assert!(lacks("llama").is_empty());
        let windowed = LackBody {
            op: "attention".to_owned(),
            reason: "it has a window".to_owned(),
        };
        // Several of its layers have one.
        assert_eq!(lacks("gemma3_text"), [windowed]);
    }

    #[test]
    fn every_driver_computes_every_family() {
        let table = table(&drivers::judges().unwrap(), models::families()).unwrap();
        let names: Vec<&str> = table.drivers.iter().map(|driver| driver.name.as_str()).collect();
        assert_eq!(names, ["cpu", "reference", "null"]);
        assert_eq!(table.families.len(), models::families().len());
        for family in &table.families {
            assert!(family.lacks.iter().all(Vec::is_empty), "{family:?}");
        }
    }
}
