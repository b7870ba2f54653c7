//! The task of one model.

mod requests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use mains_store::Identity;
use mains_types::{GenerationError, GenerationErrorKind, Plan};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Admitted, Command, Model};
use crate::ModelState;
use crate::context::Context;
use crate::error::SupervisorError;
use crate::life::{Report, live};
use crate::lifecycle::{Action, Event, Lifecycle};
use crate::link::failure;
use crate::place::Refusal;
use crate::queue::{Queue, Ticket};
use crate::settings::Settings;
use crate::worker::Worker;

/// A worker's life as the task knows it.
struct Life {
    stop: CancellationToken,
    loaded: Option<(Worker, Arc<Plan>)>,
}

pub(super) struct Task {
    context: Arc<Context>,
    settings: Settings,
    model: Model,
    queue: Queue,
    cycle: Lifecycle,
    replies: HashMap<Ticket, oneshot::Sender<Result<Admitted, GenerationError>>>,
    loads: Vec<oneshot::Sender<Result<(), SupervisorError>>>,
    unloads: Vec<oneshot::Sender<()>>,
    life: Option<Life>,
    /// Tells the reports of one life from those of the next.
    lives: u64,
    /// It is wanted without a request: to be loaded ahead, or pinned and loaded once.
    keep: bool,
    last_error: Option<String>,
    /// The files that could not be loaded.
    failed: Option<Identity>,
    retired: bool,
    draining: bool,
}

impl Task {
    pub(super) fn new(context: Arc<Context>, settings: Settings, model: Model) -> Self {
        Self {
            queue: Queue::new(settings.queue),
            cycle: Lifecycle::new(settings.keep_alive),
            keep: settings.preload,
            context,
            settings,
            model,
            replies: HashMap::new(),
            loads: Vec::new(),
            unloads: Vec::new(),
            life: None,
            lives: 0,
            last_error: None,
            failed: None,
            retired: false,
            draining: false,
        }
    }

