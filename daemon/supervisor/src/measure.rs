//! Measures devices, one at a time and only while no model serves on them. A measurement never stands in a model's way: the
//! first request or load ends it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mains_contract::{Bytes, Device, DriverFacts, HealthState, Measured};
use mains_wire::frames::{FromWorker, ToWorker};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc, watch};

use crate::context::Context;
use crate::devices::Freshness;
use crate::link::{self, Link, LinkError, Started};
use crate::{Limits, ModelState, Role, SupervisorError, WorkerProcess};

/// A measurement takes about ten seconds where nothing else runs; a busy box may take many times that.
const MEASURE_TIME: Duration = Duration::from_mins(2);

/// Weights that are read for the bandwidth at the most: more than twice the caches of the largest processors.
const MOST_BYTES: Bytes = Bytes::from_mib(1024);

/// Weights below which a product fits into the caches of any processor, and shows their bandwidth instead.
const LEAST_BYTES: Bytes = Bytes::from_mib(128);

/// What a measurement takes beside those weights: the worker, the matrix that they are copies of, and products' rows.
const BESIDE: Bytes = Bytes::from_mib(256);

/// Events that wait for whoever asked.
const QUEUED_STEPS: usize = 16;

/// How a measurement goes.
#[derive(Debug, Clone, PartialEq)]
pub enum MeasureStep {
    /// So many figures of a device are known.
    Progress {
        /// The device's id.
        device: String,
        /// Figures that are known.
        done: u32,
        /// All of them.
        of: u32,
    },
    /// A device is measured, and what was found is kept.
    Measured {
        /// The device's id.
        device: String,
        /// What was found.
        measured: Measured,
    },
    /// A device could not be measured; what was known of it stays.
    Failed {
        /// The device's id.
        device: String,
        /// Why, and what to do.
        reason: String,
    },
}

/// Who has the devices: models, a measurement that somebody asked for, or one in the background, in this order.
pub(crate) struct Turn {
    /// Changes whenever a model wants them.
    wanted: watch::Sender<()>,
    /// Changes whenever anybody does, and when the background is to be quiet for another reason.
    wanted_at_all: watch::Sender<()>,
    /// When a model wanted them last.
    interrupted: Mutex<Option<Instant>>,
    /// Written while a measurement runs, read while a model is placed.
    running: RwLock<()>,
    /// Written while one runs in the background, read by all others.
    in_background: RwLock<()>,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            wanted: watch::Sender::new(()),
            wanted_at_all: watch::Sender::new(()),
            interrupted: Mutex::default(),
            running: RwLock::new(()),
            in_background: RwLock::new(()),
        }
    }
}

impl Turn {
    /// Ends a measurement, if one runs. Does not wait for its end.
    pub(crate) fn interrupt(&self) {
        *self.interrupted.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(tokio::time::Instant::now().into_std());
        self.wanted.send_replace(());
        self.end_background();
    }

    /// Ends a measurement in the background, if one runs. Does not wait for its end.
    pub(crate) fn end_background(&self) {
        self.wanted_at_all.send_replace(());
    }

    /// When a model wanted the devices last.
    pub(crate) fn interrupted(&self) -> Option<Instant> {
        *self.interrupted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends measurements and waits until their memory is free. None begins before the guards are dropped.
    pub(crate) async fn take(&self) -> [RwLockReadGuard<'_, ()>; 2] {
        self.interrupt();
        [self.running.read().await, self.in_background.read().await]
    }

    /// Ends a measurement in the background and waits for its end. None begins before the guard is dropped.
    pub(crate) async fn quiet_background(&self) -> RwLockReadGuard<'_, ()> {
        self.end_background();
        self.in_background.read().await
    }

    /// For a measurement that somebody asked for, which ends one in the background; and what tells that a model wants the devices.
    /// `None` when somebody else has them.
    async fn measure(&self) -> Option<(Guards<'_>, watch::Receiver<()>)> {
        let wanted = self.wanted.subscribe();
        let running = self.running.try_write().ok()?;
        Some(((running, self.quiet_background().await), wanted))
    }

    /// For a measurement in the background, and what tells that anybody wants the devices. `None` when somebody has them.
    pub(crate) fn background(&self) -> Option<(RwLockWriteGuard<'_, ()>, watch::Receiver<()>)> {
        let wanted = self.wanted_at_all.subscribe();
        Some((self.in_background.try_write().ok()?, wanted))
    }
}

/// What keeps models and the background away.
type Guards<'a> = (RwLockWriteGuard<'a, ()>, RwLockReadGuard<'a, ()>);

