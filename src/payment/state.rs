//! What a payment is waiting for, or how it ended.

use std::sync::Arc;

use super::{CodeMark, Hint, Order, Reason, Timestamp, Trade, Trouble};

/// What a payment is waiting for, or how it ended.
///
/// Every state is named after the one thing that can move it on: a code, the
/// clock, or the answer to a single call. Who knows the state knows what comes
/// next.
///
/// From [`Paying`](Self::Paying) until a final state the payment is *in doubt*:
/// the buyer may or may not have been charged, and only the gateway knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for the buyer's code. Nothing has left the box, so stopping here
    /// costs nothing.
    AwaitingCode {
        /// When it has waited long enough (steady clock).
        until: Timestamp,
    },
    /// Waits for the answer to `pay`.
    Paying,
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

/// What is remembered of a pay that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayCall {
    /// When the window ends (steady clock). A stop by the cashier and a decline
    /// are ends that came early.
    pub deadline: Timestamp,
    /// When the buyer's code is too old to be tried (steady clock).
    pub code_until: Timestamp,
    /// The mark of the code, to know it again. (Payments of the journal's first
    /// version have none.)
    pub mark: Option<CodeMark>,
    /// `time_expire` of the pay (gateway's clock): after it the gateway refuses
    /// a pay that arrives late.
    pub time_expire: Timestamp,
    /// From the sending of the pay until it is certain that it cannot be
    /// charged any more; what the steady clock has to run besides the gateway's.
    pub hold: std::time::Duration,
    /// When the steady clock has run `hold`, since the sending or since the
    /// last restart, whichever is later.
    pub hold_until: Timestamp,
    /// The buyer must confirm: the gateway has said so.
    pub waiting: bool,
    /// The gateway has declined the pay, verified: nothing is on its way.
    pub declined: bool,
    /// The cashier asked to stop.
    pub stopped: bool,
    /// The gateway was asked about the number, and no verified answer since has
    /// shown another sale. No cancel is sent before (rule 8).
    pub asked: bool,
    /// The number turned out to belong to another sale, and no later answer
    /// has cleared that. While it is set, nothing is cancelled.
    pub foreign: bool,
    /// A pay that is still on its way is refused by the gateway; proven by the
    /// gateway's clock and the steady one. Never unset.
    pub late_pay_over: bool,
    /// Set at the point of no return: the money will not be kept.
    pub undo: Option<Undo>,
}

/// A cancel that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// How many times it was tried, for the back-off.
    pub rounds: u32,
    /// A cancel has been sent, answered or not.
    pub sent: bool,
    /// Why the gateway refused one for good; then what is true counts.
    pub refused: Option<Reason>,
    /// The cancel in flight was sent after a late pay had become impossible.
    pub sent_past_late_pay: bool,
    /// No earlier cancel can have done anything: this is the first, or the query
    /// before it said that the number does not exist. Else "no action" may mean
    /// that a cancel whose answer was lost has given the money back.
    pub sent_to_untouched: bool,
}

/// Why a person should look, when the terminal cannot settle a payment alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attention {
    /// It takes long; what stands in the way.
    Unsettled(Option<Trouble>),
    /// The number belongs to another sale at Alipay, or may.
    Foreign(Option<Trouble>),
    /// Paid, although a cancel was decided: Alipay refused the cancel for good.
    CancelRefused(Reason),
}

/// One attempt to collect one amount from one buyer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// What the register asked for.
    pub order: Arc<Order>,
    /// What it waits for, or how it ended.
    pub state: State,
    /// Counts the changes, from 1.
    pub rev: u64,
    /// When it was asked for (wall clock).
    pub created_at: Timestamp,
    /// When it last changed (wall clock).
    pub updated_at: Timestamp,
    /// The pay, once it was decided.
    pub pay: Option<PayCall>,
    /// What the gateway told about the trade.
    pub trade: Trade,
    /// Why the gateway said no.
    pub reason: Option<Reason>,
    /// Why a person should look.
    pub attention: Option<Attention>,
    /// What last kept the payment from being settled.
    pub trouble: Option<Trouble>,
    /// While it waits for its code: why it has not got one yet.
    pub hint: Option<Hint>,
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

impl Payment {
    /// The state as the register sees it.
    #[must_use]
    pub fn public(&self) -> Public {
        match self.state {
            State::AwaitingCode { .. } => Public::AwaitingCode,
            State::Paid => Public::Paid,
            State::Declined => Public::Declined,
            State::Cancelled(_) => Public::Cancelled,
            State::Cancelling => Public::Cancelling,
            State::Paying | State::Unsent { .. } => Public::Processing,
            State::Resting { .. } | State::Querying => match &self.pay {
                Some(pay) if pay.undo.is_some() || pay.declined => Public::Cancelling,
                Some(pay) if pay.waiting => Public::AwaitingBuyer,
                Some(_) | None => Public::Processing,
            },
        }
    }

    /// Where the money is.
    #[must_use]
    pub fn money(&self) -> Money {
        match self.state {
            State::AwaitingCode { .. } | State::Unsent { .. } => Money::Open,
            State::Declined | State::Cancelled(CancelAction::Close | CancelAction::None) => {
                Money::None
            }
            State::Paid => Money::Taken,
            State::Cancelled(CancelAction::Refund) => Money::Returned,
            State::Paying | State::Resting { .. } | State::Querying | State::Cancelling => {
                Money::Unknown
            }
        }
    }

    /// Nothing more will happen to it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.public().is_final()
    }

    /// When it has to be looked at again without anything else happening
    /// (steady clock). The daemon owns the only timer.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        match self.state {
            State::AwaitingCode { until } | State::Unsent { until } | State::Resting { until } => {
                Some(until)
            }
            State::Paying
            | State::Querying
            | State::Cancelling
            | State::Paid
            | State::Declined
            | State::Cancelled(_) => None,
        }
    }
}
