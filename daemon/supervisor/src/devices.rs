//! The devices of the box, as probe workers find them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use mains_contract::{Inventory, Problem};
use mains_wire::frames::{FromWorker, ToWorker};

use crate::link::{LinkError, ask, name};
use crate::reservations::Reservations;
use crate::{Limits, Role, Spawn, SupervisorError};

/// For all probes together; the worker gives each source less and tells which were late.
const PROBE_TIME: Duration = Duration::from_secs(15);

/// The devices of the last probe that succeeded.
pub(crate) struct Devices {
    spawn: Arc<dyn Spawn>,
    reservations: Arc<Mutex<Reservations>>,
    /// Held during a probe, so that those who come meanwhile share its answer.
    probing: tokio::sync::Mutex<Option<Instant>>,
    last: Mutex<Last>,
}

#[derive(Default, Clone)]
struct Last {
    inventory: Option<Inventory>,
    error: Option<SupervisorError>,
}

impl Devices {
    pub(crate) fn new(spawn: Arc<dyn Spawn>, reservations: Arc<Mutex<Reservations>>) -> Self {
        Self {
            spawn,
            reservations,
            probing: tokio::sync::Mutex::new(None),
            last: Mutex::new(Last::default()),
        }
    }

    /// See [`crate::Supervisor::inventory`].
    pub(crate) async fn inventory(&self, refresh: bool) -> Result<Inventory, SupervisorError> {
        let asked = Instant::now();
        if !refresh && let Some(inventory) = self.last().inventory {
            return Ok(inventory);
        }
        let mut probed = self.probing.lock().await;
        if probed.is_none_or(|began| began < asked) {
            let began = Instant::now();
            self.probe().await;
            *probed = Some(began);
        }
        drop(probed);
        let Last { inventory, error } = self.last();
        match (inventory, error) {
            (Some(mut inventory), error) => {
                inventory.problems.extend(error.map(|error| Problem {
                    source: "probe worker".to_owned(),
                    error: error.to_string(),
                }));
                Ok(inventory)
            }
            (None, error) => Err(error.unwrap_or(SupervisorError::ShuttingDown)),
        }
    }

    async fn probe(&self) {
        let limits = Limits::default();
        let answer = ask(&*self.spawn, Role::Probe, limits, ToWorker::Probe, PROBE_TIME).await;
        let answer = match answer {
            Ok(FromWorker::Inventory(inventory)) => Ok(inventory),
            Ok(other) => Err(LinkError::Unexpected(name(&other))),
            Err(error) => Err(error),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(inventory) => {
                let mut reservations = self.reservations.lock().unwrap_or_else(PoisonError::into_inner);
                reservations.probed(&inventory);
                *last = Last {
                    inventory: Some(inventory),
                    error: None,
                };
            }
            Err(error) => {
                let error = error.of(Role::Probe);
                tracing::warn!(%error, "devices could not be probed; the last good answer stays in use");
                last.error = Some(error);
            }
        }
    }

    /// When devices were last found, and why the last probe failed.
    pub(crate) fn state(&self) -> (Option<SystemTime>, Option<String>) {
        let Last { inventory, error } = self.last();
        (
            inventory.map(|found| found.probed_at),
            error.map(|error| error.to_string()),
        )
    }

    fn last(&self) -> Last {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
