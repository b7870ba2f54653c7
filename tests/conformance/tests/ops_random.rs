//! Layers of random shapes, run in random steps.

use mains_conformance::ops::{
    LayerShape, Random, Runner, Weights, available, cpu, layer, reference, same_bits, worst_error,
};
use mains_contract::{BlockFormat, RopePairing, StepLimits};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

fn shapes() -> impl Strategy<Value = LayerShape> {
    let sizes = (1..5_usize, 1..40_usize, 1..40_usize, 1..4_usize, 1..4_usize);
    let heads = (1..20_usize, 1..36_usize, 0..20_usize, any::<bool>());
    (sizes, heads, prop::option::of(1..30_usize), any::<bool>()).prop_map(
        |((vocabulary, width, inner, kv_heads, group), (half, value_dim, pairs, halves), window, exact)| {
            LayerShape {
                vocabulary: vocabulary * 7,
                width,
                inner,
                heads: kv_heads * group,
                kv_heads,
                head_dim: 2 * half,
                value_dim,
                pairs: pairs.min(half),
                pairing: if halves {
                    RopePairing::Halves
                } else {
                    RopePairing::Neighbours
                },
                window,
                state: if exact { BlockFormat::F32 } else { BlockFormat::F16 },
            }
        },
    )
}

proptest! {
    // Each case loads three models and computes a hundred rows.
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_layers_in_random_steps_agree(
        shape in shapes(),
        seed: u64,
        block_tokens in 1..20_usize,
        sizes in prop::collection::vec(1..9_usize, 0..8),
        plain in 0..3_usize,
        isa in any::<prop::sample::Index>(),
        threads in 1..4_usize,
    ) {
        let graph = layer(&shape).unwrap();
        let format = [BlockFormat::F32, BlockFormat::F16, BlockFormat::BF16][plain];
        let weights = Weights::random(&graph, seed, |_| format);
        let limits = StepLimits { rows: 40, output_rows: 40, context: 40, blocks: 40, block_tokens, slots: 0 };
        let mut random = Random(seed);
        let tokens: Vec<u32> = (0..33).map(|_| random.below(u32::try_from(shape.vocabulary).unwrap())).collect();
        let expected = Runner::new(&*reference(), &graph, &weights, &limits, 1).whole(&tokens, &sizes);
        let isa = isa.get(&available()).to_owned();
        let whole = Runner::new(&*cpu(isa, 1), &graph, &weights, &limits, 1).whole(&tokens, &[]);
        let found = Runner::new(&*cpu(isa, threads), &graph, &weights, &limits, 1).whole(&tokens, &sizes);
        prop_assert_eq!(same_bits(&whole, &found), None);
        let error = worst_error(&expected, &found, expected.len());
        prop_assert!(error <= 1e-2, "error {}", error);
    }
}
