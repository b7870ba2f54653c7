//! HTTP/1.1 over a Unix socket: one connection a request.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

/// Largest whole answer that is read: a year of ledger rows of a busy site stays below it.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A request that brought no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody listens, or the socket may not be opened.
    #[error("no daemon answers on {socket}: {cause}\n{}", advice(cause))]
    Unreachable {
        /// The socket.
        socket: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The daemon refused; its own words.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The daemon's message.
        message: String,
        /// The whole body, for those who look further.
        body: Vec<u8>,
    },
    /// The connection broke, or what came was not what was asked for.
    #[error("{socket}: {reason}")]
    Broken {
        /// The socket.
        socket: String,
        /// What happened.
        reason: String,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "this user may not open it: ask the administrator, or use sudo",
        _ => {
            "start it with `systemctl start mainsd`, or try it out with `mains serve`; --socket names another one"
        }
    }
}

/// A daemon's socket.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the daemon behind `socket`.
    pub(crate) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Whether somebody accepts connections there.
    pub(crate) async fn answers(&self) -> bool {
        UnixStream::connect(&self.socket).await.is_ok()
    }

    /// Sends a request and returns the answer as it begins, whatever its status.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        self.send_body(method, path, body).await
    }

    async fn send_body<B>(
        &self,
        method: Method,
        path: &str,
        body: B,
    ) -> Result<Response<Incoming>, ClientError>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|cause| ClientError::Unreachable {
                socket: self.socket.display().to_string(),
                cause,
            })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(&error))?;
        // The connection ends with its answer; its error is the answer's error.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(body)
            .map_err(|error| self.broken(&error))?;
        sender
            .send_request(request)
            .await
            .map_err(|error| self.broken(&error))
    }

    /// Sends a request; an answer that is not a success is an error in the daemon's words.
    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let response = self.send(method, path, body).await?;
        self.accepted(response).await
    }

    /// `response` when it is a success, or the error that it tells.
    async fn accepted(&self, response: Response<Incoming>) -> Result<Response<Incoming>, ClientError> {
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = self.whole(response).await?;
        Err(ClientError::Refused {
            status: status.as_u16(),
            message: message_of(status, &body),
            body,
        })
    }

    /// Reads an answer to its end.
    pub(crate) async fn whole(&self, response: Response<Incoming>) -> Result<Vec<u8>, ClientError> {
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
        let collected = body.collect().await.map_err(|error| self.broken(&error))?;
        Ok(collected.to_bytes().to_vec())
    }

    /// Asks for `path` and reads the JSON that comes.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let response = self.request(Method::GET, path, None).await?;
        let body = self.whole(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(&error))
    }

    /// Posts `body`, which is JSON, to `path` and reads the JSON that comes.
    pub(crate) async fn post_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        let response = self.request(Method::POST, path, Some(body)).await?;
        let body = self.whole(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(&error))
    }

    /// Posts to `path` and reads the JSON that comes.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, ClientError> {
        let response = self
            .request(Method::POST, path, Some(body.to_string().into_bytes()))
            .await?;
        let body = self.whole(response).await?;
        if body.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| self.broken(&error))
    }

    /// Puts `body` to `path` as it comes and reads the JSON that is answered.
    pub(crate) async fn put<T: DeserializeOwned, B>(&self, path: &str, body: B) -> Result<T, ClientError>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let response = self.send_body(Method::PUT, path, body).await?;
        let body = self.whole(self.accepted(response).await?).await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(&error))
    }

    /// An error of this client's connection.
    pub(crate) fn broken(&self, reason: &dyn std::fmt::Display) -> ClientError {
        ClientError::Broken {
            socket: self.socket.display().to_string(),
            reason: reason.to_string(),
        }
    }
}

/// The `error.message` of a body, or the status in words.
fn message_of(status: StatusCode, body: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|body| body.pointer("/error/message")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| format!("the daemon answered {status}"))
}
