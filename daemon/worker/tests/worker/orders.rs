//! Files that the role `convert` makes.

use std::path::PathBuf;
use std::time::Duration;

use mains_contract::BlockFormat;
use mains_formats::{Gguf, PackedFile};
use mains_types::Digest;
use mains_wire::files::read_sensitivity;
use mains_wire::frames::{ConvertOrder, FromWorker, PackOrder, Role, SensitivityOrder, ToWorker};

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
            FromWorker::Start(start) => file[..start.len()].copy_from_slice(&start),
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

fn sensitivity(importance: Option<PathBuf>, known: Vec<(String, f64)>) -> ToWorker {
    ToWorker::Sensitivity(SensitivityOrder {
        path: pilot(),
        model: Digest([5; 32]),
        importance,
        threads: 2,
        texts: 1,
        groups: 2,
        time: Duration::from_secs(600),
        whole: false,
        known,
    })
}

/// The groups that are measured before the next file, and how it begins.
async fn groups(worker: &mut Worker) -> (Vec<(String, f64)>, Option<FromWorker>) {
    let mut groups = Vec::new();
    loop {
        match worker.next().await {
            Some(FromWorker::Measuring { done, of }) => assert!(done <= of, "{done} of {of}"),
            Some(FromWorker::Group { name, damage }) => groups.push((name, damage)),
            other => return (groups, other),
        }
    }
}

#[tokio::test]
async fn what_types_cost_is_measured_and_taken_up_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("importance.gguf");
    let mut worker = Worker::start_reading(Role::Convert, folder.path()).await;
    worker.say(sensitivity(None, Vec::new())).await;
    let (_, first) = groups(&mut worker).await;
    std::fs::write(&path, file(&mut worker, first).await).unwrap();
    let (measured, first) = groups(&mut worker).await;
    assert_eq!(measured.len(), 2);
    let whole = file(&mut worker, first).await;
    let table = read_sensitivity(&whole).unwrap();
    assert_eq!(table.model, Digest([5; 32]));
    let matrices = Gguf::open(&pilot())
        .unwrap()
        .tensors()
        .filter(|tensor| tensor.rows > 1)
        .count();
    assert_eq!(
        table.groups.len(),
        matrices,
        "those that were not measured are told by those that were"
    );
    for group in &table.groups {
        let damage = |wanted| {
            group
                .damages
                .iter()
                .find(|(format, _)| *format == wanted)
                .unwrap()
                .1
        };
        assert!(
            damage(BlockFormat::Q2_K) > damage(BlockFormat::Q8_0),
            "{}",
            group.name
        );
    }
    // With both known there is nothing left to measure, and the table is the same.
    worker.say(sensitivity(Some(path), measured)).await;
    let (again, first) = groups(&mut worker).await;
    assert_eq!(again, []);
    assert_eq!(file(&mut worker, first).await, whole);
}

#[tokio::test]
async fn what_can_not_be_measured_is_told_why() {
    let mut worker = Worker::start(Role::Convert).await;
    let order = SensitivityOrder {
        path: "/nowhere".into(),
        ..match sensitivity(None, Vec::new()) {
            ToWorker::Sensitivity(order) => order,
            other => panic!("another order: {other:?}"),
        }
    };
    match worker.ask(ToWorker::Sensitivity(order)).await {
        Some(FromWorker::Error(message)) => assert!(message.contains("/nowhere"), "{message}"),
        other => panic!("no refusal: {other:?}"),
    }
}

#[tokio::test]
async fn weights_are_packed_whole() {
    let mut worker = Worker::start(Role::Convert).await;
    let order = |driver: &str| {
        ToWorker::Pack(PackOrder {
            path: pilot(),
            weights: Digest([7; 32]),
            driver: driver.to_owned(),
        })
    };
    let first = worker.ask(order("cpu")).await;
    let made = file(&mut worker, first).await;
    let packed = PackedFile::from_bytes(made, &pilot()).unwrap();
    assert_eq!((packed.variant(), packed.driver()), (&*"07".repeat(32), "cpu"));
    for weight in packed.weights() {
        assert!(
            packed.verified(&weight.name).unwrap().is_some(),
            "{}",
            weight.name
        );
    }
    match worker.ask(order("reference")).await {
        Some(FromWorker::Error(message)) => assert!(message.contains("packs no weights"), "{message}"),
        other => panic!("the reference keeps nothing: {other:?}"),
    }
}
