//! Writing to standard output, where a reader that has gone away is an error like any other.

use std::io::Write;

use serde::Serialize;

/// Prints `text` as it is.
///
/// # Errors
/// When standard output can not be written.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints `value` as indented JSON.
///
/// # Errors
/// When standard output can not be written.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    text(&format!("{}\n", serde_json::to_string_pretty(value)?))
}
