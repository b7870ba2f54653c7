//! A tar that is the options of the model in it: one file, which says the same again, or what no honest worker says.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::Result;
use mains_wire::frames::FromWorker;
use tokio::sync::mpsc;

use crate::behaviour::{Behaviour, Unpacking, die, hang};
use crate::said;

/// What the only file is called.
const NAME: &str = "m.gguf";

/// Says the file of the tar at `path`, or misbehaves as the options in it say; `raw` is the connection below the frames.
pub(crate) async fn unpack(
    behaviour: &Behaviour,
    path: &Path,
    frames: &mpsc::Sender<FromWorker>,
    mut raw: &UnixStream,
) -> Result<()> {
    let file = std::fs::read(path)?;
    let all = file.len() as u64;
    let named = |name: &str, bytes| FromWorker::File {
        name: name.to_owned(),
        bytes,
    };
    let honest = [
        named(NAME, all),
        FromWorker::Piece(file.clone()),
        FromWorker::Written,
    ];
    let [begin, piece, end] = honest;
    let words = match behaviour.unpack {
        Unpacking::Ok => vec![begin, piece, end],
        Unpacking::Error => vec![
            begin,
            FromWorker::Error("the null worker was told to refuse this tar".to_owned()),
        ],
        Unpacking::Short => vec![begin, FromWorker::Piece(file[1..].to_vec()), end],
        Unpacking::Long => vec![begin, piece.clone(), piece, end],
        Unpacking::Huge => vec![named(NAME, all + 1), piece, end],
        Unpacking::Overflowing => vec![named(NAME, u64::MAX), piece, end],
        Unpacking::Outside => vec![named("../m.gguf", all), piece, end],
        Unpacking::Twice => vec![named(NAME, 0), named(NAME, all), piece, end],
        Unpacking::Early => vec![piece, begin, end],
        Unpacking::None => vec![end],
        Unpacking::Strange => vec![begin, FromWorker::Pong(7)],
        Unpacking::Garbage | Unpacking::Die | Unpacking::Hang => vec![begin, piece],
    };
    for word in words {
        frames.send(word).await?;
    }
    match behaviour.unpack {
        Unpacking::Garbage => {
            said(frames).await;
            // A length that no frame has.
            Ok(raw.write_all(&[0xff; 64])?)
        }
        Unpacking::Die => {
            said(frames).await;
            die()
        }
        Unpacking::Hang => {
            said(frames).await;
            hang()
        }
        _ => Ok(()),
    }
}
