//! Known bugs, to be planted: each takes one rule away. The simulation must
//! find every one of them, else it could not find the next.

use crate::payment::{
    Amount, Answer, Answered, Call, CancelAction, CancelAnswer, Event, Happened, Illegal, Moment,
    PayAnswer, Payment, QueryAnswer, Reason, Record, Refund, RefundAnswer, RefundQueryAnswer,
    RefundRecord, RefundStage, RefundThen, Refusal, Rules, State, Stepped, Timestamp, Trade,
    TroubleKind, Turn, WrongTurn,
};

/// What the planted bug does wrong, and the rule that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Rule 2: sends and tells before the entry is on disk.
    ActsBeforeDisk,
    /// Rule 2: a call that was made ready does not wait for its entry.
    SendsWhatIsReady,
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
    /// Rule 8: once it is decided, each question that nobody answers repeats it.
    SilenceRepeatsCancel,
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
    /// Rule 10: a cancel that found nothing settles a trade that was seen.
    NoActionOnKnown,
    /// Rule 10: the box's wall clock decides when a late pay is impossible.
    HorizonByWallClock,
    /// Rule 10: a gateway that never tells its time is waited for for ever.
    NeedsDate,
    /// Rule 12: what was paid before our pay left is ours.
    TakesOlderTrade,
    /// Rule 12: our pay was refused because the number is in use, and what is
    /// paid under it is ours all the same.
    TakesRepeated,
    /// Rule 12: another's mark on the trade is not looked at.
    IgnoresMark,
    /// Rule 12: a refusal at the front door is believed unasked.
    BelievesDoor,
    /// Rule 12: a reply about another number says that ours is somebody else's.
    OtherNumberIsForeign,
    /// Rule 12: what is paid though it was declined is given back unproven.
    UndoesUnproven,
    /// Rule 12: open payments are asked about in another account.
    NoAccountCheck,
    /// Rule 13: the first query after a start that is not answered decides.
    SilenceDecides,
    /// Rule 14: what waits for a code is said to have no money in it.
    SaysNoneOfOpen,
    /// A code that was used before is charged again.
    NoCodeLookUp,
    /// Codes are known again only until the next restart.
    CodesForgottenAtRestart,
    /// Rule 2: a refund is sent before its entry is on disk.
    RefundsBeforeDisk,
    /// An open refund is forgotten at a restart.
    RefundForgotten,
    /// 10000 without `fund_change` Y is a refund that is done.
    UnprovenIsDone,
    /// A refund whose answer was lost is done.
    LostRefundIsDone,
    /// A refund that the query does not show is refused.
    NotDoneIsRefused,
    /// A refusal is believed unasked.
    RefusalUnasked,
    /// A refusal is believed while one that was sent may still arrive.
    RefusalBeforeLast,
    /// A restart asks at once about a refusal.
    RefusalAskedTooSoon,
    /// Rule 15: an empty seller's account is the end of a refund.
    RefundBalanceIsFinal,
    /// A refund that is repeated has another number.
    RefundOtherNumber,
    /// A refund that is repeated has another amount.
    RefundOtherAmount,
    /// Money of a payment that is not settled goes back.
    RefundsInDoubt,
    /// Only what is proven to be back counts against what was paid.
    OpenNotCounted,
    /// Rule 15: what the gateway will not cancel is kept.
    KeepsWhatItOwes,
    /// Rule 7: what is to be scanned is asked for again after a restart.
    PrecreatesTwice,
}

impl Bug {
    pub(crate) const ALL: [Self; 50] = [
        Self::ActsBeforeDisk,
        Self::SendsWhatIsReady,
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
        Self::SilenceRepeatsCancel,
        Self::CancelSentIsDone,
        Self::CancelsOnce,
        Self::ForgetsCancel,
        Self::RefusedIsCancelled,
        Self::NoActionIsFinal,
        Self::NoActionOnKnown,
        Self::HorizonByWallClock,
        Self::NeedsDate,
        Self::TakesOlderTrade,
        Self::TakesRepeated,
        Self::IgnoresMark,
        Self::BelievesDoor,
        Self::OtherNumberIsForeign,
        Self::UndoesUnproven,
        Self::NoAccountCheck,
        Self::SilenceDecides,
        Self::SaysNoneOfOpen,
        Self::NoCodeLookUp,
        Self::CodesForgottenAtRestart,
        Self::RefundsBeforeDisk,
        Self::RefundForgotten,
        Self::UnprovenIsDone,
        Self::LostRefundIsDone,
        Self::NotDoneIsRefused,
        Self::RefusalUnasked,
        Self::RefusalBeforeLast,
        Self::RefusalAskedTooSoon,
        Self::RefundBalanceIsFinal,
        Self::RefundOtherNumber,
        Self::RefundOtherAmount,
        Self::RefundsInDoubt,
        Self::OpenNotCounted,
        Self::KeepsWhatItOwes,
        Self::PrecreatesTwice,
    ];

