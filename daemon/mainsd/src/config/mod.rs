//! The configuration: a TOML file, checked into [`Settings`].
//!
//! `file` is the shape, `places` knows where files live, `settings` checks and resolves, `changes` says what a reload
//! may change. All pure but for reading the file and asking for users' names.

mod changes;
mod devices;
mod effective;
mod error;
mod file;
mod measure;
mod places;
mod settings;
mod span;
#[cfg(test)]
mod tests;

pub(crate) use changes::changes;
pub(crate) use devices::DeviceSettings;
pub(crate) use error::ConfigError;
use file::ConfigFile;
pub(crate) use file::{LogLevel, SpawnChoice};
pub(crate) use places::{Environment, Places, admin_socket_of};
pub(crate) use settings::{OWN_TEAM, Settings, SystemNames};
