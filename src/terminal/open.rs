//! One open payment: its slot, the buyer's code in memory, and what may happen
//! to it as it stands.

use super::slot::{Asked, Done, Slot};
use super::{Denied, Matter, Output, Reply, RequestId, Serial, Ticket};
use crate::payment::{
    Answer, Answered, Asker, AuthCode, Call, CodeMark, Entry, Event, Hint, Moment, PayAnswer,
    Payment, Public, Reason, ScanKind, ScannerNews, State, Tag, Timestamp,
};

/// Something that wants to happen to a payment.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "short-lived")]
pub(super) enum Happening {
    /// The register asked for it just now, perhaps with a code; else why it will
    /// have to wait for one, if that is known.
    Requested(Asking, Option<Offered>, Option<Hint>),
    /// The register asked for it by a method that needs no code of the buyer's.
    Offered(Asking, Tag),
    /// The same request once more, while the first was being written.
    Again(RequestId),
    /// The daemon was down.
    Restarted,
    /// Its own refund came to its end.
    GaveBack(Result<(), Reason>),
    /// Something may be due.
    Due,
    /// A call was answered.
    Answered(Serial, Box<Answered>),
    /// The cashier gives up.
    Stop(Asking),
    /// The register has a code.
    Code(Asking, Offered),
    /// The scanner has a code; the entry to write if nobody wants it any more.
    Scanned(Offered, Entry),
    /// The scanner came, went, or lost a scan.
    News(ScannerNews),
    /// What the cashier is to be told.
    Hint(Option<Hint>),
}

/// A request, and who sent it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    pub(super) id: RequestId,
    pub(super) asker: Option<Asker>,
}

/// A code that somebody has brought.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) code: AuthCode,
    pub(super) mark: CodeMark,
    /// Our own mark for the trade that it will pay.
    pub(super) tag: Tag,
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
            | Self::Offered(..)
            | Self::Again(_)
            | Self::Restarted
            | Self::GaveBack(_)
            | Self::Due
            | Self::Answered(..)
            | Self::Stop(_)
            | Self::News(_)
            | Self::Hint(_) => None,
        }
    }
}

/// What becomes of something that wants to happen.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "short-lived")]
pub(super) enum Admitted {
    /// Nothing.
    Nothing,
    /// A reply, at once.
    Reply(RequestId, Reply),
    /// A scan that nobody wanted.
    Scan(Entry),
    /// A scan of a code that was used before, and what the cashier is told.
    Used(Entry, Hint),
    /// The machine's turn.
    Event(Event, Asked),
}

#[derive(Debug)]
pub(super) struct OpenPayment {
    pub(super) slot: Slot<Payment, Happening>,
    /// The buyer's code: until the pay has been answered by more than "never
    /// left the box". In memory only.
    pub(super) code: Option<AuthCode>,
    /// Scans that began earlier are not for this payment (steady clock).
    pub(super) armed_at: Timestamp,
    /// Under which deadline the terminal has listed it.
    pub(super) listed: Option<Timestamp>,
}

impl OpenPayment {
    pub(super) fn new(payment: Payment, now: Moment) -> Self {
        Self { slot: Slot::new(payment), code: None, armed_at: now.steady, listed: None }
    }

    pub(super) fn payment(&self) -> &Payment {
        self.slot.machine()
    }

    /// It is on disk that this attempt ended without taking money.
    pub(super) fn is_settled_unpaid(&self) -> bool {
        self.payment().is_final() && self.payment().public() != Public::Paid
    }

    /// Once everything under way is written it waits for its code.
    pub(super) fn will_await_code(&self) -> bool {
        matches!(self.slot.latest().state(), State::AwaitingCode { .. })
    }

