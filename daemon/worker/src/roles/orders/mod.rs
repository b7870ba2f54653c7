//! The role `convert`: makes files of models' files, for the daemon to keep. It writes nothing itself: what it makes goes
//! over the connection in [`pieces`], in answer to orders that the daemon gives.

mod convert;
mod pack;
mod pieces;
mod sensitivity;
mod unpack;

use std::convert::Infallible;

use anyhow::{Result, bail};
use mains_wire::frames::{FromWorker, ToWorker};

use super::inspect::message;
use crate::inbox::{Inbox, Message, Outbox};

/// Answers orders until the connection ends. One that can not be carried out is answered by why, and the next may come.
pub(crate) fn work(inbox: Inbox<Infallible>, outbox: Outbox) -> Result<()> {
    loop {
        let outcome = match inbox.wait()? {
            Message::Frame(ToWorker::Convert(order)) => convert::answer(&order, &inbox, &outbox),
            Message::Frame(ToWorker::Sensitivity(order)) => sensitivity::answer(order, &inbox, &outbox),
            Message::Frame(ToWorker::Pack(order)) => pack::answer(&order, &inbox, &outbox),
            Message::Frame(ToWorker::Unpack(path)) => unpack::answer(&path, &inbox, &outbox),
            Message::Frame(_) => bail!("this worker only makes files of models"),
        };
        if let Err(error) = outcome {
            outbox.say(FromWorker::Error(message(&error)))?;
        }
    }
}
