//! The refunds of this box: may one begin, and what happens to those that are
//! open. One at a time is open of a payment, so no two calls about one trade are
//! ever in flight that could change it.

use super::machine::Machine;
use super::open::{Asking, Happening, started};
use super::slot::{Asked, Done, Led, Slot};
use super::{Ahead, Denied, Known, LostTrack, Matter, Output, RefundAsk, Reply, RequestId, Serial};
use super::{Subject, Terminal, Ticket};
use crate::payment::{
    Answered, Exceeds, Fen, Happened, Moment, OutTradeNo, Payment, Public, Refund, RefundCause,
    RefundRequest, RefundSum, Timestamp,
};

/// Something that wants to happen to a refund.
#[derive(Debug)]
pub(super) enum Wants {
    /// The register asked for it just now.
    Requested(Asking),
    /// The terminal owes it.
    Owed,
    /// The same request once more, while the first was being written.
    Again(RequestId),
    /// The daemon was down.
    Restarted,
    /// Something may be due.
    Due,
    /// A call was answered.
    Answered(Serial, Box<Answered>),
}

/// A refund that is not final.
#[derive(Debug)]
pub(super) struct OpenRefund {
    pub(super) slot: Slot<Refund, Wants>,
    /// Under which deadline the terminal has listed it.
    pub(super) listed: Option<Timestamp>,
}

/// What becomes of something that wants to happen.
enum Admitted {
    Nothing,
    Stands(RequestId),
    Event(Box<Happened>, Asked),
}

/// The guards that a test of the simulation takes away, one at a time.
struct Planted {
    refunds_in_doubt: bool,
    open_not_counted: bool,
}

impl Terminal {
    /// A request to give money back.
    pub(super) fn refund(
        &mut self,
        asking: Asking,
        ask: &RefundAsk,
        known: &Known,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), LostTrack> {
        let number = ask.number.clone();
        let reply = match self.same_refund(ask, known) {
            Some(Ok(refund)) => Reply::Refund { refund: refund.into(), started: false },
            Some(Err(denied)) => Reply::Denied(denied),
            None => match self.may_refund(ask, known, now) {
                Ok(asked) => {
                    self.begin_refund(Refund::requested(asked, now));
                    return self.refund_wants(&number, Wants::Requested(asking), now, out);
                }
                // Its first entry is being written; nobody is told before.
                Err(Denied::RefundInDoubt { request }) if request == ask.request => {
                    return self.refund_wants(&number, Wants::Again(asking.id), now, out);
                }
                Err(denied) => Reply::Denied(denied),
            },
        };
        out.push(Output::Reply { id: asking.id, reply });
        Ok(())
    }

    /// The refund that this request has asked for before, as it is on disk.
    fn same_refund(&self, ask: &RefundAsk, known: &Known) -> Option<Result<Refund, Denied>> {
        let is_meant = |refund: &Refund| refund.asked().request == ask.request;
        let open = self.refunds.get(&ask.number).map(|open| &open.slot);
        let (latest, on_disk) = match open.filter(|slot| is_meant(slot.latest())) {
            Some(slot) => (slot.latest(), slot.disk()),
            None => {
                let found = known.refunds.iter().find(|refund| is_meant(refund))?;
                (found, Some(found))
            }
        };
        if latest.asked().amount != ask.amount {
            let (request, amount) = (ask.request.clone(), latest.asked().amount);
            return Some(Err(Denied::RefundConflict { request, amount }));
        }
        on_disk.cloned().map(Ok)
    }

