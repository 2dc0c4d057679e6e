//! A refund: money of a paid payment that goes back. A machine of its own beside
//! the payment's, and a simpler one: a pay is sent once, a refund may be repeated
//! for ever under its number and amount. So there is no doubt to resolve, only
//! patience.
//!
//! ```text
//!  proving ──ours, paid──▶ refunding ──fund_change Y──────────────▶ REFUNDED
//!  (what the                 ▲    │ N, unknown, balance, refused      ▲
//!  terminal owes)            │    ▼                                   │
//!                            └─ resting ──due──▶ asking ──success─────┤
//!                                  ▲                │                 │
//!                                  └──not done──────┘ refused before, and none on its way
//!                                                   └───────────────▶ REFUSED
//! ```
//!
//! Only two answers prove a refund: `fund_change` Y to the call itself, and
//! `REFUND_SUCCESS` to the question about its number (alipay.trade.refund,
//! alipay.trade.fastpay.refund.query). A restart is an unknown answer here too.

mod machine;
mod number;
mod step;
mod sum;
mod words;

use std::sync::Arc;

use super::{Amount, Back, Fen, OutTradeNo, Payment, Reason, Timestamp, Trouble};

pub use machine::{Happened, Turn, WrongTurn};
pub use number::OutRequestNo;
pub use sum::{Exceeds, RefundSum, Refunded};

/// Money of one payment on its way back to the buyer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// What was asked for.
    pub(super) asked: Arc<RefundRequest>,
    /// Counts the changes, from 1. Nothing of a refund that has none is on disk.
    pub(super) rev: u64,
    pub(super) updated_at: Timestamp,
    /// What the gateway told of the money.
    pub(super) back: Back,
    pub(super) heard: RefundHeard,
    pub(super) attention: Option<RefundAttention>,
    pub(super) stage: RefundStage,
}

/// What was asked for; it never changes, over all retries and restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRequest {
    /// The payment that it is of, as it stood then.
    pub payment: Payment,
    /// The refund's number, unique for its payment.
    pub request: OutRequestNo,
    /// How much.
    pub amount: Amount,
    /// Why, in the register's words; goes to Alipay.
    pub reason: Option<String>,
    /// Who is at the register, passed on to Alipay.
    pub operator_id: Option<String>,
    /// Whose wish it is.
    pub cause: RefundCause,
    /// What this terminal had given back of the payment before, for certain.
    pub before: Fen,
    /// When (wall clock).
    pub created_at: Timestamp,
}

/// Whose wish a refund is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundCause {
    /// The register's, or a person's.
    Register,
    /// The terminal's: a cancel that the gateway will not do, or a decline that
    /// turned out paid.
    Undo,
    /// The terminal's: money came after it was told that none would.
    Late,
    /// The terminal's: Alipay's bill has a payment that was never told.
    Bill,
}

/// What has been heard of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundHeard {
    /// The gateway refused it for good. Believed once it has been asked, and none
    /// that was sent can still arrive.
    pub refusal: Option<Reason>,
    /// One that was sent was not answered: until when it may still arrive (steady
    /// clock).
    pub on_its_way_until: Option<Timestamp>,
    /// What last kept it from being settled.
    pub trouble: Option<Trouble>,
    /// Since when it is tried in this life (steady clock).
    pub since: Timestamp,
    /// How often it was tried, for the rests. Not remembered over a restart.
    pub rounds: u32,
}

/// How far a refund has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundStage {
    /// Waits for the answer to `query`: is the payment paid, and ours?
    Proving,
    /// Waits for the answer to `refund`.
    Refunding,
    /// Waits for the answer to the refund query.
    Asking,
    /// Waits for the clock.
    Resting {
        /// Until then (steady clock).
        until: Timestamp,
        /// What follows.
        then: RefundThen,
    },
    /// Final: the money is proven to be back.
    Refunded,
    /// Final: the gateway will not do it, and has not done it.
    Refused,
}

/// What follows a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundThen {
    /// The question whether the payment is paid, and ours.
    Prove,
    /// The refund, under the same number and amount as ever.
    Refund,
    /// The question whether it was done.
    Ask,
}

