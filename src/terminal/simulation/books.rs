//! The books: what was told, and what the ledger says.

use super::gateway::Status;
use super::world::{Happening, World};
use crate::payment::{
    Answer, CancelAction, Money, Payment, QueryAnswer, Refusal, State, Timestamp, TroubleKind,
};
use crate::terminal::Serial;

impl World {
    pub(super) fn status(&self, number: &str) -> Option<Status> {
        self.gateway.trades.get(number).filter(|t| !t.foreign).map(|t| t.status)
    }

    /// A number used twice, of which nobody can know: for the same amount, with
    /// no mark to be seen, made after our pay may have left, and with the answer
    /// lost that would have told so; or made since the last question, or with no
    /// question ever answered. Numbers are used once (rule 3); this is what is
    /// left over.
    pub(super) fn cannot_be_told_apart(&self, number: &str) -> bool {
        let Some(trade) = self.gateway.trades.get(number).filter(|t| t.foreign) else {
            return false;
        };
        let Some(offer) = self.disk.get(number).and_then(Payment::offer) else { return false };
        let asked_at = self.asked_at.get(number).copied().unwrap_or(Timestamp(0));
        if !offer.heard.asked || trade.made_at >= asked_at || self.excused.contains(number) {
            return true;
        }
        let same_amount = trade.amount == self.sales[self.sale_of[number]].amount;
        let marked = self.gateway.nature.echoes && trade.tag.is_some();
        let slack = std::time::Duration::from_mins(1);
        let early = trade.paid_at.is_some_and(|at| at + slack < offer.sent_at);
        same_amount
            && !marked
            && !early
            && match offer.heard.refused {
                Some(Refusal::NumberInUse) => false,
                // Paid though declined is touched by nobody.
                Some(Refusal::Declined) => trade.was_waiting,
                Some(Refusal::FrontDoor) | None => true,
            }
    }

    /// What the terminal knows by a question about a number, and how many in a row
    /// were not answered.
    pub(super) fn asked(&mut self, number: &str, serial: Serial, answer: &Answer) {
        let Answer::Query(answer) = answer else { return };
        if let Some(at) = self.arrived.get(&serial)
            && !matches!(answer, QueryAnswer::Unknown(_))
        {
            self.asked_at.insert(number.to_owned(), *at);
        }
        let is_silent = match answer {
            QueryAnswer::Unknown(trouble) => {
                !trouble.kind.is_verified() || trouble.kind == TroubleKind::Foreign
            }
            _ => false,
        };
        let silent = self.silent.entry(number.to_owned()).or_default();
        *silent = if is_silent { *silent + 1 } else { 0 };
    }

    /// Nothing is cancelled, for the first time or again, but after a word about
    /// it, or after three questions in a row that nobody answered (rule 8).
    pub(super) fn cancels(&mut self, number: &str) {
        match self.silent.remove(number) {
            Some(0 | 3..) => {}
            asked => self.broke(format!("{number} is cancelled unasked: {asked:?}")),
        }
    }

    pub(super) fn charged(&mut self, number: &str) {
        let sale = self.sale_of[number];
        let charged: Vec<_> = self.sales[sale]
            .attempts
            .iter()
            .filter(|n| self.status(n) == Some(Status::Success))
            .cloned()
            .collect();
        if charged.len() > 1 {
            self.broke(format!("sale {sale} is charged twice: {charged:?}"));
        }
        if self.told_none.contains(number) {
            self.broke(format!("{number} was told none and is charged"));
        }
        match self.told.get(number) {
            Some(State::Paid) | None => {}
            Some(told) => {
                let told = format!("{told:?}");
                self.broke(format!("{number} was told {told} and is charged"));
            }
        }
    }

