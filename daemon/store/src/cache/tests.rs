//! Files of a cache on a disk.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use mains_contract::Bytes;

use super::{Cache, Stamp};
use crate::StoreError;

fn cache(state: &Path, budget: u64) -> Cache {
    Cache::open(state, Some(budget)).unwrap()
}

fn place(state: &Path, name: &str) -> PathBuf {
    state.join("models/variants").join(name)
}

/// Makes the file `name` of these bytes; those that went for it.
fn make(cache: &Cache, path: &Path, bytes: &[u8], in_use: &[&Path]) -> Result<Vec<PathBuf>, StoreError> {
    let in_use: HashSet<PathBuf> = in_use.iter().map(|path| path.to_path_buf()).collect();
    let (mut file, gone) = cache.begin(path, bytes.len() as u64, &in_use)?;
    file.write(bytes)?;
    file.finish(|stamp, sha256| format!("{} {}", stamp.bytes, sha256.unwrap()).into_bytes())?;
    Ok(gone)
}

fn names(state: &Path) -> Vec<String> {
    let files = fs::read_dir(state.join("models/variants")).unwrap();
    let mut names: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_is_there_whole_with_its_record_or_not_at_all() {
    let state = tempfile::tempdir().unwrap();
    let cache = cache(state.path(), 1000);
    let path = place(state.path(), "a.gguf");
    let (mut half, _) = cache.begin(&path, 3, &HashSet::new()).unwrap();
    half.write(b"ab").unwrap();
    let error = half.finish(|_, _| Vec::new()).unwrap_err();
    assert!(error.to_string().contains("2 of 3 bytes"), "{error}");
    let (mut more, _) = cache.begin(&path, 1, &HashSet::new()).unwrap();
    assert!(more.write(b"ab").is_err());
    drop(more);
    assert_eq!(names(state.path()), Vec::<String>::new());
    make(&cache, &path, b"abc", &[]).unwrap();
    assert_eq!(names(state.path()), ["a.gguf", "a.gguf.json"]);
    // FIPS 180-2, appendix B.1.
    let expected = "3 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(
        cache.variants().unwrap(),
        [(path.clone(), expected.as_bytes().to_vec())]
    );
    let stamp = Stamp::of(&path).unwrap();
    fs::write(&path, "abd").unwrap();
    assert_ne!(Stamp::of(&path).unwrap(), stamp);
}

#[test]
fn a_start_is_replaced_only_where_it_was_written() {
    let state = tempfile::tempdir().unwrap();
    let cache = cache(state.path(), 1000);
    let path = place(state.path(), "a.gguf");
    let (mut file, _) = cache.begin(&path, 3, &HashSet::new()).unwrap();
    assert!(file.replace_start(b"x").is_err());
    file.write(b"abc").unwrap();
    file.replace_start(b"x").unwrap();
    file.finish(|_, sha256| format!("{sha256:?}").into_bytes())
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"xbc");
    assert_eq!(fs::read(Cache::record(&path)).unwrap(), b"None");
}

#[test]
fn what_was_used_longest_ago_makes_room() {
    let state = tempfile::tempdir().unwrap();
    let cache = cache(state.path(), 10);
    let [a, b, c] = ["a.gguf", "b.gguf", "c.gguf"].map(|name| place(state.path(), name));
    make(&cache, &a, b"aaaa", &[]).unwrap();
    make(&cache, &b, b"bbbb", &[]).unwrap();
    cache.touch(&a).unwrap();
    assert_eq!(make(&cache, &c, b"cccc", &[]).unwrap(), std::slice::from_ref(&b));
    assert_eq!(
        names(state.path()),
        ["a.gguf", "a.gguf.json", "c.gguf", "c.gguf.json"]
    );
    // All that is there is in use.
    match make(&cache, &b, b"bbbb", &[&a, &c]).unwrap_err() {
        StoreError::Budget { missing, budget, .. } => assert_eq!((missing, budget), (Bytes(2), Bytes(10))),
        other => panic!("{other}"),
    }
    assert_eq!(
        names(state.path()),
        ["a.gguf", "a.gguf.json", "c.gguf", "c.gguf.json"]
    );
}

#[test]
fn a_full_disk_is_told_and_takes_nothing() {
    let state = tempfile::tempdir().unwrap();
    let cache = cache(state.path(), u64::MAX);
    let path = place(state.path(), "a.gguf");
    let full = cache.begin(&path, u64::MAX / 2, &HashSet::new()).unwrap_err();
    assert!(matches!(full, StoreError::NoRoom { .. }), "{full}");
    assert_eq!(names(state.path()), Vec::<String>::new());
}

#[test]
fn what_a_crash_left_is_removed_at_the_next_start() {
    let state = tempfile::tempdir().unwrap();
    let before = cache(state.path(), 1000);
    let whole = place(state.path(), "a.gguf");
    make(&before, &whole, b"abc", &[]).unwrap();
    for name in [".making-x", "gone.gguf.json", "a.gguf.tmp12"] {
        fs::write(place(state.path(), name), "").unwrap();
    }
    cache(state.path(), 1000);
    assert_eq!(names(state.path()), ["a.gguf", "a.gguf.json"]);
}