    /// Whether this may happen, as the payment stands now. `spent` is the other
    /// payment that has used the code in it.
    pub(super) fn admit(
        &mut self,
        happening: Happening,
        spent: Option<Payment>,
        now: Moment,
    ) -> Admitted {
        let stands = |open: &Self, id| Admitted::Reply(id, Reply::Stands(open.payment().clone()));
        match happening {
            Happening::Requested(asking, None, hint) => {
                Admitted::Event(Event::Requested(hint), started(asking))
            }
            Happening::Requested(asking, Some(offered), _) => self.take(offered, started(asking)),
            Happening::Offered(asking, tag) => {
                Admitted::Event(Event::Offered(tag), started(asking))
            }
            Happening::Again(id) => stands(self, id),
            Happening::Restarted => Admitted::Event(Event::Restarted, Asked::default()),
            Happening::GaveBack(how) if self.is_owing() => {
                Admitted::Event(Event::GaveBack(how), Asked::default())
            }
            Happening::GaveBack(_) => Admitted::Nothing,
            Happening::Due if self.payment().due().is_some_and(|due| due <= now.steady) => {
                Admitted::Event(Event::Due, Asked::default())
            }
            Happening::Due => Admitted::Nothing,
            Happening::Answered(serial, answered) if self.slot.awaits(serial) => {
                if !matches!(answered.answer, Answer::Pay(PayAnswer::NotSent(_))) {
                    self.code = None;
                }
                Admitted::Event(Event::Answered(*answered), Asked::default())
            }
            Happening::Answered(..) => Admitted::Nothing,
            Happening::Stop(asking) if self.payment().public() == Public::Paid => {
                let denied = Denied::AlreadyPaid(self.payment().clone().into());
                Admitted::Reply(asking.id, Reply::Denied(denied))
            }
            Happening::Stop(asking) if self.payment().is_ending() => stands(self, asking.id),
            Happening::Stop(asking) => Admitted::Event(Event::Stop, standing(asking)),
            Happening::Code(asking, offered) if self.is_awaiting_code() => match spent {
                Some(earlier) => {
                    let denied = Denied::CodeAlreadyUsed(earlier.into());
                    Admitted::Reply(asking.id, Reply::Denied(denied))
                }
                None => self.take(offered, standing(asking)),
            },
            // The same code once more, because its first reply was lost.
            Happening::Code(asking, offered) if self.payment().mark() == Some(offered.mark) => {
                stands(self, asking.id)
            }
            Happening::Code(asking, _) => {
                let denied = Denied::NotAwaitingCode(self.payment().clone().into());
                Admitted::Reply(asking.id, Reply::Denied(denied))
            }
            Happening::Scanned(offered, unwanted) if self.is_awaiting_code() => match spent {
                Some(earlier) => used_for(unwanted, &earlier),
                None => self.take(offered, Asked::default()),
            },
            Happening::Scanned(_, unwanted) => Admitted::Scan(unwanted),
            Happening::News(news) => match news {
                ScannerNews::Unplugged(_) => self.hint(Some(Hint::ScannerGone)),
                ScannerNews::ScanLost(_) => self.hint(Some(Hint::ScanLost)),
                ScannerNews::Plugged if self.payment().hint() == Some(&Hint::ScannerGone) => {
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
        Admitted::Event(Event::Code(offered.mark, offered.tag), asked)
    }

    /// What the cashier has been told already needs no entry.
    fn hint(&self, hint: Option<Hint>) -> Admitted {
        if self.is_awaiting_code() && self.payment().hint() != hint.as_ref() {
            Admitted::Event(Event::Hint(hint), Asked::default())
        } else {
            Admitted::Nothing
        }
    }

    /// It waits for its own refund.
    pub(super) fn is_owing(&self) -> bool {
        self.payment().state() == State::Owing
    }

    fn is_awaiting_code(&self) -> bool {
        matches!(self.payment().state(), State::AwaitingCode { .. })
    }

    /// The code that goes along with this call.
    pub(super) fn code_for(&self, call: Call) -> Option<AuthCode> {
        match call {
            Call::Pay => self.code.clone(),
            Call::Precreate | Call::Query | Call::Cancel | Call::Refund | Call::RefundQuery => None,
        }
    }

    /// The entry is on disk: act on it, and tell.
    pub(super) fn written(&mut self, ticket: Ticket, out: &mut Vec<Output>) {
        let Some(Done { call, asked }) = self.slot.written(ticket) else { return };
        if let Some((serial, call)) = call {
            let code = self.code_for(call);
            let about = Matter::Payment(self.payment().clone());
            out.push(Output::Send { serial, call, about, code });
        }
        if self.payment().is_final() {
            self.code = None;
        }
        if let Some(id) = asked.started {
            out.push(Output::Reply { id, reply: Reply::Started(self.payment().clone()) });
        }
        if let Some(id) = asked.stands {
            out.push(Output::Reply { id, reply: Reply::Stands(self.payment().clone()) });
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
        let Some(writing) = self.slot.not_written(ticket, now) else { return false };
        let mut deny = |id: RequestId| {
            let reply = Reply::Denied(Denied::JournalUnavailable(why.to_owned()));
            out.push(Output::Reply { id, reply });
        };
        writing.asked.started.into_iter().chain(writing.asked.stands).for_each(&mut deny);
        // Nobody at the register waits through a disk that is full, and no code is
        // kept for it.
        let mut code_lost = false;
        self.slot.inbox.retain(|happening| match happening {
            Happening::Again(id)
            | Happening::Stop(Asking { id, .. })
            | Happening::Code(Asking { id, .. }, _) => {
                deny(*id);
                false
            }
            Happening::Scanned(..) => {
                code_lost = true;
                false
            }
            Happening::Requested(..)
            | Happening::Offered(..)
            | Happening::Restarted
            | Happening::GaveBack(_)
            | Happening::Due
            | Happening::Answered(..)
            | Happening::News(_)
            | Happening::Hint(_) => true,
        });
        if self.slot.disk().is_none() {
            return true;
        }
        match writing.event {
            Event::Answered(answered) => {
                if let Some(serial) = self.slot.in_flight() {
                    self.slot.inbox.push_front(Happening::Answered(serial, Box::new(answered)));
                }
            }
            Event::Restarted => self.slot.inbox.push_front(Happening::Restarted),
            Event::Due => self.slot.inbox.push_front(Happening::Due),
            Event::GaveBack(how) => self.slot.inbox.push_front(Happening::GaveBack(how)),
            // The customer shows the code once more. A register has been told so.
            Event::Code(..) => {
                self.code = None;
                code_lost |= writing.asked.stands.is_none();
            }
            Event::Hint(hint) => self.slot.inbox.push_front(Happening::Hint(hint)),
            Event::Requested(_) | Event::Offered(_) | Event::Stop => {}
        }
        if code_lost {
            self.slot.inbox.push_back(Happening::Hint(Some(Hint::ScanLost)));
        }
        false
    }
}

/// Whoever asked is told that it began.
pub(super) fn started(Asking { id, asker }: Asking) -> Asked {
    Asked { started: Some(id), asker, ..Asked::default() }
}

/// Whoever asked is told how it stands.
fn standing(Asking { id, asker }: Asking) -> Asked {
    Asked { stands: Some(id), asker, ..Asked::default() }
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
