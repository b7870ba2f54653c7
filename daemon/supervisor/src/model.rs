//! One model: its task executes what queue and life cycle decide.

mod task;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mains_types::{GenerationError, GenerationErrorKind, ModelSource, Plan};
use tokio::sync::{mpsc, oneshot};

use crate::context::Context;
use crate::error::SupervisorError;
use crate::life::Report;
use crate::link::failure;
use crate::queue::Ticket;
use crate::settings::Settings;
use crate::worker::Worker;
use crate::{ModelState, ModelStatus};

use view::View;

/// What the task is told.
enum Command {
    Submit {
        sequences: u32,
        reply: oneshot::Sender<Result<Admitted, GenerationError>>,
    },
    Left {
        ticket: Ticket,
        end: SlotEnd,
    },
    Life {
        number: u64,
        report: Report,
    },
    Load(oneshot::Sender<Result<(), SupervisorError>>),
    Unload(oneshot::Sender<()>),
    Evict(oneshot::Sender<bool>),
    Settings(Box<Settings>),
    /// It is gone from the configuration: end when the running requests have.
    Retire,
    /// Take no more requests.
    Drain,
    /// End the worker, whatever runs.
    Stop(oneshot::Sender<()>),
}

/// How a request left its slot.
#[derive(Debug, Clone, Copy, Default)]
struct SlotEnd {
    answered: bool,
    keep_alive_s: Option<u64>,
}

/// The handle of one model's task. The queue of commands is as long as there are connections.
#[derive(Clone)]
pub(crate) struct Model {
    commands: mpsc::UnboundedSender<Command>,
    view: Arc<Mutex<View>>,
}

/// A request that a worker has room for.
pub(crate) struct Admitted {
    pub(crate) worker: Worker,
    pub(crate) plan: Arc<Plan>,
    pub(crate) slot: Slot,
}

/// A request's place at a worker. Free again when it is dropped.
pub(crate) struct Slot {
    commands: mpsc::UnboundedSender<Command>,
    ticket: Ticket,
    end: SlotEnd,
}

impl Slot {
    /// The model stays loaded for so many seconds after this request.
    pub(crate) const fn keep_alive(&mut self, seconds: Option<u64>) {
        self.end.keep_alive_s = seconds;
    }

    /// The worker has answered to the end.
    pub(crate) fn answered(mut self) {
        self.end.answered = true;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let left = Command::Left {
            ticket: self.ticket,
            end: self.end,
        };
        // A task that is gone has no slots.
        let _gone = self.commands.send(left);
    }
}

impl Model {
    /// Starts the task of a model.
    pub(crate) fn start(context: Arc<Context>, settings: Settings) -> Self {
        let (commands, queue) = mpsc::unbounded_channel();
        let view = Arc::new(Mutex::new(View::new(&settings)));
        let model = Self { commands, view };
        let task = task::Task::new(context, settings, model.clone());
        tokio::spawn(task.run(queue));
        model
    }

    /// Waits for a slot. Dropping the future leaves the queue.
    pub(crate) async fn submit(&self, sequences: u32) -> Result<Admitted, GenerationError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Submit { sequences, reply });
        let gone = |_| {
            let message = "the model was removed from the configuration".to_owned();
            Err(failure(GenerationErrorKind::UnknownModel, message))
        };
        answer.await.unwrap_or_else(gone)
    }

    pub(crate) async fn load(&self) -> Result<(), SupervisorError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Load(reply));
        answer.await.unwrap_or(Err(SupervisorError::ShuttingDown))
    }

    pub(crate) async fn unload(&self) {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Unload(reply));
        // A task that has ended has unloaded its model.
        let _ended = answer.await;
    }

    pub(crate) async fn evict(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Evict(reply));
        answer.await.unwrap_or(false)
    }

    pub(crate) fn set(&self, settings: Settings) {
        self.tell(Command::Settings(Box::new(settings)));
    }

    pub(crate) fn retire(&self) {
        self.tell(Command::Retire);
    }

    pub(crate) fn drain(&self) {
        self.tell(Command::Drain);
    }

    pub(crate) async fn stop(&self) {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Stop(reply));
        let _ended = answer.await;
    }

    fn tell(&self, command: Command) {
        // A task that is gone drops the reply, which the caller sees.
        let _gone = self.commands.send(command);
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn settings(&self) -> Settings {
        self.view().settings.clone()
    }

    pub(crate) fn source(&self) -> ModelSource {
        self.view().settings.source.clone()
    }

    /// The plan that its worker runs by.
    pub(crate) fn plan(&self) -> Option<Arc<Plan>> {
        self.view().plan.clone()
    }

    pub(crate) fn status(&self, now: Instant) -> ModelStatus {
        self.view().status(now)
    }

    /// Since when it neither answers nor loads; `None` while it does.
    pub(crate) fn quiet_since(&self) -> Option<Instant> {
        let view = self.view();
        let rests = matches!(
            view.state,
            ModelState::Ready | ModelState::Stopped | ModelState::Backoff | ModelState::Failed
        );
        (rests && view.running == 0 && view.queued == 0).then_some(view.last_used)
    }

    /// Since when nobody needs it, if it is loaded and may be unloaded.
    pub(crate) fn evictable_since(&self) -> Option<Instant> {
        let view = self.view();
        let idle = view.running == 0 && view.queued == 0 && !view.settings.pin;
        (view.state == ModelState::Ready && idle).then_some(view.last_used)
    }
}
