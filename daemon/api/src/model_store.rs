//! What the interface asks of the models on disk.

use futures_util::future::BoxFuture;
use mains_contract::Bytes;
use mains_supervisor::{Description, Export, ImportStep, Removed, Supervisor, SupervisorError};
use mains_types::{Digest, ImportRequest, ImportState};
use tokio::sync::mpsc;

/// An answer that takes its time.
type Answer<'a, T> = BoxFuture<'a, Result<T, SupervisorError>>;

/// Imports, removals and what is known of models: see [`Supervisor`] for what each does.
pub trait ModelStore: Send + Sync + 'static {
    /// [`Supervisor::import_begin`].
    fn begin(&self, request: ImportRequest) -> Answer<'_, ImportState>;
    /// [`Supervisor::import_write`].
    fn write(&self, id: String, number: usize, offset: Bytes, bytes: Vec<u8>) -> Answer<'_, ()>;
    /// [`Supervisor::import_settle`].
    fn settle(&self, id: String, number: usize) -> Answer<'_, Bytes>;
    /// [`Supervisor::import_finish`].
    fn finish(&self, id: String, digests: Vec<Digest>) -> Answer<'_, mpsc::Receiver<ImportStep>>;
    /// [`Supervisor::remove`].
    fn remove<'a>(&'a self, name: &'a str, unload: bool) -> Answer<'a, Option<Removed>>;
    /// [`Supervisor::describe`].
    fn describe<'a>(&'a self, name: &'a str) -> Answer<'a, Description>;
    /// [`Supervisor::export`].
    fn export<'a>(&'a self, what: &'a str) -> Answer<'a, Export>;
}

impl ModelStore for Supervisor {
    fn begin(&self, request: ImportRequest) -> Answer<'_, ImportState> {
        Box::pin(self.import_begin(request))
    }

    fn write(&self, id: String, number: usize, offset: Bytes, bytes: Vec<u8>) -> Answer<'_, ()> {
        Box::pin(self.import_write(id, number, offset, bytes))
    }

    fn settle(&self, id: String, number: usize) -> Answer<'_, Bytes> {
        Box::pin(self.import_settle(id, number))
    }

    fn finish(&self, id: String, digests: Vec<Digest>) -> Answer<'_, mpsc::Receiver<ImportStep>> {
        Box::pin(self.import_finish(id, digests))
    }

    fn remove<'a>(&'a self, name: &'a str, unload: bool) -> Answer<'a, Option<Removed>> {
        Box::pin(Self::remove(self, name, unload))
    }

    fn describe<'a>(&'a self, name: &'a str) -> Answer<'a, Description> {
        Box::pin(Self::describe(self, name))
    }

    fn export<'a>(&'a self, what: &'a str) -> Answer<'a, Export> {
        Box::pin(Self::export(self, what))
    }
}