    /// Until it is retired and its worker gone, or its runtime ends.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        self.turn(now());
        while !(self.retired && self.life.is_none()) {
            let deadline = [self.queue.next_deadline(), self.cycle.next_deadline()];
            let timer = async {
                match deadline.into_iter().flatten().min() {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.hear(command, now()),
                    None => return,
                },
                () = timer => {}
            }
            self.turn(now());
        }
    }

    fn hear(&mut self, command: Command, now: Instant) {
        match command {
            Command::Submit { sequences, reply } => self.submit(sequences, reply, now),
            Command::Left { ticket, end } => self.left(ticket, end, now),
            Command::Life { number, report } if number == self.lives => self.report(report, now),
            Command::Life { .. } => {}
            Command::Load(reply) => {
                self.keep = self.settings.pin || self.cycle.state() != ModelState::Ready;
                self.loads.push(reply);
                self.act(Event::Asked, now);
            }
            Command::Unload(reply) => {
                self.keep = false;
                self.unloads.push(reply);
                self.act(Event::Unload, now);
            }
            Command::Evict(reply) => self.evict(reply, now),
            Command::Settings(settings) => self.set(*settings, now),
            Command::Retire => {
                self.retired = true;
                self.keep = false;
                self.act(Event::Unload, now);
                self.refuse_waiting(
                    GenerationErrorKind::UnknownModel,
                    "the model was removed from the configuration",
                );
            }
            Command::Drain => {
                self.draining = true;
                self.keep = false;
                self.refuse_waiting(GenerationErrorKind::ShuttingDown, "the daemon is shutting down");
            }
            Command::Stop(reply) => {
                self.keep = false;
                self.unloads.push(reply);
                self.refuse_waiting(GenerationErrorKind::ShuttingDown, "the daemon is shutting down");
                self.act(Event::Unload, now);
                // Running requests are cut off: the life ends them with a word of the reason.
                if let Some(life) = &self.life {
                    life.stop.cancel();
                }
            }
        }
    }

    fn report(&mut self, report: Report, now: Instant) {
        match report {
            Report::Spawned { pid, walls_missing } => {
                let mut view = self.model.view();
                view.worker_pid = pid;
                view.walls_missing = walls_missing;
                drop(view);
                self.act(Event::Spawned, now);
            }
            Report::Loaded { worker, plan } => self.loaded(worker, plan, now),
            Report::Lost => {
                if let Some(life) = &mut self.life {
                    life.loaded = None;
                }
            }
            Report::Refused(refusal) => self.refused(refusal, now),
            Report::Gone(why) => self.gone(why, now),
        }
    }

    fn loaded(&mut self, worker: Worker, plan: Arc<Plan>, now: Instant) {
        let name = &self.settings.source.name;
        tracing::info!(model = %name, bytes = %plan.bytes.total(), context = plan.context, parallel = plan.parallel, "loaded");
        *self.context.totals().loads.entry(name.clone()).or_default() += 1;
        let mut view = self.model.view();
        view.loaded_since = Some(SystemTime::now());
        view.plan = Some(Arc::clone(&plan));
        view.last_used = now;
        drop(view);
        if let Some(life) = &mut self.life {
            life.loaded = Some((worker, plan));
        }
        self.last_error = None;
        self.keep = self.settings.pin;
        self.act(Event::Loaded, now);
    }

    fn refused(&mut self, refusal: Refusal, now: Instant) {
        let Refusal { reason, for_good } = refusal;
        let name = &self.settings.source.name;
        tracing::error!(model = %name, %reason, "can not be loaded");
        *self
            .context
            .totals()
            .load_failures
            .entry(name.clone())
            .or_default() += 1;
        self.last_error = Some(reason);
        self.keep = false;
        self.failed = Identity::of(&self.settings.source.path).ok();
        self.act(Event::Refused { for_good }, now);
        let error = self.unavailable("the request was refused");
        self.refuse_waiting(error.kind, &error.message);
    }

    fn gone(&mut self, why: Option<String>, now: Instant) {
        if let Some(why) = why {
            let name = &self.settings.source.name;
            tracing::error!(model = %name, reason = %why, "the worker is lost");
            *self.context.totals().crashes.entry(name.clone()).or_default() += 1;
            self.last_error = Some(why);
        }
        self.life = None;
        self.model.view().forget_worker();
        self.act(Event::WorkerGone, now);
        if let Some(wait) = self.cycle.refuses_for(now) {
            let error = self.unavailable(&self.loop_words(wait));
            self.refuse_waiting(error.kind, &error.message);
        }
    }

    fn evict(&mut self, reply: oneshot::Sender<bool>, now: Instant) {
        let idle = self.queue.running() == 0 && self.queue.waiting() == 0 && !self.settings.pin;
        if self.cycle.state() != ModelState::Ready || !idle {
            let _gone = reply.send(false);
            return;
        }
        let (unloaded, done) = oneshot::channel();
        self.unloads.push(unloaded);
        tokio::spawn(async move {
            let ended = done.await.is_ok();
            let _gone = reply.send(ended);
        });
        self.act(Event::Unload, now);
    }

    fn set(&mut self, settings: Settings, now: Instant) {
        let reload = self.settings.reloads_for(&settings);
        self.queue.set_limits(settings.queue);
        if self.settings.keep_alive != settings.keep_alive {
            self.cycle.set_keep_alive(settings.keep_alive, now);
        }
        self.settings = settings;
        self.model.view().settings = self.settings.clone();
        self.act(Event::Changed, now);
        if reload {
            self.act(Event::Unload, now);
        }
    }

    fn act(&mut self, event: Event, now: Instant) {
        match self.cycle.on(event, now) {
            Action::Nothing => {}
            Action::EndWorker => {
                if let Some(life) = &self.life {
                    life.stop.cancel();
                }
            }
            Action::Start => self.start(),
        }
    }

    fn start(&mut self) {
        self.lives += 1;
        let number = self.lives;
        let stop = CancellationToken::new();
        let commands = self.model.commands.clone();
        let report = move |report| {
            // Nobody listens any more when the runtime ends.
            let _gone = commands.send(Command::Life { number, report });
        };
        let life = live(
            Arc::clone(&self.context),
            self.settings.clone(),
            stop.clone(),
            report,
        );
        self.context.lives.spawn(life);
        self.life = Some(Life { stop, loaded: None });
    }

    /// Does whatever is due now, and publishes the state.
    fn turn(&mut self, now: Instant) {
        for ticket in self.queue.expire(now) {
            let limit = self.queue.limits().timeout.as_secs();
            let (name, state) = (&self.settings.source.name, self.cycle.state().name());
            let message = format!("the request waited {limit} s for model {name} ({state}); try again later");
            self.refuse(ticket, failure(GenerationErrorKind::Overloaded, message));
        }
        // What waits goes before what is over: a model that stays loaded for no time still answers.
        self.admit(now);
        self.settle_loads();
        self.act(Event::Tick, now);
        self.settle_unloads();
        if self.queue.waiting() > 0 || self.keep {
            self.act(Event::Wanted, now);
        }
        self.publish();
    }

    fn settle_unloads(&mut self) {
        if self.life.is_none() {
            for unload in self.unloads.drain(..) {
                let _gone = unload.send(());
            }
        }
    }

    fn settle_loads(&mut self) {
        let result = match self.cycle.state() {
            ModelState::Ready => Ok(()),
            ModelState::Stopped if self.keep => return,
            ModelState::Stopped | ModelState::Failed | ModelState::Backoff => {
                Err(SupervisorError::Unavailable {
                    model: self.settings.source.name.clone(),
                    reason: self
                        .last_error
                        .clone()
                        .unwrap_or_else(|| "it was unloaded meanwhile".to_owned()),
                })
            }
            _ => return,
        };
        for load in self.loads.drain(..) {
            let _gone = load.send(result.clone());
        }
    }

    fn publish(&mut self) {
        self.leave_closed();
        let mut view = self.model.view();
        view.state = self.cycle.state();
        view.running = self.queue.running();
        view.queued = self.queue.waiting();
        view.crashes = self.cycle.crashes();
        view.crashes_in_a_row = self.cycle.crashes_in_a_row();
        view.backoff_until = match view.state {
            ModelState::Backoff => self.cycle.next_deadline(),
            _ => None,
        };
        view.last_error.clone_from(&self.last_error);
    }
}

/// The runtime's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
