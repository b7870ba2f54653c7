//! What a plan promises, over many boxes, models and demands.

use std::time::SystemTime;

use mains_contract::{
    BlockFormat, Bytes, Device, DeviceKind, DriverFacts, FootprintModel, FormatCosts, Health, HealthState,
    Inventory, Measured, Memory, Precision, Products,
};
use mains_planner::{DEFAULT_PARALLEL, HOST_RESERVE, MAX_PARALLEL, plan, predict_plan};
use mains_types::{
    Demand, Digest, DriverCosts, ModelFacts, Plan, RuntimeModel, SamplingDefaults, TensorFacts,
};
use proptest::prelude::*;

fn device(id: &str, free: Option<Bytes>) -> Device {
    Device {
        memory: Some(Memory {
            total: Bytes::from_mib(1 << 20),
            free,
            shared: false,
            host: None,
        }),
        usable_by: vec!["cpu".to_owned()],
        drivers: vec![driver()],
        ..Device::new(id, "a device of the test", DeviceKind::Cpu)
    }
}

fn driver() -> DriverFacts {
    DriverFacts {
        name: "cpu".to_owned(),
        version: "1".to_owned(),
        kernels: "avx2".to_owned(),
        threads: 4,
    }
}

fn inventory(devices: Vec<Device>) -> Inventory {
    Inventory {
        devices,
        problems: Vec::new(),
        probed_at: SystemTime::UNIX_EPOCH,
    }
}

fn box_with(free: u64) -> Inventory {
    inventory(vec![device("cpu", Some(Bytes(free)))])
}

fn model() -> ModelFacts {
    ModelFacts {
        family: "qwen3".to_owned(),
        digest: Digest([7; 32]),
        file_bytes: Bytes::from_mib(12),
        parameters: 6_000_000,
        layers: 4,
        width: 256,
        vocabulary: 4096,
        context: 2048,
        chat: true,
        sampling: SamplingDefaults::default(),
        tensors: vec![TensorFacts {
            name: "token_embd.weight".to_owned(),
            format: BlockFormat::BF16,
            rows: 4096,
            cols: 256,
        }],
        products: vec![Products {
            per_token: 0,
            per_output_row: 4096 * 256,
        }],
        borders: Vec::new(),
        parts: vec![(0, 0)],
        costs: vec![DriverCosts {
            driver: "cpu".to_owned(),
            kv: vec![(BlockFormat::F16, footprint())],
            formats: FormatCosts {
                base: footprint(),
                kinds: vec![kind(4096 * 256)],
                kind_of: vec![0],
            },
            runs: Vec::new(),
            shared: Vec::new(),
        }],
        unsupported: vec![("other".to_owned(), "it lacks rope".to_owned())],
        block_tokens: 16,
        runtime: RuntimeModel {
            fixed: Bytes::from_mib(20),
            per_sequence: Bytes(1000),
            per_block: Bytes(10),
        },
        about: mains_types::About::default(),
        sensitivity: None,
        importance: None,
    }
}

/// What a tensor of so many numbers adds in each format.
fn kind(numbers: u64) -> Vec<(BlockFormat, FootprintModel)> {
    let adds = |format: BlockFormat| {
        let weights = numbers / format.block_len() as u64 * format.block_bytes() as u64;
        let model = FootprintModel {
            weights: Bytes(weights),
            scratch_per_thread: Bytes(format.block_bytes() as u64),
            ..FootprintModel::default()
        };
        (format, model)
    };
    BlockFormat::ALL.map(adds).to_vec()
}

/// The bytes of a plan by the model that it was made of.
fn stated(facts: &ModelFacts, plan: &Plan) -> Bytes {
    let formats: Vec<_> = plan.tensors.iter().map(|tensor| tensor.format).collect();
    let costs = &facts.costs[0];
    let (_, base) = costs
        .kv
        .iter()
        .find(|(kv, _)| *kv == plan.kv_format)
        .expect("a plan's type of keys is one of its driver's");
    let footprint = *base
        + costs
            .formats
            .adds(&formats)
            .expect("a plan's types are its driver's");
    footprint.at(&plan.limits(), 4).total() + facts.runtime.at(&plan.limits())
}

