//! Asks one source: who waits for it and how long, and when it is tried again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use mains_contract::ProbeReport;
use mains_inventory::{Board, Source, accept};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{ANSWER_TIME, GIVE_UP_TIME};
use crate::link::LinkError;
use crate::{Role, SupervisorError};

/// What answers for a source.
pub(crate) trait Asker: Send + Sync + 'static {
    /// Asks for at most `time`; with `anew` it looks for devices that came or went.
    fn ask(&self, anew: bool, time: Duration) -> BoxFuture<'_, Result<ProbeReport, LinkError>>;
}

/// Where questions to one source are put.
pub(crate) struct Desk {
    source: &'static Source,
    asker: Arc<dyn Asker>,
    board: Arc<Mutex<Board>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The question that is under way: when it began, and who closes when it is answered.
    asking: Option<(Instant, watch::Receiver<()>)>,
    error: Option<SupervisorError>,
    /// Questions in a row without an answer, and until when a source that fails is left alone.
    failures: u32,
    rests_until: Option<Instant>,
}

/// The rest after a first failure; it doubles with each that follows.
const FIRST_REST: Duration = Duration::from_secs(10);

/// The longest rest: a library that was repaired is found within this time without being asked for.
const LONGEST_REST: Duration = Duration::from_mins(10);

/// How long a source is left alone after so many failures in a row.
fn rest(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_REST.saturating_mul(doubled).min(LONGEST_REST)
}

impl Desk {
    pub(crate) fn new(source: &'static Source, asker: Arc<dyn Asker>, board: Arc<Mutex<Board>>) -> Arc<Self> {
        Arc::new(Self {
            source,
            asker,
            board,
            state: Mutex::default(),
        })
    }

