//! Which devices there are, and which one is meant. Nothing is opened.

pub mod found;
pub(super) mod identity;
pub(super) mod rivals;
pub mod suggest;
pub mod sysfs;
