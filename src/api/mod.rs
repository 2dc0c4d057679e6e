//! The local API: HTTP/1.1 on a Unix socket, for the register.
//!
//! ```text
//!  register ──▶ server: doors ──▶ routes ──▶ wire: body, params ──▶ Backend ──▶ the daemon
//!               (bounds, who may)  (one per   (text into              │
//!                                  request)   values)                 │
//!  register ◀── wire: views, problems, events ◀───────────────────────┘
//! ```
//!
//! `client` is the other end of the socket. It shares [`wire`] with the server,
//! and nothing else.
//!
//! This room translates and decides nothing about money. What it tells was read
//! from the journal, so only what is on disk is ever told. Whatever a client
//! does (stalls, hangs up, reads nothing, sends too much) costs one place among
//! a bounded number, and never holds up a payment.

pub mod client;
mod server;
mod wire;

pub use server::{
    About, Backend, BindError, Bound, Listeners, Loopback, Page, RefundRight, Role, Roles,
    Settings, SocketFile, Soon, Standing, Token, TokenError, Unanswered, Unavailable, Who,
    bind_tcp, bind_unix, description, serve,
};
pub use wire::*;
