//! What devices send, turned into codes. Pure: the times come with the bytes.

pub mod descriptor;
pub mod framing;
pub mod keymap;
pub mod report;
pub(super) mod typist;
