//! Whether a command list is sound, told from the list alone.

use std::collections::{BTreeMap, HashSet};

use mains_contract::ValueId;

use crate::command::{Access, Buffer, Command, CommandList};

/// What is wrong with a command list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Hazard {
    /// Something is read that nobody wrote.
    #[error("command {command} reads {access:?}, which nobody wrote")]
    Unwritten {
        /// Index of the command.
        command: usize,
        /// What it reads.
        access: Access,
    },
    /// Another value was written over what is read.
    #[error("command {command} reads {access:?}, where {found:?} is by now")]
    Overwritten {
        /// Index of the command.
        command: usize,
        /// What it reads.
        access: Access,
        /// What is there.
        found: Option<ValueId>,
    },
    /// Two commands touch the same memory, one of them writes, and nothing is between them.
    #[error("commands {first} and {second} race for {access:?}")]
    Race {
        /// Index of the earlier command.
        first: usize,
        /// Index of the later command.
        second: usize,
        /// What the later one touches.
        access: Access,
    },
    /// A range beyond its buffer.
    #[error("command {command} touches {access:?}, beyond the buffer")]
    Beyond {
        /// Index of the command.
        command: usize,
        /// What it touches.
        access: Access,
    },
}

/// Goes through the commands in order.
///
/// # Errors
/// The first [`Hazard`].
pub fn audit(list: &CommandList) -> Result<(), Hazard> {
    let mut auditor = Auditor {
        shared: BTreeMap::from([
            (Buffer::Rows, vec![None; list.row_width]),
            (Buffer::OutputRows, vec![None; list.output_row_width]),
        ]),
        written: HashSet::new(),
        input_width: list.input_width,
        since_barrier: Vec::new(),
    };
    for (index, command) in list.commands.iter().enumerate() {
        match command {
            Command::Upload { writes } => auditor.command(index, &[], &[*writes])?,
            Command::Dispatch { reads, writes, .. } => auditor.command(index, reads, writes)?,
            Command::Barrier => auditor.since_barrier.clear(),
            Command::Download { reads } => auditor.command(index, &[*reads], &[])?,
        }
    }
    Ok(())
}

struct Auditor {
    /// By number of a row: the value that is there.
    shared: BTreeMap<Buffer, Vec<Option<ValueId>>>,
    /// Other buffers that this step wrote.
    written: HashSet<Buffer>,
    input_width: usize,
    /// Accesses since the last barrier: by which command, of what, and whether it wrote.
    since_barrier: Vec<(usize, Access, bool)>,
}

impl Auditor {
    fn command(&mut self, command: usize, reads: &[Access], writes: &[Access]) -> Result<(), Hazard> {
        for access in reads {
            self.race(command, access, false)?;
            self.read(command, *access)?;
        }
        for access in writes {
            self.race(command, access, true)?;
        }
        for access in writes {
            self.write(command, *access)?;
        }
        let reads = reads.iter().map(|access| (command, *access, false));
        self.since_barrier.extend(reads);
        let writes = writes.iter().map(|access| (command, *access, true));
        self.since_barrier.extend(writes);
        Ok(())
    }

    fn race(&self, second: usize, access: &Access, writes: bool) -> Result<(), Hazard> {
        let races =
            |(_, earlier, wrote): &&(usize, Access, bool)| (*wrote || writes) && earlier.overlaps(access);
        match self.since_barrier.iter().find(races) {
            Some((first, ..)) => Err(Hazard::Race {
                first: *first,
                second,
                access: *access,
            }),
            None => Ok(()),
        }
    }

    fn read(&self, command: usize, access: Access) -> Result<(), Hazard> {
        match access.buffer {
            Buffer::Rows | Buffer::OutputRows => {
                let range = access.start..access.start + access.len;
                let Some(numbers) = self.shared[&access.buffer].get(range) else {
                    return Err(Hazard::Beyond { command, access });
                };
                match numbers
                    .iter()
                    .find(|found| **found != access.value || found.is_none())
                {
                    Some(None) => Err(Hazard::Unwritten { command, access }),
                    Some(found) => Err(Hazard::Overwritten {
                        command,
                        access,
                        found: *found,
                    }),
                    None => Ok(()),
                }
            }
            // Weights are written at load, states by earlier steps or never read beyond what this one wrote.
            Buffer::Weight(_) | Buffer::State(_) => Ok(()),
            Buffer::Inputs if access.start + access.len > self.input_width => {
                Err(Hazard::Beyond { command, access })
            }
            buffer if self.written.contains(&buffer) => Ok(()),
            _ => Err(Hazard::Unwritten { command, access }),
        }
    }

    fn write(&mut self, command: usize, access: Access) -> Result<(), Hazard> {
        let Some(numbers) = self.shared.get_mut(&access.buffer) else {
            self.written.insert(access.buffer);
            return Ok(());
        };
        match numbers.get_mut(access.start..access.start + access.len) {
            Some(range) => {
                range.fill(access.value);
                Ok(())
            }
            None => Err(Hazard::Beyond { command, access }),
        }
    }
}
