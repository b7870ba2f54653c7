//! `mains models`: what can be asked for; `mains rm`.

use hyper::Method;
use jiff::Timestamp;
use mains_contract::Bytes;
use mains_wire::http::{ModelList, RemovedBody, StatusBody};

use crate::args::RmArgs;
use crate::client::Client;
use crate::exit::Exit;
use crate::output;
use crate::sensitivity;
use crate::table::{Align, Table};

/// Prints the models; in JSON as the API lists them.
pub(crate) async fn run(client: &Client, json: bool) -> anyhow::Result<Exit> {
    let models: ModelList = client.get("/v1/models").await?;
    if json {
        output::json(&models)?;
        return Ok(Exit::Ok);
    }
    let status: StatusBody = client.get("/v1/status").await?;
    let mut table = Table::new(&[
        ("MODEL", Align::Left),
        ("STATE", Align::Left),
        ("SIZE", Align::Right),
        ("MEASURED", Align::Left),
        ("ORIGIN", Align::Left),
        ("SINCE", Align::Left),
    ]);
    for model in &models.data {
        let state = status.models.iter().find(|status| status.name == model.id);
        let since = i64::try_from(model.created)
            .ok()
            .and_then(|created| Timestamp::from_second(created).ok());
        table.row([
            model.id.clone(),
            state.map_or("-", |status| &status.state).to_owned(),
            state.map_or_else(|| "-".to_owned(), |status| Bytes(status.bytes).to_string()),
            state.map_or_else(
                || "-".to_owned(),
                |status| sensitivity::short(&status.sensitivity),
            ),
            state.map_or("-", |status| &status.origin).to_owned(),
            since.map_or_else(
                || "-".to_owned(),
                |time| time.strftime("%Y-%m-%d %H:%M").to_string(),
            ),
        ]);
    }
    let mut text = table.render();
    for model in status
        .models
        .iter()
        .filter(|model| model.sensitivity.state == "failed")
    {
        let why = sensitivity::sentence(&model.sensitivity).unwrap_or_default();
        text.push_str(&format!("{}: {why}\n", model.name));
    }
    output::text(&text)?;
    Ok(Exit::Ok)
}

/// `mains rm`.
pub(crate) async fn remove(admin: &Client, args: &RmArgs) -> anyhow::Result<Exit> {
    let query = [("unload", args.unload.then(|| "true".to_owned()))];
    let path = super::with_query(&super::admin_path(&args.model), query);
    let response = admin.request(Method::DELETE, &path, None).await?;
    let body = admin.whole(response).await?;
    let removed: RemovedBody = serde_json::from_slice(&body)?;
    if args.json {
        output::json(&removed)?;
        return Ok(Exit::Ok);
    }
    let rest = if removed.shared_with.is_empty() {
        format!("{} are free now", Bytes(removed.bytes))
    } else {
        format!(
            "its files stay, for {} has them too",
            removed.shared_with.join(", ")
        )
    };
    output::text(&format!("{} is removed; {rest}\n", removed.model))?;
    Ok(Exit::Ok)
}
