//! Money that goes back: what registers ask for, what the gateway does, and what
//! has to be true of it.

use std::collections::BTreeMap;

use super::Random;
use super::bugs::reason;
use super::gateway::{Gateway, Later, Status, unsettled};
use super::world::{Happening, World};
use crate::payment::{
    Answer, Back, Call, Fen, Payment, Refund, RefundAnswer, RefundQueryAnswer, RefundState, State,
    Timestamp, TroubleKind,
};
use crate::terminal::{Denied, Known, RefundAsk, Request};

/// A refund as the register names it: the payment's number and its own.
pub(super) type Named = (String, String);

/// What the world knows of refunds.
#[derive(Debug, Default)]
pub(super) struct Refunds {
    pub(super) disk: BTreeMap<Named, Refund>,
    told: BTreeMap<Named, RefundState>,
    /// The calls that may change a trade and are not answered yet.
    changing: BTreeMap<String, crate::terminal::Serial>,
    asked: BTreeMap<crate::terminal::RequestId, Happening>,
}

impl Gateway {
    fn left(&self, number: &str) -> u64 {
        self.trades
            .get(number)
            .map_or(0, |trade| trade.amount.fen().saturating_sub(trade.refunds.values().sum()))
    }

    fn total(&self, number: &str) -> Back {
        let total = self.trades.get(number).map(|trade| Fen(trade.refunds.values().sum()));
        Back { total, ..Back::default() }
    }

    /// Gives money back, if that can be. True when it was done just now.
    pub(super) fn give_back(
        &mut self,
        number: &str,
        request: &str,
        fen: u64,
        now: Timestamp,
    ) -> bool {
        let left = self.left(number);
        let poor = now.millis() < self.nature.poor_until;
        let Some(trade) = self.trades.get_mut(number) else { return false };
        let can = trade.status == Status::Success && !trade.locked && fen <= left && !poor;
        if !can || trade.refunds.contains_key(request) {
            return false;
        }
        trade.refunds.insert(request.to_owned(), fen);
        trade.refunded_at.insert(request.to_owned(), now);
        if fen == left {
            self.set(number, Status::Refunded, now);
        }
        true
    }

    fn refund(
        &mut self,
        number: &str,
        request: &str,
        fen: u64,
        now: Timestamp,
        random: &mut Random,
    ) -> (RefundAnswer, Option<(u64, Later)>) {
        let unknown = |kind| (RefundAnswer::Unknown(unsettled(kind)), None);
        let refused = |why: &str| (RefundAnswer::Refused(reason(why)), None);
        let later = |random: &mut Random| {
            let what = Later::GiveBack { request: request.to_owned(), fen };
            random.chance(70).then(|| (random.below(100_000), what))
        };
        // 20000: nobody knows; perhaps it is executed a little later.
        if random.chance(8) {
            return (RefundAnswer::Unknown(unsettled(TroubleKind::Busy)), later(random));
        }
        let left = self.left(number);
        let Some(trade) = self.trades.get(number) else {
            return unknown(TroubleKind::Unsettled);
        };
        match trade.refunds.get(request) {
            Some(done) if *done == fen => {
                return (RefundAnswer::Unproven(self.total(number)), None);
            }
            Some(_) => return refused("ACQ.DISCORDANT_REPEAT_REQUEST"),
            None => {}
        }
        if trade.status != Status::Success {
            return refused("ACQ.TRADE_STATUS_ERROR");
        }
        if trade.locked {
            return refused("ACQ.TRADE_HAS_FINISHED");
        }
        if fen > left {
            return refused("ACQ.REFUND_FEE_ERROR");
        }
        if now.millis() < self.nature.poor_until {
            return unknown(TroubleKind::SellerBalance);
        }
        // Taken, and not said to be done.
        if random.chance(6) {
            return (RefundAnswer::Unproven(Back::default()), later(random));
        }
        // What is read is a refusal of somebody else's request: signed, and no order is
        // named in it. (What the terminal owes and could give back, it shall.)
        if random.chance(5) {
            if request == number || random.chance(50) {
                self.give_back(number, request, fen, now);
            }
            return refused("ACQ.TRADE_NOT_ALLOW_REFUND");
        }
        self.give_back(number, request, fen, now);
        (RefundAnswer::Done(self.total(number)), None)
    }

