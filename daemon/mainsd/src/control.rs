//! The running daemon's configuration, and how it changes.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use mains_api::{AccessRules, Operator};
use mains_supervisor::Supervisor;
use mains_wire::http::ReloadBody;

use crate::config::{Settings, changes};
use crate::loader::Loader;
use crate::logging::Log;
use crate::systemd_notify;

/// Holds the settings in force and takes new ones.
pub(crate) struct Control {
    loader: Loader,
    settings: Mutex<Settings>,
    supervisor: Supervisor,
    rules: AccessRules,
    log: Log,
    /// One reload at a time: the later one must compare with what the earlier one made.
    turn: tokio::sync::Mutex<()>,
}

impl Control {
    /// Over the parts that settings reach.
    pub(crate) fn new(
        loader: Loader,
        settings: Settings,
        supervisor: Supervisor,
        rules: AccessRules,
        log: Log,
    ) -> Self {
        Self {
            loader,
            settings: Mutex::new(settings),
            supervisor,
            rules,
            log,
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> Settings {
        self.settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn take_over(&self) -> Result<ReloadBody, String> {
        let loader = self.loader.clone();
        // Names of users may come from a slow directory service.
        let loaded = tokio::task::spawn_blocking(move || loader.load()).await;
        let new = loaded
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        let changes = changes(&self.settings(), &new)?;
        self.supervisor
            .reconfigure(new.supervisor.clone())
            .map_err(|error| error.to_string())?;
        self.rules.set(new.access.clone());
        self.log.set_level(new.log_level);
        let config = new
            .source
            .as_ref()
            .map_or_else(|| "defaults".to_owned(), |path| path.display().to_string());
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(ReloadBody { config, changes })
    }
}

impl Operator for Control {
    fn reload(&self) -> BoxFuture<'_, Result<ReloadBody, String>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            systemd_notify::reloading();
            let result = self.take_over().await;
            match &result {
                Ok(taken) => {
                    let changes = taken.changes.join(", ");
                    tracing::info!(config = taken.config, changes, "the configuration was read again");
                    systemd_notify::ready("ready");
                }
                Err(error) => {
                    tracing::error!(error, "the new configuration is not taken, the old one stays");
                    systemd_notify::ready("ready, with the old configuration: the new one is not in order");
                }
            }
            result
        })
    }

    fn configuration(&self) -> String {
        self.settings().to_toml()
    }

    fn scratch_dir(&self) -> PathBuf {
        self.settings().ledger_dir()
    }
}
