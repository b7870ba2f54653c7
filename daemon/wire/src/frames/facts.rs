//! A model's facts on the wire.

use mains_contract::{BlockFormat, Border, Bytes, FootprintModel, FormatCosts, Products, run_count};
use mains_types::{About, Digest, DriverCosts, ModelFacts, RuntimeModel, SharedCosts, TensorFacts};
use serde::{Deserialize, Serialize};

use super::plan::format;
use super::sampling::SamplingDefaultsWire;
use super::{FrameError, bounds};

#[derive(Debug, Serialize, Deserialize)]
pub struct FactsWire {
    family: String,
    digest: [u8; 32],
    file_bytes: u64,
    parameters: u64,
    layers: u32,
    width: u32,
    vocabulary: u32,
    context: u32,
    chat: bool,
    sampling: SamplingDefaultsWire,
    tensors: Vec<TensorWire>,
    /// Numbers a token and an output row, by tensor.
    products: Vec<(u64, u64)>,
    /// Layer and width.
    borders: Vec<(u32, u32)>,
    /// First and last, by tensor.
    parts: Vec<(u32, u32)>,
    costs: Vec<DriverCostsWire>,
    unsupported: Vec<(String, String)>,
    block_tokens: u32,
    /// Fixed, a sequence, a block.
    runtime: [u64; 3],
    /// Title, licence, tokenizer.
    about: [Option<String>; 3],
}

