//! What may happen to a payment: every pair of state and event, decided here.

use super::next::{Live, awaiting};
use super::stage::{End, Stage, Waits};
use super::{
    Answer, Answered, CancelAction, CodeMark, Hint, Moment, OutTradeNo, Payment, Reason, Rules,
    State, Tag, Timestamp,
};

/// Something that happened to a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "short-lived, and an answer is the usual one")]
pub enum Event {
    /// The register asked for it, without a code; why it will have to wait for
    /// one, if that is known.
    Requested(Option<Hint>),
    /// The buyer's code is there. (The code itself stays outside: it is a
    /// secret, and nothing here depends on it. Its mark is only remembered.)
    /// And our own mark for the trade.
    Code(CodeMark, Tag),
    /// The register asked for it by a method that needs no code of the buyer's, and
    /// our own mark for the trade.
    Offered(Tag),
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
    /// What it owes went back by a refund of its own, or the gateway has refused
    /// that too, and why.
    GaveBack(Result<(), Reason>),
}

/// What the core can ask for. If it is not here, the daemon cannot do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `alipay.trade.pay`, once.
    Pay,
    /// `alipay.trade.precreate`, once.
    Precreate,
    /// `alipay.trade.query`.
    Query,
    /// `alipay.trade.cancel`.
    Cancel,
    /// `alipay.trade.refund`.
    Refund,
    /// `alipay.trade.fastpay.refund.query`.
    RefundQuery,
}

impl Call {
    /// The word for the journal and the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Precreate => "precreate",
            Self::Query => "query",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
            Self::RefundQuery => "refund_query",
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
    /// Nothing was learned, and nothing is sent that could change anything: it
    /// asks again, or rests. Such a step needs no entry, and a restart repeats it.
    pub quiet: bool,
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
    pub fn step(&self, event: &Event, now: Moment, rules: &Rules) -> Result<Stepped, Illegal> {
        let mut stepped = self.decide(event, now, rules)?;
        stepped.quiet = stepped.call.is_none_or(|call| call == Call::Query)
            && self.teaches_nothing(&stepped.payment);
        let head = &mut stepped.payment.head;
        if stepped.quiet {
            (head.rev, head.updated_at) = (self.head.rev, self.head.updated_at);
        } else {
            (head.rev, head.updated_at) = (self.head.rev + 1, now.wall);
        }
        Ok(stepped)
    }

