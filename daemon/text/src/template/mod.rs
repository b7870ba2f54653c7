//! Chat templates as Hugging Face's `apply_chat_template` runs them (transformers, `utils/chat_template_utils.py`), on
//! minijinja.

mod continuation;
mod convert;
mod errors;
mod indent;
mod python;
mod tojson;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::ZonedDateTime;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Value};

use crate::controls::{Controls, Rendered};
use crate::{MAX_TEXT_BYTES, TextError, Tokenizer, marks};
use errors::BoundedText;

/// Bytes of a template's source; the longest in use have about 20,000.
pub const MAX_TEMPLATE_BYTES: usize = 1 << 20;

/// Steps of minijinja that one rendering may take: a thousand messages take about 200,000. Also bounds what intermediate strings
/// can grow to, at 64 bytes a step.
pub const TEMPLATE_FUEL: u64 = 4_000_000;

const NAME: &str = "chat template";

/// Variables that callers cannot set.
const RESERVED: [&str; 7] = [
    "messages",
    "tools",
    "add_generation_prompt",
    "bos_token",
    "eos_token",
    "strftime_now",
    "raise_exception",
];

/// A compiled chat template of one model.
pub struct ChatTemplate {
    environment: Environment<'static>,
    controls: Arc<Controls>,
    bos: Option<String>,
    eos: Option<String>,
    /// Variables that it reads and a caller may give.
    variables: BTreeSet<String>,
}

/// One conversation for a template. All JSON is a user's word.
#[derive(Clone, Copy)]
pub struct ChatInput<'a> {
    /// A JSON array of objects, each a message.
    pub messages: &'a str,
    /// A JSON array of tool declarations.
    pub tools: Option<&'a str>,
    /// A JSON object of further variables, such as `enable_thinking`.
    pub variables: Option<&'a str>,
    /// Whether to end with the beginning of an answer.
    pub add_generation_prompt: bool,
    /// Whether to end within the last message, for the model to go on with it. Not together with `add_generation_prompt`.
    pub continue_final_message: bool,
    /// The time that `strftime_now` tells.
    pub now: &'a ZonedDateTime,
}