    /// The word about the money that goes to the register.
    fn word(&mut self, payment: &Payment) {
        let number = payment.order().out_trade_no.to_string();
        match payment.money() {
            Money::Open if self.says_none_of_open() => {
                self.told_none.insert(number);
            }
            Money::Open if self.status(&number) == Some(Status::Success) => {
                self.broke(format!("{number} is told open and is charged"));
            }
            Money::None => {
                self.told_none.insert(number);
            }
            _ => {}
        }
    }

    pub(super) fn tell(&mut self, payment: &Payment) {
        self.word(payment);
        if !payment.is_final() {
            return;
        }
        let number = payment.order().out_trade_no.to_string();
        let state = payment.state();
        if let Some(earlier) = self.told.get(&number) {
            if *earlier != state {
                let both = format!("{earlier:?} and then {state:?}");
                self.broke(format!("{number} was told {both}"));
            }
            return;
        }
        self.say(format!("TOLD {number} {state:?}"));
        self.told.insert(number.clone(), state);
        let is = self.status(&number);
        let fits = match state {
            State::Paid => self.is_paid(&number),
            State::Cancelled(CancelAction::Refund) => is == Some(Status::Refunded),
            _ => !matches!(is, Some(Status::Success | Status::Refunded)),
        };
        if !fits && !self.cannot_be_told_apart(&number) {
            self.broke(format!("{number} is told {state:?}, the gateway says {is:?}"));
        }
        if self.was_paid_at_start.remove(&number) && state != State::Paid {
            self.broke(format!("{number} was paid, and silence after a start undid it"));
        }
        match state {
            State::Paid if payment.attention().is_some() => {
                self.ends.paid_though_stopped += 1;
                let locked = self.gateway.trades.get(&number).is_some_and(|t| t.locked);
                if !locked && !self.cannot_be_told_apart(&number) {
                    self.broke(format!("{number} was to be given back, could be, and is kept"));
                }
            }
            State::Paid => self.ends.paid += 1,
            State::Declined => self.ends.declined += 1,
            State::Cancelled(CancelAction::Close) => self.ends.closed += 1,
            State::Cancelled(CancelAction::Refund) => self.ends.refunded += 1,
            State::Cancelled(CancelAction::None) => self.ends.never_sent += 1,
            _ => {}
        }
        let sale = self.sale_of[&number];
        if state == State::Paid {
            self.plan_refunds(&number);
        }
        if state != State::Paid
            && self.chaos
            && self.sales[sale].attempts.len() < 4
            && self.random.chance(50)
        {
            let at = self.random.below(20_000);
            self.after(at, Happening::Begin { sale });
        }
    }

    /// After the trouble is over: everything is settled, and the journal says
    /// what the ledger says.
    pub(super) fn compare_the_books(&mut self) {
        let payments: Vec<Payment> = self.disk.values().cloned().collect();
        for payment in payments {
            let number = payment.order().out_trade_no.to_string();
            let trade = self.gateway.trades.get(&number);
            let state = payment.state();
            if !payment.is_final() {
                // Another sale's number; or a buyer who was quicker with a trade
                // that our decline had left than we were with the query, which
                // looks the same (rule 12). Both are for a person.
                let refused = payment.offer().and_then(|offer| offer.heard.refused);
                let declined = refused == Some(Refusal::Declined);
                let paid = trade.is_some_and(|t| t.status == Status::Success);
                let foreign = trade.is_some_and(|t| t.foreign) || (declined && paid);
                if !foreign || payment.attention().is_none() {
                    self.broke(format!("{number} hangs in {state:?}"));
                }
                self.ends.for_a_person += 1;
                continue;
            }
            let is = self.status(&number);
            let fits = match state {
                State::Paid => self.is_paid(&number),
                State::Cancelled(CancelAction::Refund) => is == Some(Status::Refunded),
                _ => !matches!(is, Some(Status::Success | Status::Refunded | Status::Wait)),
            };
            if !fits && !self.cannot_be_told_apart(&number) {
                self.broke(format!("{number} ended {state:?}, the gateway says {is:?}"));
            }
        }
    }
}
