//! What happens to a refund: every pair of stage and event, decided here.

use std::time::Duration;

use super::{
    Happened, Refund, RefundAttention, RefundHeard, RefundStage, RefundThen, Turn, WrongTurn,
};
use crate::payment::next::{BACKOFF_MAX, CLOCK_BOUND, PERSON_MAX, doubled};
use crate::payment::{
    Answer, Back, Call, Fen, Moment, Offer, QueryAnswer, RefundAnswer, RefundQueryAnswer, Trade,
    Trouble, TroubleKind, Whose,
};

/// A refund is asked about at the earliest so long after it was sent
/// (alipay.trade.fastpay.refund.query: "at least 10 seconds after the refund").
const ASK_AFTER: Duration = Duration::from_secs(10);

/// A refund that is open for so long wants a person.
const ATTENTION_AFTER: Duration = Duration::from_secs(45);

impl Refund {
    // One arm for every pair; arms that look alike for different reasons stay
    // apart, so that each can carry its own.
    #[allow(clippy::match_same_arms, reason = "a pair of stage and event is a row of a table")]
    pub(super) fn decide(&self, happened: &Happened, now: Moment) -> Result<Turn, WrongTurn> {
        use Happened as H;
        use RefundStage as S;
        let going = Going { refund: self.clone(), now };
        Ok(match (self.stage, happened) {
            // What the register wants back was paid, on our own word. What the
            // terminal owes is asked about first.
            (S::Refunding, H::Requested) if self.rev > 0 => return Err(self.wrong(happened)),
            (S::Refunding, H::Requested) if self.asked.cause.is_own() => going.prove(),
            (S::Refunding, H::Requested) => going.refund(),

            (S::Proving | S::Refunding | S::Asking, H::Answered(answered)) => {
                match (self.stage, &answered.answer) {
                    (S::Proving, Answer::Query(answer)) => going.proven(answer),
                    (S::Refunding, Answer::Refund(answer)) => going.answered(answer),
                    (S::Asking, Answer::RefundQuery(answer)) => going.told(answer),
                    _ => return Err(self.wrong(happened)),
                }
            }

            (S::Resting { then, .. }, H::Due) => going.go_on(then),

            // What was in flight is an answer that was lost.
            (S::Proving, H::Restarted) => going.restarted().prove(),
            (S::Refunding, H::Restarted) => going.restarted().lost().ask(),
            (S::Asking, H::Restarted) => going.restarted().ask(),
            // A question that comes too soon after a refund is told "not done" of one that
            // is done, and behind a refusal that is final.
            (S::Resting { then: then @ RefundThen::Ask, .. }, H::Restarted)
                if self.heard.refusal.is_some() =>
            {
                going.restarted().rest(ASK_AFTER, then)
            }
            (S::Resting { then, .. }, H::Restarted) => going.restarted().go_on(then),

            (S::Proving | S::Refunding | S::Asking, H::Due)
            | (S::Proving | S::Asking | S::Resting { .. }, H::Requested)
            | (S::Resting { .. }, H::Answered(_)) => return Err(self.wrong(happened)),

            // Nothing final is ever changed (rule 1).
            (S::Refunded | S::Refused, _) => return Err(self.wrong(happened)),
        })
    }
}

/// A refund while the step is being worked out.
struct Going {
    refund: Refund,
    now: Moment,
}

impl Going {
    // --- ways on -------------------------------------------------------------

    fn to(mut self, stage: RefundStage, call: Option<Call>) -> Turn {
        self.refund.stage = stage;
        self.refund.attention = self.attention();
        Turn { refund: self.refund, call, quiet: false }
    }

    fn prove(self) -> Turn {
        self.to(RefundStage::Proving, Some(Call::Query))
    }

    /// The same number and amount as ever: Alipay gives back once.
    fn refund(mut self) -> Turn {
        self.heard().rounds = self.refund.heard.rounds.saturating_add(1);
        self.to(RefundStage::Refunding, Some(Call::Refund))
    }

    fn ask(self) -> Turn {
        self.to(RefundStage::Asking, Some(Call::RefundQuery))
    }

    fn go_on(self, then: RefundThen) -> Turn {
        match then {
            RefundThen::Prove => self.prove(),
            RefundThen::Refund => self.refund(),
            RefundThen::Ask => self.ask(),
        }
    }

    fn rest(self, length: Duration, then: RefundThen) -> Turn {
        let until = self.now.steady + length;
        self.to(RefundStage::Resting { until, then }, None)
    }

    /// Until the next try of something that did not help.
    fn back_off(mut self, then: RefundThen) -> Turn {
        let rounds = self.count();
        self.rest(doubled(Duration::from_secs(1), rounds, BACKOFF_MAX), then)
    }

