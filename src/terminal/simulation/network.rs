//! What goes out, what becomes of it on the way, and what comes back.

use super::bugs::reason;
use super::gateway::{Paying, Status, unsettled};
use super::refunds::{Named, name, no_answer_about_refund};
use super::world::{Happening, World};
use crate::payment::{
    Answer, Answered, AuthCode, Call, CancelAnswer, PayAnswer, Payment, PrecreateAnswer,
    QueryAnswer, Refund, State, Timestamp, TroubleKind, Wire,
};
use crate::terminal::{Serial, Subject};

const REQUEST_TIMEOUT: i64 = 10_000;

impl World {
    pub(super) fn send(
        &mut self,
        call: Call,
        payment: &Payment,
        serial: Serial,
        code: Option<&AuthCode>,
        subject: Subject,
    ) {
        let number = payment.order().out_trade_no.to_string();
        let Some(offer) = payment.offer() else {
            return self.broke(format!("{call:?} of {number}, which has no offer"));
        };
        let paying = Paying {
            amount: payment.order().amount,
            expires: offer.time_expire,
            tag: offer.tag.map(|tag| tag.to_string()),
        };
        self.changes(&number, call, serial);
        if matches!(subject, Subject::Payment(_)) {
            self.in_flight.insert(number.clone(), serial);
        }
        if self.never_leaves(call, &subject, serial) {
            return;
        }
        if matches!(call, Call::Pay | Call::Precreate) {
            let on_disk = self.disk.get(&number).map(Payment::state);
            let cached = self.cache.iter().any(|p| p.order().out_trade_no.as_str() == number);
            let expected = match call {
                Call::Pay => State::Paying,
                _ => State::Precreating,
            };
            if on_disk != Some(expected) && !cached {
                self.broke(format!("pay of {number} sent while the journal says {on_disk:?}"));
            }
            if let Some(wrong) = code.and_then(|code| self.shown.sent(code.reveal(), &number)) {
                self.broke(wrong);
            }
            let sent = self.pays_sent.entry(number.clone()).or_default();
            *sent += 1;
            if *sent > 1 {
                self.broke(format!("pay of {number} sent twice"));
            }
        }
        if let Some(travels) = self.travels(call, &subject, serial) {
            let reply = (self.life, serial);
            self.after(travels, Happening::Arrive { subject, call, paying, reply });
        }
    }

    /// The network is not always as good as at calm times.
    fn is_rough(&self) -> bool {
        self.chaos && self.now >= self.calm_until
    }

    fn answers_later(&mut self, wait: u64, answer: Answer, subject: &Subject, serial: Serial) {
        let answered = Answered { answer, gateway_time: None, wire: Wire::default() };
        let (life, subject, answered) = (self.life, subject.clone(), Box::new(answered));
        self.after(wait, Happening::Answer { life, subject, serial, answered });
    }

    /// True for a call that never leaves the box, which is told a little later.
    fn never_leaves(&mut self, call: Call, subject: &Subject, serial: Serial) -> bool {
        let offline = self.now < self.network_from;
        let stays = offline || (self.is_rough() && self.random.chance(8));
        if stays {
            let wait = self.random.below(if offline { 500 } else { 3_000 });
            self.answers_later(wait, never_left(call), subject, serial);
        }
        stays
    }

    /// How long a call travels that has left; nothing if it is lost on the way. No
    /// answer in time is an answer, too.
    fn travels(&mut self, call: Call, subject: &Subject, serial: Serial) -> Option<u64> {
        let silence = no_answer(call, TroubleKind::NoAnswer);
        self.answers_later(REQUEST_TIMEOUT.unsigned_abs(), silence, subject, serial);
        let rough = self.is_rough();
        if rough && self.random.chance(6) {
            return None;
        }
        Some(match self.random.below(100) {
            0..8 if rough => self.random.below(240_000),
            _ => 20 + self.random.below(900),
        })
    }

    pub(super) fn arrive(
        &mut self,
        subject: Subject,
        call: Call,
        paying: &Paying,
        (life, serial): (u32, Serial),
    ) {
        let (Subject::Payment(number) | Subject::Refund(number)) = &subject;
        let number = &number.to_string();
        let now = self.gateway_now();
        let calm = self.now < self.calm_until;
        let before = self.gateway.trades.get(number).map(|t| t.status);
        let gateway = if self.strayed { &mut self.other } else { &mut self.gateway };
        let mut later = None;
        let answer = match call {
            Call::Pay => {
                let (answer, then) = gateway.pay(number, paying, now, &mut self.random);
                later = then;
                Answer::Pay(answer)
            }
            Call::Precreate => {
                let (answer, then) = gateway.precreate(number, paying, now, &mut self.random);
                if let PrecreateAnswer::Made { .. } = answer {
                    self.ends.shown += 1;
                }
                later = then;
                Answer::Precreate(answer)
            }
            Call::Query => {
                self.arrived.insert(serial, now);
                Answer::Query(gateway.query(number, paying.amount, now, calm, &mut self.random))
            }
            Call::Refund | Call::RefundQuery => unreachable!("refunds have a way of their own"),
            Call::Cancel => {
                let (answer, foreign) = gateway.cancel(number, now, &mut self.random);
                if foreign && !self.cannot_be_told_apart(number) {
                    self.broke(format!("{number} was somebody else's and was cancelled"));
                } else if foreign {
                    self.excused.insert(number.clone());
                }
                Answer::Cancel(answer)
            }
        };
        if let Some((wait, what)) = later.filter(|_| !self.strayed) {
            self.after(wait, Happening::Later { number: number.clone(), what });
        }
        self.say(format!("gateway: {call:?} of {number}: {answer:?}"));
        let after = self.gateway.trades.get(number).map(|t| t.status);
        if before != Some(Status::Success) && after == Some(Status::Success) {
            if self.random.chance(25)
                && let Some(trade) = self.gateway.trades.get_mut(number)
            {
                trade.finished = true;
                trade.locked = self.random.chance(50);
            }
            self.charged(number);
        }
        let undone = call == Call::Cancel && before == Some(Status::Success);
        if undone && after == Some(Status::Refunded) && self.told.get(number) == Some(&State::Paid)
        {
            self.broke(format!("{number} was told paid and then given back"));
        }
        self.answer(call, answer, subject, (life, serial), now);
    }

