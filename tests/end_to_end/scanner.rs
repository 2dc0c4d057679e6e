//! Scanners made of pseudo terminals.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::pty::openpty;

/// A scanner, plugged in under a name that stays.
pub(crate) struct Pty {
    master: File,
}

impl Pty {
    pub(crate) fn plug(name: &Path) -> Self {
        let pty = openpty(None, None).expect("a pseudo terminal");
        let slave =
            fs::read_link(format!("/proc/self/fd/{}", pty.slave.as_raw_fd())).expect("its name");
        let new = name.with_extension("new");
        symlink(slave, &new).expect("a link");
        fs::rename(&new, name).expect("its place");
        Self { master: pty.master.into() }
    }

    /// Reads a code, with what this kind of scanner puts around it.
    pub(crate) fn scan(&mut self, text: &str, style: usize) {
        let framed = match style % 5 {
            0 => format!("{text}\r"),
            1 => format!("{text}\n"),
            2 => format!("{text}\r\n"),
            3 => format!("\x02{text}\x03"),
            _ => format!("\x02]Q1{text}\r\n"),
        };
        self.master.write_all(framed.as_bytes()).expect("scanned");
    }
}
