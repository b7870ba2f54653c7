//! A model's files as one GGUF file: which keys, and which tensors in which formats.
//!
//! A Hugging Face folder becomes what llama.cpp's converter makes of it; a GGUF file keeps its metadata and gets other
//! formats. The model is opened as for loading first, so that nothing is converted that could not be loaded.

mod error;
mod general;
mod pieces;
mod tensors;
mod tokenizer;

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZero;
use std::sync::Arc;

use mains_blocks::BlockFormat;
use mains_formats::{GgufWriter, Value};

pub use error::ConvertError;

use crate::importance::Importance;
use crate::models::{Checkpoint, Model, ModelOptions, Weights};
use tensors::Planned;

/// What the new file should be.
#[derive(Debug, Clone, Default)]
pub struct ConvertOptions {
    /// The format of matrices; none keeps each as it is. Vectors are F32 in every file that is made of a folder.
    pub format: Option<BlockFormat>,
    /// The formats of these matrices, by their GGUF names, whatever the others'.
    pub formats: BTreeMap<String, BlockFormat>,
    /// What errors in the columns of matrices cost; those that it does not name are quantized without.
    pub importance: Importance,
    /// `general.name`; a GGUF file keeps its own when none is given.
    pub name: Option<String>,
    /// `general.license`, an SPDX expression such as `Apache-2.0`.
    pub license: Option<String>,
    /// `general.description`.
    pub description: Option<String>,
}

/// A conversion that was planned and can be written.
#[derive(Debug)]
pub struct Conversion {
    weights: Weights,
    writer: GgufWriter,
    tensors: Vec<Planned>,
    importance: Importance,
    notes: Vec<String>,
}

impl Conversion {
    /// Plans the new file. Nothing is read but heads of files.
    ///
    /// # Errors
    /// [`ConvertError`] when the model can not be loaded, or has something that GGUF can not say.
    pub fn plan(checkpoint: Arc<Checkpoint>, options: &ConvertOptions) -> Result<Self, ConvertError> {
        let model = Model::from_checkpoint(Arc::clone(&checkpoint), &ModelOptions::default())?;
        let mut notes = Vec::new();
        let tensors = tensors::plan(&checkpoint, &model, options, &mut notes)?;
        let mut metadata = match &*checkpoint {
            Checkpoint::Gguf(gguf) => general::kept(gguf),
            Checkpoint::HuggingFace(folder) => {
                let mut metadata = general::of_folder(folder, &model, checkpoint.hints(model.family))?;
                metadata.extend(tokenizer::metadata(folder, &model, &mut notes)?);
                metadata
            }
        };
        for (key, text) in [
            ("general.name", &options.name),
            ("general.license", &options.license),
            ("general.description", &options.description),
        ] {
            if let Some(text) = text {
                general::set(&mut metadata, key, Value::String(text.clone()));
            }
        }
        general::set_file_type(&mut metadata, &tensors);
        let specs = tensors.iter().map(|planned| planned.spec.clone()).collect();
        let writer = GgufWriter::new(&metadata, specs)?;
        Ok(Self {
            weights: model.weights,
            writer,
            tensors,
            importance: options.importance.clone(),
            notes,
        })
    }

    /// What whoever converts should know: tensors in another format than asked for, and why; what GGUF can not say.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The format that the tensor called `name` has in the new file.
    #[must_use]
    pub fn format(&self, name: &str) -> Option<BlockFormat> {
        let mut tensors = self.tensors.iter().map(|planned| &planned.spec);
        Some(tensors.find(|spec| spec.name == name)?.format)
    }

    /// Bytes of the file that [`Conversion::write`] makes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.writer.file_bytes()
    }

    /// Writes the file with `threads` that quantize. Memory stays bounded, whatever the model's size: tensors pass in
    /// pieces of rows, and what was read of mapped files is given back.
    ///
    /// # Errors
    /// [`ConvertError`] when `out` fails or a number does not fit its format.
    pub fn write(self, out: impl Write, threads: NonZero<usize>) -> Result<(), ConvertError> {
        let mut tensors = self.tensors.iter();
        self.writer.write(out, |spec, out| {
            let planned = tensors.next().expect("the writer was made of these tensors");
            debug_assert_eq!(planned.spec.name, spec.name, "the writer keeps their order");
            pieces::write(&self.weights, planned, &self.importance, threads, out)
        })
    }
}
