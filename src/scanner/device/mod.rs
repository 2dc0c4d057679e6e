//! The devices themselves, each read on a thread of its own.

pub(super) mod evdev;
pub(super) mod handle;
pub(super) mod hidraw;
pub(super) mod hold;
mod hotplug;
pub mod learn;
mod link;
mod pace;
pub(super) mod serial;
mod thread;
mod trigger;
mod wake;
