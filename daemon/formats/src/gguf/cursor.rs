//! Reads little-endian values off the head of a file.

use super::limits::MAX_HEADER_BYTES;
use crate::Reason;
use crate::error::at_most;

/// A position in the head of a file. It never reads beyond [`MAX_HEADER_BYTES`].
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> u64 {
        self.at as u64
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, what: &'static str, count: u64) -> Result<&'a [u8], Reason> {
        self.check(what, count)?;
        // The check proves that `count` fits what is left, hence a usize.
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count));
        let taken = taken.ok_or_else(|| self.truncated(what, count as u64))?;
        self.at += count;
        Ok(taken)
    }

    /// Fails unless `count` bytes are left: asked before anything is allocated for them.
    pub(super) fn check(&self, what: &'static str, count: u64) -> Result<(), Reason> {
        if count > self.left() {
            return Err(self.truncated(what, count));
        }
        at_most(
            "the size of metadata and tensor records in bytes",
            self.at() + count,
            MAX_HEADER_BYTES,
        )
    }

    /// The next `N` bytes, for a number.
    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Reason> {
        let taken = self.take(what, N as u64)?;
        taken.try_into().map_err(|_| self.truncated(what, N as u64))
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, Reason> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, Reason> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A length-prefixed text of at most `limit` bytes.
    pub(super) fn text(&mut self, what: &'static str, limit: u64) -> Result<&'a str, Reason> {
        let at = self.at();
        let length = self.u64(what)?;
        let raw = self.take(what, length)?;
        at_most(what_length(what), length, limit)?;
        std::str::from_utf8(raw).map_err(|_| Reason::Text { what, at })
    }

    fn left(&self) -> u64 {
        self.bytes.len().saturating_sub(self.at) as u64
    }

    fn truncated(&self, what: &'static str, needed: u64) -> Reason {
        Reason::Truncated {
            what,
            at: self.at(),
            needed,
            left: self.left(),
        }
    }
}

fn what_length(what: &'static str) -> &'static str {
    match what {
        "a key" => "the length of a key in bytes",
        "a tensor's name" => "the length of a tensor's name in bytes",
        _ => "the length of a text in bytes",
    }
}
