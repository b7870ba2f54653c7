//! Reads the files of one device.

use super::sys::{FILES, POWER_CAP, SENSORS};
use crate::library::facts::{Fact, Facts, Word};
use crate::sysfs::{self, PciEntry};

/// The facts of `entry`, and what its files say that can not be.
pub(super) fn read(entry: &PciEntry) -> (Facts, Vec<String>) {
    let mut facts = Facts::default();
    facts.set_word(Word::Pci, entry.address.to_string().as_bytes());
    let mut garbage = sysfs::read(&entry.folder, FILES, &mut facts);
    let sensors = sysfs::sensors(&entry.folder);
    if let Some(sensors) = &sensors {
        garbage.extend(sysfs::read(sensors, SENSORS, &mut facts));
    }
    let capped = sensors.is_none_or(|sensors| sensors.join(POWER_CAP).exists());
    if !capped && facts.get(Fact::HostTotal).is_some() {
        garbage.extend(facts.set(Fact::Integrated, 1.0).err());
    }
    sysfs::link(&entry.folder, &mut facts);
    if let Some(name) = sysfs::text(&entry.folder.join("product_name")) {
        facts.set_word(Word::Name, name.as_bytes());
    }
    if let Some(unique) = sysfs::text(&entry.folder.join("unique_id")) {
        facts.set_word(Word::Uuid, format!("GPU-{unique}").as_bytes());
    }
    (facts, garbage)
}
