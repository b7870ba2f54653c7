//! Variants: made by workers that can not be trusted, there whole or not at all.

use std::path::PathBuf;

use mains_contract::{BlockFormat, Bytes};
use mains_store::{Cache, Store};
use mains_supervisor::{ModelConfig, ModelState, SupervisorConfig, VariantState};
use mains_types::{Demand, Digest, GenerationErrorKind as Kind, GroupSensitivity, Policy, Sensitivity};
use mains_wire::files::{FileRecord, read_record, write_record, write_sensitivity};

use crate::bench::{self, Bench, LONG, all};

/// A model that is to be loaded in fewer bytes than it is stored in: its only tensor becomes `Q8_0`.
async fn bench(options: &str, change: impl FnOnce(&mut SupervisorConfig)) -> Bench {
    let bench = Bench::new(&[("m", options)], |config| {
        config.models[0].demand.policy = Some(Policy::Speed);
        change(config);
    });
    measure(&bench).await;
    bench
}

/// Gives the model, as it is now, a sensitivity table.
pub(crate) async fn measure(bench: &Bench) {
    let model = bench.supervisor.facts("m").await.unwrap().digest;
    let table = Sensitivity {
        model,
        groups: vec![GroupSensitivity {
            name: "embeddings".to_owned(),
            tensors: vec!["token_embd.weight".to_owned()],
            damages: vec![(BlockFormat::Q8_0, 0.01)],
        }],
        kv: Vec::new(),
        whole: Vec::new(),
    };
    let path = Store::sensitivity(&bench.folder.path().join("state"), &model);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, write_sensitivity(&table)).unwrap();
}

/// What is in the folder of variants.
fn made(bench: &Bench) -> Vec<PathBuf> {
    let folder = bench.folder.path().join("state/models/variants");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_variant_is_made_once_and_named_in_rows() {
    let bench = bench("", |_| {}).await;
    let plan = bench.supervisor.plan("m", &Demand::default()).await.unwrap();
    assert_eq!(plan.tensors[0].format, BlockFormat::Q8_0);
    let state = async || bench.supervisor.prepared("m", &plan).await.unwrap().state;
    assert_eq!(state().await, VariantState::Missing);
    assert_eq!(all(bench.generate("a", "m", 2).await.unwrap()).await, (2, Ok(())));
    assert_eq!(state().await, VariantState::Ready);
    let files = made(&bench);
    let path = Store::variant(&bench.folder.path().join("state"), &plan.weights);
    assert_eq!(files[0], path);
    assert_eq!(files.len(), 2, "the file and its record: {files:?}");
    assert_eq!(
        bench.settled("a").await.0.open.variant,
        Some(plan.variant.to_string())
    );
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    bench.supervisor.unload("m").await.unwrap();
    all(bench.generate("b", "m", 1).await.unwrap()).await.1.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
    // One that is damaged is made again.
    bench.supervisor.unload("m").await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..10]).unwrap();
    all(bench.generate("c", "m", 1).await.unwrap()).await.1.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

/// Makes the variant something else than its record says it is, where no head shows it. The digest that it had.
fn damage(bench: &Bench) -> Digest {
    let path = Cache::record(&made(bench)[0]);
    let record = read_record(&std::fs::read(&path).unwrap()).unwrap();
    let damaged = FileRecord {
        sha256: Some(Digest([9; 32])),
        ..record.clone()
    };
    std::fs::write(&path, write_record(&damaged)).unwrap();
    record.sha256.unwrap()
}

fn recorded(bench: &Bench) -> Option<Digest> {
    let record = std::fs::read(Cache::record(made(bench).first()?)).ok()?;
    read_record(&record).ok()?.sha256
}

