//! What the answer to a query leads to.

use super::Live;
use crate::payment::stage::End;
use crate::payment::{
    Attention, CancelAction, QueryAnswer, Stepped, Timestamp, Trade, Trouble, TroubleKind, Whose,
};

impl Live<'_> {
    pub(in crate::payment) fn query_answered(
        mut self,
        answer: &QueryAnswer,
        since: Timestamp,
    ) -> Stepped {
        match answer {
            QueryAnswer::Paid(trade) => match self.offer.whose(trade, true) {
                Whose::Ours => self.ours_is_paid(trade),
                Whose::Theirs => {
                    self.foreign(&theirs("the trade under this number is another sale's"));
                    self.rest_for_person(since)
                }
                Whose::CannotTell => {
                    self.foreign(&theirs("a paid trade is not proven to be this payment's"));
                    self.head.attention = Some(Attention::Unproven(trade.trade_no.clone()));
                    self.rest_for_person(since)
                }
            },
            QueryAnswer::Waiting(trade) => match self.offer.whose(trade, false) {
                Whose::Ours => {
                    self.learn(trade);
                    self.waiting();
                    if self.undo.is_some() || self.time_is_up() {
                        // At once: a rest in between would be room for the buyer to
                        // pay into a payment about to be undone.
                        self.undo_now(false)
                    } else {
                        self.rest_for_poll(since)
                    }
                }
                Whose::Theirs | Whose::CannotTell => {
                    self.foreign(&theirs("the trade under this number is another sale's"));
                    self.rest_for_person(since)
                }
            },
            QueryAnswer::Closed { trade, was_paid } => self.closed(trade, *was_paid),
            // Not proof of anything: the pay may still be on its way (rule 5).
            QueryAnswer::NotExist => {
                // There is none before somebody scans it.
                if self.offer.qr_code().is_none() || self.undo.is_some() {
                    self.in_trouble(TroubleKind::Unsettled, "Alipay does not know the order (yet)");
                }
                let heard = &mut self.offer.heard;
                // Whatever was said of another sale, nothing is under the number, and
                // ours cannot be any more: so it is closed like one that never was.
                if heard.foreign && heard.late_over {
                    heard.foreign = false;
                    self.head.attention = None;
                }
                self.offer.heard.asked = true;
                self.not_settled(true, true, since)
            }
            QueryAnswer::Foreign(trouble) => {
                self.foreign(trouble);
                self.rest_for_person(since)
            }
            QueryAnswer::Unknown(trouble) => self.told_nothing(trouble, since),
        }
    }

    /// It is paid, and proven to be ours.
    fn ours_is_paid(mut self, trade: &Trade) -> Stepped {
        self.learn(trade);
        if self.undo.is_none() && !self.offer.is_declined() {
            return self.over(End::Paid);
        }
        // The gateway will not undo it, and the money must not be kept: it goes
        // back as a refund (rules 9 and 15).
        if self.undo.as_ref().is_some_and(|undo| undo.refused.is_some()) {
            return self.owe();
        }
        // Past the point of no return a success is something to give back
        // (rule 8); and so it is behind a decline that the cashier has read.
        let heard = &mut self.offer.heard;
        (heard.known, heard.asked, heard.foreign) = (true, true, false);
        self.head.attention = None;
        self.undo_now(false)
    }

    fn closed(mut self, trade: &Trade, was_paid: bool) -> Stepped {
        let declined = self.offer.is_declined();
        let end = match self.offer.whose(trade, was_paid) {
            // The number is used up: nothing of ours was charged under it, and
            // nothing can be.
            Whose::Theirs if declined => End::Declined,
            Whose::Theirs => End::Cancelled(CancelAction::Close),
            Whose::Ours | Whose::CannotTell => {
                self.learn(trade);
                match (declined, was_paid) {
                    // Nothing of ours was charged, and nothing can be.
                    (true, _) if self.undo.is_none() => End::Declined,
                    (true, false) => End::Declined,
                    (_, true) => End::Cancelled(CancelAction::Refund),
                    (false, false) => End::Cancelled(CancelAction::Close),
                }
            }
        };
        self.over(end)
    }

    /// No word about the trade.
    fn told_nothing(mut self, trouble: &Trouble, since: Timestamp) -> Stepped {
        self.head.trouble = Some(trouble.clone());
        match trouble.kind {
            // The gateway was reached and cannot tell: asked is asked. But behind
            // a decline only a word about the trade will do.
            TroubleKind::Busy | TroubleKind::Unsettled | TroubleKind::SellerBalance => {
                if !self.offer.is_declined() {
                    self.offer.heard.asked = true;
                }
                self.not_settled(true, false, since)
            }
            // It will not be asked: nothing was learned, and nothing is undone
            // before somebody has opened the door.
            TroubleKind::Refused if self.time_is_up() => self.rest(super::BACKOFF_MAX),
            TroubleKind::Refused => self.rest_for_poll(since),
            // About something else, so no word about this: as good as silence.
            TroubleKind::Foreign
            | TroubleKind::Unreachable
            | TroubleKind::NoAnswer
            | TroubleKind::Unverified
            | TroubleKind::Restart => {
                let heard = &mut self.offer.heard;
                heard.patience = heard.patience.saturating_sub(1);
                let as_good_as_answered = heard.patience == 0;
                self.not_settled(as_good_as_answered, false, since)
            }
        }
    }

    /// A query that told nothing: ask again until the time is up, then undo. But
    /// silence decides nothing before it has lasted (rule 13), and no more does it
    /// once a cancel was decided: the number may be another sale's since (rule 8).
    fn not_settled(self, answered: bool, does_not_exist: bool, since: Timestamp) -> Stepped {
        if self.offer.heard.foreign {
            self.rest_for_person(since)
        } else if answered && (self.undo.is_some() || self.time_is_up()) {
            self.undo_now(does_not_exist)
        } else {
            self.rest_for_poll(since)
        }
    }
}

fn theirs(text: &str) -> Trouble {
    Trouble { kind: TroubleKind::Foreign, text: text.to_owned() }
}
