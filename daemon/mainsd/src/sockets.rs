//! The two sockets: given by systemd, or bound here.

use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::unistd::Gid;

/// Names of the descriptors that systemd gives (`FileDescriptorName=`).
const REQUEST_NAME: &str = "mains.sock";
const ADMIN_NAME: &str = "admin.sock";

/// Everybody may connect: who gets an answer is decided by the kernel's word on the peer.
const REQUEST_MODE: u32 = 0o666;

/// A socket that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SocketError {
    /// Another daemon answers there.
    #[error("{}: another daemon answers on this socket; stop it or choose another socket", .0.display())]
    Alive(PathBuf),
    /// Something else is there.
    #[error("{}: this is no socket; remove it or choose another path", .0.display())]
    NoSocket(PathBuf),
    /// The folder is somebody else's, who could put another socket there.
    #[error("{}: this folder belongs to uid {owner}; remove it or choose another socket", .path.display())]
    Owner {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// The system refused.
    #[error("can not {action} {}: {reason}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

/// A listener, and whether its file is ours to remove.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) listener: UnixListener,
    /// The file to remove at the end; none when systemd owns it.
    pub(crate) bound: Option<PathBuf>,
}

/// Listeners that systemd gave.
#[derive(Debug, Default)]
pub(crate) struct Given {
    request: Option<UnixListener>,
    admin: Option<UnixListener>,
}

impl Given {
    /// Takes the descriptors of socket activation (`sd_listen_fds_with_names(3)`). Called once.
    ///
    /// # Errors
    /// When systemd gave something that is not expected.
    pub(crate) fn take() -> anyhow::Result<Self> {
        let mut given = Self::default();
        for (fd, name) in systemd::daemon::listen_fds_with_names()?.iter() {
            // SAFETY: systemd gave this descriptor to this process, the library has just checked that it is meant for us,
            // and this function is called once, so nobody else owns it.
            let listener = UnixListener::from(unsafe { OwnedFd::from_raw_fd(fd) });
            match name.to_string_lossy().as_ref() {
                REQUEST_NAME => given.request = Some(listener),
                ADMIN_NAME => given.admin = Some(listener),
                other => anyhow::bail!(
                    "systemd gave a socket named {other:?}; FileDescriptorName= must be {REQUEST_NAME} or {ADMIN_NAME}"
                ),
            }
        }
        Ok(given)
    }

    /// The request socket.
    ///
    /// # Errors
    /// [`SocketError`] when it was not given and cannot be bound.
    pub(crate) fn request(&mut self, path: &Path) -> Result<Listener, SocketError> {
        match self.request.take() {
            Some(listener) => Ok(Listener {
                listener,
                bound: None,
            }),
            None => bind(path, REQUEST_MODE, None),
        }
    }

    /// The administration socket, for the group `gid` beside the owner.
    ///
    /// # Errors
    /// [`SocketError`] when it was not given and cannot be bound.
    pub(crate) fn admin(&mut self, path: &Path, gid: Option<u32>) -> Result<Listener, SocketError> {
        match self.admin.take() {
            Some(listener) => Ok(Listener {
                listener,
                bound: None,
            }),
            None => bind(path, if gid.is_some() { 0o660 } else { 0o600 }, gid),
        }
    }
}

/// Binds `path`. A file that a dead daemon left is replaced; nothing else is.
fn bind(path: &Path, mode: u32, gid: Option<u32>) -> Result<Listener, SocketError> {
    let failed = |action, error: std::io::Error| SocketError::Io {
        action,
        path: path.to_owned(),
        reason: error.to_string(),
    };
    make_folder(path)?;
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NoSocket(path.to_owned())),
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => return Err(SocketError::Alive(path.to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(|error| failed("remove the stale socket", error))?;
            }
            Err(error) => return Err(failed("ask", error)),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("look at", error)),
    }
    let listener = UnixListener::bind(path).map_err(|error| failed("bind", error))?;
    if let Some(gid) = gid {
        nix::unistd::chown(path, None, Some(Gid::from_raw(gid)))
            .map_err(|error| failed("give to its group", error.into()))?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|error| failed("set the mode of", error))?;
    Ok(Listener {
        listener,
        bound: Some(path.to_owned()),
    })
}

/// The folder of a socket. Where everybody may write, as in `/tmp`, it must be ours.
fn make_folder(socket: &Path) -> Result<(), SocketError> {
    let Some(folder) = socket.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    let failed = |action, error: std::io::Error| SocketError::Io {
        action,
        path: folder.to_owned(),
        reason: error.to_string(),
    };
    if let Err(error) = std::fs::create_dir_all(folder) {
        return Err(failed("make the folder", error));
    }
    let owner = std::fs::metadata(folder)
        .map_err(|error| failed("look at", error))?
        .uid();
    if owner == 0 || owner == nix::unistd::getuid().as_raw() {
        Ok(())
    } else {
        Err(SocketError::Owner {
            path: folder.to_owned(),
            owner,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{SocketError, bind};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/mains.sock");
        let first = bind(&path, 0o666, None).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o666);
        assert_eq!(
            bind(&path, 0o666, None).unwrap_err(),
            SocketError::Alive(path.clone())
        );
        drop(first);
        bind(&path, 0o600, None).unwrap();
    }

    #[test]
    fn a_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mains.sock");
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(
            bind(&path, 0o666, None).unwrap_err(),
            SocketError::NoSocket(path.clone())
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
