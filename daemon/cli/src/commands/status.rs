//! `mains status`: how the daemon is, with exit codes for monitoring.

use mains_contract::Bytes;
use mains_wire::http::StatusBody;

use crate::client::Client;
use crate::exit::Exit;
use crate::output;
use crate::sensitivity;
use crate::table::{Align, Table};

/// Prints the state; code 3 unless everything is as it should be.
pub(crate) async fn run(client: &Client, json: bool) -> anyhow::Result<Exit> {
    let status: StatusBody = client.get("/v1/status").await?;
    if json {
        output::json(&status)?;
    } else {
        output::text(&render(&status))?;
    }
    Ok(if status.state == "ready" {
        Exit::Ok
    } else {
        Exit::NotReady
    })
}

fn render(status: &StatusBody) -> String {
    let mut text = format!(
        "mainsd {} is {}, process {}, up {}\n",
        status.version,
        status.state,
        status.pid,
        uptime(status.uptime_s)
    );
    for reason in &status.reasons {
        text.push_str(&format!("reason: {reason}\n"));
    }
    let ledger = status
        .ledger
        .reason
        .as_deref()
        .unwrap_or(if status.ledger.ok { "ok" } else { "not ok" });
    text.push_str(&format!("ledger: {ledger}\n\n"));
    let mut table = Table::new(&[
        ("MODEL", Align::Left),
        ("STATE", Align::Left),
        ("WORKER", Align::Right),
        ("RUNNING", Align::Right),
        ("QUEUED", Align::Right),
        ("CRASHES", Align::Right),
        ("MEMORY", Align::Right),
    ]);
    for model in &status.models {
        let held: u64 = status
            .reservations
            .iter()
            .filter(|held| held.model == model.name)
            .map(|held| held.bytes)
            .sum();
        let state = match model.retry_in_s {
            Some(seconds) => format!("{} ({seconds} s)", model.state),
            None => model.state.clone(),
        };
        table.row([
            model.name.clone(),
            state,
            model
                .worker_pid
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            model.running.to_string(),
            model.queued.to_string(),
            model.crashes.to_string(),
            if held == 0 {
                "-".to_owned()
            } else {
                Bytes(held).to_string()
            },
        ]);
    }
    text.push_str(&table.render());
    for model in &status.models {
        if let Some(error) = &model.last_error {
            text.push_str(&format!("{}: last error: {error}\n", model.name));
        }
        if let Some(sentence) = sensitivity::sentence(&model.sensitivity) {
            text.push_str(&format!("{}: {sentence}\n", model.name));
        }
        for wall in &model.walls_missing {
            text.push_str(&format!(
                "{}: its worker runs without a wall: {wall}\n",
                model.name
            ));
        }
    }
    text
}

/// A span in its two largest units.
fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::uptime;

    #[test]
    fn spans_in_two_units() {
        assert_eq!(uptime(59), "59 s");
        assert_eq!(uptime(3_599), "59 min 59 s");
        assert_eq!(uptime(90_000), "1 d 1 h");
        assert_eq!(uptime(7_260), "2 h 1 min");
    }
}
