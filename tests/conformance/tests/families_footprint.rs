//! The bytes of a load are known where the device is not: the footprint that a driver states on one machine, at the
//! threads of another, is what is allocated there.

use mains_conformance::families::{fixtures, load, open};
use mains_conformance::ops::{available, cpu, reference};
use mains_contract::{BlockFormat, Driver, DriverFacts, StepLimits};
use mains_driver_cpu::Isa;
use mains_engine::models::{Cast, Model};

const LIMITS: StepLimits = StepLimits {
    rows: 7,
    output_rows: 3,
    context: 40,
    blocks: 9,
    block_tokens: 16,
    slots: 3,
};

/// Whether `there` allocates what `here` states for it.
fn agrees(model: &Model, here: &dyn Driver, there: &dyn Driver) {
    let facts = DriverFacts::new(there.capabilities(), "");
    let stated = here
        .footprint(&model.graph, &model.formats())
        .at(&LIMITS, facts.threads);
    let taken = load(model, there, &LIMITS).footprint();
    assert_eq!(taken, stated, "{} on {}", model.family.name, facts.name);
}

#[test]
fn every_family_takes_what_was_stated_elsewhere() {
    let here = cpu(Isa::Portable, 1);
    let folders = std::fs::read_dir(fixtures().join("families")).unwrap();
    let mut families = 0;
    for folder in folders.map(|entry| entry.unwrap().path()) {
        if !folder.join("config.json").exists() {
            continue;
        }
        families += 1;
        for cast in [Cast::AsStored, Cast::Matrices(BlockFormat::BF16)] {
            let model = open(&folder, BlockFormat::F16, cast);
            for threads in [1, 2, 5] {
                agrees(&model, &*here, &*cpu(available()[0], threads));
            }
            agrees(&model, &*reference(), &*reference());
        }
    }
    assert!(families > 0, "there are fixtures");
}