    /// Until the next look at what only a person can mend.
    fn rest_for_person(mut self, then: RefundThen) -> Turn {
        let rounds = self.count();
        self.rest(doubled(BACKOFF_MAX, rounds, PERSON_MAX), then)
    }

    fn done(mut self, back: &Back) -> Turn {
        self.learn(back);
        let heard = self.heard();
        (heard.refusal, heard.trouble, heard.on_its_way_until) = (None, None, None);
        self.to(RefundStage::Refunded, None)
    }

    fn refused(mut self) -> Turn {
        self.heard().trouble = None;
        self.to(RefundStage::Refused, None)
    }

    /// Whether a person should look, and why.
    fn attention(&self) -> Option<RefundAttention> {
        let Refund { asked, back, heard, stage, .. } = &self.refund;
        match stage {
            // Somebody gives back in the merchant's account as well: what is told
            // there is more than what was given back here.
            RefundStage::Refunded => {
                let ours = Fen(asked.before.0.saturating_add(asked.amount.fen()));
                return back.total.filter(|told| *told > ours).map(RefundAttention::Elsewhere);
            }
            RefundStage::Refused => return None,
            RefundStage::Proving
            | RefundStage::Refunding
            | RefundStage::Asking
            | RefundStage::Resting { .. } => {}
        }
        let late = self.now.steady >= heard.since + ATTENTION_AFTER;
        match &heard.trouble {
            Some(trouble) => match trouble.kind {
                TroubleKind::SellerBalance => Some(RefundAttention::SellerBalance),
                TroubleKind::Refused => Some(RefundAttention::DoorClosed),
                TroubleKind::Foreign if self.is_unproven() => Some(RefundAttention::Unproven),
                TroubleKind::Unreachable
                | TroubleKind::NoAnswer
                | TroubleKind::Unverified
                | TroubleKind::Busy
                | TroubleKind::Unsettled
                | TroubleKind::Foreign
                | TroubleKind::Restart => {
                    late.then(|| RefundAttention::Unsettled(Some(trouble.clone())))
                }
            },
            None => late.then_some(RefundAttention::Unsettled(None)),
        }
    }

    /// What stands under the payment's number may be another's.
    fn is_unproven(&self) -> bool {
        matches!(
            self.refund.stage,
            RefundStage::Proving | RefundStage::Resting { then: RefundThen::Prove, .. }
        )
    }

    // --- what was heard ------------------------------------------------------

    fn heard(&mut self) -> &mut RefundHeard {
        &mut self.refund.heard
    }

    fn count(&mut self) -> u32 {
        let heard = self.heard();
        heard.rounds = heard.rounds.saturating_add(1);
        heard.rounds
    }

    fn learn(&mut self, back: &Back) {
        self.refund.back = self.refund.back.updated(back);
    }

    fn in_trouble(&mut self, trouble: &Trouble) {
        self.heard().trouble = Some(trouble.clone());
    }

    /// What was sent was not answered, and may arrive as long as the gateway takes
    /// what was dated then.
    fn lost(mut self) -> Self {
        self.heard().on_its_way_until = Some(self.now.steady + CLOCK_BOUND);
        self
    }

    /// What the steady clock had run in an earlier life proves nothing.
    fn restarted(mut self) -> Self {
        let now = self.now.steady;
        let heard = self.heard();
        (heard.since, heard.rounds) = (now, 0);
        heard.on_its_way_until = heard.on_its_way_until.map(|_| now + CLOCK_BOUND);
        heard.trouble = Some(Trouble {
            kind: TroubleKind::Restart,
            text: "the terminal was restarted".to_owned(),
        });
        self
    }

    // --- answers -------------------------------------------------------------

    /// Is the payment paid, and ours? Nothing else goes back (rule 12).
    fn proven(mut self, answer: &QueryAnswer) -> Turn {
        match answer {
            QueryAnswer::Paid(trade) => match self.whose(trade) {
                // Refused for good, and the money is still here: so it stays.
                Whose::Ours if self.refund.heard.refusal.is_some() => self.refused(),
                Whose::Ours => {
                    let heard = self.heard();
                    (heard.trouble, heard.rounds) = (None, 0);
                    self.learn(&Back { trade_no: trade.trade_no.clone(), ..Back::default() });
                    self.refund()
                }
                Whose::Theirs | Whose::CannotTell => self.unproven(),
            },
            // It was paid, and all of it went back: by a cancel that was carried out
            // after all, or by somebody in the merchant's account.
            QueryAnswer::Closed { trade, was_paid: true } if self.whose(trade) == Whose::Ours => {
                self.done(&Back { trade_no: trade.trade_no.clone(), ..Back::default() })
            }
            QueryAnswer::Closed { .. } => self.unproven(),
            QueryAnswer::Waiting(_) | QueryAnswer::NotExist => {
                self.in_trouble(&unsettled("Alipay does not show the payment as paid (yet)"));
                self.back_off(RefundThen::Prove)
            }
            QueryAnswer::Foreign(trouble) => {
                self.in_trouble(trouble);
                self.rest_for_person(RefundThen::Prove)
            }
            QueryAnswer::Unknown(trouble) => {
                self.in_trouble(trouble);
                self.back_off(RefundThen::Prove)
            }
        }
    }

