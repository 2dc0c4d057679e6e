//! Scanners: devices that read codes.
//!
//! ```text
//!   serial.rs  bytes ───────────────▶ framing ─▶ code ─▶ link ─▶ the daemon's
//!   evdev.rs   keys ──▶ keymap ──────▶ framing            ▲       one input
//!   hidraw.rs  reports ─▶ report ────────────▶ code ──────┘
//! ```
//!
//! Each device has a thread of its own.
//!
//! A scanner that disappears is news, not a failure: it is opened again when it
//! is back. This room decides nothing about money. It says what was read and
//! when it began. That a payment waits for it is told from outside, to pull a
//! trigger or to take a keyboard from others.
//!
//! Cutting and decoding ([`framing`], [`keymap`], [`report`]) are pure. Only the files named
//! after a kind of device touch one, and none of them opens a device that the
//! configuration does not name: other keyboards are nobody's business.
//! Which one that is, [`sysfs`] finds out without opening any.

mod evdev;
pub mod found;
pub mod framing;
mod hidraw;
mod hold;
mod hotplug;
mod identity;
pub mod keymap;
pub mod learn;
mod link;
mod pace;
pub mod report;
mod rivals;
mod serial;
mod settings;
pub mod suggest;
pub mod sysfs;
mod thread;
mod trigger;
mod typist;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Display, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use tokio::sync::mpsc;

pub use self::framing::{Frame, Framed, Lost};
pub use self::identity::Refusal;
pub use self::link::{Handle, Shut};
pub use self::rivals::rivals;
pub use self::serial::{Flow, Parity, SerialSettings};
pub use self::settings::{Identity, Kind, Mode, Place, ScannerSettings, Trigger};
use crate::payment::{ScannerNews, SecretText, Timestamp};

/// What a scanner tells the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// It read a code.
    Scan {
        /// Which scanner.
        scanner: String,
        /// What it read, without terminators and AIM identifier.
        text: SecretText,
        /// The AIM symbology identifier it came with, such as `]Q1`.
        aim: Option<String>,
        /// When the first character came, on the clock given to [`start`].
        started_at: Timestamp,
    },
    /// It came, went, or lost a scan.
    News {
        /// Which scanner.
        scanner: String,
        /// What happened.
        news: ScannerNews,
    },
}

/// Reads the time for [`start`].
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Begins to read a scanner, inside a tokio runtime, until the handle is
/// dropped. A device that is missing is waited for.
///
/// What it reads goes to `sink` and is never waited with: codes for which there
/// is no room are lost and reported as lost, because a code that is handed over
/// late would count for a later payment. A few dozen places are plenty.
///
/// `clock` is the clock that payments are timed with (the steady one).
pub fn start(settings: ScannerSettings, clock: Clock, sink: mpsc::Sender<Input>) -> Handle {
    match settings.kind {
        Kind::Serial(serial) => serial::start(settings, serial, clock, sink),
        Kind::Evdev => evdev::start(settings, clock, sink),
        Kind::Hidraw => hidraw::start(settings, clock, sink),
    }
}

/// The nodes of a scanner, as things are now.
fn nodes(settings: &ScannerSettings) -> Result<Vec<PathBuf>, Shut> {
    sysfs::resolve(&sysfs::System::default(), settings)
}

/// The node of a scanner that has one.
fn only_node(settings: &ScannerSettings) -> Result<PathBuf, Shut> {
    nodes(settings)?.into_iter().next().ok_or_else(|| not_there(&settings.place))
}

/// How long to wait for a device before somebody has to look at the time.
fn wait(due: Option<Timestamp>, now: Timestamp) -> Duration {
    let left = due.map(|due| due.millis().saturating_sub(now.millis()));
    let millis = left.map_or(u64::MAX, |left| u64::try_from(left).unwrap_or(0).max(1));
    Duration::from_millis(millis).min(link::BEAT)
}

/// There was nothing to read after all.
fn is_empty(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Why a device cannot be opened, in words that lead to the cure.
fn cannot_open(path: &Path, what: &str, error: &io::Error) -> Shut {
    let device = path.display();
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => not_there(&device),
        Some(Errno::EACCES) => no_permission(&device).into(),
        Some(Errno::EPERM) => not_allowed(&device).into(),
        Some(Errno::EBUSY) => in_use(&device).into(),
        Some(Errno::ENOTTY | Errno::EINVAL | Errno::EISDIR) => {
            format!("{device} is no {what}").into()
        }
        _ => format!("{device} cannot be opened: {error}").into(),
    }
}

fn not_there(device: &dyn fmt::Display) -> Shut {
    Shut { why: format!("{device} is not there"), absent: true }
}

fn in_use(device: &Display<'_>) -> String {
    format!("{device} is in use by another program")
}

/// The file's mode keeps us out.
fn no_permission(device: &Display<'_>) -> String {
    format!(
        "{device} may not be opened by this user; its group must be the daemon's (udev/70-tilld.rules)"
    )
}

/// The file's mode would let us in, so it is the unit that does not: it names
/// the kinds of devices, and looks them up only when it starts.
fn not_allowed(device: &Display<'_>) -> String {
    format!(
        "{device} is of a kind that the unit does not allow (DeviceAllow=); restart tilld after its driver was loaded"
    )
}
