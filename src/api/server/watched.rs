//! Whether registers can still come in by the ways there are, and again if not.

use std::error::Error;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;

use tokio::net::{TcpListener, UnixListener};

use super::SocketFile;
use super::bind::{bind_tcp, bind_unix};

/// The port, or what keeps us from it.
pub(super) struct Port {
    address: SocketAddr,
    pub(super) listener: Option<TcpListener>,
    told: Option<String>,
}

impl Port {
    pub(super) fn new(address: SocketAddr, listener: Option<TcpListener>) -> Self {
        Self { address, listener, told: None }
    }

    pub(super) fn look(&mut self) {
        if self.listener.is_some() {
            return;
        }
        match bind_tcp(self.address) {
            Ok(listener) => {
                tracing::info!(address = %self.address, "listening for registers");
                self.listener = Some(listener);
            }
            Err(why) => {
                let cause = why.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                let what = format!(
                    "{why}{cause}. If another program has the port, registers hand it tokens and payment codes: find it with ss -ltnp, and let systemd open the port (tilld-tcp.socket). The Unix socket goes on"
                );
                if self.told.as_ref() != Some(&what) {
                    tracing::error!("{what}");
                    self.told = Some(what);
                }
            }
        }
    }
}

/// The file that registers connect to. Somebody who tidies up /run takes the
/// daemon away from them, and neither side hears of it.
pub(super) struct Watched {
    file: SocketFile,
    /// Device and inode of our own.
    own: Option<(u64, u64)>,
    /// What was said last is not said again.
    told: Option<String>,
}

impl Watched {
    pub(super) fn new(file: SocketFile) -> Self {
        let own = Self::found(&file);
        Self { file, own, told: None }
    }

    fn found(file: &SocketFile) -> Option<(u64, u64)> {
        let found = std::fs::symlink_metadata(&file.path).ok()?;
        Some((found.dev(), found.ino()))
    }

    /// Another listener, if the file is gone and could be made again.
    pub(super) fn look(&mut self) -> Option<UnixListener> {
        let found = Self::found(&self.file);
        if found.is_some() && found == self.own {
            self.told = None;
            return None;
        }
        let path = self.file.path.display();
        let Some(mode) = self.file.mode else {
            self.tell(format!(
                "registers cannot reach the socket {path}: its file is gone; systemctl restart tilld.socket"
            ));
            return None;
        };
        match bind_unix(&self.file.path, mode) {
            Ok(listener) => {
                self.own = Self::found(&self.file);
                tracing::warn!(path = %path, "the socket's file was gone; it is made again");
                Some(listener)
            }
            Err(why) => {
                let why = format!("registers cannot reach the socket: {why}");
                self.tell(why);
                None
            }
        }
    }

    fn tell(&mut self, what: String) {
        if self.told.as_ref() != Some(&what) {
            tracing::error!("{what}");
            self.told = Some(what);
        }
    }
}
