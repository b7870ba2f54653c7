//! What surrounds the model: checks that its steps go with how the vocabulary spells bytes.

use serde_json::Value;

use super::{File, parse, unsupported};
use crate::TextError;
use crate::tokenizer::build::bad;
use crate::tokenizer::charsmap;
use crate::tokenizer::spelling::SPACE;

/// Nested sequences that are followed: more than any file has.
const MAX_DEPTH: usize = 4;

/// Visits every step of a sequence, nested ones included.
fn each<'a>(
    step: &'a Value,
    inner: &str,
    visit: &mut dyn FnMut(&'a Value),
    depth: usize,
) -> Result<(), TextError> {
    match step[inner].as_array() {
        Some(_) if depth == 0 => Err(bad(format!("its {inner} are nested too deep"))),
        Some(steps) => steps
            .iter()
            .try_for_each(|step| each(step, inner, visit, depth - 1)),
        None if step.is_null() => Ok(()),
        None => {
            visit(step);
            Ok(())
        }
    }
}

/// The steps of a sequence, nested ones included.
pub(in crate::tokenizer) fn steps<'a>(step: &'a Value, inner: &str) -> Result<Vec<&'a Value>, TextError> {
    let mut all = Vec::new();
    each(step, inner, &mut |step| all.push(step), MAX_DEPTH)?;
    Ok(all)
}

fn kind(step: &Value) -> &str {
    step["type"].as_str().unwrap_or("without a type")
}

/// One step turns bytes into letters.
pub(super) fn check_byte_level(pre_tokenizer: &Value) -> Result<(), TextError> {
    let kinds: Vec<_> = steps(pre_tokenizer, "pretokenizers")?
        .into_iter()
        .map(kind)
        .collect();
    if kinds.iter().filter(|kind| **kind == "ByteLevel").count() == 1 {
        return Ok(());
    }
    let name = if kinds.is_empty() {
        "none".to_owned()
    } else {
        kinds.join(" + ")
    };
    Err(unsupported(
        "the pre-tokenizer",
        &name,
        "ByteLevel, alone or in a Sequence",
    ))
}

/// All steps are known.
pub(super) fn check_steps(pre_tokenizer: &Value, known: &[&str]) -> Result<(), TextError> {
    for step in steps(pre_tokenizer, "pretokenizers")? {
        if !known.contains(&kind(step)) {
            return Err(unsupported("the pre-tokenizer", kind(step), &known.join(", ")));
        }
    }
    Ok(())
}

/// The vocabulary writes `▁` for spaces: some step makes it so, and the decoder undoes it.
pub(super) fn check_spaces(file: &File, known: &[&str]) -> Result<(), TextError> {
    check_steps(&file.pre_tokenizer, known)?;
    let space = SPACE.to_string();
    let is_metaspace = |step: &Value| kind(step) == "Metaspace" && step["replacement"] == space.as_str();
    let replaces = |step: &Value, from: &str, to: &str| {
        kind(step) == "Replace" && step["pattern"]["String"] == from && step["content"] == to
    };
    let written = steps(&file.pre_tokenizer, "pretokenizers")?
        .into_iter()
        .any(is_metaspace)
        || steps(&file.normalizer, "normalizers")?
            .into_iter()
            .any(|step| replaces(step, " ", &space));
    let read = steps(&file.decoder, "decoders")?
        .into_iter()
        .any(|step| is_metaspace(step) || replaces(step, &space, " "));
    if written && read {
        return Ok(());
    }
    let what = if written {
        "the decoder"
    } else {
        "the pre-tokenizer"
    };
    let found = if written {
        &file.decoder
    } else {
        &file.pre_tokenizer
    };
    let name = if found.is_null() { "none" } else { kind(found) };
    Err(unsupported(
        what,
        name,
        "Metaspace, or Replace between spaces and `▁`",
    ))
}

/// The library trusts the indices of a compiled normalization: they are checked first.
pub(super) fn check_normalizer(normalizer: &Value) -> Result<(), TextError> {
    for step in steps(normalizer, "normalizers")? {
        if kind(step) == "Precompiled" {
            charsmap(step)?;
        }
    }
    Ok(())
}

/// The compiled normalization of a step.
pub(in crate::tokenizer) fn charsmap(step: &Value) -> Result<Vec<u8>, TextError> {
    let text: String = parse("precompiled_charsmap", step["precompiled_charsmap"].clone())?;
    let decoded = base64::decode(text).map_err(|error| bad(format!("its precompiled_charsmap: {error}")))?;
    charsmap::check(&decoded)?;
    Ok(decoded)
}
