//! A plan over several devices states what each driver allocates for its segment, to the byte, for every family.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::sync::Arc;
use std::time::SystemTime;

use mains_conformance::families::fixtures;
use mains_conformance::ops::{available, cpu, reference};
use mains_contract::{
    BlockFormat, Bytes, Device, DeviceKind, Driver, DriverFacts, Footprint, Inventory, Memory,
};
use mains_driver_null::NullDriver;
use mains_engine::Segments;
use mains_engine::models::{LoadCosts, Model, ModelOptions};
use mains_planner::plan;
use mains_types::{
    Demand, Digest, GroupSensitivity, ModelFacts, Plan, RuntimeModel, SamplingDefaults, Sensitivity,
};

/// Types that are chosen among, with what one costs: enough that plans under pressure mix them.
const DAMAGES: [(BlockFormat, f64); 3] = [
    (BlockFormat::Q8_0, 1e-5),
    (BlockFormat::F16, 1e-6),
    (BlockFormat::BF16, 2e-6),
];

/// Devices' memory as shares of what the model takes, in 64ths: too little for all of it.
const SHARES: std::ops::Range<usize> = 36..64;

fn facts(model: &Model, drivers: &[Box<dyn Driver>]) -> ModelFacts {
    let graphs = [(BlockFormat::F16, Arc::clone(&model.graph))];
    let costs = LoadCosts::new(model, &graphs);
    let tensors: Vec<_> = model.weights.tensors().cloned().collect();
    let group = |tensor: &mains_types::TensorFacts| GroupSensitivity {
        name: tensor.name.clone(),
        tensors: vec![tensor.name.clone()],
        damages: DAMAGES.to_vec(),
    };
    ModelFacts {
        family: model.family.name.to_owned(),
        digest: Digest([1; 32]),
        file_bytes: Bytes::ZERO,
        parameters: 0,
        layers: model.info.layers,
        width: model.info.width,
        vocabulary: model.info.vocabulary,
        context: 64,
        chat: false,
        sampling: SamplingDefaults::default(),
        products: costs.products(),
        borders: costs.borders().to_vec(),
        parts: costs.parts().to_vec(),
        costs: drivers.iter().map(|driver| costs.on(&**driver)).collect(),
        unsupported: Vec::new(),
        block_tokens: 16,
        runtime: RuntimeModel::default(),
        about: mains_types::About::default(),
        sensitivity: Some(Sensitivity {
            model: Digest([1; 32]),
            groups: tensors
                .iter()
                .filter(|tensor| tensor.rows > 1)
                .map(group)
                .collect(),
            kv: vec![(BlockFormat::F16, 0.0)],
            whole: Vec::new(),
        }),
        importance: None,
        tensors,
    }
}

/// Cards, one for each driver, with so much memory each.
fn cards(drivers: &[&dyn Driver], memory: Bytes) -> Inventory {
    let card = |(index, driver): (usize, &&dyn Driver)| Device {
        memory: Some(Memory {
            total: memory,
            free: Some(memory),
            shared: false,
            host: None,
        }),
        usable_by: vec![driver.capabilities().driver.to_owned()],
        drivers: vec![DriverFacts::new(driver.capabilities(), "")],
        ..Device::new(format!("card-{index}"), "a device of the test", DeviceKind::Gpu)
    };
    Inventory {
        devices: drivers.iter().enumerate().map(card).collect(),
        problems: Vec::new(),
        probed_at: SystemTime::UNIX_EPOCH,
    }
}

/// Whether the driver of each segment takes what `plan` says, and all of them with the rows between them the whole.
fn agrees(model: &Model, drivers: &[&dyn Driver], plan: &Plan) {
    let (_, earlier) = plan.segments.split_last().unwrap();
    let cuts: Vec<usize> = earlier
        .iter()
        .map(|segment| segment.last_layer as usize)
        .collect();
    let segments = Segments::cut(&model.graph, &cuts).unwrap();
    let mut sum = segments.borders().at(&plan.limits(), 1);
    for (graph, segment) in segments.graphs().iter().zip(&plan.segments) {
        let driver = drivers
            .iter()
            .find(|driver| driver.capabilities().driver == segment.driver)
            .unwrap();
        let format = |name: &str| {
            plan.tensors
                .iter()
                .find(|tensor| tensor.name == name)
                .unwrap()
                .format
        };
        let formats: Vec<BlockFormat> = graph
            .weights()
            .iter()
            .map(|weight| format(&weight.name))
            .collect();
        let taken = driver
            .footprint(graph, &formats)
            .at(&plan.limits(), segment.threads);
        assert_eq!(taken, segment.bytes, "{}: {segment:?}", model.family.name);
        sum = sum + taken;
    }
    let stated = Footprint {
        weights: plan.bytes.weights,
        state: plan.bytes.state,
        activations: plan.bytes.activations,
        scratch: plan.bytes.scratch,
    };
    assert_eq!(sum, stated, "{}", model.family.name);
}

#[test]
fn segments_take_what_their_plan_says() {
    let drivers: [Box<dyn Driver>; 3] = [cpu(available()[0], 2), reference(), Box::new(NullDriver::new())];
    let [cpu, reference, null] = drivers.each_ref().map(|driver| &**driver);
    for family in mains_engine::models::families() {
        let folder = fixtures().join("families").join(family.name);
        let model = Model::open(&folder, &ModelOptions::default()).unwrap();
        let facts = facts(&model, &drivers);
        let mut split = 0;
        for on in [
            &[null, null][..],
            &[cpu, cpu],
            &[null, null, null],
            &[cpu, null],
            &[null, reference, cpu],
        ] {
            let demand = Demand {
                context: Some(48),
                parallel: Some(2),
                ..Demand::default()
            };
            let Ok(whole) = plan(&cards(&on[..1], Bytes(1 << 40)), &facts, "m", &demand) else {
                continue;
            };
            for share in SHARES {
                let memory = Bytes(whole.bytes.total().0 / 64 * share as u64);
                let Ok(plan) = plan(&cards(on, memory), &facts, "m", &demand) else {
                    continue;
                };
                agrees(&model, on, &plan);
                let taken = plan.bytes_by_device();
                assert!(
                    taken.values().all(|taken| *taken <= memory),
                    "{}: {taken:?}",
                    family.name
                );
                split += usize::from(plan.segments.len() > 1);
            }
        }
        println!(
            "{}: {split} split plans, {} parts",
            family.name,
            facts.borders.len() + 1
        );
    }
}
