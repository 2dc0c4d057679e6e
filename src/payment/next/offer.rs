//! Sending an offer, and what its answer leads to.

use std::time::Duration;

use super::Live;
use crate::payment::offer::Heard;
use crate::payment::stage::{End, Stage, Waits};
use crate::payment::{
    Call, CancelAction, How, Moment, Offer, PayAnswer, Payment, PrecreateAnswer, Reason, Refusal,
    Rules, Stepped, Tag, Trouble, TroubleKind, Whose,
};

/// The first query after a pay without an answer comes at least this early: the
/// buyer is standing there, and the trade mostly exists by then.
const FIRST_QUERY_AFTER: Duration = Duration::from_secs(1);

/// Between tries of a pay that certainly never left the box.
const UNSENT_AGAIN: Duration = Duration::from_secs(2);

impl Offer {
    /// An offer that leaves now, for a window of this length.
    pub(super) fn leaves(
        how: How,
        tag: Option<Tag>,
        timeout: Duration,
        now: Moment,
        rules: &Rules,
    ) -> Self {
        let expire_after = match how {
            How::Code { .. } => rules.expire_after.max(timeout),
            // What is shown lives as long there as here.
            How::Qr { .. } => timeout,
        };
        let hold = expire_after + rules.late_margin;
        Self {
            how,
            tag,
            tried_since: now.steady,
            sent_at: now.gateway_low,
            deadline: now.steady + timeout,
            // Where the two clocks differ, the gateway refuses early rather than
            // late, and we hold on for longer rather than shorter.
            time_expire: (now.gateway_low + expire_after).round_up_to_second(),
            horizon: (now.gateway_high + expire_after).round_up_to_second(),
            hold,
            hold_until: now.steady + hold,
            heard: Heard::default(),
        }
    }
}

