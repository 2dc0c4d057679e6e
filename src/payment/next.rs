//! The ways on from a state: what each answer makes of a payment.

use std::time::Duration;

use super::{
    Answered, Attention, Call, CancelAction, CancelAnswer, CodeMark, Hint, Moment, PayAnswer,
    PayCall, Payment, QueryAnswer, Rules, State, Stepped, Timestamp, Trade, Trouble, TroubleKind,
    Undo,
};

/// How long a payment code is good for ("refreshed about every minute",
/// Alipay's quick start of barcode payment).
const CODE_LIFE: Duration = Duration::from_mins(1);

/// The first query after a pay without an answer comes at least this early: the
/// buyer is standing there, and the trade mostly exists by then.
const FIRST_QUERY_AFTER: Duration = Duration::from_secs(1);

/// Between cancels that were not confirmed: doubling, from one second up to the
/// half minute within which a gateway that is back settles what is open.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// After this many queries without any answer behind the decision to cancel, the
/// cancel goes out unasked.
const SILENT_ROUNDS: u32 = 3;

/// A payment that is open this long after its deadline wants a person. With the
/// longest rest on top this stays within the promised minute.
const ATTENTION_AFTER: Duration = Duration::from_secs(20);

/// An HTTP `Date` counts whole seconds, and ours are rounded up.
const DATE_RESOLUTION: Duration = Duration::from_secs(2);

/// The payment as it will be, while the step is being worked out.
pub(super) struct Next<'a> {
    payment: Payment,
    now: Moment,
    rules: &'a Rules,
}

impl<'a> Next<'a> {
    pub(super) fn of(payment: &Payment, now: Moment, rules: &'a Rules) -> Self {
        let mut payment = payment.clone();
        payment.rev += 1;
        payment.updated_at = now.wall;
        Self { payment, now, rules }
    }

    // --- facts ---------------------------------------------------------------

    /// The window is over: the next answer that is not final is the last.
    fn time_is_up(&self) -> bool {
        self.payment.pay.as_ref().is_some_and(|p| self.now.steady >= p.deadline)
    }

    fn undo(&self) -> Option<Undo> {
        self.payment.pay.as_ref().and_then(|p| p.undo.clone())
    }

    fn is_declined(&self) -> bool {
        self.payment.pay.as_ref().is_some_and(|p| p.declined)
    }

    fn is_foreign(&self) -> bool {
        self.payment.pay.as_ref().is_some_and(|p| p.foreign)
    }

    /// Learns what every answer can teach, whatever it says: whether the
    /// gateway's own clock has passed the point after which it refuses a late
    /// pay. The steady clock must agree, so that no clock that jumps decides.
    pub(super) fn absorb(&mut self, answered: &Answered) {
        let (now, margin) = (self.now.steady, self.rules.late_margin);
        if let (Some(pay), Some(time)) = (&mut self.payment.pay, answered.gateway_time) {
            pay.late_pay_over |= time >= pay.time_expire + margin && now >= pay.hold_until;
        }
    }

    fn alter(&mut self, change: impl FnOnce(&mut PayCall)) {
        if let Some(pay) = &mut self.payment.pay {
            change(pay);
        }
    }

    /// Nobody would want the pay any more, or the code has expired.
    pub(super) fn too_late_to_pay(&self) -> bool {
        self.payment.pay.as_ref().is_some_and(|p| self.now.steady >= p.deadline.min(p.code_until))
    }

    // --- ways on -------------------------------------------------------------

    fn to(mut self, state: State, call: Option<Call>) -> Stepped {
        self.payment.state = state;
        if self.payment.is_final() {
            self.payment.trouble = None;
        }
        if !matches!(self.payment.state, State::AwaitingCode { .. }) {
            self.payment.hint = None;
        }
        self.payment.attention = self.attention();
        Stepped { payment: self.payment, call }
    }

    pub(super) fn stay(self) -> Stepped {
        let state = self.payment.state.clone();
        self.to(state, None)
    }

    /// Tells the cashier why there is no code yet, or that nothing is in the way
    /// any more.
    pub(super) fn hint(mut self, hint: Option<&Hint>) -> Stepped {
        self.payment.hint = hint.cloned();
        self.stay()
    }

    /// The buyer's code is there.
    pub(super) fn pay_with(self, mark: CodeMark) -> Stepped {
        self.pay(Some(mark))
    }

    /// The code that could not be sent is tried once more.
    pub(super) fn pay_again(self) -> Stepped {
        let mark = self.payment.pay.as_ref().and_then(|p| p.mark);
        self.pay(mark)
    }

