//! Every family on every driver against what the `transformers` library computes in float32: the fixtures, or the models
//! in the folder that `MAINS_FAMILIES` names.

use std::path::{Path, PathBuf};

use mains_conformance::families::{Reference, distance, engine, folders, greedy};
use mains_contract::{BlockFormat, StepLimits};
use mains_driver_reference::ReferenceDriver;
use mains_engine::models::{Cast, Model, ModelOptions};

/// What may lie between us and what is published, in standard deviations of what is published.
fn bound(family: &str) -> f64 {
    match family {
        // Here what is published in float32 lies itself up to 2e-4 from the same in float64.
        "gemma4_text" | "qwen3_5_text" | "qwen3_next" => 5e-4,
        _ => 1e-4,
    }
}

/// The folder, and the GGUF twin where there is one.
fn forms(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let twin = folder.join("model.gguf");
    let twin = twin.exists().then_some(twin);
    std::iter::once(folder.to_owned()).chain(twin)
}

/// Asserts for every form of every model that `check` finds no fault; tells all faults at once.
fn all_forms(check: impl Fn(&Path, &Reference) -> Option<String>) {
    let mut faults = Vec::new();
    for folder in folders() {
        let expected = Reference::in_folder(&folder);
        for form in forms(&folder) {
            faults.extend(check(&form, &expected).map(|fault| format!("{}: {fault}", form.display())));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn try_open(form: &Path, kv_format: BlockFormat, expected: &Reference) -> Result<Model, String> {
    let options = ModelOptions {
        kv_format,
        cast: Cast::AsStored,
        context: expected.ids.first().map(Vec::len),
    };
    Model::open(form, &options).map_err(|error| error.to_string())
}

#[test]
fn the_reference_driver_computes_what_is_published() {
    all_forms(|form, expected| {
        let model = match try_open(form, BlockFormat::F32, expected) {
            Ok(model) => model,
            Err(refusal) => return Some(refusal),
        };
        let found = distance(&model, &ReferenceDriver::new(), expected);
        println!("{}: {found:.1e}", form.display());
        let is_near = found < bound(model.family.name);
        (!is_near).then(|| format!("{found:.1e}"))
    });
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
    all_forms(|form, expected| {
        let model = match try_open(form, BlockFormat::F32, expected) {
            Ok(model) => model,
            Err(refusal) => return Some(refusal),
        };
        let lengths = expected.greedy.iter().map(Vec::len);
        let prompts: Vec<_> = expected.ids.iter().cloned().zip(lengths).collect();
        if expected.greedy.is_empty() {
            return None;
        }
        let mut engine = engine(&model, &ReferenceDriver::new(), limits);
        let found = greedy(&mut engine, &prompts, &[]);
        (found != expected.greedy).then(|| "other tokens".to_owned())
    });
}