impl Live<'_> {
    /// Nobody would want the pay any more: it has been tried for long enough, or
    /// the code has expired.
    pub(in crate::payment) fn too_late_to_pay(&self) -> bool {
        let tried_until = self.offer.tried_since + self.rules.unsent_for;
        self.now.steady
            >= match self.offer.how {
                How::Code { fresh_until, .. } => fresh_until.min(tried_until),
                How::Qr { .. } => tried_until,
            }
    }

    /// Sends the pay.
    pub(in crate::payment) fn pay(self) -> Stepped {
        self.to(Waits::Pay, Some(Call::Pay))
    }

    /// Sends it again, because it certainly never left the box. The buyer's time
    /// begins when it leaves.
    pub(in crate::payment) fn offer_again(mut self) -> Stepped {
        let Offer { how, tag, tried_since, heard, .. } = self.offer;
        let timeout = self.head.order.timeout.unwrap_or(self.rules.timeout);
        let again = Offer::leaves(how, tag, timeout, self.now, self.rules);
        self.offer = Offer { tried_since, heard, ..again };
        match self.offer.how {
            How::Code { .. } => self.pay(),
            How::Qr { .. } => self.precreate(),
        }
    }

    /// Asks for what the buyer is to scan.
    pub(in crate::payment) fn precreate(self) -> Stepped {
        self.to(Waits::Precreate, Some(Call::Precreate))
    }

    pub(in crate::payment) fn precreate_answered(mut self, answer: &PrecreateAnswer) -> Stepped {
        match answer {
            // From here on anybody who sees it can pay. There is no trade before
            // somebody scans it, so that none is to be found is no news.
            PrecreateAnswer::Made { qr_code } => {
                self.head.trouble = None;
                self.offer.how = How::Qr { text: Some(qr_code.clone()) };
                self.offer.heard.waiting = true;
                let now = self.now.steady;
                if self.time_is_up() { self.query_now() } else { self.rest_for_poll(now) }
            }
            PrecreateAnswer::Declined(reason) => self.said_no(reason, Refusal::Declined),
            PrecreateAnswer::Refused(reason) => self.said_no(reason, Refusal::FrontDoor),
            PrecreateAnswer::Repeated(trouble) => {
                self.offer.heard.refused = Some(Refusal::NumberInUse);
                self.foreign(trouble);
                self.rest_after_pay()
            }
            PrecreateAnswer::NotSent(trouble) => self.not_sent(trouble),
            // There is nothing to show, and what nobody sees nobody scans: there is
            // nothing to wait for, only to make sure of.
            PrecreateAnswer::Unknown(trouble) => {
                self.head.trouble = Some(trouble.clone());
                self.end_window();
                self.query_now()
            }
        }
    }

    /// Refused: what may be left is asked about before that is final.
    fn said_no(mut self, reason: &Reason, refusal: Refusal) -> Stepped {
        self.head.reason = Some(reason.clone());
        self.offer.heard.refused = Some(refusal);
        self.end_window();
        self.query_now()
    }

    /// It never left the box: again in a while, unless nobody wants it any more.
    fn not_sent(mut self, trouble: &Trouble) -> Stepped {
        self.head.trouble = Some(trouble.clone());
        let last = self.offer.tried_since + self.rules.unsent_for;
        if self.too_late_to_pay() || self.offer.heard.stopped {
            return self.over(End::Cancelled(CancelAction::None));
        }
        let until = (self.now.steady + UNSENT_AGAIN).min(last);
        let stage = Stage::Unsent { offer: self.offer, until };
        Stepped { payment: Payment { head: self.head, stage }, call: None, quiet: false }
    }

    pub(in crate::payment) fn pay_answered(mut self, answer: &PayAnswer) -> Stepped {
        match answer {
            // Also when the cashier has asked to stop: no cancel was decided
            // yet, and the truth is that it is paid. What was paid before our pay
            // left is an old answer, and none to ours.
            PayAnswer::Paid(trade) => match self.offer.whose(trade, true) {
                Whose::Theirs => {
                    self.in_trouble(
                        TroubleKind::Unsettled,
                        "an answer from before the pay was sent",
                    );
                    self.rest_after_pay()
                }
                Whose::Ours | Whose::CannotTell => {
                    self.learn(trade);
                    self.over(End::Paid)
                }
            },
            PayAnswer::Waiting(trade) => {
                self.learn(trade);
                self.waiting();
                let now = self.now.steady;
                if self.time_is_up() { self.query_now() } else { self.rest_for_poll(now) }
            }
            // A trade that the buyer can still confirm may be left, so it is
            // asked about and closed before this is final (rule 6).
            PayAnswer::Declined(reason) => self.said_no(reason, Refusal::Declined),
            // It names no order, so it may be the answer to something else: it is
            // asked about, and settles nothing (rules 6 and 12).
            PayAnswer::Refused(reason) => self.said_no(reason, Refusal::FrontDoor),
            // Whose the number is, only the gateway knows. Nothing under it is
            // touched unless it turns out to be ours.
            PayAnswer::Repeated(trouble) => {
                self.offer.heard.refused = Some(Refusal::NumberInUse);
                self.foreign(trouble);
                self.rest_after_pay()
            }
            PayAnswer::NotSent(trouble) => self.not_sent(trouble),
            PayAnswer::Foreign(trouble) => {
                self.foreign(trouble);
                self.rest_after_pay()
            }
            PayAnswer::Unknown(trouble) => {
                self.head.trouble = Some(trouble.clone());
                self.rest_after_pay()
            }
        }
    }

    /// The buyer is standing there: the first query comes early.
    fn rest_after_pay(self) -> Stepped {
        if self.time_is_up() {
            return self.query_now();
        }
        let first = self.rules.poll_interval.min(FIRST_QUERY_AFTER);
        let until = self.now.steady + first;
        self.rest_within_window(until)
    }

    /// The gateway has shown our trade, and the buyer must confirm.
    pub(super) fn waiting(&mut self) {
        self.head.trouble = None;
        let heard = &mut self.offer.heard;
        heard.waiting = true;
        heard.known = true;
        heard.asked = true;
        heard.foreign = false;
        self.head.attention = None;
    }

    /// What is under the number is another sale's, or may be.
    pub(super) fn foreign(&mut self, trouble: &Trouble) {
        self.head.trouble = Some(trouble.clone());
        self.head.attention = None;
        self.offer.heard.foreign = true;
        self.offer.heard.asked = false;
    }
}
