//! Every family on every driver against what the `transformers` library computes in float32.

use std::path::PathBuf;

use mains_conformance::families::{Reference, all, distance, engine, fixtures, greedy, open};
use mains_contract::{BlockFormat, StepLimits};
use mains_driver_reference::ReferenceDriver;
use mains_engine::models::Cast;

/// What may lie between us and what is published, in standard deviations of the logits.
fn bound(family: &str) -> f64 {
    match family {
        // Here what is published in float32 lies itself 1.3e-4 and 1.7e-4 from the same in float64.
        "gemma4_text" | "qwen3_5_text" => 5e-4,
        _ => 1e-4,
    }
}

fn folder(family: &str) -> PathBuf {
    fixtures().join("families").join(family)
}

/// The folder, and the GGUF twin where there is one.
fn forms(family: &str) -> Vec<PathBuf> {
    let folder = folder(family);
    let twin = folder.join("model.gguf");
    let forms = [Some(folder), twin.exists().then_some(twin)];
    forms.into_iter().flatten().collect()
}

#[test]
fn the_reference_driver_computes_what_is_published() {
    let families = all("logits");
    assert!(!families.is_empty());
    for family in families {
        let expected = Reference::of(&family);
        for form in forms(&family) {
            let model = open(&form, BlockFormat::F32, Cast::AsStored);
            let found = distance(&model, &ReferenceDriver::new(), &expected);
            println!("{}: {found:.1e}", form.display());
            assert!(found < bound(&family), "{}: {found}", form.display());
        }
    }
}

#[test]
fn greedy_answers_are_the_published_ones() {
    let limits = StepLimits {
        rows: 48,
        output_rows: 4,
        context: 256,
        blocks: 40,
        block_tokens: 16,
        slots: 3,
    };
    for family in all("logits") {
        let expected = Reference::of(&family);
        for form in forms(&family) {
            let model = open(&form, BlockFormat::F32, Cast::AsStored);
            let mut engine = engine(&model, &ReferenceDriver::new(), limits);
            let lengths = expected.greedy.iter().map(Vec::len);
            let prompts: Vec<_> = expected.ids.iter().cloned().zip(lengths).collect();
            let found = greedy(&mut engine, &prompts, &[]);
            assert_eq!(found, expected.greedy, "{}", form.display());
        }
    }
}
