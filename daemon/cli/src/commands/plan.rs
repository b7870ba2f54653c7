//! `mains plan`: where a model would go and every byte that it would take.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use mains_contract::Bytes;
use mains_wire::http::{ErrorBody, PlanBody};
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use crate::args::{DemandArgs, PlanArgs};
use crate::client::{Client, ClientError};
use crate::exit::Exit;
use crate::paragraph::{columns, labelled};
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
                output::text(&render(&plan, args.explain, columns()))?;
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
    let words: Vec<&str> = nearest.iter().map(|demand| demand.words.as_str()).collect();
    output::text(&refusal(reason, &words, columns()))
}

/// Why there is no plan and what has one, as text.
fn refusal(reason: &str, nearest: &[&str], columns: Option<usize>) -> String {
    let mut text = labelled("no plan", reason, columns);
    for words in nearest {
        text.push_str(&labelled("would fit", words, columns));
    }
    text
}

/// The plan as text, on lines of at most `columns` where they can be broken: where, how much of what, in which types and what
/// other types would be.
fn render(plan: &PlanBody, explain: bool, columns: Option<usize>) -> String {
    let mut text = String::new();
    let mut line = |label, words: &str| text.push_str(&labelled(label, words, columns));
    line("model", &plan.model);
    line("variant", &plan.variant);
    for part in &plan.segments {
        let layers = match (part.first_layer, part.last_layer) {
            (first, last) if first == last => format!("{first}"),
            (first, last) => format!("{first} to {last}"),
        };
        line(
            "layers",
            &format!("{layers} on {} (driver {})", part.device, part.driver),
        );
    }
    let sequences = counted(plan.parallel.into(), "sequence");
    line(
        "context",
        &format!(
            "{} tokens, {sequences} at once, keys and values in {}",
            plan.context, plan.kv_type
        ),
    );
    line("types", &types(plan));
    if let Some(words) = files(plan) {
        line("files", &words);
    }
    line("quality", &quality(plan));
    if let Some(words) = speed(plan) {
        line("speed", &words);
    }
    text.push('\n');
    text.push_str(&memory(plan));
    if !plan.around.is_empty() {
        text.push('\n');
        text.push_str(&around(plan, columns));
    }
    if explain {
        text.push('\n');
        text.push_str(&rules(plan, columns));
    }
    text
}