    /// Whether a refund may begin, and what is asked for.
    fn may_refund(
        &self,
        ask: &RefundAsk,
        known: &Known,
        now: Moment,
    ) -> Result<RefundRequest, Denied> {
        let open = self.open.get(&ask.number).map(|open| open.slot.machine());
        let payment: &Payment = open.or(known.number.as_ref()).ok_or(Denied::NotFound)?;
        let planted = self.planted();
        match payment.public() {
            Public::Paid => {}
            Public::Declined | Public::Cancelled => {
                return Err(Denied::NotPaid(payment.clone().into()));
            }
            Public::AwaitingCode
            | Public::Processing
            | Public::AwaitingBuyer
            | Public::Cancelling => {
                if !planted.refunds_in_doubt {
                    return Err(Denied::PaymentInDoubt(payment.clone().into()));
                }
            }
        }
        if self.is_of_other_account(payment) {
            return Err(Denied::OtherAccount(payment.clone().into()));
        }
        let in_doubt = self.refunds.get(&ask.number).map(|open| open.slot.latest());
        let in_doubt = in_doubt.or_else(|| known.refunds.iter().find(|r| !r.is_final()));
        if let Some(refund) = in_doubt.filter(|_| !planted.open_not_counted) {
            return Err(Denied::RefundInDoubt { request: refund.asked().request.clone() });
        }
        let counted = |refund: &&Refund| refund.is_final() || !planted.open_not_counted;
        let sum = RefundSum::of(known.refunds.iter().filter(counted));
        let exceeds =
            |Exceeds { left }| Denied::RefundExceeds { left, payment: payment.clone().into() };
        sum.allows(ask.amount, payment).map_err(exceeds)?;
        self.is_open_for_business()?;
        Ok(RefundRequest {
            payment: payment.clone(),
            request: ask.request.clone(),
            amount: ask.amount,
            reason: ask.reason.clone(),
            operator_id: ask.operator_id.clone(),
            cause: RefundCause::Register,
            before: sum.refunded.amount,
            created_at: now.wall,
        })
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, reason = "as in tests, where a bug may be planted")]
    fn planted(&self) -> Planted {
        Planted { refunds_in_doubt: false, open_not_counted: false }
    }

    #[cfg(test)]
    fn planted(&self) -> Planted {
        use super::simulation::Bug;
        Planted {
            refunds_in_doubt: self.bug == Some(Bug::RefundsInDoubt),
            open_not_counted: self.bug == Some(Bug::OpenNotCounted),
        }
    }

    fn begin_refund(&mut self, refund: Refund) {
        let number = refund.of().clone();
        self.refunds.insert(number, OpenRefund { slot: Slot::new(refund), listed: None });
    }

    /// Takes over the refunds that were open when the daemon last ended, and those
    /// of open payments, which wait for their end.
    pub(super) fn recover_refunds(
        &mut self,
        refunds: Vec<Refund>,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), LostTrack> {
        for refund in refunds {
            let number = refund.of().clone();
            if refund.is_final() {
                self.came_to_its_end(&refund, now, out)?;
            } else {
                self.begin_refund(refund);
                self.refund_wants(&number, Wants::Restarted, now, out)?;
            }
        }
        let owing: Vec<_> = self.open.keys().cloned().collect();
        owing.iter().try_for_each(|number| self.give_back(number, now, out))
    }

    /// What a payment owes goes back by a refund of its own, under the number that
    /// is the same after any crash (rule 15).
    pub(super) fn give_back(
        &mut self,
        number: &OutTradeNo,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), LostTrack> {
        let Some(open) = self.open.get(number) else { return Ok(()) };
        let is_told = |wants: &Happening| matches!(wants, Happening::GaveBack(_));
        let waits =
            open.is_owing() && !open.slot.is_writing() && !open.slot.inbox.iter().any(is_told);
        if !waits || self.refunds.contains_key(number) {
            return Ok(());
        }
        let refund = Refund::own(open.payment().clone(), RefundCause::Undo, Fen(0), now);
        self.begin_refund(refund);
        self.refund_wants(number, Wants::Owed, now, out)
    }

    /// A refund is over, and a payment may wait for that.
    fn came_to_its_end(
        &mut self,
        refund: &Refund,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), LostTrack> {
        let how = match (refund.asked().cause, refund.refusal()) {
            (RefundCause::Undo, None) => Ok(()),
            (RefundCause::Undo, Some(reason)) => Err(reason.clone()),
            (RefundCause::Register | RefundCause::Late | RefundCause::Bill, _) => return Ok(()),
        };
        self.happen(refund.of(), Happening::GaveBack(how), now, out)
    }

    /// One refund's event, now or once its entry in the making is on disk.
    pub(super) fn refund_wants(
        &mut self,
        number: &OutTradeNo,
        wants: Wants,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), LostTrack> {
        if let Some(open) = self.refunds.get_mut(number) {
            open.slot.inbox.push_back(wants);
        }
        self.work_off_refund(number, now, out)
    }

    /// Works off a refund's inbox until it has an entry to write, or nothing.
    pub(super) fn work_off_refund(
        &mut self,
        number: &OutTradeNo,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), LostTrack> {
        while let Some(wants) = self.refunds.get_mut(number).and_then(|o| o.slot.next_up(now)) {
            let (ticket, serial) = (Ticket(self.fresh()), Serial(self.fresh()));
            let Some(open) = self.refunds.get_mut(number) else { return Ok(()) };
            match open.admit(wants, now) {
                Admitted::Nothing => {}
                Admitted::Stands(id) => {
                    let refund = open.slot.machine().clone().into();
                    let reply = Reply::Refund { refund, started: false };
                    out.push(Output::Reply { id, reply });
                }
                Admitted::Event(event, asked) => {
                    #[cfg(test)]
                    let next = match self.bug {
                        Some(bug) => bug.refund_step(open.slot.machine(), &event, now)?.into(),
                        None => Machine::step(open.slot.machine(), &event, now, &self.rules)?,
                    };
                    #[cfg(not(test))]
                    let next = Machine::step(open.slot.machine(), &event, now, &self.rules)?;
                    match open.slot.go_on(ticket, serial, next, *event, asked) {
                        Led::Write { entry, call } => {
                            let ahead = call.map(|call| Ahead { serial, call, code: None });
                            self.writing.insert(ticket, Subject::Refund(number.clone()));
                            out.push(Output::Write { ticket, entry, ahead });
                        }
                        Led::Send(call) => {
                            let about = Matter::Refund(open.slot.machine().clone());
                            out.push(Output::Send { serial, call, about, code: None });
                        }
                        Led::Nothing => {}
                    }
                }
            }
        }
        let Some(open) = self.refunds.get_mut(number) else { return Ok(()) };
        let due = open.slot.due();
        self.agenda.list(&Subject::Refund(number.clone()), &mut open.listed, due);
        Ok(())
    }

    pub(super) fn refund_written(
        &mut self,
        number: &OutTradeNo,
        ticket: Ticket,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), LostTrack> {
        if let Some(open) = self.refunds.get_mut(number) {
            open.written(ticket, out);
        }
        self.work_off_refund(number, now, out)?;
        let done = self.refunds.get(number).filter(|open| open.slot.is_done());
        let Some(refund) = done.map(|open| open.slot.machine().clone()) else { return Ok(()) };
        self.forget_refund(number);
        self.came_to_its_end(&refund, now, out)
    }

    pub(super) fn refund_not_written(
        &mut self,
        number: &OutTradeNo,
        ticket: Ticket,
        why: &str,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), LostTrack> {
        let gone =
            self.refunds.get_mut(number).is_some_and(|o| o.not_written(ticket, why, now, out));
        if gone {
            self.forget_refund(number);
        }
        self.work_off_refund(number, now, out)
    }

    fn forget_refund(&mut self, number: &OutTradeNo) {
        if let Some(mut open) = self.refunds.remove(number) {
            self.agenda.list(&Subject::Refund(number.clone()), &mut open.listed, None);
        }
    }
}

