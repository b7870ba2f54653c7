//! What the interface asks of the rest of the daemon. Traits, so that its tests need no worker and no disk.

use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use mains_contract::Inventory;
use mains_ledger::{Health, Ledger, LedgerError, RequestQuery, RequestRow, UsageQuery, UsageRow};
use mains_supervisor::{
    Generation, MeasureStep, Prepared, Progress, Sample, Status, Supervisor, SupervisorError,
};
use mains_types::{Around, Caller, Demand, Generate, GenerationError, ModelSource, Plan};
use mains_wire::http::ReloadBody;
use tokio::sync::mpsc;

/// Models, devices and generation: see [`Supervisor`] for what each does.
pub trait Backend: Send + Sync + 'static {
    /// [`Supervisor::generate`].
    fn generate(
        &self,
        caller: Caller,
        request: Generate,
    ) -> BoxFuture<'_, Result<Generation, GenerationError>>;
    /// [`Supervisor::models`].
    fn models(&self) -> Vec<ModelSource>;
    /// [`Supervisor::plan`].
    fn plan<'a>(&'a self, name: &'a str, demand: &'a Demand) -> BoxFuture<'a, Result<Plan, SupervisorError>>;
    /// [`Supervisor::prepared`].
    fn prepared<'a>(
        &'a self,
        name: &'a str,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Prepared, SupervisorError>>;
    /// [`Supervisor::prepare`]; `progress` gets what the closure there hears.
    fn prepare<'a>(
        &'a self,
        name: &'a str,
        demand: &'a Demand,
        progress: mpsc::UnboundedSender<Progress>,
    ) -> BoxFuture<'a, Result<Prepared, SupervisorError>>;
    /// [`Supervisor::around`].
    fn around<'a>(
        &'a self,
        name: &'a str,
        demand: &'a Demand,
        plan: &'a Plan,
        elsewhere: Option<&'a Inventory>,
    ) -> BoxFuture<'a, Result<Vec<Around>, SupervisorError>>;
    /// [`Supervisor::plan_elsewhere`].
    fn plan_elsewhere<'a>(
        &'a self,
        name: &'a str,
        demand: &'a Demand,
        inventory: &'a Inventory,
    ) -> BoxFuture<'a, Result<Plan, SupervisorError>>;
    /// [`Supervisor::inventory`].
    fn inventory(&self, refresh: bool) -> BoxFuture<'_, Result<Inventory, SupervisorError>>;
    /// [`Supervisor::known_devices`].
    fn known_devices(&self) -> Option<Inventory>;
    /// [`Supervisor::device_history`].
    fn device_history(&self, id: &str, count: usize) -> Vec<Sample>;
    /// [`Supervisor::measure`].
    fn measure<'a>(
        &'a self,
        device: Option<&'a str>,
    ) -> BoxFuture<'a, Result<mpsc::Receiver<MeasureStep>, SupervisorError>>;
    /// [`Supervisor::status`].
    fn status(&self) -> Status;
    /// [`Supervisor::load`].
    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), SupervisorError>>;
    /// [`Supervisor::unload`].
    fn unload<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), SupervisorError>>;
}

/// The record of usage, read alone: see [`Ledger`].
pub trait Records: Send + Sync + 'static {
    /// [`Ledger::usage`].
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, LedgerError>;
    /// [`Ledger::requests`].
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read.
    fn requests(&self, query: &RequestQuery) -> Result<Vec<RequestRow>, LedgerError>;
    /// [`Ledger::backup`].
    ///
    /// # Errors
    /// [`LedgerError`] when the copy cannot be written or is not sound.
    fn backup(&self, to: &Path) -> Result<(), LedgerError>;
    /// [`Ledger::health`].
    fn health(&self) -> Health;
}

/// The daemon itself, for administrators.
pub trait Operator: Send + Sync + 'static {
    /// Reads the configuration again. A failed one leaves everything as it was; the error says file, line and key.
    fn reload(&self) -> BoxFuture<'_, Result<ReloadBody, String>>;
    /// The configuration in force as TOML, without secrets.
    fn configuration(&self) -> String;
    /// A folder for files that are made to be sent and removed.
    fn scratch_dir(&self) -> PathBuf;
}

impl Backend for Supervisor {
    fn generate(
        &self,
        caller: Caller,
        request: Generate,
    ) -> BoxFuture<'_, Result<Generation, GenerationError>> {
        Box::pin(Self::generate(self, caller, request))
    }

    fn models(&self) -> Vec<ModelSource> {
        Self::models(self)
    }

    fn plan<'a>(&'a self, name: &'a str, demand: &'a Demand) -> BoxFuture<'a, Result<Plan, SupervisorError>> {
        Box::pin(Self::plan(self, name, demand))
    }

    fn prepared<'a>(
        &'a self,
        name: &'a str,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Prepared, SupervisorError>> {
        Box::pin(Self::prepared(self, name, plan))
    }

    fn prepare<'a>(
        &'a self,
        name: &'a str,
        demand: &'a Demand,
        progress: mpsc::UnboundedSender<Progress>,
    ) -> BoxFuture<'a, Result<Prepared, SupervisorError>> {
        Box::pin(Self::prepare(self, name, demand, move |step| {
            // Whoever asked may have gone; the files are made all the same.
            let _gone = progress.send(step);
        }))
    }

    fn around<'a>(
        &'a self,
        name: &'a str,
        demand: &'a Demand,
        plan: &'a Plan,
        elsewhere: Option<&'a Inventory>,
    ) -> BoxFuture<'a, Result<Vec<Around>, SupervisorError>> {
        Box::pin(Self::around(self, name, demand, plan, elsewhere))
    }

    fn plan_elsewhere<'a>(
        &'a self,
        name: &'a str,
        demand: &'a Demand,
        inventory: &'a Inventory,
    ) -> BoxFuture<'a, Result<Plan, SupervisorError>> {
        Box::pin(Self::plan_elsewhere(self, name, demand, inventory))
    }

    fn inventory(&self, refresh: bool) -> BoxFuture<'_, Result<Inventory, SupervisorError>> {
        Box::pin(Self::inventory(self, refresh))
    }

    fn known_devices(&self) -> Option<Inventory> {
        Self::known_devices(self)
    }

    fn device_history(&self, id: &str, count: usize) -> Vec<Sample> {
        Self::device_history(self, id, count)
    }

    fn measure<'a>(
        &'a self,
        device: Option<&'a str>,
    ) -> BoxFuture<'a, Result<mpsc::Receiver<MeasureStep>, SupervisorError>> {
        Box::pin(Self::measure(self, device))
    }

    fn status(&self) -> Status {
        Self::status(self)
    }

    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), SupervisorError>> {
        Box::pin(Self::load(self, name))
    }

    fn unload<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), SupervisorError>> {
        Box::pin(Self::unload(self, name))
    }
}

impl Records for Ledger {
    fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, LedgerError> {
        Self::usage(self, query)
    }

    fn requests(&self, query: &RequestQuery) -> Result<Vec<RequestRow>, LedgerError> {
        Self::requests(self, query)
    }

    fn backup(&self, to: &Path) -> Result<(), LedgerError> {
        Self::backup(self, to)
    }

    fn health(&self) -> Health {
        Self::health(self)
    }
}
