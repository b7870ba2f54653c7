//! What all resources share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

use crate::access::Access;
use crate::metrics::Counters;
use crate::{Backend, LogRing, Operator, Records};

/// The interface, ready to be served on its two sockets.
pub struct App {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) operator: Arc<dyn Operator>,
    pub(crate) logs: LogRing,
    pub(crate) counters: Counters,
    pub(crate) started: Timestamp,
    /// Version of the daemon.
    pub(crate) version: &'static str,
    access: RwLock<Arc<Access>>,
    stopping: AtomicBool,
}

impl App {
    /// The interface over these parts. `version` is the daemon's.
    #[must_use]
    pub fn new(
        backend: Arc<dyn Backend>,
        records: Arc<dyn Records>,
        operator: Arc<dyn Operator>,
        logs: LogRing,
        access: Access,
        version: &'static str,
    ) -> Self {
        Self {
            backend,
            records,
            operator,
            logs,
            counters: Counters::default(),
            started: Timestamp::now(),
            version,
            access: RwLock::new(Arc::new(access)),
            stopping: AtomicBool::new(false),
        }
    }

    /// Takes new rules; they hold from the next request of every connection on.
    pub fn set_access(&self, access: Access) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    /// From now on `/readyz` says that the daemon is stopping.
    pub fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
