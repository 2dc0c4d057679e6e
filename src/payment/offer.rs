//! What can be charged: a pay that was decided, what the gateway has said of
//! it, and whether a trade under its number is proven to be it.

use std::fmt;
use std::time::Duration;

use super::{CodeMark, Reason, Timestamp, Trade};

/// How much a payment may seem to have been made before its pay left, because
/// two clocks are never the same.
const CLOCK_SLACK: Duration = Duration::from_mins(1);

/// So many queries in a row without any answer stand for an answer at the end of
/// the window (rule 13), and before each further cancel (rule 8).
const PATIENCE: u32 = 3;

/// And after a start, which may be earlier than the network's.
const PATIENCE_AFTER_START: u32 = 6;

/// What can be charged until `time_expire`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// How the buyer takes it.
    pub how: How,
    /// Our own mark on the trade (`passback_params`). Offers of the journal's
    /// first two versions have none.
    pub tag: Option<Tag>,
    /// When its first sending was decided (steady clock).
    pub tried_since: Timestamp,
    /// The earliest that it can have left (gateway's clock).
    pub sent_at: Timestamp,
    /// When the window ends (steady clock). A stop by the cashier and a decline
    /// are ends that came early.
    pub deadline: Timestamp,
    /// `time_expire` (gateway's clock): after it the gateway refuses an offer
    /// that arrives late.
    pub time_expire: Timestamp,
    /// The latest that `time_expire` can be, whichever clock is right.
    pub horizon: Timestamp,
    /// From the sending until it is certain that it cannot be charged any more;
    /// what the steady clock has to run besides the gateway's.
    pub hold: Duration,
    /// When the steady clock has run `hold`, since the sending or since the
    /// last restart, whichever is later.
    pub hold_until: Timestamp,
    /// What has been heard of it.
    pub heard: Heard,
}

/// How the buyer takes an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// With the payment code that was scanned (`alipay.trade.pay`).
    Code {
        /// The mark of the code, to know it again. (Payments of the journal's
        /// first version have none.)
        mark: Option<CodeMark>,
        /// When the buyer's code is too old to be tried (steady clock).
        fresh_until: Timestamp,
    },
    /// By scanning what is shown (`alipay.trade.precreate`).
    Qr {
        /// What is shown; nothing before the gateway has said it, and for ever if its
        /// answer was lost: then nobody can have scanned it.
        text: Option<String>,
    },
}

/// What has been heard of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The buyer must confirm: the gateway has said so.
    pub waiting: bool,
    /// How the gateway refused the pay, verified.
    pub refused: Option<Refusal>,
    /// The cashier asked to stop.
    pub stopped: bool,
    /// The gateway was asked about the number, and no verified answer since has
    /// shown another sale. No cancel is sent before (rule 8).
    pub asked: bool,
    /// A verified answer has shown the trade. A cancel that finds nothing then
    /// proves nothing.
    pub known: bool,
    /// The number turned out to belong to another sale, or cannot be told from
    /// one, and no later answer has cleared that. While it is set, nothing is
    /// told paid, and nothing is cancelled (rule 12).
    pub foreign: bool,
    /// An offer that is still on its way is refused by the gateway; proven by the
    /// gateway's clock and the steady one. Never unset.
    pub late_over: bool,
    /// How many more queries have to go unanswered in this life before silence
    /// counts as an answer (rule 13). Not remembered over a restart.
    pub patience: u32,
    /// How often a person's case was looked at. Not remembered either.
    pub looks: u32,
}

impl Default for Heard {
    fn default() -> Self {
        Self {
            waiting: false,
            refused: None,
            stopped: false,
            asked: false,
            known: false,
            foreign: false,
            late_over: false,
            patience: PATIENCE,
            looks: 0,
        }
    }
}

impl Heard {
    /// The gateway has answered, whatever it said of us; or it is about to be
    /// told something, after which it is asked anew.
    pub(super) fn answered(&mut self) {
        self.patience = PATIENCE;
    }

    /// The daemon begins; the network may come later.
    pub(super) fn started(&mut self) {
        self.patience = PATIENCE_AFTER_START;
        self.looks = 0;
    }
}

/// How the gateway refused a pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// By the business behind it: nothing is on its way, but a trade that the
    /// buyer can still confirm may be left.
    Declined,
    /// At the front door. Such a refusal names no order, so it may be another
    /// request's.
    FrontDoor,
    /// The number is in use.
    NumberInUse,
}

/// A cancel that was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undo {
    /// How many times it was tried, for the back-off.
    pub rounds: u32,
    /// A cancel has been sent, answered or not.
    pub sent: bool,
    /// Why the gateway refused one for good; then what is true counts.
    pub refused: Option<Reason>,
    /// The cancel in flight was sent after a late pay had become impossible, and
    /// after a query that found nothing.
    pub sent_past_late_pay: bool,
    /// No earlier cancel can have done anything: this is the first, or the query
    /// before it said that the number does not exist. Else "no action" may mean
    /// that a cancel whose answer was lost has given the money back.
    pub sent_to_untouched: bool,
}

/// Our own mark on a trade: 64 bits that no other pay has, whoever uses the same
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub u64);

impl fmt::Display for Tag {
    /// As it goes to the gateway: letters and digits, which no encoding changes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tilld{:016x}", self.0)
    }
}

impl Tag {
    /// Reads what was written with `Display`, and nothing else.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let tag = Self(u64::from_str_radix(text.strip_prefix("tilld")?, 16).ok()?);
        (tag.to_string() == text).then_some(tag)
    }
}

/// Whose a trade under our number is (rule 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Proven to be this payment's.
    Ours,
    /// Certainly another sale's.
    Theirs,
    /// The gateway said too little.
    CannotTell,
}

impl Offer {
    /// Whose a trade is that has our number and amount.
    ///
    /// Our mark proves it, where the gateway shows it, and another's disproves it.
    /// What was paid before our pay left is not ours; nor is anything after
    /// the gateway refused our pay because the number was in use.
    pub(super) fn whose(&self, trade: &Trade, paid: bool) -> Whose {
        if let (Some(ours), Some(shown)) = (self.tag, &trade.tag) {
            return if *shown == ours.to_string() { Whose::Ours } else { Whose::Theirs };
        }
        let too_early = |at: Timestamp| at + CLOCK_SLACK < self.sent_at;
        match self.heard.refused {
            _ if trade.paid_at.is_some_and(too_early) => Whose::Theirs,
            Some(Refusal::NumberInUse) => Whose::Theirs,
            // The gateway said no to ours, and somebody has paid all the same.
            Some(Refusal::Declined) if paid => Whose::CannotTell,
            Some(Refusal::Declined | Refusal::FrontDoor) | None => {
                if paid && trade.paid_at.is_none() { Whose::CannotTell } else { Whose::Ours }
            }
        }
    }

    /// The mark of the payment code, if one was taken.
    #[must_use]
    pub fn mark(&self) -> Option<CodeMark> {
        match self.how {
            How::Code { mark, .. } => mark,
            How::Qr { .. } => None,
        }
    }

    /// What is shown for the buyer to scan, once there is something.
    #[must_use]
    pub fn qr_code(&self) -> Option<&str> {
        match &self.how {
            How::Qr { text } => text.as_deref(),
            How::Code { .. } => None,
        }
    }

    /// The gateway declined the pay, or refused it at its door.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.heard.refused, Some(Refusal::Declined | Refusal::FrontDoor))
    }

    /// The gateway declined the pay: nothing is on its way.
    pub(super) fn is_declined(&self) -> bool {
        self.heard.refused == Some(Refusal::Declined)
    }
}
