//! The devices that a plan may use, in order, and the memory that there is on each.

use mains_contract::{Bytes, Device, DeviceKind, HealthState, Inventory};
use mains_types::{Demand, DriverCosts, ModelFacts};

/// Left free on a device whose memory the host's processes share: the daemon, the journal, a shell to help with.
pub const HOST_RESERVE: Bytes = Bytes::from_mib(256);

/// A device that layers may go to.
#[derive(Debug, Clone)]
pub(crate) struct Room<'a> {
    pub(crate) device: &'a Device,
    pub(crate) costs: &'a DriverCosts,
    /// Threads that share the work there.
    pub(crate) threads: u32,
    pub(crate) memory: Bytes,
}

/// Where what a worker takes beside its devices' arenas is.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) device: String,
    /// The room that has it, unless it is on none of them.
    pub(crate) room: Option<usize>,
    /// What is free there, when it is in no room and known.
    memory: Option<Bytes>,
}

/// Devices in the order that layers go to them.
#[derive(Debug, Clone)]
pub(crate) struct Rooms<'a> {
    pub(crate) list: Vec<Room<'a>>,
    pub(crate) host: Host,
}

impl<'a> Rooms<'a> {
    /// # Errors
    /// A sentence when one of `devices` can not be used, or two of them share their memory.
    pub(crate) fn new(
        inventory: &Inventory,
        facts: &'a ModelFacts,
        demand: &Demand,
        devices: &[&'a Device],
    ) -> Result<Self, String> {
        let rooms = devices.iter().map(|device| room(device, facts, demand));
        let list = rooms.collect::<Result<Vec<Room<'a>>, String>>()?;
        let shared = |room: &&Room<'_>| room.device.memory.is_some_and(|memory| memory.shared);
        if let [one, other, ..] = list.iter().filter(shared).collect::<Vec<_>>()[..] {
            let (one, other) = (&one.device.id, &other.device.id);
            return Err(format!(
                "{one} and {other} have the same memory: plan for one of them"
            ));
        }
        Ok(Self {
            host: host(inventory, demand, &list),
            list,
        })
    }

    /// Parts that a model has here: on one device it is not cut.
    pub(crate) const fn parts(&self, facts: &ModelFacts) -> usize {
        if self.list.len() < 2 {
            1
        } else {
            facts.borders.len() + 1
        }
    }

    /// Whether the first devices are filled before the next ones get anything, as when the last is the CPU; else all get
    /// their share.
    pub(crate) fn are_filled(&self) -> bool {
        self.list.iter().any(|room| !is_accelerator(room.device))
    }

    /// Whether `bytes` beside the arenas fit where they go, unless that is a room's own matter.
    pub(crate) fn hosts(&self, bytes: Bytes) -> bool {
        self.host.room.is_some() || self.host.memory.is_none_or(|memory| bytes <= memory)
    }

    /// Ids, as people read them.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.list.iter().map(|room| room.device.id.as_str()).collect();
        match names.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
            _ => names.concat(),
        }
    }
}

/// Whether it computes for the host rather than being it.
pub(crate) const fn is_accelerator(device: &Device) -> bool {
    !matches!(device.kind, DeviceKind::Cpu | DeviceKind::Software)
}

fn host(inventory: &Inventory, demand: &Demand, list: &[Room<'_>]) -> Host {
    if let Some(index) = list.iter().position(|room| room.device.kind == DeviceKind::Cpu) {
        return Host {
            device: list[index].device.id.clone(),
            room: Some(index),
            memory: None,
        };
    }
    let mut devices = inventory.devices.iter();
    match devices.find(|device| device.kind == DeviceKind::Cpu) {
        Some(cpu) => Host {
            device: cpu.id.clone(),
            room: None,
            memory: demand.memory.or_else(|| free(cpu)),
        },
        None => Host {
            device: list
                .first()
                .map_or_else(String::new, |room| room.device.id.clone()),
            room: Some(0),
            memory: None,
        },
    }
}

/// What there is on `device` for the model, or why it can not go there.
fn room<'a>(device: &'a Device, facts: &'a ModelFacts, demand: &Demand) -> Result<Room<'a>, String> {
    let id = &device.id;
    if matches!(device.health.state, HealthState::Failed | HealthState::Lost) {
        let why = device.health.reasons.join(", ");
        return Err(format!("{id} is {}: {why}", device.health.state.name()));
    }
    if device.usable_by.is_empty() {
        let why = device.unusable_because.as_deref();
        return Err(format!("{id}: {}", why.unwrap_or("no driver computes on it")));
    }
    let mut known = facts.costs.iter();
    let Some(costs) = known.find(|costs| device.usable_by.contains(&costs.driver)) else {
        let refused = facts.unsupported.iter();
        let why: Vec<_> = refused
            .filter(|(driver, _)| device.usable_by.contains(driver))
            .map(|(driver, reason)| format!("driver {driver}: {reason}"))
            .collect();
        return Err(format!("{id} can not compute it ({})", why.join(", ")));
    };
    let driver = device.drivers.iter().find(|driver| driver.name == costs.driver);
    let driver = driver.ok_or_else(|| {
        let name = &costs.driver;
        format!("what driver {name} allocates on {id} is not known: export its inventory with this version of mains")
    })?;
    let memory = demand.memory.or_else(|| free(device)).ok_or_else(|| {
        format!("the free memory of {id} is not known; say how much may be used (`--memory`)")
    })?;
    Ok(Room {
        device,
        costs,
        threads: driver.threads,
        memory,
    })
}

/// What may be planned with on `device`; `None` when it is not known.
pub(crate) fn free(device: &Device) -> Option<Bytes> {
    let memory = device.memory?;
    let free = memory.free?;
    let reserve = if memory.shared { HOST_RESERVE } else { Bytes::ZERO };
    Some(free.checked_sub(reserve).unwrap_or(Bytes::ZERO))
}
