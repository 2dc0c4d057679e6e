//! All payments of this box: admits or denies requests, and turns what happens
//! into journal entries and calls. As pure as [`crate::payment`].
//!
//! ```text
//!   Input ──▶ handle ──▶ Write ──(on disk)──▶ Written ──▶ handle ──▶ Send, Reply
//! ```
//!
//! There is one order of things and no way around it: what happened becomes an
//! entry; once the entry is on disk, its call is sent and its request answered.
//! While a payment's entry is being written, whatever else happens to that
//! payment waits in its inbox; other payments go on, so that their entries can
//! share an fsync.

mod admit;
mod request;
mod slot;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use crate::payment::{
    Answer, Answered, AuthCode, CancelAnswer, Entry, Event, Illegal, Moment, OutTradeNo, PayAnswer,
    Payment, QueryAnswer, Rules, ScannerNews, SecretText, Timestamp, Trouble, TroubleKind,
};
use slot::{Happening, Slot};

pub use request::{Denied, Known, PayRequest, Reply, Request};

/// Names a request while its answer is being worked out.
pub type RequestId = u64;
/// Names an entry while it is being written.
pub type Ticket = u64;
/// Names a call while its answer is awaited.
pub type Serial = u64;

/// Everything that can happen to the terminal.
#[derive(Debug)]
pub enum Input {
    /// The register asks.
    Request {
        /// To whom the reply goes.
        id: RequestId,
        /// What is asked.
        request: Request,
        /// What the journal knows of the number and the sale, read now.
        known: Box<Known>,
    },
    /// A scanner read something.
    Scan {
        /// Which scanner.
        scanner: String,
        /// What it read.
        text: SecretText,
        /// The AIM symbology identifier, if it came with one.
        aim: Option<String>,
        /// When its first character came (steady clock).
        started_at: Timestamp,
    },
    /// A scanner came or went.
    News {
        /// Which scanner.
        scanner: String,
        /// What happened to it.
        news: ScannerNews,
    },
    /// A call was answered, or will never be.
    Answered {
        /// The payment.
        number: OutTradeNo,
        /// Which call; the answer to any other but the one in flight is none.
        serial: Serial,
        /// The answer.
        answered: Box<Answered>,
    },
    /// An entry is on disk.
    Written(Ticket),
    /// An entry is certainly not on disk, and why.
    NotWritten(Ticket, String),
    /// The gateway was asked about nothing that concerns a payment, and this is
    /// what came of it.
    Heard(Box<Answer>),
    /// The journal can be written, or cannot.
    Journal(Result<(), String>),
    /// The box's clock will do, or the gateway would refuse what it dates; why.
    Clock(Result<(), String>),
    /// A new version waits to take over: finish what is open and begin nothing
    /// new; or all is as usual again.
    Drain(bool),
    /// Something may be due.
    Tick,
    /// The daemon is stopping: begin nothing new.
    Stop,
}

/// What the terminal wants done.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "short-lived")]
pub enum Output {
    /// Write this entry, and say whether it is on disk.
    Write {
        /// To be named in [`Input::Written`] or [`Input::NotWritten`].
        ticket: Ticket,
        /// The entry.
        entry: Entry,
    },
    /// Send this call. What it needs is on disk.
    Send {
        /// To be named in [`Input::Answered`].
        serial: Serial,
        /// Which call.
        call: crate::payment::Call,
        /// The payment, as it is on disk.
        payment: Payment,
        /// The buyer's code, with a pay.
        code: Option<AuthCode>,
    },
    /// Answer the register. All of it is on disk.
    Reply {
        /// To which request.
        id: RequestId,
        /// What to say.
        reply: Reply,
    },
}

/// All payments of this box that are not final.
#[derive(Debug)]
pub struct Terminal {
    rules: Rules,
    scanners: Vec<String>,
    open: BTreeMap<OutTradeNo, Slot>,
    writing: HashMap<Ticket, OutTradeNo>,
    journal: Result<(), String>,
    clock: Result<(), String>,
    draining: bool,
    gateway_up: Option<bool>,
    stopping: bool,
    last_number: u64,
    #[cfg(test)]
    bug: Option<simulation::Bug>,
}

