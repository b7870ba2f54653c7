//! One request, from its arrival to its settlement in the ledger.
//!
//! Order, for every token: the worker says it, the client has room for it, the ledger covers it, it is passed on. So
//! what a client received is never more than what is recorded.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mains_ledger::{OpenRow, Outcome};
use mains_types::{
    Caller, Event, FinishReason, Generate, GenerationError, GenerationErrorKind, Plan, Started, TokenChunk,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::context::Context;
use crate::link::failure;
use crate::model::{Admitted, Model, Slot};
use crate::worker::{Loss, Request, Said};
use crate::{Generation, Meter};

/// Events that were passed on and not taken yet: each counts as received, so there is but one.
const EVENTS: usize = 1;

/// Starts of one request at most. A second one because a worker may have died unnoticed while it was idle; no third one, lest
/// a request that kills workers goes through many.
const STARTS: u32 = 2;

/// A request that a worker has begun to answer.
struct Begun {
    plan: Arc<Plan>,
    slot: Slot,
    answer: Request,
    started: Started,
    queued: Duration,
}

/// Admits a request and leaves its answer to a task.
pub(crate) async fn admit(
    context: &Arc<Context>,
    model: &Model,
    caller: Caller,
    request: Generate,
) -> Result<Generation, GenerationError> {
    let (arrived, time) = (Instant::now(), Timestamp::now());
    // A drain waits for a request that a worker has not begun to answer yet, too.
    let _counted = context.requests.token();
    let choices = request.choices();
    let Begun {
        plan,
        slot,
        answer,
        started,
        queued,
    } = begin(model, &request, arrived).await?;
    let row = OpenRow {
        most_tokens: most_tokens(&request, &plan),
        id: request.id,
        time,
        caller,
        model: request.model.clone(),
        variant: Some(started.variant.clone()),
        device: devices(&plan),
        prompt_tokens: Some(started.prompt_tokens),
        cached_tokens: Some(started.cached_tokens),
    };
    let meter = context.metering.begin(row).await?;
    let (events, receiver) = mpsc::channel(EVENTS);
    let relay = Relay {
        context: Arc::clone(context),
        model: request.model,
        choices,
        started: started.clone(),
        arrived,
        queued,
        first_token: None,
        passed: 0,
        reason: None,
        events,
    };
    context.requests.spawn(relay.run(answer, slot, meter));
    Ok(Generation {
        started,
        events: receiver,
    })
}

async fn begin(model: &Model, request: &Generate, arrived: Instant) -> Result<Begun, GenerationError> {
    let mut starts = 0;
    loop {
        starts += 1;
        let Admitted {
            worker,
            plan,
            mut slot,
        } = model.submit(request.choices()).await?;
        slot.keep_alive(request.keep_alive_s);
        let queued = arrived.elapsed();
        let mut answer = worker.generate(request.clone());
        match answer.next().await {
            Said::Started(mut started) => {
                // What the daemon planned, not what the worker says.
                started.variant = plan.variant.to_string();
                return Ok(Begun {
                    plan,
                    slot,
                    answer,
                    started,
                    queued,
                });
            }
            Said::Lost(loss) if starts < STARTS && matches!(*loss, Loss::Died(_)) => {}
            Said::Lost(loss) => return Err(lost(&request.model, &loss, 0)),
            Said::Failed(error) => return Err(error),
            said => return Err(out_of_turn(&request.model, &said)),
        }
    }
}

fn most_tokens(request: &Generate, plan: &Plan) -> u32 {
    let each = request.max_tokens.unwrap_or(plan.context).min(plan.context);
    each.saturating_mul(request.choices())
}

struct Relay {
    context: Arc<Context>,
    model: String,
    choices: u32,
    started: Started,
    arrived: Instant,
    queued: Duration,
    first_token: Option<Duration>,
    passed: u32,
    reason: Option<FinishReason>,
    events: mpsc::Sender<Event>,
}

impl Relay {
    async fn run(mut self, mut answer: Request, slot: Slot, mut meter: Box<dyn Meter>) {
        let result = self.pass_on(&mut answer, &mut *meter).await;
        // Before the slot is free: a cancelled request leaves the worker before the next one comes.
        drop(answer);
        match &result {
            Ok(()) => slot.answered(),
            Err(_) => drop(slot),
        }
        let error = result.as_ref().err().map(|error| error.kind);
        let settled = meter.settle(self.outcome(error)).await;
        self.count(error);
        let last = match (result, settled) {
            (Ok(()), Ok(())) => Event::Done,
            (Ok(()), Err(unmetered)) => Event::Failed(unmetered.into()),
            (Err(error), _) => Event::Failed(error),
        };
        // A client that has gone hears no more.
        let _gone = self.events.send(last).await;
    }

    async fn pass_on(&mut self, answer: &mut Request, meter: &mut dyn Meter) -> Result<(), GenerationError> {
        loop {
            let said = tokio::select! {
                said = answer.next() => said,
                () = self.events.closed() => return Err(client_gone()),
            };
            match said {
                Said::Tokens(chunk) if chunk.choice.0 < self.choices => {
                    self.pass_tokens(chunk, meter).await?
                }
                Said::Finished(choice, reason) if choice.0 < self.choices => {
                    // One word for the row: that an answer was cut matters more than that another ended by itself.
                    if self.reason != Some(FinishReason::Length) {
                        self.reason = Some(reason);
                    }
                    let finished = Event::Finished { choice, reason };
                    self.events.send(finished).await.map_err(|_| client_gone())?;
                }
                Said::Done => return Ok(()),
                Said::Failed(error) => return Err(error),
                Said::Lost(loss) => return Err(lost(&self.model, &loss, self.passed)),
                Said::ClientTooSlow => return Err(client_slow()),
                said => return Err(out_of_turn(&self.model, &said)),
            }
        }
    }

    async fn pass_tokens(&mut self, chunk: TokenChunk, meter: &mut dyn Meter) -> Result<(), GenerationError> {
        let count = u32::try_from(chunk.ids.len()).unwrap_or(u32::MAX);
        let all = self.passed.saturating_add(count);
        // Room first: what the ledger covers leaves at once.
        let room = self.events.reserve().await.map_err(|_| client_gone())?;
        if count > 0 {
            meter.cover(all).await?;
            self.first_token.get_or_insert_with(|| self.arrived.elapsed());
        }
        room.send(Event::Tokens(chunk));
        self.passed = all;
        Ok(())
    }

    fn outcome(&self, error: Option<GenerationErrorKind>) -> Outcome {
        Outcome {
            completion_tokens: self.passed,
            queue_ms: Some(milliseconds(self.queued)),
            first_token_ms: self.first_token.map(milliseconds),
            total_ms: Some(milliseconds(self.arrived.elapsed())),
            finish_reason: self.reason.filter(|_| error.is_none()),
            error,
            ..Outcome::default()
        }
    }

    fn count(&self, error: Option<GenerationErrorKind>) {
        self.context.count(&self.model, error);
        let mut totals = self.context.totals();
        let tokens = totals.tokens.entry(self.model.clone()).or_default();
        tokens.prompt += u64::from(self.started.prompt_tokens);
        tokens.cached += u64::from(self.started.cached_tokens);
        tokens.completion += u64::from(self.passed);
        let latencies = totals.latencies.entry(self.model.clone()).or_default();
        latencies.queue.observe(self.queued);
        latencies.whole.observe(self.arrived.elapsed());
        if let Some(time) = self.first_token {
            latencies.first_token.observe(time);
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn client_gone() -> GenerationError {
    failure(GenerationErrorKind::Cancelled, "the client went away".to_owned())
}

fn client_slow() -> GenerationError {
    let message = "the answer was read too slowly and too much of it waited; read faster or ask for less";
    failure(GenerationErrorKind::Cancelled, message.to_owned())
}

fn lost(model: &str, loss: &Loss, passed: u32) -> GenerationError {
    match loss {
        Loss::Died(how) => failure(
            GenerationErrorKind::WorkerLost,
            format!("the worker of model {model} {how} after {passed} tokens; ask again"),
        ),
        Loss::ShuttingDown => failure(
            GenerationErrorKind::ShuttingDown,
            format!("the daemon is shutting down; the answer ends after {passed} tokens"),
        ),
    }
}

fn out_of_turn(model: &str, said: &Said) -> GenerationError {
    let what = match said {
        Said::Started(_) => "that it started",
        Said::Tokens(_) => "tokens of a choice that was not asked for, or too early",
        Said::Finished(..) => "an ending of a choice that was not asked for, or too early",
        Said::Done => "that all is done before it started",
        _ => "something out of turn",
    };
    failure(
        GenerationErrorKind::Internal,
        format!("the worker of model {model} said {what}; this is a defect, please report it"),
    )
}

/// The ids of a plan's devices with commas between them, as demands have them.
fn devices(plan: &Plan) -> Option<String> {
    let ids: Vec<&str> = plan
        .segments
        .iter()
        .map(|segment| segment.device.as_str())
        .collect();
    (!ids.is_empty()).then(|| ids.join(","))
}
