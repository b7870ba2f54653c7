//! Requests at one model: they wait, are admitted when its worker has room, or are refused in words for whoever sent them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mains_store::Identity;
use mains_types::{GenerationError, GenerationErrorKind};
use tokio::sync::oneshot;

use super::super::{Admitted, Slot, SlotEnd};
use super::Task;
use crate::ModelState;
use crate::lifecycle::Event;
use crate::link::failure;
use crate::queue::Ticket;

impl Task {
    pub(super) fn submit(
        &mut self,
        sequences: u32,
        reply: oneshot::Sender<Result<Admitted, GenerationError>>,
        now: Instant,
    ) {
        self.leave_closed();
        if let Err(error) = self.check_open(now) {
            // Nobody waits for the answer: the client has gone.
            let _gone = reply.send(Err(error));
            return;
        }
        match self.queue.push(sequences, now) {
            Ok(ticket) => {
                self.replies.insert(ticket, reply);
            }
            Err(_full) => {
                let waiting = self.queue.limits().waiting;
                let name = &self.settings.source.name;
                let message =
                    format!("{waiting} requests wait for model {name}, as many as may; try again later");
                let _gone = reply.send(Err(failure(GenerationErrorKind::Overloaded, message)));
            }
        }
    }

    /// Whether requests may wait at all.
    fn check_open(&mut self, now: Instant) -> Result<(), GenerationError> {
        if self.draining {
            let message = "the daemon is shutting down".to_owned();
            return Err(failure(GenerationErrorKind::ShuttingDown, message));
        }
        if self.retired {
            let message = "the model was removed from the configuration".to_owned();
            return Err(failure(GenerationErrorKind::UnknownModel, message));
        }
        if self.cycle.state() == ModelState::Failed
            && Identity::of(&self.settings.source.path).ok() != self.failed
        {
            self.act(Event::Changed, now);
        }
        if self.cycle.state() == ModelState::Failed {
            let name = &self.settings.source.name;
            let hint = format!("mend it, or try again with `mains load {name}`");
            return Err(self.unavailable(&hint));
        }
        match self.cycle.refuses_for(now) {
            Some(wait) => Err(self.unavailable(&self.loop_words(wait))),
            None => Ok(()),
        }
    }

    pub(super) fn loop_words(&self, wait: Duration) -> String {
        let row = self.cycle.crashes_in_a_row();
        format!(
            "it died {row} times in a row, the next start may be in {} s",
            wait.as_secs() + 1
        )
    }

    pub(super) fn unavailable(&self, hint: &str) -> GenerationError {
        let name = &self.settings.source.name;
        let why = self.last_error.as_deref().unwrap_or("it could not be loaded");
        failure(
            GenerationErrorKind::Unavailable,
            format!("model {name} is not available: {why}; {hint}"),
        )
    }

    /// Takes out those whose clients have gone.
    pub(super) fn leave_closed(&mut self) {
        let queue = &mut self.queue;
        self.replies.retain(|ticket, reply| {
            let gone = reply.is_closed();
            if gone {
                queue.remove(*ticket);
            }
            !gone
        });
    }

    pub(super) fn left(&mut self, ticket: Ticket, end: SlotEnd, now: Instant) {
        if !self.queue.remove(ticket) {
            return;
        }
        if end.answered {
            self.act(Event::Answered, now);
        }
        if self.queue.running() == 0 {
            let keep = self.settings.keep_alive_after(end.keep_alive_s);
            self.act(Event::Idle(keep), now);
        }
        self.model.view().last_used = now;
    }

    pub(super) fn admit(&mut self, now: Instant) {
        if self.cycle.state() != ModelState::Ready {
            return;
        }
        let Some((worker, plan)) = self.life.as_ref().and_then(|life| life.loaded.clone()) else {
            return;
        };
        while let Some(ticket) = self.queue.admit(plan.parallel) {
            self.act(Event::Busy, now);
            let admitted = Admitted {
                worker: worker.clone(),
                plan: Arc::clone(&plan),
                slot: Slot {
                    commands: self.model.commands.clone(),
                    ticket,
                    end: SlotEnd::default(),
                },
            };
            if let Some(reply) = self.replies.remove(&ticket) {
                // A client that has gone drops the slot, and that frees it.
                let _gone = reply.send(Ok(admitted));
            }
        }
    }

    pub(super) fn refuse_waiting(&mut self, kind: GenerationErrorKind, message: &str) {
        for ticket in self.queue.refuse_waiting() {
            self.refuse(ticket, failure(kind, message.to_owned()));
        }
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, error: GenerationError) {
        if let Some(reply) = self.replies.remove(&ticket) {
            let _gone = reply.send(Err(error));
        }
    }
}