    fn whose(&self, trade: &Trade) -> Whose {
        let offer: Option<&Offer> = self.refund.asked.payment.offer();
        offer.map_or(Whose::CannotTell, |offer| offer.whose(trade, true))
    }

    fn unproven(mut self) -> Turn {
        let text = "the trade under this number is not proven to be this payment's".to_owned();
        self.in_trouble(&Trouble { kind: TroubleKind::Foreign, text });
        self.rest_for_person(RefundThen::Prove)
    }

    fn answered(mut self, answer: &RefundAnswer) -> Turn {
        match answer {
            RefundAnswer::Done(back) => self.done(back),
            // It was done before, or it is not done. Success in itself says nothing.
            RefundAnswer::Unproven(back) => {
                self.learn(back);
                self.in_trouble(&unsettled(
                    "Alipay took the refund and has not said that it is done",
                ));
                self.lost().rest(ASK_AFTER, RefundThen::Ask)
            }
            // It names no refund, so it may be another request's: believed once it
            // has been asked about.
            RefundAnswer::Refused(reason) => {
                self.heard().refusal = Some(reason.clone());
                self.in_trouble(&unsettled(&format!("Alipay refused it: {}", reason.message)));
                self.rest(ASK_AFTER, RefundThen::Ask)
            }
            RefundAnswer::Unknown(trouble) => {
                self.in_trouble(trouble);
                match trouble.kind {
                    // Patience: the same once more when somebody has topped it up.
                    TroubleKind::SellerBalance => self.rest_for_person(RefundThen::Refund),
                    // It never left the box.
                    TroubleKind::Unreachable => self.back_off(RefundThen::Refund),
                    // What is said at the front door names no request: ours may have passed.
                    TroubleKind::Refused => self.lost().rest(BACKOFF_MAX, RefundThen::Ask),
                    TroubleKind::Busy
                    | TroubleKind::NoAnswer
                    | TroubleKind::Unverified
                    | TroubleKind::Unsettled
                    | TroubleKind::Foreign
                    | TroubleKind::Restart => self.lost().rest(ASK_AFTER, RefundThen::Ask),
                }
            }
        }
    }

    fn told(mut self, answer: &RefundQueryAnswer) -> Turn {
        match answer {
            RefundQueryAnswer::Done(back) => self.done(back),
            // Our number gave back another sum, so it will never give back ours.
            RefundQueryAnswer::Foreign(trouble) => {
                self.in_trouble(trouble);
                self.not_done()
            }
            RefundQueryAnswer::NotDone => self.not_done(),
            RefundQueryAnswer::Unknown(trouble) => {
                self.in_trouble(trouble);
                match trouble.kind {
                    TroubleKind::Refused => self.rest(BACKOFF_MAX, RefundThen::Ask),
                    TroubleKind::SellerBalance
                    | TroubleKind::Unreachable
                    | TroubleKind::Busy
                    | TroubleKind::NoAnswer
                    | TroubleKind::Unverified
                    | TroubleKind::Unsettled
                    | TroubleKind::Foreign
                    | TroubleKind::Restart => self.back_off(RefundThen::Ask),
                }
            }
        }
    }

    /// Asked, and told that it is not done.
    fn not_done(self) -> Turn {
        let now = self.now.steady;
        let heard = &self.refund.heard;
        match (&heard.refusal, heard.on_its_way_until) {
            (Some(_), Some(until)) if now < until => {
                let rest = BACKOFF_MAX.min(Duration::from_millis(
                    until.millis().saturating_sub(now.millis()).unsigned_abs(),
                ));
                self.rest(rest, RefundThen::Ask)
            }
            // What the terminal owes may have gone back another way: by a cancel
            // that was carried out after all.
            (Some(_), _) if self.refund.asked.cause.is_own() => self.prove(),
            (Some(_), _) => self.refused(),
            (None, _) => self.refund(),
        }
    }
}

fn unsettled(text: &str) -> Trouble {
    Trouble { kind: TroubleKind::Unsettled, text: text.to_owned() }
}
