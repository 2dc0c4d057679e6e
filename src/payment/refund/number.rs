//! The number of a refund.

use std::fmt;
use std::str::FromStr;

use crate::payment::{InvalidNumber, OutTradeNo};

/// The number of a refund, unique for its payment: 1 to 64 of `[A-Za-z0-9_]`
/// (`out_request_no` of alipay.trade.refund). Alipay gives back once for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutRequestNo(OutTradeNo);

impl OutRequestNo {
    /// The number of what the terminal itself gives back of a payment: the same
    /// whoever works it out, after any crash. It is the order's own number,
    /// under which Alipay too keeps a refund that was asked for without one
    /// (alipay.trade.fastpay.refund.query, `out_request_no`).
    #[must_use]
    pub fn own(of: &OutTradeNo) -> Self {
        Self(of.clone())
    }

    /// The number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for OutRequestNo {
    type Err = InvalidNumber;

    fn from_str(text: &str) -> Result<Self, InvalidNumber> {
        text.parse().map(Self)
    }
}

impl fmt::Display for OutRequestNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
