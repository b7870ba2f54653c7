//! `Pack`: a model's weights in the layouts of a driver, as a file that loads map.

use std::convert::Infallible;

use anyhow::{Context, Result};
use mains_engine::models::{Model, ModelOptions, packed_bytes, write_packed};
use mains_wire::frames::PackOrder;

use super::pieces::say_file;
use crate::drivers;
use crate::inbox::{Inbox, Outbox};

/// Packs what `order` names and says the file.
///
/// # Errors
/// When the model can not be read or its driver packs nothing, before the file begins; when the connection is gone.
pub(super) fn answer(order: &PackOrder, inbox: &Inbox<Infallible>, outbox: &Outbox) -> Result<()> {
    let at = || order.path.display().to_string();
    let driver = drivers::open(&order.driver, None)?;
    let model = Model::open(&order.path, &ModelOptions::default()).with_context(at)?;
    drivers::check(&*driver, &model.graph, &model.formats())?;
    let digest = order.weights.to_string();
    let bytes = packed_bytes(&model, &*driver, &digest)?;
    say_file(bytes, inbox, outbox, |pieces| {
        // A connection that is gone is noticed where the next bytes are written.
        write_packed(&model, &*driver, &digest, pieces, |_| {
            let _gone = inbox.beat();
        })?;
        Ok(())
    })
}
