//! What is chosen for a model that was measured: types of tensors and of keys and values, by policy.

use std::time::SystemTime;

use mains_contract::{
    BlockFormat, Bytes, Device, DeviceKind, DriverFacts, FootprintModel, FormatCosts, Inventory, Memory,
    Products,
};
use mains_planner::{
    BALANCED_KL, KEPT_KL, KEPT_SHARE, KeptTypes, MAX_DEFAULT_CONTEXT, SPEED_KL, WORST_KL, around, plan,
    plan_steadily,
};
use mains_types::{
    Demand, Digest, DriverCosts, GroupSensitivity, ModelFacts, Plan, Policy, RuntimeModel, SamplingDefaults,
    Sensitivity, TensorFacts,
};
use proptest::prelude::*;

/// Numbers in a row, a whole number of blocks of every format.
const COLS: u64 = 256;

/// Types that damages are measured for.
const TYPES: [BlockFormat; 6] = [
    BlockFormat::Q2_K,
    BlockFormat::Q3_K,
    BlockFormat::Q4_K,
    BlockFormat::Q5_K,
    BlockFormat::Q6_K,
    BlockFormat::Q8_0,
];

/// A box with a CPU and, behind it, a card of this free memory each.
fn devices(cpu: u64, card: Option<u64>) -> Inventory {
    let device = |id: &str, kind: DeviceKind, free: u64| Device {
        memory: Some(Memory {
            total: Bytes(1 << 50),
            free: Some(Bytes(free)),
            shared: false,
            host: None,
        }),
        usable_by: vec!["any".to_owned()],
        drivers: vec![DriverFacts {
            name: "any".to_owned(),
            version: "1".to_owned(),
            kernels: "test".to_owned(),
            threads: 2,
        }],
        ..Device::new(id, "a device of the test", kind)
    };
    let mut devices = vec![device("cpu", DeviceKind::Cpu, cpu)];
    devices.extend(card.map(|free| device("card", DeviceKind::Gpu, free)));
    Inventory {
        devices,
        problems: Vec::new(),
        probed_at: SystemTime::UNIX_EPOCH,
    }
}

/// What tensors cost on the only driver.
fn costs(tensors: &[TensorFacts]) -> DriverCosts {
    let adds = |tensor: &TensorFacts, format: BlockFormat| FootprintModel {
        weights: tensor.bytes_in(format),
        scratch_per_thread: Bytes(format.block_bytes() as u64 * 16),
        ..FootprintModel::default()
    };
    let kind = |tensor: &TensorFacts| {
        let all = BlockFormat::ALL.iter();
        all.map(|format| (*format, adds(tensor, *format))).collect()
    };
    let base = |state: u64| FootprintModel {
        state_per_token: Bytes(state),
        activations_per_row: Bytes(64),
        ..FootprintModel::default()
    };
    DriverCosts {
        driver: "any".to_owned(),
        kv: vec![(BlockFormat::F16, base(1024)), (BlockFormat::Q8_0, base(544))],
        formats: FormatCosts {
            base: base(1024),
            kinds: tensors.iter().map(kind).collect(),
            kind_of: (0..).take(tensors.len()).collect(),
        },
        runs: Vec::new(),
        shared: Vec::new(),
    }
}

