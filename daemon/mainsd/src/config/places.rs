//! Where files live: of the installed daemon, or of an ordinary user by the XDG base directory specification.

use std::path::{Path, PathBuf};

use super::ConfigError;

/// The user that the installed daemon runs as.
const DAEMON_USER: &str = "mains";

/// Name of the request socket.
const SOCKET: &str = "mains.sock";

/// Name of the administration socket.
const ADMIN_SOCKET: &str = "admin.sock";

/// What of the process's surroundings decides where files live.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Environment {
    /// Our user id.
    pub(crate) uid: u32,
    /// Our user's name.
    pub(crate) user: Option<String>,
    /// `HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub(crate) config_home: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub(crate) state_home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub(crate) runtime_dir: Option<PathBuf>,
    /// The folder of this program.
    pub(crate) program_dir: PathBuf,
}

/// Default places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// Whether they are the installed daemon's.
    pub(crate) system: bool,
    /// The configuration.
    pub(crate) config: PathBuf,
    /// The request socket.
    pub(crate) socket: PathBuf,
    /// Ledger and models.
    pub(crate) state_dir: PathBuf,
    /// The worker program.
    pub(crate) worker: PathBuf,
}

impl Environment {
    /// Of this process.
    ///
    /// # Errors
    /// [`ConfigError::Place`] when the kernel does not say where this program is.
    pub(crate) fn of_this_process() -> Result<Self, ConfigError> {
        let variable = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let program = std::env::current_exe()
            .map_err(|error| ConfigError::Place(format!("/proc/self/exe: {error}; mount /proc")))?;
        let uid = nix::unistd::getuid();
        Ok(Self {
            uid: uid.as_raw(),
            user: nix::unistd::User::from_uid(uid)
                .ok()
                .flatten()
                .map(|user| user.name),
            home: variable("HOME"),
            config_home: variable("XDG_CONFIG_HOME"),
            state_home: variable("XDG_STATE_HOME"),
            runtime_dir: variable("XDG_RUNTIME_DIR"),
            program_dir: program
                .parent()
                .map_or_else(|| PathBuf::from("/"), Path::to_owned),
        })
    }
}

impl Places {
    /// The installed daemon's for root and its own user, else the user's. `own` asks for the user's own in any case.
    ///
    /// # Errors
    /// [`ConfigError::Place`] when an ordinary user has no home.
    pub(crate) fn find(environment: &Environment, own: bool) -> Result<Self, ConfigError> {
        let worker = environment.program_dir.join("mains-worker");
        if !own && (environment.uid == 0 || environment.user.as_deref() == Some(DAEMON_USER)) {
            return Ok(Self {
                system: true,
                config: PathBuf::from("/etc/mains/mains.toml"),
                socket: Path::new("/run/mains").join(SOCKET),
                state_dir: PathBuf::from("/var/lib/mains"),
                worker,
            });
        }
        let below_home = |given: &Option<PathBuf>, usual: &str, variable: &str| {
            given
                .clone()
                .or_else(|| environment.home.as_ref().map(|home| home.join(usual)))
                .map(|folder| folder.join("mains"))
                .ok_or_else(|| {
                    ConfigError::Place(format!("neither {variable} nor HOME is set; set one of them"))
                })
        };
        let runtime = environment.runtime_dir.as_ref().map_or_else(
            || PathBuf::from(format!("/tmp/mains-{}", environment.uid)),
            |folder| folder.join("mains"),
        );
        Ok(Self {
            system: false,
            config: below_home(&environment.config_home, ".config", "XDG_CONFIG_HOME")?.join("mains.toml"),
            socket: runtime.join(SOCKET),
            state_dir: below_home(&environment.state_home, ".local/state", "XDG_STATE_HOME")?,
            worker,
        })
    }
}

/// The administration socket that goes with a request socket.
pub(crate) fn admin_socket_of(socket: &Path) -> PathBuf {
    socket.with_file_name(ADMIN_SOCKET)
}

#[cfg(test)]
mod tests {
    use super::{Environment, Places};
    use std::path::Path;

    #[test]
    fn the_installed_daemon_and_root_use_the_system_places() {
        for (uid, user) in [(0, "root"), (990, "mains")] {
            let environment = Environment {
                uid,
                user: Some(user.to_owned()),
                home: Some("/root".into()),
                ..Environment::default()
            };
            let places = Places::find(&environment, false).unwrap();
            assert_eq!(places.socket, Path::new("/run/mains/mains.sock"));
            let own = Places::find(&environment, true).unwrap();
            assert_eq!(own.state_dir, Path::new("/root/.local/state/mains"));
        }
    }

    #[test]
    fn an_ordinary_user_has_xdg_places() {
        let mut environment = Environment {
            uid: 1000,
            user: Some("joe".to_owned()),
            home: Some("/home/joe".into()),
            ..Environment::default()
        };
        let places = Places::find(&environment, false).unwrap();
        assert!(!places.system);
        assert_eq!(places.config, Path::new("/home/joe/.config/mains/mains.toml"));
        assert_eq!(places.socket, Path::new("/tmp/mains-1000/mains.sock"));
        environment.runtime_dir = Some("/run/user/1000".into());
        environment.state_home = Some("/s".into());
        let places = Places::find(&environment, false).unwrap();
        assert_eq!(places.socket, Path::new("/run/user/1000/mains/mains.sock"));
        assert_eq!(places.state_dir, Path::new("/s/mains"));
        environment.home = None;
        assert!(Places::find(&environment, false).is_err());
    }
}
