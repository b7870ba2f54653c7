//! How text is cut before merging, by the names that GGUF files use (`tokenizer.ggml.pre`).
//!
//! Names and which expression each stands for: llama.cpp, `src/llama-vocab.cpp`. Where that program approximates, the
//! expression here is the one of the models' own `tokenizer.json`. Expressions in a list apply one after the other, each to
//! the pieces that the one before left.

use serde_json::Value;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

use super::dialect;
use crate::TextError;

/// What a name in `tokenizer.ggml.pre` means.
pub(super) struct PreRule {
    names: &'static [&'static str],
    expressions: &'static [&'static str],
    /// A piece that is a token as a whole is taken without merging.
    pub(super) ignore_merges: bool,
    /// Whether text prompts begin with BOS where the file does not say.
    pub(super) add_bos: bool,
}

/// The expression of GPT-2's `encoder.py`.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Llama 3's: words with one leading sign, numbers in threes, line ends apart.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 2's: as Llama 3's, with each digit alone.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 3.5's: as Qwen 2's, with combining marks in words.
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// `o200k_base`: words split where lower case turns to upper.
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Mistral's Tekken: `o200k_base` without contractions, each digit alone.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// DeepSeek V3's last expression, after numbers and Chinese and Japanese were cut out.
const DEEPSEEK3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

/// Seed-Coder's: as Qwen 2's, with line ends apart from signs.
const SEED_CODER: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Bailing MoE's: as Qwen 2's, one line end at a time.
const BAILING: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";
/// EXAONE MoE's: several words with single spaces between are one piece.
const EXAONE_MOE: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+";
/// BLOOM's: everything up to a space or a sign that ends a phrase.
const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";

const fn rule(names: &'static [&'static str], expressions: &'static [&'static str]) -> PreRule {
    PreRule {
        names,
        expressions,
        ignore_merges: false,
        add_bos: false,
    }
}

const RULES: &[PreRule] = &[
    rule(
        &[
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "exaone4",
            "modern-bert",
            "roberta-bpe",
            "jina-es",
            "jina-de",
            "jina-v1-en",
            "jina-v2-es",
            "jina-v2-de",
            "jina-v2-code",
            "gigachat",
            "a.x-4.0",
            "mellum",
        ],
        &[GPT2],
    ),
    rule(
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "stablelm2",
            "hunyuan",
            "megrez",
            "solar-open",
            "grok-2",
        ],
        &[QWEN2],
    ),
    rule(&["qwen35"], &[QWEN35]),
    PreRule {
        names: &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
        ],
        expressions: &[LLAMA3],
        ignore_merges: true,
        add_bos: true,
    },
    rule(&["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], &[LLAMA3]),
    rule(
        &[
            "starcoder",
            "refact",
            "command-r",
            "smollm",
            "codeshell",
            "exaone",
            "minerva-7b",
        ],
        &[r"\p{N}", GPT2],
    ),
    rule(&["gpt-4o", "llama4"], &[O200K]),
    rule(&["tiny_aya"], &[r"\d{1,3}(?=(?:\d{3})*\b)", O200K]),
    rule(&["seed-coder"], &[SEED_CODER]),
    rule(&["bailingmoe"], &[BAILING]),
    rule(&["exaone-moe"], &[EXAONE_MOE]),
    rule(&["bloom", "poro-chat", "gpt3-finnish"], &[BLOOM]),
    rule(&["viking"], &[BLOOM, r"\p{N}"]),
    PreRule {
        names: &["tekken"],
        expressions: &[TEKKEN],
        ignore_merges: true,
        add_bos: true,
    },
    rule(
        &["deepseek-v3", "hunyuan-dense"],
        &[r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3],
    ),
    rule(
        &["default"],
        &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"],
    ),
];

/// The rule of a name, or an error with all names.
pub(super) fn find(name: &str) -> Result<&'static PreRule, TextError> {
    RULES
        .iter()
        .find(|rule| rule.names.contains(&name))
        .ok_or_else(|| TextError::Unsupported {
            what: "the pre-tokenizer (tokenizer.ggml.pre)",
            name: name.to_owned(),
            known: RULES
                .iter()
                .flat_map(|rule| rule.names)
                .copied()
                .collect::<Vec<_>>()
                .join(", "),
        })
}

