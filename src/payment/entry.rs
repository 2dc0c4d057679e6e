//! What is written into the journal: one entry for everything that happened.

use super::{Call, Payment, Timestamp, Wire};

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
    /// A scanner read something that no payment was waiting for, or that does not
    /// pay the one that was.
    Scan {
        /// Which scanner.
        scanner: String,
        /// What it was: `alipay`, or the name of an
        /// [`OtherCode`](super::OtherCode), or `too_early`, or
        /// `code_already_used`.
        kind: String,
        /// What it read; wallet codes masked.
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

/// Why a payment changed, and what is sent because of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The name of the event: `requested`, `code`, `hint`, `due`, `stop`,
    /// `restarted`, `pay_answered`, `query_answered`, `cancel_answered`.
    pub name: String,
    /// The call that goes out once this is on disk.
    pub call: Option<Call>,
    /// The payment code, masked, when one came in.
    pub code: Option<String>,
    /// The judgement, in one word, when an answer came in.
    pub verdict: Option<String>,
    /// What the gateway answered.
    pub wire: Option<Wire>,
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