impl Terminal {
    /// A terminal without payments.
    #[must_use]
    pub fn new(rules: Rules, scanners: Vec<String>) -> Self {
        Self {
            rules,
            scanners,
            open: BTreeMap::new(),
            writing: HashMap::new(),
            journal: Ok(()),
            clock: Ok(()),
            draining: false,
            gateway_up: None,
            stopping: false,
            last_number: 0,
            #[cfg(test)]
            bug: None,
        }
    }

    /// Takes over the payments that were open when the daemon last ended. Each
    /// is told of the restart like of anything else; there is no other recovery.
    ///
    /// # Errors
    ///
    /// [`Illegal`] never, unless the journal holds a final payment as open.
    pub fn recover(&mut self, open: Vec<Payment>, now: Moment) -> Result<Vec<Output>, Illegal> {
        let mut out = Vec::new();
        for payment in open {
            let number = payment.order.out_trade_no.clone();
            self.open.insert(number.clone(), Slot::on_disk(payment, now));
            self.happen(&number, Happening::Restarted, now, &mut out)?;
        }
        Ok(out)
    }

    /// Decides what `input` leads to.
    ///
    /// # Errors
    ///
    /// [`Illegal`] when something happened to a payment that cannot happen: the
    /// terminal has lost track of it, and the daemon has to stop.
    pub fn handle(&mut self, input: Input, now: Moment) -> Result<Vec<Output>, Illegal> {
        let mut out = Vec::new();
        match input {
            Input::Request { id, request, known } => {
                self.request(id, request, &known, now, &mut out)?;
            }
            Input::Scan { scanner, text, aim, started_at } => {
                self.scan(&scanner, &text, aim, started_at, now, &mut out)?;
            }
            Input::News { scanner, news } => {
                self.note(Entry::Scanner { scanner, news }, &mut out);
            }
            Input::Answered { number, serial, answered } => {
                self.watch_gateway(&answered.answer, &mut out);
                self.happen(&number, Happening::Answered(serial, answered), now, &mut out)?;
            }
            Input::Written(ticket) => self.written(ticket, now, &mut out)?,
            Input::NotWritten(ticket, why) => self.not_written(ticket, &why, now, &mut out)?,
            Input::Heard(answer) => self.watch_gateway(&answer, &mut out),
            Input::Journal(state) => self.journal = state,
            Input::Clock(state) => self.clock = state,
            Input::Drain(draining) => self.draining = draining,
            Input::Tick => self.tick(now, &mut out)?,
            Input::Stop => self.stopping = true,
        }
        Ok(out)
    }

