//! Asks one library about all its devices.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Instant;

use mains_contract::{Device, HealthState, Probe, ProbeError, ProbeReport, Problem, Runtime, Watch};

use super::call::{Call, Handle};
use super::facts::Facts;
use super::layout::Buffer;
use super::open::{Library, Refused};
use super::vendor::{Listener, MAX_DEVICES, Started, Vendor};
use crate::places::Places;
use crate::sysfs;

/// The probe of a maker's library.
pub(crate) struct LibraryProbe<V> {
    library: Option<PathBuf>,
    sysfs: PathBuf,
    vendor: PhantomData<V>,
}

impl<V: Vendor> LibraryProbe<V> {
    /// Looks where `places` says.
    pub(crate) fn new(places: &Places) -> Self {
        Self {
            library: places.library(V::ABOUT.library).map(PathBuf::from),
            sysfs: places.sysfs().to_owned(),
            vendor: PhantomData,
        }
    }
}

impl<V: Vendor + 'static> Probe for LibraryProbe<V> {
    fn source(&self) -> &'static str {
        V::ABOUT.source
    }

    fn probe(&self) -> Result<ProbeReport, ProbeError> {
        Ok(self
            .open()?
            .map_or_else(ProbeReport::default, |mut open| open.read()))
    }

    fn watch(self: Box<Self>) -> Box<dyn Watch> {
        Box::new(Session {
            probe: *self,
            open: None,
            faults: Vec::new(),
        })
    }
}

impl<V: Vendor> LibraryProbe<V> {
    /// Starts the library; `None` where there is none, or no device of its maker.
    fn open(&self) -> Result<Option<Open<V>>, ProbeError> {
        let about = V::ABOUT;
        let absent = |vendor| !sysfs::has_vendor(&self.sysfs, vendor);
        if about.pci_vendor.is_some_and(absent) {
            return Ok(None);
        }
        let Some(library) = Library::open(self.library.as_deref(), about.names, about.before)? else {
            return Ok(None);
        };
        match V::start(&library) {
            Ok(started) => Ok(Some(Open {
                version: V::version(&library, &started),
                library,
                started,
                listener: None,
                ids: Vec::new(),
            })),
            Err(Refused::Code { code, .. }) if about.no_device.contains(&code) => Ok(None),
            Err(refused) => Err(ProbeError(about.explain(&refused))),
        }
    }
}

/// A library that stays started between readings: to start one wakes cards up and takes seconds on some.
struct Session<V: Vendor> {
    probe: LibraryProbe<V>,
    open: Option<Open<V>>,
    /// What happened to devices, by id. It outlasts the library's restart.
    faults: Vec<(String, Fault)>,
}

type Fault = (HealthState, String);

/// Faults that are kept, the newest: more than this are one sick box.
const MAX_FAULTS: usize = 32;

/// Events that are taken in at one reading, so that a library that has one always does not keep us.
const MAX_EVENTS: usize = 256;

impl<V: Vendor> Watch for Session<V> {
    fn read(&mut self, _now: Instant) -> Result<ProbeReport, ProbeError> {
        if self.open.is_none() {
            self.open = self.probe.open()?.map(Open::listening);
        }
        let Some(open) = &mut self.open else {
            return Ok(ProbeReport::default());
        };
        // Only then every handle has its device's id.
        let mut report = open.read();
        for (id, fault) in open.heard() {
            self.faults.retain(|known| *known != (id.clone(), fault.clone()));
            self.faults.push((id, fault));
        }
        let old = self.faults.len().saturating_sub(MAX_FAULTS);
        self.faults.drain(..old);
        for device in &mut report.devices {
            let faults = self.faults.iter().filter(|(id, _)| *id == device.id);
            for (_, (state, words)) in faults {
                if state.severity() > device.health.state.severity() {
                    device.health.state = *state;
                }
                device.health.reasons.push(words.clone());
            }
        }
        Ok(report)
    }

    fn reopen(&mut self) {
        self.open = None;
    }
}

/// A started library with its devices. Dropping it stops the library.
struct Open<V: Vendor> {
    library: Library,
    started: Started<V::Handle>,
    version: Option<String>,
    listener: Option<Listener<V::Handle>>,
    /// Ids of the devices in the order of their handles, from the first reading on.
    ids: Vec<Option<String>>,
}

impl<V: Vendor> Open<V> {
    fn listening(mut self) -> Self {
        self.listener = V::listen(&self.library, &self.started);
        self
    }

    /// What happened since the last time, with the device's id.
    fn heard(&self) -> Vec<(String, Fault)> {
        let Some(listener) = &self.listener else {
            return Vec::new();
        };
        let next = || (listener.next)(&self.library, listener.set);
        std::iter::from_fn(next)
            .take(MAX_EVENTS)
            .filter_map(|event| {
                let mut handles = self.started.handles.iter();
                let index = handles.position(|handle| *handle == Ok(event.handle))?;
                Some((self.ids.get(index)?.clone()?, event.fault?))
            })
            .collect()
    }