    fn refund_query(
        &self,
        number: &str,
        request: &str,
        fen: u64,
        now: Timestamp,
        random: &mut Random,
    ) -> RefundQueryAnswer {
        if random.chance(4) {
            return RefundQueryAnswer::Unknown(unsettled(TroubleKind::Busy));
        }
        let Some(trade) = self.trades.get(number) else {
            return RefundQueryAnswer::Unknown(unsettled(TroubleKind::Unsettled));
        };
        let is_young = |at: &Timestamp| now.millis() - at.millis() < 10_000;
        let lags = self.nature.stale_queries
            && trade.refunded_at.get(request).is_some_and(is_young)
            && random.chance(50);
        match trade.refunds.get(request) {
            None => RefundQueryAnswer::NotDone,
            Some(_) if lags => RefundQueryAnswer::NotDone,
            Some(done) if *done == fen => RefundQueryAnswer::Done(Back::default()),
            Some(_) => RefundQueryAnswer::Foreign(unsettled(TroubleKind::Foreign)),
        }
    }
}

impl World {
    // --- the register ----------------------------------------------------------

    /// Some cashier asks for the money back before anybody knows whether there is any.
    pub(super) fn plan_hasty_refund(&mut self, number: &str) {
        if self.chaos && self.random.chance(3) {
            let fen = self.sales[self.sale_of[number]].amount.fen();
            let (number, request) = (number.to_owned(), "HASTY".to_owned());
            let at = self.random.below(60_000);
            self.after(at, Happening::Refund { number, request, fen });
        }
    }

    /// Whoever has paid may want some of it back, or all.
    pub(super) fn plan_refunds(&mut self, number: &str) {
        if !self.chaos || !self.random.chance(35) {
            return;
        }
        let paid = self.sales[self.sale_of[number]].amount.fen();
        for count in 0..=self.random.below(3) {
            let fen = if self.random.chance(40) { paid } else { 1 + self.random.below(paid) };
            let request = format!("R{count}");
            let ask = |fen| Happening::Refund {
                number: number.to_owned(),
                request: request.clone(),
                fen,
            };
            let at = self.random.below(60_000);
            self.after(at, ask(fen));
            for _ in 0..self.random.below(3) {
                let at = at + self.random.below(60_000);
                self.after(at, ask(fen));
            }
            // The same number by mistake.
            if self.random.chance(10) {
                let at = at + self.random.below(60_000);
                self.after(at, ask(fen + 1));
            }
        }
        if self.random.chance(10) {
            let (at, fen) = (self.random.below(60_000), 1 + self.random.below(paid));
            let what = Later::GiveBack { request: "in the merchant account".to_owned(), fen };
            self.after(at, Happening::Later { number: number.to_owned(), what });
        }
    }

    pub(super) fn ask_refund(&mut self, number: &str, request: &str, fen: u64) {
        let again = |world: &mut Self| {
            let (number, request) = (number.to_owned(), request.to_owned());
            world.after(5_000, Happening::Refund { number, request, fen });
        };
        if self.terminal.is_none() {
            return again(self);
        }
        self.say(format!("register asks for refund {request} of {number}: {fen} fen"));
        let refunds = self.refunds.disk.values().filter(|r| r.of().as_str() == number);
        let known = Known {
            number: self.disk.get(number).cloned(),
            refunds: refunds.cloned().collect(),
            ..Known::default()
        };
        let ask = RefundAsk {
            number: number.parse().expect("valid"),
            request: request.parse().expect("valid"),
            amount: crate::payment::Amount::from_fen(fen).expect("in range"),
            reason: None,
            operator_id: None,
        };
        let asked =
            Happening::Refund { number: number.to_owned(), request: request.to_owned(), fen };
        let id = crate::terminal::RequestId(self.last_request.0 + 1);
        self.refunds.asked.insert(id, asked);
        self.request(Request::Refund(Box::new(ask)), known);
    }

