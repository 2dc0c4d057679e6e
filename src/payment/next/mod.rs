//! The ways on from an offer that is out. What each answer leads to is told by
//! what was asked: [`offer`], [`query`], [`undo`].

mod offer;
mod query;
mod undo;

use std::time::Duration;

use super::stage::{End, Head, Stage, Waits};
use super::{
    Answered, Attention, Call, CodeMark, Hint, How, Moment, Offer, Payment, Rules, Stepped, Tag,
    Timestamp, Trade, Trouble, TroubleKind, Undo,
};

/// How long a payment code is good for ("refreshed about every minute",
/// Alipay's quick start of barcode payment).
const CODE_LIFE: Duration = Duration::from_mins(1);

/// Between cancels that were not confirmed: doubling, from one second up to the
/// half minute within which a gateway that is back settles what is open.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// What only a person can untangle is looked at from then on more and more
/// rarely, up to once an hour.
pub(super) const PERSON_MAX: Duration = Duration::from_hours(1);

/// A payment that is open this long after its deadline wants a person. With the
/// longest rest on top this stays within the promised minute.
const ATTENTION_AFTER: Duration = Duration::from_secs(20);

/// An HTTP `Date` counts whole seconds, and ours are rounded up.
const DATE_RESOLUTION: Duration = Duration::from_secs(2);

/// How far apart our dates and the gateway's clock can be, when it answers what
/// we date and never tells its own time: it refuses the `timestamp` of a request
/// that is further off. (Alipay's documents name no number; this is a generous
/// one.)
pub(super) const CLOCK_BOUND: Duration = Duration::from_mins(15);

/// A payment that waits for its code.
pub(super) fn awaiting(head: Head, until: Timestamp, hint: Option<Hint>) -> Stepped {
    Stepped {
        payment: Payment { head, stage: Stage::Awaiting { until, hint } },
        call: None,
        quiet: false,
    }
}

/// A payment whose offer is out, or is about to be, while the step is being
/// worked out.
pub(super) struct Live<'a> {
    head: Head,
    offer: Offer,
    undo: Option<Undo>,
    now: Moment,
    rules: &'a Rules,
}

impl<'a> Live<'a> {
    pub(super) fn of(
        head: Head,
        offer: &Offer,
        undo: Option<&Undo>,
        now: Moment,
        rules: &'a Rules,
    ) -> Self {
        Self { head, offer: offer.clone(), undo: undo.cloned(), now, rules }
    }

    /// The buyer's code is there: an offer leaves for the first time.
    pub(super) fn first(
        head: Head,
        mark: CodeMark,
        tag: Tag,
        now: Moment,
        rules: &'a Rules,
    ) -> Self {
        let how = How::Code { mark: Some(mark), fresh_until: now.steady + CODE_LIFE };
        let timeout = head.order.timeout.unwrap_or(rules.timeout);
        let offer = Offer::leaves(how, Some(tag), timeout, now, rules);
        Self { head, offer, undo: None, now, rules }
    }

    /// Something is to be shown for the buyer to scan.
    pub(super) fn shown(head: Head, tag: Tag, now: Moment, rules: &'a Rules) -> Self {
        let timeout = head.order.timeout.unwrap_or(rules.timeout);
        let how = How::Qr { text: None };
        let offer = Offer::leaves(how, Some(tag), timeout, now, rules);
        Self { head, offer, undo: None, now, rules }
    }

    // --- facts ---------------------------------------------------------------

    /// The window is over: the next answer that is not final is the last.
    fn time_is_up(&self) -> bool {
        self.now.steady >= self.offer.deadline
    }

    /// Learns what every answer can teach, whatever it says: that the gateway can
    /// be heard, and whether its own clock has passed the point after which it
    /// refuses a late pay. The steady clock must agree, so that no clock that
    /// jumps decides. Where the gateway never tells its time, the steady clock
    /// alone decides, later by all that the two clocks can differ.
    pub(super) fn absorb(&mut self, answered: &Answered) {
        if !answered.answer.is_verified() {
            return;
        }
        // What is about something else is no answer to us.
        let kind = answered.answer.trouble().map(|trouble| trouble.kind);
        if kind != Some(TroubleKind::Foreign) {
            self.offer.heard.answered();
        }
        let (now, offer) = (self.now.steady, &mut self.offer);
        offer.heard.late_over |= match answered.gateway_time {
            Some(time) => time >= offer.horizon + self.rules.late_margin && now >= offer.hold_until,
            None => now >= offer.hold_until + CLOCK_BOUND,
        };
    }

    // --- ways on -------------------------------------------------------------

    fn to(mut self, waits: Waits, call: Option<Call>) -> Stepped {
        let refused = self.undo.as_ref().and_then(|undo| undo.refused.clone());
        self.head.attention = match (waits, refused) {
            (Waits::Refund, Some(reason)) => Some(Attention::Owing(reason)),
            _ => self.attention(),
        };
        let stage = Stage::Out { offer: self.offer, undo: self.undo, waits };
        Stepped { payment: Payment { head: self.head, stage }, call, quiet: false }
    }

    fn over(mut self, end: End) -> Stepped {
        self.head.trouble = None;
        if matches!(end, End::Paid) {
            // Whatever said no said it of another request.
            self.head.reason = None;
        }
        let refused = self.undo.as_ref().and_then(|undo| undo.refused.clone());
        self.head.attention = match end {
            End::Paid => refused.map(Attention::CancelRefused),
            End::Declined | End::Cancelled(_) => None,
        };
        let stage = Stage::Over { end, offer: Some(self.offer), undo: self.undo };
        Stepped { payment: Payment { head: self.head, stage }, call: None, quiet: false }
    }

