//! `mains-worker logits`: a model's logits for given ids, to compare with any reference.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use mains_contract::{BlockFormat, OutputName};
use mains_engine::models::{Model, ModelOptions};
use mains_engine::{logits_limits, logits_of};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::args::Logits;
use crate::drivers;

/// Token ids, row after row.
#[derive(Debug, PartialEq, Eq)]
struct Ids {
    rows: usize,
    n: usize,
    ids: Vec<u32>,
}

/// Reads ids, computes and writes logits.
pub(crate) fn run(asked: &Logits) -> Result<()> {
    let at_ids = || asked.ids.display().to_string();
    let file = std::fs::read(&asked.ids).with_context(at_ids)?;
    let ids = read(&file).with_context(at_ids)?;
    let options = ModelOptions {
        kv_format: kv_format(&asked.driver),
        context: Some(ids.n),
        ..ModelOptions::default()
    };
    let model = Model::open(&asked.model, &options).with_context(|| asked.model.display().to_string())?;
    ensure!(
        model.graph.output(OutputName::Logits).is_some(),
        "{}: {} is an encoder, it has no logits",
        asked.model.display(),
        model.family.name
    );
    let vocabulary = model.info.vocabulary;
    ensure!(
        ids.n <= model.info.context as usize,
        "{}: a row has {} ids, the model's context is {}",
        asked.ids.display(),
        ids.n,
        model.info.context
    );
    if let Some(id) = ids.ids.iter().find(|id| **id >= vocabulary) {
        bail!(
            "{}: id {id} is beyond the model's vocabulary of {vocabulary}",
            asked.ids.display()
        );
    }
    let driver = drivers::open(&asked.driver, None)?;
    drivers::check(&*driver, &model.graph, &model.formats())?;
    let limits = logits_limits(ids.n);
    let mut loaded = driver.load(Arc::clone(&model.graph), &model.weights, &limits)?;
    let mut logits = Vec::new();
    for row in ids.ids.chunks(ids.n) {
        logits.extend(logits_of(&mut *loaded, &limits, vocabulary as usize, row)?);
    }
    let shape = vec![ids.rows, ids.n, vocabulary as usize];
    write(&asked.out, shape, &logits).with_context(|| asked.out.display().to_string())
}

/// The oracle rounds nothing that the model's files do not; every other driver computes as it serves.
fn kv_format(driver: &str) -> BlockFormat {
    if driver == "reference" {
        BlockFormat::F32
    } else {
        ModelOptions::default().kv_format
    }
}

/// The tensor `ids` of a safetensors file.
fn read(file: &[u8]) -> Result<Ids> {
    let tensors = SafeTensors::deserialize(file).context("no safetensors file")?;
    let names = || tensors.names().join(", ");
    let ids = tensors
        .tensor("ids")
        .with_context(|| format!("there is no tensor called ids, but: {}", names()))?;
    ensure!(ids.dtype() == Dtype::I64, "ids are {:?}, not int64", ids.dtype());
    let [rows, n] = *ids.shape() else {
        bail!("ids have the shape {:?}, not (row, n)", ids.shape());
    };
    ensure!(
        rows > 0 && n > 0,
        "ids have the shape {:?}: nothing to compute",
        ids.shape()
    );
    let numbers = ids.data().chunks_exact(size_of::<i64>()).map(|bytes| {
        let id = i64::from_le_bytes(bytes.try_into().expect("chunks_exact gives chunks of this size"));
        u32::try_from(id).with_context(|| format!("id {id} is no token id"))
    });
    Ok(Ids {
        rows,
        n,
        ids: numbers.collect::<Result<_>>()?,
    })
}

/// Writes the tensor `logits`, float32, little-endian as the format says.
fn write(path: &Path, shape: Vec<usize>, logits: &[f32]) -> Result<()> {
    let bytes: Vec<u8> = logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
    let tensor = TensorView::new(Dtype::F32, shape, &bytes)?;
    let tensors = HashMap::from([("logits", tensor)]);
    Ok(safetensors::serialize_to_file(tensors, None, path)?)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use safetensors::Dtype;
    use safetensors::tensor::{TensorView, serialize};

    use super::{Ids, read};

    fn file(dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Vec<u8> {
        let tensor = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
        serialize(HashMap::from([("ids", tensor)]), None).unwrap()
    }

    #[test]
    fn reads_rows_of_int64() {
        let bytes: Vec<u8> = [1_i64, 2, 3, 4, 5, 6]
            .iter()
            .flat_map(|id| id.to_le_bytes())
            .collect();
        let ids = Ids {
            rows: 2,
            n: 3,
            ids: vec![1, 2, 3, 4, 5, 6],
        };
        assert_eq!(read(&file(Dtype::I64, &[2, 3], &bytes)).unwrap(), ids);
    }

    #[test]
    fn says_what_is_wrong_with_the_ids() {
        let refused = |file: &[u8]| format!("{:#}", read(file).unwrap_err());
        assert!(refused(&file(Dtype::I32, &[1, 1], &[0; 4])).contains("not int64"));
        assert!(refused(&file(Dtype::I64, &[1], &[0; 8])).contains("not (row, n)"));
        assert!(refused(&file(Dtype::I64, &[1, 1], &[255; 8])).contains("id -1"));
        assert!(refused(b"nonsense").contains("no safetensors file"));
    }
}
