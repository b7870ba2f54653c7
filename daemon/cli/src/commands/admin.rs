//! Commands of the administration socket: load, unload, reload, backup.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use http_body_util::BodyExt;
use hyper::Method;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::client::Client;
use crate::exit::Exit;
use crate::output;

/// `mains load`.
pub(crate) async fn load(admin: &Client, model: &str) -> anyhow::Result<Exit> {
    admin
        .post(&super::admin_model_path(model, "load"), &json!({}))
        .await?;
    output::text(&format!("{model} is loaded\n"))?;
    Ok(Exit::Ok)
}

/// `mains unload`.
pub(crate) async fn unload(admin: &Client, model: &str) -> anyhow::Result<Exit> {
    admin
        .post(&super::admin_model_path(model, "unload"), &json!({}))
        .await?;
    output::text(&format!("{model} is unloaded\n"))?;
    Ok(Exit::Ok)
}

/// `mains reload`.
pub(crate) async fn reload(admin: &Client) -> anyhow::Result<Exit> {
    let answer = admin.post("/admin/reload", &json!({})).await?;
    for change in changes(&answer) {
        output::text(&format!("changed: {change}\n"))?;
    }
    output::text("the configuration is read again\n")?;
    Ok(Exit::Ok)
}

/// What a reload changed, in the daemon's words.
fn changes(answer: &serde_json::Value) -> impl Iterator<Item = &str> {
    answer["changes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_str)
}

/// `mains backup`: the daemon gives a checked copy, this user decides where it lies.
pub(crate) async fn backup(admin: &Client, file: &Path) -> anyhow::Result<Exit> {
    let path = file.display().to_string();
    anyhow::ensure!(!file.exists(), "{path} exists; a backup overwrites nothing");
    let mut body = admin
        .request(Method::POST, "/admin/backup", None)
        .await?
        .into_body();
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut copy = NamedTempFile::new_in(folder).with_context(|| folder.display().to_string())?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| admin.broken(&error))?;
        if let Some(bytes) = frame.data_ref() {
            copy.write_all(bytes).with_context(|| path.clone())?;
        }
    }
    copy.as_file().sync_all().with_context(|| path.clone())?;
    copy.persist_noclobber(file).with_context(|| path.clone())?;
    output::text(&format!("the ledger is copied to {path}\n"))?;
    Ok(Exit::Ok)
}
