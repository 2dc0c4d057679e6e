//! How the terminal is, for `GET /v1/status`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::reading::view;
use super::{SentenceView, Word, time_text};
use crate::payment::{Sentence, Timestamp};
use crate::terminal::ClosedBy;

/// How the terminal is. Filled in by the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// When the daemon started (wall clock).
    pub started_at: Timestamp,
    /// How long it has run (steady clock).
    pub uptime: Duration,
    /// It takes no new payments because it is about to end.
    pub stopping: bool,
    /// It takes no new payments because a new version waits to take over.
    pub draining: bool,
    /// The scanners of the configuration.
    pub scanners: Vec<ScannerStatus>,
    /// The gateway.
    pub gateway: Gateway,
    /// The application's key and Alipay's.
    pub keys: Keys,
    /// How many payments are not final.
    pub open_payments: usize,
    /// The journal.
    pub journal: Journal,
    /// The clocks.
    pub clock: Clock,
}

view! {
    /// One scanner of the configuration.
    #[schema(as = Scanner, example = json!({
        "id": "lane-1", "kind": "serial", "device": "/dev/ttyACM0", "present": true, "last_news": null
    }))]
    pub struct ScannerStatus {
        /// Its name in the configuration; payments name it as `scanner`.
        pub id: String,
        /// `serial`, `evdev` or `hidraw`.
        pub kind: String,
        /// Which device it is.
        pub device: String,
        /// It is there and is being read.
        pub present: bool,
        /// What was last heard of it, such as why it is gone.
        pub last_news: Option<String>,
    }
}

/// Whether the gateway can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// As of the last exchange.
    pub link: Link,
    /// Since when (wall clock).
    pub since: Option<Timestamp>,
    /// When it last answered (wall clock).
    pub last_answer_at: Option<Timestamp>,
    /// How far its clock is ahead of the box's, in milliseconds.
    pub clock_skew_ms: Option<i64>,
    /// Why it cannot be reached, in one line without secrets.
    pub trouble: Option<String>,
}

/// The two keys: whether Alipay takes ours, and what it says verifies with its.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// As of the last question about nobody.
    pub state: KeyState,
    /// Which one is wrong and what to do, or why nothing is proven.
    pub trouble: Option<Sentence>,
}

/// What is known of the two keys. Payments begin only when they are proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Alipay has not said anything that proves them yet.
    Unproven,
    /// Both are right.
    Proven,
    /// Alipay does not take the signature of the application's key.
    AppKeyWrong,
    /// What Alipay says does not verify with the key that is taken for its.
    AlipayKeyWrong,
}

impl From<ClosedBy> for KeyState {
    fn from(by: ClosedBy) -> Self {
        match by {
            ClosedBy::KeysUnproven => Self::Unproven,
            ClosedBy::AppKeyWrong => Self::AppKeyWrong,
            ClosedBy::AlipayKeyWrong => Self::AlipayKeyWrong,
        }
    }
}

/// A link, as of its last use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Nothing was sent yet.
    Unknown,
    /// It answers.
    Up,
    /// It does not.
    Down,
}

view! {
    /// The journal's health.
    #[schema(as = JournalHealth, example = json!({
        "writable": true, "reason": null, "path": "/var/lib/tilld/journal.db", "head_seq": 17
    }))]
    pub struct Journal {
        /// Payments can be taken.
        pub writable: bool,
        /// Why not.
        pub reason: Option<String>,
        /// Where it is.
        pub path: String,
        /// The number of its last entry.
        pub head_seq: u64,
    }
}

/// The clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The box's wall clock; for people only.
    pub now: Timestamp,
    /// The steady clock, on which all deadlines are points.
    pub steady: Timestamp,
    /// Why no new payments are taken, if the box's clock is so wrong that the
    /// gateway would refuse them.
    pub wrong: Option<String>,
}

view! {
    /// How the terminal is.
    #[schema(as = Status)]
    pub struct StatusView {
        /// The program's version.
        pub version: String,
        /// When the daemon started.
        #[schema(format = DateTime)]
        pub started_at: String,
        /// For how many seconds it has run.
        pub uptime: u64,
        /// It takes no new payments because it is about to end.
        pub stopping: bool,
        /// It takes no new payments because a new version waits to take over.
        pub draining: bool,
        /// How many payments are not final.
        pub open_payments: usize,
        /// The scanners of the configuration.
        pub scanners: Vec<ScannerStatus>,
        /// The gateway.
        pub gateway: GatewayView,
        /// The application's key and Alipay's.
        pub keys: KeysView,
        /// The journal.
        pub journal: Journal,
        /// The clocks.
        pub clock: ClockView,
    }
}

view! {
    /// The two keys. Payments begin only when both are proven.
    #[schema(as = KeysHealth)]
    pub struct KeysView {
        /// As of the last question that the terminal has asked about them.
        #[schema(value_type = KeyState)]
        pub state: Word<KeyState>,
        /// Which one is wrong and what to do, or why nothing is proven.
        pub trouble: Option<SentenceView>,
    }
}

view! {
    /// Whether the gateway can be reached.
    #[schema(as = GatewayHealth)]
    pub struct GatewayView {
        /// As of the last exchange.
        #[schema(value_type = Link)]
        pub state: Word<Link>,
        /// Since when.
        #[schema(format = DateTime)]
        pub since: Option<String>,
        /// When it last answered.
        #[schema(format = DateTime)]
        pub last_answer_at: Option<String>,
        /// How far its clock is ahead of the box's, in milliseconds.
        pub clock_skew_ms: Option<i64>,
        /// Why it cannot be reached.
        pub trouble: Option<String>,
    }
}

view! {
    /// The clocks.
    #[schema(as = Clock)]
    pub struct ClockView {
        /// The box's wall clock.
        #[schema(format = DateTime)]
        pub now: String,
        /// Milliseconds on the steady clock, on which all deadlines are points. Only
        /// differences mean something.
        pub steady_ms: i64,
        /// Why no new payments are taken, if the box's clock is so wrong that the
        /// gateway would refuse them.
        pub wrong: Option<String>,
    }
}

impl From<Status> for StatusView {
    fn from(status: Status) -> Self {
        let Gateway { link, since, last_answer_at, clock_skew_ms, trouble } = status.gateway;
        Self {
            version: status.version,
            started_at: time_text(status.started_at),
            uptime: status.uptime.as_secs(),
            stopping: status.stopping,
            draining: status.draining,
            open_payments: status.open_payments,
            scanners: status.scanners,
            gateway: GatewayView {
                state: link.into(),
                since: since.map(time_text),
                last_answer_at: last_answer_at.map(time_text),
                clock_skew_ms,
                trouble,
            },
            keys: KeysView {
                state: status.keys.state.into(),
                trouble: status.keys.trouble.map(SentenceView::from),
            },
            journal: status.journal,
            clock: ClockView {
                now: time_text(status.clock.now),
                steady_ms: status.clock.steady.millis(),
                wrong: status.clock.wrong,
            },
        }
    }
}
