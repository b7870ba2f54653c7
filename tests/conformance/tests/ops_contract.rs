//! The promises of a driver beside its numbers: exact footprints, and errors that say what is wrong.

use std::sync::Arc;

use mains_conformance::ops::{LayerShape, Runner, Weights, available, cpu, layer, reference};
use mains_contract::{
    BlockFormat, BlockId, Driver, DriverError, DriverFacts, GraphBuilder, Op, OutputName, SequenceSpan,
    SlotId, Step, StepLimits,
};
use mains_driver_cpu::{CpuDriver, CpuOptions, Isa};

const LIMITS: StepLimits = StepLimits {
    rows: 5,
    output_rows: 3,
    context: 20,
    blocks: 6,
    block_tokens: 4,
    slots: 0,
};

fn drivers() -> Vec<Box<dyn Driver>> {
    vec![reference(), cpu(available()[0], 1), cpu(Isa::Portable, 3)]
}

#[test]
fn a_load_allocates_what_its_footprint_says() {
    let odd = LayerShape {
        heads: 3,
        kv_heads: 3,
        head_dim: 18,
        value_dim: 7,
        pairs: 9,
        ..LayerShape::default()
    };
    for shape in [LayerShape::default(), odd] {
        let graph = layer(&shape).unwrap();
        for format in [BlockFormat::F32, BlockFormat::Q8_0, BlockFormat::Q4_K] {
            let fits = |name: &str| !name.ends_with(".o") || shape.value_dim == 32;
            let weights = Weights::random(
                &graph,
                1,
                |name| if fits(name) { format } else { BlockFormat::BF16 },
            );
            for driver in drivers() {
                let threads = DriverFacts::new(driver.capabilities(), "").threads;
                let model = driver.footprint(&graph, &weights.formats(&graph));
                for limits in [
                    LIMITS,
                    StepLimits {
                        rows: 1,
                        output_rows: 1,
                        context: 1,
                        blocks: 1,
                        block_tokens: 1,
                        slots: 0,
                    },
                ] {
                    let loaded = driver.load(Arc::clone(&graph), &weights, &limits).unwrap();
                    assert_eq!(
                        loaded.footprint(),
                        model.at(&limits, threads),
                        "{}",
                        driver.capabilities().driver
                    );
                }
            }
        }
    }
}

#[test]
fn values_share_memory_when_they_are_not_needed_together() {
    let shape = LayerShape::default();
    let graph = layer(&shape).unwrap();
    let formats = vec![BlockFormat::F32; graph.weights().len()];
    let found = cpu(Isa::Portable, 1).footprint(&graph, &formats);
    // The row that passes through, the norm of it, a gate, its partner and their product.
    let most = 4 * (2 * shape.width + 3 * shape.inner) as u64;
    assert!(
        found.activations_per_row.0 <= most,
        "{} bytes a row, {most} are enough",
        found.activations_per_row.0
    );
}

#[test]
fn steps_that_contradict_themselves_are_refused_and_the_model_lives_on() {
    let graph = layer(&LayerShape::default()).unwrap();
    let weights = Weights::random(&graph, 1, |_| BlockFormat::F32);
    let (good, far) = ([BlockId(0)], [BlockId(6)]);
    for driver in drivers() {
        let mut model = driver.load(Arc::clone(&graph), &weights, &LIMITS).unwrap();
        let mut run = |token: u32, position: u32, rows: u32, blocks: &[BlockId], logits: usize| {
            let step = Step {
                tokens: &[token],
                positions: &[position],
                sequences: &[SequenceSpan {
                    first_row: 0,
                    rows,
                    blocks,
                    slot: SlotId(0),
                }],
                output_rows: &[0],
                inputs: &[],
            };
            model
                .run(&step, &mut vec![0.0; logits])
                .map_err(|error| error.to_string())
        };
        for (found, expected) in [
            (run(40, 0, 1, &good, 40), "token 40"),
            (run(u32::MAX, 0, 1, &good, 40), "token 4294967295"),
            (run(0, 20, 1, &good, 40), "position 20"),
            (run(0, 4, 1, &good, 40), "needs 2"),
            (run(0, 0, 1, &far, 40), "block 6"),
            (run(0, 0, 1, &[], 40), "0 blocks"),
            (run(0, 0, 2, &good, 40), "row 2 of 1"),
            (run(0, 0, 1, &good, 39), "room for 39"),
        ] {
            let found = found.unwrap_err();
            assert!(found.contains(expected), "{found:?} does not say {expected:?}");
        }
        assert_eq!(run(39, 0, 1, &good, 40), Ok(()));
    }
}

