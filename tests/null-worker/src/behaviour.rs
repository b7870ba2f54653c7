//! What the null worker does, as a table of options.
//!
//! Each option is set by the environment (`MAINS_NULL_DELAY_MS=5`) for all, or by a line (`delay_ms=5`) of the file that is
//! loaded or inspected, which wins: so a test gives each model its own behaviour and needs no environment of its own.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Options with their defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Behaviour {
    /// `delay_ms`: time before each token. 0 yields to other requests and no more.
    pub(crate) delay: Duration,
    /// `tokens`: length of an answer when the request gives none.
    pub(crate) tokens: u32,
    /// `die_after`: the process aborts after this many tokens of one choice.
    pub(crate) die_after: Option<u32>,
    /// `hang_after`: the process stops, pings included, after this many tokens of one choice.
    pub(crate) hang_after: Option<u32>,
    /// `fail_after`: the request fails after this many tokens of one choice.
    pub(crate) fail_after: Option<u32>,
    /// `load`: `ok`, `error`, `die` or `hang`.
    pub(crate) load: Load,
    /// `context`: positions of a sequence in the facts, and what a prompt may have.
    pub(crate) context: u32,
    /// `weights_mib`: weights in the facts.
    pub(crate) weights_mib: u64,
    /// `groups`: groups of tensors that a measurement of sensitivity finds.
    pub(crate) groups: u32,
    /// `measure_after`: groups that one measurement gets done before `measure` happens.
    pub(crate) measure_after: u32,
    /// `measure`: what happens then, as at a load.
    pub(crate) measure: Load,
    /// `file`: what happens when the model is put into other types.
    pub(crate) file: Making,
    /// `unpack`: what happens when it is to come out of a tar.
    pub(crate) unpack: Unpacking,
    /// `memory_mib`: free memory of the only device of the inventory.
    pub(crate) memory_mib: u64,
}

/// What happens at a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// It succeeds.
    Ok,
    /// It is refused with an `Error` frame.
    Error,
    /// The process aborts.
    Die,
    /// The process stops.
    Hang,
}

/// How a file comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Making {
    /// Whole.
    Ok,
    /// It is refused with an `Error` frame.
    Error,
    /// A byte is missing.
    Short,
    /// A byte more comes than was said.
    Long,
    /// More is said than there can be.
    Huge,
    /// The process aborts after the first piece.
    Die,
    /// The process stops after the first piece.
    Hang,
}

/// How a tar's only file comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unpacking {
    /// Whole.
    Ok,
    /// It is refused with an `Error` frame after its name.
    Error,
    /// A byte is missing.
    Short,
    /// It comes twice under one name.
    Long,
    /// It is said to be larger than the tar.
    Huge,
    /// It is said to be as large as numbers are.
    Overflowing,
    /// Its name leads elsewhere.
    Outside,
    /// Two files have its name.
    Twice,
    /// Its bytes come before its name.
    Early,
    /// There is none.
    None,
    /// A frame comes that has nothing to do with it.
    Strange,
    /// Bytes come that are no frame.
    Garbage,
    /// The process aborts in the middle.
    Die,
    /// The process stops in the middle.
    Hang,
}

impl Unpacking {
    fn called(value: &str) -> Result<Self> {
        Ok(match value {
            "ok" => Self::Ok,
            "error" => Self::Error,
            "short" => Self::Short,
            "long" => Self::Long,
            "huge" => Self::Huge,
            "overflowing" => Self::Overflowing,
            "outside" => Self::Outside,
            "twice" => Self::Twice,
            "early" => Self::Early,
            "none" => Self::None,
            "strange" => Self::Strange,
            "garbage" => Self::Garbage,
            "die" => Self::Die,
            "hang" => Self::Hang,
            _ => bail!("unpack={value}: no such way"),
        })
    }
}

impl Making {
    fn called(value: &str) -> Result<Self> {
        Ok(match value {
            "ok" => Self::Ok,
            "error" => Self::Error,
            "short" => Self::Short,
            "long" => Self::Long,
            "huge" => Self::Huge,
            "die" => Self::Die,
            "hang" => Self::Hang,
            _ => bail!("file={value}: one of ok, error, short, long, huge, die, hang"),
        })
    }
}

impl Load {
    fn called(option: &str, value: &str) -> Result<Self> {
        Ok(match value {
            "ok" => Self::Ok,
            "error" => Self::Error,
            "die" => Self::Die,
            "hang" => Self::Hang,
            _ => bail!("{option}={value}: one of ok, error, die, hang"),
        })
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            tokens: 16,
            die_after: None,
            hang_after: None,
            fail_after: None,
            load: Load::Ok,
            context: 2048,
            weights_mib: 16,
            groups: 4,
            measure_after: 0,
            measure: Load::Ok,
            file: Making::Ok,
            unpack: Unpacking::Ok,
            memory_mib: 1024,
        }
    }
}

impl Behaviour {
    /// The defaults, changed by `MAINS_NULL_*`.
    pub(crate) fn from_environment() -> Result<Self> {
        let mut behaviour = Self::default();
        for (name, value) in std::env::vars() {
            if let Some(option) = name.strip_prefix("MAINS_NULL_") {
                behaviour.set(&option.to_lowercase(), &value)?;
            }
        }
        Ok(behaviour)
    }

    /// This behaviour, changed by the lines of `file`. A folder changes nothing.
    pub(crate) fn with_file(&self, file: &Path) -> Result<Self> {
        let mut behaviour = self.clone();
        if file.is_dir() {
            return Ok(behaviour);
        }
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (option, value) = line
                .split_once('=')
                .with_context(|| format!("{}: no `option=value`: {line}", file.display()))?;
            behaviour.set(option, value)?;
        }
        Ok(behaviour)
    }

    fn set(&mut self, option: &str, value: &str) -> Result<()> {
        let number = || {
            value
                .parse::<u32>()
                .with_context(|| format!("{option}={value}: no number"))
        };
        match option {
            "delay_ms" => self.delay = Duration::from_millis(number()?.into()),
            "tokens" => self.tokens = number()?,
            "die_after" => self.die_after = Some(number()?),
            "hang_after" => self.hang_after = Some(number()?),
            "fail_after" => self.fail_after = Some(number()?),
            "context" => self.context = number()?,
            "weights_mib" => self.weights_mib = number()?.into(),
            "groups" => self.groups = number()?,
            "measure_after" => self.measure_after = number()?,
            "measure" => self.measure = Load::called(option, value)?,
            "memory_mib" => self.memory_mib = number()?.into(),
            "file" => self.file = Making::called(value)?,
            "unpack" => self.unpack = Unpacking::called(value)?,
            "load" => self.load = Load::called(option, value)?,
            _ => bail!("unknown option {option}"),
        }
        Ok(())
    }
}

/// Ends this process by a signal (SIGABRT), as abruptly as `kill -9` does.
pub(crate) fn die() -> ! {
    std::process::abort()
}

/// Stops the only thread of this process for good: no frame is answered any more.
pub(crate) fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Behaviour, Load};

    #[test]
    fn options_are_set_by_name_and_unknown_ones_are_refused() {
        let mut behaviour = Behaviour::default();
        behaviour.set("delay_ms", "5").unwrap();
        behaviour.set("load", "hang").unwrap();
        assert_eq!(
            (behaviour.delay, behaviour.load),
            (Duration::from_millis(5), Load::Hang)
        );
        assert!(behaviour.set("delay", "5").is_err());
        assert!(behaviour.set("tokens", "many").is_err());
    }
}
