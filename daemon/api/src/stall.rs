//! A connection that ends when the other side stops to read.
//!
//! A stream may last for hours, so there is no time limit on an answer. But an answer whose bytes nobody takes holds a
//! sequence of the worker, and that is bounded here: when a write makes no progress for [`WRITE_STALL`], it fails.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A reader that takes nothing for so long is gone or stopped. Longer than a laptop's pause in a debugger's step would be
/// kind to; shorter than what a waiting queue bears.
pub(crate) const WRITE_STALL: Duration = Duration::from_secs(30);

/// `io` with the bound on writes.
pub(crate) struct Stall<T> {
    io: T,
    timer: Pin<Box<Sleep>>,
    /// Whether a write is waiting and the timer runs.
    waiting: bool,
}

impl<T> Stall<T> {
    /// Must be made within a tokio runtime.
    pub(crate) fn new(io: T) -> Self {
        Self {
            io,
            timer: Box::pin(sleep(WRITE_STALL)),
            waiting: false,
        }
    }

    /// Passes `progress` on; when there is none for too long, an error.
    fn watch<R>(&mut self, cx: &mut Context<'_>, progress: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if progress.is_ready() {
            self.waiting = false;
            return progress;
        }
        if !self.waiting {
            self.waiting = true;
            self.timer.as_mut().reset(Instant::now() + WRITE_STALL);
        }
        ready!(self.timer.as_mut().poll(cx));
        self.waiting = false;
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the client read nothing for {} s", WRITE_STALL.as_secs()),
        )))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Stall<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stall<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watch(cx, progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.watch(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.io).poll_flush(cx);
        self.watch(cx, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::{Stall, WRITE_STALL};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_ends_the_write() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let mut ours = Stall::new(ours);
        let begun = Instant::now();
        let error = ours.write_all(b"more than four").await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), WRITE_STALL);
        let mut read = [0; 4];
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_waited_for() {
        let (ours, mut theirs) = tokio::io::duplex(1);
        let mut ours = Stall::new(ours);
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            while all.len() < 5 {
                tokio::time::sleep(WRITE_STALL / 2).await;
                all.push(theirs.read_u8().await.unwrap());
            }
            all
        });
        ours.write_all(b"abcde").await.unwrap();
        assert_eq!(reader.await.unwrap(), b"abcde");
    }
}
