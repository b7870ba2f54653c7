//! Files that the role `convert` makes.

use mains_contract::BlockFormat;
use mains_formats::Gguf;
use mains_wire::frames::{ConvertOrder, FromWorker, Role, ToWorker};

use crate::support::{Worker, pilot};

const MATRIX: &str = "blk.0.ffn_down.weight";

fn order(tensor: &str, format: BlockFormat) -> ToWorker {
    ToWorker::Convert(ConvertOrder {
        path: pilot(),
        formats: vec![(tensor.to_owned(), format)],
        importance: None,
        threads: 1,
    })
}

/// The file that comes after `first`, whole.
async fn file(worker: &mut Worker, first: Option<FromWorker>) -> Vec<u8> {
    let Some(FromWorker::Writing { bytes }) = first else {
        panic!("no file: {first:?}");
    };
    let mut file = Vec::new();
    loop {
        match worker.next().await.unwrap() {
            FromWorker::Piece(piece) => file.extend_from_slice(&piece),
            FromWorker::Written => break,
            other => panic!("no piece: {other:?}"),
        }
    }
    assert_eq!(file.len() as u64, bytes);
    file
}

#[tokio::test]
async fn a_model_comes_back_in_the_types_that_were_ordered() {
    let mut worker = Worker::start(Role::Convert).await;
    let first = worker.ask(order(MATRIX, BlockFormat::Q4_0)).await;
    let made = file(&mut worker, first).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.gguf");
    std::fs::write(&path, made).unwrap();
    let (before, after) = (Gguf::open(&pilot()).unwrap(), Gguf::open(&path).unwrap());
    for tensor in before.tensors() {
        let format = match tensor.name {
            MATRIX => BlockFormat::Q4_0,
            _ => tensor.format,
        };
        assert_eq!(
            after.tensor(tensor.name).unwrap().format,
            format,
            "{}",
            tensor.name
        );
    }
    // The same worker makes the same file again.
    let first = worker.ask(order(MATRIX, BlockFormat::Q4_0)).await;
    assert_eq!(file(&mut worker, first).await, std::fs::read(&path).unwrap());
}

#[tokio::test]
async fn what_can_not_be_made_is_refused_before_a_file_begins() {
    let mut worker = Worker::start(Role::Convert).await;
    for (tensor, format, why) in [
        ("blk.0.nothing", BlockFormat::Q4_0, "blk.0.nothing"),
        // Vectors are F32 in every file that is converted.
        ("output_norm.weight", BlockFormat::Q4_0, "can not be Q4_0"),
    ] {
        match worker.ask(order(tensor, format)).await {
            Some(FromWorker::Error(message)) => assert!(message.contains(why), "{message}"),
            other => panic!("{tensor}: {other:?}"),
        }
    }
}
