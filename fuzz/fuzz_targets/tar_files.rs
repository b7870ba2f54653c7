//! A tar of any bytes has the files of a model, all of them within it and under plain names, or is refused.
#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use mains_formats::tar::{model_files, reader};

fuzz_target!(|bytes: &[u8]| {
    let mut tar = Cursor::new(bytes);
    let Ok(files) = model_files(&mut tar) else { return };
    for file in files {
        let name = file.name();
        assert!(!name.is_empty() && name != ".." && !name.contains('/'), "{name:?}");
        let mut read = Vec::new();
        reader(&mut tar, &file).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read.len() as u64, file.bytes);
    }
});