    /// A step of the machine with this bug in it.
    pub(crate) fn step(
        self,
        payment: &Payment,
        event: &Event,
        now: Moment,
        rules: &Rules,
    ) -> Result<Stepped, Illegal> {
        let payment = self.misremember(payment, event, now, rules);
        let event = &self.misread(event);
        let declined =
            payment.offer().is_some_and(|offer| offer.heard.refused == Some(Refusal::Declined));
        let event = match event {
            // As if it were open still, and could be closed.
            Event::Answered(answered) if self == Self::UndoesUnproven && declined => {
                let answer = match &answered.answer {
                    Answer::Query(QueryAnswer::Paid(trade)) if trade.tag.is_none() => {
                        Answer::Query(QueryAnswer::Waiting(Trade::default()))
                    }
                    other => other.clone(),
                };
                &Event::Answered(Answered { answer, ..answered.clone() })
            }
            event => event,
        };
        let mut stepped = payment.step(event, now, rules)?;
        let answer = match event {
            Event::Answered(answered) => Some(&answered.answer),
            _ => None,
        };
        let cancelled = State::Cancelled(CancelAction::Close);
        let undo = payment.undo().is_some();
        let outcome = match (self, answer, event) {
            (Self::NotExistIsFinal, Some(Answer::Query(QueryAnswer::NotExist)), _) => cancelled,
            (Self::UnknownIsDeclined, Some(Answer::Pay(PayAnswer::Unknown(_))), _)
            | (Self::BelievesDecline, Some(Answer::Pay(PayAnswer::Declined(_))), _)
            | (Self::BelievesDoor, Some(Answer::Pay(PayAnswer::Refused(_))), _) => State::Declined,
            (Self::StopIsCancelled, _, Event::Stop) => cancelled,
            (Self::KeepsWhatItOwes, ..) if stepped.payment.state() == State::Owing => State::Paid,
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
                    stepped.payment = altered(&stepped.payment, |record| record.state = cancelled);
                } else if self == Self::PaysAgainAfterRestart
                    && *event == Event::Restarted
                    && payment.state() == State::Paying
                {
                    stepped.payment =
                        altered(&stepped.payment, |record| record.state = State::Paying);
                    stepped.call = Some(Call::Pay);
                } else if self == Self::PrecreatesTwice
                    && *event == Event::Restarted
                    && payment.state() == State::Precreating
                {
                    stepped.payment =
                        altered(&stepped.payment, |record| record.state = State::Precreating);
                    stepped.call = Some(Call::Precreate);
                } else if self == Self::ForgetsCancel && *event == Event::Restarted {
                    stepped.payment = altered(&stepped.payment, |record| record.undo = None);
                }
                return Ok(stepped);
            }
        };
        stepped.payment = altered(&stepped.payment, |record| {
            record.state = outcome;
            record.rev = payment.rev() + 1;
        });
        (stepped.call, stepped.quiet) = (None, false);
        Ok(stepped)
    }

    /// The payment as this bug remembers it.
    fn misremember(self, payment: &Payment, event: &Event, now: Moment, rules: &Rules) -> Payment {
        let is_answer = |judged: &dyn Fn(&Answer) -> bool| match event {
            Event::Answered(answered) => judged(&answered.answer),
            _ => false,
        };
        let is_query = is_answer(&|answer| matches!(answer, Answer::Query(_)));
        altered(payment, |record| {
            let is_decided = record.undo.is_some();
            let Some(offer) = &mut record.offer else { return };
            match self {
                Self::HorizonByWallClock => {
                    offer.heard.late_over |= now.wall >= offer.time_expire + rules.late_margin;
                }
                // Nothing is ever proven by the steady clock alone.
                Self::NeedsDate => {
                    if let Event::Answered(Answered { gateway_time: None, .. }) = event {
                        offer.hold_until = now.steady + offer.hold;
                    }
                }
                Self::NoActionOnKnown => offer.heard.known = false,
                Self::TakesOlderTrade if is_query => {
                    offer.sent_at = Timestamp(0);
                    (offer.tag, offer.heard.refused) = (None, None);
                }
                Self::TakesRepeated if is_query => {
                    offer.tag = None;
                    if offer.heard.refused == Some(Refusal::NumberInUse) {
                        offer.heard.refused = None;
                        offer.sent_at = Timestamp(0);
                    }
                }
                Self::IgnoresMark if is_query => offer.tag = None,
                Self::SilenceDecides if is_query => offer.heard.patience = 1,
                Self::SilenceRepeatsCancel if is_query && is_decided => offer.heard.patience = 1,
                _ => {}
            }
        })
    }

    /// The event as this bug takes it.
    fn misread(self, event: &Event) -> Event {
        let Event::Answered(answered) = event else { return event.clone() };
        let paid = || Trade { paid_at: Some(Timestamp(i64::MAX)), ..Trade::default() };
        let answer = match (self, &answered.answer) {
            (Self::BelievesUnverified, Answer::Pay(PayAnswer::Unknown(t)))
                if t.kind == TroubleKind::Unverified =>
            {
                Answer::Pay(PayAnswer::Paid(paid()))
            }
            (Self::BelievesUnverified, Answer::Query(QueryAnswer::Unknown(t)))
                if t.kind == TroubleKind::Unverified =>
            {
                Answer::Query(QueryAnswer::Paid(paid()))
            }
            (Self::TakesForeignAmount, Answer::Query(QueryAnswer::Foreign(_))) => {
                Answer::Query(QueryAnswer::Paid(paid()))
            }
            (Self::CancelsForeign, Answer::Query(QueryAnswer::Foreign(_))) => {
                Answer::Query(QueryAnswer::Waiting(Trade::default()))
            }
            (Self::UnknownIsNotSent, Answer::Pay(PayAnswer::Unknown(t))) => {
                Answer::Pay(PayAnswer::NotSent(t.clone()))
            }
            (Self::OtherNumberIsForeign, Answer::Pay(PayAnswer::Unknown(t)))
                if t.kind == TroubleKind::Foreign =>
            {
                Answer::Pay(PayAnswer::Foreign(t.clone()))
            }
            (Self::OtherNumberIsForeign, Answer::Query(QueryAnswer::Unknown(t)))
                if t.kind == TroubleKind::Foreign =>
            {
                Answer::Query(QueryAnswer::Foreign(t.clone()))
            }
            _ => return event.clone(),
        };
        Event::Answered(Answered { answer, ..answered.clone() })
    }
}

