//! The payment itself: how far it has come, and with it exactly the data that
//! belongs there.

use std::sync::Arc;

use super::{
    Account, Attention, CancelAction, CodeMark, Hint, Moment, Money, Offer, Order, Public, Reason,
    Refusal, Rules, State, Till, Timestamp, Trade, Trouble, Undo,
};

/// One attempt to collect one amount from one buyer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub(super) head: Head,
    pub(super) stage: Stage,
}

/// What every payment has, however far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) order: Arc<Order>,
    pub(super) account: Option<Arc<Account>>,
    pub(super) till: Option<Arc<Till>>,
    /// Counts the changes, from 1. Nothing of a payment that has none is on disk.
    pub(super) rev: u64,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) trade: Trade,
    pub(super) reason: Option<Reason>,
    pub(super) attention: Option<Attention>,
    pub(super) trouble: Option<Trouble>,
}

/// How far a payment has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "nearly every payment has an offer")]
pub(super) enum Stage {
    /// Waits for the buyer's code; nothing has left the box.
    Awaiting { until: Timestamp, hint: Option<Hint> },
    /// The offer certainly never left the box; until when it rests.
    Unsent { offer: Offer, until: Timestamp },
    /// The offer is out, or may be.
    Out { offer: Offer, undo: Option<Undo>, waits: Waits },
    /// Nothing more will happen.
    Over { end: End, offer: Option<Offer>, undo: Option<Undo> },
}

/// What an offer that is out waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// The answer to `pay`.
    Pay,
    /// The answer to `precreate`.
    Precreate,
    /// The clock.
    Clock { until: Timestamp },
    /// The answer to `query`, which was due at `since`.
    Query { since: Timestamp },
    /// The answer to `cancel`.
    Cancel,
    /// The end of a refund of its own: the gateway will not cancel, and the money
    /// must go back (rule 15).
    Refund,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Paid,
    Declined,
    Cancelled(CancelAction),
}

/// All of a payment, open for whoever writes it down or reads it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What the register asked for.
    pub order: Arc<Order>,
    /// The account it is in; not known of payments of the journal's first two
    /// versions.
    pub account: Option<Arc<Account>>,
    /// The till it is taken at; not known of payments of earlier versions.
    pub till: Option<Arc<Till>>,
    /// What it waits for, or how it ended.
    pub state: State,
    /// Counts the changes, from 1.
    pub rev: u64,
    /// When it was asked for (wall clock).
    pub created_at: Timestamp,
    /// When it last changed (wall clock).
    pub updated_at: Timestamp,
    /// What can be charged, once it was decided.
    pub offer: Option<Offer>,
    /// The cancel, once it was decided.
    pub undo: Option<Undo>,
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

/// A record that no payment can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// Something is out, and nothing says what.
    #[error("a payment that has sent something does not say what")]
    NoOffer,
    /// It waits for its code, and has one.
    #[error("a payment that waits for its code has sent something")]
    TooMuch,
}

impl Payment {
    /// A payment that was just asked for and waits for its code. Nothing of it
    /// is on disk before its first step.
    #[must_use]
    pub fn requested(order: Order, now: Moment, rules: &Rules) -> Self {
        Self {
            head: Head {
                order: order.into(),
                account: None,
                till: None,
                rev: 0,
                created_at: now.wall,
                updated_at: now.wall,
                trade: Trade::default(),
                reason: None,
                attention: None,
                trouble: None,
            },
            stage: Stage::Awaiting { until: now.steady + rules.code_timeout, hint: None },
        }
    }

    /// The same in this account.
    #[must_use]
    pub fn in_account(mut self, account: Option<Arc<Account>>) -> Self {
        self.head.account = account;
        self
    }

    /// What the register asked for.
    #[must_use]
    pub fn order(&self) -> &Arc<Order> {
        &self.head.order
    }

    /// The same at this till.
    #[must_use]
    pub fn at_till(mut self, till: Option<Arc<Till>>) -> Self {
        self.head.till = till;
        self
    }

