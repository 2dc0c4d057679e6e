//! Why a device is not being read, in words that lead to the cure.

use std::fmt;
use std::io;
use std::path::{Display, Path};

use nix::errno::Errno;

/// Why a device is not being read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Shut {
    /// In words that lead to the cure.
    pub why: String,
    /// There is no such device now.
    pub absent: bool,
}

impl From<String> for Shut {
    fn from(why: String) -> Self {
        Self { why, absent: false }
    }
}

/// Why a device cannot be opened, in words that lead to the cure.
pub(super) fn cannot_open(path: &Path, what: &str, error: &io::Error) -> Shut {
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

pub(super) fn not_there(device: &dyn fmt::Display) -> Shut {
    Shut { why: format!("{device} is not there"), absent: true }
}

pub(super) fn in_use(device: &Display<'_>) -> String {
    format!("{device} is in use by another program")
}

/// The file's mode keeps us out.
pub(super) fn no_permission(device: &Display<'_>) -> String {
    format!(
        "{device} may not be opened by this user; its group must be the daemon's (udev/70-tilld.rules)"
    )
}

/// The file's mode would let us in, so it is the unit that does not: it names
/// the kinds of devices, and looks them up only when it starts.
pub(super) fn not_allowed(device: &Display<'_>) -> String {
    format!(
        "{device} is of a kind that the unit does not allow (DeviceAllow=); restart tilld after its driver was loaded"
    )
}
