//! `mains show`: what is known of a model on disk.

use jiff::Timestamp;
use mains_contract::Bytes;
use mains_wire::http::{DetailsBody, ImportDetails};

use crate::client::Client;
use crate::exit::Exit;
use crate::output;
use crate::sensitivity;
use crate::table::{Align, Table, bar};

/// Prints it.
pub(crate) async fn run(client: &Client, model: &str, json: bool) -> anyhow::Result<Exit> {
    let details: DetailsBody = client.get(&super::model_path(model, "/details")).await?;
    if json {
        output::json(&details)?;
    } else {
        output::text(&render(&details))?;
    }
    Ok(Exit::Ok)
}

fn render(details: &DetailsBody) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: String| text.push_str(&format!("{key:<11}{value}\n"));
    let title = details.title.as_ref().filter(|title| **title != details.model);
    let named = title.map(|title| format!(" ({title})")).unwrap_or_default();
    line("model", format!("{}{named}", details.model));
    line(
        "family",
        format!(
            "{}, {} parameters in {} layers of width {}",
            details.family,
            count(details.parameters),
            details.layers,
            details.width
        ),
    );
    line("context", format!("{} tokens", details.context));
    let kind = details.tokenizer.as_deref().unwrap_or("unnamed");
    let chat = if details.chat { "a" } else { "no" };
    let tokenizer = format!("{kind}, {} tokens, {chat} chat template", details.vocabulary);
    line("tokenizer", tokenizer);
    line(
        "licence",
        details
            .licence
            .clone()
            .unwrap_or_else(|| "not told by its files".to_owned()),
    );
    line("digest", details.digest.clone());
    line("origin", origin(details));
    line("size", format!("{} in {}", Bytes(details.bytes), details.path));
    line("drivers", details.drivers.join(", "));
    for (driver, lack) in &details.lacks {
        line("", format!("not {driver}: {lack}"));
    }
    line("quality", quality(details));
    text.push('\n');
    text.push_str(&types(details));
    if !details.made.is_empty() {
        text.push('\n');
        text.push_str(&made(details));
    }
    if let Some(import) = &details.import {
        text.push('\n');
        text.push_str(&files(import));
    }
    text
}

/// Whether plans may choose types, and how far the measurement is by which they would.
fn quality(details: &DetailsBody) -> String {
    if details.measured {
        return "measured: plans choose types of tensors".to_owned();
    }
    if details.sensitivity.state == "kept" {
        return "not measured: its tensors are quantized already and keep their types".to_owned();
    }
    sensitivity::sentence(&details.sensitivity).map_or_else(
        || "not measured: types of tensors stay as they are".to_owned(),
        |sentence| format!("{sentence}; types of tensors stay as they are"),
    )
}

fn origin(details: &DetailsBody) -> String {
    let Some(import) = &details.import else {
        return details.origin.clone();
    };
    let at = i64::try_from(import.at)
        .ok()
        .and_then(|at| Timestamp::from_second(at).ok());
    let at = at.map(|at| at.strftime(" on %Y-%m-%d").to_string());
    format!(
        "{} from {}{}",
        details.origin,
        import.from,
        at.unwrap_or_default()
    )
}

fn types(details: &DetailsBody) -> String {
    let total = details
        .types
        .iter()
        .map(|of| of.bytes)
        .fold(0, u64::saturating_add);
    let mut table = Table::new(&[
        ("TYPE", Align::Left),
        ("TENSORS", Align::Right),
        ("BYTES", Align::Right),
        ("", Align::Left),
    ]);
    for of in &details.types {
        table.row([
            of.format.clone(),
            of.tensors.to_string(),
            Bytes(of.bytes).to_string(),
            bar(of.bytes, total),
        ]);
    }
    table.render()
}

fn made(details: &DetailsBody) -> String {
    let mut table = Table::new(&[("MADE OF IT", Align::Left), ("BYTES", Align::Right)]);
    for (name, bytes) in &details.made {
        table.row([name.clone(), bytes.to_string()]);
    }
    table.render()
}