    // One arm for every pair; arms that look alike for different reasons stay
    // apart, so that each can carry its own.
    #[allow(clippy::match_same_arms, reason = "a pair of state and event is a row of a table")]
    fn decide(&self, event: &Event, now: Moment, rules: &Rules) -> Result<Stepped, Illegal> {
        let illegal = || Illegal {
            number: self.head.order.out_trade_no.clone(),
            state: Box::new(self.state()),
            event: Box::new(event.clone()),
        };
        let head = || self.head.clone();
        use Event as E;
        use Stage as S;
        let stepped = match &self.stage {
            // --- waiting for the code: nothing has left the box --------------
            S::Awaiting { until, hint } => match event {
                E::Requested(hint) => awaiting(head(), *until, hint.clone()),
                E::Hint(hint) => awaiting(head(), *until, hint.clone()),
                E::Offered(tag) => Live::shown(head(), *tag, now, rules).precreate(),
                E::Code(mark, tag) => Live::first(head(), *mark, *tag, now, rules).pay(),
                E::Due | E::Stop => never_sent(self),
                // The customer may still be standing there, but not for longer
                // than the time for a code.
                E::Restarted => {
                    let until = (*until).min(now.steady + rules.code_timeout);
                    awaiting(head(), until, hint.clone())
                }
                E::Answered(_) | E::GaveBack(_) => return Err(illegal()),
            },

            // --- the pay never left ------------------------------------------
            S::Unsent { offer, .. } => {
                let live = Live::of(head(), offer, None, now, rules);
                match event {
                    E::Due if live.too_late_to_pay() => never_sent(self),
                    E::Due => live.offer_again(),
                    E::Stop => never_sent(self),
                    // The code is gone with the process, and a restart never pays.
                    E::Restarted => never_sent(self),
                    E::Requested(_)
                    | E::Offered(_)
                    | E::Code(..)
                    | E::Hint(_)
                    | E::Answered(_)
                    | E::GaveBack(_) => return Err(illegal()),
                }
            }

            // --- the offer is out --------------------------------------------
            S::Out { offer, undo, waits } => {
                let mut live = Live::of(head(), offer, undo.as_ref(), now, rules);
                if let E::Answered(answered) = event {
                    live.absorb(answered);
                }
                match (*waits, event) {
                    (Waits::Pay, E::Answered(Answered { answer: Answer::Pay(answer), .. })) => {
                        live.pay_answered(answer)
                    }
                    (
                        Waits::Precreate,
                        E::Answered(Answered { answer: Answer::Precreate(answer), .. }),
                    ) => live.precreate_answered(answer),
                    (
                        Waits::Query { since },
                        E::Answered(Answered { answer: Answer::Query(answer), .. }),
                    ) => live.query_answered(answer, since),
                    (
                        Waits::Cancel,
                        E::Answered(Answered { answer: Answer::Cancel(answer), .. }),
                    ) => live.cancel_answered(answer),
                    // The call in flight is answered first; that answer is then the
                    // last one before the cancel.
                    (
                        waits @ (Waits::Pay
                        | Waits::Precreate
                        | Waits::Query { .. }
                        | Waits::Cancel),
                        E::Stop,
                    ) => live.stop(waits),
                    // Its own refund goes on beside it; nothing is left to decide here.
                    (Waits::Refund, E::GaveBack(Ok(()))) => live.gave_back(),
                    (Waits::Refund, E::GaveBack(Err(reason))) => live.kept(reason),
                    (Waits::Refund, E::Stop | E::Restarted) => live.owe(),
                    (Waits::Clock { .. }, E::Stop) => live.stop_and_query(),
                    (Waits::Clock { until }, E::Due) => live.query(until),
                    // What was in flight is an answer that was lost.
                    (_, E::Restarted) => live.restarted(),
                    (
                        Waits::Pay
                        | Waits::Precreate
                        | Waits::Query { .. }
                        | Waits::Cancel
                        | Waits::Refund,
                        E::Due,
                    )
                    | (
                        _,
                        E::Answered(_)
                        | E::Requested(_)
                        | E::Offered(_)
                        | E::Code(..)
                        | E::Hint(_)
                        | E::GaveBack(_),
                    ) => {
                        return Err(illegal());
                    }
                }
            }

            // Nothing final is ever changed (rule 1).
            S::Over { .. } => return Err(illegal()),
        };
        Ok(stepped)
    }

    /// Whether `after` says nothing that is not known already: it waits for the
    /// clock or asks, and all that was heard is as before.
    fn teaches_nothing(&self, after: &Self) -> bool {
        let (Stage::Out { waits, .. }, Stage::Out { waits: then, .. }) =
            (&self.stage, &after.stage)
        else {
            return false;
        };
        let asks = |waits: &Waits| matches!(waits, Waits::Clock { .. } | Waits::Query { .. });
        asks(waits) && asks(then) && self.known() == after.known()
    }

    /// The same without what only this life counts, and without times and words
    /// that no decision rests on.
    fn known(&self) -> Self {
        let mut known = self.clone();
        let head = &mut known.head;
        (head.rev, head.updated_at) = (0, head.created_at);
        if let Some(trouble) = &mut head.trouble {
            trouble.text.clear();
        }
        // Follows from the rest, but for its words.
        if let Some(super::Attention::Unsettled(trouble) | super::Attention::Foreign(trouble)) =
            &mut head.attention
        {
            *trouble = None;
        }
        if let Some(super::Attention::DoorClosed(trouble)) = &mut head.attention {
            trouble.text.clear();
        }
        if let Stage::Out { offer, undo, waits } = &mut known.stage {
            (offer.heard.patience, offer.heard.looks) = (0, 0);
            if let Some(undo) = undo {
                undo.rounds = 0;
            }
            *waits = Waits::Clock { until: Timestamp(0) };
        }
        known
    }
}

/// It ends without anything having been sent.
fn never_sent(payment: &Payment) -> Stepped {
    let mut payment = payment.clone();
    payment.head.trouble = None;
    payment.head.attention = None;
    payment.stage = Stage::Over {
        end: End::Cancelled(CancelAction::None),
        offer: payment.offer().cloned(),
        undo: None,
    };
    Stepped { payment, call: None, quiet: false }
}
