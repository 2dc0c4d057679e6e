//! Scanners made of pseudo terminals.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};

/// A scanner, plugged in under a name that stays.
pub(crate) struct Pty {
    master: PtyMaster,
}

impl Pty {
    pub(crate) fn plug(name: &Path) -> Self {
        // A daemon that inherited our end would keep its own scanner plugged in.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).expect("a pseudo terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let new = name.with_extension("new");
        symlink(ptsname_r(&master).expect("its name"), &new).expect("a link");
        fs::rename(&new, name).expect("its place");
        Self { master }
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

    /// What the terminal has sent to the scanner by now.
    pub(crate) fn told(&mut self) -> String {
        let mut told = String::new();
        let mut byte = [0];
        while self.has_something() && self.master.read(&mut byte).is_ok_and(|read| read == 1) {
            told.push(char::from(byte[0]));
        }
        told
    }

    fn has_something(&self) -> bool {
        let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).expect("polled") > 0
    }
}
