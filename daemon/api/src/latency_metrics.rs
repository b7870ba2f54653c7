//! The supervisor's counted times as histograms of `/metrics`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use mains_supervisor::{Latencies, LatencyCounts};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Unit;

/// Times by model, encoded without a copy of them in the registry's own histograms, which only count.
#[derive(Debug)]
pub(crate) struct LatencyMetrics(pub(crate) BTreeMap<String, Latencies>);

type Part = fn(&Latencies) -> &LatencyCounts;

/// Name, help and what of the times it is.
const HISTOGRAMS: [(&str, &str, Part); 3] = [
    (
        "queue_wait",
        "From a request's arrival until a worker had room for it, loads included",
        |times| &times.queue,
    ),
    (
        "first_token",
        "From a request's arrival until its first token was passed on",
        |times| &times.first_token,
    ),
    (
        "request_duration",
        "From a request's arrival until its usage was recorded",
        |times| &times.whole,
    ),
];

impl Collector for LatencyMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, part) in HISTOGRAMS {
            let kind = MetricType::Histogram;
            let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), kind)?;
            for (model, times) in &self.0 {
                let labels = [("model", model.as_str())];
                encode(family.encode_family(&labels)?, part(times))?;
            }
        }
        Ok(())
    }
}

fn encode(mut encoder: MetricEncoder<'_>, counts: &LatencyCounts) -> fmt::Result {
    let seconds = |bound: std::time::Duration| bound.as_secs_f64();
    let buckets: Vec<_> = counts
        .buckets()
        .map(|(bound, count)| (bound.map_or(f64::INFINITY, seconds), count))
        .collect();
    let exemplars: Option<&HashMap<usize, Exemplar<NoLabelSet, f64>>> = None;
    encoder.encode_histogram(counts.sum().as_secs_f64(), counts.count(), &buckets, exemplars)
}
