//! Checks a file's values and completes them with defaults.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mains_api::{Access, TeamMap};
use mains_supervisor::{ModelConfig, SupervisorConfig};
use mains_types::{Demand, Policy, parse_size};
use toml::Spanned;

use super::error::line_of;
use super::file::{ModelSection, NameOrId};
use super::places::admin_socket_of;
use super::span::{Span, text};
use super::{ConfigError, ConfigFile, DeviceSettings, LogLevel, Places, SpawnChoice};

/// Group that administers an installed daemon when the configuration names none.
const ADMIN_GROUP: &str = "mains-admin";

/// Team of the user who runs a daemon for himself.
pub(crate) const OWN_TEAM: &str = "default";

/// How long running requests may take to end at a stop: most answers are done in a minute.
const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest drain: `mainsd.service` kills at 150 s, and connections need some of it.
const MAX_DRAIN_TIMEOUT: Duration = Duration::from_secs(120);

/// The longest queue: at 8 MiB a body this is 80 GiB, so that more is surely a mistake.
const MAX_QUEUE_LIMIT: usize = 10_000;

/// Threads of a worker at the most: above every machine on the market.
const MAX_THREADS: u32 = 1_024;

/// Everything that the daemon is configured by, checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// The file that it comes from; absent when there is none.
    pub(crate) source: Option<PathBuf>,
    pub(crate) socket: PathBuf,
    pub(crate) admin_socket: PathBuf,
    /// Group of the administration socket, when there is one.
    pub(crate) admin_gid: Option<u32>,
    pub(crate) worker: PathBuf,
    pub(crate) workers: SpawnChoice,
    pub(crate) log_level: LogLevel,
    pub(crate) drain_timeout: Duration,
    pub(crate) retention_days: Option<u32>,
    pub(crate) devices: DeviceSettings,
    pub(crate) supervisor: SupervisorConfig,
    pub(crate) access: Access,
}

/// Numbers of users and groups by name.
pub(crate) trait Names {
    /// The user's id.
    fn uid(&self, name: &str) -> Option<u32>;
    /// The group's id.
    fn gid(&self, name: &str) -> Option<u32>;
}

/// The system's own (`getpwnam`, `getgrnam`).
pub(crate) struct SystemNames;

impl Names for SystemNames {
    fn uid(&self, name: &str) -> Option<u32> {
        let user = nix::unistd::User::from_name(name).ok().flatten()?;
        Some(user.uid.as_raw())
    }

    fn gid(&self, name: &str) -> Option<u32> {
        let group = nix::unistd::Group::from_name(name).ok().flatten()?;
        Some(group.gid.as_raw())
    }
}

/// A file with what is needed to check it.
pub(crate) struct Source<'a> {
    /// The file; its folder is what relative paths start from.
    pub(crate) path: &'a Path,
    /// Its text, for line numbers.
    pub(crate) text: &'a str,
}

