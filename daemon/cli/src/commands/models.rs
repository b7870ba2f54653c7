//! `mains models`: what can be asked for.

use jiff::Timestamp;
use mains_wire::http::{ModelList, StatusBody};

use crate::client::Client;
use crate::exit::Exit;
use crate::output;
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
            since.map_or_else(
                || "-".to_owned(),
                |time| time.strftime("%Y-%m-%d %H:%M").to_string(),
            ),
        ]);
    }
    output::text(&table.render())?;
    Ok(Exit::Ok)
}
