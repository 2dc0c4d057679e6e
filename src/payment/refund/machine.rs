//! What can happen to a refund, and what comes of it.

use super::{OutRequestNo, Refund, RefundAttention, RefundHeard, RefundRequest, RefundStage};
use crate::payment::{
    Amount, Answered, Back, Call, Fen, Moment, OutTradeNo, Payment, RefundCause, Timestamp,
};

/// Something that happened to a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "short-lived, and an answer is the usual one")]
pub enum Happened {
    /// It was asked for.
    Requested,
    /// The point in time that [`Refund::due`] named has come.
    Due,
    /// The call in flight was answered, or will never be.
    Answered(Answered),
    /// The daemon was down. What was in flight is an answer that was lost.
    Restarted,
}

/// A refund after a step, and the one call to make once that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How it stands.
    pub refund: Refund,
    /// What to send.
    pub call: Option<Call>,
    /// Nothing was learned, and nothing is sent that could change anything.
    pub quiet: bool,
}

/// Something that cannot happen to a refund now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{happened:?} cannot happen to refund {request} of payment {number} in stage {stage:?}")]
pub struct WrongTurn {
    pub(super) number: OutTradeNo,
    pub(super) request: OutRequestNo,
    pub(super) stage: RefundStage,
    pub(super) happened: Box<Happened>,
}

impl Refund {
    /// A refund that was just asked for. Nothing of it is on disk before its first
    /// step.
    #[must_use]
    pub fn requested(asked: RefundRequest, now: Moment) -> Self {
        let updated_at = asked.created_at;
        let heard = RefundHeard {
            refusal: None,
            on_its_way_until: None,
            trouble: None,
            since: now.steady,
            rounds: 0,
        };
        Self {
            asked: asked.into(),
            rev: 0,
            updated_at,
            back: Back::default(),
            heard,
            attention: None,
            stage: RefundStage::Refunding,
        }
    }

    /// What the terminal owes of a payment: all of it, under its one number.
    #[must_use]
    pub fn own(payment: Payment, cause: RefundCause, before: Fen, now: Moment) -> Self {
        let asked = RefundRequest {
            request: OutRequestNo::own(&payment.order().out_trade_no),
            amount: payment.order().amount,
            payment,
            reason: None,
            operator_id: None,
            cause,
            before,
            created_at: now.wall,
        };
        Self::requested(asked, now)
    }

    /// Nothing more will happen to it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.stage, RefundStage::Refunded | RefundStage::Refused)
    }

    /// When it has to be looked at again without anything else happening (steady
    /// clock).
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        match self.stage {
            RefundStage::Resting { until, .. } => Some(until),
            RefundStage::Proving
            | RefundStage::Refunding
            | RefundStage::Asking
            | RefundStage::Refunded
            | RefundStage::Refused => None,
        }
    }

    /// Decides what happens: how it stands afterwards, and the one call to make
    /// once that is on disk. It reads no clock and touches nothing.
    ///
    /// # Errors
    ///
    /// [`WrongTurn`] if it cannot happen now.
    pub fn step(&self, happened: &Happened, now: Moment) -> Result<Turn, WrongTurn> {
        let mut turn = self.decide(happened, now)?;
        turn.quiet = turn.call != Some(Call::Refund) && self.teaches_nothing(&turn.refund);
        if !turn.quiet {
            (turn.refund.rev, turn.refund.updated_at) = (self.rev + 1, now.wall);
        }
        Ok(turn)
    }

    /// Whether `after` says nothing that is not known already.
    fn teaches_nothing(&self, after: &Self) -> bool {
        self.rev > 0 && !after.is_final() && self.known() == after.known()
    }

    /// The same without what only this life counts, and without times and words
    /// that no decision rests on.
    fn known(&self) -> Self {
        let mut known = self.clone();
        let heard = &mut known.heard;
        (heard.since, heard.rounds) = (Timestamp(0), 0);
        if let Some(trouble) = &mut heard.trouble {
            trouble.text.clear();
        }
        // Follows from the trouble, but for its words.
        if let Some(RefundAttention::Unsettled(trouble)) = &mut known.attention {
            *trouble = None;
        }
        // Whether one may be on its way is known, until when is not.
        if let Some(until) = &mut heard.on_its_way_until {
            *until = Timestamp(0);
        }
        known.stage = RefundStage::Asking;
        known
    }

    pub(super) fn wrong(&self, happened: &Happened) -> WrongTurn {
        WrongTurn {
            number: self.of().clone(),
            request: self.asked.request.clone(),
            stage: self.stage,
            happened: Box::new(happened.clone()),
        }
    }
}

impl RefundRequest {
    /// The names of the members in which another request under the same number
    /// asks for something else.
    #[must_use]
    pub fn differences(&self, amount: Amount, reason: Option<&str>) -> Vec<&'static str> {
        [("amount", self.amount != amount), ("reason", self.reason.as_deref() != reason)]
            .into_iter()
            .filter_map(|(name, differs)| differs.then_some(name))
            .collect()
    }
}
