//! A backend of values, a served interface and a small client.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use mains_api::{Access, AccessRules, App, Backend, Door, LogRing, ModelStore, Operator, Records};
use mains_contract::{BlockFormat, Device, DeviceKind, EccErrors, HealthState, Inventory, Memory};
use mains_ledger::{LedgerError, RequestQuery, RequestRow, UsageQuery, UsageRow};
use mains_supervisor::{
    Generation, Latencies, MeasureStep, Prepared, Progress, Sample, Status, Step, SupervisorError, Totals,
    VariantState,
};
use mains_types::{
    Around, Caller, Choice, Demand, Digest, Event, FinishReason, Generate, GenerationError, ModelSource,
    Nearest, NoPlan, Plan, PlanBytes, Policy, Started, TokenChunk, UsageTotals,
};
use mains_wire::http::ReloadBody;
use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

/// What the next requests get, in order, and what was asked.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) answers: Mutex<VecDeque<Result<Vec<Event>, GenerationError>>>,
    pub(crate) asked: Mutex<Vec<(Caller, Generate)>>,
    /// Sender of a generation that never ends by itself; it closes when the request is cancelled.
    pub(crate) open: Mutex<Option<mpsc::Sender<Event>>>,
    pub(crate) unready: Mutex<bool>,
    pub(crate) usage_teams: Mutex<Vec<Option<String>>>,
    pub(crate) arrived: crate::fake_store::Arrived,
}

pub(crate) fn tokens(choice: u32, ids: &[u32], text: &str) -> Event {
    Event::Tokens(TokenChunk {
        choice: Choice(choice),
        ids: ids.to_vec(),
        text: text.to_owned(),
        logprobs: Vec::new(),
    })
}

pub(crate) fn finished(choice: u32) -> Event {
    Event::Finished {
        choice: Choice(choice),
        reason: FinishReason::Stop,
    }
}

fn small_plan(model: &str) -> Plan {
    Plan {
        model: model.to_owned(),
        variant: Digest([1; 32]),
        weights: Digest([2; 32]),
        policy: Policy::Speed,
        segments: Vec::new(),
        host: String::new(),
        context: 512,
        parallel: 1,
        step_rows: 1,
        block_tokens: 16,
        blocks: 32,
        kv_format: BlockFormat::F16,
        bytes: PlanBytes::default(),
        predicted: None,
        kl: None,
        gap: 0.0,
        tensors: Vec::new(),
    }
}

fn prepared(variant: Digest) -> Prepared {
    Prepared {
        variant,
        weights: Digest([2; 32]),
        state: VariantState::Ready,
        packed: true,
        note: None,
    }
}

