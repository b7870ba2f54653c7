//! Prints, for each format, the share of llama.cpp's squared errors that ours are, over the tensors of a folder that
//! `tests/peer/make.py` wrote: the geometric mean and the worst tensor, without importance and with.
//!
//! `cargo run --release -p mains-blocks --example errors -- FOLDER`

#[path = "../tests/peer/mod.rs"]
mod peer;

use std::path::PathBuf;

use mains_blocks::BlockFormat;

fn main() {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peer"));
    let compared = peer::compare(&folder);
    println!("format   plain: mean worst        with importance: mean worst");
    for format in BlockFormat::ALL {
        let of_format: Vec<_> = compared.iter().filter(|one| one.format == format).collect();
        if of_format.is_empty() {
            continue;
        }
        let summary = |ratios: Vec<(f64, &str)>| {
            let mean = (ratios.iter().map(|(ratio, _)| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
            let worst = ratios
                .into_iter()
                .max_by(|left, right| left.0.total_cmp(&right.0));
            let (worst, tensor) = worst.expect("a format has tensors");
            format!("{mean:.4} {worst:.4} {tensor:<24}")
        };
        let plain = of_format
            .iter()
            .map(|one| (one.plain.0 / one.plain.1, one.tensor.as_str()));
        let weighted = of_format
            .iter()
            .map(|one| (one.weighted.0 / one.weighted.1, one.tensor.as_str()));
        println!(
            "{format:<7} {} {}",
            summary(plain.collect()),
            summary(weighted.collect())
        );
    }
}