fn footprint() -> FootprintModel {
    FootprintModel {
        weights: Bytes::from_mib(10),
        state_per_token: Bytes(8192),
        state_per_sequence: Bytes::ZERO,
        activations_per_row: Bytes(6000),
        activations_per_output_row: Bytes(16384),
        scratch: Bytes(4096),
        scratch_per_row: Bytes(512),
        scratch_per_context_token: Bytes(64),
        scratch_per_table_entry: Bytes(4),
        scratch_per_thread: Bytes(1000),
        scratch_per_thread_and_context_token: Bytes(32),
    }
}

fn demand(context: Option<u32>, parallel: Option<u32>) -> Demand {
    Demand {
        context,
        parallel,
        ..Demand::default()
    }
}

#[test]
fn takes_the_models_context_and_the_default_of_sequences_when_all_fits() {
    let plan = plan(&box_with(1 << 40), &model(), "pilot", &Demand::default()).unwrap();
    assert_eq!((plan.context, plan.parallel), (2048, DEFAULT_PARALLEL));
    assert_eq!(plan.blocks, DEFAULT_PARALLEL * 128);
    assert_eq!(
        plan.bytes.state,
        Bytes(8192).times(u64::from(DEFAULT_PARALLEL) * 2048)
    );
    assert_eq!(plan.segments[0].driver, "cpu");
    assert_eq!(plan.tensors[0].bytes, Bytes(4096 * 256 * 2));
    assert_eq!(stated(&model(), &plan), plan.bytes.total());
}

#[test]
fn names_what_is_missing_and_what_would_fit() {
    let full = demand(Some(2048), Some(8));
    let refused = plan(&box_with(60 << 20), &model(), "pilot", &full).unwrap_err();
    assert!(refused.reason.contains("60.0 MiB may be used"), "{refused}");
    assert!(
        refused.nearest[0]
            .words
            .starts_with("context 2048 and parallel 1"),
        "{:?}",
        refused.nearest
    );
}

#[test]
fn asks_for_no_other_device_than_demanded() {
    let elsewhere = Demand {
        devices: vec!["gpu-0".to_owned()],
        ..Demand::default()
    };
    let refused = plan(&box_with(1 << 40), &model(), "pilot", &elsewhere).unwrap_err();
    assert_eq!(refused.reason, "there is no device \"gpu-0\"");

    let mut gpu = device("gpu-0", Some(Bytes(1 << 40)));
    gpu.usable_by.clear();
    gpu.unusable_because = Some("no driver of this version computes on it".to_owned());
    let both = inventory(vec![device("cpu", Some(Bytes(1 << 40))), gpu]);
    let refused = plan(&both, &model(), "pilot", &elsewhere).unwrap_err();
    assert!(refused.reason.contains("no driver of this version"), "{refused}");
    assert_eq!(
        plan(&both, &model(), "pilot", &Demand::default())
            .unwrap()
            .segments[0]
            .device,
        "cpu"
    );
}

#[test]
fn passes_over_devices_that_failed_or_do_not_know_their_memory() {
    let mut failed = device("cpu", Some(Bytes(1 << 40)));
    failed.health = Health {
        state: HealthState::Failed,
        reasons: vec!["its memory has errors".to_owned()],
    };
    let refused = plan(&inventory(vec![failed]), &model(), "pilot", &Demand::default()).unwrap_err();
    assert!(refused.reason.contains("its memory has errors"), "{refused}");

    let unknown = inventory(vec![device("cpu", None)]);
    let refused = plan(&unknown, &model(), "pilot", &Demand::default()).unwrap_err();
    assert!(refused.reason.contains("not known"), "{refused}");
    let told = Demand {
        memory: Some(Bytes::from_mib(1024)),
        ..Demand::default()
    };
    assert!(plan(&unknown, &model(), "pilot", &told).is_ok());
}

#[test]
fn equal_devices_are_told_once_and_beside_them_all_together() {
    let card = |number: u32, free: u64| {
        let free = Some(Bytes::from_mib(free));
        Device {
            kind: DeviceKind::Gpu,
            ..device(&format!("gpu-{number}"), free)
        }
    };
    let refusal = |cards: Vec<Device>| {
        let refused = plan(&inventory(cards), &model(), "pilot", &Demand::default()).unwrap_err();
        refused.reason
    };
    let told = refusal((0..4).map(|number| card(number, 1)).collect());
    assert_eq!(told.matches("on gpu-0 ").count(), 1, "{told}");
    assert!(
        !told.contains("on gpu-1 ") && !told.contains("on gpu-0 and gpu-1 "),
        "{told}"
    );
    assert_eq!(told.matches("gpu-0, gpu-1, gpu-2 and gpu-3").count(), 1, "{told}");
    let told = refusal(vec![card(0, 1), card(1, 2), card(2, 1)]);
    assert!(told.contains("on gpu-0 ") && told.contains("on gpu-1 "), "{told}");
    assert!(!told.contains("on gpu-2 "), "{told}");
}

