//! What formats cost is known without a driver: the values that it exports give its own footprints.

use mains_conformance::families::fixtures;
use mains_conformance::ops::{Random, available, cpu, reference};
use mains_contract::{BlockFormat, Driver, FormatCosts, WeightId};
use mains_engine::models::{Model, ModelOptions};

/// Choices of formats that are tried a family and driver.
const TRIALS: usize = 24;

#[test]
fn any_formats_cost_what_their_footprint_says() {
    let drivers: [Box<dyn Driver>; 3] = [reference(), cpu(available()[0], 2), cpu(available()[0], 3)];
    let mut random = Random(7);
    for family in mains_engine::models::families() {
        let folder = fixtures().join("families").join(family.name);
        let model = Model::open(&folder, &ModelOptions::default()).unwrap();
        let count = u32::try_from(model.graph.weights().len()).unwrap();
        let order: Vec<WeightId> = (0..count).map(WeightId).collect();
        for driver in &drivers {
            let costs = FormatCosts::of(&**driver, &model.graph, &order);
            let stored = model.formats();
            assert_eq!(
                costs.footprint(&stored),
                Some(driver.footprint(&model.graph, &stored)),
                "{} as stored on {}",
                family.name,
                driver.capabilities().driver
            );
            for _ in 0..TRIALS {
                let mut pick = |index: usize| {
                    let formats = costs.of_weight(index);
                    let at = random.below(u32::try_from(formats.len()).unwrap());
                    formats[at as usize].0
                };
                let formats: Vec<BlockFormat> = (0..order.len()).map(&mut pick).collect();
                assert_eq!(
                    costs.footprint(&formats),
                    Some(driver.footprint(&model.graph, &formats)),
                    "{} in {formats:?} on {}",
                    family.name,
                    driver.capabilities().driver
                );
            }
            assert_eq!(costs.footprint(&stored[1..]), None);
        }
    }
}