#[tokio::test]
async fn a_file_that_is_damaged_beyond_its_head_is_found_once_and_made_again() {
    let first = bench("", |_| {}).await;
    let prepare = async |bench: &Bench| {
        bench
            .supervisor
            .prepare("m", &Demand::default(), |_| ())
            .await
            .unwrap()
    };
    let ready = prepare(&first).await;
    let whole = damage(&first);
    // What this daemon has written itself it does not read again.
    prepare(&first).await;
    assert_eq!(recorded(&first), Some(Digest([9; 32])));
    let same = |bench: &Bench| {
        let mut config = SupervisorConfig::new(bench.folder.path().join("state"));
        let mut model = ModelConfig::new("m", bench.folder.path().join("m.null"));
        model.demand.policy = Some(Policy::Speed);
        config.models.push(model);
        config
    };
    let config = same(&first);
    let second = first.again(config).await;
    assert_eq!(prepare(&second).await, ready);
    assert_eq!(
        recorded(&second),
        Some(whole),
        "it was made again before it was packed"
    );
    damage(&second);
    let config = same(&second);
    let third = second.again(config).await;
    all(third.generate("a", "m", 1).await.unwrap()).await.1.unwrap();
    let loads = || third.supervisor.status().totals.loads.get("m").copied();
    let again = async {
        while loads() != Some(2) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LONG, again)
        .await
        .expect("it is loaded again");
    assert_eq!(recorded(&third), Some(whole));
    assert_eq!(all(third.generate("b", "m", 1).await.unwrap()).await, (1, Ok(())));
    assert_eq!(loads(), Some(2), "one that is whole is not loaded again");
}

#[tokio::test]
async fn what_a_worker_says_wrong_leaves_no_file() {
    for (how, why) in [
        ("short", "999 of 1000 bytes came"),
        ("long", "more was written than was announced"),
        ("huge", "are the most"),
        ("error", "told to refuse this conversion"),
        ("die", "the convert worker died (signal 6)"),
    ] {
        let bench = bench(&format!("file={how}"), |_| {}).await;
        let error = bench.generate("r", "m", 1).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable, "{how}");
        assert!(error.message.contains(why), "{how}: {error}");
        assert_eq!(made(&bench), Vec::<PathBuf>::new(), "{how}");
        assert_eq!(bench.supervisor.status().reservations, [], "{how}");
        // Mended it is made and served.
        bench::model_file(bench.folder.path(), "m", "");
        measure(&bench).await;
        bench.supervisor.load("m").await.unwrap();
        assert_eq!(made(&bench).len(), 2, "{how}");
    }
}

#[tokio::test]
async fn without_room_it_is_served_as_stored_where_that_fits() {
    let bench = bench("", |config| config.cache = Some(999)).await;
    assert_eq!(all(bench.generate("a", "m", 2).await.unwrap()).await, (2, Ok(())));
    let plan = bench.supervisor.plan("m", &Demand::default()).await.unwrap();
    assert_eq!(plan.tensors[0].format, BlockFormat::F32);
    assert_eq!(made(&bench), Vec::<PathBuf>::new());
    let error = bench
        .supervisor
        .prepare("m", &Demand::default(), |_| ())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("raise `cache`"), "{error}");
}

#[tokio::test]
async fn without_room_on_disk_and_in_memory_it_is_refused_with_both() {
    let bench = bench("", |config| {
        config.cache = Some(999);
        // Its 16 MiB do not fit as they are stored.
        config.models[0].demand.memory = Some(Bytes::from_mib(12));
    })
    .await;
    let error = bench.generate("a", "m", 2).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(
        error.message.contains("raise `cache`") && error.message.contains("in the types of its files"),
        "{error}"
    );
    assert_ne!(bench.model("m").state, ModelState::Ready);
}

#[tokio::test]
async fn packing_takes_no_memory_that_is_not_there() {
    // Of 1024 MiB 256 stay with the host; the only tensor has 398 MiB, twice while it is packed.
    let bench = bench("weights_mib=1500", |_| {}).await;
    let prepared = bench.supervisor.prepare("m", &Demand::default(), |_| ()).await;
    let prepared = prepared.unwrap();
    assert_eq!((prepared.state, prepared.packed), (VariantState::Ready, false));
    let note = prepared.note.unwrap();
    assert!(
        note.contains("to pack the weights and 768.0 MiB are left on"),
        "{note}"
    );
    assert_eq!(all(bench.generate("a", "m", 2).await.unwrap()).await, (2, Ok(())));
}

#[tokio::test]
async fn two_who_prepare_the_same_make_it_once() {
    let bench = bench("", |_| {}).await;
    let demand = Demand::default();
    let begun = std::sync::atomic::AtomicU32::new(0);
    let prepare = || {
        bench.supervisor.prepare("m", &demand, |progress| {
            if progress.written == progress.bytes {
                begun.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        })
    };
    let (one, other) = tokio::join!(prepare(), prepare());
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(begun.into_inner(), 1);
}
