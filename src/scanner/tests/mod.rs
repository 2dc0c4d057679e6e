//! Boxes with devices, and what is found in them.

#[path = "../../../tests/fake_box/mod.rs"]
pub(super) mod fake_box;

mod holding;
mod hostile;
mod looking;
