//! What the service manager and the kernel want of a daemon.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::UnixListener;

use super::Ended;
use crate::api::bind_unix;

/// Keeps other processes of the same user out of this one's memory, where the
/// private key and payment codes are; a crash then leaves no core file either.
pub(super) fn seal() {
    if let Err(why) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%why, "keeping core dumps off");
    }
}

/// The socket: the one the service manager hands over, or one of our own.
pub(super) fn listener(path: &Path, mode: u32) -> Result<UnixListener, Ended> {
    let passed = sd_notify::listen_fds()
        .map_err(|why| Ended::Unavailable(format!("reading LISTEN_FDS: {why}")))?
        .next();
    match passed {
        Some(fd) => adopt(fd),
        None => bind_unix(path, mode).map_err(|why| Ended::Unavailable(super::chain(&why))),
    }
}

#[allow(unsafe_code, reason = "a descriptor that the service manager has opened for us")]
fn adopt(fd: RawFd) -> Result<UnixListener, Ended> {
    // SAFETY: LISTEN_FDS names descriptors that are open and that nobody else in
    // this process owns (sd_listen_fds(3)); this is called once.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    let listener = StdUnixListener::from(owned);
    let bad = |why| Ended::Unavailable(format!("using the socket from systemd: {why}"));
    listener.local_addr().map_err(bad)?;
    listener.set_nonblocking(true).map_err(bad)?;
    UnixListener::from_std(listener).map_err(bad)
}

pub(super) fn say_ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub(super) fn say_status(status: &str) {
    notify(&[NotifyState::Status(status)]);
}

pub(super) fn say_stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The last word, so that `systemctl status` shows why.
pub(super) fn say_failed(why: &str) {
    notify(&[NotifyState::Status(why.lines().next().unwrap_or_default())]);
}

fn notify(states: &[NotifyState<'_>]) {
    // Without a service manager this does nothing.
    if let Err(why) = sd_notify::notify(states) {
        tracing::debug!(%why, "telling the service manager");
    }
}

/// Tells how often a part has come round.
pub(super) type Heartbeat = Box<dyn Fn() -> u64 + Send>;

/// Feeds the service manager's watchdog, but only while every part made
/// progress: the loop by calling it, the others by their heartbeats.
pub(super) struct Watchdog {
    interval: Option<Duration>,
    beats: Vec<(String, Heartbeat, Option<u64>)>,
}

impl Watchdog {
    pub(super) fn new(beats: Vec<(String, Heartbeat)>) -> Self {
        let beats = beats.into_iter().map(|(name, beat)| (name, beat, None)).collect();
        // Half of what the manager waits, as sd_watchdog_enabled(3) advises.
        Self { interval: sd_notify::watchdog_enabled().map(|whole| whole / 2), beats }
    }

    pub(super) fn interval(&self) -> Option<Duration> {
        self.interval
    }

    pub(super) fn feed(&mut self) {
        let mut stuck = None;
        for (name, beat, last) in &mut self.beats {
            let now = beat();
            if *last == Some(now) {
                stuck = Some(name.clone());
            }
            *last = Some(now);
        }
        match stuck {
            None => notify(&[NotifyState::Watchdog]),
            Some(part) => tracing::error!(part, "made no progress; the watchdog is not fed"),
        }
    }
}