#[test]
fn an_empty_step_does_nothing() {
    let graph = layer(&LayerShape::default()).unwrap();
    let weights = Weights::random(&graph, 1, |_| BlockFormat::Q8_0);
    for driver in drivers() {
        let mut runner = Runner::new(&*driver, &graph, &weights, &LIMITS, 1);
        assert!(runner.step(&[]).is_empty());
    }
}

#[test]
fn weights_that_do_not_fit_are_refused_by_name() {
    let graph = layer(&LayerShape::default()).unwrap();
    let whole = Weights::random(&graph, 1, |_| BlockFormat::F32);
    for driver in drivers() {
        let load = |weights: &Weights| match driver.load(Arc::clone(&graph), weights, &LIMITS) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        let mut missing = whole.clone();
        missing.remove("1.q");
        assert!(load(&missing).contains("weight 1.q: there is none"));
        let mut other = whole.clone();
        other.insert("0.up", BlockFormat::F32, 2, 256, &[0.0; 512]);
        assert!(
            load(&other).contains("weight 0.up: it is 2 x 256"),
            "{}",
            load(&other)
        );
    }
}

#[test]
fn what_is_not_supported_says_why() {
    let shape = LayerShape {
        state: BlockFormat::Q5_0,
        ..LayerShape::default()
    };
    let graph = layer(&shape).unwrap();
    let weights = Weights::random(&graph, 1, |_| BlockFormat::F32);
    for driver in drivers() {
        let formats = weights.formats(&graph);
        let refused = graph
            .nodes()
            .iter()
            .find_map(|node| driver.supports(&graph, node, &formats).err());
        let refused = refused.expect("a state in Q5_0 is not supported").to_string();
        assert!(
            refused.contains("attention") && refused.contains("Q5_0"),
            "{refused}"
        );
        let loaded = driver.load(Arc::clone(&graph), &weights, &LIMITS).err();
        assert!(matches!(loaded, Some(DriverError::Unsupported(_))));
    }
}

#[test]
fn logits_of_all_rows_are_given_whatever_rows_are_selected_or_refused() {
    let mut graph = GraphBuilder::new();
    let table = graph.weight("embd", 4, 8).unwrap();
    let x = graph.push(Op::Embed { table }, &[]).unwrap();
    graph.output(OutputName::Logits, x);
    let graph = Arc::new(graph.build());
    let weights = Weights::random(&graph, 1, |_| BlockFormat::F32);
    for driver in drivers() {
        let mut model = match driver.load(Arc::clone(&graph), &weights, &LIMITS) {
            Ok(model) => model,
            Err(error) => {
                assert!(error.to_string().contains("selected rows"), "{error}");
                continue;
            }
        };
        let span = SequenceSpan {
            first_row: 0,
            rows: 2,
            blocks: &[BlockId(0)],
            slot: SlotId(0),
        };
        let step = Step {
            tokens: &[3, 1],
            positions: &[0, 1],
            sequences: &[span],
            ..Step::default()
        };
        let mut out = [f32::NAN; 16];
        model.run(&step, &mut out).unwrap();
        assert!(out.iter().all(|number| number.is_finite()), "{out:?}");
        assert_ne!(out[..8], out[8..]);
    }
}

#[test]
fn an_instruction_set_that_is_absent_is_an_error() {
    for isa in Isa::ALL {
        let made = CpuDriver::new(CpuOptions {
            isa: Some(isa),
            ..CpuOptions::default()
        });
        assert_eq!(made.is_ok(), isa.is_available());
    }
    let default = CpuDriver::new(CpuOptions::default()).unwrap();
    assert_eq!(default.capabilities().kernels, available()[0].name());
}