    /// Sends the pay, for the first time or again because it certainly never
    /// left the box.
    fn pay(mut self, mark: Option<CodeMark>) -> Stepped {
        let now = self.now;
        let timeout = self.payment.order.timeout.unwrap_or(self.rules.timeout);
        let expire_after = self.rules.expire_after.max(timeout);
        let hold = expire_after + self.rules.late_margin;
        let unsent = self.payment.pay.as_ref();
        self.payment.pay = Some(PayCall {
            deadline: unsent.map_or(now.steady + timeout, |p| p.deadline),
            code_until: unsent.map_or(now.steady + CODE_LIFE, |p| p.code_until),
            mark,
            time_expire: (now.gateway + expire_after).round_up_to_second(),
            hold,
            hold_until: now.steady + hold,
            waiting: false,
            declined: false,
            stopped: false,
            asked: false,
            foreign: false,
            late_pay_over: false,
            undo: None,
        });
        self.to(State::Paying, Some(Call::Pay))
    }

    /// The customer may still be standing there after a restart, but not for
    /// longer than the time for a code.
    pub(super) fn wait_for_code(self, until: Timestamp) -> Stepped {
        let until = until.min(self.now.steady + self.rules.code_timeout);
        self.to(State::AwaitingCode { until }, None)
    }

    pub(super) fn query(self) -> Stepped {
        self.to(State::Querying, Some(Call::Query))
    }

    fn rest(self, length: Duration) -> Stepped {
        let until = self.now.steady + length;
        self.to(State::Resting { until }, None)
    }

    /// Until the next query while the window is open; it ends on the dot.
    fn rest_for_poll(self) -> Stepped {
        let rest = self.rules.poll_interval;
        self.rest_within_window(rest)
    }

    fn rest_within_window(self, length: Duration) -> Stepped {
        let end = self.payment.pay.as_ref().map(|p| p.deadline);
        let until = self.now.steady + length;
        let until = end.filter(|end| *end > self.now.steady).map_or(until, |end| until.min(end));
        self.to(State::Resting { until }, None)
    }

    /// Until the next try of something that was not confirmed.
    fn rest_for_backoff(self) -> Stepped {
        let rounds = self.undo().map_or(0, |u| u.rounds);
        let doubled = Duration::from_secs(1 << rounds.saturating_sub(1).min(5));
        self.rest(doubled.min(BACKOFF_MAX))
    }

    /// Until the next look at something that only a person can untangle.
    fn rest_for_person(self) -> Stepped {
        if self.time_is_up() { self.rest(BACKOFF_MAX) } else { self.rest_for_poll() }
    }

    /// A late pay is still possible: until the next try, but not past the end
    /// of the hold, when the next cancel can be believed.
    fn rest_for_late_pay(self) -> Stepped {
        let now = self.now.steady;
        let held = self.payment.pay.as_ref().map(|p| p.hold_until + DATE_RESOLUTION);
        let mut stepped = self.rest_for_backoff();
        if let (State::Resting { until }, Some(held)) = (&mut stepped.payment.state, held)
            && held > now
        {
            *until = (*until).min(held);
        }
        stepped
    }

    /// The point of no return: decides that the money will not be kept.
    ///
    /// The cancel itself follows a query that was answered, by whatever is no
    /// other sale's: nothing is undone that has not been asked about (rule 8).
    /// With the network down the decision stands, and the cashier may go on. A
    /// gateway that never answers queries is cancelled at in the end: money that
    /// is kept without anybody knowing is worse than a number used twice.
    fn undo_now(mut self, does_not_exist: bool) -> Stepped {
        let asked = self.payment.pay.as_ref().is_some_and(|p| p.asked);
        let rounds = self.undo().map_or(0, |undo| undo.rounds);
        let send = asked || rounds >= SILENT_ROUNDS;
        if self.is_declined() && !asked {
            // Nothing is on its way, so nothing presses; and what is paid under
            // this number would be another sale's.
            let rest = self.rules.poll_interval.min(BACKOFF_MAX);
            return self.rest(rest);
        }
        self.alter(|pay| {
            let (rounds, sent, refused) = match pay.undo.take() {
                Some(undo) => (undo.rounds, undo.sent, undo.refused),
                None => (0, false, None),
            };
            pay.undo = Some(Undo {
                rounds: rounds.saturating_add(1),
                sent: sent || send,
                refused,
                sent_past_late_pay: pay.late_pay_over,
                sent_to_untouched: !sent || does_not_exist,
            });
        });
        if send { self.to(State::Cancelling, Some(Call::Cancel)) } else { self.rest_for_backoff() }
    }

    /// A verified answer about the number has come, and it is not another
    /// sale's.
    fn asked(&mut self) {
        self.alter(|pay| pay.asked = true);
    }

    fn paid(mut self, trade: &Trade) -> Stepped {
        self.learn(trade);
        self.to(State::Paid, None)
    }

    fn declined(self) -> Stepped {
        self.to(State::Declined, None)
    }

