//! How many connections are open, over all users and of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Room for connections. Cheap to clone; every clone is the same room.
#[derive(Debug, Clone)]
pub(crate) struct Rooms {
    taken: Arc<Mutex<HashMap<u32, usize>>>,
    most: usize,
    most_per_uid: usize,
}

/// One connection's place; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Room {
    rooms: Rooms,
    uid: u32,
}

impl Rooms {
    pub(crate) fn new(most: usize, most_per_uid: usize) -> Self {
        Self {
            taken: Arc::default(),
            most,
            most_per_uid,
        }
    }

    /// A place for a connection of `uid`, or `None` when there is none.
    pub(crate) fn take(&self, uid: u32) -> Option<Room> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = taken.values().sum();
        let own = taken.get(&uid).copied().unwrap_or(0);
        if total >= self.most || own >= self.most_per_uid {
            return None;
        }
        taken.insert(uid, own + 1);
        Some(Room {
            rooms: self.clone(),
            uid,
        })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.rooms.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.uid) {
            Some(1) | None => drop(taken.remove(&self.uid)),
            Some(count) => *count -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rooms;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bounds_hold_and_nothing_leaks(steps in prop::collection::vec((any::<bool>(), 0_u32..4), 0..80)) {
            let rooms = Rooms::new(6, 3);
            let mut held = Vec::new();
            for (open, uid) in steps {
                let own = held.iter().filter(|(holder, _)| *holder == uid).count();
                if open {
                    let room = rooms.take(uid);
                    prop_assert_eq!(room.is_some(), held.len() < 6 && own < 3);
                    held.extend(room.map(|room| (uid, room)));
                } else if let Some(index) = held.iter().position(|(holder, _)| *holder == uid) {
                    held.swap_remove(index);
                }
            }
            held.clear();
            prop_assert!(rooms.taken.lock().unwrap().is_empty());
        }
    }
}
