use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mains_contract::Bytes;
use mains_types::{Digest, ImportFile, ImportKind, ImportRequest, Manifest, ModelKind};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::failures::{Fault, FaultyDisk};
use super::{KEEP_INCOMING, Library, Placed};
use crate::{StoreError, SystemDisk};

/// Bytes of one write: a few of them make a file.
const PIECE: usize = 7;

fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

fn request(name: &str, files: &[(&str, &[u8])]) -> ImportRequest {
    let file = |(name, bytes): &(&str, &[u8])| ImportFile {
        name: (*name).to_owned(),
        bytes: Bytes::from(bytes.len()),
        head: sha256(bytes),
    };
    let kind = if files.iter().any(|(name, _)| *name == "config.json") {
        ModelKind::HuggingFace
    } else {
        ModelKind::Gguf
    };
    ImportRequest {
        name: name.to_owned(),
        kind: ImportKind::Files(kind),
        origin: "/media/usb/model".to_owned(),
        files: files.iter().map(file).collect(),
    }
}

/// A whole import, as the daemon does it. Returns also how many bytes were sent.
fn import(library: &Library, name: &str, files: &[(&str, &[u8])]) -> (Result<Placed, StoreError>, usize) {
    let mut sent = 0;
    let mut run = || {
        let request = request(name, files);
        let state = library.begin(&request)?;
        for (number, (_, bytes)) in files.iter().enumerate() {
            let safe = usize::try_from(state.received[number].0).unwrap();
            let mut at = safe;
            for piece in bytes[safe..].chunks(PIECE) {
                library.write(&state.id, number, Bytes::from(at), piece)?;
                at += piece.len();
                sent += piece.len();
                library.settle(&state.id, number)?;
            }
            library.settle(&state.id, number)?;
        }
        let digests: Vec<_> = files.iter().map(|(_, bytes)| sha256(bytes)).collect();
        let stored = library.check(&state.id, &digests, &mut |_, _| {})?;
        let ImportKind::Files(kind) = request.kind else {
            unreachable!("no tar here")
        };
        let manifest = Manifest {
            kind,
            files: stored,
            origin: request.origin,
            imported: 7,
            model: Digest([1; 32]),
        };
        library.commit(&state.id, &manifest)
    };
    let result = run();
    (result, sent)
}

fn open(folder: &Path) -> (Library, Vec<String>) {
    Library::open(folder, Arc::new(FaultyDisk::default()), SystemTime::now()).unwrap()
}

/// A library on a disk that fails when it is told to.
fn faulty(folder: &Path) -> (Library, FaultyDisk) {
    let disk = FaultyDisk::default();
    let (library, _) = Library::open(folder, Arc::new(disk.clone()), SystemTime::now()).unwrap();
    (library, disk)
}

fn count(folder: &Path, part: &str) -> usize {
    std::fs::read_dir(folder.join(part)).unwrap().count()
}

/// The bytes of every file of the model called `name`, as they are stored.
fn stored(library: &Library, name: &str) -> Option<Vec<Vec<u8>>> {
    let manifest = library.manifest(name).unwrap()?;
    let path = library.model_path(&manifest);
    let folder = if manifest.kind == ModelKind::Gguf {
        path.parent().unwrap()
    } else {
        &path
    };
    let read = |file: &mains_types::StoredFile| std::fs::read(folder.join(&file.name)).unwrap();
    Some(manifest.files.iter().map(read).collect())
}

const MODEL: &[(&str, &[u8])] = &[
    ("config.json", b"{}"),
    ("model.safetensors", b"many bytes of weights"),
];

/// Calls that an import of [`MODEL`] takes.
fn calls_of_an_import() -> usize {
    let folder = tempfile::tempdir().unwrap();
    let (library, disk) = faulty(folder.path());
    let before = disk.calls();
    import(&library, "m", MODEL).0.unwrap();
    disk.calls() - before
}

fn assert_whole(folder: &Path, library: &Library) {
    let expected: Vec<Vec<u8>> = MODEL.iter().map(|(_, bytes)| bytes.to_vec()).collect();
    assert_eq!(stored(library, "m"), Some(expected));
    assert_eq!((count(folder, "content"), count(folder, "names")), (1, 1));
}