    pub(super) fn cancelled(self, action: CancelAction) -> Stepped {
        self.to(State::Cancelled(action), None)
    }

    fn learn(&mut self, trade: &Trade) {
        self.payment.trade = self.payment.trade.updated(trade);
    }

    // --- what happened -------------------------------------------------------

    /// A stop is a deadline that came early.
    fn stop_here(&mut self) {
        self.end_window();
        self.alter(|pay| pay.stopped = true);
    }

    /// While a call is in flight: its answer is then the last one.
    pub(super) fn stop(mut self) -> Stepped {
        self.stop_here();
        self.stay()
    }

    /// While nothing is in flight: the last query goes out at once.
    pub(super) fn stop_and_query(mut self) -> Stepped {
        self.stop_here();
        self.query()
    }

    /// A restart is an unknown answer. What the steady clock had run in an
    /// earlier life proves nothing about a late pay, so the hold starts anew;
    /// and whatever it showed then, no deadline is further off than its length.
    pub(super) fn restarted(mut self) -> Stepped {
        let now = self.now.steady;
        let timeout = self.payment.order.timeout.unwrap_or(self.rules.timeout);
        self.alter(|pay| {
            pay.hold_until = now + pay.hold;
            pay.deadline = pay.deadline.min(now + timeout);
        });
        self.in_trouble(TroubleKind::Restart, "the terminal was restarted");
        self.query()
    }

    pub(super) fn pay_answered(mut self, answer: &PayAnswer) -> Stepped {
        match answer {
            // Also when the cashier has asked to stop: no cancel was decided
            // yet, and the truth is that it is paid.
            PayAnswer::Paid(trade) => self.paid(trade),
            PayAnswer::Waiting(trade) => {
                self.waiting(trade);
                if self.time_is_up() { self.query() } else { self.rest_for_poll() }
            }
            // A trade that the buyer can still confirm may be left, so it is
            // asked about and closed before this is final (rule 6).
            PayAnswer::Declined(reason) => {
                self.payment.reason = Some(reason.clone());
                self.alter(|pay| pay.declined = true);
                self.end_window();
                self.query()
            }
            // The front door refused: nothing was created (rule 6).
            PayAnswer::Refused(reason) => {
                self.payment.reason = Some(reason.clone());
                self.declined()
            }
            PayAnswer::NotSent(trouble) => {
                self.payment.trouble = Some(trouble.clone());
                if self.too_late_to_pay() {
                    return self.cancelled(CancelAction::None);
                }
                let until = self.now.steady + self.rules.poll_interval;
                self.to(State::Unsent { until }, None)
            }
            PayAnswer::Repeated(trouble) | PayAnswer::Foreign(trouble) => {
                self.foreign(trouble);
                self.rest_after_pay()
            }
            PayAnswer::Unknown(trouble) => {
                self.payment.trouble = Some(trouble.clone());
                self.rest_after_pay()
            }
        }
    }

    /// The buyer is standing there: the first query comes early.
    fn rest_after_pay(self) -> Stepped {
        if self.time_is_up() {
            return self.query();
        }
        let first = self.rules.poll_interval.min(FIRST_QUERY_AFTER);
        self.rest_within_window(first)
    }

    pub(super) fn query_answered(mut self, answer: &QueryAnswer) -> Stepped {
        let undoing = self.undo();
        match answer {
            QueryAnswer::Paid(trade) => match undoing {
                // Our pay was declined, so this may be another sale's money;
                // a cancel would give it back (rule 8).
                None if self.is_declined() => {
                    let text = "it is paid, although our pay was declined";
                    self.foreign(&Trouble { kind: TroubleKind::Foreign, text: text.to_owned() });
                    self.rest_for_person()
                }
                None => self.paid(trade),
                // The gateway will not undo it, so what is true counts (rule 9).
                Some(Undo { refused: Some(_), .. }) => self.paid(trade),
                // Past the point of no return a success is something to give
                // back (rule 8).
                Some(_) => {
                    self.learn(trade);
                    self.asked();
                    self.undo_now(false)
                }
            },
            QueryAnswer::Waiting(trade) => {
                self.waiting(trade);
                if undoing.is_some() || self.time_is_up() {
                    // At once: a rest in between would be room for the buyer to
                    // pay into a payment about to be undone.
                    self.undo_now(false)
                } else {
                    self.rest_for_poll()
                }
            }
            QueryAnswer::Closed { trade, was_paid } => {
                self.learn(trade);
                match (self.is_declined(), was_paid) {
                    // Nothing of ours was charged, and nothing can be.
                    (true, _) if undoing.is_none() => self.declined(),
                    (true, false) => self.declined(),
                    (_, true) => self.cancelled(CancelAction::Refund),
                    (false, false) => self.cancelled(CancelAction::Close),
                }
            }
            // Not proof of anything: the pay may still be on its way (rule 5).
            QueryAnswer::NotExist => {
                self.in_trouble(TroubleKind::Unsettled, "Alipay does not know the order (yet)");
                self.asked();
                self.not_settled(true)
            }
            QueryAnswer::Foreign(trouble) => {
                self.foreign(trouble);
                self.rest_for_person()
            }
            QueryAnswer::Unknown(trouble) => {
                self.payment.trouble = Some(trouble.clone());
                // The gateway was reached and cannot tell: asked is asked. But
                // behind a decline only a word about the trade will do.
                let reached = matches!(
                    trouble.kind,
                    TroubleKind::Busy | TroubleKind::Refused | TroubleKind::Unsettled
                );
                if reached && !self.is_declined() {
                    self.asked();
                }
                self.not_settled(false)
            }
        }
    }

