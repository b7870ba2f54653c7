//! What a measurement takes of a device's memory, and which models have one. Pure.

use mains_contract::{Bytes, Device, DeviceKind, HealthState};
use mains_types::{Demand, ModelFacts, Plan};

/// Positions of a text, and of the only sequence.
const TEXT_TOKENS: u32 = 256;

/// Rows of a step of a measurement.
const STEP_ROWS: u64 = 64;

/// Logits of the unquantized model that a worker keeps at most, for more than one text (`mains-worker`, orders, sensitivity).
const MOST_LOGITS: Bytes = Bytes::from_mib(512);

/// Quantized tensors that a worker keeps to use them again (`mains-measure`, evaluator).
const KEPT: Bytes = Bytes::from_mib(1024);

/// Columns whose products are measured together at the most, and bytes of them all (`mains-measure`, moments).
const RUN: u64 = 1024;
const MOMENTS: Bytes = Bytes::from_mib(1024);

/// Times that they are in memory while they are measured and said: sums, means, and twice in a file where three matrices share
/// them.
const MOMENTS_COPIES: u64 = 8;

/// Bytes of a weight as it is read, restored and loaded in float32.
const SWAPPED: u64 = 3 * 4;

/// Bytes of a weight where all are restored and loaded in float32, beside their blocks.
const WHOLE: u64 = 2 * 4 + 2;

/// What is said of a measurement's bytes in place of a model's name.
pub(crate) const HOLDER: &str = "(measurement)";

/// Whether most weights of a model are there as they were trained: of others there is nothing to lose by types that is still known.
pub(crate) fn is_measurable(facts: &ModelFacts) -> bool {
    let weights = |quantized: bool| -> u64 {
        let tensors = facts.tensors.iter();
        let such = tensors.filter(|tensor| tensor.format.is_quantized() == quantized);
        such.map(|tensor| tensor.rows.saturating_mul(tensor.cols)).sum()
    };
    weights(false) > weights(true)
}

/// The device that measures: processors that a driver computes on.
pub(crate) fn device(devices: &[Device]) -> Option<&Device> {
    devices.iter().find(|device| {
        let broken = matches!(device.health.state, HealthState::Failed | HealthState::Lost);
        device.kind == DeviceKind::Cpu && !device.drivers.is_empty() && !broken
    })
}

/// What a load is planned for: one text.
pub(crate) fn demand(facts: &ModelFacts, device: &Device) -> Demand {
    Demand {
        context: Some(TEXT_TOKENS.min(facts.context)),
        parallel: Some(1),
        devices: vec![device.id.clone()],
        ..Demand::default()
    }
}

/// `load` with what a measurement takes beside it; with `whole` all weights in float32 as well.
pub(crate) fn plan(facts: &ModelFacts, load: &Plan, texts: u32, whole: bool) -> Plan {
    let mut plan = load.clone();
    plan.model = HOLDER.to_owned();
    plan.bytes.runtime += beside(facts, load, texts, whole);
    plan
}

fn beside(facts: &ModelFacts, load: &Plan, texts: u32, whole: bool) -> Bytes {
    let weights = facts
        .tensors
        .iter()
        .map(|tensor| tensor.rows.saturating_mul(tensor.cols));
    let largest = weights.max().unwrap_or(0);
    // Caches in float32 instead of float16.
    let state = load.bytes.state;
    // What flows into every matrix is given out, and all of it is alive until the end of a step.
    let cols: u64 = facts.tensors.iter().map(|tensor| tensor.cols).sum();
    let taps = Bytes(4 * 2).times(STEP_ROWS.saturating_mul(cols));
    let of_rows = |rows: u64| Bytes(4).times(rows.saturating_mul(facts.vocabulary.into()));
    let text = of_rows(TEXT_TOKENS.into());
    let kept_logits = text.times(texts.into()).min(MOST_LOGITS).max(text);
    // Kept once to compare with and once more for other texts or caches; those of a step are given out twice.
    let logits = kept_logits.times(2) + of_rows(2 * STEP_ROWS);
    let kept = KEPT.min(facts.file_bytes);
    let one = Bytes(SWAPPED).times(largest);
    let all = Bytes(WHOLE).times(if whole { facts.parameters } else { 0 });
    let runs: u64 = facts
        .tensors
        .iter()
        .map(|tensor| tensor.cols.saturating_mul(tensor.cols.min(RUN)))
        .sum();
    let moments = Bytes(4).times(runs).min(MOMENTS);
    // Moments are measured before anything is quantized, and read from their file after.
    let measuring = moments.times(MOMENTS_COPIES);
    let quantizing = moments + kept + one.max(all);
    state + taps + logits + measuring.max(quantizing)
}

