//! `mainsd --check-config`.

use std::io::Write;

use crate::config::Settings;
use crate::loader::Loader;

/// Reads the configuration as a start would and says what it means.
///
/// # Errors
/// What is wrong, with file, line and key.
pub(crate) fn check(loader: &Loader) -> anyhow::Result<()> {
    let settings = loader.load()?;
    for model in &settings.supervisor.models {
        if let Some(path) = &model.path
            && let Err(error) = std::fs::metadata(path)
        {
            anyhow::bail!("models.{}.path: {}: {error}", model.name, path.display());
        }
    }
    std::io::stdout().write_all(summary(&settings).as_bytes())?;
    Ok(())
}

fn summary(settings: &Settings) -> String {
    let source = settings.source.as_ref();
    let source = source.map_or_else(
        || "no file, defaults".to_owned(),
        |path| path.display().to_string(),
    );
    let teams = &settings.access.teams;
    let mut text = format!("{source}: in order\n\n{}\n", settings.to_toml().trim_end());
    if teams.users.is_empty() && teams.groups.is_empty() {
        text.push_str("\n# No team is configured: nobody gets an answer.\n");
    }
    text
}