impl ChatTemplate {
    /// Compiles a template for the tokenizer's model. `bos` and `eos` are those tokens' texts, for the template to write.
    ///
    /// # Errors
    /// [`TextError::BadTemplate`].
    pub fn new(
        source: &str,
        bos: Option<&str>,
        eos: Option<&str>,
        tokenizer: &Tokenizer,
    ) -> Result<Self, TextError> {
        let bad = |reason: String| TextError::BadTemplate { line: None, reason };
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(bad(format!(
                "it has {} bytes, more than {MAX_TEMPLATE_BYTES}",
                source.len()
            )));
        }
        if [Some(source), bos, eos]
            .into_iter()
            .flatten()
            .any(|text| text.contains(marks::is_reserved))
        {
            return Err(bad("it contains Unicode noncharacters".to_owned()));
        }
        let mut environment = environment();
        environment
            .add_template_owned(NAME, without_generation_tags(source))
            .map_err(|error| errors::compile(&error))?;
        let variables = callers_variables(&environment)?;
        Ok(Self {
            environment,
            variables,
            controls: Arc::clone(tokenizer.controls()),
            bos: bos.map(str::to_owned),
            eos: eos.map(str::to_owned),
        })
    }

    /// Checks that the template reads every variable of a JSON object that a caller gives: one that it does not read would be
    /// ignored. [`Self::render`] takes any, as transformers does.
    ///
    /// # Errors
    /// [`TextError::UnreadVariable`], [`TextError::ReservedVariable`], [`TextError::BadInput`].
    pub fn check_variables(&self, variables: &str) -> Result<(), TextError> {
        let given = convert::variables(variables)?;
        match given.keys().find(|name| !self.variables.contains(*name)) {
            None => Ok(()),
            Some(name) => Err(TextError::UnreadVariable {
                name: name.clone(),
                known: match self.variables.iter().map(String::as_str).collect::<Vec<_>>() {
                    known if known.is_empty() => "none".to_owned(),
                    known => known.join(", "),
                },
            }),
        }
    }

    /// Renders a conversation.
    ///
    /// # Errors
    /// All are the request's fault: [`TextError::BadInput`], [`TextError::ReservedVariable`], [`TextError::Refused`] with the
    /// template's own words, [`TextError::TemplateFailed`], [`TextError::TooLong`], [`TextError::ControlText`].
    pub fn render(&self, input: &ChatInput<'_>) -> Result<Rendered, TextError> {
        let parsed = convert::Parsed::new(input)?;
        let mut changed = false;
        let marking = parsed.context(&mut |text| {
            let marked = self.controls.mark(text).into_owned();
            changed |= marked != text;
            marked
        });
        let run = |context| {
            let text = self.run(context, input)?;
            match parsed.unfinished() {
                Some(message) => continuation::cut(text, message),
                None => Ok(text),
            }
        };
        let marked = run(marking);
        if !changed {
            return Ok(Rendered { marked: marked? });
        }
        // Marks are not to change what a template does. Where they would have, there is no telling who wrote what.
        let plain = run(parsed.context(&mut |text: &str| text.to_owned()))?;
        match marked {
            Ok(marked) if marks::unmark(&marked) == plain => Ok(Rendered { marked }),
            _ => Err(TextError::ControlText),
        }
    }

    fn run(&self, mut context: Vec<(String, Value)>, input: &ChatInput<'_>) -> Result<String, TextError> {
        let now = input.now.clone();
        context.push(("strftime_now".to_owned(), python::strftime_now(now)));
        context.push((
            "add_generation_prompt".to_owned(),
            Value::from(input.add_generation_prompt),
        ));
        for (name, token) in [("bos_token", &self.bos), ("eos_token", &self.eos)] {
            if let Some(token) = token {
                context.push((name.to_owned(), Value::from(token.as_str())));
            }
        }
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|error| errors::compile(&error))?;
        let mut text = BoundedText::new(MAX_TEXT_BYTES);
        let done = template
            .render_captured_to(Value::from_pairs(context), &mut text)
            .map(drop);
        text.finish(done)
    }
}

impl std::fmt::Debug for ChatTemplate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ChatTemplate")
            .field("bos", &self.bos)
            .field("eos", &self.eos)
            .finish_non_exhaustive()
    }
}

/// The names that a template takes from its caller, beyond those that are set here.
fn callers_variables(environment: &Environment<'_>) -> Result<BTreeSet<String>, TextError> {
    let template = environment
        .get_template(NAME)
        .map_err(|error| errors::compile(&error))?;
    let names = template.undeclared_variables(false).into_iter();
    let callers = names.filter(|name| !RESERVED.contains(&name.as_str()));
    Ok(callers
        .filter(|name| environment.globals().all(|(global, _)| global != name))
        .collect())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .expect("the default delimiters are valid");
    environment.set_syntax(syntax);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_formatter(tojson::print);
    environment.set_fuel(Some(TEMPLATE_FUEL));
    environment.set_unknown_method_callback(python::method);
    environment.add_filter("tojson", tojson::tojson);
    environment.add_filter("string", tojson::string);
    environment.add_filter("trim", python::trim);
    environment.add_filter("indent", indent::indent);
    environment.add_test("sequence", python::is_sequence);
    environment.add_test("iterable", python::is_iterable);
    environment.add_function("raise_exception", errors::raise_exception);
    environment
}

/// Turns `{% generation %}` blocks, which only mark what to train on, into blocks that always apply, with their whitespace control.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out.push_str(before);
        let word = tag.trim_start_matches(['-', '+']).trim_start();
        out.push_str(&tag[..tag.len() - word.len()]);
        rest = word;
        for (name, instead) in [("generation", "if true"), ("endgeneration", "endif")] {
            let after = word.strip_prefix(name);
            if let Some(after) =
                after.filter(|after| after.trim_start_matches([' ', '-', '+', '\n']).starts_with("%}"))
            {
                out.push_str(instead);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
