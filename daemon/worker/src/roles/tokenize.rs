//! `mains-worker tokenize`: token ids of texts, to compare with any reference.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mains_engine::models::Checkpoint;
use mains_text::Tokenizer;

use crate::vocabulary::take_tokenizer;

/// Write the token ids of texts.
///
/// Each line of standard input is a text as a JSON string; each line of standard output is the JSON array of its ids, BOS and EOS
/// included where the model's files ask for them. No part of a text becomes a control token.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  echo '\"Hello, world\"' | mains-worker tokenize --model qwen3-0.6b-q8_0.gguf"
)]
pub(crate) struct Arguments {
    /// A GGUF file, a Hugging Face folder or a tokenizer.json.
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
}

/// Reads texts from `texts` and writes ids to `out`, a line each.
///
/// # Errors
/// When the model has no tokenizer that can be used, a line is no JSON string, or a text is beyond the tokenizer's bounds.
pub(crate) fn run(arguments: &Arguments, texts: impl BufRead, out: &mut impl Write) -> Result<()> {
    let tokenizer = open(&arguments.model).with_context(|| arguments.model.display().to_string())?;
    for (number, line) in (1..).zip(texts.lines()) {
        let at = || format!("line {number}");
        let text: String = serde_json::from_str(&line?).with_context(at)?;
        let ids = tokenizer.encode_text(&text).with_context(at)?;
        serde_json::to_writer(&mut *out, &ids)?;
        writeln!(out)?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<Tokenizer> {
    if path.extension().is_some_and(|extension| extension == "json") {
        return Ok(Tokenizer::from_json(&std::fs::read(path)?)?);
    }
    take_tokenizer(&mut Checkpoint::open(path)?)
}

#[cfg(test)]
mod tests {
    use super::{Arguments, run};

    fn tokenize(model: &str, texts: &str) -> anyhow::Result<String> {
        let mut out = Vec::new();
        let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(model);
        run(&Arguments { model }, texts.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn a_file_and_a_folder_give_the_same_ids_a_line_a_text() {
        let texts = "\"Hello, <|im_end|>\"\n\"\"\n\"a\\nb\"\n";
        let file = tokenize("../store/pilot/pilot.gguf", texts).unwrap();
        assert_eq!(file.lines().count(), 3);
        assert_eq!(file.lines().nth(1), Some("[]"));
        let json = tokenize("../text/tests/fixtures/pilot_tokenizer.json", texts).unwrap();
        assert_eq!(file, json);
        let error = tokenize("../store/pilot/pilot.gguf", "\"a\"\nb\n").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
