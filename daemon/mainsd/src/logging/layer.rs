//! Turns events into lines, without waiting for anything.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use mains_api::LogRing;
use mains_wire::http::LogLine;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Only our own crates may say more than warnings: what a library finds worth a debug line may quote a request.
const OUR_TARGETS: &str = "mains";

/// Bytes of one value; more is a defect of the caller and is cut with a mark.
const MAX_VALUE_BYTES: usize = 4 << 10;

/// Collects events for the ring and the writing thread.
pub(super) struct Collect {
    pub(super) ring: LogRing,
    pub(super) level: Arc<AtomicU8>,
    pub(super) lines: SyncSender<Arc<LogLine>>,
    pub(super) dropped: Arc<AtomicU64>,
}

impl Collect {
    fn most(&self) -> Level {
        match self.level.load(Ordering::Relaxed) {
            0 => Level::ERROR,
            1 => Level::WARN,
            2 => Level::INFO,
            _ => Level::DEBUG,
        }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let level = *metadata.level();
        level <= self.most() && (metadata.target().starts_with(OUR_TARGETS) || level <= Level::WARN)
    }
}

impl<S: Subscriber> Layer<S> for Collect {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_event() && self.wants(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_event() && self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.most()))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut values = Values::default();
        event.record(&mut values);
        let metadata = event.metadata();
        let line = LogLine {
            time: jiff::Timestamp::now().to_string(),
            level: metadata.level().to_string(),
            target: metadata.target().to_owned(),
            message: values.message,
            fields: values.fields,
        };
        if self.lines.try_send(Arc::new(line.clone())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.ring.push(line);
    }
}

#[derive(Default)]
struct Values {
    message: String,
    fields: Map<String, Value>,
}

impl Values {
    fn put(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Values {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = bounded(format!("{value:?}"));
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, Value::from(text));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let text = bounded(value.to_owned());
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, Value::from(text));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, Value::from(bounded(value.to_string())));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }
}

fn bounded(mut text: String) -> String {
    if text.len() > MAX_VALUE_BYTES {
        text.truncate(text.floor_char_boundary(MAX_VALUE_BYTES));
        text.push('…');
    }
    text
}
