//! What devices were measured to do: kept in a file of the state folder, for the devices and drivers that were measured.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use mains_contract::{Device, Inventory, Measured};
use mains_store::{StoreError, write_whole};
use mains_wire::http::DevicesBody;

/// The file, in the form of `GET /v1/devices`: the devices as they were when they were measured.
const FILE: &str = "measured.json";

/// The file and what is in it.
pub(crate) struct Measurements {
    path: PathBuf,
    devices: Mutex<Vec<Device>>,
}

impl Measurements {
    /// Reads the file below `state_dir`. One that can not be read is as good as none: devices can be measured again.
    pub(crate) fn open(state_dir: &Path) -> Self {
        let path = state_dir.join(FILE);
        let devices = read(&path).unwrap_or_else(|reason| {
            tracing::warn!(path = %path.display(), %reason, "measurements are lost; `mains devices --measure` makes new ones");
            Vec::new()
        });
        Self {
            path,
            devices: Mutex::new(devices),
        }
    }

    /// Gives `device` its figures, if it is the one that was measured and the driver has not changed since.
    pub(crate) fn complete(&self, device: &mut Device) {
        let devices = self.devices();
        let kept = devices.iter().find(|kept| is_same(kept, device));
        let measured = kept.and_then(|kept| kept.measured.clone());
        device.measured = measured.filter(|measured| device.drivers.contains(&measured.driver));
    }

    /// Keeps the figures of `device`, whose older ones are gone then.
    ///
    /// # Errors
    /// [`StoreError`] when the file can not be written; everything stays as it was.
    pub(crate) fn keep(&self, device: &Device, measured: Measured) -> Result<(), StoreError> {
        let mut devices = self.devices();
        let others = devices.iter().filter(|kept| kept.id != device.id).cloned();
        let new = Device {
            measured: Some(measured),
            ..device.clone()
        };
        let changed: Vec<_> = others.chain([new]).collect();
        write_whole(&self.path, &text(&changed))?;
        *devices = changed;
        Ok(())
    }

    fn devices(&self) -> MutexGuard<'_, Vec<Device>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether figures of `kept` are those of `now`: another card in the same slot, or another version of its maker's driver,
/// may be faster or slower.
fn is_same(kept: &Device, now: &Device) -> bool {
    let identity = |device: &Device| {
        (
            device.id.clone(),
            device.name.clone(),
            device.uuid.clone(),
            device.runtime.clone(),
        )
    };
    identity(kept) == identity(now)
}

fn read(path: &Path) -> Result<Vec<Device>, String> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    let body: DevicesBody = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let inventory = Inventory::try_from(body).map_err(|error| error.to_string())?;
    Ok(inventory.devices)
}

fn text(devices: &[Device]) -> Vec<u8> {
    let newest = devices
        .iter()
        .filter_map(|device| Some(device.measured.as_ref()?.at));
    let inventory = Inventory {
        devices: devices.to_vec(),
        problems: Vec::new(),
        probed_at: newest.max().unwrap_or(SystemTime::UNIX_EPOCH),
    };
    let at = Timestamp::try_from(inventory.probed_at).unwrap_or(Timestamp::UNIX_EPOCH);
    let body = DevicesBody::new(&inventory, at.to_string());
    serde_json::to_vec_pretty(&body).expect("a body has string keys, and a Vec takes all")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use mains_contract::{Device, DeviceKind, DriverFacts, Measured, Precision, Runtime};

    use super::{FILE, Measurements};

    fn device() -> Device {
        Device {
            drivers: vec![DriverFacts {
                name: "cpu".to_owned(),
                version: "1".to_owned(),
                kernels: "avx2".to_owned(),
                threads: 2,
            }],
            runtime: Some(Runtime {
                name: "linux".to_owned(),
                version: Some("6.18".to_owned()),
            }),
            ..Device::new("cpu", "A CPU", DeviceKind::Cpu)
        }
    }

    fn measured() -> Measured {
        Measured {
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_500_000),
            driver: device().drivers[0].clone(),
            read_bytes_per_s: 5e9,
            operations_per_s: [(Precision::Int8, 1e11)].into(),
            spread: 0.5,
        }
    }

    fn known(measurements: &Measurements, change: impl FnOnce(&mut Device)) -> Option<Measured> {
        let mut device = device();
        change(&mut device);
        measurements.complete(&mut device);
        device.measured
    }

    #[test]
    fn figures_survive_a_restart_and_no_change_of_device_or_driver() {
        let folder = tempfile::tempdir().unwrap();
        let measurements = Measurements::open(folder.path());
        assert_eq!(known(&measurements, |_| {}), None);
        measurements.keep(&device(), measured()).unwrap();
        let mut other = device();
        other.id = "gpu-1".to_owned();
        measurements.keep(&other, measured()).unwrap();
        let again = Measurements::open(folder.path());
        assert_eq!(known(&again, |_| {}), Some(measured()));
        assert_eq!(
            known(&again, |device| device.name = "Another CPU".to_owned()),
            None
        );
        assert_eq!(known(&again, |device| device.runtime = None), None);
        assert_eq!(
            known(&again, |device| device.drivers[0].version = "2".to_owned()),
            None
        );
        assert_eq!(known(&again, |device| device.drivers[0].threads = 3), None);
        assert_eq!(known(&again, |device| device.drivers.clear()), None);
    }

    #[test]
    fn a_broken_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), b"{").unwrap();
        let measurements = Measurements::open(folder.path());
        assert_eq!(known(&measurements, |_| {}), None);
        measurements.keep(&device(), measured()).unwrap();
        let again = Measurements::open(folder.path());
        assert_eq!(known(&again, |_| {}), Some(measured()));
    }
}
