//! One open payment, and what is under way for it: the entry being written, the
//! call in flight, the code in memory, and what waits its turn.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Denied, Output, Reply, RequestId, Serial, Ticket};
use crate::payment::{
    Answer, Answered, AuthCode, Call, CancelAnswer, Entry, EntryStep, Event, Moment, PayAnswer,
    Payment, Public, QueryAnswer, State, Stepped, Timestamp,
};

/// After this long an entry that could not be written is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Something that wants to happen to a payment.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "short-lived")]
pub(super) enum Happening {
    /// The register asked for it just now, perhaps with a code.
    Requested(RequestId, Option<AuthCode>),
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
    Code(RequestId, AuthCode),
    /// The scanner has a code; the entry to write if nobody wants it any more.
    Scanned(AuthCode, Entry),
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

    /// Whether this may happen, as the payment stands now.
    pub(super) fn admit(&mut self, happening: Happening, now: Moment) -> Admitted {
        let stands = |slot: &Self, id| Admitted::Reply(id, Reply::Stands(slot.payment.clone()));
        match happening {
            Happening::Requested(id, None) => {
                // Told apart from every other event by the slot being new.
                let asked = Asked { started: Some(id), ..Asked::default() };
                Admitted::Event(Event::Requested, asked)
            }
            Happening::Requested(id, Some(code)) => {
                let asked =
                    Asked { started: Some(id), code: Some(code.masked()), ..Asked::default() };
                self.code = Some(code);
                Admitted::Event(Event::Code, asked)
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
            Happening::Code(id, code) if self.is_awaiting_code() => {
                let asked =
                    Asked { stands: Some(id), code: Some(code.masked()), ..Asked::default() };
                self.code = Some(code);
                Admitted::Event(Event::Code, asked)
            }
            Happening::Code(id, _) => {
                let denied = Denied::NotAwaitingCode(self.payment.clone().into());
                Admitted::Reply(id, Reply::Denied(denied))
            }
            Happening::Scanned(code, _) if self.is_awaiting_code() => {
                let asked = Asked { code: Some(code.masked()), ..Asked::default() };
                self.code = Some(code);
                Admitted::Event(Event::Code, asked)
            }
            Happening::Scanned(_, unwanted) => Admitted::Scan(unwanted),
        }
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
        let step = EntryStep {
            name: self.step_name(&event).to_owned(),
            call,
            code: asked.code.clone(),
            verdict: verdict(&event).map(str::to_owned),
            wire: match &event {
                Event::Answered(answered) => Some(answered.wire.clone()),
                Event::Requested | Event::Code | Event::Due | Event::Stop | Event::Restarted => {
                    None
                }
            },
        };
        let entry = Entry::Payment { payment: payment.clone(), step };
        self.writing = Some(Writing { ticket, next: payment, call, event, asked });
        entry
    }

    fn step_name(&self, event: &Event) -> &'static str {
        match event {
            Event::Requested => "requested",
            Event::Code if !self.is_on_disk => "requested",
            Event::Code => "code",
            Event::Due => "due",
            Event::Stop => "stop",
            Event::Restarted => "restarted",
            Event::Answered(Answered { answer: Answer::Pay(_), .. }) => "pay_answered",
            Event::Answered(Answered { answer: Answer::Query(_), .. }) => "query_answered",
            Event::Answered(Answered { answer: Answer::Cancel(_), .. }) => "cancel_answered",
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
        // Nobody at the register waits through a disk that is full.
        self.inbox.retain(|happening| match happening {
            Happening::Again(id) | Happening::Stop(id) | Happening::Code(id, _) => {
                deny(*id);
                false
            }
            Happening::Requested(..)
            | Happening::Restarted
            | Happening::Due
            | Happening::Answered(..)
            | Happening::Scanned(..) => true,
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
            // The cashier has been told; the customer shows the code once more.
            Event::Code => self.code = None,
            Event::Requested | Event::Stop => {}
        }
        self.stalled_until = Some(now.steady + RETRY_AFTER);
        false
    }
}

/// The judgement on an answer, in one word.
fn verdict(event: &Event) -> Option<&'static str> {
    let Event::Answered(answered) = event else { return None };
    Some(match &answered.answer {
        Answer::Pay(answer) => match answer {
            PayAnswer::Paid(_) => "paid",
            PayAnswer::Waiting(_) => "waiting",
            PayAnswer::Declined(_) => "declined",
            PayAnswer::Refused(_) => "refused",
            PayAnswer::NotSent(_) => "not_sent",
            PayAnswer::Foreign(_) => "foreign",
            PayAnswer::Unknown(_) => "unknown",
        },
        Answer::Query(answer) => match answer {
            QueryAnswer::Paid(_) => "paid",
            QueryAnswer::Waiting(_) => "waiting",
            QueryAnswer::Closed { .. } => "closed",
            QueryAnswer::NotExist => "not_exist",
            QueryAnswer::Foreign(_) => "foreign",
            QueryAnswer::Unknown(_) => "unknown",
        },
        Answer::Cancel(answer) => match answer {
            CancelAnswer::Closed(_) => "closed",
            CancelAnswer::Refunded(_) => "refunded",
            CancelAnswer::NoAction => "no_action",
            CancelAnswer::Refused(_) => "refused",
            CancelAnswer::Unknown(_) => "unknown",
        },
    })
}
