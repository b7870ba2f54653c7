//! A loaded worker: its requests share one connection.
//!
//! The connection is read all the time, so that no client stalls another. What a client has not taken yet waits here:
//! from [`PAUSE_BYTES`] on the worker is told to pause the request, below [`RESUME_BYTES`] to go on. A worker that does not
//! heed it has the request cancelled at [`WAITING_BYTES`], and no other request notices.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mains_types::{Choice, FinishReason, Generate, GenerationError, Started, TokenChunk};
use mains_wire::frames::{FromWorker, ToWorker};
use tokio::sync::{mpsc, watch};

use crate::link::{Link, LinkError, name};

/// Bytes of an answer that wait for its client when it is paused: some thousand tokens, seconds of reading ahead.
const PAUSE_BYTES: usize = 128 << 10;

/// Bytes that still wait when it goes on, so that a client that catches up finds no gap.
const RESUME_BYTES: usize = PAUSE_BYTES / 2;

/// Bytes that may ever wait: what was on its way at a pause fits eightfold. 64 clients that stand still before a worker that
/// does not heed its daemon cost 64 MiB.
const WAITING_BYTES: usize = 1 << 20;

/// Pings within the patience that a worker is granted: one that answers late is not killed for one lost turn.
const PINGS: u32 = 6;

/// What the worker says of one request.
#[derive(Debug)]
pub(crate) enum Said {
    Started(Started),
    Tokens(TokenChunk),
    Finished(Choice, FinishReason),
    Done,
    Failed(GenerationError),
    /// More waited for the client than may.
    ClientTooSlow,
    /// The worker is gone, or was told to end.
    Lost(Arc<Loss>),
}

/// Why a worker's requests ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Loss {
    /// In words that follow "the worker of model X".
    Died(String),
    ShuttingDown,
}

struct Mailbox {
    said: mpsc::UnboundedSender<Said>,
    waiting: Arc<AtomicUsize>,
    paused: bool,
}

struct Shared {
    outgoing: mpsc::UnboundedSender<ToWorker>,
    /// `None` once the worker is lost.
    requests: Mutex<Result<HashMap<u64, Mailbox>, Arc<Loss>>>,
    next: AtomicU64,
}

/// Sends requests to a loaded worker. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Worker(Arc<Shared>);

/// A request at a worker. Dropping it before its end cancels it.
pub(crate) struct Request {
    number: u64,
    said: mpsc::UnboundedReceiver<Said>,
    waiting: Arc<AtomicUsize>,
    shared: Arc<Shared>,
    ended: bool,
}

/// The other half of a [`Worker`].
pub(crate) struct Outgoing(mpsc::UnboundedReceiver<ToWorker>);

/// A worker and what is to be sent to it. The queue is as long as there are admitted requests: a `Generate` and a `Cancel`
/// each.
pub(crate) fn pair() -> (Worker, Outgoing) {
    let (outgoing, queue) = mpsc::unbounded_channel();
    let shared = Shared {
        outgoing,
        requests: Mutex::new(Ok(HashMap::new())),
        next: AtomicU64::new(0),
    };
    (Worker(Arc::new(shared)), Outgoing(queue))
}