/// A model of matrices with these rows, each as sensitive as its number says, in nats a token at two bits.
fn model(matrices: &[(u64, f64)]) -> ModelFacts {
    let tensors: Vec<TensorFacts> = matrices
        .iter()
        .enumerate()
        .map(|(index, (rows, _))| TensorFacts {
            name: format!("blk.{index}.ffn_up.weight"),
            format: BlockFormat::BF16,
            rows: *rows,
            cols: COLS,
        })
        .collect();
    let damages = |worst: f64| {
        let halving = TYPES.iter().zip(0..);
        halving
            .map(|(format, step)| (*format, worst * 0.25_f64.powi(step)))
            .collect()
    };
    ModelFacts {
        family: "llama".to_owned(),
        digest: Digest([7; 32]),
        file_bytes: tensors.iter().map(TensorFacts::bytes).sum(),
        parameters: 1,
        layers: 2,
        width: 256,
        vocabulary: 1000,
        context: 100_000,
        chat: true,
        sampling: SamplingDefaults::default(),
        products: vec![Products::default(); tensors.len()],
        borders: Vec::new(),
        parts: vec![(0, 0); tensors.len()],
        costs: vec![costs(&tensors)],
        unsupported: Vec::new(),
        block_tokens: 16,
        runtime: RuntimeModel {
            fixed: Bytes(1 << 20),
            per_sequence: Bytes(4000),
            per_block: Bytes(16),
        },
        about: mains_types::About::default(),
        sensitivity: Some(Sensitivity {
            model: Digest([7; 32]),
            groups: tensors
                .iter()
                .zip(matrices)
                .map(|(tensor, (_, worst))| GroupSensitivity {
                    name: tensor.name.clone(),
                    tensors: vec![tensor.name.clone()],
                    damages: damages(*worst),
                })
                .collect(),
            kv: vec![(BlockFormat::F16, 0.0), (BlockFormat::Q8_0, 0.001)],
            whole: Vec::new(),
        }),
        importance: None,
        tensors,
    }
}

fn any_matrices() -> impl Strategy<Value = Vec<(u64, f64)>> {
    proptest::collection::vec((1_u64..2000, 0.0001..0.3_f64), 1..24)
}

fn under(policy: Policy) -> Demand {
    Demand {
        policy: Some(policy),
        ..Demand::default()
    }
}

fn stored(plan: &Plan) -> Bytes {
    plan.tensors.iter().map(|tensor| tensor.bytes).sum()
}

/// The damage of a plan by the table that it was made of.
fn damage(facts: &ModelFacts, plan: &Plan) -> f64 {
    let table = facts.sensitivity.as_ref().expect("the model was measured");
    let of = |name: &str, format| {
        let mut groups = table.groups.iter();
        let group = groups
            .find(|group| group.tensors[0] == name)
            .expect("every tensor was measured");
        let known = group.damages.iter().find(|(known, _)| *known == format);
        known.map_or(0.0, |(_, damage)| *damage)
    };
    let kv = table.kv.iter().find(|(kv, _)| *kv == plan.kv_format);
    let kv = kv.expect("its type of keys was measured").1;
    plan.tensors
        .iter()
        .map(|tensor| of(&tensor.name, tensor.format))
        .sum::<f64>()
        + kv
}

#[test]
fn everything_stays_as_it_is_where_there_is_room_for_it() {
    let facts = model(&[(100, 0.1), (200, 0.2)]);
    for policy in [Policy::Quality, Policy::Balanced] {
        let plan = plan(&devices(1 << 40, None), &facts, "m", &under(policy)).unwrap();
        assert!(
            plan.tensors
                .iter()
                .all(|tensor| tensor.format == BlockFormat::BF16)
        );
        assert_eq!((plan.kl, plan.kv_format), (Some(0.0), BlockFormat::F16));
        assert_eq!((plan.context, plan.parallel), (MAX_DEFAULT_CONTEXT, 8));
    }
    let fast = plan(&devices(1 << 40, None), &facts, "m", &under(Policy::Speed)).unwrap();
    assert!(stored(&fast) < Bytes(300 * COLS * 2) && fast.kl.unwrap() <= SPEED_KL);
}

#[test]
fn a_table_of_another_model_changes_nothing() {
    let mut facts = model(&[(100, 0.1)]);
    facts.sensitivity.as_mut().unwrap().model = Digest([8; 32]);
    let plan = plan(&devices(1 << 40, None), &facts, "m", &under(Policy::Speed)).unwrap();
    assert_eq!((plan.kl, plan.tensors[0].format), (None, BlockFormat::BF16));
}

