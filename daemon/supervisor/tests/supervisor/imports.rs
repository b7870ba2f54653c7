//! Models come out of tars that workers read and lie about, and leave again while something goes on with them.

use std::time::Duration;

use mains_contract::Bytes;
use mains_store::digest_of;
use mains_supervisor::{
    BackgroundConfig, ImportPhase, ImportStep, Imported, SensitivityState, Supervisor, SupervisorError,
};
use mains_types::{Demand, ImportFile, ImportKind, ImportRequest, ModelKind, Policy};
use tokio::sync::mpsc;

use crate::bench::{Bench, LONG, all};
use crate::variants::measure;

/// Longer than any silence of a worker that makes or reads files is borne.
const SILENCE: Duration = Duration::from_mins(3);

/// What passes on the wall from one such silence on the clock to the next.
const STEP: Duration = Duration::from_millis(50);

/// What is in a folder of the store.
fn kept(bench: &Bench, folder: &str) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(bench.folder.path().join("state/models").join(folder)) else {
        return Vec::new();
    };
    files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn assert_no_debris(bench: &Bench, about: &str) {
    for folder in ["content", "incoming", "names", "variants", "packed", "measured"] {
        assert_eq!(kept(bench, folder), Vec::<String>::new(), "{about}: {folder}");
    }
}

/// Sends a model with these options, and asks for the end of its import.
async fn finish(
    bench: &Bench,
    kind: ImportKind,
    options: &str,
) -> Result<mpsc::Receiver<ImportStep>, SupervisorError> {
    let text = options.replace(' ', "\n");
    let file = bench.folder.path().join("sent");
    std::fs::write(&file, &text).unwrap();
    let digest = digest_of(&file).unwrap().unwrap();
    let bytes = Bytes::from(text.len());
    let request = ImportRequest {
        name: "m".to_owned(),
        kind,
        origin: "/usb".to_owned(),
        files: vec![ImportFile {
            name: "m.gguf".to_owned(),
            bytes,
            head: digest,
        }],
    };
    let it = &bench.supervisor;
    let state = it.import_begin(request).await?;
    if state.received[0] < bytes {
        it.import_write(state.id.clone(), 0, Bytes::ZERO, text.into_bytes())
            .await?;
        it.import_settle(state.id.clone(), 0).await?;
    }
    it.import_finish(state.id, vec![digest]).await
}

/// How it ends.
async fn end(mut steps: mpsc::Receiver<ImportStep>) -> Result<Imported, SupervisorError> {
    loop {
        match steps.recv().await.unwrap() {
            ImportStep::Progress { .. } => {}
            ImportStep::Imported(imported) => return Ok(imported),
            ImportStep::Failed(error) => return Err(error),
        }
    }
}

async fn import(bench: &Bench, kind: ImportKind, options: &str) -> Result<Imported, SupervisorError> {
    let end = end(finish(bench, kind, options).await?);
    tokio::time::timeout(LONG, end).await.expect("it ends in time")
}

async fn import_gguf(bench: &Bench, options: &str) {
    import(bench, ImportKind::Files(ModelKind::Gguf), options)
        .await
        .unwrap();
}

/// Why the model called `m` is not removed.
async fn stays(supervisor: &Supervisor) -> String {
    supervisor.remove("m", true).await.unwrap_err().to_string()
}