#[test]
fn leaves_the_host_room_where_it_shares_the_memory() {
    let mut cpu = device("cpu", Some(Bytes::from_mib(64) + HOST_RESERVE));
    cpu.memory.as_mut().unwrap().shared = true;
    let plan = plan(&inventory(vec![cpu]), &model(), "pilot", &Demand::default()).unwrap();
    assert!(plan.bytes.total() <= Bytes::from_mib(64));
}

#[test]
fn names_the_driver_that_lacks_an_operation() {
    let mut facts = model();
    facts.costs.clear();
    facts.unsupported = vec![("cpu".to_owned(), "it lacks rope".to_owned())];
    let refused = plan(&box_with(1 << 40), &facts, "pilot", &Demand::default()).unwrap_err();
    assert!(refused.reason.contains("driver cpu: it lacks rope"), "{refused}");
}

#[test]
fn refuses_demands_beyond_the_model() {
    for bad in [
        demand(Some(2049), None),
        demand(Some(0), None),
        demand(None, Some(0)),
        demand(None, Some(MAX_PARALLEL + 1)),
    ] {
        assert!(
            plan(&box_with(1 << 40), &model(), "pilot", &bad).is_err(),
            "{bad:?}"
        );
    }
}

#[test]
fn a_driver_that_says_nothing_of_its_allocations_is_not_planned_on() {
    let mut silent = box_with(1 << 40);
    silent.devices[0].drivers.clear();
    let refused = plan(&silent, &model(), "pilot", &Demand::default()).unwrap_err();
    assert!(
        refused.reason.contains("driver cpu allocates on cpu"),
        "{refused}"
    );
}

#[test]
fn threads_of_the_device_are_planned_for() {
    let mut wide = box_with(1 << 40);
    wide.devices[0].drivers[0].threads = 100;
    let few = plan(&box_with(1 << 40), &model(), "pilot", &Demand::default()).unwrap();
    let many = plan(&wide, &model(), "pilot", &Demand::default()).unwrap();
    assert_eq!((few.segments[0].threads, many.segments[0].threads), (4, 100));
    let more = 96 * (1000 + 32 * 2048);
    // A block of the only tensor's type is working memory as well.
    assert_eq!(many.bytes.scratch, few.bytes.scratch + Bytes(more + 96 * 2));
}

fn measured() -> Measured {
    Measured {
        at: SystemTime::UNIX_EPOCH,
        driver: driver(),
        read_bytes_per_s: 1e9,
        operations_per_s: [(Precision::Bf16, 1e9), (Precision::F32, 1e8)].into(),
        spread: 0.1,
    }
}

#[test]
fn speed_is_bytes_over_bandwidth_and_operations_over_throughput() {
    let mut facts = model();
    facts.costs[0].formats.kinds.push(kind(1_000_000));
    facts.costs[0].formats.kind_of.push(1);
    facts.parts.push((0, 0));
    facts.tensors.push(TensorFacts {
        name: "blk.0.ffn_down_exps.weight".to_owned(),
        format: BlockFormat::F32,
        rows: 1000,
        cols: 1000,
    });
    // A tenth of the experts is chosen.
    facts.products.push(Products {
        per_token: 100_000,
        per_output_row: 0,
    });
    let predict = |measured: Option<Measured>| {
        let mut fast = box_with(1 << 40);
        fast.devices[0].measured = measured;
        let plan = plan(&fast, &facts, "pilot", &demand(Some(2000), Some(1))).unwrap();
        assert_eq!(predict_plan(&fast, &facts, &plan), plan.predicted, "also later");
        plan.predicted
    };
    assert_eq!(predict(None), None);
    let found = predict(Some(measured())).unwrap();
    let bytes = f64::from(4096 * 256 * 2 + 400_000 + 1000 * 8192);
    assert!(
        (found.decode_tokens_per_s * bytes / 1e9 - 1.0).abs() < 1e-9,
        "{found:?}"
    );
    let prefill = found.prefill_tokens_per_s.unwrap();
    assert!((prefill * 200_000.0 / 1e8 - 1.0).abs() < 1e-9, "{found:?}");

    let mut without_f32 = measured();
    without_f32.operations_per_s.remove(&Precision::F32);
    let found = predict(Some(without_f32)).unwrap();
    assert_eq!(found.prefill_tokens_per_s, None, "a type was not measured");
    let mut of_another = measured();
    of_another.driver.threads += 1;
    assert_eq!(predict(Some(of_another)), None, "it says nothing of this driver");
}