    /// A query that told nothing: ask again until the time is up, then undo.
    fn not_settled(self, does_not_exist: bool) -> Stepped {
        if self.is_foreign() {
            self.rest_for_person()
        } else if self.undo().is_some() || self.time_is_up() {
            self.undo_now(does_not_exist)
        } else {
            self.rest_for_poll()
        }
    }

    pub(super) fn cancel_answered(mut self, answer: &CancelAnswer) -> Stepped {
        let undo = self.undo();
        let untouched = undo.as_ref().is_some_and(|u| u.sent_to_untouched);
        let past_late_pay = undo.as_ref().is_some_and(|u| u.sent_past_late_pay);
        match answer {
            CancelAnswer::Closed(trade) => {
                self.learn(trade);
                if self.is_declined() {
                    self.declined()
                } else {
                    self.cancelled(CancelAction::Close)
                }
            }
            CancelAnswer::Refunded(trade) => {
                self.learn(trade);
                self.cancelled(CancelAction::Refund)
            }
            // The gateway has never seen the number, and our only pay was
            // answered, so none is on its way.
            CancelAnswer::NoAction if untouched && self.is_declined() => self.declined(),
            // None can be on its way any more (rule 10).
            CancelAnswer::NoAction if untouched && past_late_pay => {
                self.cancelled(CancelAction::Close)
            }
            CancelAnswer::NoAction => {
                self.in_trouble(
                    TroubleKind::Unsettled,
                    "Alipay has never seen the order; a request that is still on its way could be charged until its time is over",
                );
                self.rest_for_late_pay()
            }
            // Ask what is true (rule 9): at once, and then at a rest.
            CancelAnswer::Refused(reason) => {
                let first = undo.is_none_or(|u| u.refused.is_none());
                self.alter(|pay| {
                    if let Some(undo) = &mut pay.undo {
                        undo.refused = Some(reason.clone());
                    }
                });
                self.in_trouble(
                    TroubleKind::Refused,
                    &format!("Alipay refused the cancel: {}", reason.message),
                );
                if first { self.query() } else { self.rest_for_backoff() }
            }
            CancelAnswer::Unknown(trouble) => {
                self.payment.trouble = Some(trouble.clone());
                self.rest_for_backoff()
            }
        }
    }

    fn waiting(&mut self, trade: &Trade) {
        self.learn(trade);
        self.payment.trouble = None;
        self.alter(|pay| {
            pay.waiting = true;
            pay.asked = true;
            pay.foreign = false;
        });
    }

    fn foreign(&mut self, trouble: &Trouble) {
        self.payment.trouble = Some(trouble.clone());
        self.alter(|pay| {
            pay.foreign = true;
            pay.asked = false;
        });
    }

    fn in_trouble(&mut self, kind: TroubleKind, text: &str) {
        self.payment.trouble = Some(Trouble { kind, text: text.to_owned() });
    }

    /// What follows is one query and the cancel.
    fn end_window(&mut self) {
        let now = self.now.steady;
        self.alter(|pay| pay.deadline = pay.deadline.min(now));
    }

    /// Whether a person should look, and why.
    fn attention(&self) -> Option<Attention> {
        let pay = self.payment.pay.as_ref()?;
        let trouble = self.payment.trouble.clone();
        match &self.payment.state {
            State::Paid => {
                let refused = pay.undo.as_ref().and_then(|u| u.refused.clone());
                refused.map(Attention::CancelRefused)
            }
            State::Declined | State::Cancelled(_) => None,
            _ if pay.foreign => Some(Attention::Foreign(trouble)),
            _ if self.now.steady >= pay.deadline + ATTENTION_AFTER => {
                Some(Attention::Unsettled(trouble))
            }
            State::AwaitingCode { .. }
            | State::Paying
            | State::Unsent { .. }
            | State::Resting { .. }
            | State::Querying
            | State::Cancelling => None,
        }
    }
}