#[test]
fn an_import_survives_a_failure_of_any_call() {
    for kind in [ErrorKind::StorageFull, ErrorKind::PermissionDenied] {
        for call in 0..calls_of_an_import() {
            let folder = tempfile::tempdir().unwrap();
            let (library, disk) = faulty(folder.path());
            disk.arm(call, Fault::Once(kind));
            let (result, _) = import(&library, "m", MODEL);
            disk.disarm();
            if let Err(error) = result {
                assert_eq!(stored(&library, "m"), None, "call {call}: {error}");
                assert_eq!(
                    (count(folder.path(), "content"), count(folder.path(), "names")),
                    (0, 0),
                    "call {call}"
                );
                let full = matches!(error, StoreError::DiskFull { .. } | StoreError::NoRoom { .. });
                if full {
                    assert_eq!(count(folder.path(), "incoming"), 0, "call {call} leaves debris");
                }
                import(&library, "m", MODEL)
                    .0
                    .unwrap_or_else(|error| panic!("call {call}: {error}"));
            }
            assert_whole(folder.path(), &library);
            open(folder.path());
            assert_eq!(count(folder.path(), "incoming"), 0, "call {call}");
        }
    }
}

#[test]
fn an_import_survives_a_kill_and_a_power_cut_at_any_call() {
    for fault in [Fault::Killed, Fault::PowerCut] {
        for call in 0..calls_of_an_import() {
            let folder = tempfile::tempdir().unwrap();
            let (library, disk) = faulty(folder.path());
            disk.arm(call, fault);
            let (result, _) = import(&library, "m", MODEL);
            drop(library);
            if fault == Fault::PowerCut {
                disk.lose_unsynced();
            }
            let (library, _) = open(folder.path());
            if stored(&library, "m").is_none() {
                assert!(result.is_err(), "call {call}: it was told that it is there");
                assert_eq!(count(folder.path(), "content"), 0, "call {call}");
                import(&library, "m", MODEL)
                    .0
                    .unwrap_or_else(|error| panic!("call {call}: {error}"));
            }
            assert_whole(folder.path(), &library);
            assert_eq!(count(folder.path(), "incoming"), 0, "call {call}");
        }
    }
}

#[test]
fn a_removal_is_whole_or_not_at_all() {
    for fault in [
        Fault::Once(ErrorKind::PermissionDenied),
        Fault::Killed,
        Fault::PowerCut,
    ] {
        for call in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let (library, disk) = faulty(folder.path());
            import(&library, "m", MODEL).0.unwrap();
            let before = disk.calls();
            disk.arm(call, fault);
            let result = library.remove("m");
            let all_done = disk.calls() - before <= call;
            drop(library);
            if fault == Fault::PowerCut {
                disk.lose_unsynced();
            }
            let (library, _) = open(folder.path());
            match stored(&library, "m") {
                Some(_) => assert_whole(folder.path(), &library),
                None => assert_eq!(
                    (count(folder.path(), "content"), count(folder.path(), "names")),
                    (0, 0)
                ),
            }
            if result.as_ref().is_ok_and(|removed| removed.left.is_none()) {
                assert_eq!(
                    stored(&library, "m"),
                    None,
                    "call {call}: it was told that it is gone"
                );
            }
            if all_done {
                break;
            }
        }
    }
}

#[test]
fn one_content_under_two_names_is_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let (library, _) = open(folder.path());
    let first = import(&library, "a", &[("a.gguf", b"weights")]).0.unwrap();
    let second = import(&library, "b", &[("other name.gguf", b"weights")])
        .0
        .unwrap();
    assert_eq!(
        (first.content, first.shared, second.shared),
        (second.content, false, true)
    );
    assert_eq!(
        (count(folder.path(), "content"), count(folder.path(), "names")),
        (1, 2)
    );
    let removed = library.remove("a").unwrap();
    assert_eq!(
        (removed.bytes, removed.shared_with),
        (Bytes::ZERO, vec!["b".to_owned()])
    );
    assert_eq!(stored(&library, "b"), Some(vec![b"weights".to_vec()]));
    assert_eq!(library.remove("b").unwrap().bytes, Bytes(7));
    assert_eq!(count(folder.path(), "content"), 0);
}

#[test]
fn what_is_safe_is_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let (library, _) = open(folder.path());
    let bytes: &[u8] = &[7; 100];
    let files = [("a.gguf", bytes)];
    let state = library.begin(&request("m", &files)).unwrap();
    library.write(&state.id, 0, Bytes(0), &bytes[..60]).unwrap();
    assert_eq!(library.settle(&state.id, 0).unwrap(), Bytes(60));
    library.write(&state.id, 0, Bytes(60), &bytes[60..80]).unwrap();
    drop(library);
    let (library, told) = open(folder.path());
    assert_eq!(told, [""; 0]);
    let (result, sent) = import(&library, "m", &files);
    result.unwrap();
    assert_eq!(sent, 40);
}