#[test]
fn the_cpu_is_taken_only_when_asked_where_a_card_computes() {
    let facts = model(&[(100, 0.1)]);
    let both = devices(1 << 40, Some(1 << 30));
    let taken =
        |demand: &Demand| plan(&both, &facts, "m", demand).map(|plan| plan.segments[0].device.clone());
    assert_eq!(taken(&Demand::default()), Ok("card".to_owned()));
    let asked = Demand {
        devices: vec!["cpu".to_owned()],
        ..Demand::default()
    };
    assert_eq!(taken(&asked), Ok("cpu".to_owned()));
    let small = plan(&devices(1 << 40, Some(1000)), &facts, "m", &Demand::default()).unwrap_err();
    assert!(
        small
            .nearest
            .iter()
            .any(|nearest| nearest.words.starts_with("device cpu")),
        "{small:?}"
    );
}

#[test]
fn a_floor_that_memory_does_not_reach_is_told_with_what_would_do() {
    let facts = model(&[(4000, 0.3), (4000, 0.3)]);
    let demand = Demand {
        memory: Some(Bytes((1 << 20) + 1_000_000 + (512 * 1024) + 40_000)),
        context: Some(512),
        parallel: Some(1),
        ..Demand::default()
    };
    let refused = plan(&devices(0, None), &facts, "m", &demand).unwrap_err();
    assert!(
        refused
            .nearest
            .iter()
            .any(|nearest| nearest.words.contains("policy quality")),
        "{refused:?}"
    );
    let quality = Demand {
        policy: Some(Policy::Quality),
        ..demand
    };
    let plan = plan(&devices(0, None), &facts, "m", &quality).unwrap();
    assert!(
        plan.kl.unwrap() > BALANCED_KL && plan.kl.unwrap() <= WORST_KL,
        "{plan:?}"
    );
}

