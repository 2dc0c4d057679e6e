//! What a payment is waiting for, or how it ended.

use super::{Reason, Timestamp, Trouble};

/// What a payment is waiting for, or how it ended.
///
/// Every state is named after the one thing that can move it on: a code, the
/// clock, or the answer to a single call. Who knows the state knows what comes
/// next.
///
/// From [`Paying`](Self::Paying) until a final state the payment is *in doubt*:
/// the buyer may or may not have been charged, and only the gateway knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for the buyer's code. Nothing has left the box, so stopping here
    /// costs nothing.
    AwaitingCode {
        /// When it has waited long enough (steady clock).
        until: Timestamp,
    },
    /// Waits for the answer to `pay`.
    Paying,
    /// Waits for the answer to `precreate`: what the buyer is to scan.
    Precreating,
    /// The pay certainly never left the box. Waits for the clock to try again
    /// while the code is fresh.
    Unsent {
        /// When to try again (steady clock).
        until: Timestamp,
    },
    /// Waits for the clock; the next `query` is due at `until`.
    Resting {
        /// When to ask again (steady clock).
        until: Timestamp,
    },
    /// Waits for the answer to `query`.
    Querying,
    /// Waits for the answer to `cancel`.
    Cancelling,
    /// Paid, and to go back though the gateway refuses the cancel for good: waits
    /// for the end of a refund of its own (rule 15).
    Owing,
    /// Final. The money is the merchant's.
    Paid,
    /// Final. The gateway refused, and no payable trade is left.
    Declined,
    /// Final. Closed, nothing stays charged.
    Cancelled(CancelAction),
}

/// What ended a payment that is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAction {
    /// It was unpaid and is closed.
    Close,
    /// It had been paid, and the money went back.
    Refund,
    /// Nothing had ever been sent.
    None,
}

/// Why a person should look, when the terminal cannot settle a payment alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attention {
    /// It takes long; what stands in the way.
    Unsettled(Option<Trouble>),
    /// The number belongs to another sale at Alipay.
    Foreign(Option<Trouble>),
    /// There is a paid trade under the number that is not proven to be this
    /// payment's; Alipay's number for it.
    Unproven(Option<String>),
    /// The gateway refuses to be asked: keys, rights or contract are wrong.
    DoorClosed(Trouble),
    /// The money has to go back, and the merchant's account has not enough.
    SellerBalance,
    /// Paid, although a cancel was decided: Alipay refused the cancel for good, and
    /// then the refund.
    CancelRefused(Reason),
    /// Alipay refused the cancel for good: the money goes back as a refund.
    Owing(Reason),
}

/// A payment's state as the register sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Public {
    /// The terminal waits for the code.
    AwaitingCode,
    /// Pay was sent, or may have been.
    Processing,
    /// The buyer must confirm.
    AwaitingBuyer,
    /// A cancel is under way, or a decline is being made sure of.
    Cancelling,
    /// Final.
    Paid,
    /// Final.
    Declined,
    /// Final.
    Cancelled,
}

impl Public {
    /// All of them, in the order of a payment's life.
    pub const ALL: [Self; 7] = [
        Self::AwaitingCode,
        Self::Processing,
        Self::AwaitingBuyer,
        Self::Cancelling,
        Self::Paid,
        Self::Declined,
        Self::Cancelled,
    ];

    /// The name in the API and in the journal.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AwaitingCode => "awaiting_code",
            Self::Processing => "processing",
            Self::AwaitingBuyer => "awaiting_buyer",
            Self::Cancelling => "cancelling",
            Self::Paid => "paid",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
        }
    }

    /// Nothing more will happen.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Paid | Self::Declined | Self::Cancelled)
    }
}

/// Where the money is, as far as anybody can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Money {
    /// Final: nothing was charged, and nothing will be.
    None,
    /// Nothing has been charged so far, but it still may be: it waits for a code,
    /// or for a connection. Cancel it before cash is taken.
    Open,
    /// It is the merchant's.
    Taken,
    /// It had been charged and went back.
    Returned,
    /// Only the gateway knows. Do not charge again for this sale.
    Unknown,
}

impl Money {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Open, Self::Taken, Self::Returned, Self::Unknown];

    /// The name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Open => "open",
            Self::Taken => "taken",
            Self::Returned => "returned",
            Self::Unknown => "unknown",
        }
    }
}