    /// When something is due next (steady clock).
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.open.values().filter_map(Slot::due).min()
    }

    /// How many payments are not final.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    fn tick(&mut self, now: Moment, out: &mut Vec<Output>) -> Result<(), Illegal> {
        let due = |slot: &Slot| slot.due().is_some_and(|due| due <= now.steady);
        let numbers: Vec<_> =
            self.open.iter().filter(|(_, s)| due(s)).map(|(n, _)| n.clone()).collect();
        for number in numbers {
            if self.open.get(&number).is_some_and(Slot::is_stalled) {
                self.work_off(&number, now, out)?;
            } else {
                self.happen(&number, Happening::Due, now, out)?;
            }
        }
        Ok(())
    }

    /// One payment's event, now or once its entry in the making is on disk.
    fn happen(
        &mut self,
        number: &OutTradeNo,
        happening: Happening,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), Illegal> {
        if let Some(slot) = self.open.get_mut(number) {
            slot.inbox.push_back(happening);
        }
        self.work_off(number, now, out)
    }

    /// Works off a payment's inbox until it has an entry to write, or nothing.
    fn work_off(
        &mut self,
        number: &OutTradeNo,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), Illegal> {
        while let Some(happening) = self.open.get_mut(number).and_then(|s| s.next_up(now)) {
            let step = match self.open.get_mut(number) {
                Some(slot) => slot.admit(happening, now),
                None => return Ok(()),
            };
            match step {
                slot::Admitted::Nothing => {}
                slot::Admitted::Reply(id, reply) => out.push(Output::Reply { id, reply }),
                slot::Admitted::Scan(entry) => self.note(entry, out),
                slot::Admitted::Event(event, asked) => {
                    let Some(slot) = self.open.get(number) else { return Ok(()) };
                    let stepped = self.step(&slot.payment, &event, now)?;
                    let ticket = self.fresh();
                    self.writing.insert(ticket, number.clone());
                    if let Some(slot) = self.open.get_mut(number) {
                        let entry = slot.write(ticket, stepped, event, asked);
                        out.push(Output::Write { ticket, entry });
                    }
                }
            }
        }
        Ok(())
    }

    fn step(
        &self,
        payment: &Payment,
        event: &Event,
        now: Moment,
    ) -> Result<crate::payment::Stepped, Illegal> {
        #[cfg(test)]
        if let Some(bug) = self.bug {
            return bug.step(payment, event, now, &self.rules);
        }
        payment.step(event, now, &self.rules)
    }

    fn written(
        &mut self,
        ticket: Ticket,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), Illegal> {
        let Some(number) = self.writing.remove(&ticket) else { return Ok(()) };
        let serial = self.fresh();
        if let Some(slot) = self.open.get_mut(&number) {
            slot.written(ticket, serial, out);
        }
        self.work_off(&number, now, out)?;
        if self.open.get(&number).is_some_and(Slot::is_done) {
            self.open.remove(&number);
        }
        Ok(())
    }

    fn not_written(
        &mut self,
        ticket: Ticket,
        why: &str,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), Illegal> {
        let Some(number) = self.writing.remove(&ticket) else { return Ok(()) };
        let gone = self.open.get_mut(&number).is_some_and(|s| s.not_written(ticket, why, now, out));
        if gone {
            self.open.remove(&number);
        }
        self.work_off(&number, now, out)
    }

    /// Writes down what concerns no payment. If it cannot be written it is lost,
    /// which costs nobody money.
    fn note(&mut self, entry: Entry, out: &mut Vec<Output>) {
        let ticket = self.fresh();
        out.push(Output::Write { ticket, entry });
    }

    fn fresh(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Tells when the gateway stops or starts to answer.
    fn watch_gateway(&mut self, answer: &Answer, out: &mut Vec<Output>) {
        let silent = match trouble(answer) {
            Some(trouble) => match trouble.kind {
                TroubleKind::Unreachable | TroubleKind::NoAnswer => Some(trouble.text.clone()),
                // Somebody answered, but nobody knows who.
                TroubleKind::Unverified => return,
                TroubleKind::Busy
                | TroubleKind::Refused
                | TroubleKind::Unsettled
                | TroubleKind::Foreign
                | TroubleKind::Restart => None,
            },
            None => None,
        };
        let up = silent.is_none();
        if self.gateway_up != Some(up) {
            self.gateway_up = Some(up);
            let entry = Entry::Gateway { up, text: silent.unwrap_or_default() };
            self.note(entry, out);
        }
    }
}

/// What is wrong with an answer, if something is.
fn trouble(answer: &Answer) -> Option<&Trouble> {
    match answer {
        Answer::Pay(answer) => match answer {
            PayAnswer::NotSent(t) | PayAnswer::Foreign(t) | PayAnswer::Unknown(t) => Some(t),
            PayAnswer::Paid(_)
            | PayAnswer::Waiting(_)
            | PayAnswer::Declined(_)
            | PayAnswer::Refused(_) => None,
        },
        Answer::Query(answer) => match answer {
            QueryAnswer::Foreign(t) | QueryAnswer::Unknown(t) => Some(t),
            QueryAnswer::Paid(_)
            | QueryAnswer::Waiting(_)
            | QueryAnswer::Closed { .. }
            | QueryAnswer::NotExist => None,
        },
        Answer::Cancel(answer) => match answer {
            CancelAnswer::Unknown(t) => Some(t),
            CancelAnswer::Closed(_)
            | CancelAnswer::Refunded(_)
            | CancelAnswer::NoAction
            | CancelAnswer::Refused(_) => None,
        },
    }
}