proptest! {
    #[test]
    fn plans_keep_their_promises(matrices in any_matrices(), memory in 1_u64 << 20..1 << 26, policy in 0_usize..3) {
        let facts = model(&matrices);
        let policy = Policy::ALL[policy];
        let Ok(plan) = plan(&devices(memory, None), &facts, "m", &under(policy)) else { return Ok(()) };
        prop_assert!(plan.bytes.total() <= Bytes(memory));
        prop_assert!(plan.gap <= 1e-3);
        let kl = plan.kl.unwrap();
        prop_assert!((kl - damage(&facts, &plan)).abs() < 1e-9);
        let floor = match policy {
            Policy::Quality => WORST_KL,
            Policy::Balanced => BALANCED_KL,
            Policy::Speed => SPEED_KL,
        };
        prop_assert!(kl <= floor * (1.0 + 1e-9), "{kl}");
        let formats: Vec<_> = plan.tensors.iter().map(|tensor| tensor.format).collect();
        let costs = &facts.costs[0];
        let (_, base) = costs.kv.iter().find(|(kv, _)| *kv == plan.kv_format).unwrap();
        let footprint = (*base + costs.formats.adds(&formats).unwrap()).at(&plan.limits(), 2);
        prop_assert_eq!(footprint.total() + facts.runtime.at(&plan.limits()), plan.bytes.total());
    }

    #[test]
    fn more_memory_is_never_for_less(matrices in any_matrices(), memory in 1_u64 << 20..1 << 26, more in 0_u64..1 << 24) {
        let facts = model(&matrices);
        let Ok(small) = plan(&devices(memory, None), &facts, "m", &Demand::default()) else { return Ok(()) };
        let large = plan(&devices(memory + more, None), &facts, "m", &Demand::default()).unwrap();
        prop_assert!((large.context, large.parallel) >= (small.context, small.parallel));
    }

    #[test]
    fn weights_keep_to_their_budget(matrices in any_matrices(), share in 0.05..1.2_f64) {
        let facts = model(&matrices);
        let budget = Bytes((facts.file_bytes.0 as f64 * share) as u64);
        let asked = |weights| Demand { weights: Some(weights), ..Demand::default() };
        let least: Bytes = facts.tensors.iter().map(|tensor| tensor.bytes_in(BlockFormat::Q2_K)).sum();
        match plan(&devices(1 << 40, None), &facts, "m", &asked(budget)) {
            Ok(found) => {
                prop_assert!(stored(&found) <= budget);
                let less = plan(&devices(1 << 40, None), &facts, "m", &asked(Bytes(budget.0 - budget.0 / 10)));
                if let Ok(less) = less {
                    prop_assert!(less.kl.unwrap() >= found.kl.unwrap() * (1.0 - 1e-3));
                }
            }
            Err(refused) => {
                prop_assert!(budget < least, "{refused}");
                prop_assert!(refused.reason.contains("bytes of weights"), "{refused}");
            }
        }
    }

    #[test]
    fn what_is_called_nearest_has_a_plan(
        matrices in any_matrices(),
        memory in 0_u64..1 << 24,
        weights in proptest::option::of(1_u64..1 << 22),
        policy in 0_usize..3,
        card in proptest::option::of(0_u64..1 << 24),
    ) {
        let facts = model(&matrices);
        let inventory = devices(memory, card);
        let demand = Demand { weights: weights.map(Bytes), ..under(Policy::ALL[policy]) };
        let Err(refused) = plan(&inventory, &facts, "m", &demand) else { return Ok(()) };
        prop_assert!(!refused.nearest.is_empty(), "{refused}");
        for nearest in &refused.nearest {
            let found = plan(&inventory, &facts, "m", &nearest.demand);
            prop_assert!(found.is_ok(), "{nearest:?}: {found:?}");
        }
    }

    #[test]
    fn the_table_around_a_plan_has_it_and_falls(matrices in any_matrices(), memory in 1_u64 << 22..1 << 26) {
        let facts = model(&matrices);
        let inventory = devices(memory, None);
        let Ok(plan) = plan(&inventory, &facts, "m", &Demand::default()) else { return Ok(()) };
        let rows = around(&inventory, &facts, &Demand::default(), &plan);
        prop_assert!(rows.windows(2).all(|pair| pair[0].weights < pair[1].weights));
        prop_assert!(rows.windows(2).all(|pair| pair[0].kl >= pair[1].kl * (1.0 - 1e-3)));
        prop_assert!(rows.iter().filter(|row| row.chosen).count() <= 1);
        prop_assert!(rows.iter().filter(|row| row.chosen).all(|row| row.fits && row.total == plan.bytes.total()));
    }

    #[test]
    fn types_do_not_follow_every_byte(matrices in any_matrices(), memory in 1_u64 << 21..1 << 26, less in 0_u64..1 << 15, policy in 0_usize..3) {
        let facts = model(&matrices);
        let demand = under(Policy::ALL[policy]);
        let planned = |memory: u64, kept: &[KeptTypes]| plan_steadily(&devices(memory, None), &facts, "m", &demand, kept);
        let Ok(first) = planned(memory, &[]) else { return Ok(()) };
        prop_assert!(first.bytes.total() <= Bytes(memory));
        // With the first one's file there, a little less or more memory takes it again unless it costs something.
        for memory in [memory - less, memory + less] {
            let Ok(best) = planned(memory, &[]) else { continue };
            let again = planned(memory, &[types(&first)]).unwrap();
            prop_assert!(again.bytes.total() <= Bytes(memory));
            prop_assert!(again.weights == first.weights || again.weights == best.weights);
            prop_assert!((again.context, again.parallel) >= (best.context, best.parallel));
            let (kl, least) = (again.kl.unwrap(), best.kl.unwrap());
            let noise = if demand.policy == Some(Policy::Quality) { 0.0 } else { KEPT_KL };
            prop_assert!(kl <= least * (1.0 + KEPT_SHARE) + noise + 1e-9, "{kl} {least}");
            prop_assert!((kl - damage(&facts, &again)).abs() < 1e-9);
            // What the file that is there costs is told.
            let told = if again.weights == best.weights { 0.0 } else { (kl - least) / kl };
            prop_assert!(again.policy == Policy::Speed || again.gap >= told - 1e-9, "{} {told}", again.gap);
        }
    }
}