/// A refund's state as the register sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefundState {
    /// On its way.
    Processing,
    /// Final.
    Refunded,
    /// Final.
    Refused,
}

/// Why a person should look at a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundAttention {
    /// It takes long; what stands in the way.
    Unsettled(Option<Trouble>),
    /// The merchant's account has not enough.
    SellerBalance,
    /// The gateway refuses to be asked: keys, rights or contract are wrong.
    DoorClosed,
    /// The payment's trade is not proven to be ours.
    Unproven,
    /// The gateway says that more went back of this payment than this terminal
    /// has given back: so much.
    Elsewhere(Fen),
}

/// All of a refund, open for whoever writes it down or reads it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRecord {
    /// What was asked for.
    pub asked: Arc<RefundRequest>,
    /// Counts the changes, from 1.
    pub rev: u64,
    /// When it last changed (wall clock).
    pub updated_at: Timestamp,
    /// What the gateway told of the money.
    pub back: Back,
    /// What has been heard of it.
    pub heard: RefundHeard,
    /// Why a person should look.
    pub attention: Option<RefundAttention>,
    /// How far it has come.
    pub stage: RefundStage,
}

impl Refund {
    /// What was asked for.
    #[must_use]
    pub fn asked(&self) -> &Arc<RefundRequest> {
        &self.asked
    }

    /// The number of the payment that it is of.
    #[must_use]
    pub fn of(&self) -> &OutTradeNo {
        &self.asked.payment.order().out_trade_no
    }

    /// Counts the changes, from 1; 0 while nothing of it is on disk.
    #[must_use]
    pub fn rev(&self) -> u64 {
        self.rev
    }

    /// When it last changed (wall clock).
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// What the gateway told of the money.
    #[must_use]
    pub fn back(&self) -> &Back {
        &self.back
    }

    /// What it waits for, or how it ended.
    #[must_use]
    pub fn stage(&self) -> RefundStage {
        self.stage
    }

    /// Why a person should look.
    #[must_use]
    pub fn attention(&self) -> Option<&RefundAttention> {
        self.attention.as_ref()
    }

    /// What last kept it from being settled.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.heard.trouble.as_ref()
    }

    /// Why the gateway refused it, once that is final.
    #[must_use]
    pub fn refusal(&self) -> Option<&Reason> {
        self.heard.refusal.as_ref().filter(|_| self.stage == RefundStage::Refused)
    }

    /// The state as the register sees it.
    #[must_use]
    pub fn public(&self) -> RefundState {
        match self.stage {
            RefundStage::Proving
            | RefundStage::Refunding
            | RefundStage::Asking
            | RefundStage::Resting { .. } => RefundState::Processing,
            RefundStage::Refunded => RefundState::Refunded,
            RefundStage::Refused => RefundState::Refused,
        }
    }

    /// All of it, to be written down.
    #[must_use]
    pub fn record(&self) -> RefundRecord {
        let Self { asked, rev, updated_at, back, heard, attention, stage } = self.clone();
        RefundRecord { asked, rev, updated_at, back, heard, attention, stage }
    }
}

impl From<RefundRecord> for Refund {
    fn from(record: RefundRecord) -> Self {
        let RefundRecord { asked, rev, updated_at, back, heard, attention, stage } = record;
        Self { asked, rev, updated_at, back, heard, attention, stage }
    }
}

impl RefundCause {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Register, Self::Undo, Self::Late, Self::Bill];

    /// The name in the API and in the journal.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Undo => "undo",
            Self::Late => "late",
            Self::Bill => "bill",
        }
    }

    /// The terminal's own: it owes the money.
    #[must_use]
    pub fn is_own(self) -> bool {
        match self {
            Self::Register => false,
            Self::Undo | Self::Late | Self::Bill => true,
        }
    }
}

impl RefundState {
    /// All of them, in the order of a refund's life.
    pub const ALL: [Self; 3] = [Self::Processing, Self::Refunded, Self::Refused];

    /// The name in the API and in the journal.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Refunded => "refunded",
            Self::Refused => "refused",
        }
    }
}
