//! `Unpack`: the files of the model in a tar, one after the other.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use mains_formats::tar;
use mains_wire::frames::FromWorker;

use super::pieces::Pieces;
use crate::inbox::{Inbox, Outbox};

/// Says every file of the model in the tar at `path`.
///
/// # Errors
/// When it is no tar of one model, before the first file; when the connection is gone.
pub(super) fn answer(path: &Path, inbox: &Inbox<Infallible>, outbox: &Outbox) -> Result<()> {
    let at = || path.display().to_string();
    let mut tar = File::open(path).with_context(at)?;
    for file in tar::model_files(&mut tar)? {
        outbox.say(FromWorker::File {
            name: file.name().to_owned(),
            bytes: file.bytes,
        })?;
        let mut pieces = Pieces::new(inbox, outbox);
        let said = io::copy(&mut tar::reader(&mut tar, &file)?, &mut pieces).with_context(at)?;
        ensure!(said == file.bytes, "{} changed while it was read", file.name());
        pieces.flush()?;
    }
    outbox.say(FromWorker::Written)
}
