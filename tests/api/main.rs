//! The local API over a real Unix socket, with a small daemon in memory behind
//! it.

#![allow(missing_docs, unreachable_pub, reason = "a test has no readers outside")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names what it is about")]

mod bounds;
mod client;
mod description;
mod events;
mod extras;
mod fake;
mod money;
mod payments;
mod problems;
mod refunds;
mod waiting;
