//! `mains chat`: a conversation at a terminal or from a pipe. It lives in this process alone.

use std::io::{BufRead, IsTerminal, Write};

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use serde_json::{Value, json};

use crate::args::ChatArgs;
use crate::client::{Client, ClientError};
use crate::exit::Exit;
use crate::stream;

/// Where lines come from.
enum Input {
    /// A person, with line editing.
    Terminal(Box<DefaultEditor>),
    /// A program.
    Pipe,
}

impl Input {
    /// The next line, or `None` at the end.
    fn line(&mut self) -> anyhow::Result<Option<String>> {
        match self {
            Self::Terminal(editor) => loop {
                match editor.readline("> ") {
                    Ok(line) => {
                        editor.add_history_entry(&line)?;
                        return Ok(Some(line));
                    }
                    Err(ReadlineError::Interrupted) => println!("(/quit or Ctrl-D ends)"),
                    Err(ReadlineError::Eof) => return Ok(None),
                    Err(error) => return Err(error.into()),
                }
            },
            Self::Pipe => {
                let mut line = String::new();
                let read = std::io::stdin().lock().read_line(&mut line)?;
                Ok((read > 0).then_some(line))
            }
        }
    }
}

/// Reads lines and prints answers until the end of the input.
pub(crate) async fn run(client: &Client, args: &ChatArgs) -> anyhow::Result<Exit> {
    let model: Value = client.get(&super::model_path(&args.model, "")).await?;
    let mut input = if std::io::stdin().is_terminal() {
        println!(
            "Talking with {}. /reset forgets, /quit ends, Ctrl-C stops an answer.",
            model["id"]
        );
        Input::Terminal(Box::new(DefaultEditor::new()?))
    } else {
        Input::Pipe
    };
    let mut messages = stream::opening(&args.sampling);
    while let Some(line) = input.line()? {
        match line.trim() {
            "" => {}
            "/quit" => break,
            "/reset" => messages = stream::opening(&args.sampling),
            command if command.starts_with('/') => eprintln!("{command}: no such command; /reset or /quit"),
            text => turn(client, args, &mut messages, text, matches!(input, Input::Pipe)).await?,
        }
    }
    Ok(Exit::Ok)
}

/// One question and its answer. At a terminal a refusal is shown and the conversation goes on.
async fn turn(
    client: &Client,
    args: &ChatArgs,
    messages: &mut Vec<Value>,
    text: &str,
    strict: bool,
) -> anyhow::Result<()> {
    messages.push(json!({ "role": "user", "content": text }));
    let body = stream::body(&args.model, messages, &args.sampling, true);
    let mut out = std::io::stdout();
    let mut shown = String::new();
    let result = {
        let answer = stream::answer(client, &body, |piece| {
            shown.push_str(piece);
            // A reader that has gone away shows at the line's end below.
            let _ = out.write_all(piece.as_bytes()).and_then(|()| out.flush());
        });
        tokio::select! {
            answer = answer => Some(answer),
            _ = tokio::signal::ctrl_c() => None,
        }
    };
    writeln!(std::io::stdout())?;
    match result {
        None => {
            eprintln!("(stopped)");
            messages.push(json!({ "role": "assistant", "content": shown }));
        }
        Some(Ok(answer)) => messages.push(json!({ "role": "assistant", "content": answer.text })),
        Some(Err(error @ ClientError::Refused { .. })) if !strict => {
            eprintln!("{error}");
            messages.pop();
        }
        Some(Err(error)) => return Err(error.into()),
    }
    Ok(())
}
