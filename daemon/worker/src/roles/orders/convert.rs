//! `Convert`: a model's tensors in the types of a plan, as one GGUF file.

use std::convert::Infallible;
use std::num::NonZero;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use mains_engine::models::Checkpoint;
use mains_engine::models::convert::{Conversion, ConvertOptions};
use mains_wire::frames::ConvertOrder;

use super::pieces::say_file;
use crate::inbox::{Inbox, Outbox};
use crate::roles::convert::importance;

/// Converts what `order` names and says the file.
///
/// # Errors
/// When the model can not be read or its tensors can not have those types, before the file begins; when the connection
/// is gone.
pub(super) fn answer(order: &ConvertOrder, inbox: &Inbox<Infallible>, outbox: &Outbox) -> Result<()> {
    let at = || order.path.display().to_string();
    let checkpoint = Arc::new(Checkpoint::open(&order.path)?);
    let options = ConvertOptions {
        formats: order.formats.iter().cloned().collect(),
        importance: importance(order.importance.as_deref())?,
        ..ConvertOptions::default()
    };
    let conversion = Conversion::plan(checkpoint, &options).with_context(at)?;
    for (name, wanted) in &options.formats {
        let format = conversion.format(name);
        ensure!(
            format == Some(*wanted),
            "{}: {name} can not be {wanted}; plan the model again",
            at()
        );
    }
    let threads = match NonZero::new(order.threads as usize) {
        Some(threads) => threads,
        None => std::thread::available_parallelism()?,
    };
    say_file(conversion.file_bytes(), inbox, outbox, |pieces| {
        conversion.write(pieces, threads).with_context(at)
    })
}
