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

/// The socket: the one the service manager hands over, or one of our own; `true`
/// if it is our own.
pub(super) fn listener(path: &Path, mode: u32) -> Result<(UnixListener, bool), Ended> {
    let passed = sd_notify::listen_fds()
        .map_err(|why| Ended::Unavailable(format!("reading LISTEN_FDS: {why}")))?
        .next();
    match passed {
        Some(fd) => adopt(fd).map(|listener| (listener, false)),
        None => match bind_unix(path, mode) {
            Ok(listener) => Ok((listener, true)),
            Err(why) => Err(Ended::Unavailable(super::chain(&why))),
        },
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

    /// Called by the loop, which is how the loop's own progress shows.
    pub(super) fn feed(&mut self) {
        match self.stuck() {
            None => notify(&[NotifyState::Watchdog]),
            Some(part) => tracing::error!(part, "made no progress; the watchdog is not fed"),
        }
    }

    /// The part that has not come round since the last look, if there is one.
    fn stuck(&mut self) -> Option<String> {
        let mut stuck = None;
        for (name, beat, last) in &mut self.beats {
            let now = beat();
            if *last == Some(now) {
                stuck = Some(name.clone());
            }
            *last = Some(now);
        }
        stuck
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn one_part_that_stands_still_is_enough_to_starve_the_watchdog() {
        let counts: [Arc<AtomicU64>; 3] = Default::default();
        let names = ["journal", "scanner lane-1", "scanner lane-2"];
        let beats = names.iter().zip(&counts).map(|(name, count)| {
            let count = Arc::clone(count);
            let beat: Heartbeat = Box::new(move || count.load(Ordering::Relaxed));
            ((*name).to_owned(), beat)
        });
        let mut watchdog = Watchdog::new(beats.collect());
        assert_eq!(watchdog.stuck(), None, "nothing is known before the first look");
        let beat = |which: &[usize]| {
            which.iter().for_each(|&i| {
                counts[i].fetch_add(1, Ordering::Relaxed);
            });
        };
        beat(&[0, 1, 2]);
        assert_eq!(watchdog.stuck(), None);
        for (alive, stuck) in [([0, 1], 2), ([0, 2], 1), ([1, 2], 0)] {
            beat(&alive);
            assert_eq!(watchdog.stuck().as_deref(), Some(names[stuck]));
            // It has come round after all.
            beat(&[0, 1, 2]);
            assert_eq!(watchdog.stuck(), None);
        }
        assert!(watchdog.stuck().is_some(), "all of them stand still");
    }
}