impl Backend for Fake {
    fn generate(
        &self,
        caller: Caller,
        request: Generate,
    ) -> BoxFuture<'_, Result<Generation, GenerationError>> {
        assert_ne!(request.model, "panic", "a test asked for it");
        self.asked.lock().unwrap().push((caller, request));
        let answer = self.answers.lock().unwrap().pop_front();
        let result = answer.unwrap_or(Ok(Vec::new())).map(|events| {
            let (sender, receiver) = mpsc::channel(events.len().max(64));
            let open = events.is_empty();
            events
                .into_iter()
                .for_each(|event| sender.try_send(event).unwrap());
            if open {
                *self.open.lock().unwrap() = Some(sender);
            }
            Generation {
                started: Started {
                    prompt_tokens: 5,
                    cached_tokens: 2,
                    variant: "0123456789abcdef".to_owned(),
                },
                events: receiver,
            }
        });
        Box::pin(async move { result })
    }

    fn models(&self) -> Vec<ModelSource> {
        vec![ModelSource {
            name: "pilot".to_owned(),
            path: "/m/pilot.gguf".into(),
            created: 7,
            origin: mains_types::Origin::Embedded,
            bytes: mains_contract::Bytes(9),
        }]
    }

    /// Only in the fewest bytes anything fits.
    fn plan<'a>(&'a self, name: &'a str, demand: &'a Demand) -> BoxFuture<'a, Result<Plan, SupervisorError>> {
        if demand.policy == Some(Policy::Speed) {
            let plan = small_plan(name);
            return Box::pin(async move { Ok(plan) });
        }
        let error = SupervisorError::NoPlan {
            model: name.to_owned(),
            source: NoPlan {
                reason: "1 GiB is missing".to_owned(),
                nearest: vec![Nearest {
                    demand: Demand {
                        context: Some(1024),
                        devices: vec!["cpu".to_owned(), "card".to_owned()],
                        ..Demand::default()
                    },
                    words: "context 1024".to_owned(),
                }],
            },
        };
        Box::pin(async move { Err(error) })
    }

    fn prepared<'a>(
        &'a self,
        _: &'a str,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Prepared, SupervisorError>> {
        let prepared = prepared(plan.variant);
        Box::pin(async move { Ok(prepared) })
    }

    fn prepare<'a>(
        &'a self,
        name: &'a str,
        _: &'a Demand,
        progress: mpsc::UnboundedSender<Progress>,
    ) -> BoxFuture<'a, Result<Prepared, SupervisorError>> {
        Box::pin(async move {
            if name != "pilot" {
                return Err(SupervisorError::ShuttingDown);
            }
            for written in 0..=1000 {
                let step = Step::Types;
                progress
                    .send(Progress {
                        step,
                        written,
                        bytes: 1000,
                    })
                    .unwrap();
            }
            Ok(prepared(Digest([1; 32])))
        })
    }

    fn around<'a>(
        &'a self,
        _: &'a str,
        _: &'a Demand,
        _: &'a Plan,
        _: Option<&'a Inventory>,
    ) -> BoxFuture<'a, Result<Vec<Around>, SupervisorError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn plan_elsewhere<'a>(
        &'a self,
        name: &'a str,
        _: &'a Demand,
        inventory: &'a Inventory,
    ) -> BoxFuture<'a, Result<Plan, SupervisorError>> {
        let ids: Vec<_> = inventory.devices.iter().map(|device| device.id.clone()).collect();
        let error = SupervisorError::NoPlan {
            model: name.to_owned(),
            source: NoPlan {
                reason: format!("no room on {}", ids.join(", ")),
                nearest: Vec::new(),
            },
        };
        Box::pin(async move { Err(error) })
    }

    fn inventory(&self, _: bool) -> BoxFuture<'_, Result<Inventory, SupervisorError>> {
        Box::pin(async move { Ok(inventory()) })
    }

    fn known_devices(&self) -> Option<Inventory> {
        let mut known = inventory();
        let mut card = Device::new("gpu:1", "some card", DeviceKind::Gpu);
        card.temperature_c = Some(40.5);
        card.energy_j = Some(2.5);
        card.memory = Some(Memory {
            total: mains_contract::Bytes(1 << 30),
            free: None,
            shared: false,
            host: None,
        });
        card.ecc = Some(EccErrors {
            corrected: None,
            uncorrected: Some(3),
        });
        card.health.state = HealthState::Degraded;
        known.devices.push(card);
        Some(known)
    }

    fn device_history(&self, id: &str, count: usize) -> Vec<Sample> {
        let sample = |second: u64| Sample {
            at: std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(second),
            state: HealthState::Ok,
            temperature_c: Some(40.0),
            power_w: None,
            energy_j: None,
            utilization: Some(0.5),
            memory_free: Some(mains_contract::Bytes(7)),
            throttled: None,
            ecc: None,
            link: None,
        };
        let of_cpu = (id == "cpu").then(|| (0..3).map(sample).collect::<Vec<_>>());
        let readings = of_cpu.unwrap_or_default();
        readings.into_iter().rev().take(count).rev().collect()
    }

    fn measure<'a>(
        &'a self,
        device: Option<&'a str>,
    ) -> BoxFuture<'a, Result<mpsc::Receiver<MeasureStep>, SupervisorError>> {
        let device = device.unwrap_or("cpu").to_owned();
        let (sender, receiver) = mpsc::channel(2);
        let steps = [
            MeasureStep::Progress {
                device: device.clone(),
                done: 1,
                of: 5,
            },
            MeasureStep::Failed {
                device,
                reason: "model pilot works on it".to_owned(),
            },
        ];
        steps.into_iter().for_each(|step| sender.try_send(step).unwrap());
        Box::pin(async move { Ok(receiver) })
    }

    fn status(&self) -> Status {
        let mut latencies = Latencies::default();
        for time in [Duration::from_millis(3), Duration::from_hours(1)] {
            latencies.queue.observe(time);
        }
        Status {
            models: Vec::new(),
            reservations: Vec::new(),
            totals: Totals {
                requests: [(("pilot".to_owned(), "ok"), 3)].into(),
                latencies: [("pilot".to_owned(), latencies)].into(),
                ..Totals::default()
            },
            draining: false,
            probed_at: None,
            probe_error: None,
        }
    }

    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), SupervisorError>> {
        let error = SupervisorError::UnknownModel {
            name: name.to_owned(),
            known: vec!["pilot".to_owned()],
        };
        Box::pin(async move { Err(error) })
    }

    fn unload<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), SupervisorError>> {
        self.load(name)
    }
}

impl Records for Fake {
    fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, LedgerError> {
        self.usage_teams.lock().unwrap().push(query.team.clone());
        Ok(vec![UsageRow {
            key: "crew".to_owned(),
            totals: UsageTotals {
                requests: 1,
                ..UsageTotals::default()
            },
        }])
    }

