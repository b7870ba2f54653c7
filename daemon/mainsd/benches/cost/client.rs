//! Clients that stream chat completions, at the least cost of their own.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

/// What every token of the null worker looks like in a chunk; the chunk with the role has an empty content.
const TOKEN: &[u8] = br#""content":"null ""#;
/// The end of a chunked body.
const END: &[u8] = b"\r\n0\r\n\r\n";
/// Bytes of an answer's end that an error quotes.
const QUOTED: usize = 400;

/// `streams` connections that each ask `each` times for `tokens` tokens.
pub(crate) struct Load<'a> {
    pub(crate) socket: &'a Path,
    pub(crate) model: &'static str,
    pub(crate) streams: usize,
    pub(crate) each: usize,
    pub(crate) tokens: u32,
}

/// Since the request was written.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    /// Until the first token was read.
    pub(crate) first: Duration,
    /// Until all was read.
    pub(crate) whole: Duration,
}

/// Runs the load to its end.
pub(crate) async fn drive(load: &Load<'_>) -> Result<Vec<Timing>> {
    let mut clients = JoinSet::new();
    for _ in 0..load.streams {
        let mut stream = UnixStream::connect(load.socket).await?;
        let (request, each, tokens) = (request(load), load.each, load.tokens as usize);
        clients.spawn(async move {
            let mut timings = Vec::with_capacity(each);
            let mut answer = Vec::new();
            for _ in 0..each {
                answer.clear();
                timings.push(ask(&mut stream, &request, &mut answer).await?);
                check(&answer, tokens)?;
            }
            anyhow::Ok(timings)
        });
    }
    let mut timings = Vec::with_capacity(load.streams * load.each);
    while let Some(client) = clients.join_next().await {
        timings.extend(client??);
    }
    Ok(timings)
}

fn request(load: &Load<'_>) -> String {
    let body = format!(
        r#"{{"model":"{}","stream":true,"max_tokens":{},"messages":[{{"role":"user","content":"What is 17 + 25?"}}]}}"#,
        load.model, load.tokens
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn ask(stream: &mut UnixStream, request: &str, answer: &mut Vec<u8>) -> Result<Timing> {
    let start = Instant::now();
    stream.write_all(request.as_bytes()).await?;
    let mut first = None;
    while !answer.ends_with(END) {
        let read = stream.read_buf(answer).await?;
        ensure!(
            read > 0,
            "the connection ended in the middle of an answer:\n{}",
            tail(answer)
        );
        if first.is_none() && count(answer) > 0 {
            first = Some(start.elapsed());
        }
    }
    Ok(Timing {
        first: first.with_context(|| format!("an answer without a token:\n{}", tail(answer)))?,
        whole: start.elapsed(),
    })
}

/// An error would be measured as a cheap answer.
fn check(answer: &[u8], tokens: usize) -> Result<()> {
    let received = count(answer);
    ensure!(
        answer.starts_with(b"HTTP/1.1 200 ") && received == tokens,
        "{received} of {tokens} tokens:\n{}",
        tail(answer)
    );
    Ok(())
}

fn count(answer: &[u8]) -> usize {
    answer
        .windows(TOKEN.len())
        .filter(|window| *window == TOKEN)
        .count()
}

fn tail(answer: &[u8]) -> String {
    String::from_utf8_lossy(
        answer
            .get(answer.len().saturating_sub(QUOTED)..)
            .unwrap_or_default(),
    )
    .into_owned()
}
