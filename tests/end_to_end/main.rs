//! The real `tilld` against the real sandbox, as a register, a cashier and a
//! technician use it.
//!
//! Every test has a shop of its own: a folder, a gateway, a daemon. All waits
//! are for something to become true, with a deadline far beyond what it needs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests count as tests: what cannot set its scene should say so and end"
)]

mod activation;
mod ahead;
mod clock;
mod codes;
mod configuration;
mod disk;
mod doctor;
mod endings;
mod files;
mod gateway;
mod hostile;
mod http;
mod journals;
mod keys;
mod lanes;
mod network;
mod once;
mod owed;
#[path = "../pty/mod.rs"]
mod pty;
mod qr;
mod receipt;
mod refund_endings;
mod refunds;
mod relay;
mod restart;
mod rivals;
mod sale;
mod scanner;
mod secrets;
#[path = "../shim/mod.rs"]
mod shim;
mod slow;
mod till;
mod world;