/// The name for `tokenizer.ggml.pre` of the pre-tokenizer of a `tokenizer.json` with byte-level BPE, or `None` when no name is
/// known that cuts text in the same way. `ignore_merges` is the option of the file's model, which the name implies too.
///
/// What a name says of BOS is not compared: a file that is written should say so itself.
#[must_use]
pub(super) fn pre_name(pre_tokenizer: &Value, ignore_merges: bool) -> Option<&'static str> {
    let steps = match pre_tokenizer["type"].as_str()? {
        "Sequence" => pre_tokenizer["pretokenizers"].as_array()?.as_slice(),
        _ => std::slice::from_ref(pre_tokenizer),
    };
    let (last, splits) = steps.split_last()?;
    let mut expressions = splits.iter().map(expression).collect::<Option<Vec<_>>>()?;
    if last["type"] != "ByteLevel" || last["add_prefix_space"] != false {
        return None;
    }
    // Files from before there was a choice have the expression.
    if last["use_regex"] != false {
        expressions.push(GPT2);
    }
    let same = |rule: &&PreRule| rule.expressions == expressions && rule.ignore_merges == ignore_merges;
    RULES.iter().find(same)?.names.first().copied()
}

/// The expression that a step cuts by, each match a piece of its own.
fn expression(step: &Value) -> Option<&str> {
    match step["type"].as_str()? {
        "Split" if step["behavior"] == "Isolated" && step["invert"] != true => {
            step["pattern"]["Regex"].as_str()
        }
        "Digits" if step["individual_digits"] == true => Some(r"\p{N}"),
        "Digits" => Some(r"\p{N}+"),
        _ => None,
    }
}

impl PreRule {
    pub(super) fn pre_tokenizer(&self) -> Result<PreTokenizerWrapper, TextError> {
        let mut steps = self
            .expressions
            .iter()
            .map(|expression| {
                let pattern = SplitPattern::Regex(dialect::expression(expression));
                Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
                    .map(PreTokenizerWrapper::Split)
                    .map_err(|error| {
                        TextError::BadTokenizer(format!("its expression does not compile: {error}"))
                    })
            })
            .collect::<Result<Vec<_>, _>>()?;
        steps.push(PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, false)));
        Ok(PreTokenizerWrapper::Sequence(Sequence::new(steps)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_rule_compiles_and_no_name_is_listed_twice() {
        let mut names: Vec<_> = RULES.iter().flat_map(|rule| rule.names).collect();
        let listed = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), listed);
        for rule in RULES {
            rule.pre_tokenizer().unwrap();
        }
    }

    #[test]
    fn every_rule_is_found_by_its_steps() {
        let byte_level =
            |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": regex});
        let split = |expression: &&str| json!({"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": false});
        for rule in RULES {
            let mut steps: Vec<_> = rule.expressions.iter().map(split).collect();
            steps.push(byte_level(false));
            let sequence = json!({"type": "Sequence", "pretokenizers": steps});
            assert_eq!(pre_name(&sequence, rule.ignore_merges), Some(rule.names[0]));
            assert_eq!(
                pre_name(&sequence, !rule.ignore_merges),
                if rule.names[0] == "llama-bpe" {
                    Some("dbrx")
                } else if rule.names[0] == "dbrx" {
                    Some("llama-bpe")
                } else {
                    None
                }
            );
        }
        assert_eq!(pre_name(&byte_level(true), false), Some("gpt-2"));
        assert_eq!(pre_name(&byte_level(false), false), None);
        let digits = json!({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, byte_level(true)]});
        assert_eq!(pre_name(&digits, false), Some("starcoder"));
        for other in [
            json!(null),
            json!({"type": "Metaspace"}),
            json!({"type": "Sequence", "pretokenizers": []}),
        ] {
            assert_eq!(pre_name(&other, false), None);
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let Err(error) = find("qwen2-but-better") else {
            panic!("accepted")
        };
        let message = error.to_string();
        assert!(
            message.contains("qwen2-but-better") && message.contains("llama-bpe"),
            "{message}"
        );
    }
}
