//! One open payment, and what is under way for it: the entry being written, the
//! call in flight, the code in memory, and what waits its turn.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Denied, Output, Reply, RequestId, Serial, Ticket};
use crate::payment::{
    Answer, Answered, AuthCode, Call, CodeMark, Entry, EntryStep, Event, Hint, Moment, PayAnswer,
    Payment, Public, ScanKind, ScannerNews, State, StepName, Stepped, Timestamp,
};

/// After this long an entry that could not be written is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Something that wants to happen to a payment.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "short-lived")]
pub(super) enum Happening {
    /// The register asked for it just now, perhaps with a code.
    Requested(RequestId, Option<Offered>),
    /// The same request once more, while the first was being written.
    Again(RequestId),
    /// The daemon was down.
    Restarted,
    /// Something may be due.
    Due,
    /// A call was answered.
    Answered(Serial, Box<Answered>),
    /// The cashier gives up.
    Stop(RequestId),
    /// The register has a code.
    Code(RequestId, Offered),
    /// The scanner has a code; the entry to write if nobody wants it any more.
    Scanned(Offered, Entry),
    /// The scanner came, went, or lost a scan.
    News(ScannerNews),
    /// What the cashier is to be told.
    Hint(Option<Hint>),
}

/// A code that somebody has brought.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) code: AuthCode,
    pub(super) mark: CodeMark,
    /// The payment that last took this code, as the journal knew it.
    pub(super) known: Option<Payment>,
}

impl Happening {
    /// The code that it brings, if it is not known yet whether that may be used.
    pub(super) fn offered(&self) -> Option<&Offered> {
        match self {
            Self::Code(_, offered) | Self::Scanned(offered, _) => Some(offered),
            // Admitted with the request.
            Self::Requested(..)
            | Self::Again(_)
            | Self::Restarted
            | Self::Due
            | Self::Answered(..)
            | Self::Stop(_)
            | Self::News(_)
            | Self::Hint(_) => None,
        }
    }
}

/// What a happening comes to, given how the payment stands.
#[allow(clippy::large_enum_variant, reason = "short-lived")]
pub(super) enum Admitted {
    /// It changes nothing and nobody waits for an answer.
    Nothing,
    /// It changes nothing, and the register is told how things stand.
    Reply(RequestId, Reply),
    /// It was a scan that this payment does not want.
    Scan(Entry),
    /// Its code has been used before, and the cashier is told.
    Used(Entry, Hint),
    /// It goes through the machine.
    Event(Event, Asked),
}

/// Who waits for the entry, and what they are told.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The request that started the payment.
    started: Option<RequestId>,
    /// A request that is answered with the payment as it stands.
    stands: Option<RequestId>,
    /// The code that came in, masked.
    code: Option<String>,
}

#[derive(Debug)]
struct Writing {
    ticket: Ticket,
    next: Payment,
    call: Option<Call>,
    event: Event,
    asked: Asked,
}

#[derive(Debug)]
pub(super) struct Slot {
    /// As it is on disk; of a new payment, as it was asked for.
    pub(super) payment: Payment,
    pub(super) inbox: VecDeque<Happening>,
    is_on_disk: bool,
    writing: Option<Writing>,
    in_flight: Option<Serial>,
    /// The buyer's code: until the pay has been answered by more than "never
    /// left the box". In memory only.
    code: Option<AuthCode>,
    /// Scans that began earlier are not for this payment (steady clock).
    pub(super) armed_at: Timestamp,
    /// An entry could not be written; when to try again (steady clock).
    stalled_until: Option<Timestamp>,
}

impl Slot {
    fn new(payment: Payment, now: Moment, is_on_disk: bool) -> Self {
        Self {
            payment,
            inbox: VecDeque::new(),
            is_on_disk,
            writing: None,
            in_flight: None,
            code: None,
            armed_at: now.steady,
            stalled_until: None,
        }
    }

    pub(super) fn on_disk(payment: Payment, now: Moment) -> Self {
        Self::new(payment, now, true)
    }

    pub(super) fn requested(payment: Payment, now: Moment) -> Self {
        Self::new(payment, now, false)
    }

    /// The payment as it is on disk.
    pub(super) fn disk(&self) -> Option<&Payment> {
        self.is_on_disk.then_some(&self.payment)
    }

    /// How the payment will stand once everything under way is written.
    pub(super) fn latest(&self) -> &Payment {
        self.writing.as_ref().map_or(&self.payment, |w| &w.next)
    }

    /// It is on disk that this attempt ended without taking money.
    pub(super) fn is_settled_unpaid(&self) -> bool {
        self.payment.is_final() && self.payment.public() != Public::Paid
    }

    /// Its last entry is written and nobody waits for anything.
    pub(super) fn is_done(&self) -> bool {
        self.payment.is_final() && self.writing.is_none() && self.inbox.is_empty()
    }

