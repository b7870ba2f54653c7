//! What all resources share.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::access::AccessRules;
use crate::metrics::Counters;
use crate::{Backend, LogRing, ModelStore, Operator, Records};

/// The interface, ready to be served on its two sockets.
pub struct App {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) store: Arc<dyn ModelStore>,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) operator: Arc<dyn Operator>,
    pub(crate) logs: LogRing,
    pub(crate) counters: Counters,
    pub(crate) started: Timestamp,
    /// Version of the daemon.
    pub(crate) version: &'static str,
    pub(crate) access: AccessRules,
    pub(crate) stopping: CancellationToken,
}

impl App {
    /// The interface over these parts. `version` is the daemon's.
    #[must_use]
    pub fn new(
        backend: Arc<dyn Backend>,
        store: Arc<dyn ModelStore>,
        records: Arc<dyn Records>,
        operator: Arc<dyn Operator>,
        logs: LogRing,
        access: AccessRules,
        version: &'static str,
    ) -> Self {
        Self {
            backend,
            store,
            records,
            operator,
            logs,
            counters: Counters::default(),
            started: Timestamp::now(),
            version,
            access,
            stopping: CancellationToken::new(),
        }
    }

    /// Ends it: no new connections, `/readyz` says so, and what follows the log is let go.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }
}
