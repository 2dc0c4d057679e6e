//! Stories of `till`, the real binary, against a terminal that plays a script.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall stop"
)]

mod fake;
#[path = "../fake_box/mod.rs"]
mod fake_box;
mod looking;
mod paying;
mod refunding;
mod run;
mod says;
mod scanners;
mod typing;

/// A payment code that must never be seen again.
const CANARY: &str = "281234567890123494";

const PAY: &[&str] = &["pay", "88.88", "--subject", "咖啡", "--order", "A1"];
