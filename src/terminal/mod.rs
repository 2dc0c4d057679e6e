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
mod agenda;
mod machine;
mod open;
mod refunds;
mod request;
mod scan;
mod sights;
mod slot;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::payment::{
    Account, Answer, Answered, Asker, AuthCode, CodeKey, CodeMark, Entry, Event, Illegal, Moment,
    OutTradeNo, PayAnswer, Payment, Refund, Rules, ScaleLabels, ScannerNews, SecretText, Tills,
    Timestamp, TroubleKind, WrongTurn,
};
use agenda::Agenda;
use machine::{Machine, Next};
use open::{Admitted, Asking, Happening, OpenPayment};
use refunds::{OpenRefund, Wants};
use sights::Sights;
use slot::{Asked, Led};

pub use request::{Closed, ClosedBy, Denied, Known, PayRequest, RefundAsk, Reply, Request};

/// Names a request while its answer is being worked out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);
/// Names an entry while it is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);
/// Names a call while its answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(pub u64);

/// What an entry or a call is about. A payment has one open refund at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The payment itself.
    Payment(OutTradeNo),
    /// Its refund.
    Refund(OutTradeNo),
}

/// The same, as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "nearly every call is about a payment")]
pub enum Matter {
    /// A payment.
    Payment(Payment),
    /// A refund.
    Refund(Refund),
}

impl Matter {
    /// Which.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::Payment(payment) => Subject::Payment(payment.order().out_trade_no.clone()),
            Self::Refund(refund) => Subject::Refund(refund.of().clone()),
        }
    }
}

