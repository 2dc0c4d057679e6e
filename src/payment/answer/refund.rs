//! What the two calls about a refund came to.
//!
//! A refund is told twice: by the call itself, and by the query about it. A call
//! that was answered says only that *this* call moved the money; that it did not
//! may mean that an earlier one had.

use super::{Judged, Reason, Trouble};
use crate::payment::{Fen, Timestamp};

/// What the gateway told of money that went back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Back {
    /// Alipay's number for the trade.
    pub trade_no: Option<String>,
    /// When it went back, on the gateway's clock (`gmt_refund_pay`).
    pub at: Option<Timestamp>,
    /// `refund_fee`: all that was ever given back of this trade, this refund and
    /// those before. Told by the refund only.
    pub total: Option<Fen>,
    /// `refund_amount`: what this refund gave back. Told by the query only.
    pub amount: Option<Fen>,
}

impl Back {
    /// Takes over what `newer` knows, and keeps the rest. What went back in all
    /// never becomes less.
    #[must_use]
    pub fn updated(&self, newer: &Self) -> Self {
        let newer = newer.clone();
        Self {
            trade_no: newer.trade_no.or_else(|| self.trade_no.clone()),
            at: newer.at.or(self.at),
            total: newer.total.max(self.total),
            amount: newer.amount.or(self.amount),
        }
    }
}

/// The answer to `refund`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundAnswer {
    /// `fund_change` is Y: this call has given the money back.
    Done(Back),
    /// 10000 without `fund_change` Y. It was done before, or is not done: only
    /// the refund query tells.
    Unproven(Back),
    /// A verified business refusal, for good.
    Refused(Reason),
    /// Anything else, an empty account of the merchant's among it.
    Unknown(Trouble),
}

/// The answer to `refund query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundQueryAnswer {
    /// `REFUND_SUCCESS`, with our number, our request's and our amount.
    Done(Back),
    /// A verified answer that tells of no success: not done, not yet, or never
    /// heard of.
    NotDone,
    /// What was given back under our request's number is not our refund: it is
    /// another amount, or a part of another trade.
    Foreign(Trouble),
    /// Anything else.
    Unknown(Trouble),
}

impl RefundAnswer {
    pub(super) fn judged(&self) -> Judged {
        match self {
            Self::Done(_) => Judged::Refunded,
            Self::Unproven(_) => Judged::Unproven,
            Self::Refused(_) => Judged::Refused,
            Self::Unknown(_) => Judged::Unknown,
        }
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Unknown(trouble) => Some(trouble),
            Self::Done(_) | Self::Unproven(_) | Self::Refused(_) => None,
        }
    }
}

impl RefundQueryAnswer {
    pub(super) fn judged(&self) -> Judged {
        match self {
            Self::Done(_) => Judged::Refunded,
            Self::NotDone => Judged::NotDone,
            Self::Foreign(_) => Judged::Foreign,
            Self::Unknown(_) => Judged::Unknown,
        }
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Foreign(trouble) | Self::Unknown(trouble) => Some(trouble),
            Self::Done(_) | Self::NotDone => None,
        }
    }
}