impl Settings {
    /// Reads and checks the file at `path`. A file that is not `required` may be absent: then the defaults hold.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and key.
    pub(crate) fn load(
        path: &Path,
        required: bool,
        places: &Places,
        own_uid: u32,
        names: &dyn Names,
    ) -> Result<Self, ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if !required && error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(ConfigError::Read {
                    path: path.to_owned(),
                    reason: error.to_string(),
                });
            }
        };
        let file = ConfigFile::parse(text.as_deref().unwrap_or_default(), path)?;
        let source = Source {
            path,
            text: text.as_deref().unwrap_or_default(),
        };
        let mut settings = Self::resolve(file, &source, places, own_uid, names)?;
        settings.source = text.is_some().then(|| path.to_owned());
        Ok(settings)
    }

    /// Folder of the ledger, the daemon's alone.
    pub(crate) fn ledger_dir(&self) -> PathBuf {
        self.supervisor.state_dir.join("ledger")
    }

    /// The ledger.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.ledger_dir().join("ledger.sqlite")
    }

    /// What holds without a file.
    ///
    /// # Errors
    /// None: the defaults are in order.
    pub(crate) fn defaults(places: &Places, own_uid: u32) -> Result<Self, ConfigError> {
        let source = Source {
            path: &places.config,
            text: "",
        };
        Self::resolve(ConfigFile::default(), &source, places, own_uid, &SystemNames)
    }

    /// Checks the values of `file`.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with line and key.
    pub(crate) fn resolve(
        file: ConfigFile,
        source: &Source<'_>,
        places: &Places,
        own_uid: u32,
        names: &dyn Names,
    ) -> Result<Self, ConfigError> {
        let daemon = file.daemon;
        let socket = daemon
            .socket
            .map_or_else(|| places.socket.clone(), |path| source.absolute(path));
        let state_dir = daemon
            .state_dir
            .map_or_else(|| places.state_dir.clone(), |path| source.absolute(path));
        let mut supervisor = SupervisorConfig::new(state_dir);
        if let Some(limit) = daemon.queue_limit {
            supervisor.queue_limit = source.within(&limit, "daemon.queue_limit", 0..=MAX_QUEUE_LIMIT)?;
        }
        if let Some(timeout) = daemon.queue_timeout {
            supervisor.queue_timeout = timeout.0;
        }
        if let Some(timeout) = daemon.load_timeout {
            supervisor.load_timeout = timeout.0;
        }
        if let Some(keep_alive) = daemon.keep_alive {
            supervisor.keep_alive = keep_alive.0;
        }
        if let Some(threads) = daemon.threads {
            supervisor.threads = Some(source.within(&threads, "daemon.threads", 1..=MAX_THREADS)?);
        }
        if let Some(size) = file.store.cache {
            let bytes = parse_size(size.get_ref());
            let bytes = bytes.map_err(|error| source.error(&size, "store.cache", error.to_string()))?;
            supervisor.cache = Some(bytes.0);
        }
        supervisor.background = super::measure::resolve(&file.measure, source)?;
        for (name, section) in file.models {
            supervisor.models.push(source.model(&name, section)?);
        }
        let admin_gid = source.admin_gid(daemon.admin_group.as_ref(), names)?;
        let mut access = Access {
            teams: source.teams(file.teams, names)?,
            admin_uids: if places.system {
                [].into()
            } else {
                [own_uid].into()
            },
            admin_gids: admin_gid.into_iter().collect(),
        };
        if !places.system && access.teams == TeamMap::default() {
            access.teams.users.insert(own_uid, OWN_TEAM.to_owned());
        }
        Ok(Self {
            source: None,
            admin_socket: daemon
                .admin_socket
                .map_or_else(|| admin_socket_of(&socket), |path| source.absolute(path)),
            socket,
            admin_gid,
            worker: daemon
                .worker
                .map_or_else(|| places.worker.clone(), |path| source.absolute(path)),
            workers: daemon.workers.unwrap_or_default(),
            log_level: daemon.log_level.unwrap_or_default(),
            drain_timeout: source.drain_timeout(daemon.drain_timeout)?,
            retention_days: match file.ledger.retention_days {
                Some(days) => Some(source.within(&days, "ledger.retention_days", 1..=36_500)?),
                None => None,
            },
            devices: DeviceSettings::resolve(&file.devices, source)?,
            supervisor,
            access,
        })
    }
}

