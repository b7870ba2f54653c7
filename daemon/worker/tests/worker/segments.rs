//! Plans of several segments: a model's layers on several drivers say what one driver says.

use mains_contract::{Bytes, Device, DeviceKind, DriverFacts, Memory};
use mains_planner::plan as plan_of;
use mains_types::{Demand, Plan};
use mains_wire::frames::{FromWorker, Role};

use crate::support::{Worker, facts_for, inventory, load, plan, question, request};

const QUESTION: &str = "What is 17 + 25?";
const ANSWER: &str = "17 + 25 = 42";

/// The plan of the pilot for devices on which these drivers compute, each of which has `memory` for arenas.
async fn split(drivers: &[&str], memory: Bytes) -> Plan {
    let mut box_of = inventory().await;
    let cpu = box_of.devices[0].clone();
    let facts = facts_for(&["cpu", "reference"]).await;
    for (index, driver) in drivers.iter().enumerate() {
        let own = cpu.drivers.iter().find(|facts| facts.name == *driver).cloned();
        let alone = DriverFacts {
            name: (*driver).to_owned(),
            version: "1".to_owned(),
            kernels: "naive".to_owned(),
            threads: 1,
        };
        box_of.devices.push(Device {
            memory: Some(Memory {
                total: memory,
                free: Some(memory),
                shared: false,
                host: None,
            }),
            usable_by: vec![(*driver).to_owned()],
            drivers: vec![own.unwrap_or(alone)],
            ..Device::new(format!("card-{index}"), "a device of the test", DeviceKind::Gpu)
        });
    }
    let demand = Demand {
        context: Some(512),
        parallel: Some(2),
        ..Demand::default()
    };
    plan_of(&box_of, &facts, "pilot", &demand).unwrap()
}

#[tokio::test]
async fn segments_give_the_tokens_of_the_whole() {
    let whole = plan(512, 2).await;
    let mut worker = Worker::loaded_as(&whole).await;
    let alone = worker.generate(request(question(QUESTION))).await.unwrap();
    assert_eq!(alone.text(0), ANSWER);
    for (drivers, mebibytes, segments) in [
        (&["cpu", "cpu"][..], 14, 2),
        (&["cpu", "cpu", "cpu"], 12, 3),
        (&["reference", "cpu"], 20, 2),
        (&["cpu", "reference"], 20, 2),
    ] {
        let split = split(drivers, Bytes::from_mib(mebibytes)).await;
        assert_eq!(
            split.segments.len(),
            segments,
            "{drivers:?}: {:?}",
            split.segments
        );
        let mut worker = Worker::loaded_as(&split).await;
        let answer = worker.generate(request(question(QUESTION))).await.unwrap();
        assert_eq!(answer.ids(0), alone.ids(0), "{drivers:?}");
    }
}

#[tokio::test]
async fn what_can_not_be_honoured_is_refused() {
    let cut = split(&["cpu", "cpu"], Bytes::from_mib(14)).await;
    let mut gap = cut.clone();
    gap.segments[1].first_layer += 1;
    let mut unplanned = cut.clone();
    unplanned.bytes.activations = Bytes(1);
    let mut moved = cut.clone();
    moved.segments[0].bytes.weights = Bytes(1);
    let mut unknown = cut;
    unknown.segments[1].driver = "abacus".to_owned();
    for (plan, reason) in [
        (gap, "where one from layer"),
        (unplanned, "the plan allows"),
        (moved, "layers 0 to "),
        (unknown, "no driver is called \"abacus\""),
    ] {
        let mut worker = Worker::start(Role::Run).await;
        match worker.ask(load(&plan)).await {
            Some(FromWorker::Error(error)) => assert!(error.contains(reason), "{error}"),
            other => panic!("it was loaded: {other:?}"),
        }
    }
}
