//! Devices that are read on a thread of their own, with `poll(2)`.
//!
//! The kernel keeps about ten characters of a keyboard for a slow reader, so
//! these devices must not wait for anything else the daemon does.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::Handle;
use super::link::{BEAT, Link, Worker};

/// Wakes a thread from its poll to stop it.
#[derive(Debug)]
pub(super) struct Wake {
    stopped: AtomicBool,
    event: EventFd,
}

/// Why a poll came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// The device has something, or is gone: `true` when it says that it is.
    Device(bool),
    Time,
    Stop,
}

impl Wake {
    fn new() -> nix::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self { stopped: AtomicBool::new(false), event: EventFd::from_flags(flags)? })
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        // The flag is what counts; an event that cannot be written is one that
        // is already there.
        let _ = self.event.write(1);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Waits for the device, for at most `wait`.
    pub(super) fn poll(&self, device: &impl AsFd, wait: Duration) -> Woken {
        let mut fds = [
            PollFd::new(device.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.event.as_fd(), PollFlags::POLLIN),
        ];
        self.wait(&mut fds, wait);
        if self.is_stopped() {
            return Woken::Stop;
        }
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        match fds[0].revents() {
            Some(seen) if !seen.is_empty() => Woken::Device(seen.intersects(gone)),
            _ => Woken::Time,
        }
    }

    /// Waits; `true` when it was woken to stop.
    pub(super) fn sleep(&self, wait: Duration) -> bool {
        self.wait(&mut [PollFd::new(self.event.as_fd(), PollFlags::POLLIN)], wait);
        self.is_stopped()
    }

    fn wait(&self, fds: &mut [PollFd<'_>], wait: Duration) {
        if self.is_stopped() {
            return;
        }
        let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        match poll(fds, PollTimeout::try_from(millis).unwrap_or(PollTimeout::NONE)) {
            Ok(_) | Err(Errno::EINTR) => {}
            // It cannot fail so with valid arguments; if it does, do not spin.
            Err(_) => std::thread::sleep(wait),
        }
    }
}

/// Why reading ended.
pub(super) enum End {
    Stopped,
    /// The device is gone; in words.
    Gone(String),
}

/// Opens a device, reads it until it is gone, and again when it is back.
pub(super) fn start<D: 'static>(
    id: String,
    mut link: Link,
    open: impl Fn(&Wake, &mut Link) -> Result<D, String> + Send + 'static,
    read: impl Fn(&mut D, &Wake, &mut Link) -> End + Send + 'static,
) -> Handle {
    let beats = link.beats();
    let name: String = format!("scan-{id}").chars().filter(|c| *c != '\0').take(15).collect();
    let begun = Wake::new().map_err(std::io::Error::from).and_then(|wake| {
        let wake = Arc::new(wake);
        let of_thread = Arc::clone(&wake);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || keep_reading(&of_thread, &mut link, open, read))?;
        Ok(Worker::Thread(wake, thread))
    });
    Handle::new(id, beats, begun.unwrap_or(Worker::None))
}

fn keep_reading<D>(
    wake: &Wake,
    link: &mut Link,
    open: impl Fn(&Wake, &mut Link) -> Result<D, String>,
    read: impl Fn(&mut D, &Wake, &mut Link) -> End,
) {
    while !wake.is_stopped() && !link.is_closed() {
        match open(wake, link) {
            Ok(mut device) => {
                link.plugged();
                match read(&mut device, wake, link) {
                    End::Stopped => return,
                    End::Gone(why) => link.unplugged(why),
                }
            }
            Err(why) => link.unplugged(why),
        }
        let mut rest = link.backoff();
        while !rest.is_zero() {
            link.beat();
            let nap = rest.min(BEAT);
            if wake.sleep(nap) {
                return;
            }
            rest = rest.saturating_sub(nap);
        }
    }
}
