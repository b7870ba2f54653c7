//! The model in other types: the options of its file again, so that a load of it does what a load of the model does.

use anyhow::Result;
use mains_wire::frames::{ConvertOrder, FromWorker};
use tokio::sync::mpsc;

use crate::behaviour::{Behaviour, Making, die, hang};
use crate::said;

/// Bytes of the file: several pieces.
const FILE_BYTES: usize = 1000;
const PIECE_BYTES: usize = 300;

/// Says the file, or misbehaves as the options say.
pub(crate) async fn convert(
    behaviour: &Behaviour,
    order: &ConvertOrder,
    frames: &mpsc::Sender<FromWorker>,
) -> Result<()> {
    let mut file = std::fs::read(&order.path)?;
    // Empty lines are no options.
    file.resize(FILE_BYTES.max(file.len()), b'\n');
    let all = file.len() as u64;
    let (announced, pieces) = match behaviour.file {
        Making::Ok | Making::Die | Making::Hang => (all, file.len()),
        Making::Error => {
            let refused = "the null worker was told to refuse this conversion".to_owned();
            frames.send(FromWorker::Error(refused)).await?;
            return Ok(());
        }
        Making::Short => (all, file.len() - 1),
        Making::Long => (all - 1, file.len()),
        Making::Huge => (u64::MAX, 0),
    };
    frames.send(FromWorker::Writing { bytes: announced }).await?;
    for piece in file[..pieces].chunks(PIECE_BYTES) {
        frames.send(FromWorker::Piece(piece.to_vec())).await?;
        if matches!(behaviour.file, Making::Die | Making::Hang) {
            said(frames).await;
            if behaviour.file == Making::Die {
                die();
            }
            hang();
        }
    }
    frames.send(FromWorker::Written).await?;
    Ok(())
}
