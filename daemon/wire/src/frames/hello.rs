//! The first frame of each side.
//!
//! Both are the first variant of their enum and only ever grow at their end, so that any version reads the version of
//! any other.

use serde::{Deserialize, Serialize};

use super::{FrameError, bounds};

/// Version of the frames. It changes with every change of their layout, which `tests/frames/golden.txt` records.
pub const PROTOCOL_VERSION: u32 = 13;

/// Which build this is: `MAINS_BUILD_ID` of the compilation (packages set it), else the version. A worker of another
/// build is drained after an upgrade.
pub const BUILD_ID: &str = match option_env!("MAINS_BUILD_ID") {
    Some(build) => build,
    None => env!("CARGO_PKG_VERSION"),
};

/// What a worker is for; one process has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Finds devices.
    Probe,
    /// Reads a model's files.
    Inspect,
    /// Computes tokens.
    Run,
    /// Makes files of models' files: a model in other types.
    Convert,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Probe, Self::Inspect, Self::Run, Self::Convert];

    /// The word that commands, units and sockets carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Inspect => "inspect",
            Self::Run => "run",
            Self::Convert => "convert",
        }
    }

    /// The command of `mains-worker` that takes the role. Whoever types `convert` converts files by hand.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Convert => "convert-for-daemon",
            other => other.name(),
        }
    }

    /// The role that the command `command` of `mains-worker` takes.
    #[must_use]
    pub fn from_command(command: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.command() == command)
    }

    /// The role called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// How `mainsd` introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonHello {
    /// Its [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// Its [`BUILD_ID`].
    pub build: String,
    /// The role that it expects.
    pub role: Role,
}

impl DaemonHello {
    /// This build's.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self {
            protocol: PROTOCOL_VERSION,
            build: BUILD_ID.to_owned(),
            role,
        }
    }

    /// Whether this build and `role` can work with it.
    ///
    /// # Errors
    /// [`FrameError::Version`] for another version, [`FrameError::Invalid`] for another role.
    pub fn check(&self, role: Role) -> Result<(), FrameError> {
        check(self.protocol, &self.build, self.role, role)
    }

    pub(super) fn bounded(self) -> Result<Self, FrameError> {
        bounds::within("hello.build", self.build.len(), bounds::NAME_BYTES)?;
        Ok(self)
    }
}

/// How a worker introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerHello {
    /// Its [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// Its [`BUILD_ID`].
    pub build: String,
    /// Its role.
    pub role: Role,
    /// Its process id, as it sees it itself. Unproved: compare with what the kernel says.
    pub pid: u32,
    /// The walls around it, as far as it built or found them itself.
    pub walls: Vec<Wall>,
}

impl WorkerHello {
    /// This build's, of this process.
    #[must_use]
    pub fn new(role: Role, walls: Vec<Wall>) -> Self {
        Self {
            protocol: PROTOCOL_VERSION,
            build: BUILD_ID.to_owned(),
            role,
            pid: std::process::id(),
            walls,
        }
    }

    /// Whether this build can work with it when it wants `role`.
    ///
    /// # Errors
    /// [`FrameError::Version`] for another version, [`FrameError::Invalid`] for another role.
    pub fn check(&self, role: Role) -> Result<(), FrameError> {
        check(self.protocol, &self.build, self.role, role)
    }

    pub(super) fn bounded(self) -> Result<Self, FrameError> {
        bounds::within("hello.build", self.build.len(), bounds::NAME_BYTES)?;
        bounds::within("hello.walls", self.walls.len(), bounds::WALLS)?;
        for wall in &self.walls {
            bounds::within("wall.name", wall.name.len(), bounds::NAME_BYTES)?;
            let reason = wall.missing.as_ref().map_or(0, String::len);
            bounds::within("wall.missing", reason, bounds::MESSAGE_BYTES)?;
        }
        Ok(self)
    }
}

/// One wall around a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wall {
    /// Such as `landlock` or `seccomp`.
    pub name: String,
    /// Why it does not stand; `None` when it does.
    pub missing: Option<String>,
}

fn check(protocol: u32, build: &str, theirs: Role, ours: Role) -> Result<(), FrameError> {
    if protocol != PROTOCOL_VERSION {
        return Err(FrameError::Version {
            theirs: protocol,
            build: build.to_owned(),
            ours: PROTOCOL_VERSION,
        });
    }
    if theirs != ours {
        return Err(FrameError::Invalid {
            what: "hello.role",
            reason: format!("{} where {} was expected", theirs.name(), ours.name()),
        });
    }
    Ok(())
}