fn files(import: &ImportDetails) -> String {
    let mut table = Table::new(&[
        ("FILE", Align::Left),
        ("BYTES", Align::Right),
        ("SHA-256", Align::Left),
    ]);
    for file in &import.files {
        table.row([file.name.clone(), file.bytes.to_string(), file.sha256.clone()]);
    }
    table.render()
}

/// A number of weights, as models are called by.
fn count(parameters: u64) -> String {
    for (unit, name) in [(1_000_000_000, "B"), (1_000_000, "M"), (1000, "K")] {
        if parameters >= unit {
            let tenths = parameters / (unit / 10);
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    parameters.to_string()
}

#[cfg(test)]
mod tests {
    use mains_wire::http::DetailsBody;
    use serde_json::json;

    use super::{count, quality, render};

    #[test]
    fn numbers_are_as_models_are_called() {
        assert_eq!(count(999), "999");
        assert_eq!(count(6_012_345), "6.0 M");
        assert_eq!(count(7_990_000_000), "7.9 B");
    }

    #[test]
    fn a_measurement_is_told_as_far_as_it_is() {
        let told = |measured: bool, sensitivity: serde_json::Value| {
            let details: DetailsBody = serde_json::from_value(json!({
                "model": "m", "family": "qwen3", "parameters": 1, "layers": 1, "width": 1, "context": 1, "vocabulary": 1,
                "chat": false, "digest": "ab", "path": "/m", "bytes": 1, "origin": "folder", "types": [], "drivers": [],
                "lacks": {}, "made": {}, "measured": measured, "sensitivity": sensitivity}))
            .unwrap();
            quality(&details)
        };
        for (measured, state, words) in [
            (true, json!({"state": "measured"}), "plans choose types"),
            (
                false,
                json!({"state": "unknown"}),
                "not measured: types of tensors stay",
            ),
            (false, json!({"state": "kept"}), "quantized already"),
            (
                false,
                json!({"state": "measuring", "done": 3, "of": 43}),
                "step 3 of 43; types of tensors stay",
            ),
            (
                false,
                json!({"state": "waiting", "done": 3, "reason": "memory"}),
                "(3 groups are); it waits for memory",
            ),
            (
                false,
                json!({"state": "failed", "reason": "it is odd"}),
                "can not be measured: it is odd",
            ),
        ] {
            let said = told(measured, state.clone());
            assert!(said.contains(words), "{state}: {said}");
        }
    }

    #[test]
    fn a_model_is_told() {
        let details: DetailsBody = serde_json::from_value(json!({
            "model": "mine", "title": "Some Model", "family": "qwen3", "parameters": 6_000_000, "layers": 6, "width": 256,
            "context": 2048, "vocabulary": 3000, "tokenizer": "gpt2", "chat": true, "digest": "ab", "path": "/m/model.gguf",
            "bytes": 3 << 20, "origin": "imported", "types": [{"type": "BF16", "tensors": 2, "bytes": 3 << 20}],
            "import": {"from": "/usb/a.gguf", "at": 1_795_500_000, "files": [{"name": "model.gguf", "bytes": 3_145_728, "sha256": "cd"}]},
            "drivers": ["cpu"], "lacks": {"null": "no rope"}, "measured": false, "made": {"ef.gguf": 7}}))
        .unwrap();
        let text = render(&details);
        for line in [
            "model      mine (Some Model)\n",
            "family     qwen3, 6.0 M parameters in 6 layers of width 256\n",
            "tokenizer  gpt2, 3000 tokens, a chat template\n",
            "licence    not told by its files\n",
            "origin     imported from /usb/a.gguf on 2026-11-24\n",
            "           not null: no rope\n",
            "BF16        2  3.0 MiB  [####################]\n",
            "model.gguf  3145728  cd\n",
            "ef.gguf         7\n",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
    }
}