impl Bug {
    /// A step of a refund with this bug in it.
    pub(crate) fn refund_step(
        self,
        refund: &Refund,
        happened: &Happened,
        now: Moment,
    ) -> Result<Turn, WrongTurn> {
        let refund = &changed(refund, |record| {
            if self == Self::RefusalBeforeLast {
                record.heard.on_its_way_until = None;
            }
        });
        let mut turn = refund.step(happened, now)?;
        let (asks, rests) = (RefundThen::Ask, turn.refund.stage());
        if self == Self::RefusalAskedTooSoon
            && *happened == Happened::Restarted
            && matches!(rests, RefundStage::Resting { then, .. } if then == asks)
        {
            turn.refund = changed(&turn.refund, |record| record.stage = RefundStage::Asking);
            turn.call = Some(Call::RefundQuery);
        }
        let answer = match happened {
            Happened::Answered(answered) => Some(&answered.answer),
            _ => None,
        };
        let end = match (self, answer) {
            (Self::UnprovenIsDone, Some(Answer::Refund(RefundAnswer::Unproven(_)))) => {
                RefundStage::Refunded
            }
            (Self::LostRefundIsDone, Some(Answer::Refund(RefundAnswer::Unknown(trouble))))
                if trouble.kind == TroubleKind::NoAnswer =>
            {
                RefundStage::Refunded
            }
            (Self::NotDoneIsRefused, Some(Answer::RefundQuery(RefundQueryAnswer::NotDone)))
            | (Self::RefusalUnasked, Some(Answer::Refund(RefundAnswer::Refused(_)))) => {
                RefundStage::Refused
            }
            (Self::RefundBalanceIsFinal, Some(Answer::Refund(RefundAnswer::Unknown(trouble))))
                if trouble.kind == TroubleKind::SellerBalance =>
            {
                RefundStage::Refused
            }
            _ => {
                let again = turn.call == Some(Call::Refund) && refund.rev() > 0;
                turn.refund = changed(&turn.refund, |record| {
                    let mut asked = (*record.asked).clone();
                    if again && self == Self::RefundOtherNumber {
                        let other = format!("{}x{}", asked.request, refund.rev());
                        asked.request = other.parse().expect("a number");
                    }
                    if again && self == Self::RefundOtherAmount {
                        let less = asked.amount.fen().saturating_sub(1).max(1);
                        asked.amount = Amount::from_fen(less).expect("an amount");
                    }
                    record.asked = asked.into();
                });
                return Ok(turn);
            }
        };
        turn.refund = changed(&turn.refund, |record| {
            record.stage = end;
            record.rev = refund.rev() + 1;
        });
        (turn.call, turn.quiet) = (None, false);
        Ok(turn)
    }
}

/// The same refund, but for what `change` does to it.
fn changed(refund: &Refund, change: impl FnOnce(&mut RefundRecord)) -> Refund {
    let mut record = refund.record();
    change(&mut record);
    record.into()
}

/// The same payment, but for what `change` does to it.
fn altered(payment: &Payment, change: impl FnOnce(&mut Record)) -> Payment {
    let mut record = payment.record();
    change(&mut record);
    record.try_into().expect("possible")
}

/// For the model gateway: a reason in the gateway's words.
pub(super) fn reason(sub_code: &str) -> Reason {
    Reason {
        code: "40004".to_owned(),
        sub_code: Some(sub_code.to_owned()),
        message: sub_code.to_owned(),
    }
}
