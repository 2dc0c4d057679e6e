//! What is written into the journal: one entry for everything that happened.

use super::{Asker, Call, Judged, Payment, Refund, ScanKind, Timestamp, Wire};

/// One thing that happened, as it goes to disk and, afterwards, to the event
/// stream. Every entry is one event, so the numbers have no gaps for a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "nearly every entry is about a payment")]
pub enum Entry {
    /// A payment changed.
    Payment {
        /// How it stands afterwards. The state is the truth ...
        payment: Payment,
        /// ... and the step is the reason.
        step: Step,
    },
    /// Money of a payment that goes back: something of it changed.
    Refund {
        /// How it stands afterwards.
        refund: Refund,
        /// The reason.
        step: Step,
    },
    /// A scanner read something that no payment was waiting for, or that does not
    /// pay the one that was.
    Scan {
        /// Which scanner.
        scanner: String,
        /// What it was.
        kind: ScanKind,
        /// What may be told of what it read ([`show_scan`](super::show_scan)).
        text: String,
        /// The AIM symbology identifier it came with, such as `]Q1`.
        aim: Option<String>,
    },
    /// A scanner came or went.
    Scanner {
        /// Which scanner.
        scanner: String,
        /// What happened to it.
        news: ScannerNews,
    },
    /// The gateway can be reached, or cannot.
    Gateway {
        /// It answers.
        up: bool,
        /// Why it does not.
        text: String,
    },
}

impl Entry {
    /// The name of the event that tells of this entry.
    #[must_use]
    pub fn event_name(&self) -> &'static str {
        match self {
            Self::Payment { .. } => "payment",
            Self::Refund { .. } => "refund",
            Self::Scan { .. } => "scan",
            Self::Scanner { .. } => "scanner",
            Self::Gateway { .. } => "gateway",
        }
    }
}

/// What happened to a scanner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScannerNews {
    /// It is there and is being read.
    Plugged,
    /// It is gone; why.
    Unplugged(String),
    /// A scan was lost and has to be made again; why.
    ScanLost(String),
}

/// What happened to a payment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StepName {
    /// The register asked for it.
    #[default]
    Requested,
    /// A code came.
    Code,
    /// The cashier is told why there is no code yet.
    Hint,
    /// Its time had come.
    Due,
    /// The cashier gave up.
    Stop,
    /// The daemon had been down.
    Restarted,
    /// The pay was answered, or will never be.
    PayAnswered,
    /// The query was.
    QueryAnswered,
    /// The cancel was.
    CancelAnswered,
    /// The refund was.
    RefundAnswered,
    /// The query about it was.
    RefundQueryAnswered,
    /// The precreate was.
    PrecreateAnswered,
    /// Its own refund came to its end.
    GaveBack,
}

impl StepName {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Requested,
        Self::Code,
        Self::Hint,
        Self::Due,
        Self::Stop,
        Self::Restarted,
        Self::PayAnswered,
        Self::QueryAnswered,
        Self::CancelAnswered,
        Self::RefundAnswered,
        Self::RefundQueryAnswered,
        Self::PrecreateAnswered,
        Self::GaveBack,
    ];

    /// The name in the journal, the API and the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Code => "code",
            Self::Hint => "hint",
            Self::Due => "due",
            Self::Stop => "stop",
            Self::Restarted => "restarted",
            Self::PayAnswered => "pay_answered",
            Self::QueryAnswered => "query_answered",
            Self::CancelAnswered => "cancel_answered",
            Self::RefundAnswered => "refund_answered",
            Self::RefundQueryAnswered => "refund_query_answered",
            Self::PrecreateAnswered => "precreate_answered",
            Self::GaveBack => "gave_back",
        }
    }
}

/// Why a payment changed, and what is sent because of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What happened.
    pub name: StepName,
    /// The call that goes out once this is on disk.
    pub call: Option<Call>,
    /// The payment code, masked, when one came in.
    pub code: Option<String>,
    /// The judgement, when an answer came in.
    pub judged: Option<Judged>,
    /// What the gateway answered.
    pub wire: Option<Wire>,
    /// Who asked, when somebody did.
    pub asker: Option<Asker>,
}

/// An entry as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its number, from 1, without gaps. Order is this number, not the clock.
    pub seq: u64,
    /// When it was written (wall clock; for people).
    pub at: Timestamp,
    /// What it says.
    pub entry: Entry,
}