#[test]
fn what_was_changed_on_its_way_is_found_and_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let (library, _) = open(folder.path());
    let files: [(&str, &[u8]); 1] = [("a.gguf", b"right")];
    let state = library.begin(&request("m", &files)).unwrap();
    library.write(&state.id, 0, Bytes(0), b"wrong").unwrap();
    library.settle(&state.id, 0).unwrap();
    let error = library
        .check(&state.id, &[sha256(b"right")], &mut |_, _| {})
        .unwrap_err();
    assert!(error.to_string().contains("a.gguf did not arrive"), "{error}");
    let (result, sent) = import(&library, "m", &files);
    result.unwrap();
    assert_eq!(sent, 5);
}

#[test]
fn bytes_go_where_they_belong_or_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (library, _) = open(folder.path());
    let state = library.begin(&request("m", &[("a.gguf", b"12345")])).unwrap();
    for (offset, bytes) in [(1, &b"2"[..]), (0, b"123456"), (u64::MAX, b"1")] {
        let error = library.write(&state.id, 0, Bytes(offset), bytes).unwrap_err();
        assert_eq!(
            error,
            StoreError::Offset {
                number: 0,
                expected: Bytes::ZERO
            }
        );
    }
    assert!(matches!(
        library.write(&state.id, 1, Bytes(0), b"1"),
        Err(StoreError::Refused { .. })
    ));
    assert!(matches!(
        library.write("none", 0, Bytes(0), b"1"),
        Err(StoreError::NoImport { .. })
    ));
}

#[test]
fn too_large_a_model_is_refused_before_a_byte() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let (library, _) = Library::open(folder.path(), Arc::new(disk), SystemTime::now()).unwrap();
    let mut large = request("m", &[("a.gguf", b"")]);
    large.files[0].bytes = Bytes::from_mib(850);
    library.begin(&large).unwrap();
    let mut other = large.clone();
    other.name = "n".to_owned();
    let error = library.begin(&other).unwrap_err();
    assert!(
        matches!(error, StoreError::NoRoom { missing, .. } if missing == Bytes::from_mib(850)),
        "{error}"
    );
    assert_eq!(count(folder.path(), "incoming"), 1);
}

#[test]
fn an_import_that_is_dropped_takes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let (library, _) = open(folder.path());
    let state = library.begin(&request("m", MODEL)).unwrap();
    library
        .write(&state.id, 0, Bytes::ZERO, &MODEL[0].1[..1])
        .unwrap();
    // Somebody waits for his turn with it.
    let known = library.find(&state.id).unwrap();
    library.discard(&state.id).unwrap();
    let late = library.turn_of(&state.id, &known).map(drop);
    let again = library.write(&state.id, 0, Bytes(1), &MODEL[0].1[1..]);
    for result in [late, again] {
        assert!(matches!(result, Err(StoreError::NoImport { .. })), "{result:?}");
    }
    assert_eq!(count(folder.path(), "incoming"), 0);
}

#[test]
fn an_old_import_is_forgotten_and_a_young_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (library, _) = open(folder.path());
    library.begin(&request("m", &[("a.gguf", b"12345")])).unwrap();
    drop(library);
    open(folder.path());
    assert_eq!(count(folder.path(), "incoming"), 1);
    let later = SystemTime::now() + KEEP_INCOMING + Duration::from_secs(1);
    let (_, told) = Library::open(folder.path(), Arc::new(SystemDisk), later).unwrap();
    assert_eq!(told, ["an unfinished import of m was removed"]);
    assert_eq!(count(folder.path(), "incoming"), 0);
}

#[test]
fn a_broken_manifest_costs_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (library, _) = open(folder.path());
    import(&library, "a", &[("a.gguf", b"1")]).0.unwrap();
    std::fs::write(folder.path().join("names/b.json"), "{").unwrap();
    let (library, told) = open(folder.path());
    assert_eq!(told, [""; 0]);
    let (found, problems) = library.manifests().unwrap();
    assert_eq!((found.len(), problems.len()), (1, 1));
}