    pub(super) fn refund_replied(
        &mut self,
        id: crate::terminal::RequestId,
        reply: Result<&Refund, &Denied>,
    ) {
        let Some(asked) = self.refunds.asked.remove(&id) else { return };
        match reply {
            Ok(refund) => self.tell_refund(refund),
            Err(Denied::RefundInDoubt { .. }) => {
                self.ends.refunds_denied += 1;
                if self.chaos {
                    self.after(7_000, asked);
                }
            }
            Err(Denied::JournalUnavailable(_) | Denied::DoorClosed(_)) => self.after(5_000, asked),
            Err(_) => self.ends.refunds_denied += 1,
        }
    }

    // --- the disk and the network ------------------------------------------------

    pub(super) fn put_refund_on_disk(&mut self, refund: Refund) {
        let named = name(&refund);
        if let Some(earlier) = self.refunds.disk.get(&named)
            && earlier.asked().amount != refund.asked().amount
        {
            self.broke(format!("refund {named:?} has another amount now"));
        }
        self.refunds.disk.insert(named.clone(), refund);
        let of = |r: &&Refund| r.of().as_str() == named.0 && r.public() != RefundState::Refused;
        let all: u64 = self.refunds.disk.values().filter(of).map(|r| r.asked().amount.fen()).sum();
        let payment = self.disk.get(&named.0);
        let paid = payment.map_or(0, |payment| payment.order().amount.fen());
        let owing = payment.is_some_and(|payment| payment.state() == State::Owing);
        let settled = payment.is_some_and(Payment::is_final);
        if all > paid {
            self.broke(format!("{all} fen of {} are to go back", named.0));
        }
        if !owing && !settled {
            self.broke(format!("refund {named:?} of a payment that is not settled"));
        }
    }

    pub(super) fn send_refund(
        &mut self,
        call: Call,
        refund: &Refund,
        serial: crate::terminal::Serial,
    ) {
        let named = name(refund);
        if call == Call::Refund && self.refunds.disk.get(&named) != Some(refund) {
            self.broke(format!("refund {named:?} is sent before it is on disk"));
        }
        self.changes(&named.0, call, serial);
    }

    /// Two calls that may change one trade are never in flight at once.
    pub(super) fn changes(&mut self, number: &str, call: Call, serial: crate::terminal::Serial) {
        if matches!(call, Call::Query | Call::RefundQuery | Call::Precreate) {
            return;
        }
        if let Some(other) = self.refunds.changing.insert(number.to_owned(), serial) {
            self.broke(format!("{call:?} of {number} while {other:?} is in flight"));
        }
    }

    pub(super) fn came_back(&mut self, number: &str, serial: crate::terminal::Serial) {
        if self.refunds.changing.get(number) == Some(&serial) {
            self.refunds.changing.remove(number);
        }
    }

    pub(super) fn nothing_in_flight(&mut self) {
        self.refunds.changing.clear();
        self.refunds.asked.clear();
    }

    pub(super) fn refund_arrives(
        &mut self,
        call: Call,
        (number, request): &Named,
        fen: u64,
        now: Timestamp,
    ) -> (Answer, Option<(u64, Later)>) {
        let foreign = self.gateway.trades.get(number).is_some_and(|trade| trade.foreign);
        let had = self.gateway.left(number);
        let gateway = if self.strayed { &mut self.other } else { &mut self.gateway };
        let (answer, later) = match call {
            Call::Refund => {
                let (answer, later) = gateway.refund(number, request, fen, now, &mut self.random);
                (Answer::Refund(answer), later)
            }
            _ => {
                let answer = gateway.refund_query(number, request, fen, now, &mut self.random);
                (Answer::RefundQuery(answer), None)
            }
        };
        if self.gateway.left(number) != had {
            self.gave_back(number, request);
            if foreign && !self.cannot_be_told_apart(number) {
                self.broke(format!("{number} was somebody else's and was refunded"));
            }
        }
        (answer, later)
    }