    /// The till it is taken at.
    #[must_use]
    pub fn till(&self) -> Option<&Arc<Till>> {
        self.head.till.as_ref()
    }

    /// The account it is in.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.head.account.as_ref()
    }

    /// Counts the changes, from 1; 0 while nothing of it is on disk.
    #[must_use]
    pub fn rev(&self) -> u64 {
        self.head.rev
    }

    /// When it was asked for (wall clock).
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.head.created_at
    }

    /// When it last changed (wall clock).
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.head.updated_at
    }

    /// What the gateway told about the trade.
    #[must_use]
    pub fn trade(&self) -> &Trade {
        &self.head.trade
    }

    /// Why the gateway said no.
    #[must_use]
    pub fn reason(&self) -> Option<&Reason> {
        self.head.reason.as_ref()
    }

    /// Why a person should look.
    #[must_use]
    pub fn attention(&self) -> Option<&Attention> {
        self.head.attention.as_ref()
    }

    /// What last kept it from being settled.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.head.trouble.as_ref()
    }

    /// While it waits for its code: why it has not got one yet.
    #[must_use]
    pub fn hint(&self) -> Option<&Hint> {
        match &self.stage {
            Stage::Awaiting { hint, .. } => hint.as_ref(),
            Stage::Unsent { .. } | Stage::Out { .. } | Stage::Over { .. } => None,
        }
    }

    /// What can be charged, once it was decided.
    #[must_use]
    pub fn offer(&self) -> Option<&Offer> {
        match &self.stage {
            Stage::Awaiting { .. } => None,
            Stage::Unsent { offer, .. } | Stage::Out { offer, .. } => Some(offer),
            Stage::Over { offer, .. } => offer.as_ref(),
        }
    }

    /// The cancel, once it was decided.
    #[must_use]
    pub fn undo(&self) -> Option<&Undo> {
        match &self.stage {
            Stage::Awaiting { .. } | Stage::Unsent { .. } => None,
            Stage::Out { undo, .. } | Stage::Over { undo, .. } => undo.as_ref(),
        }
    }

    /// The mark of the code that it has taken.
    #[must_use]
    pub fn mark(&self) -> Option<CodeMark> {
        self.offer().and_then(Offer::mark)
    }

    /// What it waits for, or how it ended.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.stage {
            Stage::Awaiting { until, .. } => State::AwaitingCode { until: *until },
            Stage::Unsent { until, .. } => State::Unsent { until: *until },
            Stage::Out { waits, .. } => match *waits {
                Waits::Pay => State::Paying,
                Waits::Precreate => State::Precreating,
                Waits::Clock { until } => State::Resting { until },
                Waits::Query { .. } => State::Querying,
                Waits::Cancel => State::Cancelling,
                Waits::Refund => State::Owing,
            },
            Stage::Over { end, .. } => match *end {
                End::Paid => State::Paid,
                End::Declined => State::Declined,
                End::Cancelled(action) => State::Cancelled(action),
            },
        }
    }

    /// The state as the register sees it.
    #[must_use]
    pub fn public(&self) -> Public {
        match &self.stage {
            Stage::Awaiting { .. } => Public::AwaitingCode,
            Stage::Unsent { .. } | Stage::Out { waits: Waits::Pay | Waits::Precreate, .. } => {
                Public::Processing
            }
            Stage::Out { waits: Waits::Cancel | Waits::Refund, .. } => Public::Cancelling,
            Stage::Out { offer, undo, waits: Waits::Clock { .. } | Waits::Query { .. } } => {
                // A refusal at the front door is not believed before it was asked
                // about.
                if undo.is_some() || offer.heard.refused == Some(Refusal::Declined) {
                    Public::Cancelling
                } else if offer.heard.waiting {
                    Public::AwaitingBuyer
                } else {
                    Public::Processing
                }
            }
            Stage::Over { end, .. } => match end {
                End::Paid => Public::Paid,
                End::Declined => Public::Declined,
                End::Cancelled(_) => Public::Cancelled,
            },
        }
    }

    /// Where the money is (rule 14).
    #[must_use]
    pub fn money(&self) -> Money {
        match &self.stage {
            Stage::Awaiting { .. } | Stage::Unsent { .. } => Money::Open,
            Stage::Out { .. } => Money::Unknown,
            Stage::Over { end, .. } => match end {
                End::Paid => Money::Taken,
                End::Cancelled(CancelAction::Refund) => Money::Returned,
                End::Declined | End::Cancelled(CancelAction::Close | CancelAction::None) => {
                    Money::None
                }
            },
        }
    }

    /// Nothing more will happen to it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.stage, Stage::Over { .. })
    }

    /// When it has to be looked at again without anything else happening
    /// (steady clock). The daemon owns the only timer.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Awaiting { until, .. }
            | Stage::Unsent { until, .. }
            | Stage::Out { waits: Waits::Clock { until }, .. } => Some(*until),
            Stage::Out {
                waits:
                    Waits::Pay | Waits::Precreate | Waits::Query { .. } | Waits::Cancel | Waits::Refund,
                ..
            }
            | Stage::Over { .. } => None,
        }
    }

    /// A stop would change nothing: it was asked for before, a cancel is decided,
    /// the pay was declined, or all is over.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        match &self.stage {
            Stage::Awaiting { .. } | Stage::Unsent { .. } => false,
            Stage::Out { offer, undo, .. } => {
                undo.is_some() || offer.heard.stopped || offer.is_refused()
            }
            Stage::Over { .. } => true,
        }
    }

    /// All of it, to be written down.
    #[must_use]
    pub fn record(&self) -> Record {
        let head = self.head.clone();
        Record {
            order: head.order,
            account: head.account,
            till: head.till,
            state: self.state(),
            rev: head.rev,
            created_at: head.created_at,
            updated_at: head.updated_at,
            offer: self.offer().cloned(),
            undo: self.undo().cloned(),
            trade: head.trade,
            reason: head.reason,
            attention: head.attention,
            trouble: head.trouble,
            hint: self.hint().cloned(),
        }
    }
}

