//! One open machine, and what is under way for it: the entry being written, the
//! call in flight, and what waits its turn. "Written, then send" stands here, and
//! nowhere else.

use std::collections::VecDeque;
use std::time::Duration;

use super::machine::{Machine, Next};
use super::{RequestId, Serial, Ticket};
use crate::payment::{Asker, Entry, Moment, Timestamp};

/// After this long an entry that could not be written is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Who waits for the entry, and what they are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// The request that started it.
    pub(super) started: Option<RequestId>,
    /// A request that is answered with how it stands.
    pub(super) stands: Option<RequestId>,
    /// The code that came in, masked.
    pub(super) code: Option<String>,
    /// Who asked.
    pub(super) asker: Option<Asker>,
}

impl Asked {
    /// Nobody waits for the entry, and it tells of nobody.
    pub(super) fn is_nobody(&self) -> bool {
        self.started.is_none() && self.stands.is_none() && self.code.is_none()
    }
}

/// An entry on its way to disk.
#[derive(Debug)]
pub(super) struct Writing<M: Machine> {
    ticket: Ticket,
    next: M,
    /// The call that goes out afterwards, and its name.
    pub(super) call: Option<(Serial, M::Call)>,
    pub(super) event: M::Event,
    pub(super) asked: Asked,
}

/// What a step leads to.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "short-lived, and an entry is the usual one")]
pub(super) enum Led<M: Machine> {
    /// This is written down; the call that follows waits for it.
    Write { entry: Entry, call: Option<M::Call> },
    /// A question that needs no entry.
    Send(M::Call),
    /// Nothing.
    Nothing,
}

/// What may be done once an entry is on disk.
#[derive(Debug)]
pub(super) struct Done<M: Machine> {
    pub(super) call: Option<(Serial, M::Call)>,
    pub(super) asked: Asked,
}

/// A machine that is not final. `W` is what may want to happen to it.
#[derive(Debug)]
pub(super) struct Slot<M: Machine, W> {
    /// As it is on disk, but for steps that needed no entry; before its first
    /// entry, as it was asked for.
    machine: M,
    pub(super) inbox: VecDeque<W>,
    writing: Option<Writing<M>>,
    in_flight: Option<Serial>,
    /// An entry could not be written; when to try again (steady clock).
    stalled_until: Option<Timestamp>,
}

impl<M: Machine, W> Slot<M, W> {
    pub(super) fn new(machine: M) -> Self {
        Self {
            machine,
            inbox: VecDeque::new(),
            writing: None,
            in_flight: None,
            stalled_until: None,
        }
    }

    /// As it stands before what is being written.
    pub(super) fn machine(&self) -> &M {
        &self.machine
    }

    /// As it is on disk.
    pub(super) fn disk(&self) -> Option<&M> {
        self.machine.is_on_disk().then_some(&self.machine)
    }

    /// How it will stand once everything under way is written.
    pub(super) fn latest(&self) -> &M {
        self.writing.as_ref().map_or(&self.machine, |writing| &writing.next)
    }

    /// Its last entry is written and nobody waits for anything.
    pub(super) fn is_done(&self) -> bool {
        self.machine.is_final() && self.writing.is_none() && self.inbox.is_empty()
    }

    /// An entry is on its way to disk.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// An entry could not be written and waits to be tried again.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled_until.is_some()
    }

    /// Whether this names the call in flight. The answer to an earlier one is not
    /// an answer (rule 4).
    pub(super) fn awaits(&self, serial: Serial) -> bool {
        self.in_flight == Some(serial)
    }

    /// The call in flight.
    pub(super) fn in_flight(&self) -> Option<Serial> {
        self.in_flight
    }

    pub(super) fn due(&self) -> Option<Timestamp> {
        if self.writing.is_some() {
            return None;
        }
        self.stalled_until.or_else(|| self.machine.due())
    }

    /// What comes next, unless an entry is being written or has to be retried.
    pub(super) fn next_up(&mut self, now: Moment) -> Option<W> {
        if self.writing.is_some() {
            return None;
        }
        if self.stalled_until.is_some_and(|until| now.steady < until) {
            return None;
        }
        self.stalled_until = None;
        self.inbox.pop_front()
    }

    /// Writes the step down, or, if there is nothing to write, acts on it. `serial`
    /// names the call that follows, if one does.
    pub(super) fn go_on(
        &mut self,
        ticket: Ticket,
        serial: Serial,
        next: Next<M>,
        event: M::Event,
        asked: Asked,
    ) -> Led<M> {
        if next.quiet && asked.is_nobody() {
            return self.step_quietly(next, &event, serial).map_or(Led::Nothing, Led::Send);
        }
        let call = next.call;
        Led::Write { entry: self.write(ticket, serial, next, event, asked), call }
    }

    /// A step that needs no entry. Gives the call that goes out at once.
    pub(super) fn step_quietly(
        &mut self,
        next: Next<M>,
        event: &M::Event,
        serial: Serial,
    ) -> Option<M::Call> {
        self.machine = next.machine;
        if M::ends_call(event) {
            self.in_flight = None;
        }
        if next.call.is_some() {
            self.in_flight = Some(serial);
        }
        next.call
    }

    /// The entry for a step; it is under way from now on. `serial` names the
    /// call that follows, if one does.
    pub(super) fn write(
        &mut self,
        ticket: Ticket,
        serial: Serial,
        next: Next<M>,
        event: M::Event,
        asked: Asked,
    ) -> Entry {
        let Next { machine, call, .. } = next;
        let entry = machine.entry(&event, call, &asked);
        let call = call.map(|call| (serial, call));
        self.writing = Some(Writing { ticket, next: machine, call, event, asked });
        entry
    }

    /// The entry is on disk: now it may be acted on, and told.
    pub(super) fn written(&mut self, ticket: Ticket) -> Option<Done<M>> {
        let writing = self.writing.take_if(|writing| writing.ticket == ticket)?;
        self.machine = writing.next;
        if M::ends_call(&writing.event) {
            self.in_flight = None;
        }
        if let Some((serial, _)) = writing.call {
            self.in_flight = Some(serial);
        }
        Some(Done { call: writing.call, asked: writing.asked })
    }

    /// The entry is not on disk: nothing of it has happened.
    pub(super) fn not_written(&mut self, ticket: Ticket, now: Moment) -> Option<Writing<M>> {
        let writing = self.writing.take_if(|writing| writing.ticket == ticket)?;
        if self.machine.is_on_disk() {
            self.stall(now);
        }
        Some(writing)
    }

    /// What waits is tried again a little later.
    pub(super) fn stall(&mut self, now: Moment) {
        self.stalled_until = Some(now.steady + RETRY_AFTER);
    }
}