impl Worker {
    /// Starts a request.
    pub(crate) fn generate(&self, request: Generate) -> Request {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (said, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let mailbox = Mailbox {
            said,
            waiting: Arc::clone(&waiting),
            paused: false,
        };
        match &mut *self.0.requests() {
            Ok(requests) => {
                requests.insert(number, mailbox);
            }
            Err(loss) => mailbox.put(Said::Lost(Arc::clone(loss))),
        }
        // A queue that is closed belongs to a worker that is lost, and then the mailbox says so.
        let _lost = self.0.outgoing.send(ToWorker::Generate(number, request));
        Request {
            number,
            said: receiver,
            waiting,
            shared: Arc::clone(&self.0),
            ended: false,
        }
    }

    /// Ends every request with `loss`, and those that come later too.
    pub(crate) fn lose(&self, loss: Loss) {
        let mut state = self.0.requests();
        let Ok(requests) = &mut *state else {
            return;
        };
        let loss = Arc::new(loss);
        for mailbox in std::mem::take(requests).into_values() {
            mailbox.put(Said::Lost(Arc::clone(&loss)));
        }
        *state = Err(loss);
    }
}

impl Shared {
    fn requests(&self) -> std::sync::MutexGuard<'_, Result<HashMap<u64, Mailbox>, Arc<Loss>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one frame in. What concerns a request that has ended is late, and dropped.
    fn hear(&self, frame: FromWorker) -> Result<(), LinkError> {
        let (number, said, last) = match frame {
            FromWorker::Started { number, started } => (number, Said::Started(started), false),
            FromWorker::Tokens { number, chunk } => (number, Said::Tokens(chunk), false),
            FromWorker::Finished {
                number,
                choice,
                reason,
            } => (number, Said::Finished(choice, reason), false),
            FromWorker::Done { number } => (number, Said::Done, true),
            FromWorker::Failed { number, error } => (number, Said::Failed(error), true),
            FromWorker::Error(words) => return Err(LinkError::Refused(words)),
            other => return Err(LinkError::Unexpected(name(&other))),
        };
        let mut requests = self.requests();
        let Ok(requests) = &mut *requests else {
            return Ok(());
        };
        let Some(mailbox) = requests.get_mut(&number) else {
            return Ok(());
        };
        let waiting = mailbox.waiting.load(Ordering::Relaxed);
        let too_slow = waiting > WAITING_BYTES;
        mailbox.put(if too_slow { Said::ClientTooSlow } else { said });
        if waiting > PAUSE_BYTES && !mailbox.paused && !last {
            mailbox.paused = true;
            let _lost = self.outgoing.send(ToWorker::Pause(number));
        }
        if too_slow || last {
            requests.remove(&number);
        }
        if too_slow && !last {
            let _lost = self.outgoing.send(ToWorker::Cancel(number));
        }
        Ok(())
    }
}

impl Mailbox {
    fn put(&self, said: Said) {
        self.waiting.fetch_add(size(&said), Ordering::Relaxed);
        // Nobody at the other end: the request was dropped a moment ago and cancels itself.
        let _dropped = self.said.send(said);
    }
}

impl Request {
    /// What the worker says next. After an ending it is always [`Said::Lost`].
    pub(crate) async fn next(&mut self) -> Said {
        let Some(said) = self.said.recv().await else {
            return Said::Lost(Arc::new(Loss::Died("is gone".to_owned())));
        };
        let size = size(&said);
        let before = self.waiting.fetch_sub(size, Ordering::Relaxed);
        if before >= RESUME_BYTES && before - size < RESUME_BYTES {
            self.resume();
        }
        self.ended |= matches!(
            said,
            Said::Done | Said::Failed(_) | Said::ClientTooSlow | Said::Lost(_)
        );
        said
    }
}

impl Request {
    fn resume(&self) {
        let mut requests = self.shared.requests();
        let Ok(requests) = &mut *requests else {
            return;
        };
        if let Some(mailbox) = requests.get_mut(&self.number)
            && std::mem::take(&mut mailbox.paused)
        {
            let _lost = self.shared.outgoing.send(ToWorker::Resume(self.number));
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let known = match &mut *self.shared.requests() {
            Ok(requests) => requests.remove(&self.number).is_some(),
            Err(_) => false,
        };
        if known {
            let _lost = self.shared.outgoing.send(ToWorker::Cancel(self.number));
        }
    }
}

/// About the memory that `said` takes.
fn size(said: &Said) -> usize {
    let of_chunk = |chunk: &TokenChunk| {
        let tops = chunk
            .logprobs
            .iter()
            .map(|token| 64 + token.bytes.len() + 48 * token.top.len());
        chunk.ids.len() * 4 + chunk.text.len() + tops.sum::<usize>()
    };
    let own = size_of::<Said>();
    match said {
        Said::Tokens(chunk) => own + of_chunk(chunk),
        _ => own,
    }
}

/// Carries frames both ways until the connection fails, the worker breaks the protocol, or it does not answer a ping for
/// `patience`. Never returns otherwise.
pub(crate) async fn serve(
    worker: &Worker,
    outgoing: &mut Outgoing,
    link: &mut Link,
    patience: Duration,
) -> LinkError {
    let (heard, pongs) = watch::channel(0);
    let Link { reader, writer } = link;
    let read = async {
        loop {
            let result = match reader.next().await {
                Ok(Some(FromWorker::Pong(number))) => {
                    heard.send_replace(number);
                    Ok(())
                }
                Ok(Some(frame)) => worker.0.hear(frame),
                Ok(None) => Err(LinkError::Closed),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = result {
                break error;
            }
        }
    };
    let write = async {
        loop {
            let Some(frame) = outgoing.0.recv().await else {
                // The handle is gone with all requests; what is left of the worker's life is silent.
                std::future::pending().await
            };
            let mut result = writer.queue(frame);
            while let (Ok(()), Ok(frame)) = (&result, outgoing.0.try_recv()) {
                result = writer.queue(frame);
            }
            if let Err(error) = match result {
                Ok(()) => writer.flush().await,
                Err(error) => Err(error),
            } {
                break LinkError::from(error);
            }
        }
    };
    tokio::select! {
        error = read => error,
        error = write => error,
        error = watch_over(worker, pongs, patience) => error,
    }
}

async fn watch_over(worker: &Worker, mut pongs: watch::Receiver<u64>, patience: Duration) -> LinkError {
    for number in 1.. {
        let _lost = worker.0.outgoing.send(ToWorker::Ping(number));
        let answered = pongs.wait_for(|heard| *heard >= number);
        if tokio::time::timeout(patience, answered).await.is_err() {
            break;
        }
        tokio::time::sleep(patience / PINGS).await;
    }
    LinkError::Slow(patience)
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
