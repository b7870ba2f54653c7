//! Metadata but for the tokenizer's: what the file is, the hyperparameters, default sampling.

use mains_blocks::BlockFormat;
use mains_formats::{Array, Gguf, HuggingFace, Value};

use super::tensors::Planned;
use crate::models::{Model, ModelError, Setting, TensorHints};

type Entries = Vec<(String, Value)>;

/// Keys that describe the formats of a file's tensors: made anew.
const OF_TENSORS: [&str; 3] = [
    "general.alignment",
    "general.file_type",
    "general.quantization_version",
];

/// What a GGUF file keeps in another format.
pub(super) fn kept(gguf: &Gguf) -> Entries {
    let entries = gguf
        .metadata()
        .iter()
        .filter(|(key, _)| !OF_TENSORS.contains(key));
    entries
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect()
}

/// What a folder says, under GGUF's keys.
pub(super) fn of_folder(
    folder: &HuggingFace,
    model: &Model,
    hints: TensorHints,
) -> Result<Entries, ModelError> {
    let mut entries: Entries = Vec::new();
    for (key, setting) in model.family.gguf_metadata(&folder.config, hints)? {
        let value = match setting {
            Setting::Integer(value) => Value::U32(value),
            Setting::Number(value) => Value::F32(value),
            Setting::Text(value) => Value::String(value.to_owned()),
            Setting::Flag(value) => Value::Bool(value),
            Setting::Flags(values) => Value::Array(Array::Bool(values)),
            Setting::Integers(values) => Value::Array(Array::U32(values)),
        };
        entries.push((key, value));
    }
    if let Some(types) = model.weights.facts("token_types.weight") {
        let count = Value::U32(u32::try_from(types.rows).unwrap_or(u32::MAX));
        entries.push(("tokenizer.ggml.token_type_count".to_owned(), count));
    }
    // Behind `general.architecture`, which programs expect first.
    let name = folder
        .path()
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let about = [("general.type", "model".to_owned()), ("general.name", name)];
    entries.splice(
        1..1,
        about.map(|(key, text)| (key.to_owned(), Value::String(text))),
    );
    entries.extend(sampling(model));
    Ok(entries)
}

fn sampling(model: &Model) -> Entries {
    let defaults = &model.info.sampling;
    let known = [
        ("temp", defaults.temperature.map(Value::F32)),
        (
            "top_k",
            defaults
                .top_k
                .and_then(|top_k| i32::try_from(top_k).ok())
                .map(Value::I32),
        ),
        ("top_p", defaults.top_p.map(Value::F32)),
        ("min_p", defaults.min_p.map(Value::F32)),
        ("penalty_repeat", defaults.repetition_penalty.map(Value::F32)),
    ];
    let given = known
        .into_iter()
        .filter_map(|(name, value)| Some((format!("general.sampling.{name}"), value?)));
    given.collect()
}

/// Sets a key: where it is, or else behind the last key of the same section.
pub(super) fn set(entries: &mut Entries, key: &str, value: Value) {
    if let Some((_, old)) = entries.iter_mut().find(|(found, _)| found == key) {
        *old = value;
        return;
    }
    let section = key.split_inclusive('.').next().unwrap_or(key);
    let last = entries.iter().rposition(|(found, _)| found.starts_with(section));
    entries.insert(
        last.map_or(entries.len(), |last| last + 1),
        (key.to_owned(), value),
    );
}

/// Says which format most of the bytes are in (llama.h, `enum llama_ftype`), and the version of quantized layouts
/// (ggml.h, `GGML_QNT_VERSION`).
pub(super) fn set_file_type(entries: &mut Entries, tensors: &[Planned]) {
    let numbers = |format: BlockFormat| -> usize {
        let in_format = tensors.iter().filter(|planned| planned.spec.format == format);
        in_format
            .map(|planned| planned.spec.dims.iter().product::<usize>())
            .sum()
    };
    let most = BlockFormat::ALL
        .into_iter()
        .max_by_key(|format| numbers(*format))
        .unwrap_or(BlockFormat::F32);
    set(entries, "general.file_type", Value::U32(most.gguf_file_type()));
    if tensors.iter().any(|planned| planned.spec.format.is_quantized()) {
        set(entries, "general.quantization_version", Value::U32(2));
    }
}

#[cfg(test)]
mod tests {
    use mains_formats::Value;

    use super::set;

    #[test]
    fn a_key_joins_its_section_or_replaces() {
        let number = |value| Value::U32(value);
        let mut entries = vec![
            ("general.a".to_owned(), number(1)),
            ("general.b".to_owned(), number(2)),
            ("x.y".to_owned(), number(3)),
        ];
        set(&mut entries, "general.c", number(4));
        set(&mut entries, "general.a", number(5));
        set(&mut entries, "z.z", number(6));
        let keys: Vec<_> = entries.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["general.a", "general.b", "general.c", "x.y", "z.z"]);
        assert_eq!(entries[0].1, number(5));
    }
}