/// `1 tensor`, `2 tensors`.
fn counted(count: u64, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

/// On the files that a load maps, when that is known.
fn files(plan: &PlanBody) -> Option<String> {
    let prepared = plan.prepared.as_ref()?;
    let variant = match prepared.variant.as_str() {
        "stored" => "its types are those of its files",
        "ready" => "the file of its types is there",
        _ => "the file of its types is made at the first load, or by `mains prepare`",
    };
    let packed = if prepared.packed { "are" } else { "are not" };
    Some(format!("{variant}; its weights {packed} packed for the driver"))
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

/// On the predicted damage.
fn quality(plan: &PlanBody) -> String {
    /// The gap up to which a choice was searched for; only a file that is there leaves a larger one.
    const SEARCHED: f64 = 1e-3;
    let Some(kl) = plan.predicted.kl else {
        return "as its files have it: no damage was measured, so types stay as they are".to_owned();
    };
    let why = if plan.gap > SEARCHED {
        ": a file of these types is there and hardly worse than one that would have to be made"
    } else {
        ""
    };
    format!(
        "KL divergence of {} nats a token predicted; types within {:.2} % of the best ({}){why}",
        digits(kl),
        100.0 * plan.gap,
        plan.policy
    )
}

/// On the predicted speed, when there is one.
fn speed(plan: &PlanBody) -> Option<String> {
    let decode = plan.predicted.decode_tokens_per_s?;
    let prefill = plan
        .predicted
        .prefill_tokens_per_s
        .map(|speed| format!("{speed:.0} tokens/s of a prompt, "));
    Some(format!(
        "{}{decode:.0} tokens/s of an answer are predicted for one sequence",
        prefill.unwrap_or_default(),
    ))
}

/// How much a row of quality against bytes tells, the most first.
const DETAILS: [Details; 3] = [
    Details {
        bar: true,
        bytes: true,
    },
    Details {
        bar: true,
        bytes: false,
    },
    Details {
        bar: false,
        bytes: false,
    },
];

/// What a row has beside its figures.
#[derive(Clone, Copy)]
struct Details {
    /// The damage as a bar.
    bar: bool,
    /// The bytes of its types.
    bytes: bool,
}

/// Quality against bytes, around the plan, with as much as fits into `columns`.
fn around(plan: &PlanBody, columns: Option<usize>) -> String {
    let mut drawn = DETAILS.map(|details| around_with(plan, details)).into_iter();
    let fits = |table: &String| {
        let widest = table.lines().map(UnicodeWidthStr::width).max();
        columns.is_none_or(|columns| widest.is_none_or(|widest| widest <= columns))
    };
    let narrowest = around_with(plan, DETAILS[DETAILS.len() - 1]);
    drawn.find(fits).unwrap_or(narrowest)
}

fn around_with(plan: &PlanBody, details: Details) -> String {
    let mut columns = vec![
        ("", Align::Left),
        ("WEIGHTS", Align::Right),
        ("TOTAL", Align::Right),
        ("KL", Align::Right),
    ];
    columns.extend(details.bar.then_some(("", Align::Left)));
    columns.push(("MOST OF IT", Align::Left));
    let mut table = Table::new(&columns);
    let worst = plan.around.iter().map(|row| row.kl).fold(0.0, f64::max);
    for row in &plan.around {
        let largest = row.types.iter().take(3);
        let types: Vec<String> = largest
            .map(|(name, bytes)| match details.bytes {
                true => format!("{name} {}", Bytes(*bytes)),
                false => name.clone(),
            })
            .collect();
        let mark = match (row.chosen, row.fits) {
            (true, _) => "->",
            (false, true) => "",
            (false, false) => "too large",
        };
        let mut cells = vec![
            mark.to_owned(),
            Bytes(row.weights).to_string(),
            Bytes(row.total).to_string(),
            digits(row.kl),
        ];
        cells.extend(details.bar.then(|| share_bar(row.kl, worst)));
        cells.push(types.join(", "));
        table.row(cells);
    }
    table.render()
}

/// By which rule the plan was made, and every tensor's type.
fn rules(plan: &PlanBody, columns: Option<usize>) -> String {
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
    let mut text = labelled("policy", &format!("{}: {rule}", plan.policy), columns);
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
    let mut by_type: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for tensor in &plan.tensors {
        let entry = by_type.entry(&tensor.format).or_default();
        *entry = (entry.0 + 1, entry.1.saturating_add(tensor.bytes));
    }
    let parts: Vec<String> = by_type
        .iter()
        .map(|(format, (count, bytes))| format!("{format}: {}, {}", counted(*count, "tensor"), Bytes(*bytes)))
        .collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use mains_wire::http::PlanBody;
    use serde_json::json;

    use super::{refusal, render};

    fn plan() -> PlanBody {
        serde_json::from_value(json!({
            "model": "pilot", "variant": "ab", "policy": "balanced", "gap": 0.0,
            "segments": [{"device": "cpu", "driver": "cpu", "first_layer": 0, "last_layer": 5}],
            "context": 2048, "prepared": {"weights": "cd", "variant": "ready", "packed": false}, "predicted": {"kl": 0.002, "prefill_tokens_per_s": 1234.5, "decode_tokens_per_s": 67.8}, "parallel": 8,
            "around": [{"weights": 2 << 20, "total": 3 << 20, "kl": 0.02, "types": [["Q4_K", 2 << 20]], "fits": true, "chosen": false},
                {"weights": 3 << 20, "total": 4 << 20, "kl": 0.002, "types": [["BF16", 3 << 20]], "fits": true, "chosen": true}], "kv_type": "F16",
            "bytes": {"weights": 3 << 20, "state": 1 << 20, "activations": 0, "scratch": 0, "runtime": 0, "total": 4 << 20},
            "tensors": [{"name": "a", "type": "BF16", "bytes": 1 << 20}, {"name": "b", "type": "BF16", "bytes": 2 << 20}]}))
        .unwrap()
    }

    #[test]
    fn every_byte_is_told() {
        let plan = plan();
        let text = render(&plan, true, None);
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
        for columns in [60, 80, 120] {
            let text = render(&plan, true, Some(columns));
            assert!(text.lines().all(|line| line.len() <= columns), "{text}");
        }
    }

    #[test]
    fn a_gap_above_the_searched_one_is_explained() {
        let mut plan = plan();
        let kept = "a file of these types is there";
        assert!(!render(&plan, false, None).contains(kept));
        plan.gap = 0.05;
        let text = render(&plan, false, None);
        assert!(
            text.contains("types within 5.00 % of the best (balanced): a file of these types is there"),
            "{text}"
        );
    }

    #[test]
    fn a_refusal_stays_within_the_terminal() {
        let reason = "it needs 1.0 TiB with a context of 512 and 1 sequence at once; 141.0 GB may be used, 900 GB are missing";
        let text = refusal(reason, &["context 512 and parallel 1 on gpu-0", reason], Some(80));
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert_eq!(text.matches("would fit ").count(), 2);
        assert_eq!(refusal(reason, &[], None), format!("no plan   {reason}\n"));
    }
}
