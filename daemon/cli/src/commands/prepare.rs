//! `mains prepare`: has the daemon make the files of a plan, and shows how it goes.

use anyhow::bail;
use http_body_util::BodyExt;
use hyper::Method;
use mains_wire::http::PrepareEvent;
use serde_json::json;

use super::plan;
use crate::args::PrepareArgs;
use crate::client::{Client, ClientError};
use crate::exit::Exit;
use crate::lines::Lines;
use crate::output;
use crate::progress::Progress;

/// Makes the files and prints the plan's digest. Progress goes to standard error where that is a terminal.
pub(crate) async fn run(admin: &Client, args: &PrepareArgs) -> anyhow::Result<Exit> {
    let path = super::admin_model_path(&args.demand.model, "prepare");
    let path = super::with_query(&path, plan::query(&args.demand)?);
    let response = match admin.request(Method::POST, &path, None).await {
        Err(ClientError::Refused {
            status: 422,
            message,
            body,
        }) => {
            plan::no_plan(args.json, &message, &body)?;
            return Ok(Exit::NotReady);
        }
        response => response?,
    };
    let mut body = response.into_body();
    let mut lines = Lines::default();
    let mut shown = Shown::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| admin.broken(&error))?;
        let Some(bytes) = frame.data_ref() else { continue };
        for line in lines.push(bytes) {
            match serde_json::from_str(&line).map_err(|error| admin.broken(&error))? {
                PrepareEvent::Progress { step, written, bytes } => shown.progress(step, written, bytes),
                ready @ PrepareEvent::Ready { .. } => {
                    shown.end();
                    tell(args.json, &ready)?;
                    return Ok(Exit::Ok);
                }
                PrepareEvent::Failed { error } => {
                    shown.end();
                    bail!(error)
                }
            }
        }
    }
    shown.end();
    Err(admin.broken(&"the daemon ended before all was made").into())
}

/// Prints what is there now.
fn tell(json: bool, ready: &PrepareEvent) -> anyhow::Result<()> {
    let PrepareEvent::Ready {
        variant,
        prepared,
        note,
    } = ready
    else {
        return Ok(());
    };
    if json {
        return output::json(&json!({"variant": variant, "prepared": prepared, "note": note}));
    }
    if let Some(note) = note {
        eprintln!("mains: its weights are not packed: {note}");
    }
    output::text(&format!("{variant}\n"))
}

/// A bar for the file that is made.
#[derive(Default)]
struct Shown(Option<(String, Progress)>);

impl Shown {
    fn progress(&mut self, step: String, written: u64, bytes: u64) {
        if self.0.as_ref().is_none_or(|(shown, _)| *shown != step) {
            self.end();
            let progress = Progress::new();
            progress.begin(&step, 0, Some(bytes));
            self.0 = Some((step, progress));
        }
        if let Some((_, progress)) = &self.0 {
            progress.set(written);
        }
    }

    fn end(&mut self) {
        if let Some((_, progress)) = self.0.take() {
            progress.end();
        }
    }
}
