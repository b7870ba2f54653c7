//! What `mains-worker families` prints and `mains families --json` gives: families by drivers.

use serde::{Deserialize, Serialize};

/// Every family on every driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamiliesBody {
    /// The drivers, in the order of each family's `lacks`.
    pub drivers: Vec<FamilyDriverBody>,
    /// The families, by name.
    pub families: Vec<FamilyBody>,
}

/// A driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilyDriverBody {
    /// Its name.
    pub name: String,
    /// The kernels that it picked on this machine.
    pub kernels: String,
    /// Formats of weights that it multiplies by.
    pub weight_formats: Vec<String>,
}

/// A family, and what each driver lacks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilyBody {
    /// `model_type` of `config.json`.
    pub name: String,
    /// `general.architecture` of GGUF files.
    pub gguf: String,
    /// The name for people.
    pub display_name: String,
    /// By driver: what it lacks, nothing when it computes the family.
    pub lacks: Vec<Vec<LackBody>>,
}

/// An operation that a driver can not compute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LackBody {
    /// The operation's name.
    pub op: String,
    /// Why not.
    pub reason: String,
}