prop_compose! {
    fn any_model()(
        context in 1_u32..200_000,
        block_tokens in 1_u32..300,
        weights in 0_u64..1 << 34,
        state in 0_u64..1 << 20,
        row in 0_u64..1 << 22,
        output_row in 0_u64..1 << 22,
        scratch in 0_u64..1 << 26,
        runtime in 0_u64..1 << 26,
    ) -> ModelFacts {
        let mut facts = model();
        facts.context = context;
        facts.block_tokens = block_tokens;
        facts.runtime.fixed = Bytes(runtime);
        facts.costs[0].kv[0].1 = FootprintModel {
            weights: Bytes(weights),
            state_per_token: Bytes(state),
            state_per_sequence: Bytes(300),
            activations_per_row: Bytes(row),
            activations_per_output_row: Bytes(output_row),
            scratch: Bytes(scratch),
            scratch_per_row: Bytes(row / 7),
            scratch_per_context_token: Bytes(state / 5),
            scratch_per_table_entry: Bytes(state % 7),
            scratch_per_thread: Bytes(scratch / 3),
            scratch_per_thread_and_context_token: Bytes(state / 9),
        };
        facts
    }
}

fn any_demand() -> impl Strategy<Value = Demand> {
    (
        proptest::option::of(1_u32..200_000),
        proptest::option::of(1_u32..=MAX_PARALLEL),
    )
        .prop_map(|(context, parallel)| demand(context, parallel))
}

proptest! {
    #[test]
    fn keeps_to_memory_and_to_demands(facts in any_model(), demand in any_demand(), free in 0_u64..1 << 37) {
        let inventory = box_with(free);
        let first = plan(&inventory, &facts, "m", &demand);
        prop_assert_eq!(&first, &plan(&inventory, &facts, "m", &demand));
        let Ok(plan) = first else { return Ok(()) };
        prop_assert!(plan.bytes.total() <= Bytes(free));
        prop_assert!(demand.context.is_none_or(|context| context == plan.context));
        prop_assert!(demand.parallel.is_none_or(|parallel| parallel == plan.parallel));
        prop_assert!(plan.context <= facts.context);
        prop_assert!(plan.step_rows >= plan.parallel);
        let a_sequence = plan.context.div_ceil(plan.block_tokens);
        prop_assert_eq!(u64::from(plan.blocks), u64::from(plan.parallel) * u64::from(a_sequence));
        prop_assert_eq!(stated(&facts, &plan), plan.bytes.total());
    }

    #[test]
    fn more_memory_never_gives_less(facts in any_model(), demand in any_demand(), free in 0_u64..1 << 36, more in 0_u64..1 << 36) {
        let Ok(small) = plan(&box_with(free), &facts, "m", &demand) else { return Ok(()) };
        let large = plan(&box_with(free + more), &facts, "m", &demand);
        prop_assert!(large.is_ok());
        let large = large.unwrap();
        prop_assert!((large.context, large.parallel) >= (small.context, small.parallel));
        prop_assert_eq!(large.variant, small.variant);
    }

    #[test]
    fn what_is_called_nearest_has_a_plan(facts in any_model(), demand in any_demand(), free in 0_u64..1 << 36) {
        let Err(refused) = plan(&box_with(free), &facts, "m", &demand) else { return Ok(()) };
        prop_assert!(!refused.nearest.is_empty(), "{refused}");
        for nearest in &refused.nearest {
            let found = plan(&box_with(free), &facts, "m", &nearest.demand);
            prop_assert!(found.is_ok(), "{nearest:?}: {found:?}");
            prop_assert!(nearest.demand != demand);
        }
    }

    #[test]
    fn a_variant_is_told_by_its_types(first in 0_usize..BlockFormat::ALL.len(), second in 0_usize..BlockFormat::ALL.len()) {
        let of = |index: usize| {
            let mut facts = model();
            facts.tensors[0].format = BlockFormat::ALL[index];
            plan(&box_with(1 << 40), &facts, "m", &Demand::default()).unwrap().variant
        };
        prop_assert_eq!(of(first) == of(second), first == second);
    }
}
