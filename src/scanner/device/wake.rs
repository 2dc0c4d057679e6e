//! What wakes a reader: its device, the time, and what it is told.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::payment::Timestamp;

/// The longest time between two signs of life of a reader. The watchdog looks
/// every half of `WatchdogSec`, which may be as short as a second.
pub(super) const BEAT: Duration = Duration::from_millis(200);

/// Wakes a thread from its poll, to stop it or to tell it something.
#[derive(Debug)]
pub(super) struct Wake {
    stopped: AtomicBool,
    /// See [`Calls`].
    calls: AtomicU32,
    /// How often devices were plugged in or out.
    plugs: AtomicU32,
    event: EventFd,
}

/// How often payments have begun and ceased to wait for a code: odd while one
/// waits. A payment that follows another at once is a change that `waits` alone
/// would not show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls(u32);

impl Calls {
    /// A payment waits for a code.
    pub(super) fn waits(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Why a poll came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// A device has something, or is gone: `true` when one says that it is.
    Device(bool),
    /// It was told something, which is for the asker to look up.
    Told,
    Time,
    Stop,
}

impl Wake {
    pub(super) fn new() -> nix::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self {
            stopped: AtomicBool::new(false),
            calls: AtomicU32::new(0),
            plugs: AtomicU32::new(0),
            event: EventFd::from_flags(flags)?,
        })
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.ring();
    }

    /// Tells that a payment waits for a code, or that none does. The same again
    /// wakes nobody.
    pub(super) fn arm(&self, waits: bool) {
        let told = |calls| (Calls(calls).waits() != waits).then(|| calls.wrapping_add(1));
        if self.calls.fetch_update(Ordering::AcqRel, Ordering::Acquire, told).is_ok() {
            self.ring();
        }
    }

    pub(super) fn calls(&self) -> Calls {
        Calls(self.calls.load(Ordering::Acquire))
    }

    /// Tells that a device was plugged in or out.
    pub(super) fn plug(&self) {
        self.plugs.fetch_add(1, Ordering::AcqRel);
        self.ring();
    }

    pub(super) fn plugs(&self) -> u32 {
        self.plugs.load(Ordering::Acquire)
    }

    fn ring(&self) {
        // What was stored before is what counts; an event that cannot be
        // written is one that is already there.
        let _ = self.event.write(1);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Waits for a device, for at most `wait`. What the thread is told comes
    /// first: a device that never falls silent must not keep it from hearing.
    pub(super) fn poll(&self, devices: &[BorrowedFd<'_>], wait: Duration) -> Woken {
        self.poll_for(PollFlags::POLLIN, devices, wait)
    }

    /// The same, but only for their end.
    pub(super) fn poll_end(&self, devices: &[BorrowedFd<'_>], wait: Duration) -> Woken {
        self.poll_for(PollFlags::empty(), devices, wait)
    }

    fn poll_for(&self, what: PollFlags, devices: &[BorrowedFd<'_>], wait: Duration) -> Woken {
        if self.is_stopped() {
            return Woken::Stop;
        }
        let mut fds: Vec<_> = devices.iter().map(|device| PollFd::new(*device, what)).collect();
        fds.push(PollFd::new(self.event.as_fd(), PollFlags::POLLIN));
        let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        match poll(&mut fds, PollTimeout::try_from(millis).unwrap_or(PollTimeout::NONE)) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Woken::Time,
            // It cannot fail so with valid arguments; if it does, do not spin.
            Err(_) => std::thread::sleep(wait),
        }
        let told = self.event.read().is_ok();
        if self.is_stopped() {
            return Woken::Stop;
        }
        if told {
            return Woken::Told;
        }
        let seen = fds.iter().take(devices.len()).filter_map(|device| device.revents());
        let seen = seen.fold(PollFlags::empty(), PollFlags::union);
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        if seen.is_empty() { Woken::Time } else { Woken::Device(seen.intersects(gone)) }
    }

    /// Waits; `true` when it was woken to stop.
    pub(super) fn sleep(&self, wait: Duration) -> bool {
        self.poll(&[], wait) == Woken::Stop
    }
}

/// How long to wait for a device before somebody has to look at the time.
pub(super) fn wait(due: Option<Timestamp>, now: Timestamp) -> Duration {
    let left = due.map(|due| due.millis().saturating_sub(now.millis()));
    let millis = left.map_or(u64::MAX, |left| u64::try_from(left).unwrap_or(0).max(1));
    Duration::from_millis(millis).min(BEAT)
}

/// There was nothing to read after all.
pub(super) fn is_empty(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_hears_what_it_is_told_before_a_device_that_never_falls_silent() {
        let wake = Wake::new().expect("an event");
        let (noise, mut other) = std::os::unix::net::UnixStream::pair().expect("a pair");
        std::io::Write::write_all(&mut other, b"7").expect("written");
        let poll = || wake.poll(&[noise.as_fd()], Duration::ZERO);
        assert_eq!(poll(), Woken::Device(false));
        wake.arm(true);
        assert_eq!((poll(), wake.calls().waits()), (Woken::Told, true));
        assert_eq!(poll(), Woken::Device(false));
        // The same again is nothing new; two changes at once are.
        wake.arm(true);
        assert_eq!(poll(), Woken::Device(false));
        let before = wake.calls();
        wake.arm(false);
        wake.arm(true);
        assert_eq!(poll(), Woken::Told);
        assert!(wake.calls().waits() && wake.calls() != before);
        wake.plug();
        assert_eq!((poll(), wake.plugs()), (Woken::Told, 1));
        drop(other);
        assert_eq!(poll(), Woken::Device(true));
        wake.stop();
        assert_eq!(poll(), Woken::Stop);
        assert!(wake.sleep(Duration::from_hours(1)));
    }

    #[test]
    fn a_gone_device_is_seen_without_reading_it() {
        let wake = Wake::new().expect("an event");
        let (typed, mut other) = std::os::unix::net::UnixStream::pair().expect("a pair");
        std::io::Write::write_all(&mut other, b"7").expect("written");
        let poll = || wake.poll_end(&[typed.as_fd()], Duration::ZERO);
        assert_eq!(poll(), Woken::Time);
        drop(other);
        assert_eq!(poll(), Woken::Device(true));
    }
}
