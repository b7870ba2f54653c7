//! `mains import`: brings a model into the daemon's store.

use http_body_util::BodyExt;
use hyper::Method;
use mains_contract::Bytes;
use mains_wire::http::{FinishBody, ImportEvent, ImportedBody};

use crate::args::ImportArgs;
use crate::client::Client;
use crate::exit::Exit;
use crate::lines::Lines;
use crate::output;
use crate::progress::Progress;
use crate::sending::{Source, send};

/// Names of files that are told when they are left out; of more only the number is.
const TOLD_NAMES: usize = 8;

/// Imports what is at the path. Cut off, it goes on where it stopped when it is started again.
pub(crate) async fn run(admin: &Client, args: &ImportArgs) -> anyhow::Result<Exit> {
    let source = Source::find(&args.path)?;
    let name = args.name.as_deref().unwrap_or(&source.name);
    if !source.left_out.is_empty() && !args.json {
        eprintln!(
            "left out, for they are no part of the model: {}",
            told(&source.left_out)
        );
    }
    let progress = Progress::new();
    let result = bring(admin, &source, name, &progress).await;
    progress.end();
    let imported = result?;
    if args.json {
        output::json(&imported)?;
    } else {
        output::text(&words(&imported))?;
    }
    Ok(Exit::Ok)
}

async fn bring(
    admin: &Client,
    source: &Source,
    name: &str,
    progress: &Progress,
) -> anyhow::Result<ImportedBody> {
    let (id, digests) = send(admin, source, name, progress).await?;
    finish(admin, &id, &digests, progress).await
}

/// Has the daemon check, inspect and keep what was sent.
async fn finish(
    admin: &Client,
    id: &str,
    digests: &FinishBody,
    progress: &Progress,
) -> anyhow::Result<ImportedBody> {
    let path = format!("/admin/imports/{id}/finish");
    let body = serde_json::to_vec(digests)?;
    let mut body = admin.request(Method::POST, &path, Some(body)).await?.into_body();
    let mut lines = Lines::default();
    let mut shown = String::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| admin.broken(&error))?;
        let Some(bytes) = frame.data_ref() else { continue };
        for line in lines.push(bytes) {
            match serde_json::from_str(&line).map_err(|error| admin.broken(&error))? {
                ImportEvent::Progress { phase, done, of } => {
                    if phase != shown {
                        progress.begin(&phase, 0, of);
                        shown = phase;
                    }
                    progress.set(done);
                }
                ImportEvent::Imported(imported) => return Ok(imported),
                ImportEvent::Failed { error } => anyhow::bail!("{error}"),
            }
        }
    }
    Err(admin
        .broken(&"the import broke off; start it again, what is safe is not sent twice")
        .into())
}

fn words(imported: &ImportedBody) -> String {
    let files = match imported.files {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    let shared = if imported.shared {
        "; the same files were stored already"
    } else {
        ""
    };
    format!(
        "{} is imported: {}, {} in {files}{shared}\n",
        imported.model,
        imported.family,
        Bytes(imported.bytes)
    )
}

fn told(names: &[String]) -> String {
    let first = names
        .iter()
        .take(TOLD_NAMES)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(TOLD_NAMES) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use mains_wire::http::ImportedBody;

    use super::{told, words};

    #[test]
    fn what_was_done_is_one_line() {
        let mut imported = ImportedBody {
            model: "mine".to_owned(),
            family: "qwen3".to_owned(),
            content: "ab".repeat(32),
            bytes: 3 << 20,
            files: 1,
            shared: false,
        };
        assert_eq!(words(&imported), "mine is imported: qwen3, 3.0 MiB in 1 file\n");
        imported.files = 2;
        imported.shared = true;
        let again = "mine is imported: qwen3, 3.0 MiB in 2 files; the same files were stored already\n";
        assert_eq!(words(&imported), again);
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<_> = (0..10).map(|number| number.to_string()).collect();
        assert_eq!(told(&names), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
        assert_eq!(told(&names[..2]), "0, 1");
    }
}