impl TryFrom<Record> for Payment {
    type Error = Impossible;

    fn try_from(record: Record) -> Result<Self, Impossible> {
        let Record { offer, undo, hint, .. } = record;
        let out = |waits, undo| {
            let offer = offer.clone().ok_or(Impossible::NoOffer)?;
            Ok(Stage::Out { offer, undo, waits })
        };
        let over = |end, undo| Ok(Stage::Over { end, offer: offer.clone(), undo });
        let stage = match record.state {
            State::AwaitingCode { .. } if offer.is_some() || undo.is_some() => {
                return Err(Impossible::TooMuch);
            }
            State::AwaitingCode { until } => Stage::Awaiting { until, hint },
            State::Unsent { until } => {
                Stage::Unsent { offer: offer.ok_or(Impossible::NoOffer)?, until }
            }
            State::Paying => out(Waits::Pay, undo)?,
            State::Precreating => out(Waits::Precreate, undo)?,
            State::Resting { until } => out(Waits::Clock { until }, undo)?,
            // When it was due is not written down: after a restart it is asked
            // anew.
            State::Querying => out(Waits::Query { since: Timestamp(0) }, undo)?,
            State::Cancelling => out(Waits::Cancel, undo)?,
            State::Owing => out(Waits::Refund, undo)?,
            State::Paid => over(End::Paid, undo)?,
            State::Declined => over(End::Declined, undo)?,
            State::Cancelled(action) => over(End::Cancelled(action), undo)?,
        };
        let head = Head {
            order: record.order,
            account: record.account,
            till: record.till,
            rev: record.rev,
            created_at: record.created_at,
            updated_at: record.updated_at,
            trade: record.trade,
            reason: record.reason,
            attention: record.attention,
            trouble: record.trouble,
        };
        Ok(Self { head, stage })
    }
}
