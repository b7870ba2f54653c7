//! Who is behind a connection, as the kernel reported it at accept.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use mains_types::Peer;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use tokio::net::UnixStream;

/// Supplementary groups of one process (`NGROUPS_MAX` of Linux, limits.h).
const MAX_GROUPS: usize = 65_536;

/// Groups that are fetched without asking for the number first: most users have fewer.
const USUAL_GROUPS: usize = 64;

/// The peer of a connection.
///
/// # Errors
/// When the kernel does not tell, which a Unix stream socket never does.
pub(crate) fn peer_of(stream: &UnixStream) -> std::io::Result<Peer> {
    let credentials = stream.peer_cred()?;
    let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok());
    Ok(Peer {
        uid: credentials.uid(),
        gid: credentials.gid(),
        pid,
        groups: groups_of(stream)?,
        unit: pid.and_then(|pid| unit_of(stream, pid)),
    })
}

/// `SO_PEERGROUPS` (socket(7)): the groups that the peer had when it connected.
fn groups_of(stream: &UnixStream) -> std::io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; USUAL_GROUPS];
    loop {
        let mut bytes = libc::socklen_t::try_from(std::mem::size_of_val(&*groups))
            .expect("at most 65,536 groups of 4 bytes");
        // SAFETY: the pointer and `bytes` describe the vector's initialised elements, which live through the call; the
        // kernel writes at most `bytes` bytes of gid_t, which is u32, and the descriptor is open.
        let status = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let needed = bytes as usize / size_of::<u32>();
        if status == 0 {
            groups.truncate(needed);
            return Ok(groups);
        }
        let error = std::io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || needed > MAX_GROUPS || needed <= groups.len() {
            return Err(error);
        }
        groups.resize(needed, 0);
    }
}

/// The unit of the process, if the process still lived after its control group was read: else the number may belong to
/// another process by now.
fn unit_of(stream: &UnixStream, pid: u32) -> Option<String> {
    let pidfd = match getsockopt(stream, sockopt::PeerPidfd) {
        Ok(pidfd) => pidfd,
        // Kernels before 6.5 do not have the option.
        Err(_) => pidfd_open(pid)?,
    };
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let mut ended = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    match poll(&mut ended, PollTimeout::ZERO) {
        Ok(0) => unit_in(&text),
        _ => None,
    }
}

fn pidfd_open(pid: u32) -> Option<OwnedFd> {
    // SAFETY: pidfd_open(2) takes two integers and no pointer.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel has just given this descriptor to us; nobody else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The innermost service or scope in the text of `/proc/<pid>/cgroup`: of the unified hierarchy, else of systemd's own.
fn unit_in(text: &str) -> Option<String> {
    let path_of = |hierarchy: &str| {
        text.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (name, path) = rest.split_once(':')?;
            (name == hierarchy).then_some(path)
        })
    };
    let innermost = |path: &str| {
        path.rsplit('/')
            .find(|part| part.ends_with(".service") || part.ends_with(".scope"))
            .map(ToOwned::to_owned)
    };
    path_of("")
        .and_then(innermost)
        .or_else(|| path_of("name=systemd").and_then(innermost))
}

#[cfg(test)]
mod tests {
    use super::{peer_of, unit_in};

    #[test]
    fn finds_the_innermost_unit() {
        for (text, unit) in [
            ("0::/system.slice/nginx.service\n", Some("nginx.service")),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-7.scope\n",
                Some("run-7.scope"),
            ),
            ("0::/system.slice/a.service/payload\n", Some("a.service")),
            (
                "4:memory:/x.service\n1:name=systemd:/system.slice/b.service\n0::/\n",
                Some("b.service"),
            ),
            ("0::/\n", None),
            ("", None),
            ("garbage", None),
        ] {
            assert_eq!(unit_in(text).as_deref(), unit, "{text}");
        }
    }

    #[tokio::test]
    async fn the_kernel_tells_who_we_are() {
        let (ours, _theirs) = tokio::net::UnixStream::pair().unwrap();
        let peer = peer_of(&ours).unwrap();
        assert_eq!(peer.uid, nix::unistd::getuid().as_raw());
        assert_eq!(peer.pid, Some(std::process::id()));
        let mut groups: Vec<u32> = nix::unistd::getgroups()
            .unwrap()
            .into_iter()
            .map(nix::unistd::Gid::as_raw)
            .collect();
        let mut told = peer.groups;
        groups.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, groups);
    }
}
