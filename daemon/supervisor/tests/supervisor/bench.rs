//! A supervisor with null workers as children, and a ledger that remembers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mains_ledger::{LedgerError, OpenRow, Outcome};
use mains_supervisor::{
    ForkSpawn, Generation, Meter, Metering, ModelConfig, ModelState, ModelStatus, Supervisor,
    SupervisorConfig,
};
use mains_types::{Caller, Event, Generate, GenerationError, Peer, Prompt, Sampling};

/// More than anything here takes on a busy machine; reaching it is a failure.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The null worker, beside this test in the target folder.
fn null_worker() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("mains-null-worker");
    assert!(
        path.exists(),
        "{} is missing: build it with `cargo build -p mains-null-worker`",
        path.display()
    );
    path
}

/// Rows by id, as they were opened, covered and settled.
#[derive(Default)]
pub(crate) struct Rows {
    rows: Mutex<HashMap<String, Row>>,
    /// Refuses to begin, as on a full disk.
    pub(crate) full: AtomicBool,
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) open: OpenRow,
    pub(crate) covered: u32,
    pub(crate) outcome: Option<Outcome>,
}

impl Rows {
    pub(crate) fn row(&self, id: &str) -> Option<Row> {
        self.rows.lock().unwrap().get(id).cloned()
    }
}

struct RowMeter {
    rows: Arc<Rows>,
    id: String,
}

/// The ledger that [`Rows`] imitates.
pub(crate) struct Book(pub(crate) Arc<Rows>);

impl Metering for Book {
    fn begin(&self, row: OpenRow) -> BoxFuture<'_, Result<Box<dyn Meter>, LedgerError>> {
        if self.0.full.load(Ordering::Relaxed) {
            let full = LedgerError::DiskFull {
                path: "/ledger".into(),
                needed: 1,
            };
            return std::future::ready(Err(full)).boxed();
        }
        let id = row.id.clone();
        let new = Row {
            open: row,
            covered: 0,
            outcome: None,
        };
        assert!(
            self.0.rows.lock().unwrap().insert(id.clone(), new).is_none(),
            "a row for each request"
        );
        let meter: Box<dyn Meter> = Box::new(RowMeter {
            rows: Arc::clone(&self.0),
            id,
        });
        std::future::ready(Ok(meter)).boxed()
    }
}

impl Meter for RowMeter {
    fn cover(&mut self, tokens: u32) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.rows.rows.lock().unwrap().get_mut(&self.id).unwrap().covered = tokens;
        std::future::ready(Ok(())).boxed()
    }

    fn settle(self: Box<Self>, outcome: Outcome) -> BoxFuture<'static, Result<(), LedgerError>> {
        let mut rows = self.rows.rows.lock().unwrap();
        let row = rows.get_mut(&self.id).unwrap();
        assert!(row.outcome.replace(outcome).is_none(), "settled once");
        std::future::ready(Ok(())).boxed()
    }
}

/// A supervisor, its state folder and its ledger.
pub(crate) struct Bench {
    pub(crate) supervisor: Supervisor,
    pub(crate) rows: Arc<Rows>,
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    /// Models by name with the null worker's options, and changes to the configuration.
    pub(crate) fn new(models: &[(&str, &str)], change: impl FnOnce(&mut SupervisorConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = SupervisorConfig::new(folder.path().join("state"));
        for (name, options) in models {
            config
                .models
                .push(ModelConfig::new(*name, model_file(folder.path(), name, options)));
        }
        change(&mut config);
        Self::start(folder, config)
    }

    /// Another daemon on the same folder, after this one was drained.
    pub(crate) async fn again(self, config: SupervisorConfig) -> Self {
        self.supervisor.drain(Duration::ZERO).await;
        Self::start(self.folder, config)
    }

    fn start(folder: tempfile::TempDir, config: SupervisorConfig) -> Self {
        let rows = Arc::new(Rows::default());
        let spawn = Arc::new(ForkSpawn::new(null_worker()));
        let book = Arc::new(Book(Arc::clone(&rows)));
        let supervisor = Supervisor::start(config, spawn, book).unwrap();
        Self {
            supervisor,
            rows,
            folder,
        }
    }

    pub(crate) async fn generate(
        &self,
        id: &str,
        model: &str,
        tokens: u32,
    ) -> Result<Generation, GenerationError> {
        let generation = self.supervisor.generate(caller(), request(id, model, tokens));
        tokio::time::timeout(LONG, generation)
            .await
            .expect("it is admitted or refused in time")
    }

    pub(crate) fn model(&self, name: &str) -> ModelStatus {
        let status = self.supervisor.status();
        status
            .models
            .into_iter()
            .find(|model| model.name == name)
            .unwrap()
    }

    /// Waits until the model is in `state`.
    pub(crate) async fn until(&self, name: &str, state: ModelState) -> ModelStatus {
        self.until_it(name, |model| model.state == state).await
    }

    /// Waits until `is` holds for the model.
    pub(crate) async fn until_it(&self, name: &str, is: impl Fn(&ModelStatus) -> bool) -> ModelStatus {
        let reached = async {
            loop {
                let model = self.model(name);
                if is(&model) {
                    return model;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let model = tokio::time::timeout(LONG, reached).await;
        model.unwrap_or_else(|_| panic!("never reached; now {:?}", self.model(name)))
    }

    /// The settled row of a request.
    pub(crate) async fn settled(&self, id: &str) -> (Row, Outcome) {
        let settled = async {
            loop {
                if let Some(row) = self.rows.row(id)
                    && let Some(outcome) = row.outcome.clone()
                {
                    return (row, outcome);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(LONG, settled)
            .await
            .expect("the row is settled")
    }
}

pub(crate) fn model_file(folder: &Path, name: &str, options: &str) -> PathBuf {
    let path = folder.join(format!("{name}.null"));
    std::fs::write(&path, options.replace(' ', "\n")).unwrap();
    path
}

pub(crate) fn caller() -> Caller {
    Caller {
        peer: Peer {
            uid: 1,
            gid: 1,
            pid: None,
            groups: Vec::new(),
            unit: None,
        },
        team: "team".to_owned(),
    }
}

pub(crate) fn request(id: &str, model: &str, tokens: u32) -> Generate {
    Generate {
        id: id.to_owned(),
        model: model.to_owned(),
        prompts: vec![Prompt::Text("a prompt of some words".to_owned())],
        n: 1,
        max_tokens: Some(tokens),
        stop: Vec::new(),
        top_logprobs: None,
        echo: false,
        sampling: Sampling::default(),
        keep_alive_s: None,
    }
}

/// The next event of a generation, `None` at its end.
pub(crate) async fn next(generation: &mut Generation) -> Option<Event> {
    tokio::time::timeout(LONG, generation.events.recv())
        .await
        .expect("the next event comes in time")
}

/// Tokens that came, and how it ended.
pub(crate) async fn all(mut generation: Generation) -> (u32, Result<(), GenerationError>) {
    let mut tokens = 0;
    while let Some(event) = next(&mut generation).await {
        match event {
            Event::Tokens(chunk) => tokens += u32::try_from(chunk.ids.len()).unwrap(),
            Event::Done => return (tokens, Ok(())),
            Event::Failed(error) => return (tokens, Err(error)),
            Event::Started(_) | Event::Finished { .. } => {}
        }
    }
    panic!("a generation ends with Done or Failed");
}
