//! Commands of the administration socket: load, unload, reload, backup.

use std::path::Path;

use anyhow::Context;
use serde_json::json;

use crate::client::Client;
use crate::exit::Exit;

/// `mains load`.
pub(crate) async fn load(admin: &Client, model: &str) -> anyhow::Result<Exit> {
    admin
        .post(&super::admin_model_path(model, "load"), &json!({}))
        .await?;
    println!("{model} is loaded");
    Ok(Exit::Ok)
}

/// `mains unload`.
pub(crate) async fn unload(admin: &Client, model: &str) -> anyhow::Result<Exit> {
    admin
        .post(&super::admin_model_path(model, "unload"), &json!({}))
        .await?;
    println!("{model} is unloaded");
    Ok(Exit::Ok)
}

/// `mains reload`.
pub(crate) async fn reload(admin: &Client) -> anyhow::Result<Exit> {
    admin.post("/admin/reload", &json!({})).await?;
    println!("the configuration is read again");
    Ok(Exit::Ok)
}

/// `mains backup`: the daemon writes the copy, so the path must be one that it may write.
pub(crate) async fn backup(admin: &Client, file: &Path) -> anyhow::Result<Exit> {
    let file = std::path::absolute(file).with_context(|| file.display().to_string())?;
    admin.post("/admin/backup", &json!({ "path": file })).await?;
    println!("the ledger is copied to {}", file.display());
    Ok(Exit::Ok)
}
