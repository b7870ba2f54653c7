//! `mains families`: a line a family, a column a driver.

use std::collections::BTreeSet;

use mains_wire::http::{FamiliesBody, LackBody};

use super::siblings;
use crate::exit::Exit;
use crate::output;
use crate::table::{Align, Table};

/// Prints what the worker beside this program computes.
pub(crate) fn run(json: bool) -> anyhow::Result<Exit> {
    let families = siblings::families()?;
    if json {
        output::json(&families)?;
    } else {
        output::text(&render(&families))?;
    }
    Ok(Exit::Ok)
}

/// The table, what is lacking, and the formats of weights, as text.
fn render(body: &FamiliesBody) -> String {
    let headings: Vec<String> = body
        .drivers
        .iter()
        .map(|driver| driver.name.to_uppercase())
        .collect();
    let mut columns = vec![
        ("FAMILY", Align::Left),
        ("NAME", Align::Left),
        ("GGUF", Align::Left),
    ];
    columns.extend(headings.iter().map(|heading| (heading.as_str(), Align::Left)));
    let mut table = Table::new(&columns);
    let mut lacking = String::new();
    for family in &body.families {
        let mut row = vec![
            family.name.clone(),
            family.display_name.clone(),
            family.gguf.clone(),
        ];
        row.extend(family.lacks.iter().map(|lacks| cell(lacks)));
        table.row(row);
        for (driver, lacks) in body.drivers.iter().zip(&family.lacks) {
            for LackBody { op, reason } in lacks {
                lacking.push_str(&format!("{} on {}: {op}: {reason}\n", family.name, driver.name));
            }
        }
    }
    let mut text = table.render() + &lacking;
    for driver in &body.drivers {
        let formats = driver.weight_formats.join(" ");
        text.push_str(&format!(
            "{} ({}): weights in {formats}\n",
            driver.name, driver.kernels
        ));
    }
    text
}

fn cell(lacks: &[LackBody]) -> String {
    let ops: BTreeSet<&str> = lacks.iter().map(|lack| lack.op.as_str()).collect();
    if ops.is_empty() {
        "yes".to_owned()
    } else {
        format!("no {}", ops.into_iter().collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use mains_wire::http::FamiliesBody;
    use serde_json::json;

    use super::render;

    #[test]
    fn a_line_a_family_and_what_is_lacking_below() {
        let families: FamiliesBody = serde_json::from_value(json!({
            "drivers": [
                {"name": "cpu", "kernels": "avx2", "weight_formats": ["F32", "Q8_0"]},
                {"name": "npu", "kernels": "none", "weight_formats": ["F16"]}],
            "families": [
                {"name": "llama", "gguf": "llama", "display_name": "Llama", "lacks": [[], []]},
                {"name": "qwen3_next", "gguf": "qwen3next", "display_name": "Qwen3-Next",
                 "lacks": [[], [{"op": "gated_delta", "reason": "no kernel for it"}, {"op": "linear", "reason": "bias"},
                                {"op": "linear", "reason": "odd"}]]}]}))
        .unwrap();
        assert_eq!(
            render(&families),
            "FAMILY      NAME        GGUF       CPU  NPU\n\
             llama       Llama       llama      yes  yes\n\
             qwen3_next  Qwen3-Next  qwen3next  yes  no gated_delta, linear\n\
             qwen3_next on npu: gated_delta: no kernel for it\n\
             qwen3_next on npu: linear: bias\n\
             qwen3_next on npu: linear: odd\n\
             cpu (avx2): weights in F32 Q8_0\n\
             npu (none): weights in F16\n"
        );
    }
}
