//! The local API: HTTP/1.1 on a Unix socket, for the register.
//!
//! ```text
//!  register ──▶ server ──▶ doors ──▶ routes ──▶ body, params ──▶ Backend ──▶ the daemon
//!              (bounds)   (who may) (one per   (text into         │
//!                                    request)   values)           │
//!  register ◀── view, problem, events ◀──────────────────┘
//! ```
//!
//! This room translates and decides nothing about money. What it tells was read
//! from the journal, so only what is on disk is ever told. Whatever a client
//! does (stalls, hangs up, reads nothing, sends too much) costs one place among
//! a bounded number, and never holds up a payment.

mod backend;
mod bind;
mod body;
pub mod client;
mod code;
mod doors;
mod events;
mod feed;
mod line;
mod list;
mod metrics;
mod money;
mod openapi;
mod pages;
mod params;
mod peer;
mod places;
mod problem;
mod ready;
mod routes;
mod server;
mod state;
mod status;
mod step;
mod view;

pub use backend::{About, Backend, Filter, Page, Soon, Standing, Unanswered, Unavailable, Which};
pub use bind::{BindError, bind_tcp, bind_unix};
pub use body::{CodeBody, PayBody};
pub use code::{Code, Retry};
pub use events::{GatewayEvent, ScanEvent, ScannerEvent};
pub use openapi::description;
pub use peer::{Role, Roles, Who};
pub use places::Bound;
pub use problem::ProblemView;
pub use ready::{ReadyView, ReasonNotReady};
pub use server::{Listeners, Loopback, Settings, SocketFile, Token, TokenError, serve};
pub use status::{
    Clock, Gateway, Journal, KeyState, Keys, KeysView, Link, ScannerStatus, Status, StatusView,
};
pub use step::{AnsweredView, AskerView, JournalView, SentView, StepView, ToldView};
pub use view::{
    CancelActionView, HintView, MoneyView, PaymentView, PaymentsView, ReasonView, SentenceView,
    StateView, time_text,
};