#[derive(Debug, Serialize, Deserialize)]
struct DriverCostsWire {
    driver: String,
    kv: Vec<(u32, FootprintModelWire)>,
    base: FootprintModelWire,
    kinds: Vec<Vec<(u32, FootprintModelWire)>>,
    kind_of: Vec<u32>,
    runs: Vec<Vec<FootprintModelWire>>,
    shared: Vec<SharedCostsWire>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SharedCostsWire {
    tensor: u32,
    earlier: Vec<(u32, FootprintModelWire)>,
    later: Vec<(u32, FootprintModelWire)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct TensorWire {
    name: String,
    format: u32,
    rows: u64,
    cols: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct FootprintModelWire {
    weights: u64,
    state_per_token: u64,
    state_per_sequence: u64,
    activations_per_row: u64,
    activations_per_output_row: u64,
    scratch: u64,
    scratch_per_row: u64,
    scratch_per_context_token: u64,
    scratch_per_table_entry: u64,
    scratch_per_thread: u64,
    scratch_per_thread_and_context_token: u64,
}

impl From<ModelFacts> for FactsWire {
    fn from(facts: ModelFacts) -> Self {
        let tensors = facts.tensors.into_iter().map(|tensor| TensorWire {
            name: tensor.name,
            format: tensor.format.gguf_id(),
            rows: tensor.rows,
            cols: tensor.cols,
        });
        let RuntimeModel {
            fixed,
            per_sequence,
            per_block,
        } = facts.runtime;
        let products = facts.products.into_iter();
        Self {
            family: facts.family,
            digest: facts.digest.0,
            file_bytes: facts.file_bytes.0,
            parameters: facts.parameters,
            layers: facts.layers,
            width: facts.width,
            vocabulary: facts.vocabulary,
            context: facts.context,
            chat: facts.chat,
            sampling: facts.sampling.into(),
            tensors: tensors.collect(),
            products: products.map(|of| (of.per_token, of.per_output_row)).collect(),
            borders: facts
                .borders
                .iter()
                .map(|border| (border.after_layer, border.width))
                .collect(),
            parts: facts.parts,
            costs: facts.costs.into_iter().map(Into::into).collect(),
            unsupported: facts.unsupported,
            block_tokens: facts.block_tokens,
            runtime: [fixed.0, per_sequence.0, per_block.0],
            about: [facts.about.title, facts.about.licence, facts.about.tokenizer],
        }
    }
}

impl TryFrom<FactsWire> for ModelFacts {
    type Error = FrameError;

    fn try_from(wire: FactsWire) -> Result<Self, FrameError> {
        let driver = |name| bounds::text("facts.driver", name, bounds::NAME_BYTES);
        if wire.block_tokens == 0 {
            return Err(FrameError::Invalid {
                what: "facts.block_tokens",
                reason: "a block has at least one position".to_owned(),
            });
        }
        if wire.products.len() != wire.tensors.len() {
            return Err(FrameError::Invalid {
                what: "facts.products",
                reason: format!("{} of {} tensors", wire.products.len(), wire.tensors.len()),
            });
        }
        let borders = bounds::list(
            "facts.borders",
            wire.borders,
            bounds::SEGMENTS,
            |(after_layer, width)| Ok(Border { after_layer, width }),
        )?;
        let products = wire
            .products
            .into_iter()
            .map(|(per_token, per_output_row)| Products {
                per_token,
                per_output_row,
            });
        let tensors: Vec<TensorFacts> =
            bounds::list("facts.tensors", wire.tensors, bounds::TENSORS, TryInto::try_into)?;
        let parts = parts(wire.parts, &borders, tensors.len(), wire.layers)?;
        let [fixed, per_sequence, per_block] = wire.runtime.map(Bytes);
        Ok(Self {
            family: bounds::text("facts.family", wire.family, bounds::NAME_BYTES)?,
            digest: Digest(wire.digest),
            file_bytes: Bytes(wire.file_bytes),
            parameters: wire.parameters,
            layers: wire.layers,
            width: wire.width,
            vocabulary: wire.vocabulary,
            context: wire.context,
            chat: wire.chat,
            sampling: wire.sampling.try_into()?,
            products: products.collect(),
            costs: bounds::list("facts.costs", wire.costs, bounds::DRIVERS, |costs| {
                costs.bounded(tensors.len(), borders.len() + 1)
            })?,
            borders,
            parts,
            unsupported: bounds::list(
                "facts.unsupported",
                wire.unsupported,
                bounds::DRIVERS,
                |(name, reason)| {
                    let reason = bounds::text("facts.unsupported", reason, bounds::MESSAGE_BYTES)?;
                    Ok((driver(name)?, reason))
                },
            )?,
            block_tokens: wire.block_tokens,
            runtime: RuntimeModel {
                fixed,
                per_sequence,
                per_block,
            },
            about: about(wire.about)?,
            // That is kept apart from the model's files.
            sensitivity: None,
            importance: None,
            tensors,
        })
    }
}

/// By tensor, its parts; `borders` grow and are borders between `layers` layers.
fn parts(
    parts: Vec<(u32, u32)>,
    borders: &[Border],
    tensors: usize,
    layers: u32,
) -> Result<Vec<(u32, u32)>, FrameError> {
    let refuse = |what, reason: String| Err(FrameError::Invalid { what, reason });
    let grow = borders
        .windows(2)
        .all(|pair| pair[0].after_layer < pair[1].after_layer);
    if !grow
        || borders
            .last()
            .is_some_and(|last| last.after_layer.saturating_add(1) >= layers)
    {
        return refuse("facts.borders", format!("they are no borders of {layers} layers"));
    }
    if parts.len() != tensors {
        return refuse("facts.parts", format!("{} of {tensors} tensors", parts.len()));
    }
    let is_part = |(first, last): &(u32, u32)| first <= last && *last as usize <= borders.len();
    match parts.iter().find(|parts| !is_part(parts)) {
        Some((first, last)) => refuse(
            "facts.parts",
            format!("parts {first} to {last}, there are {}", borders.len() + 1),
        ),
        None => Ok(parts),
    }
}

fn about(texts: [Option<String>; 3]) -> Result<About, FrameError> {
    let [title, licence, tokenizer] = texts;
    let bounded = |text| bounds::optional_text("facts.about", text, bounds::NAME_BYTES);
    Ok(About {
        title: bounded(title)?,
        licence: bounded(licence)?,
        tokenizer: bounded(tokenizer)?,
    })
}

impl From<DriverCosts> for DriverCostsWire {
    fn from(costs: DriverCosts) -> Self {
        let by_format = |costs: Vec<(BlockFormat, FootprintModel)>| {
            let wire = costs
                .into_iter()
                .map(|(format, model)| (format.gguf_id(), model.into()));
            wire.collect()
        };
        let FormatCosts { base, kinds, kind_of } = costs.formats;
        let shared = costs.shared.into_iter().map(|shared| SharedCostsWire {
            tensor: shared.tensor,
            earlier: by_format(shared.earlier),
            later: by_format(shared.later),
        });
        let runs = costs
            .runs
            .into_iter()
            .map(|runs| runs.into_iter().map(Into::into).collect());
        Self {
            driver: costs.driver,
            kv: by_format(costs.kv),
            base: base.into(),
            kinds: kinds.into_iter().map(by_format).collect(),
            kind_of,
            runs: runs.collect(),
            shared: shared.collect(),
        }
    }
}

impl DriverCostsWire {
    /// Costs of a model with so many tensors and parts.
    fn bounded(self, tensors: usize, parts: usize) -> Result<DriverCosts, FrameError> {
        let by_format = |costs| {
            let most = BlockFormat::ALL.len();
            bounds::list(
                "facts.costs",
                costs,
                most,
                |(id, model): (u32, FootprintModelWire)| Ok((format("facts.costs", id)?, model.into())),
            )
        };
        if self.kind_of.len() != tensors {
            return Err(FrameError::Invalid {
                what: "facts.costs",
                reason: format!("kinds of {} tensors, there are {tensors}", self.kind_of.len()),
            });
        }
        let (types, count) = (self.kv.len(), if parts > 1 { run_count(parts) } else { 0 });
        let is_complete = self.runs.iter().all(|runs| runs.len() == count);
        if !is_complete || self.runs.len() != if parts > 1 { types } else { 0 } {
            return Err(FrameError::Invalid {
                what: "facts.costs.runs",
                reason: format!("not {count} runs for each of {types} types of keys and values"),
            });
        }
        let shared = |shared: SharedCostsWire| {
            Ok(SharedCosts {
                tensor: shared.tensor,
                earlier: by_format(shared.earlier)?,
                later: by_format(shared.later)?,
            })
        };
        let runs = self.runs.into_iter();
        Ok(DriverCosts {
            driver: bounds::text("facts.driver", self.driver, bounds::NAME_BYTES)?,
            runs: runs
                .map(|runs| runs.into_iter().map(Into::into).collect())
                .collect(),
            shared: bounds::list("facts.costs.shared", self.shared, tensors, shared)?,
            kv: by_format(self.kv)?,
            formats: FormatCosts {
                base: self.base.into(),
                kinds: bounds::list("facts.costs", self.kinds, bounds::TENSORS, by_format)?,
                kind_of: self.kind_of,
            },
        })
    }
}

impl TryFrom<TensorWire> for TensorFacts {
    type Error = FrameError;

    fn try_from(wire: TensorWire) -> Result<Self, FrameError> {
        Ok(Self {
            name: bounds::text("tensor.name", wire.name, bounds::NAME_BYTES)?,
            format: format("tensor.format", wire.format)?,
            rows: wire.rows,
            cols: wire.cols,
        })
    }
}

impl From<FootprintModel> for FootprintModelWire {
    fn from(model: FootprintModel) -> Self {
        Self {
            weights: model.weights.0,
            state_per_token: model.state_per_token.0,
            state_per_sequence: model.state_per_sequence.0,
            activations_per_row: model.activations_per_row.0,
            activations_per_output_row: model.activations_per_output_row.0,
            scratch: model.scratch.0,
            scratch_per_row: model.scratch_per_row.0,
            scratch_per_context_token: model.scratch_per_context_token.0,
            scratch_per_table_entry: model.scratch_per_table_entry.0,
            scratch_per_thread: model.scratch_per_thread.0,
            scratch_per_thread_and_context_token: model.scratch_per_thread_and_context_token.0,
        }
    }
}

impl From<FootprintModelWire> for FootprintModel {
    fn from(wire: FootprintModelWire) -> Self {
        Self {
            weights: Bytes(wire.weights),
            state_per_token: Bytes(wire.state_per_token),
            state_per_sequence: Bytes(wire.state_per_sequence),
            activations_per_row: Bytes(wire.activations_per_row),
            activations_per_output_row: Bytes(wire.activations_per_output_row),
            scratch: Bytes(wire.scratch),
            scratch_per_row: Bytes(wire.scratch_per_row),
            scratch_per_context_token: Bytes(wire.scratch_per_context_token),
            scratch_per_table_entry: Bytes(wire.scratch_per_table_entry),
            scratch_per_thread: Bytes(wire.scratch_per_thread),
            scratch_per_thread_and_context_token: Bytes(wire.scratch_per_thread_and_context_token),
        }
    }
}