impl Source<'_> {
    fn absolute(&self, path: PathBuf) -> PathBuf {
        self.path
            .parent()
            .map_or_else(|| path.clone(), |folder| folder.join(&path))
    }

    fn error<T>(
        &self,
        value: &Spanned<T>,
        key: impl Into<String>,
        problem: impl Into<String>,
    ) -> ConfigError {
        ConfigError::Value {
            path: self.path.to_owned(),
            line: line_of(self.text, value.span().start),
            key: key.into(),
            problem: problem.into(),
        }
    }

    pub(super) fn within<T: Copy + PartialOrd + std::fmt::Display>(
        &self,
        value: &Spanned<T>,
        key: &str,
        range: std::ops::RangeInclusive<T>,
    ) -> Result<T, ConfigError> {
        let number = *value.get_ref();
        if range.contains(&number) {
            return Ok(number);
        }
        let problem = format!("{number} is not from {} to {}", range.start(), range.end());
        Err(self.error(value, key, problem))
    }

    fn drain_timeout(&self, span: Option<Spanned<Span>>) -> Result<Duration, ConfigError> {
        match span {
            None => Ok(DEFAULT_DRAIN_TIMEOUT),
            Some(span) if span.get_ref().0 <= MAX_DRAIN_TIMEOUT => Ok(span.get_ref().0),
            Some(span) => {
                let longest = MAX_DRAIN_TIMEOUT.as_secs();
                let problem = format!("at most {longest} s, or systemd kills first");
                Err(self.error(&span, "daemon.drain_timeout", problem))
            }
        }
    }

    /// The span of time, when it is one that makes sense.
    pub(super) fn span_within(
        &self,
        span: &Spanned<Span>,
        key: &str,
        range: std::ops::RangeInclusive<Duration>,
    ) -> Result<Duration, ConfigError> {
        let value = span.get_ref().0;
        if range.contains(&value) {
            return Ok(value);
        }
        let (from, to) = (text(*range.start()), text(*range.end()));
        Err(self.error(span, key, format!("{} is not from {from} to {to}", text(value))))
    }

    fn model(&self, name: &Spanned<String>, section: ModelSection) -> Result<ModelConfig, ConfigError> {
        let key = |field: &str| format!("models.{}.{field}", name.get_ref());
        let keep_alive = match &section.keep_alive {
            None => None,
            Some(span) => match span.get_ref().0 {
                Some(keep_alive) => Some(keep_alive),
                None => return Err(self.error(span, key("keep_alive"), "for ever is pin = true")),
            },
        };
        let count = |value: &Option<Spanned<u32>>, field: &str| match value {
            None => Ok(None),
            Some(value) => self
                .within(value, &key(field), 1..=i32::MAX.unsigned_abs())
                .map(Some),
        };
        let policy = match &section.policy {
            None => None,
            Some(word) => {
                let known = Policy::from_name(word.get_ref());
                let one_of = || format!("a policy is one of {}", Policy::ALL.map(Policy::name).join(", "));
                Some(known.ok_or_else(|| self.error(word, key("policy"), one_of()))?)
            }
        };
        Ok(ModelConfig {
            path: section.path.map(|path| self.absolute(path)),
            preload: section.preload,
            pin: section.pin,
            keep_alive,
            demand: Demand {
                context: count(&section.context, "context")?,
                parallel: count(&section.parallel, "parallel")?,
                devices: Demand::devices_in(section.device.as_deref()),
                policy,
                ..Demand::default()
            },
            ..ModelConfig::tuning(self.model_name(name)?)
        })
    }

    /// The names that URLs, file names and tables can all carry.
    fn model_name<'a>(&self, name: &'a Spanned<String>) -> Result<&'a str, ConfigError> {
        let text = name.get_ref();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
        if (1..=128).contains(&text.len()) && text.chars().all(allowed) && !text.chars().all(|c| c == '.') {
            return Ok(text);
        }
        let problem = "a name is 1 to 128 of A-Z a-z 0-9 . _ : - and not only dots";
        Err(self.error(name, format!("models.{text:?}"), problem))
    }

    fn admin_gid(
        &self,
        group: Option<&Spanned<String>>,
        names: &dyn Names,
    ) -> Result<Option<u32>, ConfigError> {
        let Some(group) = group else {
            return Ok(names.gid(ADMIN_GROUP));
        };
        match names.gid(group.get_ref()) {
            Some(gid) => Ok(Some(gid)),
            None => Err(self.error(group, "daemon.admin_group", unknown("group", group.get_ref()))),
        }
    }

    fn teams(
        &self,
        sections: std::collections::BTreeMap<Spanned<String>, super::file::TeamSection>,
        names: &dyn Names,
    ) -> Result<TeamMap, ConfigError> {
        let mut teams = TeamMap::default();
        for (name, section) in sections {
            let team = name.get_ref();
            if team.is_empty() || team.len() > 128 || team.chars().any(char::is_control) {
                return Err(self.error(
                    &name,
                    format!("teams.{team:?}"),
                    "a name is 1 to 128 printable bytes",
                ));
            }
            let key = format!("teams.{team}.users");
            self.members(&key, &section.users, team, &mut teams.users, "user", |name| {
                names.uid(name)
            })?;
            let key = format!("teams.{team}.groups");
            self.members(&key, &section.groups, team, &mut teams.groups, "group", |name| {
                names.gid(name)
            })?;
        }
        Ok(teams)
    }

    fn members(
        &self,
        key: &str,
        members: &[Spanned<NameOrId>],
        team: &str,
        known: &mut HashMap<u32, String>,
        kind: &str,
        id_of: impl Fn(&str) -> Option<u32>,
    ) -> Result<(), ConfigError> {
        for member in members {
            let id = match member.get_ref() {
                NameOrId::Id(id) => *id,
                NameOrId::Name(name) => {
                    id_of(name).ok_or_else(|| self.error(member, key, unknown(kind, name)))?
                }
            };
            if let Some(other) = known.insert(id, team.to_owned())
                && other != team
            {
                let problem = format!("{kind} {id} is in team {other} already; one team pays for one {kind}");
                return Err(self.error(member, key, problem));
            }
        }
        Ok(())
    }
}

fn unknown(kind: &str, name: &str) -> String {
    format!("there is no {kind} {name:?} on this machine; create it or remove it here")
}
