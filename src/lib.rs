//! A point-of-sale payment terminal for Linux cashier boxes.
//!
//! ```text
//!    register ──▶ api ─────┐                                   ┌─────▶ alipay ──▶ the gateway
//!    scanner ─────────────▶│ daemon ─▶ terminal ─▶ journal ──▶ │            │
//!    clock ───────────────▶│ (one input) (decide)   (on disk)  │ (one call) │
//!                          └◀──────────────── answer ◀─────────┴────────────┘
//! ```
//!
//! Something happens: a request, a scan, an answer, a deadline. The core
//! ([`payment`], [`terminal`]) decides, without clock, socket, database or
//! `async`. The decision is on disk ([`journal`]). Only then is it acted on
//! ([`alipay`]), and only then is anybody told ([`api`]). The answer comes back
//! in by the same door ([`daemon`]).

pub mod alipay;
pub mod api;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod journal;
pub mod payment;
pub mod sandbox;
pub mod scanner;
pub mod terminal;
