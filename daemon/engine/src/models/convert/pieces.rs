//! A tensor's numbers in their new format: pieces of rows, made by several threads and written in order.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use mains_blocks::{BlockFormat, dequantize};

use super::ConvertError;
use super::tensors::Planned;
use crate::importance::{Importance, Weighting};
use crate::models::Weights;

/// Numbers of a piece, or one row where that is longer: enough to make a thread's turn cheap, and 1 MiB of float32.
const PIECE_NUMBERS: usize = 1 << 18;
/// Finished pieces that wait to be written, a thread: writing then seldom holds up quantizing.
const WAITING: usize = 4;

/// Writes a tensor's numbers in its new format.
pub(super) fn write(
    weights: &Weights,
    planned: &Planned,
    importance: &Importance,
    threads: NonZero<usize>,
    out: &mut dyn Write,
) -> Result<(), ConvertError> {
    let name = &planned.spec.name;
    let stored = match &planned.numbers {
        Some(numbers) => Cow::Owned(numbers.iter().flat_map(|number| number.to_le_bytes()).collect()),
        None => weights.exported(name).map_err(ConvertError::Weight)?,
    };
    let (cols, from) = planned.shape;
    let to = planned.spec.format;
    if from == to {
        out.write_all(&stored)?;
        weights.release(&stored);
        return Ok(());
    }
    let whole = "rows were checked against both formats when they were planned";
    let rows = Rows {
        name,
        stored: &stored,
        cols,
        from,
        from_row: from.row_bytes(cols).expect(whole),
        to,
        to_row: to.row_bytes(cols).expect(whole),
        weighting: if to.is_quantized() {
            importance.weighting(name, cols)?
        } else {
            Weighting::default()
        },
    };
    rows.check()?;
    let pieces = rows.pieces();
    let threads = threads.get().min(pieces.len()).max(1);
    let next = AtomicUsize::new(0);
    let (sender, receiver) = sync_channel(WAITING * threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (rows, pieces, next, sender) = (&rows, &pieces, &next, sender.clone());
            scope.spawn(move || rows.work(weights, pieces, next, &sender));
        }
        drop(sender);
        in_order(receiver, out)
    })
}

type Made = (usize, Result<Vec<u8>, ConvertError>);

/// Writes what arrives in the order of the pieces. Few wait meanwhile: pieces are claimed in order.
fn in_order(receiver: Receiver<Made>, out: &mut dyn Write) -> Result<(), ConvertError> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    for (piece, bytes) in receiver {
        waiting.insert(piece, bytes?);
        while let Some(bytes) = waiting.remove(&next) {
            out.write_all(&bytes)?;
            next += 1;
        }
    }
    Ok(())
}

/// A tensor on its way from one format to another.
struct Rows<'a> {
    name: &'a str,
    stored: &'a [u8],
    cols: usize,
    from: BlockFormat,
    from_row: usize,
    to: BlockFormat,
    to_row: usize,
    weighting: Weighting<'a>,
}

impl Rows<'_> {
    fn count(&self) -> usize {
        self.stored.len() / self.from_row.max(1)
    }

    fn check(&self) -> Result<(), ConvertError> {
        let Some(importance) = self.weighting.columns() else {
            return Ok(());
        };
        let matrices = importance.len() / self.cols.max(1);
        let suits = matrices > 0
            && importance.len().is_multiple_of(self.cols)
            && self.count().is_multiple_of(matrices);
        if suits {
            return Ok(());
        }
        Err(ConvertError::Importance {
            name: self.name.to_owned(),
            found: importance.len(),
            columns: self.cols,
        })
    }

    /// Rows of one importance.
    fn matrix_rows(&self) -> usize {
        self.count() / self.weighting.matrices()
    }

    /// Pieces of rows; none has rows of two matrices of a stack.
    fn pieces(&self) -> Vec<Range<usize>> {
        let matrix = self.matrix_rows().max(1);
        let most = (PIECE_NUMBERS / self.cols.max(1)).max(1);
        let matrices = (0..self.count()).step_by(matrix);
        matrices
            .flat_map(|first| {
                let starts = (first..first + matrix).step_by(most);
                starts.map(move |start| start..(start + most).min(first + matrix))
            })
            .collect()
    }

    /// Makes pieces until none is left or nobody takes them.
    fn work(
        &self,
        weights: &Weights,
        pieces: &[Range<usize>],
        next: &AtomicUsize,
        sender: &SyncSender<Made>,
    ) {
        let mut numbers = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(rows) = pieces.get(index) else { return };
            let stored = &self.stored[rows.start * self.from_row..rows.end * self.from_row];
            let made = self.piece(rows, stored, &mut numbers);
            weights.release(stored);
            if sender.send((index, made)).is_err() {
                return;
            }
        }
    }

    fn piece(
        &self,
        rows: &Range<usize>,
        stored: &[u8],
        numbers: &mut Vec<f32>,
    ) -> Result<Vec<u8>, ConvertError> {
        let matrix = rows.start / self.matrix_rows().max(1);
        numbers.resize(rows.len() * self.cols, 0.0);
        let mut bytes = vec![0; rows.len() * self.to_row];
        dequantize(self.from, stored, numbers)
            .and_then(|()| self.weighting.quantize(self.to, numbers, matrix, &mut bytes))
            .map_err(|source| ConvertError::Tensor {
                name: self.name.to_owned(),
                row: rows.start,
                source,
            })?;
        Ok(bytes)
    }
}
