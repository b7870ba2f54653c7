//! How fast a plan will be, from what was measured on its device.

use mains_contract::{BlockFormat, Bytes, Device, FootprintModel, Inventory, Measured, Products};
use mains_types::{ModelFacts, Plan, Predicted, TensorFacts};

/// A model on a driver, as far as its speed hangs on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) facts: &'a ModelFacts,
    /// By tensor.
    pub(crate) formats: &'a [BlockFormat],
    pub(crate) footprint: &'a FootprintModel,
    /// The driver's name.
    pub(crate) driver: &'a str,
    /// Threads that share its work.
    pub(crate) threads: u32,
    /// Positions of one sequence.
    pub(crate) context: u32,
}

/// The speed of a plan that was made earlier, from what is known of its device now.
#[must_use]
pub fn predict_plan(inventory: &Inventory, facts: &ModelFacts, plan: &Plan) -> Option<Predicted> {
    let [segment] = &plan.segments[..] else {
        return None;
    };
    let device = inventory
        .devices
        .iter()
        .find(|device| device.id == segment.device)?;
    let costs = facts.costs.iter().find(|costs| costs.driver == segment.driver)?;
    let (_, base) = costs.kv.iter().find(|(kv, _)| *kv == plan.kv_format)?;
    let formats: Vec<BlockFormat> = plan.tensors.iter().map(|tensor| tensor.format).collect();
    let footprint = *base + costs.formats.adds(&formats)?;
    let run = Run {
        facts,
        formats: &formats,
        footprint: &footprint,
        driver: &segment.driver,
        threads: segment.threads,
        context: plan.context,
    };
    predict(&run, device)
}

/// The speed of one sequence of `run` on `device`, when the driver that computes it was measured there.
pub(crate) fn predict(run: &Run<'_>, device: &Device) -> Option<Predicted> {
    let measured = device.measured.as_ref()?;
    let is_same = measured.driver.name == run.driver && measured.driver.threads == run.threads;
    if !is_same || !device.drivers.contains(&measured.driver) {
        return None;
    }
    let tensors = || run.facts.tensors.iter().zip(run.formats).zip(&run.facts.products);
    let weights: f64 = tensors()
        .map(|((tensor, format), products)| read_bytes(tensor, *format, *products))
        .sum();
    let half = u64::from(run.context / 2);
    let state = run.footprint.state_per_token.times(half) + run.footprint.state_per_sequence;
    let products = tensors().map(|((_, format), products)| (*format, *products));
    // A model without any product, or without any state, has no speed there.
    let speed = |seconds: f64| (seconds > 0.0).then(|| seconds.recip());
    Some(Predicted {
        prefill_tokens_per_s: prefill_seconds(measured, products).and_then(speed),
        decode_tokens_per_s: speed((weights + number(state)) / measured.read_bytes_per_s)?,
    })
}

/// Bytes of a tensor that one token of an answer reads.
fn read_bytes(tensor: &TensorFacts, format: BlockFormat, products: Products) -> f64 {
    let numbers = to_f64(tensor.rows) * to_f64(tensor.cols);
    let read = to_f64(products.per_token) + to_f64(products.per_output_row);
    if numbers > 0.0 {
        number(tensor.bytes_in(format)) * read / numbers
    } else {
        0.0
    }
}

/// Seconds that a token of a prompt takes, or `None` when a type was not measured.
fn prefill_seconds(
    measured: &Measured,
    mut products: impl Iterator<Item = (BlockFormat, Products)>,
) -> Option<f64> {
    products.try_fold(0.0, |seconds, (format, products)| {
        if products.per_token == 0 {
            return Some(seconds);
        }
        // A multiply-add is two operations.
        Some(seconds + 2.0 * to_f64(products.per_token) / measured.operations(format)?)
    })
}

fn number(bytes: Bytes) -> f64 {
    to_f64(bytes.0)
}

#[expect(clippy::cast_precision_loss, reason = "a prediction has no 16 digits")]
const fn to_f64(count: u64) -> f64 {
    count as f64
}
