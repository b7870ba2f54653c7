//! `mains export`: a model as one GGUF file, where this user wants it.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Body;
use mains_contract::Bytes;
use tempfile::NamedTempFile;

use crate::args::ExportArgs;
use crate::client::Client;
use crate::exit::Exit;
use crate::output;
use crate::progress::Progress;

/// Writes the file under another name first: it is there whole or not at all.
pub(crate) async fn run(admin: &Client, args: &ExportArgs) -> anyhow::Result<Exit> {
    let path = args.file.display().to_string();
    if !args.force && args.file.exists() {
        anyhow::bail!("{path} exists; give --force to write over it");
    }
    let from = super::admin_model_path(&args.model, "export");
    let mut body = admin.request(Method::GET, &from, None).await?.into_body();
    let bytes = body.size_hint().exact();
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut copy = NamedTempFile::new_in(folder).with_context(|| folder.display().to_string())?;
    let progress = Progress::new();
    progress.begin("writing", 0, bytes);
    let mut written = 0_u64;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            admin.broken(&format!("the export broke off: {error}; `mains logs` tells why"))
        })?;
        if let Some(piece) = frame.data_ref() {
            copy.write_all(piece).with_context(|| path.clone())?;
            written += piece.len() as u64;
            progress.set(written);
        }
    }
    copy.as_file().sync_all().with_context(|| path.clone())?;
    progress.end();
    if args.force {
        copy.persist(&args.file).with_context(|| path.clone())?;
    } else {
        copy.persist_noclobber(&args.file).with_context(|| path.clone())?;
    }
    output::text(&format!(
        "{} is written to {path}: {}\n",
        args.model,
        Bytes(written)
    ))?;
    Ok(Exit::Ok)
}
