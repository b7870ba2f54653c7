//! Hashes the embedded pilot.

use std::error::Error;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

const PILOT: &str = "pilot/pilot.gguf";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PILOT}");
    let pilot = std::fs::read(PILOT).map_err(|error| format!("{PILOT}: {error}"))?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    std::fs::write(out.join("pilot.sha256"), Sha256::digest(pilot))?;
    Ok(())
}
