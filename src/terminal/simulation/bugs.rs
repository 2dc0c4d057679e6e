//! Known bugs, to be planted: each takes one rule away. The simulation must
//! find every one of them, else it could not find the next.

use crate::payment::{
    Answer, Answered, Call, CancelAction, CancelAnswer, Event, Illegal, Moment, PayAnswer, Payment,
    QueryAnswer, Reason, Rules, State, Stepped, Trade, TroubleKind,
};

/// What the planted bug does wrong, and the rule of ARCHITECTURE.md it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Rule 2: sends and tells before the entry is on disk.
    ActsBeforeDisk,
    /// Rule 2: entries are acknowledged without an fsync.
    NoFsync,
    /// Rule 3: another attempt for a sale in doubt may begin.
    NoSaleGuard,
    /// Rule 4: a reply that does not verify is believed.
    BelievesUnverified,
    /// Rule 4: success for another amount is ours.
    TakesForeignAmount,
    /// Rule 5: TRADE_NOT_EXIST is "not paid".
    NotExistIsFinal,
    /// Rule 5: "any other code means failed".
    UnknownIsDeclined,
    /// Rule 6: a decline is believed at once.
    BelievesDecline,
    /// Rule 7: a restart pays again.
    PaysAgainAfterRestart,
    /// Rule 7: no answer is taken for never sent, and tried again.
    UnknownIsNotSent,
    /// Rule 8: the cashier's stop is "not charged".
    StopIsCancelled,
    /// Rule 8: a success after the cancel was decided is "paid".
    PaidAfterNoReturn,
    /// Rule 8: a number that belongs to another sale is cancelled.
    CancelsForeign,
    /// Rule 8: a success behind our decline is ours.
    TakesPaidThoughDeclined,
    /// Rule 9: a cancel that was sent is a cancel that was done.
    CancelSentIsDone,
    /// Rule 9: an unanswered cancel is not repeated.
    CancelsOnce,
    /// Rule 9: the decision to cancel does not survive a restart.
    ForgetsCancel,
    /// Rule 9: a refused cancel is "not charged".
    RefusedIsCancelled,
    /// Rule 10: a cancel of a number never seen settles it.
    NoActionIsFinal,
    /// Rule 10: the box's wall clock decides when a late pay is impossible.
    HorizonByWallClock,
    /// A code that was used before is charged again.
    NoCodeLookUp,
    /// Codes are known again only until the next restart.
    CodesForgottenAtRestart,
}

impl Bug {
    pub(crate) const ALL: [Self; 22] = [
        Self::ActsBeforeDisk,
        Self::NoFsync,
        Self::NoSaleGuard,
        Self::BelievesUnverified,
        Self::TakesForeignAmount,
        Self::NotExistIsFinal,
        Self::UnknownIsDeclined,
        Self::BelievesDecline,
        Self::PaysAgainAfterRestart,
        Self::UnknownIsNotSent,
        Self::StopIsCancelled,
        Self::PaidAfterNoReturn,
        Self::CancelsForeign,
        Self::TakesPaidThoughDeclined,
        Self::CancelSentIsDone,
        Self::CancelsOnce,
        Self::ForgetsCancel,
        Self::RefusedIsCancelled,
        Self::NoActionIsFinal,
        Self::HorizonByWallClock,
        Self::NoCodeLookUp,
        Self::CodesForgottenAtRestart,
    ];

    /// A step of the machine with this bug in it.
    pub(crate) fn step(
        self,
        payment: &Payment,
        event: &Event,
        now: Moment,
        rules: &Rules,
    ) -> Result<Stepped, Illegal> {
        let mut payment = payment.clone();
        if self == Self::HorizonByWallClock
            && let Some(pay) = &mut payment.pay
        {
            pay.late_pay_over |= now.wall >= pay.time_expire + rules.late_margin;
        }
        let event = &self.misread(event);
        let mut stepped = payment.step(event, now, rules)?;
        let answer = match event {
            Event::Answered(answered) => Some(&answered.answer),
            _ => None,
        };
        let cancelled = State::Cancelled(CancelAction::Close);
        let undo = payment.pay.as_ref().is_some_and(|p| p.undo.is_some());
        let outcome = match (self, answer, event) {
            (Self::NotExistIsFinal, Some(Answer::Query(QueryAnswer::NotExist)), _) => cancelled,
            (Self::UnknownIsDeclined, Some(Answer::Pay(PayAnswer::Unknown(_))), _)
            | (Self::BelievesDecline, Some(Answer::Pay(PayAnswer::Declined(_))), _) => {
                State::Declined
            }
            (Self::StopIsCancelled, _, Event::Stop) => cancelled,
            (Self::PaidAfterNoReturn, Some(Answer::Query(QueryAnswer::Paid(_))), _) if undo => {
                State::Paid
            }
            (Self::TakesPaidThoughDeclined, Some(Answer::Query(QueryAnswer::Paid(_))), _) => {
                State::Paid
            }
            (Self::CancelsOnce, Some(Answer::Cancel(CancelAnswer::Unknown(_))), _)
            | (Self::RefusedIsCancelled, Some(Answer::Cancel(CancelAnswer::Refused(_))), _)
            | (Self::NoActionIsFinal, Some(Answer::Cancel(CancelAnswer::NoAction)), _) => cancelled,
            _ => {
                if self == Self::CancelSentIsDone && stepped.call == Some(Call::Cancel) {
                    // The call still goes out, but the payment is final.
                    stepped.payment.state = cancelled;
                } else if self == Self::PaysAgainAfterRestart
                    && *event == Event::Restarted
                    && payment.state == State::Paying
                {
                    stepped.payment.state = State::Paying;
                    stepped.call = Some(Call::Pay);
                } else if self == Self::ForgetsCancel
                    && *event == Event::Restarted
                    && let Some(pay) = &mut stepped.payment.pay
                {
                    pay.undo = None;
                }
                return Ok(stepped);
            }
        };
        stepped.payment.state = outcome;
        stepped.call = None;
        Ok(stepped)
    }

    /// The event as this bug takes it.
    fn misread(self, event: &Event) -> Event {
        let Event::Answered(answered) = event else { return event.clone() };
        let answer = match (self, &answered.answer) {
            (Self::BelievesUnverified, Answer::Pay(PayAnswer::Unknown(t)))
                if t.kind == TroubleKind::Unverified =>
            {
                Answer::Pay(PayAnswer::Paid(Trade::default()))
            }
            (Self::BelievesUnverified, Answer::Query(QueryAnswer::Unknown(t)))
                if t.kind == TroubleKind::Unverified =>
            {
                Answer::Query(QueryAnswer::Paid(Trade::default()))
            }
            (Self::TakesForeignAmount, Answer::Query(QueryAnswer::Foreign(_))) => {
                Answer::Query(QueryAnswer::Paid(Trade::default()))
            }
            (Self::CancelsForeign, Answer::Query(QueryAnswer::Foreign(_))) => {
                Answer::Query(QueryAnswer::Waiting(Trade::default()))
            }
            (Self::UnknownIsNotSent, Answer::Pay(PayAnswer::Unknown(t))) => {
                Answer::Pay(PayAnswer::NotSent(t.clone()))
            }
            _ => return event.clone(),
        };
        Event::Answered(Answered { answer, ..answered.clone() })
    }
}

/// For the model gateway: a reason in the gateway's words.
pub(super) fn reason(sub_code: &str) -> Reason {
    Reason {
        code: "40004".to_owned(),
        sub_code: Some(sub_code.to_owned()),
        message: sub_code.to_owned(),
    }
}