/// The types of a plan, as its file has them.
fn types(plan: &Plan) -> KeptTypes {
    let tensors = plan.tensors.iter();
    tensors
        .map(|tensor| (tensor.name.clone(), tensor.format))
        .collect()
}

#[test]
fn a_step_of_memory_is_one_choice_of_types() {
    let facts = model(&[(4000, 0.3), (3000, 0.2), (2000, 0.1), (1000, 0.01)]);
    let at = |free: u64| {
        let plan = plan_steadily(&devices(free, None), &facts, "m", &Demand::default(), &[]).unwrap();
        (plan.weights, plan.variant)
    };
    // A step is a MiB of 32.
    let first = at(32 << 20);
    for free in [1, 5000, (1 << 20) - 1] {
        assert_eq!(at((32 << 20) + free), first);
    }
}

#[test]
fn a_file_that_is_there_serves_until_it_costs_quality() {
    let facts = model(&[(4000, 0.3), (3000, 0.2), (2000, 0.1), (1000, 0.01)]);
    let demand = Demand {
        context: Some(512),
        parallel: Some(1),
        ..Demand::default()
    };
    let planned = |free: u64, kept: &[KeptTypes]| {
        plan_steadily(&devices(free, None), &facts, "m", &demand, kept).unwrap()
    };
    let (small, large) = (planned(5 << 20, &[]), planned(6 << 20, &[]));
    assert!(small.weights != large.weights);
    // Twice the quality is worth another file.
    assert_eq!(planned(6 << 20, &[types(&small)]).weights, large.weights);
    // What does not fit does not serve.
    assert_eq!(planned(5 << 20, &[types(&large)]).weights, small.weights);
    assert_eq!(
        planned(6 << 20, &[types(&small), types(&large)]).weights,
        large.weights
    );
}

#[test]
fn a_bound_of_bytes_is_filled_whatever_files_are_there() {
    // All that types could cost here is below what a file that is there may cost.
    let facts = model(&[(4000, 3e-7), (3000, 2e-7), (2000, 1e-7), (1000, 1e-8)]);
    let planned = |policy, weights: Option<u64>, kept: &[KeptTypes]| {
        let demand = Demand {
            weights: weights.map(Bytes),
            context: Some(512),
            parallel: Some(1),
            ..under(policy)
        };
        // Too little for the types of its files.
        plan_steadily(&devices(5 << 20, None), &facts, "m", &demand, kept).unwrap()
    };
    let coarse = planned(Policy::Speed, None, &[]);
    let file = [types(&coarse)];
    for policy in Policy::ALL {
        let bound = Some(coarse.bytes.weights.0 * 2);
        assert_eq!(planned(policy, bound, &file), planned(policy, bound, &[]));
    }
    assert_eq!(planned(Policy::Balanced, None, &file).weights, coarse.weights);
    assert_eq!(
        planned(Policy::Quality, None, &file),
        planned(Policy::Quality, None, &[])
    );
}

#[test]
fn what_types_were_quantized_by_is_part_of_their_digest() {
    let plain = model(&[(4000, 0.3), (3000, 0.2)]);
    let weighted = ModelFacts {
        importance: Some(Digest([3; 32])),
        ..plain.clone()
    };
    let digests = |facts: &ModelFacts, policy| {
        let plan = plan_steadily(&devices(1 << 40, None), facts, "m", &under(policy), &[]).unwrap();
        (plan.weights, plan.variant)
    };
    // As stored it is the same model.
    assert_eq!(
        digests(&plain, Policy::Quality),
        digests(&weighted, Policy::Quality)
    );
    assert_ne!(digests(&plain, Policy::Speed), digests(&weighted, Policy::Speed));
}
