//! The role `probe`: asks one source, which stays open for the next question.
//!
//! A process has one source, so that a library that hangs, aborts or spoils its memory costs that source alone. Time limits are
//! the daemon's: it ends the process.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mains_contract::{Probe, Watch};
use mains_wire::frames::{FromWorker, ToWorker};

use crate::drivers;
use crate::inbox::{Inbox, Message, Outbox};

/// How often a worker that waits shows its unit's watchdog that it lives.
const BEAT: Duration = Duration::from_secs(5);

/// Answers `Probe` until the connection ends.
pub(crate) fn work(inbox: Inbox<Infallible>, outbox: Outbox) -> Result<()> {
    let mut sources = OneSource::new(mains_probes::of);
    loop {
        match inbox.wait_for(BEAT)? {
            Some(Message::Frame(ToWorker::Probe { source, anew })) => {
                outbox.say(sources.ask(&source, anew, Instant::now())?)?;
            }
            Some(Message::Frame(_)) => bail!("this worker only probes"),
            None => {}
        }
    }
}

/// The source that this process asks.
struct OneSource<F> {
    find: F,
    open: Option<(String, Box<dyn Watch>)>,
}

impl<F: Fn(&str) -> Option<Box<dyn Probe + Send>>> OneSource<F> {
    const fn new(find: F) -> Self {
        Self { find, open: None }
    }

    /// Asks `name`, which is the same each time.
    fn ask(&mut self, name: &str, anew: bool, now: Instant) -> Result<FromWorker> {
        let watch = match &mut self.open {
            Some((known, watch)) if known == name => {
                if anew {
                    watch.reopen();
                }
                watch
            }
            Some((known, _)) => bail!("this worker asks {known:?}, not {name:?}: start one for each source"),
            None => {
                let Some(probe) = (self.find)(name) else {
                    bail!("no source is called {name:?}");
                };
                let opened = (name.to_owned(), probe.watch());
                &mut self.open.insert(opened).1
            }
        };
        Ok(match watch.read(now) {
            Ok(mut report) => {
                report.devices.iter_mut().try_for_each(drivers::describe)?;
                FromWorker::Report(report)
            }
            Err(error) => FromWorker::Error(error.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Instant;

    use mains_contract::{Anew, Probe, ProbeError, ProbeReport, Watch};
    use mains_wire::frames::FromWorker;

    use super::OneSource;

    /// Counts how often it was opened anew, and fails at the second reading.
    struct Counted {
        opened: Rc<Cell<u32>>,
        readings: u32,
    }

    impl Watch for Counted {
        fn read(&mut self, _now: Instant) -> Result<ProbeReport, ProbeError> {
            self.readings += 1;
            if self.readings == 2 {
                return Err(ProbeError("broken".to_owned()));
            }
            Ok(ProbeReport::default())
        }

        fn reopen(&mut self) {
            self.opened.set(self.opened.get() + 1);
        }
    }

    struct Fixed;

    impl Probe for Fixed {
        fn source(&self) -> &'static str {
            "fixed"
        }

        fn probe(&self) -> Result<ProbeReport, ProbeError> {
            Ok(ProbeReport::default())
        }

        fn watch(self: Box<Self>) -> Box<dyn Watch> {
            Box::new(Anew(*self))
        }
    }

    fn find(name: &str) -> Option<Box<dyn Probe + Send>> {
        (name == "fixed").then(|| Box::new(Fixed) as Box<dyn Probe + Send>)
    }

    #[test]
    fn a_source_stays_open_and_a_failure_is_an_answer() {
        let opened = Rc::new(Cell::new(0));
        let mut sources = OneSource::new(find);
        let counted = Counted {
            opened: Rc::clone(&opened),
            readings: 0,
        };
        sources.open = Some(("counted".to_owned(), Box::new(counted)));
        let now = Instant::now();
        let empty = FromWorker::Report(ProbeReport::default());
        assert_eq!(sources.ask("counted", false, now).unwrap(), empty);
        assert_eq!(
            sources.ask("counted", true, now).unwrap(),
            FromWorker::Error("broken".to_owned())
        );
        assert_eq!(sources.ask("counted", false, now).unwrap(), empty);
        assert_eq!(opened.get(), 1);
    }

    #[test]
    fn a_process_has_one_source() {
        let now = Instant::now();
        let mut sources = OneSource::new(find);
        assert!(sources.ask("nobody", false, now).is_err());
        assert!(sources.ask("fixed", false, now).is_ok());
        let error = sources.ask("nobody", false, now).unwrap_err();
        assert!(error.to_string().contains("fixed"), "{error}");
    }
}