#[cfg(test)]
mod tests {
    use mains_contract::{BlockFormat, Bytes};
    use mains_types::{
        Digest, ModelFacts, Plan, PlanBytes, Policy, RuntimeModel, SamplingDefaults, TensorFacts,
    };

    use super::{HOLDER, is_measurable, plan};

    fn facts(formats: &[(BlockFormat, u64)]) -> ModelFacts {
        let tensor = |&(format, rows): &(BlockFormat, u64)| TensorFacts {
            name: "a".to_owned(),
            format,
            rows,
            cols: 256,
        };
        ModelFacts {
            family: "qwen3".to_owned(),
            digest: Digest([0; 32]),
            file_bytes: Bytes(1000),
            parameters: 10_000_000,
            layers: 1,
            width: 256,
            vocabulary: 1000,
            context: 128,
            chat: false,
            sampling: SamplingDefaults::default(),
            tensors: formats.iter().map(tensor).collect(),
            products: Vec::new(),
            borders: Vec::new(),
            parts: Vec::new(),
            costs: Vec::new(),
            unsupported: Vec::new(),
            block_tokens: 16,
            runtime: RuntimeModel::default(),
            about: mains_types::About::default(),
            sensitivity: None,
            importance: None,
        }
    }

    #[test]
    fn what_is_quantized_for_the_most_part_is_not_measured() {
        let (whole, quantized) = (BlockFormat::BF16, BlockFormat::Q4_K);
        assert!(is_measurable(&facts(&[(whole, 1000)])));
        assert!(is_measurable(&facts(&[(whole, 1000), (quantized, 10)])));
        // A router in float32 does not make a quantized model an unquantized one.
        assert!(!is_measurable(&facts(&[
            (BlockFormat::F32, 10),
            (quantized, 1000)
        ])));
        assert!(!is_measurable(&facts(&[])));
    }

    #[test]
    fn a_measurement_takes_more_than_a_load_and_most_with_whole_choices() {
        let facts = facts(&[(BlockFormat::BF16, 500), (BlockFormat::BF16, 500)]);
        let load = Plan {
            model: "m".to_owned(),
            variant: Digest([0; 32]),
            weights: Digest([0; 32]),
            segments: Vec::new(),
            host: "cpu".to_owned(),
            context: 128,
            parallel: 1,
            step_rows: 512,
            block_tokens: 16,
            blocks: 8,
            kv_format: BlockFormat::F16,
            bytes: PlanBytes {
                state: Bytes(77),
                ..PlanBytes::default()
            },
            policy: Policy::default(),
            predicted: None,
            kl: None,
            gap: 0.0,
            tensors: Vec::new(),
        };
        let (some, all) = (plan(&facts, &load, 2, false), plan(&facts, &load, 2, true));
        assert_eq!((some.model.as_str(), all.model.as_str()), (HOLDER, HOLDER));
        // 64 rows of 512 columns and 1,000 logits, the logits of two texts, moments of two matrices, blocks, and the largest
        // tensor of 500 x 256.
        let moments = 2 * 4 * 256 * 256;
        let logits = 2 * 4 * (2 * 256) * 1000;
        let expected =
            77 + 8 * 64 * (512 + 1000) + logits + (moments + 1000 + 12 * 500 * 256).max(8 * moments);
        assert_eq!(some.bytes.total(), Bytes(77 + expected));
        assert_eq!(
            all.bytes.total().0 - some.bytes.total().0,
            moments + 1000 + 100_000_000 - 8 * moments
        );
    }
}