/// Something happened that cannot happen: the terminal has lost track, and the
/// daemon has to stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LostTrack {
    /// Of a payment.
    #[error(transparent)]
    Payment(#[from] Illegal),
    /// Of a refund.
    #[error(transparent)]
    Refund(#[from] WrongTurn),
}

/// So many payments may be open at once. A shop has as many as it has lanes, and
/// a few that are in doubt; more means that something has run wild.
pub const OPEN_MAX: usize = 1_000;

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
        /// Who asks, where the socket tells it.
        asker: Option<Asker>,
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
        /// What it was about.
        subject: Subject,
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
    /// The gateway takes our keys, or is not known to.
    Keys(Result<(), Closed>),
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
        /// The call that follows, so that it can be made ready meanwhile.
        ahead: Option<Ahead>,
    },
    /// Send this call. What it needs is on disk.
    Send {
        /// To be named in [`Input::Answered`].
        serial: Serial,
        /// Which call.
        call: crate::payment::Call,
        /// What it is about.
        about: Matter,
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

/// A call that waits for its entry: once that is on disk, [`Output::Send`] names
/// it again, with the payment as it is in the entry. Until then nothing of it may
/// leave the box, and if the entry is not written it never does.
#[derive(Debug)]
pub struct Ahead {
    /// As in [`Output::Send`].
    pub serial: Serial,
    /// Which call.
    pub call: crate::payment::Call,
    /// The buyer's code, with a pay.
    pub code: Option<AuthCode>,
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
    /// The account that new payments are in.
    account: Option<Arc<Account>>,
    /// The tills that new payments are taken at.
    tills: Option<Tills>,
    /// The scanners that are known to be unplugged, or not to be read.
    absent: BTreeSet<String>,
    sights: Sights,
    open: BTreeMap<OutTradeNo, OpenPayment>,
    refunds: BTreeMap<OutTradeNo, OpenRefund>,
    agenda: Agenda,
    writing: HashMap<Ticket, Subject>,
    journal: Result<(), String>,
    clock: Result<(), String>,
    /// The gateway's front door lets us in, or refuses us; why.
    door: Result<(), String>,
    /// Both keys are proven, or not.
    keys: Result<(), Closed>,
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
            account: None,
            tills: None,
            absent: BTreeSet::new(),
            sights: Sights::default(),
            open: BTreeMap::new(),
            refunds: BTreeMap::new(),
            agenda: Agenda::default(),
            writing: HashMap::new(),
            journal: Ok(()),
            clock: Ok(()),
            door: Ok(()),
            keys: Ok(()),
            draining: false,
            gateway_up: None,
            stopping: false,
            last_number: 0,
            #[cfg(test)]
            bug: None,
        }
    }

    /// The same, for this account.
    #[must_use]
    pub fn in_account(mut self, account: Account) -> Self {
        self.account = Some(account.into());
        self
    }

    /// The same, with these tills.
    #[must_use]
    pub fn with_tills(mut self, tills: Tills) -> Self {
        self.tills = Some(tills);
        self
    }

    /// A payment of another account than ours. A terminal that asked about it here
    /// would hear that it does not exist, so it must not even begin.
    #[must_use]
    pub fn other_account<'a>(
        &self,
        open: impl IntoIterator<Item = &'a Payment>,
    ) -> Option<&'a Payment> {
        open.into_iter().find(|payment| self.is_of_other_account(payment))
    }

    fn is_of_other_account(&self, payment: &Payment) -> bool {
        let ours = self.account.as_ref();
        // Journals of earlier versions do not tell.
        payment.account().is_some_and(|theirs| ours.is_some_and(|ours| ours != theirs))
    }

    /// Takes over the payments that were open when the daemon last ended. Each
    /// is told of the restart like of anything else; there is no other recovery.
    ///
    /// # Errors
    ///
    /// [`LostTrack`] never, unless the journal holds a final payment as open.
    pub fn recover(
        &mut self,
        open: Vec<Payment>,
        refunds: Vec<Refund>,
        now: Moment,
    ) -> Result<Vec<Output>, LostTrack> {
        let mut out = Vec::new();
        for payment in open {
            let number = payment.order().out_trade_no.clone();
            self.open.insert(number.clone(), OpenPayment::new(payment, now));
            self.happen(&number, Happening::Restarted, now, &mut out)?;
        }
        self.recover_refunds(refunds, now, &mut out)?;
        Ok(out)
    }

    /// Decides what `input` leads to.
    ///
    /// # Errors
    ///
    /// [`LostTrack`] when something happened to a payment that cannot happen: the
    /// terminal has lost track of it, and the daemon has to stop.
    pub fn handle(&mut self, input: Input, now: Moment) -> Result<Vec<Output>, LostTrack> {
        let mut out = Vec::new();
        match input {
            Input::Request { id, request, known, asker } => {
                self.request(Asking { id, asker }, request, &known, now, &mut out)?;
            }
            Input::Scan { scanner, text, aim, started_at, known } => {
                let scan = scan::Scan { scanner: &scanner, text: &text, aim, started_at, known };
                self.scan(scan, now, &mut out)?;
            }
            Input::News { scanner, news } => self.news(scanner, news, now, &mut out)?,
            Input::Answered { subject, serial, answered } => {
                self.watch_gateway(&answered.answer, &mut out);
                match subject {
                    Subject::Payment(number) => {
                        self.happen(&number, Happening::Answered(serial, answered), now, &mut out)?;
                    }
                    Subject::Refund(number) => {
                        let wants = Wants::Answered(serial, answered);
                        self.refund_wants(&number, wants, now, &mut out)?;
                    }
                }
            }
            Input::Written(ticket) => self.written(ticket, now, &mut out)?,
            Input::NotWritten(ticket, why) => self.not_written(ticket, &why, now, &mut out)?,
            Input::Heard(answer) => self.watch_gateway(&answer, &mut out),
            Input::Journal(state) => self.journal = state,
            Input::Clock(state) => self.clock = state,
            Input::Keys(state) => self.keys = state,
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
            Request::Stop { .. } | Request::Refund(_) => return None,
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
        self.agenda.first()
    }

    /// How many payments and refunds are not final.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len() + self.refunds.len()
    }

    fn tick(&mut self, now: Moment, out: &mut Vec<Output>) -> Result<(), LostTrack> {
        for subject in self.agenda.due(now.steady) {
            match subject {
                Subject::Payment(number) => {
                    if self.open.get(&number).is_some_and(|open| open.slot.is_stalled()) {
                        self.work_off(&number, now, out)?;
                    } else {
                        self.happen(&number, Happening::Due, now, out)?;
                    }
                }
                Subject::Refund(number) => {
                    if self.refunds.get(&number).is_some_and(|open| open.slot.is_stalled()) {
                        self.work_off_refund(&number, now, out)?;
                    } else {
                        self.refund_wants(&number, Wants::Due, now, out)?;
                    }
                }
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
    ) -> Result<(), LostTrack> {
        if let Some(open) = self.open.get_mut(number) {
            open.slot.inbox.push_back(happening);
        }
        self.work_off(number, now, out)
    }

    /// Works off a payment's inbox until it has an entry to write, or nothing.
    fn work_off(
        &mut self,
        number: &OutTradeNo,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), LostTrack> {
        while let Some(happening) = self.open.get_mut(number).and_then(|o| o.slot.next_up(now)) {
            let spent = happening.offered().and_then(|offered| {
                self.used_by_another(number, offered.mark, offered.known.as_ref(), now)
            });
            let Some(open) = self.open.get_mut(number) else { return Ok(()) };
            match open.admit(happening, spent, now) {
                Admitted::Nothing => {}
                Admitted::Reply(id, reply) => out.push(Output::Reply { id, reply }),
                Admitted::Scan(entry) => self.note(entry, out),
                Admitted::Used(entry, hint) => {
                    open.slot.inbox.push_front(Happening::Hint(Some(hint)));
                    self.note(entry, out);
                }
                Admitted::Event(event, asked) => {
                    let Some(open) = self.open.get(number) else { return Ok(()) };
                    let next = self.step(open.payment(), &event, now)?;
                    if let Some(scanner) = scan::let_off(open.payment(), &next.machine) {
                        self.sights.waited(&scanner, now.steady);
                    }
                    self.go_on(number, next, event, asked, out);
                }
            }
        }
        self.list(number);
        Ok(())
    }

    /// Writes the step down, or, if there is nothing to write, acts on it.
    fn go_on(
        &mut self,
        number: &OutTradeNo,
        next: Next<Payment>,
        event: Event,
        asked: Asked,
        out: &mut Vec<Output>,
    ) {
        let (ticket, serial) = (Ticket(self.fresh()), Serial(self.fresh()));
        let Some(open) = self.open.get_mut(number) else { return };
        match open.slot.go_on(ticket, serial, next, event, asked) {
            Led::Write { entry, call } => {
                let ahead = call.map(|call| Ahead { serial, call, code: open.code_for(call) });
                self.writing.insert(ticket, Subject::Payment(number.clone()));
                out.push(Output::Write { ticket, entry, ahead });
            }
            Led::Send(call) => {
                let about = Matter::Payment(open.payment().clone());
                out.push(Output::Send { serial, call, about, code: None });
            }
            Led::Nothing => {}
        }
    }

    /// Lists a payment under its deadline, or not at all.
    fn list(&mut self, number: &OutTradeNo) {
        let Some(open) = self.open.get_mut(number) else { return };
        let due = open.slot.due();
        self.agenda.list(&Subject::Payment(number.clone()), &mut open.listed, due);
    }

    fn forget(&mut self, number: &OutTradeNo) {
        if let Some(mut open) = self.open.remove(number) {
            self.agenda.list(&Subject::Payment(number.clone()), &mut open.listed, None);
        }
    }

    fn step(
        &self,
        payment: &Payment,
        event: &Event,
        now: Moment,
    ) -> Result<Next<Payment>, LostTrack> {
        #[cfg(test)]
        if let Some(bug) = self.bug {
            return Ok(bug.step(payment, event, now, &self.rules)?.into());
        }
        Ok(Machine::step(payment, event, now, &self.rules)?)
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
            payment.order().out_trade_no != *number && payment.has_used(mark, now.steady)
        };
        let open = self.open.values().map(|open| &open.slot).find(|slot| has_used(slot.latest()));
        // Nobody is told more than is on disk, unless nothing of it is: then it
        // is processing, and no promise.
        let open = open.map(|slot| match slot.disk() {
            Some(on_disk) if has_used(on_disk) => on_disk.clone(),
            Some(_) | None => slot.latest().clone(),
        });
        let is_over = |payment: &&Payment| !self.open.contains_key(&payment.order().out_trade_no);
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
    ) -> Result<(), LostTrack> {
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
    ) -> Result<(), LostTrack> {
        let number = match self.writing.remove(&ticket) {
            Some(Subject::Payment(number)) => number,
            Some(Subject::Refund(number)) => return self.refund_written(&number, ticket, now, out),
            None => return Ok(()),
        };
        if let Some(open) = self.open.get_mut(&number) {
            open.written(ticket, out);
        }
        self.work_off(&number, now, out)?;
        self.give_back(&number, now, out)?;
        if self.open.get(&number).is_some_and(|open| open.slot.is_done()) {
            self.forget(&number);
        }
        Ok(())
    }

    fn not_written(
        &mut self,
        ticket: Ticket,
        why: &str,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), LostTrack> {
        let number = match self.writing.remove(&ticket) {
            Some(Subject::Payment(number)) => number,
            Some(Subject::Refund(number)) => {
                return self.refund_not_written(&number, ticket, why, now, out);
            }
            None => return Ok(()),
        };
        let gone = self.open.get_mut(&number).is_some_and(|o| o.not_written(ticket, why, now, out));
        if gone {
            self.forget(&number);
        }
        self.work_off(&number, now, out)
    }

    /// Writes down what concerns no payment. If it cannot be written it is lost,
    /// which costs nobody money.
    fn note(&mut self, entry: Entry, out: &mut Vec<Output>) {
        let ticket = Ticket(self.fresh());
        out.push(Output::Write { ticket, entry, ahead: None });
    }

    fn fresh(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Tells when the gateway stops or starts to answer, and remembers whether its
    /// front door is closed to us: then nothing new begins (rule 12).
    fn watch_gateway(&mut self, answer: &Answer, out: &mut Vec<Output>) {
        if let Some(why) = refused_at_the_door(answer) {
            self.door = Err(why.to_owned());
        } else if answer.is_verified() {
            self.door = Ok(());
        }
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

/// What the gateway's front door said, if it refused the call itself.
fn refused_at_the_door(answer: &Answer) -> Option<&str> {
    if let Answer::Pay(PayAnswer::Refused(reason)) = answer {
        return Some(&reason.message);
    }
    let trouble = answer.trouble().filter(|trouble| trouble.kind == TroubleKind::Refused)?;
    Some(&trouble.text)
}
