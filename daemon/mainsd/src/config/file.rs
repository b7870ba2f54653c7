//! The shape of the file. `packaging/mains.toml` explains every key; a test reads it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use toml::Spanned;

use super::error::{ConfigError, line_of};
use super::span::{KeepAlive, Span};

/// A whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// The process.
    #[serde(default)]
    pub(crate) daemon: DaemonSection,
    /// How often devices are looked at.
    #[serde(default)]
    pub(crate) devices: DevicesSection,
    /// How models are measured.
    #[serde(default)]
    pub(crate) measure: MeasureSection,
    /// The record of usage.
    #[serde(default)]
    pub(crate) ledger: LedgerSection,
    /// Models on disk.
    #[serde(default)]
    pub(crate) store: StoreSection,
    /// Who pays.
    #[serde(default)]
    pub(crate) teams: BTreeMap<Spanned<String>, TeamSection>,
    /// What is served.
    #[serde(default)]
    pub(crate) models: BTreeMap<Spanned<String>, ModelSection>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DaemonSection {
    pub(crate) socket: Option<PathBuf>,
    pub(crate) admin_socket: Option<PathBuf>,
    pub(crate) admin_group: Option<Spanned<String>>,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) worker: Option<PathBuf>,
    pub(crate) workers: Option<SpawnChoice>,
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) keep_alive: Option<KeepAlive>,
    pub(crate) queue_limit: Option<Spanned<usize>>,
    pub(crate) queue_timeout: Option<Span>,
    pub(crate) load_timeout: Option<Span>,
    pub(crate) drain_timeout: Option<Spanned<Span>>,
    pub(crate) threads: Option<Spanned<u32>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DevicesSection {
    pub(crate) watch_every: Option<Spanned<Span>>,
    pub(crate) probe_every: Option<Spanned<Span>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MeasureSection {
    pub(crate) background: Option<bool>,
    pub(crate) after: Option<Spanned<Span>>,
    pub(crate) most: Option<Spanned<Span>>,
    pub(crate) groups: Option<Spanned<u32>>,
    pub(crate) texts: Option<Spanned<u32>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LedgerSection {
    pub(crate) retention_days: Option<Spanned<u32>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreSection {
    pub(crate) cache: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TeamSection {
    #[serde(default)]
    pub(crate) users: Vec<Spanned<NameOrId>>,
    #[serde(default)]
    pub(crate) groups: Vec<Spanned<NameOrId>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelSection {
    pub(crate) path: Option<PathBuf>,
    #[serde(default)]
    pub(crate) preload: bool,
    #[serde(default)]
    pub(crate) pin: bool,
    pub(crate) keep_alive: Option<Spanned<KeepAlive>>,
    pub(crate) context: Option<Spanned<u32>>,
    pub(crate) parallel: Option<Spanned<u32>>,
    pub(crate) device: Option<String>,
    pub(crate) policy: Option<Spanned<String>>,
}

/// Who starts workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SpawnChoice {
    /// systemd where its worker sockets are, else the daemon.
    #[default]
    Auto,
    /// systemd, through the worker sockets beside the request socket.
    Systemd,
    /// The daemon.
    Fork,
}

impl SpawnChoice {
    /// As the file has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Systemd => "systemd",
            Self::Fork => "fork",
        }
    }
}

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// What happened, never a line a request.
    #[default]
    Info,
    /// How it happened.
    Debug,
}

impl LogLevel {
    /// As the file has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// A user or group, by name or number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NameOrId {
    /// As `/etc/passwd` or `/etc/group` has it.
    Name(String),
    /// The number.
    Id(u32),
}

impl<'de> Deserialize<'de> for NameOrId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = NameOrId;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a name or a number from 0 to 4294967294")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<NameOrId, E> {
                Ok(NameOrId::Name(name.to_owned()))
            }

            fn visit_i64<E: Error>(self, id: i64) -> Result<NameOrId, E> {
                // The last number is "no user" to the kernel.
                u32::try_from(id)
                    .ok()
                    .filter(|id| *id != u32::MAX)
                    .map(NameOrId::Id)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(id), &self))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl ConfigFile {
    /// Reads `text` as the file `path`.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] with the line and the key.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: error.span().map_or(1, |span| line_of(text, span.start)),
            report: error.to_string().trim_end().to_owned(),
        })
    }
}