/// Measures `asked`, or every device that a driver computes on. Dropping the receiver ends it.
pub(crate) async fn measure(
    context: &Arc<Context>,
    asked: Option<&str>,
    threads: Option<u32>,
) -> Result<mpsc::Receiver<MeasureStep>, SupervisorError> {
    let inventory = context.inventory(Freshness::Memory, threads).await?;
    let devices = match asked {
        Some(id) => {
            let found = inventory.devices.iter().find(|device| device.id == id);
            let device =
                found.ok_or_else(|| refuse(id, "there is no such device; `mains devices` lists them"))?;
            driver_of(device).map_err(|reason| refuse(id, reason))?;
            vec![device.clone()]
        }
        None => {
            let devices = inventory.devices.into_iter();
            devices.filter(|device| driver_of(device).is_ok()).collect()
        }
    };
    if devices.is_empty() {
        return Err(refuse(
            "*",
            "no driver computes on any device; `mains devices` tells why",
        ));
    }
    let (steps, receiver) = mpsc::channel(QUEUED_STEPS);
    let context = Arc::clone(context);
    tokio::spawn(async move {
        for device in devices {
            let last = match measure_one(&context, &device, &steps).await {
                Ok(measured) => MeasureStep::Measured {
                    device: device.id,
                    measured,
                },
                Err(reason) => MeasureStep::Failed {
                    device: device.id,
                    reason,
                },
            };
            if steps.send(last).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

fn refuse(device: &str, reason: impl Into<String>) -> SupervisorError {
    SupervisorError::NotMeasured {
        device: device.to_owned(),
        reason: reason.into(),
    }
}

/// The driver that models would be computed by on `device`.
fn driver_of(device: &Device) -> Result<&DriverFacts, String> {
    if matches!(device.health.state, HealthState::Failed | HealthState::Lost) {
        let why = device.health.reasons.join(", ");
        return Err(format!("it is {}: {why}", device.health.state.name()));
    }
    device.drivers.first().ok_or_else(|| {
        let why = device.unusable_because.as_deref();
        why.unwrap_or("no driver computes on it").to_owned()
    })
}

/// Why `device` can not be measured now.
fn busy(context: &Context, device: &str) -> Option<String> {
    context.serving(device).map(|model| {
        format!(
            "model {model} works on it, and a measurement would disturb it; try again when it is idle, or `mains unload \
             {model}` first"
        )
    })
}

/// Measures one device and keeps what was found.
async fn measure_one(
    context: &Arc<Context>,
    device: &Device,
    steps: &mpsc::Sender<MeasureStep>,
) -> Result<Measured, String> {
    let driver = driver_of(device)?;
    let Some((_turn, mut wanted)) = context.turn.measure().await else {
        return Err("a model is being placed, or another measurement runs; try again in a moment".to_owned());
    };
    if let Some(reason) = busy(context, &device.id) {
        return Err(reason);
    }
    let bytes = weights_of(context, device)?;
    let limits = Limits {
        readable: Vec::new(),
        memory: Some(bytes + BESIDE),
    };
    let started = link::start(&*context.spawn, Role::Run, limits).await;
    let Started {
        link, mut process, ..
    } = started.map_err(|error| error.of(Role::Run).to_string())?;
    let mut link = Some(link);
    let question = ToWorker::Measure {
        driver: driver.name.clone(),
        threads: driver.threads,
        bytes,
    };
    let outcome = tokio::select! {
        found = hear(&mut link, question, context, device, steps) => found,
        _ = wanted.changed() => Err("a model is wanted, and goes before it; nothing was kept: try again when all is idle".to_owned()),
        () = steps.closed() => Err("nobody waits for it any more".to_owned()),
        () = tokio::time::sleep(MEASURE_TIME) => Err(format!("it took more than {} s; the box is too busy", MEASURE_TIME.as_secs())),
    };
    // Its memory is free before anybody else gets the turn.
    end(link, &mut *process, outcome.is_ok()).await;
    let measured = outcome?;
    if measured.driver != *driver {
        return Err("the worker measured another driver than was found; it is of another build".to_owned());
    }
    let (kept, of, figures) = (Arc::clone(context), device.clone(), measured.clone());
    let keep = tokio::task::spawn_blocking(move || kept.measurements.keep(&of, figures)).await;
    match keep {
        Ok(Ok(())) => Ok(measured),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("keeping it hit a defect of mains".to_owned()),
    }
}

/// As many bytes of weights as a quarter of what is free holds, within the bounds.
fn weights_of(context: &Context, device: &Device) -> Result<Bytes, String> {
    let free = context.reservations().left(&device.id);
    let free = free.or_else(|| device.memory?.free).unwrap_or(Bytes::ZERO);
    let bytes = Bytes(free.0 / 4).min(MOST_BYTES);
    if bytes < LEAST_BYTES {
        return Err(format!(
            "{free} are free on it, and a measurement beyond its caches takes {}; unload a model",
            LEAST_BYTES.times(4)
        ));
    }
    Ok(bytes)
}

/// Asks, and passes on how it goes.
async fn hear(
    link: &mut Option<Link>,
    question: ToWorker,
    context: &Context,
    device: &Device,
    steps: &mpsc::Sender<MeasureStep>,
) -> Result<Measured, String> {
    let link = link.as_mut().ok_or("the worker is gone")?;
    let failed = |error: LinkError| error.of(Role::Run).to_string();
    link.writer
        .send(question)
        .await
        .map_err(|error| failed(error.into()))?;
    loop {
        match link.next().await.map_err(failed)? {
            FromWorker::Measuring { done, of } => {
                // A request that came between two looks is seen here.
                if let Some(reason) = busy(context, &device.id) {
                    return Err(reason);
                }
                let step = MeasureStep::Progress {
                    device: device.id.clone(),
                    done,
                    of,
                };
                // Whoever does not read misses progress, and delays nothing.
                let _full = steps.try_send(step);
            }
            FromWorker::Measured(measured) => return Ok(*measured),
            FromWorker::Error(words) => return Err(words),
            other => return Err(failed(LinkError::Unexpected(link::name(&other)))),
        }
    }
}

/// Ends the worker: at once when it is still at work.
async fn end(link: Option<Link>, process: &mut dyn WorkerProcess, done: bool) {
    if done {
        link::end(link, process).await;
    } else {
        drop(link);
        link::end(None, process).await;
    }
}

impl Context {
    /// The first model that loads or answers on `device`.
    fn serving(&self, device: &str) -> Option<String> {
        let now = tokio::time::Instant::now().into_std();
        let held: Vec<String> = self
            .reservations()
            .held()
            .filter(|held| held.device == device)
            .map(|held| held.model.to_owned())
            .collect();
        let models = self.models();
        held.into_iter().find(|name| {
            models.get(name).is_none_or(|model| {
                let status = model.status(now);
                status.state != ModelState::Ready || status.running + status.queued > 0
            })
        })
    }
}
