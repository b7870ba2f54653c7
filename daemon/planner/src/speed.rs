//! How fast a plan will be, from what was measured on its device.

use mains_contract::{Bytes, Device, Inventory, Measured, Products};
use mains_types::{ModelFacts, Plan, Predicted, TensorFacts};

use crate::fit::{Costs, Shape};

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
    let mut drivers = device.drivers.iter();
    let driver = drivers.find(|driver| driver.name == segment.driver && driver.threads == segment.threads)?;
    let mut footprints = facts.footprints.iter();
    let (_, footprint) = footprints.find(|(name, _)| *name == segment.driver)?;
    let costs = Costs {
        facts,
        footprint,
        driver,
    };
    let shape = Shape {
        context: plan.context,
        parallel: plan.parallel,
    };
    predict(&costs, device, shape)
}

/// The speed of one sequence of `shape` on `device`, when the driver that computes it was measured there.
pub(crate) fn predict(costs: &Costs<'_>, device: &Device, shape: Shape) -> Option<Predicted> {
    let measured = device.measured.as_ref()?;
    if measured.driver != *costs.driver {
        return None;
    }
    let facts = costs.facts;
    let tensors = || facts.tensors.iter().zip(&facts.products);
    let weights: f64 = tensors()
        .map(|(tensor, products)| read_bytes(tensor, *products))
        .sum();
    let half = u64::from(shape.context / 2);
    let state = costs.footprint.state_per_token.times(half) + costs.footprint.state_per_sequence;
    // A model without any product, or without any state, has no speed there.
    let speed = |seconds: f64| (seconds > 0.0).then(|| seconds.recip());
    Some(Predicted {
        prefill_tokens_per_s: prefill_seconds(measured, tensors()).and_then(speed),
        decode_tokens_per_s: speed((weights + number(state)) / measured.read_bytes_per_s)?,
    })
}

/// Bytes of a tensor that one token of an answer reads.
fn read_bytes(tensor: &TensorFacts, products: Products) -> f64 {
    let numbers = to_f64(tensor.rows) * to_f64(tensor.cols);
    let read = to_f64(products.per_token) + to_f64(products.per_output_row);
    if numbers > 0.0 {
        number(tensor.bytes()) * read / numbers
    } else {
        0.0
    }
}

/// Seconds that a token of a prompt takes, or `None` when a type was not measured.
fn prefill_seconds<'a>(
    measured: &Measured,
    mut tensors: impl Iterator<Item = (&'a TensorFacts, &'a Products)>,
) -> Option<f64> {
    tensors.try_fold(0.0, |seconds, (tensor, products)| {
        if products.per_token == 0 {
            return Some(seconds);
        }
        // A multiply-add is two operations.
        Some(seconds + 2.0 * to_f64(products.per_token) / measured.operations(tensor.format)?)
    })
}

fn number(bytes: Bytes) -> f64 {
    to_f64(bytes.0)
}

#[expect(clippy::cast_precision_loss, reason = "a prediction has no 16 digits")]
const fn to_f64(count: u64) -> f64 {
    count as f64
}
