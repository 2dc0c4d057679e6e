//! A scanner made of a pseudo terminal.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};

/// A scanner, plugged in under a name that stays. Dropping it pulls it out.
pub(crate) struct Pty {
    master: PtyMaster,
}

impl Pty {
    pub(crate) fn plug(name: &Path) -> Self {
        // Not for children that are started meanwhile: a daemon that inherited
        // our end would keep its own scanner plugged in.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).expect("a pseudo terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let slave = ptsname_r(&master).expect("its name");
        let new = name.with_extension("new");
        symlink(slave, &new).expect("a link");
        fs::rename(&new, name).expect("its place");
        Self { master }
    }

    pub(crate) fn send(&mut self, text: impl AsRef<[u8]>) {
        self.master.write_all(text.as_ref()).expect("written");
    }

    /// What the terminal has sent to the scanner by now.
    pub(crate) fn told(&mut self) -> String {
        let mut told = String::new();
        let mut byte = [0];
        // Once nobody has the line open, reading what is left of it fails.
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