proptest! {
    /// Wherever it is cut, and however often, an import arrives whole and no byte that is safe is sent again.
    #[test]
    fn an_import_that_is_cut_off_arrives_whole(
        bytes in proptest::collection::vec(any::<u8>(), 1..80),
        cuts in proptest::collection::vec((0..90_usize, any::<bool>()), 0..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let files = [("a.gguf", bytes.as_slice())];
        let (mut library, _) = open(folder.path());
        let mut safe = 0;
        for (cut, restart) in cuts {
            let state = library.begin(&request("m", &files)).unwrap();
            prop_assert_eq!(state.received[0], Bytes::from(safe));
            let end = cut.clamp(safe, bytes.len());
            library.write(&state.id, 0, Bytes::from(safe), &bytes[safe..end]).unwrap();
            if cut % 2 == 0 {
                library.settle(&state.id, 0).unwrap();
                safe = end;
            }
            if restart {
                library = open(folder.path()).0;
            }
        }
        let (result, sent) = import(&library, "m", &files);
        result.unwrap();
        prop_assert_eq!(sent, bytes.len() - safe);
        prop_assert_eq!(stored(&library, "m"), Some(vec![bytes]));
    }
}

/// A whole import of a tar with these files in it.
fn import_tar(library: &Library, name: &str, files: &[(&str, &[u8])]) -> Result<Placed, StoreError> {
    let tar: Vec<u8> = files.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
    let mut request = request(name, &[("model.tar", &tar)]);
    request.kind = ImportKind::Tar;
    let state = library.begin(&request)?;
    let safe = usize::try_from(state.received[0].0).unwrap();
    library.write(&state.id, 0, state.received[0], &tar[safe..])?;
    library.settle(&state.id, 0)?;
    library.check(&state.id, &[sha256(&tar)], &mut |_, _| {})?;
    let mut unpacking = library.unpack(&state.id)?;
    let mut take = || {
        for (name, bytes) in files {
            unpacking.file(name, Bytes::from(bytes.len()))?;
            bytes.chunks(PIECE).try_for_each(|piece| unpacking.write(piece))?;
        }
        Ok(())
    };
    let taken = take();
    library.unpacked(&state.id, taken)?;
    let finished = unpacking.finish();
    let (kind, stored) = library.unpacked(&state.id, finished)?;
    let manifest = Manifest {
        kind,
        files: stored,
        origin: request.origin,
        imported: 7,
        model: Digest([1; 32]),
    };
    library.commit(&state.id, &manifest)
}

#[test]
fn a_tar_survives_a_failure_a_kill_and_a_power_cut_at_any_call() {
    for fault in [
        Fault::Once(ErrorKind::StorageFull),
        Fault::Once(ErrorKind::PermissionDenied),
        Fault::Killed,
        Fault::PowerCut,
    ] {
        for call in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let (library, disk) = faulty(folder.path());
            let before = disk.calls();
            disk.arm(call, fault);
            let result = import_tar(&library, "m", MODEL);
            let all_done = disk.calls() - before <= call;
            disk.disarm();
            if matches!(
                result,
                Err(StoreError::DiskFull { .. } | StoreError::NoRoom { .. })
            ) {
                assert_eq!(count(folder.path(), "incoming"), 0, "call {call} leaves debris");
            }
            drop(library);
            if fault == Fault::PowerCut {
                disk.lose_unsynced();
            }
            let (library, _) = open(folder.path());
            if stored(&library, "m").is_none() {
                assert!(result.is_err(), "call {call}: it was told that it is there");
                assert_eq!(count(folder.path(), "content"), 0, "call {call}");
                import_tar(&library, "m", MODEL).unwrap_or_else(|error| panic!("call {call}: {error}"));
            }
            assert_whole(folder.path(), &library);
            assert_eq!(count(folder.path(), "incoming"), 0, "call {call}");
            if all_done {
                break;
            }
        }
    }
}

#[test]
fn what_a_worker_says_of_a_tar_is_not_believed() {
    type Said<'a> = &'a [(&'a str, u64, &'a [u8])];
    let cases: [(Said<'_>, &str); 6] = [
        (&[("../x", 1, b"1")], "plain file name"),
        (&[("a.gguf", 1, b"1"), ("a.gguf", 1, b"1")], "twice"),
        (&[("a.gguf", 9, b"1")], "larger than the tar"),
        (&[("a.gguf", 1, b"12")], "more bytes"),
        (
            &[("a.gguf", 2, b"1"), ("b.gguf", 1, b"1")],
            "has 1 of the 2 bytes",
        ),
        (&[("notes.txt", 1, b"1")], "neither"),
    ];
    for (said, word) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (library, _) = open(folder.path());
        let mut asked = request("m", &[("m.tar", b"12345")]);
        asked.kind = ImportKind::Tar;
        let state = library.begin(&asked).unwrap();
        let mut unpacking = library.unpack(&state.id).unwrap();
        assert!(unpacking.write(b"1").is_err(), "bytes of no file");
        let take = |(name, bytes, piece): &(&str, u64, &[u8])| {
            unpacking.file(name, Bytes(*bytes))?;
            unpacking.write(piece)
        };
        let taken: Result<(), StoreError> = said.iter().try_for_each(take);
        let error = taken
            .and_then(|()| unpacking.finish().map(drop))
            .unwrap_err()
            .to_string();
        assert!(error.contains(word), "{error}");
    }
}
