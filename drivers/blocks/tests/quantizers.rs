//! Errors at or below llama.cpp's, on the tensors and importance that `peer/make.py` measured it on.

mod peer;

use std::path::Path;

/// The peer's errors are written with ten digits.
const ROUNDING: f64 = 1e-6;

#[test]
fn no_format_errs_more_than_llama_cpp() {
    let compared = peer::compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peer"));
    assert_eq!(compared.len(), 4 * 13, "four tensors in thirteen formats");
    for one in compared {
        let worse = |(ours, theirs): (f64, f64)| ours > theirs * (1.0 + ROUNDING);
        let (tensor, format) = (&one.tensor, one.format);
        assert!(
            !worse(one.plain),
            "{tensor} {format} without importance: {:?}",
            one.plain
        );
        assert!(
            !worse(one.weighted),
            "{tensor} {format} with importance: {:?}",
            one.weighted
        );
    }
}
