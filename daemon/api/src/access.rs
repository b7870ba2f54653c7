//! Who may ask and which team pays: pure decisions over what the kernel said of a peer.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use mains_types::{Caller, Peer};

/// The rules of both sockets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Which team a user pays as.
    pub teams: TeamMap,
    /// Users of the administration socket; uid 0 always is.
    pub admin_uids: BTreeSet<u32>,
    /// Groups of the administration socket.
    pub admin_gids: BTreeSet<u32>,
}

/// The rules in force. Cheap to clone; every clone is the same.
#[derive(Debug, Clone, Default)]
pub struct AccessRules(Arc<RwLock<Arc<Access>>>);

impl AccessRules {
    /// These rules.
    #[must_use]
    pub fn new(access: Access) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(access))))
    }

    /// Takes new rules; they hold from the next request of every connection on.
    pub fn set(&self, access: Access) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    pub(crate) fn get(&self) -> Arc<Access> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Users and groups by team. A user's own entry wins over groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TeamMap {
    /// Team by user id.
    pub users: HashMap<u32, String>,
    /// Team by group id.
    pub groups: HashMap<u32, String>,
}

/// Which of the two sockets a peer came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// Answers mapped users with the scope of their team.
    Requests,
    /// Answers administrators with the scope of everybody, and does not generate.
    Administration,
}

/// What an admitted peer may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What belongs to the caller's team.
    Team(Caller),
    /// Everything.
    Everybody,
}

impl Scope {
    /// The team to which reports are limited.
    pub(crate) fn team(&self) -> Option<String> {
        match self {
            Self::Team(caller) => Some(caller.team.clone()),
            Self::Everybody => None,
        }
    }
}

impl Access {
    /// What `peer` may see through `door`, or why nothing.
    pub(crate) fn admit(&self, door: Door, peer: &Peer) -> Result<Scope, String> {
        match door {
            Door::Requests => self.teams.team_of(peer).map(|team| {
                Scope::Team(Caller {
                    peer: peer.clone(),
                    team: team.to_owned(),
                })
            }),
            Door::Administration => {
                let is_admin = peer.uid == 0
                    || self.admin_uids.contains(&peer.uid)
                    || groups(peer).any(|gid| self.admin_gids.contains(&gid));
                if is_admin {
                    Ok(Scope::Everybody)
                } else {
                    Err(format!(
                        "uid {} does not administer this daemon: root and members of the group of [daemon] admin_group do",
                        peer.uid
                    ))
                }
            }
        }
    }
}

impl TeamMap {
    /// The team that pays for `peer`, or what to write into the configuration.
    fn team_of(&self, peer: &Peer) -> Result<&str, String> {
        if let Some(team) = self.users.get(&peer.uid) {
            return Ok(team);
        }
        let uid = peer.uid;
        let teams: BTreeSet<&str> = groups(peer)
            .filter_map(|gid| self.groups.get(&gid).map(String::as_str))
            .collect();
        let mut found = teams.iter();
        match (found.next(), found.next()) {
            (Some(team), None) => Ok(team),
            (None, _) => Err(format!(
                "uid {uid} belongs to no team: write users = [{uid}] or one of its groups into a [teams.NAME] section of \
                 the configuration and reload"
            )),
            (Some(one), Some(other)) => Err(format!(
                "the groups of uid {uid} belong to more than one team ({one}, {other}): write users = [{uid}] into one \
                 [teams.NAME] section of the configuration and reload"
            )),
        }
    }
}

/// Primary and supplementary groups.
fn groups(peer: &Peer) -> impl Iterator<Item = u32> {
    std::iter::once(peer.gid).chain(peer.groups.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::{Access, Door, Scope, TeamMap};
    use mains_types::Peer;

    fn peer(uid: u32, gid: u32, groups: &[u32]) -> Peer {
        Peer {
            uid,
            gid,
            pid: None,
            groups: groups.to_vec(),
            unit: None,
        }
    }

    fn access() -> Access {
        Access {
            teams: TeamMap {
                users: [(1, "a".to_owned())].into(),
                groups: [(10, "a".to_owned()), (11, "a".to_owned()), (20, "b".to_owned())].into(),
            },
            admin_uids: [7].into(),
            admin_gids: [70].into(),
        }
    }

    fn team(peer: &Peer) -> Result<String, String> {
        access()
            .admit(Door::Requests, peer)
            .map(|scope| scope.team().unwrap())
    }

    #[test]
    fn users_win_over_groups_and_groups_must_agree() {
        assert_eq!(team(&peer(1, 20, &[])), Ok("a".to_owned()));
        assert_eq!(team(&peer(2, 20, &[])), Ok("b".to_owned()));
        assert_eq!(team(&peer(2, 5, &[10, 11])), Ok("a".to_owned()));
        let twice = team(&peer(2, 10, &[20])).unwrap_err();
        assert!(twice.contains("more than one team (a, b)"), "{twice}");
        let nobody = team(&peer(65_534, 65_534, &[])).unwrap_err();
        assert!(nobody.contains("users = [65534]"), "{nobody}");
    }

    #[test]
    fn root_needs_a_team_too() {
        assert!(team(&peer(0, 0, &[])).is_err());
    }

    #[test]
    fn administration_is_for_root_and_its_groups() {
        let admit = |peer: &Peer| access().admit(Door::Administration, peer);
        assert_eq!(admit(&peer(0, 0, &[])), Ok(Scope::Everybody));
        assert_eq!(admit(&peer(7, 5, &[])), Ok(Scope::Everybody));
        assert_eq!(admit(&peer(8, 5, &[70])), Ok(Scope::Everybody));
        assert!(admit(&peer(1, 10, &[])).unwrap_err().contains("uid 1"));
    }
}