    pub(super) fn query(self, due: Timestamp) -> Stepped {
        self.to(Waits::Query { since: due }, Some(Call::Query))
    }

    fn query_now(self) -> Stepped {
        let now = self.now.steady;
        self.query(now)
    }

    fn rest(self, length: Duration) -> Stepped {
        let until = self.now.steady + length;
        self.to(Waits::Clock { until }, None)
    }

    /// While the window is open: it ends on the dot.
    fn rest_within_window(self, until: Timestamp) -> Stepped {
        let end = self.offer.deadline;
        let until = if end > self.now.steady { until.min(end) } else { until };
        self.to(Waits::Clock { until }, None)
    }

    /// Until the next query. What the last one took is not added to the interval:
    /// ten polls take as long as ten intervals.
    fn rest_for_poll(self, since: Timestamp) -> Stepped {
        let interval = self.rules.poll_interval;
        let next = since + interval;
        let until = if next > self.now.steady { next } else { self.now.steady + interval };
        self.rest_within_window(until)
    }

    /// Until the next try of something that was not confirmed.
    fn rest_for_backoff(self) -> Stepped {
        let rounds = self.undo.as_ref().map_or(0, |undo| undo.rounds);
        self.rest(doubled(Duration::from_secs(1), rounds, BACKOFF_MAX))
    }

    /// Until the next look at something that only a person can untangle.
    fn rest_for_person(mut self, since: Timestamp) -> Stepped {
        if !self.time_is_up() && self.undo.is_none() {
            return self.rest_for_poll(since);
        }
        self.offer.heard.looks = self.offer.heard.looks.saturating_add(1);
        let looks = self.offer.heard.looks;
        self.rest(doubled(BACKOFF_MAX, looks, PERSON_MAX))
    }

    fn learn(&mut self, trade: &Trade) {
        self.head.trade = self.head.trade.updated(trade);
    }

    fn in_trouble(&mut self, kind: TroubleKind, text: &str) {
        self.head.trouble = Some(Trouble { kind, text: text.to_owned() });
    }

    // --- what happened -------------------------------------------------------

    /// What follows is one query and the cancel.
    fn end_window(&mut self) {
        self.offer.deadline = self.offer.deadline.min(self.now.steady);
    }

    /// A stop is a deadline that came early.
    fn stop_here(&mut self) {
        self.end_window();
        self.offer.heard.stopped = true;
    }

    /// While a call is in flight: its answer is then the last one.
    pub(super) fn stop(mut self, waits: Waits) -> Stepped {
        self.stop_here();
        self.to(waits, None)
    }

    /// While nothing is in flight: the last query goes out at once.
    pub(super) fn stop_and_query(mut self) -> Stepped {
        self.stop_here();
        self.query_now()
    }

    /// A restart is an unknown answer. What the steady clock had run in an
    /// earlier life proves nothing about a late pay, so the hold starts anew;
    /// and whatever it showed then, no deadline is further off than its length.
    pub(super) fn restarted(mut self) -> Stepped {
        let now = self.now.steady;
        let timeout = self.head.order.timeout.unwrap_or(self.rules.timeout);
        self.offer.hold_until = now + self.offer.hold;
        self.offer.deadline = self.offer.deadline.min(now + timeout);
        self.offer.heard.started();
        if self.offer.how == (How::Qr { text: None }) {
            // Its answer was lost: nobody will ever see what is to be scanned.
            self.end_window();
        }
        self.in_trouble(TroubleKind::Restart, "the terminal was restarted");
        self.query_now()
    }

    /// Whether a person should look, and why.
    fn attention(&self) -> Option<Attention> {
        let trouble = || self.head.trouble.clone();
        let late = self.now.steady >= self.offer.deadline + ATTENTION_AFTER;
        let kind = self.head.trouble.as_ref().map(|trouble| trouble.kind);
        match (kind, trouble()) {
            _ if self.offer.heard.foreign => match self.unproven() {
                Some(trade_no) => Some(Attention::Unproven(trade_no)),
                None => Some(Attention::Foreign(trouble())),
            },
            (Some(TroubleKind::SellerBalance), _) => Some(Attention::SellerBalance),
            (Some(TroubleKind::Refused), Some(trouble)) if self.time_is_up() => {
                Some(Attention::DoorClosed(trouble))
            }
            (_, trouble) if late => Some(Attention::Unsettled(trouble)),
            _ => None,
        }
    }

    /// Alipay's number of the trade that cannot be told from ours.
    fn unproven(&self) -> Option<Option<String>> {
        match &self.head.attention {
            Some(Attention::Unproven(trade_no)) => Some(trade_no.clone()),
            Some(
                Attention::Unsettled(_)
                | Attention::Foreign(_)
                | Attention::DoorClosed(_)
                | Attention::SellerBalance
                | Attention::CancelRefused(_)
                | Attention::Owing(_),
            )
            | None => None,
        }
    }
}

/// `first`, doubled so often, but at most `max`.
pub(super) fn doubled(first: Duration, rounds: u32, max: Duration) -> Duration {
    first.saturating_mul(1 << rounds.saturating_sub(1).min(16)).min(max)
}
