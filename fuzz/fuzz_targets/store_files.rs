//! What the store keeps beside models is read as it was written, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mains_wire::files::{read_incoming, read_manifest, write_incoming, write_manifest};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = read_manifest(bytes) {
        assert_eq!(read_manifest(&write_manifest(&manifest)), Ok(manifest));
    }
    if let Ok((request, received)) = read_incoming(bytes) {
        assert_eq!(read_incoming(&write_incoming(&request, &received)), Ok((request, received)));
    }
});
