//! Talks to Alipay's gateway: one call, one judged answer.
//!
//! ```text
//!    ask ──▶ request ──▶ sign ──▶ https ──▶ the gateway
//!                                   │
//!   answer ◀── verdict ◀── envelope ◀── reply
//! ```
//!
//! A reply is raw bytes, and nothing in it is believed before the
//! [`envelope`] has verified Alipay's signature over exactly those bytes. What
//! is left is looked up in one table and compared with what was asked. Everything
//! that goes wrong on the way is *unknown*: a value, not an error. The one
//! thing that is certain without an answer is that a request never left the
//! box, and [`Client::send`] tells it apart.
//!
//! What Alipay tells of its own accord ([`notify`], [`returned`]) is verified the
//! same way, and a page for the buyer's browser ([`link`]) is signed as a request
//! is; neither is sent or served from here.
//!
//! Deliberately absent: retries, redirects, the environment's proxy, a switch
//! to leave the verification out, certificate mode, content encryption, GBK.

pub mod ask;
pub mod content;
pub mod envelope;
pub mod keys;
pub mod link;
pub mod notify;
pub mod request;
pub mod returned;
pub mod sign;
pub mod told;

mod certificate;
pub(crate) mod form;
mod https;
mod letters;
mod mask;
mod proof;
mod table;
mod verdict;

#[cfg(test)]
mod tests;

pub use https::{AddressError, Client, Gateway, Prepared, Probed, Settings, SetupError, is_proxy};
pub use proof::Proof;
