//! Values to frames and back, alone or on a stream.

use std::marker::PhantomData;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

use super::FrameError;

/// Bytes of the length before each frame.
const LENGTH_BYTES: usize = 4;

/// A value that travels as one frame.
pub trait Frame: Sized {
    /// Its form on the wire.
    type Wire: Serialize + DeserializeOwned;

    /// The most bytes of such a frame, its length not counted.
    const MAX_BYTES: usize;

    /// The form on the wire.
    fn into_wire(self) -> Self::Wire;

    /// The value, if it keeps every bound.
    ///
    /// # Errors
    /// [`FrameError::Bound`] or [`FrameError::Invalid`] names the field.
    fn from_wire(wire: Self::Wire) -> Result<Self, FrameError>;
}

/// The frame of `value`, without its length.
///
/// # Errors
/// [`FrameError::Oversize`] when it does not fit into a frame.
pub fn encode<F: Frame>(value: F) -> Result<Bytes, FrameError> {
    let bytes = postcard::to_stdvec(&value.into_wire())?;
    check_size::<F>(bytes.len())?;
    Ok(bytes.into())
}

/// The value in `frame`, which has no length before it.
///
/// # Errors
/// [`FrameError`] when it is oversized, malformed or beyond a bound.
pub fn decode<F: Frame>(frame: &[u8]) -> Result<F, FrameError> {
    check_size::<F>(frame.len())?;
    let (wire, rest) = postcard::take_from_bytes(frame)?;
    if !rest.is_empty() {
        return Err(FrameError::Trailing(rest.len()));
    }
    F::from_wire(wire)
}

fn check_size<F: Frame>(bytes: usize) -> Result<(), FrameError> {
    if bytes <= F::MAX_BYTES {
        Ok(())
    } else {
        Err(FrameError::Oversize {
            bytes,
            max: F::MAX_BYTES,
        })
    }
}

/// Reads frames from a stream.
#[derive(Debug)]
pub struct FrameReader<F, R> {
    frames: FramedRead<R, LengthDelimitedCodec>,
    value: PhantomData<fn() -> F>,
}

impl<F: Frame, R: AsyncRead + Unpin> FrameReader<F, R> {
    /// Reads from `stream`.
    pub fn new(stream: R) -> Self {
        let codec = LengthDelimitedCodec::builder()
            .max_frame_length(F::MAX_BYTES)
            .new_codec();
        Self {
            frames: FramedRead::new(stream, codec),
            value: PhantomData,
        }
    }

    /// The next value, or `None` when the stream ended between frames. May be dropped at any await without a loss.
    ///
    /// # Errors
    /// [`FrameError`] when the connection fails or the frame is refused; nothing more can be read then.
    pub async fn next(&mut self) -> Result<Option<F>, FrameError> {
        match self.frames.next().await {
            None => Ok(None),
            Some(frame) => decode(&frame?).map(Some),
        }
    }
}

/// Writes frames to a stream; several may leave in one system call.
#[derive(Debug)]
pub struct FrameWriter<F, W> {
    stream: W,
    pending: BytesMut,
    value: PhantomData<fn(F)>,
}

impl<F: Frame, W: AsyncWrite + Unpin> FrameWriter<F, W> {
    /// Writes to `stream`.
    pub fn new(stream: W) -> Self {
        Self {
            stream,
            pending: BytesMut::new(),
            value: PhantomData,
        }
    }

    /// Appends a frame that leaves with the next [`FrameWriter::flush`].
    ///
    /// # Errors
    /// [`FrameError::Oversize`]; what was queued before stays.
    pub fn queue(&mut self, value: F) -> Result<(), FrameError> {
        let frame = encode(value)?;
        let length = u32::try_from(frame.len()).expect("the bound of a frame is far below 2^32");
        self.pending.reserve(LENGTH_BYTES + frame.len());
        self.pending.put_u32(length);
        self.pending.extend_from_slice(&frame);
        Ok(())
    }

    /// Bytes that are queued.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Sends what is queued. May be dropped at any await and called again without a loss.
    ///
    /// # Errors
    /// [`FrameError::Connection`] when the stream fails.
    pub async fn flush(&mut self) -> Result<(), FrameError> {
        self.stream.write_all_buf(&mut self.pending).await?;
        Ok(self.stream.flush().await?)
    }

    /// Sends one frame, after those that are queued.
    ///
    /// # Errors
    /// As [`FrameWriter::queue`] and [`FrameWriter::flush`].
    pub async fn send(&mut self, value: F) -> Result<(), FrameError> {
        self.queue(value)?;
        self.flush().await
    }
}
