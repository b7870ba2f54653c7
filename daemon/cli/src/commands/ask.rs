//! `mains ask`: one question, one answer.

use std::io::{Read, Write};

use anyhow::Context;
use hyper::Method;
use serde_json::{Value, json};

use super::usage;
use crate::args::AskArgs;
use crate::client::Client;
use crate::exit::Exit;
use crate::stream;

/// Asks and prints the answer as it comes.
pub(crate) async fn run(client: &Client, args: &AskArgs) -> anyhow::Result<Exit> {
    let question = if args.question == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("standard input")?;
        text
    } else {
        args.question.clone()
    };
    let mut messages = stream::opening(&args.sampling);
    messages.push(json!({ "role": "user", "content": question }));
    let body = stream::body(&args.model, &messages, &args.sampling, !args.json);
    if args.json {
        let response = client
            .request(
                Method::POST,
                "/v1/chat/completions",
                Some(body.to_string().into_bytes()),
            )
            .await?;
        let whole: Value = serde_json::from_slice(&client.whole(response).await?)?;
        println!("{whole:#}");
        return Ok(Exit::Ok);
    }
    let mut out = std::io::stdout();
    let answer = stream::answer(client, &body, |text| {
        // A reader that has gone away shows at the last write below.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    })
    .await?;
    writeln!(std::io::stdout())?;
    if answer.finish_reason == "length" {
        eprintln!("(cut at the most tokens)");
    }
    if args.receipt {
        println!();
        usage::print_request(client, &answer.id).await?;
    }
    Ok(Exit::Ok)
}
