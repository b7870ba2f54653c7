//! How fast a plan will be, from what was measured on its device.

use std::rc::Rc;

use mains_contract::{BlockFormat, Bytes, Inventory, Measured, Products};
use mains_types::{Demand, ModelFacts, Plan, Predicted};

use crate::adds::{Adds, parts_of};
use crate::cut::Run;
use crate::fit::Costs;
use crate::rooms::{Room, Rooms};

/// The speed of a plan that was made earlier, from what is known of its devices now.
#[must_use]
pub fn predict_plan(inventory: &Inventory, facts: &ModelFacts, plan: &Plan) -> Option<Predicted> {
    let device = |id: &String| inventory.devices.iter().find(|device| device.id == *id);
    let devices: Option<Vec<_>> = plan
        .segments
        .iter()
        .map(|segment| device(&segment.device))
        .collect();
    // A plan that is carried out says where everything is: what is free does not matter.
    let anything = Demand {
        memory: Some(Bytes::ZERO),
        ..Demand::default()
    };
    let mut rooms = Rooms::new(inventory, facts, &anything, &devices?).ok()?;
    for (room, segment) in rooms.list.iter_mut().zip(&plan.segments) {
        room.costs = facts.costs.iter().find(|costs| costs.driver == segment.driver)?;
        room.threads = segment.threads;
    }
    let formats: Vec<BlockFormat> = plan.tensors.iter().map(|tensor| tensor.format).collect();
    if formats.len() != facts.tensors.len() {
        return None;
    }
    let adds = Adds::of(facts, &rooms, |tensor| std::slice::from_ref(&formats[tensor]))?;
    let costs = Costs {
        facts,
        rooms: Rc::new(rooms),
        kv: plan.kv_format,
        adds: Rc::new(adds),
    };
    let last_part = costs.rooms.parts(facts) - 1;
    let part_before = |layer: u32| {
        facts
            .borders
            .iter()
            .position(|border| border.after_layer == layer)
    };
    let mut runs = Vec::with_capacity(plan.segments.len());
    for (room, segment) in plan.segments.iter().enumerate() {
        let first = match segment.first_layer.checked_sub(1) {
            None => 0,
            Some(before) => part_before(before)? + 1,
        };
        let last = part_before(segment.last_layer).filter(|_| last_part > 0);
        runs.push(costs.run(room, first, last.unwrap_or(last_part), &plan.limits())?);
    }
    predict(&costs, &formats, &runs, plan.context)
}

/// The speed of one sequence of up to `context` positions on `runs`, when the driver of each was measured on its device: the
/// time of a token is what it takes on all of them.
pub(crate) fn predict(
    costs: &Costs<'_>,
    formats: &[BlockFormat],
    runs: &[Run],
    context: u32,
) -> Option<Predicted> {
    let mut decode = 0.0;
    let mut prefill = Some(0.0);
    for run in runs {
        let room = &costs.rooms.list[run.room];
        let measured = measured(room)?;
        let tensors = || tensors_of(costs, run).map(|tensor| (tensor, formats[tensor]));
        let weights: f64 = tensors()
            .map(|(tensor, format)| read_bytes(costs.facts, tensor, format))
            .sum();
        let half = u64::from(context / 2);
        let state = run.model.state_per_token.times(half) + run.model.state_per_sequence;
        decode += (weights + number(state)) / measured.read_bytes_per_s;
        let products = tensors().map(|(tensor, format)| (format, costs.facts.products.get(tensor).copied()));
        let products = products.map(|(format, products)| (format, products.unwrap_or_default()));
        prefill = prefill
            .zip(prefill_seconds(measured, products))
            .map(|(sum, seconds)| sum + seconds);
    }
    // A model without any product, or without any state, has no speed there.
    let speed = |seconds: f64| (seconds > 0.0).then(|| seconds.recip());
    Some(Predicted {
        prefill_tokens_per_s: prefill.and_then(speed),
        decode_tokens_per_s: speed(decode)?,
    })
}

/// What was measured of the driver in `room`.
fn measured<'a>(room: &Room<'a>) -> Option<&'a Measured> {
    let measured = room.device.measured.as_ref()?;
    let is_same = measured.driver.name == room.costs.driver && measured.driver.threads == room.threads;
    (is_same && room.device.drivers.contains(&measured.driver)).then_some(measured)
}

/// Tensors that are multiplied in `run`. One that two parts use is a table in the earlier: its product is in the later.
fn tensors_of(costs: &Costs<'_>, run: &Run) -> impl Iterator<Item = usize> {
    let parts = costs.rooms.parts(costs.facts);
    let is_here = move |tensor: &usize| {
        let [_, last] = parts_of(costs.facts, parts, *tensor);
        (run.first..=run.last).contains(&last)
    };
    (0..costs.facts.tensors.len()).filter(is_here)
}

/// Bytes of a tensor that one token of an answer reads.
fn read_bytes(facts: &ModelFacts, tensor: usize, format: BlockFormat) -> f64 {
    let products = facts.products.get(tensor).copied().unwrap_or_default();
    let tensor = &facts.tensors[tensor];
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
