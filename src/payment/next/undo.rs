//! Deciding to cancel, and what a cancel's answer leads to.

use super::{BACKOFF_MAX, DATE_RESOLUTION, Live};
use crate::payment::stage::{End, Stage, Waits};
use crate::payment::{Call, CancelAction, CancelAnswer, Reason, Stepped, TroubleKind, Undo};

impl Live<'_> {
    /// The point of no return: decides that the money will not be kept, and
    /// cancels.
    ///
    /// It follows a query that was answered, by whatever is no other sale's:
    /// nothing is undone that has not been asked about (rule 8), and so does each
    /// further try. A gateway that stays silent is cancelled at in the end: money
    /// that is kept without anybody knowing is worse than a number used twice.
    pub(super) fn undo_now(mut self, does_not_exist: bool) -> Stepped {
        if self.offer.is_declined() && !self.offer.heard.asked {
            // Nothing is on its way, so nothing presses; and what is paid under
            // this number may be another sale's.
            let rest = self.rules.poll_interval.min(BACKOFF_MAX);
            return self.rest(rest);
        }
        // Each cancel has its own questions before it.
        self.offer.heard.answered();
        let undo = self.undo.take().unwrap_or_default();
        self.undo = Some(Undo {
            rounds: undo.rounds.saturating_add(1),
            sent: true,
            // A cancel that finds nothing may have looked in vain. Only together with
            // a query that found nothing either, once none can come, does it settle.
            sent_past_late_pay: self.offer.heard.late_over && does_not_exist,
            sent_to_untouched: !undo.sent || does_not_exist,
            refused: undo.refused,
        });
        self.to(Waits::Cancel, Some(Call::Cancel))
    }

    pub(in crate::payment) fn cancel_answered(mut self, answer: &CancelAnswer) -> Stepped {
        let undo = self.undo.clone().unwrap_or_default();
        let nothing_charged = if self.offer.is_refused() {
            End::Declined
        } else {
            End::Cancelled(CancelAction::Close)
        };
        // A trade that was seen is there, whatever a cancel says of it.
        let never_seen = undo.sent_to_untouched && !self.offer.heard.known;
        match answer {
            CancelAnswer::Closed(trade) => {
                self.learn(trade);
                self.over(nothing_charged)
            }
            CancelAnswer::Refunded(trade) => {
                self.learn(trade);
                self.over(End::Cancelled(CancelAction::Refund))
            }
            // The gateway has never seen the number, and our only pay was
            // answered, so none is on its way.
            CancelAnswer::NoAction if never_seen && self.offer.is_declined() => {
                self.over(nothing_charged)
            }
            // None can be on its way any more (rule 10).
            CancelAnswer::NoAction if never_seen && undo.sent_past_late_pay => {
                self.over(nothing_charged)
            }
            CancelAnswer::NoAction => {
                self.in_trouble(
                    TroubleKind::Unsettled,
                    if self.offer.heard.known {
                        "Alipay found nothing to cancel, though it has shown the order"
                    } else {
                        "Alipay has never seen the order; a request that is still on its way could be charged until its time is over"
                    },
                );
                self.rest_for_late_pay()
            }
            // Ask what is true (rule 9): at once, and then at a rest.
            CancelAnswer::Refused(reason) => {
                let first = undo.refused.is_none();
                self.undo = Some(Undo { refused: Some(reason.clone()), ..undo });
                self.in_trouble(
                    TroubleKind::Unsettled,
                    &format!("Alipay refused the cancel: {}", reason.message),
                );
                if first { self.query_now() } else { self.rest_for_backoff() }
            }
            CancelAnswer::Unknown(trouble) => {
                self.head.trouble = Some(trouble.clone());
                self.rest_for_backoff()
            }
        }
    }

    /// It is paid and ours, and the gateway refuses to cancel it: the terminal owes
    /// the money, and gives it back by a refund of its own.
    pub(in crate::payment) fn owe(mut self) -> Stepped {
        self.head.trouble = None;
        self.to(Waits::Refund, None)
    }

    /// The refund is proven.
    pub(in crate::payment) fn gave_back(self) -> Stepped {
        self.over(End::Cancelled(CancelAction::Refund))
    }

    /// The gateway has refused the refund as well, for good: the money stays, and
    /// that is the truth.
    pub(in crate::payment) fn kept(mut self, reason: &Reason) -> Stepped {
        let undo = self.undo.take().unwrap_or_default();
        self.undo = Some(Undo { refused: Some(reason.clone()), ..undo });
        self.over(End::Paid)
    }

    /// A late pay is still possible: until the next try, but not past the end
    /// of the hold, when the next cancel can be believed.
    fn rest_for_late_pay(self) -> Stepped {
        let (now, held) = (self.now.steady, self.offer.hold_until + DATE_RESOLUTION);
        let mut stepped = self.rest_for_backoff();
        if let Stage::Out { waits: Waits::Clock { until }, .. } = &mut stepped.payment.stage
            && held > now
        {
            *until = (*until).min(held);
        }
        stepped
    }
}
