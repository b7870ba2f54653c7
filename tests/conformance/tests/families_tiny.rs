//! The tiny configurations that families carry: every driver that computes supports and computes them, without a file.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use mains_conformance::ops::{available, cpu, reference};
use mains_contract::{
    BlockFormat, BlockId, Driver, DriverError, Graph, OutputName, SequenceSpan, SlotId, Step, StepLimits,
    WeightData, WeightSource,
};
use mains_engine::models::families;

const TOKENS: usize = 20;

/// The largest difference that two orders of float32 sums may make, in standard deviations of what is computed.
const BOUND: f32 = 1e-3;

/// Numbers from a generator for every weight of a graph: norms' gains near 1, matrices that keep sizes.
struct Random(BTreeMap<String, (usize, usize, Vec<u8>)>);

impl Random {
    #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^24")]
    fn of(graph: &Graph) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        let mut numbers = |rows: usize, cols: usize| -> Vec<u8> {
            let (middle, spread) = if rows == 1 {
                (1.0, 0.2)
            } else {
                (0.0, 2.0 / (cols as f32).sqrt())
            };
            let numbers = (0..rows * cols).map(|_| middle + spread * next());
            numbers.flat_map(f32::to_le_bytes).collect()
        };
        let weights = graph.weights().iter();
        let one = weights.map(|weight| {
            let bytes = numbers(weight.rows, weight.cols);
            (weight.name.clone(), (weight.rows, weight.cols, bytes))
        });
        Self(one.collect())
    }
}

impl WeightSource for Random {
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError> {
        let (rows, cols, bytes) = &self.0[name];
        Ok(WeightData {
            format: BlockFormat::F32,
            rows: *rows,
            cols: *cols,
            bytes,
        })
    }
}

/// What comes out for one text, all rows of it.
fn computed(driver: &dyn Driver, graph: &Arc<Graph>) -> Vec<f32> {
    let limits = StepLimits {
        rows: TOKENS,
        output_rows: TOKENS,
        context: TOKENS,
        blocks: TOKENS.div_ceil(8),
        block_tokens: 8,
        slots: 1,
    };
    let mut loaded = driver
        .load(Arc::clone(graph), &Random::of(graph), &limits)
        .unwrap();
    let tokens: Vec<u32> = (0..)
        .take(TOKENS)
        .map(|token: u32| (token * 37 + 5) % 96)
        .collect();
    let rows: Vec<u32> = (0..).take(TOKENS).collect();
    let blocks: Vec<BlockId> = (0..).take(limits.blocks).map(BlockId).collect();
    let span = SequenceSpan {
        first_row: 0,
        rows: u32::try_from(TOKENS).unwrap(),
        blocks: &blocks,
        slot: SlotId(0),
    };
    let step = Step {
        tokens: &tokens,
        positions: &rows,
        sequences: &[span],
        output_rows: &rows,
        inputs: &[],
    };
    let ranges: Vec<_> = graph.output_ranges(&step).collect();
    let mut out = vec![f32::NAN; ranges.last().map_or(0, |(_, range)| range.end)];
    loaded.run(&step, &mut out).unwrap();
    let wanted = |name: &OutputName| matches!(name, OutputName::Logits | OutputName::Hidden);
    let (_, range) = ranges.into_iter().find(|(name, _)| wanted(name)).unwrap();
    out[range].to_vec()
}

#[test]
fn drivers_compute_every_tiny_model_alike() {
    for family in families() {
        for config in family.tiny() {
            let graph = Arc::new(family.graph(&config, BlockFormat::F32).unwrap());
            let formats = vec![BlockFormat::F32; graph.weights().len()];
            let [reference, cpu] = [reference(), cpu(available()[0], 2)];
            for driver in [&reference, &cpu] {
                for node in graph.nodes() {
                    let supported = driver.supports(&graph, node, &formats);
                    assert!(supported.is_ok(), "{} with {config}: {supported:?}", family.name);
                }
            }
            let (expected, found) = (computed(&*reference, &graph), computed(&*cpu, &graph));
            let squares: f32 = expected.iter().map(|number| number * number).sum();
            let size = (squares / expected.len() as f32).sqrt();
            let pairs = expected.iter().zip(&found);
            let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(
                size > 0.0 && largest < BOUND * size,
                "{} with {config}: {largest} of {size}",
                family.name
            );
        }
    }
}
