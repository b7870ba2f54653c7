//! One source's process, from its start to the proof of its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mains_contract::ProbeReport;
use mains_inventory::Source;
use mains_wire::frames::{FromWorker, ToWorker};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::desk::Asker;
use crate::link::{LinkError, Started, end, how, name, start};
use crate::{Limits, Role, Spawn};

/// How long a new process waits for the end of the one before, which hangs in the kernel if it takes longer.
const END_TIME: Duration = Duration::from_secs(5);

/// The process that asks one source.
pub(crate) struct SourceWorker {
    spawn: Arc<dyn Spawn>,
    source: &'static Source,
    process: Mutex<Process>,
}

/// There is never more than one: a source that hangs in the kernel must not fill the box with processes.
enum Process {
    None,
    Open(Box<Started>),
    /// On its way out, until its end is proved.
    Ending(JoinHandle<()>),
}

impl SourceWorker {
    pub(crate) fn new(spawn: Arc<dyn Spawn>, source: &'static Source) -> Self {
        Self {
            spawn,
            source,
            process: Mutex::new(Process::None),
        }
    }

    /// A process that can be asked, and whether it has been asked before.
    async fn open(&self, process: &mut Process) -> Result<(Started, bool), LinkError> {
        match std::mem::replace(process, Process::None) {
            Process::Open(worker) => return Ok((*worker, true)),
            Process::None => {}
            Process::Ending(mut ending) => {
                if tokio::time::timeout(END_TIME, &mut ending).await.is_err() {
                    *process = Process::Ending(ending);
                    return Err(LinkError::Unending);
                }
            }
        }
        let worker = start(&*self.spawn, Role::Probe, Limits::default()).await?;
        Ok((worker, false))
    }

    async fn exchange(
        &self,
        worker: &mut Started,
        anew: bool,
        time: Duration,
    ) -> Result<ProbeReport, LinkError> {
        let question = ToWorker::Probe {
            source: self.source.name.to_owned(),
            anew,
        };
        let exchange = async {
            worker.link.writer.send(question).await?;
            worker.link.next().await
        };
        match tokio::time::timeout(time, exchange).await {
            Ok(Ok(FromWorker::Report(report))) => Ok(report),
            Ok(Ok(FromWorker::Error(words))) => Err(LinkError::Refused(words)),
            Ok(Ok(other)) => Err(LinkError::Unexpected(name(&other))),
            Ok(Err(error)) => Err(how(error, &mut *worker.process).await),
            Err(_) => Err(LinkError::Slow(time)),
        }
    }
}

/// Ends a process that is not needed any more, or does not do what it should.
fn let_go(worker: Started, answer: &Result<ProbeReport, LinkError>) -> Process {
    let Started {
        link, mut process, ..
    } = worker;
    // One that hangs does not hear that it shall end.
    let link = Some(link).filter(|_| !matches!(answer, Err(LinkError::Slow(_))));
    Process::Ending(tokio::spawn(async move {
        end(link, &mut *process).await;
    }))
}

impl Asker for SourceWorker {
    fn ask(&self, anew: bool, time: Duration) -> BoxFuture<'_, Result<ProbeReport, LinkError>> {
        Box::pin(async move {
            let mut process = self.process.lock().await;
            loop {
                let (mut worker, is_old) = self.open(&mut process).await?;
                let answer = self.exchange(&mut worker, anew, time).await;
                let has_devices = matches!(&answer, Ok(report) if !report.devices.is_empty());
                *process = if has_devices && self.source.watched {
                    Process::Open(Box::new(worker))
                } else {
                    let_go(worker, &answer)
                };
                // One that died since the last question says nothing of the source now: a new one does.
                if is_old && matches!(answer, Err(LinkError::Died(_) | LinkError::Closed)) {
                    continue;
                }
                return answer;
            }
        })
    }
}
