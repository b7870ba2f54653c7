//! `mains plan`: where a model would go and every byte that it would take.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use mains_contract::Bytes;
use mains_wire::http::PlanBody;
use serde_json::{Value, json};

use crate::args::PlanArgs;
use crate::client::{Client, ClientError};
use crate::exit::Exit;
use crate::table::{Align, Table, bar};
use crate::{output, size};

/// Prints the plan, or why there is none and what would fit.
pub(crate) async fn run(client: &Client, args: &PlanArgs) -> anyhow::Result<Exit> {
    let memory = args.memory.as_deref().map(size::parse).transpose()?;
    let query = [
        ("context", args.context.map(|count| count.to_string())),
        ("parallel", args.parallel.map(|count| count.to_string())),
        ("device", args.device.clone()),
        ("memory", memory.map(|bytes| bytes.to_string())),
    ];
    let path = super::with_query(&super::model_path(&args.model, "/plan"), query);
    let answer: Result<PlanBody, ClientError> = match &args.inventory {
        None => client.get(&path).await,
        Some(file) => client.post_bytes(&path, read(file)?).await,
    };
    match answer {
        Ok(plan) => {
            if args.json {
                output::json(&plan)?;
            } else {
                output::text(&render(&plan))?;
            }
            Ok(Exit::Ok)
        }
        Err(ClientError::Refused {
            status: 422,
            message,
            body,
        }) => {
            no_plan(args.json, &message, &body)?;
            Ok(Exit::NotReady)
        }
        Err(error) => Err(error.into()),
    }
}

/// The bytes of `file`, or of standard input.
fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .context("standard input")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| file.display().to_string())
}

fn no_plan(json: bool, reason: &str, body: &[u8]) -> anyhow::Result<()> {
    let body: Value = serde_json::from_slice(body)?;
    let nearest = body
        .pointer("/error/nearest")
        .cloned()
        .unwrap_or_else(|| json!([]));
    if json {
        return output::json(&json!({ "no_plan": { "reason": reason, "nearest": nearest } }));
    }
    let mut text = format!("no plan: {reason}\n");
    for demand in nearest.as_array().into_iter().flatten().filter_map(Value::as_str) {
        text.push_str(&format!("would fit: {demand}\n"));
    }
    output::text(&text)
}

/// The plan as text: where, how much of what, and in which types.
fn render(plan: &PlanBody) -> String {
    let mut text = format!("model     {}\nvariant   {}\n", plan.model, plan.variant);
    for part in &plan.segments {
        text.push_str(&format!(
            "layers    {} to {} on {} (driver {})\n",
            part.first_layer, part.last_layer, part.device, part.driver
        ));
    }
    text.push_str(&format!(
        "context   {} tokens, {} sequences at once, keys and values in {}\n",
        plan.context, plan.parallel, plan.kv_type
    ));
    text.push_str(&format!("types     {}\n", types(plan)));
    text.push_str(&speed(plan));
    text.push('\n');
    let mut table = Table::new(&[
        ("USE", Align::Left),
        ("BYTES", Align::Right),
        ("", Align::Right),
        ("", Align::Left),
    ]);
    let bytes = &plan.bytes;
    for (name, count) in [
        ("weights", bytes.weights),
        ("state", bytes.state),
        ("activations", bytes.activations),
        ("scratch", bytes.scratch),
        ("runtime", bytes.runtime),
        ("total", bytes.total),
    ] {
        table.row([
            name.to_owned(),
            count.to_string(),
            Bytes(count).to_string(),
            bar(count, bytes.total),
        ]);
    }
    text.push_str(&table.render());
    text
}

/// A line on the predicted speed, when there is one.
fn speed(plan: &PlanBody) -> String {
    let Some(predicted) = &plan.predicted else {
        return String::new();
    };
    let prefill = predicted
        .prefill_tokens_per_s
        .map(|speed| format!("{speed:.0} tokens/s of a prompt, "));
    format!(
        "speed     {}{:.0} tokens/s of an answer are predicted for one sequence\n",
        prefill.unwrap_or_default(),
        predicted.decode_tokens_per_s
    )
}

/// How many tensors and bytes each type has.
fn types(plan: &PlanBody) -> String {
    let mut by_type: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for tensor in &plan.tensors {
        let entry = by_type.entry(&tensor.format).or_default();
        *entry = (entry.0 + 1, entry.1.saturating_add(tensor.bytes));
    }
    let parts: Vec<String> = by_type
        .iter()
        .map(|(format, (count, bytes))| format!("{format}: {count} tensors, {}", Bytes(*bytes)))
        .collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use mains_wire::http::PlanBody;
    use serde_json::json;

    use super::render;

    #[test]
    fn every_byte_is_told() {
        let plan: PlanBody = serde_json::from_value(json!({
            "model": "pilot", "variant": "ab", "segments": [{"device": "cpu", "driver": "cpu", "threads": 2, "first_layer": 0, "last_layer": 5}],
            "context": 2048, "predicted": {"prefill_tokens_per_s": 1234.5, "decode_tokens_per_s": 67.8}, "parallel": 8, "kv_type": "F16",
            "bytes": {"weights": 3 << 20, "state": 1 << 20, "activations": 0, "scratch": 0, "runtime": 0, "total": 4 << 20},
            "tensors": [{"name": "a", "type": "BF16", "bytes": 1 << 20}, {"name": "b", "type": "BF16", "bytes": 2 << 20}]}))
        .unwrap();
        let text = render(&plan);
        assert!(text.contains("layers    0 to 5 on cpu (driver cpu)\n"), "{text}");
        let speed =
            "speed     1234 tokens/s of a prompt, 68 tokens/s of an answer are predicted for one sequence\n";
        assert!(text.contains(speed), "{text}");
        assert!(text.contains("types     BF16: 2 tensors, 3.0 MiB\n"), "{text}");
        assert!(
            text.contains("weights      3145728  3.0 MiB  [###############.....]\n"),
            "{text}"
        );
        assert!(
            text.contains("total        4194304  4.0 MiB  [####################]\n"),
            "{text}"
        );
    }
}
