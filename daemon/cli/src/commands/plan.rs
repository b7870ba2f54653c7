//! `mains plan`: where a model would go and every byte that it would take.

use std::collections::BTreeMap;

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
    match client
        .get::<PlanBody>(&super::with_query(
            &super::model_path(&args.model, "/plan"),
            query,
        ))
        .await
    {
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
    text.push_str(&format!("types     {}\n\n", types(plan)));
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
            "model": "pilot", "variant": "ab", "segments": [{"device": "cpu", "driver": "cpu", "first_layer": 0, "last_layer": 5}],
            "context": 2048, "parallel": 8, "kv_type": "F16",
            "bytes": {"weights": 3 << 20, "state": 1 << 20, "activations": 0, "scratch": 0, "runtime": 0, "total": 4 << 20},
            "tensors": [{"name": "a", "type": "BF16", "bytes": 1 << 20}, {"name": "b", "type": "BF16", "bytes": 2 << 20}]}))
        .unwrap();
        let text = render(&plan);
        assert!(text.contains("layers    0 to 5 on cpu (driver cpu)\n"), "{text}");
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