    /// An entry could not be written and waits to be tried again.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled_until.is_some()
    }

    pub(super) fn due(&self) -> Option<Timestamp> {
        if self.writing.is_some() {
            return None;
        }
        self.stalled_until.or_else(|| self.payment.due())
    }

    /// What comes next, unless an entry is being written or has to be retried.
    pub(super) fn next_up(&mut self, now: Moment) -> Option<Happening> {
        if self.writing.is_some() {
            return None;
        }
        if self.stalled_until.is_some_and(|until| now.steady < until) {
            return None;
        }
        self.stalled_until = None;
        self.inbox.pop_front()
    }

    /// Whether this may happen, as the payment stands now. `spent` is the other
    /// payment that has used the code in it.
    pub(super) fn admit(
        &mut self,
        happening: Happening,
        spent: Option<Payment>,
        now: Moment,
    ) -> Admitted {
        let stands = |slot: &Self, id| Admitted::Reply(id, Reply::Stands(slot.payment.clone()));
        match happening {
            Happening::Requested(id, None) => {
                // Told apart from every other event by the slot being new.
                let asked = Asked { started: Some(id), ..Asked::default() };
                Admitted::Event(Event::Requested, asked)
            }
            Happening::Requested(id, Some(offered)) => {
                let asked = Asked { started: Some(id), ..Asked::default() };
                self.take(offered, asked)
            }
            Happening::Again(id) => stands(self, id),
            Happening::Restarted => Admitted::Event(Event::Restarted, Asked::default()),
            Happening::Due if self.payment.due().is_some_and(|due| due <= now.steady) => {
                Admitted::Event(Event::Due, Asked::default())
            }
            Happening::Due => Admitted::Nothing,
            Happening::Answered(serial, answered) if self.in_flight == Some(serial) => {
                if !matches!(answered.answer, Answer::Pay(PayAnswer::NotSent(_))) {
                    self.code = None;
                }
                Admitted::Event(Event::Answered(*answered), Asked::default())
            }
            // An answer to an earlier call is not an answer (rule 4).
            Happening::Answered(..) => Admitted::Nothing,
            Happening::Stop(id) if self.payment.public() == Public::Paid => {
                Admitted::Reply(id, Reply::Denied(Denied::AlreadyPaid(self.payment.clone().into())))
            }
            Happening::Stop(id) if self.is_ending() => stands(self, id),
            Happening::Stop(id) => {
                Admitted::Event(Event::Stop, Asked { stands: Some(id), ..Asked::default() })
            }
            Happening::Code(id, offered) if self.is_awaiting_code() => match spent {
                Some(earlier) => {
                    Admitted::Reply(id, Reply::Denied(Denied::CodeAlreadyUsed(earlier.into())))
                }
                None => self.take(offered, Asked { stands: Some(id), ..Asked::default() }),
            },
            // The same code once more, because its first reply was lost.
            Happening::Code(id, offered) if self.has_taken(offered.mark) => stands(self, id),
            Happening::Code(id, _) => {
                let denied = Denied::NotAwaitingCode(self.payment.clone().into());
                Admitted::Reply(id, Reply::Denied(denied))
            }
            Happening::Scanned(offered, unwanted) if self.is_awaiting_code() => match spent {
                Some(earlier) => used_for(unwanted, &earlier),
                None => self.take(offered, Asked::default()),
            },
            Happening::Scanned(_, unwanted) => Admitted::Scan(unwanted),
            Happening::News(news) => match news {
                ScannerNews::Unplugged(_) => self.hint(Some(Hint::ScannerGone)),
                ScannerNews::ScanLost(_) => self.hint(Some(Hint::ScanLost)),
                ScannerNews::Plugged if self.payment.hint == Some(Hint::ScannerGone) => {
                    self.hint(None)
                }
                ScannerNews::Plugged => Admitted::Nothing,
            },
            Happening::Hint(hint) => self.hint(hint),
        }
    }

    /// The code goes with the pay, and its mark to disk.
    fn take(&mut self, offered: Offered, mut asked: Asked) -> Admitted {
        asked.code = Some(offered.code.masked());
        self.code = Some(offered.code);
        Admitted::Event(Event::Code(offered.mark), asked)
    }

    /// What the cashier has been told already needs no entry.
    fn hint(&self, hint: Option<Hint>) -> Admitted {
        if self.is_awaiting_code() && self.payment.hint != hint {
            Admitted::Event(Event::Hint(hint), Asked::default())
        } else {
            Admitted::Nothing
        }
    }

    /// This payment has taken the code with this mark, whatever became of it.
    fn has_taken(&self, mark: CodeMark) -> bool {
        self.payment.pay.as_ref().is_some_and(|pay| pay.mark == Some(mark))
    }

    fn is_awaiting_code(&self) -> bool {
        matches!(self.payment.state, State::AwaitingCode { .. })
    }

    /// A stop would change nothing: it was asked for before, a cancel is
    /// decided, the pay was declined, or all is over.
    fn is_ending(&self) -> bool {
        let ending = |p: &crate::payment::PayCall| p.stopped || p.declined || p.undo.is_some();
        self.payment.is_final() || self.payment.pay.as_ref().is_some_and(ending)
    }

    /// The entry for a step; it is under way from now on.
    pub(super) fn write(
        &mut self,
        ticket: Ticket,
        stepped: Stepped,
        event: Event,
        asked: Asked,
    ) -> Entry {
        let Stepped { mut payment, call } = stepped;
        if !self.is_on_disk {
            // The first entry is the first revision, with or without a code.
            payment.rev = 1;
        }
        let answered = match &event {
            Event::Answered(answered) => Some(answered),
            Event::Requested
            | Event::Code(_)
            | Event::Hint(_)
            | Event::Due
            | Event::Stop
            | Event::Restarted => None,
        };
        let step = EntryStep {
            name: self.step_name(&event),
            call,
            code: asked.code.clone(),
            judged: answered.map(|answered| answered.answer.judged()),
            wire: answered.map(|answered| answered.wire.clone()),
            asker: None,
        };
        let entry = Entry::Payment { payment: payment.clone(), step };
        self.writing = Some(Writing { ticket, next: payment, call, event, asked });
        entry
    }

    fn step_name(&self, event: &Event) -> StepName {
        match event {
            Event::Requested => StepName::Requested,
            Event::Code(_) if !self.is_on_disk => StepName::Requested,
            Event::Code(_) => StepName::Code,
            Event::Hint(_) => StepName::Hint,
            Event::Due => StepName::Due,
            Event::Stop => StepName::Stop,
            Event::Restarted => StepName::Restarted,
            Event::Answered(Answered { answer: Answer::Pay(_), .. }) => StepName::PayAnswered,
            Event::Answered(Answered { answer: Answer::Query(_), .. }) => StepName::QueryAnswered,
            Event::Answered(Answered { answer: Answer::Cancel(_), .. }) => StepName::CancelAnswered,
        }
    }

    /// The entry is on disk: act on it, and tell.
    pub(super) fn written(&mut self, ticket: Ticket, serial: Serial, out: &mut Vec<Output>) {
        let Some(writing) = self.writing.take_if(|w| w.ticket == ticket) else { return };
        self.payment = writing.next;
        self.is_on_disk = true;
        if matches!(writing.event, Event::Answered(_) | Event::Restarted) {
            self.in_flight = None;
        }
        if let Some(call) = writing.call {
            self.in_flight = Some(serial);
            let code = if call == Call::Pay { self.code.clone() } else { None };
            out.push(Output::Send { serial, call, payment: self.payment.clone(), code });
        }
        if self.payment.is_final() {
            self.code = None;
        }
        if let Some(id) = writing.asked.started {
            out.push(Output::Reply { id, reply: Reply::Started(self.payment.clone()) });
        }
        if let Some(id) = writing.asked.stands {
            out.push(Output::Reply { id, reply: Reply::Stands(self.payment.clone()) });
        }
    }

    /// The entry is not on disk: nothing of it has happened. Who asked is told
    /// so; what the world did is tried again. True when the payment was new, and
    /// so does not exist.
    pub(super) fn not_written(
        &mut self,
        ticket: Ticket,
        why: &str,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(writing) = self.writing.take_if(|w| w.ticket == ticket) else { return false };
        let mut deny = |id: RequestId| {
            let reply = Reply::Denied(Denied::JournalUnavailable(why.to_owned()));
            out.push(Output::Reply { id, reply });
        };
        writing.asked.started.into_iter().chain(writing.asked.stands).for_each(&mut deny);
        // Nobody at the register waits through a disk that is full, and no code is
        // kept for it.
        let mut code_lost = false;
        self.inbox.retain(|happening| match happening {
            Happening::Again(id) | Happening::Stop(id) | Happening::Code(id, _) => {
                deny(*id);
                false
            }
            Happening::Scanned(..) => {
                code_lost = true;
                false
            }
            Happening::Requested(..)
            | Happening::Restarted
            | Happening::Due
            | Happening::Answered(..)
            | Happening::News(_)
            | Happening::Hint(_) => true,
        });
        if !self.is_on_disk {
            return true;
        }
        match writing.event {
            Event::Answered(answered) => {
                if let Some(serial) = self.in_flight {
                    self.inbox.push_front(Happening::Answered(serial, Box::new(answered)));
                }
            }
            Event::Restarted => self.inbox.push_front(Happening::Restarted),
            Event::Due => self.inbox.push_front(Happening::Due),
            // The customer shows the code once more. A register has been told so.
            Event::Code(_) => {
                self.code = None;
                code_lost |= writing.asked.stands.is_none();
            }
            Event::Hint(hint) => self.inbox.push_front(Happening::Hint(hint)),
            Event::Requested | Event::Stop => {}
        }
        if code_lost {
            self.inbox.push_back(Happening::Hint(Some(Hint::ScanLost)));
        }
        self.stalled_until = Some(now.steady + RETRY_AFTER);
        false
    }
}

/// The code has been used for another payment: what the scan event and the
/// cashier are told.
fn used_for(mut scan: Entry, earlier: &Payment) -> Admitted {
    let hint = Hint::used_for(earlier);
    if let Entry::Scan { kind, .. } = &mut scan {
        *kind = ScanKind::CodeUsed;
    }
    Admitted::Used(scan, hint)
}