    /// The reply is on its way, or what comes in its place.
    fn answer(
        &mut self,
        call: Call,
        mut answer: Answer,
        subject: Subject,
        (life, serial): (u32, Serial),
        now: Timestamp,
    ) {
        let calm = self.now < self.calm_until;
        let nature = self.gateway.nature;
        let date = Timestamp(now.millis() + nature.date_lies_by);
        let mut gateway_time = (!nature.dateless).then_some(date);
        if self.chaos && !calm {
            match self.random.below(100) {
                0..6 => return, // the reply is lost
                6..9 => {
                    // Somebody forges a reply: unverified, whatever it says.
                    answer = no_answer(call, TroubleKind::Unverified);
                    gateway_time = None;
                }
                // A verified reply to another request comes in its place: about
                // another number, or from the front door, which names none.
                9..11 => answer = no_answer(call, TroubleKind::Foreign),
                11..14 => answer = refused_at_the_door(call),
                _ => {}
            }
        }
        let answered = Box::new(Answered { answer, gateway_time, wire: Wire::default() });
        let wait = 20 + self.random.below(900);
        self.after(wait, Happening::Answer { life, subject, serial, answered });
    }

    pub(super) fn send_about_refund(&mut self, call: Call, refund: &Refund, serial: Serial) {
        let subject = Subject::Refund(refund.of().clone());
        if call == Call::Query {
            return self.send(call, &refund.asked().payment, serial, None, subject);
        }
        let named = name(refund);
        self.send_refund(call, refund, serial);
        if self.never_leaves(call, &subject, serial) {
            return;
        }
        if let Some(travels) = self.travels(call, &subject, serial) {
            let (fen, reply) = (refund.asked().amount.fen(), (self.life, serial));
            self.after(travels, Happening::ArriveRefund { named, call, fen, reply });
        }
    }

    pub(super) fn arrive_refund(
        &mut self,
        call: Call,
        named: Named,
        fen: u64,
        reply: (u32, Serial),
    ) {
        let now = self.gateway_now();
        let (answer, later) = self.refund_arrives(call, &named, fen, now);
        if let Some((wait, what)) = later.filter(|_| !self.strayed) {
            self.after(wait, Happening::Later { number: named.0.clone(), what });
        }
        self.say(format!("gateway: {call:?} of {named:?}: {answer:?}"));
        let subject = Subject::Refund(named.0.parse().expect("valid"));
        self.answer(call, answer, subject, reply, now);
    }
}

fn refused_at_the_door(call: Call) -> Answer {
    match call {
        Call::Pay => Answer::Pay(PayAnswer::Refused(reason("isv.invalid-parameter"))),
        Call::Precreate => {
            Answer::Precreate(PrecreateAnswer::Refused(reason("isv.invalid-parameter")))
        }
        Call::Query | Call::Cancel | Call::Refund | Call::RefundQuery => {
            no_answer(call, TroubleKind::Refused)
        }
    }
}

fn never_left(call: Call) -> Answer {
    match call {
        Call::Pay => Answer::Pay(PayAnswer::NotSent(unsettled(TroubleKind::Unreachable))),
        Call::Precreate => {
            Answer::Precreate(PrecreateAnswer::NotSent(unsettled(TroubleKind::Unreachable)))
        }
        Call::Query | Call::Cancel | Call::Refund | Call::RefundQuery => {
            no_answer(call, TroubleKind::Unreachable)
        }
    }
}

fn no_answer(call: Call, kind: TroubleKind) -> Answer {
    match call {
        Call::Pay => Answer::Pay(PayAnswer::Unknown(unsettled(kind))),
        Call::Precreate => Answer::Precreate(PrecreateAnswer::Unknown(unsettled(kind))),
        Call::Query => Answer::Query(QueryAnswer::Unknown(unsettled(kind))),
        Call::Cancel => Answer::Cancel(CancelAnswer::Unknown(unsettled(kind))),
        Call::Refund | Call::RefundQuery => no_answer_about_refund(call, kind),
    }
}