impl OpenRefund {
    fn admit(&self, wants: Wants, now: Moment) -> Admitted {
        let event = |event, asked| Admitted::Event(Box::new(event), asked);
        match wants {
            Wants::Requested(asking) => event(Happened::Requested, started(asking)),
            Wants::Owed => event(Happened::Requested, Asked::default()),
            Wants::Again(id) => Admitted::Stands(id),
            Wants::Restarted => event(Happened::Restarted, Asked::default()),
            Wants::Due if self.slot.machine().due().is_some_and(|due| due <= now.steady) => {
                event(Happened::Due, Asked::default())
            }
            Wants::Answered(serial, answered) if self.slot.awaits(serial) => {
                event(Happened::Answered(*answered), Asked::default())
            }
            Wants::Due | Wants::Answered(..) => Admitted::Nothing,
        }
    }

    /// The entry is on disk: act on it, and tell.
    fn written(&mut self, ticket: Ticket, out: &mut Vec<Output>) {
        let Some(Done { call, asked }) = self.slot.written(ticket) else { return };
        let refund = self.slot.machine();
        if let Some((serial, call)) = call {
            let about = Matter::Refund(refund.clone());
            out.push(Output::Send { serial, call, about, code: None });
        }
        if let Some(id) = asked.started {
            let reply = Reply::Refund { refund: refund.clone().into(), started: true };
            out.push(Output::Reply { id, reply });
        }
    }

    /// The entry is not on disk: nothing of it has happened. Who asked is told so;
    /// what the world did is tried again. True when the refund was new, and so does
    /// not exist.
    fn not_written(
        &mut self,
        ticket: Ticket,
        why: &str,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(writing) = self.slot.not_written(ticket, now) else { return false };
        let mut deny = |id: RequestId| {
            let reply = Reply::Denied(Denied::JournalUnavailable(why.to_owned()));
            out.push(Output::Reply { id, reply });
        };
        writing.asked.started.into_iter().for_each(&mut deny);
        self.slot.inbox.retain(|wants| match wants {
            Wants::Again(id) => {
                deny(*id);
                false
            }
            Wants::Requested(_)
            | Wants::Owed
            | Wants::Restarted
            | Wants::Due
            | Wants::Answered(..) => true,
        });
        if self.slot.disk().is_none() {
            if !self.slot.machine().asked().cause.is_own() {
                return true;
            }
            // Nobody asks for it again but the terminal itself.
            self.slot.stall(now);
            self.slot.inbox.push_front(Wants::Owed);
            return false;
        }
        let again = match writing.event {
            Happened::Answered(answered) => {
                self.slot.in_flight().map(|serial| Wants::Answered(serial, answered.into()))
            }
            Happened::Restarted => Some(Wants::Restarted),
            Happened::Due => Some(Wants::Due),
            Happened::Requested => None,
        };
        if let Some(again) = again {
            self.slot.inbox.push_front(again);
        }
        false
    }
}
