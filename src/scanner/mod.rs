//! Scanners: devices that read codes.
//!
//! ```text
//!   device/serial.rs  bytes ───────────────▶ framing ─▶ code ─▶ link ─▶ the daemon's
//!   device/evdev.rs   keys ──▶ keymap ──────▶ framing            ▲       one input
//!   device/hidraw.rs  reports ─▶ report ────────────▶ code ──────┘
//! ```
//!
//! A scanner that disappears is news, not a failure: it is opened again when it
//! is back. This room decides nothing about money. It says what was read and
//! when it began. That a payment waits for it is told from outside, to pull a
//! trigger or to take a keyboard from others.
//!
//! * [`decode`] is pure: cutting, key maps, reports.
//! * [`find`] looks at what the kernel says of devices, and opens none.
//! * [`device`] opens what the configuration names, each on a thread of its own,
//!   and nothing else: other keyboards are nobody's business. Only
//!   [`learn`], which a person starts, listens to more.
//! * `makers` is what is known of makers, all in one place.

pub mod decode;
mod device;
mod find;
mod input;
mod makers;
mod settings;
mod shut;

#[cfg(test)]
mod tests;

use tokio::sync::mpsc;

pub use self::decode::framing::{Frame, Framed, Lost};
pub use self::device::handle::Handle;
pub use self::device::learn;
pub use self::find::identity::Refusal;
pub use self::find::rivals::rivals;
pub use self::find::{found, suggest, sysfs};
pub use self::input::{Clock, Input};
pub use self::settings::{
    Flow, Identity, Kind, Mode, Parity, Place, ScannerSettings, SerialSettings, Trigger,
};
pub use self::shut::Shut;

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
        Kind::Serial(serial) => device::serial::start(settings, serial, clock, sink),
        Kind::Evdev => device::evdev::start(settings, clock, sink),
        Kind::Hidraw => device::hidraw::start(settings, clock, sink),
    }
}
