//! A refund is to be a second machine on the same slot. Here is as much of one as
//! shows that the slot takes it: asked for, sent once it is on disk, asked about
//! while nobody knows, and proven.

use super::super::machine::{Machine, Next};
use super::super::slot::{Asked, Slot};
use super::*;

/// What a refund waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Asked,
    Refunding,
    Resting { until: Timestamp },
    Asking,
    Refunded,
}

#[derive(Clone, Debug)]
struct Refund {
    request: &'static str,
    rev: u64,
    stands: Stands,
}

/// What can happen to it.
#[derive(Debug)]
enum Happens {
    Requested,
    Due,
    /// Answered: whether the money is proven to be back.
    Answered(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sends {
    Refund,
    RefundQuery,
}

impl Machine for Refund {
    type Event = Happens;
    type Call = Sends;
    type Illegal = String;

    fn is_on_disk(&self) -> bool {
        self.rev > 0
    }

    fn is_final(&self) -> bool {
        self.stands == Stands::Refunded
    }

    fn due(&self) -> Option<Timestamp> {
        match self.stands {
            Stands::Resting { until } => Some(until),
            Stands::Asked | Stands::Refunding | Stands::Asking | Stands::Refunded => None,
        }
    }

    fn step(&self, event: &Happens, now: Moment, rules: &Rules) -> Result<Next<Self>, String> {
        let until = now.steady + rules.poll_interval;
        let (stands, call, quiet) = match (self.stands, event) {
            (Stands::Asked, Happens::Requested) => (Stands::Refunding, Some(Sends::Refund), false),
            (Stands::Refunding | Stands::Asking, Happens::Answered(true)) => {
                (Stands::Refunded, None, false)
            }
            (Stands::Refunding, Happens::Answered(false)) => {
                (Stands::Resting { until }, None, false)
            }
            (Stands::Asking, Happens::Answered(false)) => (Stands::Resting { until }, None, true),
            (Stands::Resting { .. }, Happens::Due) => {
                (Stands::Asking, Some(Sends::RefundQuery), true)
            }
            (stands, event) => return Err(format!("{event:?} cannot happen in {stands:?}")),
        };
        let rev = self.rev + u64::from(!quiet);
        Ok(Next { machine: Self { stands, rev, ..self.clone() }, call, quiet })
    }

    fn ends_call(event: &Happens) -> bool {
        matches!(event, Happens::Answered(_))
    }

    fn entry(&self, event: &Happens, call: Option<Sends>, _: &Asked) -> Entry {
        // The journal has no word for refunds yet.
        Entry::Gateway { up: true, text: format!("{} {event:?} {call:?}", self.request) }
    }
}

/// One event, written if it has to be: the calls that went out, and whether each
/// was on disk by then.
fn play(slot: &mut Slot<Refund, ()>, event: Happens, seconds: i64) -> Vec<(Sends, bool)> {
    let at = Timestamp(seconds * 1_000);
    let now = Moment::undisputed(at, at, at);
    let next = slot.machine().step(&event, now, &Rules::default()).expect("legal");
    if next.quiet {
        let call = slot.step_quietly(next, &event, Serial(1));
        return call.into_iter().map(|call| (call, false)).collect();
    }
    let before = slot.machine().rev;
    let _entry = slot.write(Ticket(7), Serial(1), next, event, Asked::default());
    assert_eq!(slot.machine().rev, before, "nothing has happened before it is on disk");
    assert!(slot.written(Ticket(6)).is_none(), "another entry is not this one");
    let done = slot.written(Ticket(7)).expect("it was being written");
    done.call.into_iter().map(|(_, call)| (call, true)).collect()
}

#[test]
fn a_slot_drives_a_refund_as_it_drives_a_payment() {
    let refund = Refund { request: "R1", rev: 0, stands: Stands::Asked };
    let mut slot = Slot::new(refund);
    assert!(slot.disk().is_none());
    assert_eq!(play(&mut slot, Happens::Requested, 0), [(Sends::Refund, true)]);
    assert!(slot.awaits(Serial(1)), "one call is in flight");
    assert_eq!(play(&mut slot, Happens::Answered(false), 1), []);
    assert!(!slot.awaits(Serial(1)));
    assert_eq!(slot.due(), Some(Timestamp(6_000)));
    assert_eq!(play(&mut slot, Happens::Due, 6), [(Sends::RefundQuery, false)]);
    assert_eq!(play(&mut slot, Happens::Answered(false), 7), []);
    let rev = slot.disk().expect("it is on disk").rev;
    assert_eq!(rev, 2, "a question that taught nothing needs no entry");
    assert_eq!(play(&mut slot, Happens::Due, 12), [(Sends::RefundQuery, false)]);
    assert_eq!(play(&mut slot, Happens::Answered(true), 13), []);
    assert!(slot.is_done() && slot.due().is_none());
}
