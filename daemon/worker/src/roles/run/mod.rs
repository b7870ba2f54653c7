//! The role `run`: holds one model and generates.
//!
//! One thread computes, step after step, and looks at its mail between two steps: a new request joins the next step, a
//! cancelled one is out of it. Another thread turns prompts into token ids, so that a long prompt stalls nobody.

mod choice;
mod load;
mod measure;
mod prepare;
mod requests;
mod start;

use std::collections::HashSet;
use std::sync::mpsc;

use anyhow::{Context, Result, bail};
use mains_engine::Engine;
use mains_types::Generate;
use mains_wire::frames::{FromWorker, ToWorker};

use super::inspect::message;
use crate::inbox::{Inbox, Message, Outbox};
use load::Loaded;
use prepare::{Prepared, Preparer};
use requests::Requests;

/// Loads what the daemon says, then generates until the connection ends.
pub(crate) fn work(inbox: Inbox<Prepared>, outbox: Outbox) -> Result<()> {
    let loaded = match inbox.wait()? {
        Message::Frame(ToWorker::Load { path, plan, packed }) => {
            load::load(&path, &plan, packed.as_deref(), &|| inbox.beat())
        }
        Message::Frame(ToWorker::Measure {
            driver,
            threads,
            bytes,
        }) => return measure::answer(&driver, threads, bytes, &inbox, &outbox),
        _ => bail!("a load or a measurement comes first"),
    };
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            // The daemon decides what follows; there is nothing left to do here.
            return outbox.say(FromWorker::Error(message(&error)));
        }
    };
    outbox.say(FromWorker::Loaded {
        footprint: loaded.footprint,
    })?;
    Runner::new(loaded, inbox, outbox)?.run()
}

/// The loop over steps.
struct Runner {
    engine: Engine,
    requests: Requests,
    /// Requests whose prompts are being prepared. A cancelled one is no longer among them.
    preparing: HashSet<u64>,
    /// Of those, the ones to begin paused.
    paused_early: HashSet<u64>,
    to_prepare: mpsc::Sender<(u64, Generate)>,
    inbox: Inbox<Prepared>,
    outbox: Outbox,
}

impl Runner {
    fn new(loaded: Loaded, inbox: Inbox<Prepared>, outbox: Outbox) -> Result<Self> {
        let requests = Requests::new(loaded.preparer.tokenizer(), loaded.variant);
        Ok(Self {
            engine: loaded.engine,
            requests,
            preparing: HashSet::new(),
            paused_early: HashSet::new(),
            to_prepare: start_preparing(loaded.preparer, inbox.sender())?,
            inbox,
            outbox,
        })
    }

    fn run(mut self) -> Result<()> {
        loop {
            let message = if self.requests.wants_steps() {
                self.inbox.take()?
            } else {
                Some(self.inbox.wait()?)
            };
            match message {
                Some(Message::Frame(frame)) => self.obey(frame)?,
                Some(Message::Prepared(prepared)) => self.begin(prepared)?,
                None => self.step()?,
            }
        }
    }

    fn obey(&mut self, frame: ToWorker) -> Result<()> {
        match frame {
            ToWorker::Generate(number, request) => {
                self.preparing.insert(number);
                self.to_prepare
                    .send((number, request))
                    .context("the thread that prepares prompts died")?;
            }
            ToWorker::Cancel(number) => {
                self.preparing.remove(&number);
                self.paused_early.remove(&number);
                self.requests.cancel(&mut self.engine, number);
            }
            ToWorker::Pause(number) if self.preparing.contains(&number) => {
                self.paused_early.insert(number);
            }
            ToWorker::Resume(number) if self.preparing.contains(&number) => {
                self.paused_early.remove(&number);
            }
            ToWorker::Pause(number) => self.requests.pause(&mut self.engine, number),
            ToWorker::Resume(number) => self.requests.resume(&mut self.engine, number),
            _ => bail!("a frame that no loaded worker takes"),
        }
        Ok(())
    }

    fn begin(&mut self, Prepared { number, outcome }: Prepared) -> Result<()> {
        if !self.preparing.remove(&number) {
            return Ok(());
        }
        let paused = self.paused_early.remove(&number);
        let frames = match outcome {
            Ok(request) => self.requests.begin(&mut self.engine, number, request),
            Err(error) => vec![FromWorker::Failed { number, error }],
        };
        self.say_all(frames)?;
        if paused {
            self.requests.pause(&mut self.engine, number);
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        match self.engine.step() {
            Ok(events) => {
                let frames = self.requests.start(&events);
                self.say_all(frames)?;
                for event in events {
                    let frames = self.requests.follow(&mut self.engine, event);
                    self.say_all(frames)?;
                }
                Ok(())
            }
            Err(error) => {
                let frames = self.requests.fail_all(&error.to_string());
                self.say_all(frames)?;
                Err(error).context("a step failed")
            }
        }
    }

    fn say_all(&self, frames: Vec<FromWorker>) -> Result<()> {
        frames.into_iter().try_for_each(|frame| self.outbox.say(frame))
    }
}

/// A thread that prepares one request after the other.
fn start_preparing(
    preparer: Preparer,
    done: mpsc::Sender<Message<Prepared>>,
) -> Result<mpsc::Sender<(u64, Generate)>> {
    let (sender, requests) = mpsc::channel::<(u64, Generate)>();
    std::thread::Builder::new()
        .name("prompts".to_owned())
        .spawn(move || {
            for (number, request) in requests {
                let outcome = preparer.prepare(request);
                if done
                    .send(Message::Prepared(Prepared { number, outcome }))
                    .is_err()
                {
                    return;
                }
            }
        })
        .context("starting the thread that prepares prompts")?;
    Ok(sender)
}
