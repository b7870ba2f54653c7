//! Room on the disk: a reserve that is held while all is well and given to running requests when the disk is full.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::posix_fallocate;
use nix::sys::statvfs::statvfs;

/// What the reserve needs of a disk. The system's is [`SystemDisk`]; a test brings one that is full when it says so.
pub trait Disk: Debug + Send + Sync {
    /// Bytes that an ordinary process can still write in `folder`.
    ///
    /// # Errors
    /// The system's, when the folder cannot be asked.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;

    /// Makes the file `reserve` have `bytes` that are truly allocated.
    ///
    /// # Errors
    /// The system's, when there is no room.
    fn hold(&self, reserve: &Path, bytes: u64) -> io::Result<()>;

    /// Gives the bytes of `reserve` back.
    ///
    /// # Errors
    /// The system's, when the file cannot be truncated.
    fn release(&self, reserve: &Path) -> io::Result<()>;
}

/// The file system itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let stat = statvfs(folder)?;
        Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
    }

    fn hold(&self, reserve: &Path, bytes: u64) -> io::Result<()> {
        let file = private(reserve)?;
        let length = i64::try_from(bytes).map_err(|_| Errno::EFBIG)?;
        posix_fallocate(&file, 0, length)?;
        Ok(())
    }

    fn release(&self, reserve: &Path) -> io::Result<()> {
        private(reserve)?.set_len(0)
    }
}

/// Opens or makes a file that nobody else may read.
pub(crate) fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// The reserve and whether new requests have room. A state machine over a [`Disk`].
#[derive(Debug)]
pub(crate) struct Room {
    disk: Arc<dyn Disk>,
    reserve: PathBuf,
    folder: PathBuf,
    reserve_bytes: u64,
    resume_bytes: u64,
    held: bool,
}

impl Room {
    /// Takes the reserve if there is room for it; else begins as full.
    pub(crate) fn new(disk: Arc<dyn Disk>, reserve: PathBuf, reserve_bytes: u64, resume_bytes: u64) -> Self {
        let folder = reserve.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        let held = disk.hold(&reserve, reserve_bytes).is_ok();
        Self {
            disk,
            reserve,
            folder,
            reserve_bytes,
            resume_bytes,
            held,
        }
    }

    /// Whether new requests are taken.
    pub(crate) const fn held(&self) -> bool {
        self.held
    }

    /// Free bytes beside the reserve's own that end a refusal.
    pub(crate) const fn needed(&self) -> u64 {
        self.resume_bytes.saturating_add(self.reserve_bytes)
    }

    /// Gives the reserve to running requests. False when it was given already, or cannot be.
    pub(crate) fn release(&mut self) -> bool {
        let released = self.held && self.disk.release(&self.reserve).is_ok();
        self.held = false;
        released
    }

    /// Takes the reserve again when enough is free. True when this ends a refusal.
    pub(crate) fn resume(&mut self) -> bool {
        let free = self.disk.free_bytes(&self.folder).unwrap_or(0);
        if self.held || free < self.needed() {
            return false;
        }
        self.held = self.disk.hold(&self.reserve, self.reserve_bytes).is_ok();
        if !self.held {
            // Part of a reserve would be room that nobody can use.
            let _ = self.disk.release(&self.reserve);
        }
        self.held
    }
}
