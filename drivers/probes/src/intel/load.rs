//! Reads the files of one device.

use super::sys::{CARD_MEMORY, SENSORS, TILE_MEMORY};
use crate::library::facts::{Fact, Facts, Word};
use crate::sysfs::{self, PciEntry};

/// The facts of `entry`, and what its files say that can not be.
pub(super) fn read(entry: &PciEntry) -> (Facts, Vec<String>) {
    let mut facts = Facts::default();
    facts.set_word(Word::Pci, entry.address.to_string().as_bytes());
    let mut garbage = Vec::new();
    if let Some(sensors) = sysfs::sensors(&entry.folder) {
        garbage.extend(sysfs::read(&sensors, SENSORS, &mut facts));
    }
    match memory(entry) {
        Ok(Some(bytes)) => garbage.extend(facts.set(Fact::MemoryTotal, bytes).err()),
        Ok(None) => {}
        Err(error) => garbage.push(error),
    }
    sysfs::link(&entry.folder, &mut facts);
    (facts, garbage)
}

/// Memory of its own, in bytes: the sum over tiles (xe), else what the card's folder says (i915).
fn memory(entry: &PciEntry) -> Result<Option<f64>, String> {
    let numbers = |parent: &std::path::Path, prefix: &str, name: &str| {
        let folders = sysfs::folders(parent).into_iter().filter(|folder| {
            folder
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        });
        let texts = folders.filter_map(|folder| sysfs::text(&folder.join(name)));
        let numbers: Result<Vec<u64>, _> = texts.map(|text| sysfs::integer(&text)).collect();
        numbers.map_err(|error| format!("{name}: {error}"))
    };
    let tiles = numbers(&entry.folder, "tile", TILE_MEMORY)?;
    let cards = numbers(&entry.folder.join("drm"), "card", CARD_MEMORY)?;
    let total = |numbers: &[u64]| numbers.iter().map(|number| *number as f64).sum::<f64>();
    Ok([tiles, cards]
        .iter()
        .map(|numbers| total(numbers))
        .find(|total| *total > 0.0))
}
