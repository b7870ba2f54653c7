//! A store of models that only remembers what came.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::sync::Mutex;

use futures_util::future::BoxFuture;
use mains_api::ModelStore;
use mains_contract::Bytes;
use mains_supervisor::{
    Description, Export, ImportPhase, ImportStep, Imported, Removed, StoreError, SupervisorError,
};
use mains_types::{Digest, ImportRequest, ImportState};
use tokio::sync::{Notify, mpsc};

use crate::fake::Fake;

/// Bytes of the one file that is imported, and how many of them are safe.
#[derive(Default)]
pub(crate) struct Arrived {
    pub(crate) bytes: Mutex<Vec<u8>>,
    pub(crate) safe: Mutex<usize>,
    pub(crate) settled: Notify,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, SupervisorError>>;

impl ModelStore for Fake {
    fn begin(&self, request: ImportRequest) -> Answer<'_, ImportState> {
        let received = vec![Bytes::ZERO; request.files.len()];
        Box::pin(async move {
            if request.name == "large" {
                return Err(StoreError::NoRoom {
                    path: "/m".into(),
                    needed: Bytes::from_mib(3),
                    missing: Bytes::from_mib(1),
                }
                .into());
            }
            Ok(ImportState {
                id: "abc".to_owned(),
                received,
            })
        })
    }

    fn write(&self, _: String, number: usize, offset: Bytes, bytes: Vec<u8>) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut arrived = self.arrived.bytes.lock().unwrap();
            let expected = Bytes::from(arrived.len());
            if offset != expected {
                return Err(StoreError::Offset { number, expected }.into());
            }
            arrived.extend(bytes);
            Ok(())
        })
    }

    fn settle(&self, _: String, _: usize) -> Answer<'_, Bytes> {
        Box::pin(async move {
            let count = self.arrived.bytes.lock().unwrap().len();
            *self.arrived.safe.lock().unwrap() = count;
            self.arrived.settled.notify_one();
            Ok(Bytes::from(count))
        })
    }

    fn finish(&self, _: String, digests: Vec<Digest>) -> Answer<'_, mpsc::Receiver<ImportStep>> {
        Box::pin(async move {
            let (sender, receiver) = mpsc::channel(2);
            let steps = [
                ImportStep::Progress {
                    phase: ImportPhase::Checking,
                    done: Bytes(1),
                    of: Some(Bytes(2)),
                },
                ImportStep::Imported(Imported {
                    name: "m".to_owned(),
                    family: "qwen3".to_owned(),
                    content: digests[0],
                    bytes: Bytes(2),
                    files: 1,
                    shared: false,
                }),
            ];
            steps.into_iter().for_each(|step| sender.try_send(step).unwrap());
            Ok(receiver)
        })
    }

    fn remove<'a>(&'a self, name: &'a str, unload: bool) -> Answer<'a, Option<Removed>> {
        Box::pin(async move {
            if unload {
                return Ok(None);
            }
            let (name, why) = (name.to_owned(), "is loaded".to_owned());
            Err(StoreError::Taken { name, why }.into())
        })
    }

    fn describe<'a>(&'a self, name: &'a str) -> Answer<'a, Description> {
        let error = SupervisorError::UnknownModel {
            name: name.to_owned(),
            known: vec!["pilot".to_owned()],
        };
        Box::pin(async move { Err(error) })
    }

    fn export<'a>(&'a self, what: &'a str) -> Answer<'a, Export> {
        Box::pin(async move {
            let (sender, pieces) = mpsc::channel(2);
            sender.try_send(Ok(b"GG".to_vec())).unwrap();
            let second = match what {
                "broken" => Err(SupervisorError::ShuttingDown),
                _ => Ok(b"UF".to_vec()),
            };
            sender.try_send(second).unwrap();
            Ok(Export {
                bytes: Bytes(4),
                pieces,
            })
        })
    }
}
