//! What the working thread is told, and the proof that it lives.
//!
//! `Ping` is answered by the thread that works, between two pieces of work or while it waits, and by nobody else: a thread that
//! hangs in a kernel or a library does not answer, and the daemon ends the process.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use mains_wire::frames::{FromWorker, ToWorker};

use crate::watchdog::Watchdog;

/// A message to the working thread.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every message is a frame: a box each would save nothing"
)]
pub(crate) enum Message<P> {
    /// From the daemon.
    Frame(ToWorker),
    /// From a thread that prepares its work.
    Prepared(P),
}

/// The working thread's mail. `P` is what helping threads hand to it.
pub(crate) struct Inbox<P> {
    receiver: mpsc::Receiver<Message<P>>,
    sender: mpsc::Sender<Message<P>>,
    /// Mail that came while only pings were looked for.
    kept: RefCell<VecDeque<Message<P>>>,
    outbox: Outbox,
    watchdog: Watchdog,
}

impl<P> Inbox<P> {
    /// An empty inbox whose pings are answered on `outbox`.
    pub(crate) fn new(outbox: Outbox) -> Self {
        let (sender, receiver) = mpsc::channel();
        Self {
            receiver,
            sender,
            kept: RefCell::default(),
            outbox,
            watchdog: Watchdog::of_unit(),
        }
    }

    /// Where messages are sent.
    pub(crate) fn sender(&self) -> mpsc::Sender<Message<P>> {
        self.sender.clone()
    }

    /// The next message that is no ping; waits for it.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(crate) fn wait(&self) -> Result<Message<P>> {
        loop {
            if let Some(message) = self.kept.borrow_mut().pop_front() {
                return Ok(message);
            }
            // The inbox holds a sender itself, so that there is always another message to wait for.
            let message = self.receiver.recv()?;
            if let Some(message) = self.answer(message)? {
                return Ok(message);
            }
        }
    }

    /// The next message that is no ping, or `None` when none came for `patience`. Who waits is alive.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(crate) fn wait_for(&self, patience: Duration) -> Result<Option<Message<P>>> {
        self.watchdog.feed();
        if let Some(message) = self.kept.borrow_mut().pop_front() {
            return Ok(Some(message));
        }
        match self.receiver.recv_timeout(patience) {
            Ok(message) => self.answer(message),
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(error @ mpsc::RecvTimeoutError::Disconnected) => Err(error.into()),
        }
    }

    /// The next message that is no ping, if one is there.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(crate) fn take(&self) -> Result<Option<Message<P>>> {
        self.beat()?;
        Ok(self.kept.borrow_mut().pop_front())
    }

    /// Answers pings that wait. Call it between two pieces of long work.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(crate) fn beat(&self) -> Result<()> {
        self.watchdog.feed();
        while let Ok(message) = self.receiver.try_recv() {
            if let Some(message) = self.answer(message)? {
                self.kept.borrow_mut().push_back(message);
            }
        }
        Ok(())
    }

    /// Answers a ping; gives anything else back.
    fn answer(&self, message: Message<P>) -> Result<Option<Message<P>>> {
        match message {
            Message::Frame(ToWorker::Ping(nonce)) => {
                self.watchdog.feed();
                self.outbox.say(FromWorker::Pong(nonce))?;
                Ok(None)
            }
            other => Ok(Some(other)),
        }
    }
}

/// Frames on their way to the daemon. Bounded: who says too much waits until the daemon has read.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(pub(crate) tokio::sync::mpsc::Sender<FromWorker>);

impl Outbox {
    /// Sends `frame`. Not to be called on the thread that serves the connection.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(crate) fn say(&self, frame: FromWorker) -> Result<()> {
        self.0
            .blocking_send(frame)
            .map_err(|_| anyhow!("the connection to mainsd is gone"))
    }
}

#[cfg(test)]
mod tests {
    use mains_wire::frames::{FromWorker, ToWorker};

    use super::{Inbox, Message, Outbox};

    #[test]
    fn pings_are_answered_between_pieces_of_work_and_the_rest_keeps_its_order() {
        let (sender, mut frames) = tokio::sync::mpsc::channel(8);
        let inbox = Inbox::<u8>::new(Outbox(sender));
        let mail = inbox.sender();
        for message in [
            Message::Frame(ToWorker::Cancel(1)),
            Message::Frame(ToWorker::Ping(5)),
            Message::Prepared(9),
        ] {
            mail.send(message).unwrap();
        }
        assert!(frames.try_recv().is_err(), "nobody has worked yet");
        inbox.beat().unwrap();
        assert_eq!(frames.try_recv(), Ok(FromWorker::Pong(5)));
        assert!(matches!(inbox.wait(), Ok(Message::Frame(ToWorker::Cancel(1)))));
        assert!(matches!(inbox.take(), Ok(Some(Message::Prepared(9)))));
        assert!(matches!(inbox.take(), Ok(None)));
    }

    #[test]
    fn a_lost_connection_ends_the_work() {
        let (sender, frames) = tokio::sync::mpsc::channel(8);
        drop(frames);
        let inbox = Inbox::<u8>::new(Outbox(sender));
        inbox.sender().send(Message::Frame(ToWorker::Ping(1))).unwrap();
        assert!(inbox.wait().is_err());
    }
}