    pub(crate) const fn source(&self) -> &'static Source {
        self.source
    }

    /// Why the last question had no answer.
    pub(crate) fn error(&self) -> Option<SupervisorError> {
        self.state().error.clone()
    }

    /// Whether it failed and is left alone for a while, or has not answered in time yet: nobody should wait for it.
    pub(crate) fn rests(&self) -> bool {
        let state = self.state();
        let now = Instant::now();
        let late = state
            .asking
            .as_ref()
            .is_some_and(|(since, _)| now >= *since + ANSWER_TIME);
        late || state.rests_until.is_some_and(|until| now < until)
    }

    /// Whether the last question had no answer.
    pub(crate) fn fails(&self) -> bool {
        self.state().failures > 0
    }

    /// Asks the source and waits for its answer, but not longer than [`ANSWER_TIME`] from the question on. What it says, also
    /// later, goes onto the board. A question that is under way is not asked a second time.
    pub(crate) async fn ask(self: &Arc<Self>, anew: bool) {
        let (since, mut answered) = self.question(anew);
        let answer = async {
            // Nothing is ever sent: the sender goes when the question has its answer.
            while answered.changed().await.is_ok() {}
        };
        if tokio::time::timeout_at(since + ANSWER_TIME, answer).await.is_ok() {
            return;
        }
        // The answer may have come just now: then it counts.
        if self.state().asking.is_some() {
            let (limit, end) = (ANSWER_TIME.as_secs(), GIVE_UP_TIME.as_secs());
            let trouble = format!("pending: no answer within {limit} s, it is waited for up to {end} s");
            self.board().failed(self.source, trouble);
        }
    }

    fn question(self: &Arc<Self>, anew: bool) -> (Instant, watch::Receiver<()>) {
        let mut state = self.state();
        if let Some(asking) = &state.asking {
            return asking.clone();
        }
        let (done, answered) = watch::channel(());
        let asking = (Instant::now(), answered);
        state.asking = Some(asking.clone());
        let desk = Arc::clone(self);
        tokio::spawn(async move {
            let answer = desk.asker.ask(anew, GIVE_UP_TIME).await;
            desk.note(answer);
            drop(done);
        });
        asking
    }

    fn note(&self, answer: Result<ProbeReport, LinkError>) {
        let error = match answer {
            Ok(report) => {
                let report = accept(self.source, report);
                self.board().answered(self.source, report, SystemTime::now());
                None
            }
            Err(error) => {
                self.board().failed(self.source, words(&error));
                Some(error.of(Role::Probe))
            }
        };
        let mut state = self.state();
        state.asking = None;
        if error.is_some() {
            state.failures = state.failures.saturating_add(1);
            state.rests_until = Some(Instant::now() + rest(state.failures));
        } else {
            state.failures = 0;
            state.rests_until = None;
        }
        state.error = error;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn words(error: &LinkError) -> String {
    match error {
        LinkError::Refused(words) => words.clone(),
        LinkError::Died(end) => format!("its process died ({end}): the library or its driver is broken"),
        other => format!("its process {other}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, SystemTime};

    use futures_util::future::BoxFuture;
    use mains_contract::{Device, DeviceKind, ProbeReport};
    use mains_inventory::{Board, source};
    use tokio::time::Instant;

    use super::{ANSWER_TIME, Asker, Desk, FIRST_REST, GIVE_UP_TIME, LONGEST_REST, rest};
    use crate::WorkerEnd;
    use crate::link::LinkError;

    /// Answers after a while, or dies.
    struct After {
        time: Duration,
        dies: bool,
        asked: AtomicU32,
    }

    impl Asker for After {
        fn ask(&self, _anew: bool, limit: Duration) -> BoxFuture<'_, Result<ProbeReport, LinkError>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                if self.time >= limit {
                    tokio::time::sleep(limit).await;
                    return Err(LinkError::Slow(limit));
                }
                tokio::time::sleep(self.time).await;
                if self.dies {
                    return Err(LinkError::Died(WorkerEnd::Signalled(6)));
                }
                let card = Device::new("gpu:1", "Card", DeviceKind::Gpu);
                let devices = vec![card];
                Ok(ProbeReport {
                    devices,
                    ..ProbeReport::default()
                })
            })
        }
    }

    struct Office {
        desk: Arc<Desk>,
        board: Arc<Mutex<Board>>,
        asker: Arc<After>,
    }

    fn office(time: Duration, dies: bool) -> Office {
        let board = Arc::new(Mutex::new(Board::default()));
        let asker = Arc::new(After {
            time,
            dies,
            asked: AtomicU32::new(0),
        });
        let nvml = source("nvml").unwrap();
        Office {
            desk: Desk::new(nvml, Arc::clone(&asker) as Arc<dyn Asker>, Arc::clone(&board)),
            board,
            asker,
        }
    }

    impl Office {
        /// Devices and problems now.
        fn known(&self) -> (usize, Vec<String>) {
            let found = self.board.lock().unwrap().inventory(SystemTime::now());
            let problems = found.problems.into_iter().map(|problem| problem.error);
            (found.devices.len(), problems.collect())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_limit_and_a_late_answer_counts() {
        let office = office(ANSWER_TIME * 4, false);
        let began = Instant::now();
        office.desk.ask(true).await;
        assert_eq!(began.elapsed(), ANSWER_TIME);
        let pending = "pending: no answer within 5 s, it is waited for up to 60 s".to_owned();
        assert_eq!(office.known(), (0, vec![pending]));
        // It is not asked a second time, and who comes now waits for nothing.
        office.desk.ask(true).await;
        assert_eq!(
            (began.elapsed(), office.asker.asked.load(Ordering::Relaxed)),
            (ANSWER_TIME, 1)
        );
        tokio::time::sleep(ANSWER_TIME * 4).await;
        assert_eq!(office.known(), (1, Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_hangs_is_given_up_and_asked_again_later() {
        let office = office(GIVE_UP_TIME * 2, false);
        office.desk.ask(false).await;
        tokio::time::sleep(GIVE_UP_TIME).await;
        let given_up = "its process did not answer for 60 s and was killed".to_owned();
        assert_eq!(office.known(), (0, vec![given_up]));
        office.desk.ask(false).await;
        assert_eq!(office.asker.asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_whose_process_dies_is_told_at_once() {
        let office = office(Duration::from_millis(10), true);
        let began = Instant::now();
        office.desk.ask(false).await;
        assert_eq!(began.elapsed(), Duration::from_millis(10));
        let (devices, problems) = office.known();
        assert_eq!(devices, 0);
        assert!(problems[0].contains("died (signal 6)"), "{problems:?}");
        assert!(office.desk.error().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_fails_is_left_alone_for_longer_each_time() {
        let office = office(Duration::from_millis(10), true);
        assert!(!office.desk.rests() && !office.desk.fails());
        for rest in [FIRST_REST, FIRST_REST * 2, FIRST_REST * 4] {
            office.desk.ask(false).await;
            assert!(office.desk.rests() && office.desk.fails());
            tokio::time::sleep(rest - Duration::from_millis(1)).await;
            assert!(office.desk.rests());
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(!office.desk.rests() && office.desk.fails());
        }
        assert_eq!((rest(60), rest(u32::MAX)), (LONGEST_REST, LONGEST_REST));
    }
}
