//! What a slot drives: a payment, and what comes beside it. Static, so that a
//! slot costs nothing for knowing none of them.

use super::slot::Asked;
use crate::payment::{
    Answer, Answered, Call, Entry, EntryStep, Event, Happened, Illegal, Moment, Payment, Refund,
    Rules, StepName, Stepped, Timestamp, Turn, WrongTurn,
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
            | Event::Offered(_)
            | Event::Code(..)
            | Event::Hint(_)
            | Event::Due
            | Event::Stop
            | Event::Restarted
            | Event::GaveBack(_) => None,
        };
        let step = step(name(event, self.rev() == 1), call, answered, asked);
        Entry::Payment { payment: self.clone(), step }
    }
}

impl From<Turn> for Next<Refund> {
    fn from(Turn { refund, call, quiet }: Turn) -> Self {
        Self { machine: refund, call, quiet }
    }
}

impl Machine for Refund {
    type Event = Happened;
    type Call = Call;
    type Illegal = WrongTurn;

    fn is_on_disk(&self) -> bool {
        self.rev() > 0
    }

    fn is_final(&self) -> bool {
        Refund::is_final(self)
    }

    fn due(&self) -> Option<Timestamp> {
        Refund::due(self)
    }

    fn step(&self, event: &Happened, now: Moment, _: &Rules) -> Result<Next<Self>, WrongTurn> {
        Refund::step(self, event, now).map(Into::into)
    }

    fn ends_call(event: &Happened) -> bool {
        matches!(event, Happened::Answered(_) | Happened::Restarted)
    }

    fn entry(&self, event: &Happened, call: Option<Call>, asked: &Asked) -> Entry {
        let (name, answered) = match event {
            Happened::Requested => (StepName::Requested, None),
            Happened::Due => (StepName::Due, None),
            Happened::Restarted => (StepName::Restarted, None),
            Happened::Answered(answered) => (answer_name(&answered.answer), Some(answered)),
        };
        Entry::Refund { refund: self.clone(), step: step(name, call, answered, asked) }
    }
}

fn step(
    name: StepName,
    call: Option<Call>,
    answered: Option<&Answered>,
    asked: &Asked,
) -> EntryStep {
    EntryStep {
        name,
        call,
        code: asked.code.clone(),
        judged: answered.map(|answered| answered.answer.judged()),
        wire: answered.map(|answered| answered.wire.clone()),
        asker: asked.asker,
    }
}

fn answer_name(answer: &Answer) -> StepName {
    match answer {
        Answer::Pay(_) => StepName::PayAnswered,
        Answer::Query(_) => StepName::QueryAnswered,
        Answer::Cancel(_) => StepName::CancelAnswered,
        Answer::Refund(_) => StepName::RefundAnswered,
        Answer::RefundQuery(_) => StepName::RefundQueryAnswered,
        Answer::Precreate(_) => StepName::PrecreateAnswered,
    }
}

fn name(event: &Event, is_first: bool) -> StepName {
    match event {
        Event::Requested(_) | Event::Offered(_) => StepName::Requested,
        Event::Code(..) if is_first => StepName::Requested,
        Event::Code(..) => StepName::Code,
        Event::Hint(_) => StepName::Hint,
        Event::Due => StepName::Due,
        Event::Stop => StepName::Stop,
        Event::Restarted => StepName::Restarted,
        Event::GaveBack(_) => StepName::GaveBack,
        Event::Answered(answered) => answer_name(&answered.answer),
    }
}
