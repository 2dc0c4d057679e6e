//! What may happen to a payment: every pair of state and event, decided here.

use super::next::Next;
use super::{
    Answer, Answered, CancelAction, CodeMark, Hint, Moment, Order, OutTradeNo, Payment, Rules,
    State, Trade,
};

/// Something that happened to a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "short-lived, and an answer is the usual one")]
pub enum Event {
    /// The register asked for it, without a code.
    Requested,
    /// The buyer's code is there. (The code itself stays outside: it is a
    /// secret, and nothing here depends on it. Its mark is only remembered.)
    Code(CodeMark),
    /// Somebody tries to give it a code and does not succeed, or nothing is in
    /// the way any more.
    Hint(Option<Hint>),
    /// The point in time that [`Payment::due`] named has come.
    Due,
    /// The call in flight was answered, or will never be.
    Answered(Answered),
    /// The cashier gives up.
    Stop,
    /// The daemon was down. What was in flight is an answer that was lost.
    Restarted,
}

/// What the core can ask for. If it is not here, the daemon cannot do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `alipay.trade.pay`, once.
    Pay,
    /// `alipay.trade.query`.
    Query,
    /// `alipay.trade.cancel`.
    Cancel,
}

impl Call {
    /// The word for the journal and the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Query => "query",
            Self::Cancel => "cancel",
        }
    }
}

/// A payment after a step, and the one call to make once that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stepped {
    /// How it stands.
    pub payment: Payment,
    /// What to send.
    pub call: Option<Call>,
}

/// An event that cannot happen now. A terminal that has lost track of a payment
/// must not guess, so the daemon stops with this message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot happen to payment {number} in state {state:?}")]
pub struct Illegal {
    number: OutTradeNo,
    state: Box<State>,
    event: Box<Event>,
}

impl Payment {
    /// A payment that was just asked for and waits for its code.
    #[must_use]
    pub fn requested(order: Order, now: Moment, rules: &Rules) -> Self {
        Self {
            order: order.into(),
            state: State::AwaitingCode { until: now.steady + rules.code_timeout },
            rev: 1,
            created_at: now.wall,
            updated_at: now.wall,
            pay: None,
            trade: Trade::default(),
            reason: None,
            attention: None,
            trouble: None,
            hint: None,
        }
    }

    /// Decides what `event` does to this payment: how it looks afterwards, and
    /// the one call to make once that is on disk.
    ///
    /// This is all of the terminal's judgement about money. It reads no clock
    /// and touches nothing, so the same history always leads to the same
    /// decision: live, in a test, or after a crash.
    ///
    /// # Errors
    ///
    /// [`Illegal`] if `event` cannot happen now.
    // One arm for every pair; arms that look alike for different reasons stay
    // apart, so that each can carry its own.
    #[allow(clippy::match_same_arms, reason = "a pair of state and event is a row of a table")]
    pub fn step(&self, event: &Event, now: Moment, rules: &Rules) -> Result<Stepped, Illegal> {
        let illegal = || Illegal {
            number: self.order.out_trade_no.clone(),
            state: Box::new(self.state.clone()),
            event: Box::new(event.clone()),
        };
        let mut next = Next::of(self, now, rules);
        if let Event::Answered(answered) = event {
            next.absorb(answered);
        }

        use Event as E;
        use State as S;
        let stepped = match (&self.state, event) {
            // --- waiting for the code: nothing has left the box --------------
            (S::AwaitingCode { .. }, E::Requested) => next.stay(),
            (S::AwaitingCode { .. }, E::Code(mark)) => next.pay_with(*mark),
            (S::AwaitingCode { .. }, E::Hint(hint)) => next.hint(hint.as_ref()),
            (S::AwaitingCode { .. }, E::Due | E::Stop) => next.cancelled(CancelAction::None),
            // The customer may still be standing there.
            (S::AwaitingCode { until }, E::Restarted) => next.wait_for_code(*until),

            // --- the pay is out ----------------------------------------------
            (S::Paying, E::Answered(Answered { answer: Answer::Pay(answer), .. })) => {
                next.pay_answered(answer)
            }
            // The pay is answered first, then asked about once more.
            (S::Paying, E::Stop) => next.stop(),
            (S::Paying, E::Restarted) => next.restarted(),

            // --- the pay never left ------------------------------------------
            (S::Unsent { .. }, E::Due) if next.too_late_to_pay() => {
                next.cancelled(CancelAction::None)
            }
            (S::Unsent { .. }, E::Due) => next.pay_again(),
            (S::Unsent { .. }, E::Stop) => next.cancelled(CancelAction::None),
            // The code is gone with the process, and a restart never pays.
            (S::Unsent { .. }, E::Restarted) => next.cancelled(CancelAction::None),

            // --- between two questions ---------------------------------------
            (S::Resting { .. }, E::Due) => next.query(),
            (S::Resting { .. }, E::Stop) => next.stop_and_query(),
            (S::Resting { .. }, E::Restarted) => next.restarted(),

            // --- a question is out -------------------------------------------
            (S::Querying, E::Answered(Answered { answer: Answer::Query(answer), .. })) => {
                next.query_answered(answer)
            }
            // Its answer is then the last one before the cancel.
            (S::Querying, E::Stop) => next.stop(),
            (S::Querying, E::Restarted) => next.restarted(),

            // --- a cancel is out ---------------------------------------------
            (S::Cancelling, E::Answered(Answered { answer: Answer::Cancel(answer), .. })) => {
                next.cancel_answered(answer)
            }
            (S::Cancelling, E::Stop) => next.stop(),
            (S::Cancelling, E::Restarted) => next.restarted(),

            // --- cannot happen -----------------------------------------------
            (S::AwaitingCode { .. }, E::Answered(_)) => return Err(illegal()),
            (
                S::Unsent { .. } | S::Resting { .. },
                E::Requested | E::Code(_) | E::Hint(_) | E::Answered(_),
            )
            | (
                S::Paying | S::Querying | S::Cancelling,
                E::Requested | E::Code(_) | E::Hint(_) | E::Due | E::Answered(_),
            ) => return Err(illegal()),
            // Nothing final is ever changed (rule 1).
            (S::Paid | S::Declined | S::Cancelled(_), _) => return Err(illegal()),
        };
        Ok(stepped)
    }
}
