//! `mains plan`: where a model would go and every byte that it would take.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use mains_contract::Bytes;
use mains_wire::http::{ErrorBody, PlanBody};
use serde_json::json;

use crate::args::{DemandArgs, PlanArgs};
use crate::client::{Client, ClientError};
use crate::exit::Exit;
use crate::table::{Align, Table, bar};
use crate::{output, size};

/// Prints the plan, or why there is none and what would fit.
pub(crate) async fn run(client: &Client, args: &PlanArgs) -> anyhow::Result<Exit> {
    // The table is part of the drawing; programs get it when they ask.
    let explain = args.explain || !args.json;
    let query = query(&args.demand)?.into_iter();
    let query = query.chain([("explain", explain.then(|| "true".to_owned()))]);
    let path = super::with_query(&super::model_path(&args.demand.model, "/plan"), query);
    let answer: Result<PlanBody, ClientError> = match &args.inventory {
        None => client.get(&path).await,
        Some(file) => client.post_bytes(&path, read(file)?).await,
    };
    match answer {
        Ok(plan) => {
            if args.json {
                output::json(&plan)?;
            } else {
                output::text(&render(&plan, args.explain))?;
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

/// What is demanded, as parameters of a URL.
pub(super) fn query(demand: &DemandArgs) -> anyhow::Result<Vec<(&'static str, Option<String>)>> {
    let memory = demand.memory.as_deref().map(size::parse).transpose()?;
    let weights = demand.weights.as_deref().map(size::parse).transpose()?;
    Ok(vec![
        ("context", demand.context.map(|count| count.to_string())),
        ("parallel", demand.parallel.map(|count| count.to_string())),
        ("device", demand.device.clone()),
        ("memory", memory.map(|bytes| bytes.to_string())),
        ("weights", weights.map(|bytes| bytes.to_string())),
        ("policy", demand.policy.clone()),
    ])
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

pub(super) fn no_plan(json: bool, reason: &str, body: &[u8]) -> anyhow::Result<()> {
    let body: ErrorBody = serde_json::from_slice(body).context("the answer of mainsd")?;
    let nearest = body.error.nearest;
    if json {
        return output::json(&json!({ "no_plan": { "reason": reason, "nearest": nearest } }));
    }
    let mut text = format!("no plan: {reason}\n");
    for demand in nearest {
        text.push_str(&format!("would fit: {}\n", demand.words));
    }
    output::text(&text)
}

/// The plan as text: where, how much of what, in which types and what other types would be.
fn render(plan: &PlanBody, explain: bool) -> String {
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
    text.push_str(&files(plan));
    text.push_str(&quality(plan));
    text.push_str(&speed(plan));
    text.push('\n');
    text.push_str(&memory(plan));
    if !plan.around.is_empty() {
        text.push('\n');
        text.push_str(&around(plan));
    }
    if explain {
        text.push('\n');
        text.push_str(&rules(plan));
    }
    text
}

/// A line on the files that a load maps, when that is known.
fn files(plan: &PlanBody) -> String {
    let Some(prepared) = &plan.prepared else {
        return String::new();
    };
    let variant = match prepared.variant.as_str() {
        "stored" => "its types are those of its files",
        "ready" => "the file of its types is there",
        _ => "the file of its types is made at the first load, or by `mains prepare`",
    };
    let packed = if prepared.packed { "are" } else { "are not" };
    format!("files     {variant}; its weights {packed} packed for the driver\n")
}

/// Every byte by use.
fn memory(plan: &PlanBody) -> String {
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
    table.render()
}

/// A line on the predicted damage.
fn quality(plan: &PlanBody) -> String {
    let Some(kl) = plan.predicted.kl else {
        return "quality   as its files have it: no damage was measured, so types stay as they are\n"
            .to_owned();
    };
    format!(
        "quality   KL divergence of {} nats a token predicted; types within {:.2} % of the best ({})\n",
        digits(kl),
        100.0 * plan.gap,
        plan.policy
    )
}

/// A line on the predicted speed, when there is one.
fn speed(plan: &PlanBody) -> String {
    let Some(decode) = plan.predicted.decode_tokens_per_s else {
        return String::new();
    };
    let prefill = plan
        .predicted
        .prefill_tokens_per_s
        .map(|speed| format!("{speed:.0} tokens/s of a prompt, "));
    format!(
        "speed     {}{decode:.0} tokens/s of an answer are predicted for one sequence\n",
        prefill.unwrap_or_default(),
    )
}

/// Quality against bytes, around the plan.
fn around(plan: &PlanBody) -> String {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("WEIGHTS", Align::Right),
        ("TOTAL", Align::Right),
        ("KL", Align::Right),
        ("", Align::Left),
        ("TYPES", Align::Left),
    ]);
    let worst = plan.around.iter().map(|row| row.kl).fold(0.0, f64::max);
    for row in &plan.around {
        let largest = row.types.iter().take(3);
        let types: Vec<String> = largest
            .map(|(name, bytes)| format!("{name} {}", Bytes(*bytes)))
            .collect();
        let mark = match (row.chosen, row.fits) {
            (true, _) => "->",
            (false, true) => "",
            (false, false) => "too large",
        };
        table.row([
            mark.to_owned(),
            Bytes(row.weights).to_string(),
            Bytes(row.total).to_string(),
            digits(row.kl),
            share_bar(row.kl, worst),
            types.join(", "),
        ]);
    }
    table.render()
}

/// By which rule the plan was made, and every tensor's type.
fn rules(plan: &PlanBody) -> String {
    let rule = match plan.policy.as_str() {
        "quality" => {
            "types of the least damage that leave room for 4096 tokens, then context, then sequences"
        }
        "speed" => "the fewest bytes whose predicted KL divergence is below 0.085",
        _ => {
            "types below a predicted KL divergence of 0.03, then context (unasked at most 32768 tokens), then sequences \
             (unasked at most 8), then better types with what is left"
        }
    };
    let mut text = format!("policy    {}: {rule}\n", plan.policy);
    let mut table = Table::new(&[
        ("TENSOR", Align::Left),
        ("TYPE", Align::Left),
        ("BYTES", Align::Right),
    ]);
    for tensor in &plan.tensors {
        table.row([
            tensor.name.clone(),
            tensor.format.clone(),
            tensor.bytes.to_string(),
        ]);
    }
    text.push_str(&table.render());
    text
}

/// A damage with three digits that count.
fn digits(kl: f64) -> String {
    if kl == 0.0 || kl >= 0.01 {
        format!("{kl:.4}")
    } else {
        format!("{kl:.2e}")
    }
}

/// `part` of `whole` as a bar.
fn share_bar(part: f64, whole: f64) -> String {
    /// Steps that a share is rounded to before it is drawn.
    const STEPS: f64 = 1000.0;
    let share = if whole > 0.0 { part / whole } else { 0.0 };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of 0 to 1 is 0 to 1000 steps"
    )]
    let steps = (share.clamp(0.0, 1.0) * STEPS) as u64;
    bar(steps, STEPS as u64)
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
            "model": "pilot", "variant": "ab", "policy": "balanced", "gap": 0.0,
            "segments": [{"device": "cpu", "driver": "cpu", "first_layer": 0, "last_layer": 5}],
            "context": 2048, "prepared": {"weights": "cd", "variant": "ready", "packed": false}, "predicted": {"kl": 0.002, "prefill_tokens_per_s": 1234.5, "decode_tokens_per_s": 67.8}, "parallel": 8,
            "around": [{"weights": 2 << 20, "total": 3 << 20, "kl": 0.02, "types": [["Q4_K", 2 << 20]], "fits": true, "chosen": false},
                {"weights": 3 << 20, "total": 4 << 20, "kl": 0.002, "types": [["BF16", 3 << 20]], "fits": true, "chosen": true}], "kv_type": "F16",
            "bytes": {"weights": 3 << 20, "state": 1 << 20, "activations": 0, "scratch": 0, "runtime": 0, "total": 4 << 20},
            "tensors": [{"name": "a", "type": "BF16", "bytes": 1 << 20}, {"name": "b", "type": "BF16", "bytes": 2 << 20}]}))
        .unwrap();
        let text = render(&plan, true);
        assert!(
            text.contains("quality   KL divergence of 2.00e-3 nats a token predicted"),
            "{text}"
        );
        let row = "->  3.0 MiB  4.0 MiB  2.00e-3  [##..................]  BF16 3.0 MiB\n";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("policy    balanced: "), "{text}");
        let files = "files     the file of its types is there; its weights are not packed for the driver\n";
        assert!(text.contains(files), "{text}");
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
