//! Frames on a stream, in pieces of any size.

use mains_wire::frames::{FrameError, FrameReader, FrameWriter, FromWorker, bounds};
use tokio::io::{AsyncWriteExt, duplex};

use crate::samples;

#[tokio::test]
async fn frames_cross_a_stream_in_any_pieces() {
    // A pipe of 7 bytes cuts every frame, its length included.
    let (ours, theirs) = duplex(7);
    let frames: Vec<FromWorker> = samples::from_worker()
        .into_iter()
        .map(|(_, frame)| frame)
        .collect();
    let sent = frames.clone();
    let sending = tokio::spawn(async move {
        let mut writer = FrameWriter::new(theirs);
        for frame in sent {
            writer.queue(frame)?;
        }
        assert!(writer.pending() > 0);
        writer.flush().await?;
        assert_eq!(writer.pending(), 0);
        Ok::<_, FrameError>(())
    });
    let mut reader = FrameReader::<FromWorker, _>::new(ours);
    for frame in frames {
        assert_eq!(reader.next().await.unwrap(), Some(frame));
    }
    sending.await.unwrap().unwrap();
    assert_eq!(reader.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_length_beyond_the_bound_is_refused_before_it_is_read() {
    let (ours, mut theirs) = duplex(16);
    let length = u32::try_from(bounds::FROM_WORKER_BYTES + 1).unwrap();
    theirs.write_u32(length).await.unwrap();
    let mut reader = FrameReader::<FromWorker, _>::new(ours);
    assert!(matches!(reader.next().await, Err(FrameError::Connection(_))));
}

#[tokio::test]
async fn an_end_inside_a_frame_is_an_error() {
    let (ours, mut theirs) = duplex(16);
    theirs.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
    drop(theirs);
    let mut reader = FrameReader::<FromWorker, _>::new(ours);
    assert!(matches!(reader.next().await, Err(FrameError::Connection(_))));
}
