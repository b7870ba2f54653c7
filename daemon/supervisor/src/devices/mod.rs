//! The devices of the box, as probe workers find them: a process a source, asked side by side.
//!
//! - [`worker`] is one source's process, from its start to the proof of its end
//! - [`desk`] asks one source: who waits for it and how long, and when it is tried again
//! - `mains_inventory::Board` keeps what all of them said
//!
//! A source that hangs, dies or talks nonsense costs its own facts. It has [`ANSWER_TIME`] before the others are no longer
//! held up for it, and goes on in the background until it is given up.

mod desk;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use mains_contract::{Device, Inventory};
use mains_inventory::{Board, SOURCES, Sample, Watch};

use crate::reservations::Reservations;
use crate::{Spawn, SupervisorError};
use desk::Desk;
use worker::SourceWorker;

/// How long everybody waits for a source: libraries of makers wake cards up within about a second, or hang.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// How long a source may take before its process is ended: a cold start of eight cards takes half a minute.
const GIVE_UP_TIME: Duration = Duration::from_mins(1);

/// How fresh an inventory must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// As it is known; a first probe when nothing is.
    Known,
    /// With the free memory of now, for a plan: sources of devices that can be planned on are read again. Nobody waits for one that
    /// fails.
    Memory,
    /// Every source looks for its devices anew.
    Anew,
}

/// The devices that the sources told of last.
pub(crate) struct Devices {
    desks: Vec<Arc<Desk>>,
    board: Arc<Mutex<Board>>,
    reservations: Arc<Mutex<Reservations>>,
    /// Held during a round, so that those who come meanwhile share its answer: when the last began, and how fresh it was.
    round: tokio::sync::Mutex<Option<(Instant, Freshness)>>,
    last: Mutex<Last>,
    watch: Mutex<Watch>,
}

#[derive(Default, Clone)]
struct Last {
    probed_at: Option<SystemTime>,
    error: Option<SupervisorError>,
}

impl Devices {
    pub(crate) fn new(spawn: &Arc<dyn Spawn>, reservations: Arc<Mutex<Reservations>>) -> Self {
        let board = Arc::new(Mutex::new(Board::default()));
        let desk = |source| {
            let worker = Arc::new(SourceWorker::new(Arc::clone(spawn), source));
            Desk::new(source, worker, Arc::clone(&board))
        };
        Self {
            desks: SOURCES.iter().map(desk).collect(),
            board,
            reservations,
            round: tokio::sync::Mutex::new(None),
            last: Mutex::new(Last::default()),
            watch: Mutex::default(),
        }
    }

    /// See [`crate::Supervisor::inventory`].
    pub(crate) async fn inventory(&self, freshness: Freshness) -> Result<Inventory, SupervisorError> {
        let asked = Instant::now();
        let mut known = self.last().probed_at.is_some();
        if !known || freshness != Freshness::Known {
            let mut round = self.round.lock().await;
            known = self.last().probed_at.is_some();
            let needed = if known { freshness } else { Freshness::Anew };
            let shared =
                round.is_some_and(|(began, of)| began >= asked && (of == needed || of == Freshness::Anew));
            if needed != Freshness::Known && !shared {
                let began = Instant::now();
                self.ask(needed).await;
                *round = Some((began, needed));
            }
        }
        let Last { probed_at, error } = self.last();
        match (probed_at, error) {
            (Some(_), _) => Ok(self.judged(SystemTime::now())),
            (None, error) => Err(error.unwrap_or(SupervisorError::ShuttingDown)),
        }
    }

    /// The devices as they are known, each with its state; `None` before the first probe.
    pub(crate) fn known(&self) -> Option<Inventory> {
        self.last().probed_at?;
        Some(self.judged(SystemTime::now()))
    }

    /// The last `count` readings of a device, the oldest first.
    pub(crate) fn history(&self, id: &str, count: usize) -> Vec<Sample> {
        self.watch().history(id, count)
    }

    /// Reads every watched source that has devices, tries those that failed and have rested, and keeps what came of it.
    pub(crate) async fn read(&self) {
        let round = self.round.lock().await;
        let wanted: Vec<&Arc<Desk>> = {
            let board = self.board();
            let desks = self.desks.iter().filter(|desk| !desk.rests());
            desks
                .filter(|desk| {
                    let source = desk.source();
                    source.watched && board.has_devices(source) || desk.fails()
                })
                .collect()
        };
        join_all(wanted.iter().map(|desk| desk.ask(false))).await;
        drop(round);
        let now = SystemTime::now();
        let (inventory, failing) = self.found(now);
        let silent = |device: &Device| {
            device
                .sources
                .iter()
                .all(|source| failing.contains(&source.as_str()))
        };
        self.watch().note(&inventory, silent, now);
    }

    fn judged(&self, now: SystemTime) -> Inventory {
        let mut inventory = self.board().inventory(now);
        self.watch().apply(&mut inventory, now);
        inventory
    }

    /// What is on the board, and the sources that fail.
    fn found(&self, now: SystemTime) -> (Inventory, Vec<&'static str>) {
        let mut board = self.board();
        let failing = SOURCES.iter().filter(|source| board.trouble(source).is_some());
        let failing = failing.map(|source| source.name).collect();
        (board.inventory(now), failing)
    }

    /// One round of questions.
    async fn ask(&self, freshness: Freshness) {
        let anew = freshness == Freshness::Anew;
        // A plan goes onto devices that a driver of ours can use: what others have free does not matter to it.
        let (known, _) = self.found(SystemTime::now());
        let usable = known.devices.iter().filter(|device| !device.usable_by.is_empty());
        let told: Vec<&String> = usable.flat_map(|device| &device.sources).collect();
        let matters = |desk: &Desk| told.iter().any(|source| *source == desk.source().name) && !desk.rests();
        let desks = self.desks.iter();
        let wanted: Vec<&Arc<Desk>> = desks.filter(|desk| anew || matters(desk)).collect();
        join_all(wanted.iter().map(|desk| desk.ask(anew))).await;
        let (inventory, failing) = self.found(SystemTime::now());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if inventory.devices.is_empty() && failing.len() == SOURCES.len() {
            last.error = self.desks.iter().find_map(|desk| desk.error());
            tracing::warn!(error = ?last.error, "no source of devices could be asked");
            return;
        }
        *last = Last {
            probed_at: Some(inventory.probed_at),
            error: None,
        };
        let is_old = |device: &Device| {
            let mut sources = device.sources.iter();
            sources.any(|source| failing.contains(&source.as_str()))
        };
        let mut reservations = self.reservations.lock().unwrap_or_else(PoisonError::into_inner);
        reservations.probed(&inventory, is_old);
    }

    /// When devices were last found, and why the last probe failed.
    pub(crate) fn state(&self) -> (Option<SystemTime>, Option<String>) {
        let Last { probed_at, error } = self.last();
        (probed_at, error.map(|error| error.to_string()))
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> Last {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
