//! What a slot drives: a payment, and what comes beside it. Static, so that a
//! slot costs nothing for knowing none of them.

use super::slot::Asked;
use crate::payment::{
    Answer, Answered, Call, Entry, EntryStep, Event, Illegal, Moment, Payment, Rules, StepName,
    Stepped, Timestamp,
};

/// Something that has states, is written down at each change, and has at most one
/// call in flight.
pub(crate) trait Machine: Clone + std::fmt::Debug {
    /// What can happen to it.
    type Event: std::fmt::Debug;
    /// What it can ask for.
    type Call: Copy + std::fmt::Debug;
    /// What happened to it cannot happen.
    type Illegal;

    /// Something of it is on disk.
    fn is_on_disk(&self) -> bool;

    /// Nothing more will happen to it.
    fn is_final(&self) -> bool;

    /// When it has to be looked at again (steady clock).
    fn due(&self) -> Option<Timestamp>;

    /// Decides what an event does.
    ///
    /// # Errors
    ///
    /// If it cannot happen now.
    fn step(
        &self,
        event: &Self::Event,
        now: Moment,
        rules: &Rules,
    ) -> Result<Next<Self>, Self::Illegal>;

    /// After this event nothing is in flight any more.
    fn ends_call(event: &Self::Event) -> bool;

    /// How the step that led here goes to disk.
    fn entry(&self, event: &Self::Event, call: Option<Self::Call>, asked: &Asked) -> Entry;
}

/// A machine after a step.
#[derive(Debug)]
pub(crate) struct Next<M: Machine> {
    /// How it stands.
    pub(crate) machine: M,
    /// The one call to make once that is on disk.
    pub(crate) call: Option<M::Call>,
    /// It needs no entry: nothing was learned, and the call changes nothing.
    pub(crate) quiet: bool,
}

impl From<Stepped> for Next<Payment> {
    fn from(Stepped { payment, call, quiet }: Stepped) -> Self {
        Self { machine: payment, call, quiet }
    }
}

impl Machine for Payment {
    type Event = Event;
    type Call = Call;
    type Illegal = Illegal;

    fn is_on_disk(&self) -> bool {
        self.rev() > 0
    }

    fn is_final(&self) -> bool {
        Payment::is_final(self)
    }

    fn due(&self) -> Option<Timestamp> {
        Payment::due(self)
    }

    fn step(&self, event: &Event, now: Moment, rules: &Rules) -> Result<Next<Self>, Illegal> {
        Payment::step(self, event, now, rules).map(Into::into)
    }

    fn ends_call(event: &Event) -> bool {
        matches!(event, Event::Answered(_) | Event::Restarted)
    }

    fn entry(&self, event: &Event, call: Option<Call>, asked: &Asked) -> Entry {
        let answered = match event {
            Event::Answered(answered) => Some(answered),
            Event::Requested(_)
            | Event::Code(..)
            | Event::Hint(_)
            | Event::Due
            | Event::Stop
            | Event::Restarted => None,
        };
        let step = EntryStep {
            name: name(event, self.rev() == 1),
            call,
            code: asked.code.clone(),
            judged: answered.map(|answered| answered.answer.judged()),
            wire: answered.map(|answered| answered.wire.clone()),
            asker: asked.asker,
        };
        Entry::Payment { payment: self.clone(), step }
    }
}

fn name(event: &Event, is_first: bool) -> StepName {
    match event {
        Event::Requested(_) => StepName::Requested,
        Event::Code(..) if is_first => StepName::Requested,
        Event::Code(..) => StepName::Code,
        Event::Hint(_) => StepName::Hint,
        Event::Due => StepName::Due,
        Event::Stop => StepName::Stop,
        Event::Restarted => StepName::Restarted,
        Event::Answered(Answered { answer: Answer::Pay(_), .. }) => StepName::PayAnswered,
        Event::Answered(Answered { answer: Answer::Query(_), .. }) => StepName::QueryAnswered,
        Event::Answered(Answered { answer: Answer::Cancel(_), .. }) => StepName::CancelAnswered,
        Event::Answered(Answered { answer: Answer::Refund(_), .. }) => StepName::RefundAnswered,
        Event::Answered(Answered { answer: Answer::RefundQuery(_), .. }) => {
            StepName::RefundQueryAnswered
        }
        Event::Answered(Answered { answer: Answer::Precreate(_), .. }) => {
            StepName::PrecreateAnswered
        }
    }
}
