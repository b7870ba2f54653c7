//! Puts the settings together: places, the file, and what the command line says on top.

use std::path::{Path, PathBuf};

use mains_supervisor::ModelConfig;

use crate::args::Args;
use crate::config::{ConfigError, Environment, OWN_TEAM, Places, Settings, SystemNames, admin_socket_of};

/// Reads the settings again and again in the same way.
#[derive(Debug, Clone)]
pub(crate) struct Loader {
    args: Args,
    environment: Environment,
    places: Places,
}

impl Loader {
    /// For these arguments in these surroundings.
    ///
    /// # Errors
    /// [`ConfigError::Place`] when the environment does not say where files are to live.
    pub(crate) fn new(args: Args, environment: Environment) -> Result<Self, ConfigError> {
        let places = Places::find(&environment, args.serve)?;
        Ok(Self {
            args,
            environment,
            places,
        })
    }

    /// Whether the daemon serves the user who started it.
    pub(crate) const fn serve(&self) -> bool {
        self.args.serve
    }

    /// The settings as files and command line have them now.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and key.
    pub(crate) fn load(&self) -> Result<Settings, ConfigError> {
        let uid = self.environment.uid;
        let load = |path: &Path, required| Settings::load(path, required, &self.places, uid, &SystemNames);
        let mut settings = match (&self.args.config, self.args.serve) {
            (Some(path), _) => load(path, true)?,
            (None, false) => load(&self.places.config, false)?,
            // Apart from an installed daemon, and from its configuration.
            (None, true) => Settings::defaults(&self.places, uid)?,
        };
        self.override_by_arguments(&mut settings);
        Ok(settings)
    }

    fn override_by_arguments(&self, settings: &mut Settings) {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        if let Some(folder) = &self.args.state_dir {
            settings.supervisor.state_dir = absolute(folder);
        }
        if let Some(worker) = &self.args.worker {
            settings.worker = absolute(worker);
        }
        if let Some(socket) = &self.args.socket {
            settings.socket = absolute(socket);
            settings.admin_socket = admin_socket_of(&settings.socket);
        }
        for (name, path) in &self.args.model {
            settings.supervisor.models.retain(|model| model.name != *name);
            settings.supervisor.models.push(ModelConfig::new(name, path));
        }
        if self.args.serve {
            let users = &mut settings.access.teams.users;
            users
                .entry(self.environment.uid)
                .or_insert_with(|| OWN_TEAM.to_owned());
        }
    }
}