    /// The gateway has given money back for a request.
    pub(super) fn gave_back(&mut self, number: &str, request: &str) {
        self.say(format!("gateway: {request} of {number} is given back"));
        let named = (number.to_owned(), request.to_owned());
        if self.refunds.told.get(&named) == Some(&RefundState::Refused) {
            self.broke(format!("refund {named:?} was told refused and is given back"));
        }
    }

    // --- the books ---------------------------------------------------------------

    pub(super) fn tell_refund(&mut self, refund: &Refund) {
        let named = name(refund);
        let state = refund.public();
        if !refund.is_final() {
            return;
        }
        if let Some(earlier) = self.refunds.told.insert(named.clone(), state) {
            if earlier != state {
                self.broke(format!("refund {named:?} was told {earlier:?} and then {state:?}"));
            }
            return;
        }
        self.say(format!("TOLD refund {named:?} {state:?}"));
        let done = self.is_given_back(refund);
        match state {
            RefundState::Refunded if refund.asked().cause.is_own() => self.ends.own_refunds += 1,
            RefundState::Refunded => self.ends.refunds += 1,
            _ => self.ends.refunds_refused += 1,
        }
        if refund.attention().is_some() {
            self.ends.refunds_elsewhere += 1;
        }
        if done != (state == RefundState::Refunded) && !self.cannot_be_told_apart(&named.0) {
            self.broke(format!("refund {named:?} is told {state:?}, given back: {done}"));
        }
    }

    fn is_given_back(&self, refund: &Refund) -> bool {
        let (number, request) = name(refund);
        let Some(trade) = self.gateway.trades.get(&number) else { return false };
        let by_request = trade.refunds.get(&request) == Some(&refund.asked().amount.fen());
        // What the terminal owed may have gone back by a cancel after all.
        let by_cancel = refund.asked().cause.is_own() && trade.status == Status::Refunded;
        by_request || by_cancel
    }

    /// Paid, whatever of it went back by refunds since.
    pub(super) fn is_paid(&self, number: &str) -> bool {
        let trade = self.gateway.trades.get(number).filter(|trade| !trade.foreign);
        trade.is_some_and(|trade| match trade.status {
            Status::Success => true,
            Status::Refunded => !trade.refunds.is_empty(),
            Status::Wait | Status::Closed => false,
        })
    }

    /// After the trouble is over: every refund is settled, and what was told adds up
    /// to what the gateway gave back.
    pub(super) fn compare_refunds(&mut self) {
        let refunds: Vec<Refund> = self.refunds.disk.values().cloned().collect();
        for refund in &refunds {
            let named = name(refund);
            let excused = self.cannot_be_told_apart(&named.0);
            let for_a_person = excused && refund.attention().is_some();
            if !refund.is_final() && !for_a_person {
                self.broke(format!("refund {named:?} hangs in {:?}", refund.stage()));
            }
            let done = self.is_given_back(refund);
            if refund.is_final() && done != (refund.public() == RefundState::Refunded) && !excused {
                self.broke(format!("refund {named:?} ended {:?}: {done}", refund.public()));
            }
        }
        let numbers: Vec<String> = self.gateway.trades.keys().cloned().collect();
        for number in numbers {
            let ours = |request: &String| {
                request != "in the merchant account"
                    && !self.refunds.disk.contains_key(&(number.clone(), request.clone()))
            };
            let unknown = self.gateway.trades[&number].refunds.keys().find(|r| ours(r)).cloned();
            if let Some(request) = unknown {
                self.broke(format!("{number} gave back {request}, and no refund tells of it"));
            }
        }
    }
}

pub(super) fn name(refund: &Refund) -> Named {
    (refund.of().to_string(), refund.asked().request.to_string())
}

/// The answer to a call that has none.
pub(super) fn no_answer_about_refund(call: Call, kind: TroubleKind) -> Answer {
    match call {
        Call::Refund => Answer::Refund(RefundAnswer::Unknown(unsettled(kind))),
        _ => Answer::RefundQuery(RefundQueryAnswer::Unknown(unsettled(kind))),
    }
}
