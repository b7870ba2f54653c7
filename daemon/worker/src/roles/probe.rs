//! The role `probe`: asks every source, each in its own thread, and waits for none longer than a bound.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use mains_contract::{Inventory, Probe, ProbeError};
use mains_probes::{Answer, inventory};
use mains_wire::frames::{FromWorker, ToWorker};

use crate::inbox::{Inbox, Message, Outbox};

/// How long a source may take: libraries of makers wake cards up within about a second, or hang.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// How often the wait looks for pings.
const BEAT: Duration = Duration::from_millis(200);

/// Answers `Probe` until the connection ends.
pub(crate) fn work(inbox: Inbox<Infallible>, outbox: Outbox) -> Result<()> {
    let mut sources = Sources::new(TIME_LIMIT);
    loop {
        match inbox.wait()? {
            Message::Frame(ToWorker::Probe) => {
                let found = sources.ask(mains_probes::all(), || inbox.beat())?;
                outbox.say(FromWorker::Inventory(found))?;
            }
            Message::Frame(_) => bail!("this worker only probes"),
        }
    }
}

/// Sources that are being asked.
struct Sources {
    time_limit: Duration,
    answers: Receiver<Answer>,
    answering: Sender<Answer>,
    /// Sources that have not answered yet; they are not asked again before they have.
    pending: BTreeSet<&'static str>,
}

impl Sources {
    fn new(time_limit: Duration) -> Self {
        let (answering, answers) = channel();
        Self {
            time_limit,
            answers,
            answering,
            pending: BTreeSet::new(),
        }
    }

    /// Asks `probes` and gives what answered in time. A late source is a problem of its own, and nobody else's.
    fn ask(
        &mut self,
        probes: Vec<Box<dyn Probe + Send>>,
        mut beat: impl FnMut() -> Result<()>,
    ) -> Result<Inventory> {
        // Answers to an earlier question are out of date by now.
        while let Ok(late) = self.answers.try_recv() {
            self.pending.remove(late.source);
        }
        for probe in probes {
            self.start(probe)?;
        }
        let deadline = Instant::now() + self.time_limit;
        let mut found = Vec::new();
        while !self.pending.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match self.answers.recv_timeout(left.min(BEAT)) {
                Ok(answer) => {
                    self.pending.remove(answer.source);
                    found.push(answer);
                }
                Err(RecvTimeoutError::Timeout) => beat()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        found.extend(self.pending.iter().map(|source| self.late(source)));
        // Threads answer in any order; the first source that knows a fact gives it.
        found.sort_by_key(|answer| (answer.source != "cpu", answer.source));
        Ok(inventory(found, SystemTime::now()))
    }

    fn start(&mut self, probe: Box<dyn Probe + Send>) -> Result<()> {
        let source = probe.source();
        if !self.pending.insert(source) {
            return Ok(());
        }
        let answering = self.answering.clone();
        std::thread::Builder::new()
            .name(source.to_owned())
            .spawn(move || {
                let report = probe.probe();
                let _gone = answering.send(Answer { source, report });
            })
            .with_context(|| format!("starting a thread for the source {source}"))?;
        Ok(())
    }

    fn late(&self, source: &'static str) -> Answer {
        let limit = self.time_limit.as_secs_f32();
        Answer {
            source,
            report: Err(ProbeError(format!("pending: no answer within {limit} s"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use mains_contract::{Probe, ProbeError, ProbeReport, Problem};

    use super::Sources;

    /// Answers when it is told to.
    struct Slow(Receiver<()>);

    impl Probe for Slow {
        fn source(&self) -> &'static str {
            "slow"
        }

        fn probe(&self) -> Result<ProbeReport, ProbeError> {
            let _told = self.0.recv();
            Ok(ProbeReport::default())
        }
    }

    struct Quick;

    impl Probe for Quick {
        fn source(&self) -> &'static str {
            "quick"
        }

        fn probe(&self) -> Result<ProbeReport, ProbeError> {
            Err(ProbeError("broken".to_owned()))
        }
    }

    fn problem(source: &str, error: &str) -> Problem {
        Problem {
            source: source.to_owned(),
            error: error.to_owned(),
        }
    }

    #[test]
    fn a_source_that_hangs_costs_itself_only() {
        let (tell, told) = channel();
        let mut sources = Sources::new(Duration::from_millis(50));
        let found = sources.ask(vec![Box::new(Slow(told)), Box::new(Quick)], || Ok(()));
        let slow = problem("slow", "pending: no answer within 0.05 s");
        let quick = problem("quick", "broken");
        assert_eq!(found.unwrap().problems, [quick.clone(), slow.clone()]);

        // It still hangs: it is not asked a second time.
        let (_tell_second, second) = channel();
        let found = sources.ask(vec![Box::new(Slow(second)), Box::new(Quick)], || Ok(()));
        assert_eq!(found.unwrap().problems, [quick, slow]);
        drop(tell);
    }
}
