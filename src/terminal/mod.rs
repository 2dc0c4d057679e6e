//! All payments of this box: admits or denies requests, and turns what happens
//! into journal entries and calls. As pure as [`crate::payment`].

mod request;

pub use request::{Denied, PayRequest, Reply};
