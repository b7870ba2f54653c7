//! `mains usage`: sums over the ledger, or its rows.

use mains_wire::http::{RequestRow, UsageReport};

use crate::args::{GroupBy, UsageArgs};
use crate::client::Client;
use crate::exit::Exit;
use crate::output;
use crate::sockets::Sockets;
use crate::table::{Align, Table};

/// The most rows that the daemon gives in one answer.
const MAX_ROWS: usize = 100_000;

/// Prints usage: everybody's to an administrator, else that of one's own team.
pub(crate) async fn run(sockets: &Sockets, args: &UsageArgs) -> anyhow::Result<Exit> {
    let client = sockets.widest().await;
    let since = ("since", args.since.clone());
    if args.requests {
        let limit = ("limit", Some(MAX_ROWS.to_string()));
        let rows: Vec<RequestRow> = client
            .get(&super::with_query("/v1/requests", [since, limit]))
            .await?;
        anyhow::ensure!(
            rows.len() < MAX_ROWS,
            "there are {MAX_ROWS} requests or more: narrow them by --since"
        );
        print_rows(args, &rows)?;
    } else {
        let by = match args.by {
            GroupBy::Team => "team",
            GroupBy::Model => "model",
            GroupBy::Day => "day",
        };
        let path = super::with_query("/v1/usage", [("by", Some(by.to_owned())), since]);
        let report: UsageReport = client.get(&path).await?;
        if let Some(team) = &report.team {
            eprintln!("(usage of your team, {team}; the administrator sees everybody's)");
        }
        print_sums(args, &report)?;
    }
    Ok(Exit::Ok)
}

/// Prints the ledger's row of one request.
pub(crate) async fn print_request(client: &Client, id: &str) -> anyhow::Result<()> {
    let rows: Vec<RequestRow> = client.get("/v1/requests").await?;
    let rows: Vec<RequestRow> = rows.into_iter().filter(|row| row.id == id).collect();
    anyhow::ensure!(!rows.is_empty(), "the ledger has no row {id}");
    output::text(&rows_table(&rows).render())
}

fn print_sums(args: &UsageArgs, report: &UsageReport) -> anyhow::Result<()> {
    if args.json {
        return output::json(report);
    }
    const COLUMNS: [&str; 4] = ["requests", "prompt_tokens", "cached_tokens", "completion_tokens"];
    let counts = |row: &mains_wire::http::UsageRow| {
        [
            row.requests,
            row.prompt_tokens,
            row.cached_tokens,
            row.completion_tokens,
        ]
        .map(|count| count.to_string())
    };
    if args.csv {
        let mut csv = csv::Writer::from_writer(std::io::stdout().lock());
        csv.write_record(std::iter::once(report.by.as_str()).chain(COLUMNS))?;
        for row in &report.rows {
            csv.write_record(std::iter::once(&row.key).chain(&counts(row)))?;
        }
        return Ok(csv.flush()?);
    }
    let mut table = Table::new(&[
        (&report.by.to_uppercase(), Align::Left),
        ("REQUESTS", Align::Right),
        ("PROMPT TOKENS", Align::Right),
        ("OF THEM CACHED", Align::Right),
        ("COMPLETION TOKENS", Align::Right),
    ]);
    for row in &report.rows {
        table.row(std::iter::once(row.key.clone()).chain(counts(row)));
    }
    output::text(&table.render())
}

fn print_rows(args: &UsageArgs, rows: &[RequestRow]) -> anyhow::Result<()> {
    if args.json {
        return output::json(&rows);
    }
    if args.csv {
        let mut csv = csv::Writer::from_writer(std::io::stdout().lock());
        csv.write_record(ROW_COLUMNS)?;
        for row in rows {
            csv.write_record(cells(row))?;
        }
        return Ok(csv.flush()?);
    }
    output::text(&rows_table(rows).render())
}

/// A row's columns, named as in JSON.
const ROW_COLUMNS: [&str; 18] = [
    "id",
    "time",
    "team",
    "uid",
    "pid",
    "unit",
    "model",
    "variant",
    "device",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "queue_ms",
    "first_token_ms",
    "total_ms",
    "finish_reason",
    "error",
    "settled",
];

/// A row's values in the order of [`ROW_COLUMNS`], empty when unknown.
fn cells(row: &RequestRow) -> [String; 18] {
    let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let id = |value: Option<u32>| number(value.map(u64::from));
    let word = |value: &Option<String>| value.clone().unwrap_or_default();
    [
        row.id.clone(),
        row.time.clone(),
        row.team.clone(),
        id(row.uid),
        id(row.pid),
        word(&row.unit),
        row.model.clone(),
        word(&row.variant),
        word(&row.device),
        number(row.prompt_tokens),
        number(row.cached_tokens),
        number(row.completion_tokens),
        number(row.queue_ms),
        number(row.first_token_ms),
        number(row.total_ms),
        word(&row.finish_reason),
        word(&row.error),
        word(&row.settled),
    ]
}

/// What a person looks at: times as sums, the variant's first digits.
fn rows_table(rows: &[RequestRow]) -> Table {
    let mut table = Table::new(&[
        ("TIME", Align::Left),
        ("ID", Align::Left),
        ("TEAM", Align::Left),
        ("UID", Align::Right),
        ("MODEL", Align::Left),
        ("DEVICE", Align::Left),
        ("PROMPT", Align::Right),
        ("CACHED", Align::Right),
        ("COMPLETION", Align::Right),
        ("FIRST MS", Align::Right),
        ("TOTAL MS", Align::Right),
        ("ENDED", Align::Left),
        ("SETTLED", Align::Left),
    ]);
    for row in rows {
        let [
            id,
            time,
            team,
            uid,
            _,
            _,
            model,
            _,
            device,
            prompt,
            cached,
            completion,
            _,
            first,
            total,
            finish,
            error,
            settled,
        ] = cells(row);
        let ended = if error.is_empty() { finish } else { error };
        table.row([
            time, id, team, uid, model, device, prompt, cached, completion, first, total, ended, settled,
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use mains_wire::http::RequestRow;
    use serde_json::{Value, json};

    use super::{ROW_COLUMNS, cells};

    #[test]
    fn csv_columns_are_the_names_of_the_json() {
        let whole = json!({"id": "1", "time": "2", "team": "3", "uid": 4, "pid": 5, "unit": "6", "model": "7", "variant": "8",
            "device": "9", "prompt_tokens": 10, "cached_tokens": 11, "completion_tokens": 12, "queue_ms": 13,
            "first_token_ms": 14, "total_ms": 15, "finish_reason": "16", "error": "17", "settled": "18"});
        let row: RequestRow = serde_json::from_value(whole.clone()).unwrap();
        for (column, cell) in ROW_COLUMNS.iter().zip(cells(&row)) {
            let value = &whole[column];
            assert_eq!(
                value.as_str().map_or_else(|| value.to_string(), str::to_owned),
                cell,
                "{column}"
            );
        }
        let Value::Object(fields) = serde_json::to_value(&row).unwrap() else {
            panic!("a row is an object")
        };
        assert_eq!(fields.keys().collect::<Vec<_>>(), ROW_COLUMNS);
    }
}
