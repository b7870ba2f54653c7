//! Every family on every driver against what the `transformers` library computes in float32: the fixtures, or the models
//! in the folder that `MAINS_FAMILIES` names.

use std::path::{Path, PathBuf};

use mains_conformance::families::{Reference, distance, engine, folders, greedy};
use mains_contract::{BlockFormat, StepLimits};
use mains_driver_reference::ReferenceDriver;
use mains_engine::models::{Cast, Model, ModelOptions};

/// What may lie between us and what is published, in standard deviations of what is published.
const BOUND: f64 = 1e-4;

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
        let folder = if form.is_dir() {
            form
        } else {
            form.parent().unwrap_or(form)
        };
        let Some(precise) = Reference::precise_in_folder(folder) else {
            return (found >= BOUND).then(|| format!("{found:.1e}"));
        };
        // Where float32 itself goes astray, to be as near to the truth is all that can be asked.
        let astray = expected.distance_from(&precise);
        let exact = distance(&model, &ReferenceDriver::new(), &precise);
        println!("  {exact:.1e} from float64, from which float32 is {astray:.1e}");
        let is_near = exact < BOUND && found < BOUND.max(astray + BOUND / 2.0);
        (!is_near).then(|| format!("{found:.1e}, and {exact:.1e} from float64"))
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
