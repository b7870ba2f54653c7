//! The most that a frame may hold. What exceeds a bound is refused, never cut.

use super::FrameError;

/// Bytes of a frame to a worker: a request's body is at most 8 MiB, its text grows little when it is written again
/// (token ids shrink), and a plan with [`TENSORS`] names stays below as well.
pub const TO_WORKER_BYTES: usize = 16 << 20;
/// Bytes of a frame from a worker: the facts of a model with tens of thousands of tensors fit. Decoded values may take
/// some 24 times as much memory before they are checked, so a hostile worker costs `mainsd` at most about 100 MiB.
pub const FROM_WORKER_BYTES: usize = 4 << 20;

/// Bytes of a name or an id: a model, a device, a driver, a request.
pub const NAME_BYTES: usize = 256;
/// Bytes of a sentence for people: an error, a reason.
pub const MESSAGE_BYTES: usize = 4096;
/// Bytes of a path (`PATH_MAX` of Linux).
pub const PATH_BYTES: usize = 4096;
/// Walls that a worker reports: about a dozen exist.
pub const WALLS: usize = 64;

/// Prompts of one request.
pub const PROMPTS: usize = 2048;
/// Answers to one prompt (OpenAI's own bound).
pub const N: usize = 128;
/// Stop strings of a request: OpenAI takes 4, other interfaces more.
pub const STOPS: usize = 64;
/// Entries of `logit_bias`.
pub const LOGIT_BIASES: usize = 4096;
/// Alternatives to a token (OpenAI's own bound).
pub const TOP_LOGPROBS: usize = 20;

/// Token ids in one chunk: one a step as a rule, more when chunks were joined.
pub const CHUNK_IDS: usize = 1024;
/// Bytes of text in one chunk; an echoed prompt comes in several.
pub const CHUNK_TEXT_BYTES: usize = 256 << 10;
/// Bytes of one token: the longest of known vocabularies have a few hundred.
pub const TOKEN_BYTES: usize = 4096;

/// Bytes of a file in one frame: a thousand of them may wait in a worker at a time.
pub const PIECE_BYTES: usize = 64 << 10;

/// Tensors of a model: mixtures with one tensor an expert have some tens of thousands.
pub const TENSORS: usize = 65_536;
/// Drivers in a model's facts: every driver that we have, and those to come.
pub const DRIVERS: usize = 64;
/// Segments of a plan: at most one a layer.
pub const SEGMENTS: usize = 1024;

/// Devices of a box: eight cards in seven partitions each are 64.
pub const DEVICES: usize = 256;
/// Problems of an inventory.
pub const PROBLEMS: usize = 256;
/// Probes that saw one device, drivers that can use it, reasons for its state.
pub const DEVICE_WORDS: usize = 64;
/// Instruction sets or extensions of one device: processors and graphics drivers list a few hundred.
pub const FEATURES: usize = 1024;

/// `text` when it has at most `max` bytes.
pub(super) fn text(what: &'static str, text: String, max: usize) -> Result<String, FrameError> {
    within(what, text.len(), max)?;
    Ok(text)
}

/// Each of at most `max` items, converted.
pub(super) fn list<W, T>(
    what: &'static str,
    items: Vec<W>,
    max: usize,
    convert: impl FnMut(W) -> Result<T, FrameError>,
) -> Result<Vec<T>, FrameError> {
    within(what, items.len(), max)?;
    items.into_iter().map(convert).collect()
}

/// At most `max_items` texts of at most `max_bytes` bytes each.
pub(super) fn texts(
    what: &'static str,
    items: Vec<String>,
    max_items: usize,
    max_bytes: usize,
) -> Result<Vec<String>, FrameError> {
    list(what, items, max_items, |item| text(what, item, max_bytes))
}

/// `text`, when there is one, of at most `max` bytes.
pub(super) fn optional_text(
    what: &'static str,
    value: Option<String>,
    max: usize,
) -> Result<Option<String>, FrameError> {
    value.map(|value| text(what, value, max)).transpose()
}

/// A number that is neither infinite nor NaN.
pub(super) fn finite<F: Into<f64> + Copy>(what: &'static str, value: F) -> Result<F, FrameError> {
    if value.into().is_finite() {
        Ok(value)
    } else {
        Err(FrameError::Invalid {
            what,
            reason: format!("{} is no finite number", value.into()),
        })
    }
}

/// A number, when there is one, that is neither infinite nor NaN.
pub(super) fn optional_finite<F: Into<f64> + Copy>(
    what: &'static str,
    value: Option<F>,
) -> Result<Option<F>, FrameError> {
    value.map(|value| finite(what, value)).transpose()
}

/// Refuses what is more than `max`.
pub(super) const fn within(what: &'static str, found: usize, max: usize) -> Result<(), FrameError> {
    if found <= max {
        Ok(())
    } else {
        Err(FrameError::Bound { what, found, max })
    }
}
