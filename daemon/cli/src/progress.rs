//! A bar of bytes at a terminal: how many, how fast, how long still. Elsewhere nothing is drawn.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redraws a second: as often as an eye wants.
const REDRAWS_PER_S: u8 = 8;

/// A bar on standard error. Every clone is the same bar.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that is drawn when standard error is a terminal.
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_S));
        Self { bar }
    }

    /// A new piece of work called `what`, of `of` bytes when that is known, of which `done` are done already: they count
    /// for no rate.
    pub(crate) fn begin(&self, what: &str, done: u64, of: Option<u64>) {
        let template = match of {
            Some(_) => {
                "{msg} [{bar:20}] {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left"
            }
            None => "{msg} {spinner} {elapsed}",
        };
        let style = ProgressStyle::with_template(template).expect("the templates here are in order");
        self.bar.set_style(style.progress_chars("##."));
        self.bar.set_message(what.to_owned());
        match of {
            Some(of) => self.bar.set_length(of),
            None => self.bar.unset_length(),
        }
        self.bar.set_position(done);
        self.bar.reset_eta();
        self.bar.reset_elapsed();
    }

    /// So many bytes more.
    pub(crate) fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// So many bytes are done.
    pub(crate) fn set(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Removes it from the terminal.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
