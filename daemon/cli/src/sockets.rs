//! Which daemon is meant: where its two sockets are.

use std::path::{Path, PathBuf};

use crate::client::Client;

/// The installed daemon's request socket.
const SYSTEM_SOCKET: &str = "/run/mains/mains.sock";

/// File name of a request socket.
const REQUEST_SOCKET: &str = "mains.sock";

/// File name of an administration socket, beside the request socket.
const ADMIN_SOCKET: &str = "admin.sock";

/// Both sockets of one daemon.
#[derive(Debug, Clone)]
pub(crate) struct Sockets {
    /// Answers mapped users, each with the scope of their team.
    pub(crate) request: Client,
    /// Answers administrators, with the scope of everybody.
    pub(crate) admin: Client,
}

impl Sockets {
    /// The sockets of the daemon behind `given`, or of the installed one, or of this user's own.
    pub(crate) fn find(given: Option<&Path>) -> Self {
        let request = given.map_or_else(default_socket, Path::to_owned);
        Self {
            admin: Client::new(&request.with_file_name(ADMIN_SOCKET)),
            request: Client::new(&request),
        }
    }

    /// The administration socket when this user may open it, else the request socket.
    pub(crate) async fn widest(&self) -> &Client {
        if self.admin.answers().await {
            &self.admin
        } else {
            &self.request
        }
    }
}

/// `/run/mains` when a daemon is installed, else the user's own run-time folder.
fn default_socket() -> PathBuf {
    let system = Path::new(SYSTEM_SOCKET);
    if system.exists() {
        return system.to_owned();
    }
    user_runtime_folder().join(REQUEST_SOCKET)
}

/// Where an ordinary user's daemon has its sockets: `$XDG_RUNTIME_DIR/mains`, or `/tmp/mains-<uid>`.
fn user_runtime_folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) if !folder.is_empty() => Path::new(&folder).join("mains"),
        _ => PathBuf::from(format!("/tmp/mains-{}", nix::unistd::getuid())),
    }
}