    fn read(&mut self) -> ProbeReport {
        let mut asked = Asked::<V>::new(&self.library, self.version.clone());
        self.ids.clear();
        for (index, handle) in self.started.handles.iter().enumerate() {
            let id = match handle {
                Ok(handle) => Some(asked.add(index, *handle)),
                Err(refused) => {
                    asked.problem(format!("device {index}: {}", V::ABOUT.explain(refused)));
                    None
                }
            };
            self.ids.push(id);
        }
        asked.finish()
    }
}

impl<V: Vendor> Drop for Open<V> {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            (listener.close)(&self.library, listener.set);
        }
        V::stop(&self.library, &self.started);
    }
}

/// A library that is being asked.
struct Asked<'a, V> {
    library: &'a Library,
    runtime: Runtime,
    report: ProbeReport,
    vendor: PhantomData<V>,
}

impl<'a, V: Vendor> Asked<'a, V> {
    fn new(library: &'a Library, version: Option<String>) -> Self {
        Self {
            library,
            runtime: Runtime {
                name: V::ABOUT.runtime.to_owned(),
                version,
            },
            report: ProbeReport::default(),
            vendor: PhantomData,
        }
    }

    /// The device and its partitions; its id.
    fn add(&mut self, index: usize, handle: V::Handle) -> String {
        let device = self.read(index, handle);
        let (id, pci) = (device.id.clone(), device.pci.clone());
        self.report.devices.push(device);
        let parts = V::parts(self.library, handle);
        for (number, part) in parts.into_iter().take(MAX_DEVICES as usize).enumerate() {
            let mut device = self.read(index, part);
            device.parent = Some(id.clone());
            device.pci.clone_from(&pci);
            let known_by = device.uuid.clone().unwrap_or_else(|| format!("{id}/{number}"));
            device.id = format!("{}:{known_by}", device.kind.name());
            self.report.devices.push(device);
        }
        id
    }

    fn read(&mut self, index: usize, handle: V::Handle) -> Device {
        let about = V::ABOUT;
        let mut facts = Facts::default();
        for call in V::CALLS {
            if let Err(error) = self.call(call, handle, &mut facts) {
                self.problem(format!("device {index}: {error}"));
            }
        }
        V::more(self.library, handle, &mut facts);
        let mut device = facts.device(about.source, about.maker, about.kind, index);
        device.runtime = Some(self.runtime.clone());
        device
    }

    fn call(
        &self,
        call: &Call<<V::Handle as Handle>::Shape>,
        handle: V::Handle,
        facts: &mut Facts,
    ) -> Result<(), String> {
        if call.answer.is_known(facts) {
            return Ok(());
        }
        let Ok((name, function)) = self.library.need_one(call.symbols) else {
            return Ok(());
        };
        let mut buffer = Buffer::stamped(&call.answer);
        let bytes = u32::try_from(call.answer.bytes).unwrap_or(u32::MAX);
        // SAFETY: the table gives the symbol's signature as its header does; the library is open, its handle comes from
        // it and it was not stopped; the buffer has twice the room of the largest answer.
        let code = unsafe { handle.call(function, call.shape, buffer.pointer(), bytes) };
        match code {
            0 => match buffer.read(&call.answer, facts).as_slice() {
                [] => Ok(()),
                garbage => Err(format!("{name}: {}", garbage.join("; "))),
            },
            code if V::ABOUT.not_supported.contains(&code) => Ok(()),
            code => {
                let error = V::ABOUT.explain(&Refused::Code { call: name, code });
                if V::ABOUT.lost.contains(&code) {
                    facts.ail(HealthState::Lost, error.clone());
                }
                Err(error)
            }
        }
    }

    fn problem(&mut self, error: String) {
        self.report.problems.push(Problem {
            source: V::ABOUT.source.to_owned(),
            error,
        });
    }

    fn finish(mut self) -> ProbeReport {
        let unverified = V::ABOUT.unverified;
        if !self.report.devices.is_empty() && !unverified.is_empty() {
            self.problem(mains_inventory::unverified(unverified));
        }
        name_twins(&mut self.report.devices);
        self.report
    }
}

/// A library that gives two devices one identity would make them one: the later ones are told apart by number.
fn name_twins(devices: &mut [Device]) {
    let ids: Vec<String> = devices.iter().map(|device| device.id.clone()).collect();
    for (index, device) in devices.iter_mut().enumerate() {
        let before = ids.iter().take(index).filter(|id| **id == device.id).count();
        if before > 0 {
            device.id = format!("{}#{}", device.id, before + 1);
            device.uuid = None;
            device.pci = device.pci.take().filter(|_| device.parent.is_some());
        }
    }
}
