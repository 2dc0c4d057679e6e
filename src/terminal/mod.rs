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
mod scan;
mod sights;
mod slot;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::payment::{
    Answer, Answered, AuthCode, CodeKey, CodeMark, Entry, Event, Illegal, Moment, OutTradeNo,
    Payment, Rules, ScaleLabels, ScannerNews, SecretText, Timestamp, TroubleKind,
};
use sights::Sights;
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
        /// The payment that last took this code, as the journal knows it now
        /// ([`Terminal::mark_of_scan`]).
        known: Option<Box<Payment>>,
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

/// How codes are told apart and known again.
#[derive(Clone, Debug)]
pub struct Codes {
    /// Marks codes, so that they are known when they are shown again.
    pub key: CodeKey,
    /// The shop's scales, if they print labels that look like payment codes.
    pub labels: ScaleLabels,
}

/// All payments of this box that are not final.
#[derive(Debug)]
pub struct Terminal {
    rules: Rules,
    codes: Codes,
    scanners: Vec<String>,
    /// The scanners that are known to be unplugged, or not to be read.
    absent: BTreeSet<String>,
    sights: Sights,
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
    pub fn new(rules: Rules, codes: Codes, scanners: Vec<String>) -> Self {
        Self {
            rules,
            codes,
            scanners,
            absent: BTreeSet::new(),
            sights: Sights::default(),
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
            Input::Scan { scanner, text, aim, started_at, known } => {
                let scan = scan::Scan { scanner: &scanner, text: &text, aim, started_at, known };
                self.scan(scan, now, &mut out)?;
            }
            Input::News { scanner, news } => self.news(scanner, news, now, &mut out)?,
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

    /// The mark under which the journal has to be asked for this request's code.
    #[must_use]
    pub fn mark_of(&self, request: &Request) -> Option<CodeMark> {
        let code = match request {
            Request::Pay(request) => request.code.as_ref()?,
            Request::Code { code, .. } => code,
            Request::Stop { .. } => return None,
        };
        Some(self.codes.key.mark(code))
    }

    /// The same for a scan. Nothing if it is no code, or nobody waits for it.
    #[must_use]
    pub fn mark_of_scan(
        &self,
        scanner: &str,
        text: &SecretText,
        aim: Option<&str>,
    ) -> Option<CodeMark> {
        self.waiting_on(scanner)?;
        let code = AuthCode::read_scan(text, aim, &self.codes.labels).ok()?;
        Some(self.codes.key.mark(&code))
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
            let spent = happening.offered().and_then(|offered| {
                self.used_by_another(number, offered.mark, offered.known.as_ref(), now)
            });
            let step = match self.open.get_mut(number) {
                Some(slot) => slot.admit(happening, spent, now),
                None => return Ok(()),
            };
            match step {
                slot::Admitted::Nothing => {}
                slot::Admitted::Reply(id, reply) => out.push(Output::Reply { id, reply }),
                slot::Admitted::Scan(entry) => self.note(entry, out),
                slot::Admitted::Used(entry, hint) => {
                    self.note(entry, out);
                    if let Some(slot) = self.open.get_mut(number) {
                        slot.inbox.push_front(Happening::Hint(Some(hint)));
                    }
                }
                slot::Admitted::Event(event, asked) => {
                    let Some(slot) = self.open.get(number) else { return Ok(()) };
                    let stepped = self.step(&slot.payment, &event, now)?;
                    if let Some(scanner) = scan::let_off(&slot.payment, &stepped.payment) {
                        self.sights.waited(&scanner, now.steady);
                    }
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

    /// The payment, other than `number`, that this code was used for: an open one
    /// as the terminal has it, a finished one as the journal knew it.
    fn used_by_another(
        &self,
        number: &OutTradeNo,
        mark: CodeMark,
        known: Option<&Payment>,
        now: Moment,
    ) -> Option<Payment> {
        #[cfg(test)]
        if self.bug == Some(simulation::Bug::NoCodeLookUp) {
            return None;
        }
        let has_used = |payment: &Payment| {
            payment.order.out_trade_no != *number && payment.has_used(mark, now.steady)
        };
        let open = self.open.values().find(|slot| has_used(slot.latest()));
        // Nobody is told more than is on disk, unless nothing of it is: then it
        // is processing, and no promise.
        let open = open.map(|slot| match slot.disk() {
            Some(on_disk) if has_used(on_disk) => on_disk.clone(),
            Some(_) | None => slot.latest().clone(),
        });
        let is_over = |payment: &&Payment| !self.open.contains_key(&payment.order.out_trade_no);
        open.or_else(|| known.filter(is_over).filter(|p| has_used(p)).cloned())
    }

    /// A scanner came, went, or lost a scan: an entry of its own, and news for
    /// the payment that waits for a code from it.
    fn news(
        &mut self,
        scanner: String,
        news: ScannerNews,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), Illegal> {
        match news {
            ScannerNews::Plugged => {
                self.absent.remove(&scanner);
            }
            ScannerNews::Unplugged(_) => {
                self.absent.insert(scanner.clone());
            }
            ScannerNews::ScanLost(_) => {}
        }
        let waiting = self.waiting_on(&scanner);
        self.note(Entry::Scanner { scanner, news: news.clone() }, out);
        match waiting {
            Some(number) => self.happen(&number, Happening::News(news), now, out),
            None => Ok(()),
        }
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
        let silent = match answer.trouble() {
            Some(trouble) => match trouble.kind {
                TroubleKind::Unreachable | TroubleKind::NoAnswer => Some(trouble.text.clone()),
                // Somebody answered, but nobody knows who.
                TroubleKind::Unverified => return,
                TroubleKind::Busy
                | TroubleKind::Refused
                | TroubleKind::Unsettled
                | TroubleKind::Foreign
                | TroubleKind::Restart
                | TroubleKind::SellerBalance => None,
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
