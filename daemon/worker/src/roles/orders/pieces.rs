//! A file that is written into frames.

use std::convert::Infallible;
use std::io::{self, Seek, SeekFrom, Write};

use anyhow::Result;
use mains_wire::frames::{FromWorker, bounds};

use crate::inbox::{Inbox, Outbox};

/// Says that a file of `bytes` comes, lets `write` write it, and says that it is whole.
///
/// # Errors
/// What `write` says, and when the connection is gone.
pub(super) fn say_file(
    bytes: u64,
    inbox: &Inbox<Infallible>,
    outbox: &Outbox,
    write: impl FnOnce(&mut Pieces<'_>) -> Result<()>,
) -> Result<()> {
    outbox.say(FromWorker::Writing { bytes })?;
    let mut pieces = Pieces::new(inbox, outbox);
    write(&mut pieces)?;
    pieces.flush()?;
    if let Some(start) = pieces.start {
        outbox.say(FromWorker::Start(start))?;
    }
    outbox.say(FromWorker::Written)
}

/// Gathers what is written into frames of the largest size, and answers pings between them.
pub(super) struct Pieces<'a> {
    inbox: &'a Inbox<Infallible>,
    outbox: &'a Outbox,
    piece: Vec<u8>,
    /// What is written after a return to the start.
    start: Option<Vec<u8>>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(inbox: &'a Inbox<Infallible>, outbox: &'a Outbox) -> Self {
        Self {
            inbox,
            outbox,
            piece: Vec::with_capacity(bounds::PIECE_BYTES),
            start: None,
        }
    }
}

impl Seek for Pieces<'_> {
    /// Goes back to the start, once: a file whose head is known last. What was said can not be gone back to otherwise.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.flush()?;
        match to {
            SeekFrom::Start(0) if self.start.is_none() => {
                self.start = Some(Vec::new());
                Ok(0)
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(start) = &mut self.start {
            let taken = bytes.len().min(bounds::PIECE_BYTES - start.len());
            start.extend_from_slice(&bytes[..taken]);
            return Ok(taken);
        }
        let taken = bytes.len().min(bounds::PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == bounds::PIECE_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(bounds::PIECE_BYTES));
        let said = self.outbox.say(FromWorker::Piece(piece));
        said.and_then(|()| self.inbox.beat()).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use mains_wire::frames::{FromWorker, bounds};

    use super::say_file;
    use crate::inbox::{Inbox, Outbox};

    #[test]
    fn frames_are_full_and_lose_nothing() {
        let (sender, mut frames) = tokio::sync::mpsc::channel(8);
        let outbox = Outbox(sender);
        let inbox = Inbox::new(outbox.clone());
        let file: Vec<u8> = (0..2 * bounds::PIECE_BYTES + 3)
            .map(|at| (at % 251) as u8)
            .collect();
        say_file(file.len() as u64, &inbox, &outbox, |pieces| {
            for part in file.chunks(1000) {
                pieces.write_all(part)?;
            }
            assert!(pieces.seek(SeekFrom::Start(1)).is_err());
            pieces.rewind()?;
            pieces.write_all(b"head")?;
            Ok(())
        })
        .unwrap();
        let bytes = file.len() as u64;
        assert_eq!(frames.try_recv(), Ok(FromWorker::Writing { bytes }));
        for piece in file.chunks(bounds::PIECE_BYTES) {
            assert_eq!(frames.try_recv(), Ok(FromWorker::Piece(piece.to_vec())));
        }
        assert_eq!(frames.try_recv(), Ok(FromWorker::Start(b"head".to_vec())));
        assert_eq!(frames.try_recv(), Ok(FromWorker::Written));
    }
}
