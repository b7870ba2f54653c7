//! Plans of several segments: a model's layers on several drivers say what one driver says.

use mains_contract::{Driver, Footprint, FootprintModel};
use mains_driver_cpu::{CpuDriver, CpuOptions};
use mains_driver_reference::ReferenceDriver;
use mains_engine::Segments;
use mains_engine::models::{Model, ModelOptions};
use mains_types::{Plan, PlanBytes, Segment};
use mains_wire::frames::{FromWorker, Role};

use crate::support::{Worker, load, pilot, plan, question, request};

const QUESTION: &str = "What is 17 + 25?";
const ANSWER: &str = "17 + 25 = 42";

/// `whole` on other drivers: each computes from its layer on.
fn cut(whole: &Plan, parts: &[(&str, u32)]) -> Plan {
    let options = ModelOptions {
        kv_format: whole.kv_format,
        ..ModelOptions::default()
    };
    let model = Model::open(&pilot(), &options).unwrap();
    let ends = parts.iter().skip(1).map(|(_, first)| first - 1);
    let cuts: Vec<usize> = ends.clone().map(|layer| layer as usize).collect();
    let segments = Segments::cut(&model.graph, &cuts).unwrap();
    let drivers: [Box<dyn Driver>; 2] = [
        Box::new(CpuDriver::new(CpuOptions::default()).unwrap()),
        Box::new(ReferenceDriver::new()),
    ];
    let of_part = |(graph, (name, _)): (&_, &(&str, u32))| {
        let driver = drivers
            .iter()
            .find(|driver| driver.capabilities().driver == *name);
        driver.unwrap().footprint(graph, &model.formats_of(graph))
    };
    let models = segments
        .graphs()
        .iter()
        .map(AsRef::as_ref)
        .zip(parts)
        .map(of_part);
    let model_of_all = models.sum::<FootprintModel>() + segments.borders();
    let mut limits = whole.limits();
    limits.slots = 0;
    let Footprint {
        weights,
        state,
        activations,
        scratch,
    } = model_of_all.at(&limits, whole.segments[0].threads);
    let last_layers = ends.chain([model.info.layers - 1]);
    let segment = |((driver, first_layer), last_layer): (&(&str, u32), u32)| Segment {
        device: "cpu".to_owned(),
        driver: (*driver).to_owned(),
        threads: whole.segments[0].threads,
        first_layer: *first_layer,
        last_layer,
    };
    Plan {
        segments: parts.iter().zip(last_layers).map(segment).collect(),
        bytes: PlanBytes {
            weights,
            state,
            activations,
            scratch,
            ..whole.bytes
        },
        ..whole.clone()
    }
}

#[tokio::test]
async fn segments_give_the_tokens_of_the_whole() {
    let whole = plan(512, 2).await;
    let mut worker = Worker::loaded_as(&whole).await;
    let alone = worker.generate(request(question(QUESTION))).await.unwrap();
    assert_eq!(alone.text(0), ANSWER);
    for parts in [
        &[("cpu", 0), ("cpu", 2)][..],
        &[("cpu", 0), ("cpu", 1), ("cpu", 5)],
        &[("cpu", 0), ("reference", 3)],
        &[("reference", 0), ("cpu", 3)],
    ] {
        let mut worker = Worker::loaded_as(&cut(&whole, parts)).await;
        let answer = worker.generate(request(question(QUESTION))).await.unwrap();
        assert_eq!(answer.ids(0), alone.ids(0), "{parts:?}");
    }
}

#[tokio::test]
async fn what_can_not_be_honoured_is_refused() {
    let whole = plan(512, 2).await;
    let cut = cut(&whole, &[("cpu", 0), ("cpu", 2)]);
    let mut gap = cut.clone();
    gap.segments[1].first_layer = 3;
    let mut unplanned = cut.clone();
    unplanned.bytes.activations = whole.bytes.activations;
    let mut unknown = cut;
    unknown.segments[1].driver = "abacus".to_owned();
    for (plan, reason) in [
        (gap, "where one from layer 2 must be"),
        (unplanned, "the plan allows"),
        (unknown, "no driver is called \"abacus\""),
    ] {
        let mut worker = Worker::start(Role::Run).await;
        match worker.ask(load(&plan)).await {
            Some(FromWorker::Error(error)) => assert!(error.contains(reason), "{error}"),
            other => panic!("it was loaded: {other:?}"),
        }
    }
}