    fn requests(&self, query: &RequestQuery) -> Result<Vec<RequestRow>, LedgerError> {
        self.usage_teams.lock().unwrap().push(query.team.clone());
        Ok(Vec::new())
    }

    fn backup(&self, to: &Path) -> Result<(), LedgerError> {
        std::fs::write(to, b"a backup").unwrap();
        Ok(())
    }

    fn health(&self) -> mains_ledger::Health {
        mains_ledger::Health {
            stopped: false,
            committing: false,
            last_round: Duration::ZERO,
            oldest_wait: None,
            disk_full: *self.unready.lock().unwrap(),
            unrecorded: 0,
        }
    }
}

struct FakeOperator(PathBuf);

impl Operator for FakeOperator {
    fn reload(&self) -> BoxFuture<'_, Result<ReloadBody, String>> {
        Box::pin(async { Err("mains.toml:3: foo".to_owned()) })
    }

    fn configuration(&self) -> String {
        "[daemon]\n".to_owned()
    }

    fn scratch_dir(&self) -> PathBuf {
        self.0.clone()
    }
}

/// A served interface; everything ends with it.
pub(crate) struct Served {
    pub(crate) fake: Arc<Fake>,
    pub(crate) app: Arc<App>,
    pub(crate) logs: LogRing,
    pub(crate) folder: tempfile::TempDir,
    rules: AccessRules,
}

/// Our own uid is team `crew` and administers.
pub(crate) fn own_access() -> Access {
    let uid = nix::unistd::getuid().as_raw();
    let mut access = Access::default();
    access.teams.users.insert(uid, "crew".to_owned());
    access.admin_uids.insert(uid);
    access
}

pub(crate) fn start() -> Served {
    let fake = Arc::new(Fake::default());
    let folder = tempfile::tempdir().unwrap();
    let rules = AccessRules::new(own_access());
    let logs = LogRing::default();
    let app = Arc::new(App::new(
        Arc::clone(&fake) as Arc<dyn Backend>,
        Arc::clone(&fake) as Arc<dyn ModelStore>,
        Arc::clone(&fake) as Arc<dyn Records>,
        Arc::new(FakeOperator(folder.path().to_owned())),
        logs.clone(),
        rules.clone(),
        "1.2.3",
    ));
    for (name, door) in [
        ("mains.sock", Door::Requests),
        ("admin.sock", Door::Administration),
    ] {
        let listener = UnixListener::bind(folder.path().join(name)).unwrap();
        tokio::spawn(mains_api::serve(
            Arc::clone(&app),
            listener,
            door,
            Duration::from_secs(5),
        ));
    }
    Served {
        fake,
        app,
        logs,
        folder,
        rules,
    }
}

impl Served {
    pub(crate) fn set_access(&self, access: Access) {
        self.rules.set(access);
    }

    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) async fn connect(&self, name: &str) -> SendRequest<Full<Bytes>> {
        let stream = UnixStream::connect(self.socket(name)).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    pub(crate) async fn send(
        &self,
        socket: &str,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Response<hyper::body::Incoming> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .body(Full::new(body.into()))
            .unwrap();
        self.connect(socket).await.send_request(request).await.unwrap()
    }

    /// Status and body.
    pub(crate) async fn text(
        &self,
        socket: &str,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> (StatusCode, String) {
        let response = self.send(socket, method, path, body).await;
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub(crate) async fn json(
        &self,
        socket: &str,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> (StatusCode, Value) {
        let (status, text) = self.text(socket, method, path, body).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.json("mains.sock", "GET", path, "").await
    }

    /// A chat completion with `extra` fields.
    pub(crate) async fn chat(&self, extra: Value) -> (StatusCode, String) {
        self.text("mains.sock", "POST", "/v1/chat/completions", chat_body(extra))
            .await
    }
}

pub(crate) fn chat_body(extra: Value) -> String {
    let mut body = serde_json::json!({"model": "pilot", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string()
}

/// The JSON of each `data:` line, with `[DONE]` as a string.
pub(crate) fn events(text: &str) -> Vec<Value> {
    assert!(text.ends_with("\n\n"), "{text}");
    text.trim_end()
        .split("\n\n")
        .map(|event| event.strip_prefix("data: ").unwrap())
        .map(|data| serde_json::from_str(data).unwrap_or_else(|_| Value::from(data)))
        .collect()
}

fn inventory() -> Inventory {
    let cpu = Device {
        sources: vec!["cpu".to_owned()],
        usable_by: vec!["cpu".to_owned()],
        ..Device::new("cpu", "some cpu", DeviceKind::Cpu)
    };
    Inventory {
        devices: vec![cpu],
        problems: Vec::new(),
        probed_at: std::time::SystemTime::UNIX_EPOCH,
    }
}