async fn until<T>(what: &str, mut is: impl FnMut() -> Option<T>) -> T {
    let reached = async {
        loop {
            if let Some(value) = is() {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let reached = tokio::time::timeout(LONG, reached).await;
    reached.unwrap_or_else(|_| panic!("never: {what}"))
}

/// What `work` gives, while the clock goes on by more than a worker may be silent, again and again: when `work` begins to wait for it is
/// not told.
async fn out_of_patience<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    for _ in 0..LONG.as_millis() / STEP.as_millis() {
        if let Ok(done) = tokio::time::timeout(STEP, &mut work).await {
            return done;
        }
        tokio::time::pause();
        tokio::time::advance(SILENCE).await;
        tokio::time::resume();
    }
    panic!("a worker that is silent is waited for without an end")
}

#[tokio::test]
async fn what_a_worker_says_of_a_tar_is_taken_whole_or_refused_by_name() {
    let bench = Bench::new(&[], |_| {});
    for (how, why) in [
        ("error", "told to refuse this tar"),
        ("short", "m.gguf has 11 of the 12 bytes that the tar says"),
        ("long", "m.gguf has more bytes than the tar says"),
        ("huge", "m.gguf and the files before it are larger than the tar"),
        (
            "overflowing",
            "m.gguf and the files before it are larger than the tar",
        ),
        ("outside", "\"../m.gguf\" is no plain file name"),
        ("twice", "m.gguf is in the tar twice"),
        ("early", "has bytes of no file"),
        ("none", "the model has no files"),
        ("strange", "said Pong where it should not"),
        ("garbage", "broke the protocol"),
        ("die", "died (signal 6)"),
    ] {
        let error = import(&bench, ImportKind::Tar, &format!("unpack={how}")).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(why), "{how}: {error}");
        assert_no_debris(&bench, how);
    }
    let imported = import(&bench, ImportKind::Tar, "unpack=ok").await.unwrap();
    assert_eq!((imported.files, imported.family.as_str()), (1, "null"));
    assert_eq!(all(bench.generate("r", "m", 2).await.unwrap()).await, (2, Ok(())));
}

#[tokio::test]
async fn a_worker_that_falls_silent_in_a_tar_is_ended_and_meanwhile_the_import_is_nobody_elses() {
    let bench = Bench::new(&[], |_| {});
    let mut steps = finish(&bench, ImportKind::Tar, "unpack=hang").await.unwrap();
    let unpacking = async {
        loop {
            if let ImportStep::Progress {
                phase: ImportPhase::Unpacking,
                ..
            } = steps.recv().await.unwrap()
            {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, unpacking).await.unwrap();
    assert!(stays(&bench.supervisor).await.contains("m is being imported"));
    let again = finish(&bench, ImportKind::Tar, "unpack=hang").await;
    assert!(again.unwrap_err().to_string().contains("m is being imported"));
    let error = out_of_patience(end(steps)).await.unwrap_err().to_string();
    assert!(error.contains("did not answer for 120 s"), "{error}");
    assert_no_debris(&bench, "silence");
}

fn speed() -> Demand {
    Demand {
        policy: Some(Policy::Speed),
        ..Demand::default()
    }
}

#[tokio::test]
async fn a_model_that_is_prepared_is_not_removed_before_that_ends() {
    let bench = Bench::new(&[], |_| {});
    import_gguf(&bench, "file=hang").await;
    measure(&bench).await;
    let supervisor = bench.supervisor.clone();
    let preparing = tokio::spawn(async move { supervisor.prepare("m", &speed(), |_| ()).await });
    until("the variant is begun", || kept(&bench, "variants").pop()).await;
    let why = stays(&bench.supervisor).await;
    assert!(
        why.contains("m is being prepared") && why.contains("mains prepare"),
        "{why}"
    );
    let ended = out_of_patience(preparing).await.unwrap();
    assert!(ended.unwrap_err().to_string().contains("did not answer"));
    bench.supervisor.remove("m", false).await.unwrap();
    assert_no_debris(&bench, "after a preparation");
}

#[tokio::test]
async fn what_was_prepared_goes_with_its_model() {
    let bench = Bench::new(&[], |_| {});
    import_gguf(&bench, "context=2048").await;
    measure(&bench).await;
    bench.supervisor.prepare("m", &speed(), |_| ()).await.unwrap();
    assert_eq!(kept(&bench, "variants").len(), 2);
    all(bench.generate("r", "m", 1).await.unwrap()).await.1.unwrap();
    let loaded = bench.supervisor.remove("m", false).await.unwrap_err();
    assert!(loaded.to_string().contains("mains unload"), "{loaded}");
    bench.supervisor.remove("m", true).await.unwrap();
    assert_no_debris(&bench, "after a load");
}

#[tokio::test]
async fn a_model_that_is_exported_is_not_removed_before_that_ends() {
    let bench = Bench::new(&[], |_| {});
    // More than waits for a client, so that the export goes on until somebody takes it.
    let large = format!("context=2048{}", "\n".repeat(20 << 20));
    import_gguf(&bench, &large).await;
    let export = bench.supervisor.export("m").await.unwrap();
    assert!(stays(&bench.supervisor).await.contains("m is being exported"));
    drop(export);
    let removed = async {
        while let Err(error) = bench.supervisor.remove("m", false).await {
            assert!(error.to_string().contains("m is being exported"), "{error}");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, removed)
        .await
        .expect("a client that left ends it");
    assert_no_debris(&bench, "after an export");
}

#[tokio::test]
async fn a_measurement_in_the_background_ends_for_a_removal_and_leaves_nothing() {
    let bench = Bench::new(&[], |config| {
        config.background = Some(BackgroundConfig {
            after: Duration::from_millis(20),
            ..BackgroundConfig::default()
        });
    });
    for options in [
        "groups=4 measure=hang measure_after=2",
        "groups=4 measure=hang",
        "groups=500",
    ] {
        import_gguf(&bench, options).await;
        bench
            .until_it(
                "m",
                |model| matches!(model.sensitivity, SensitivityState::Measuring { of, .. } if of > 0),
            )
            .await;
        bench.supervisor.remove("m", false).await.unwrap();
        assert_no_debris(&bench, options);
        assert_eq!(bench.supervisor.status().reservations, [], "{options}");
    }
    bench.supervisor.drain(Duration::ZERO).await;
    assert_no_debris(&bench, "at the end");
}

#[tokio::test]
async fn an_import_that_is_dropped_while_it_comes_takes_nothing_more() {
    let bench = Bench::new(&[], |_| {});
    let request = ImportRequest {
        name: "m".to_owned(),
        kind: ImportKind::Files(ModelKind::Gguf),
        origin: "/usb".to_owned(),
        files: vec![ImportFile {
            name: "m.gguf".to_owned(),
            bytes: Bytes(2),
            head: mains_types::Digest([0; 32]),
        }],
    };
    let it = &bench.supervisor;
    let state = it.import_begin(request).await.unwrap();
    it.import_write(state.id.clone(), 0, Bytes::ZERO, vec![b'\n'])
        .await
        .unwrap();
    assert_eq!(it.remove("m", false).await.unwrap(), None);
    let late = it
        .import_write(state.id, 0, Bytes(1), vec![b'\n'])
        .await
        .unwrap_err();
    assert!(late.to_string().contains("start it again"), "{late}");
    assert_no_debris(&bench, "dropped");
}
