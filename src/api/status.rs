//! How the terminal is, for `GET /v1/status`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::time_text;
use crate::payment::Timestamp;

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
    /// How many payments are not final.
    pub open_payments: usize,
    /// The journal.
    pub journal: Journal,
    /// The clocks.
    pub clock: Clock,
}

/// One scanner of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    #[schema(required)]
    pub last_news: Option<String>,
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

/// The journal's health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = JournalHealth, example = json!({
    "writable": true, "reason": null, "path": "/var/lib/tilld/journal.db", "head_seq": 17
}))]
pub struct Journal {
    /// Payments can be taken.
    pub writable: bool,
    /// Why not.
    #[schema(required)]
    pub reason: Option<String>,
    /// Where it is.
    pub path: String,
    /// The number of its last entry.
    pub head_seq: u64,
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

/// How the terminal is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// The journal.
    pub journal: Journal,
    /// The clocks.
    pub clock: ClockView,
}

/// Whether the gateway can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = GatewayHealth)]
pub struct GatewayView {
    /// As of the last exchange.
    pub state: Link,
    /// Since when.
    #[schema(required, format = DateTime)]
    pub since: Option<String>,
    /// When it last answered.
    #[schema(required, format = DateTime)]
    pub last_answer_at: Option<String>,
    /// How far its clock is ahead of the box's, in milliseconds.
    #[schema(required)]
    pub clock_skew_ms: Option<i64>,
    /// Why it cannot be reached.
    #[schema(required)]
    pub trouble: Option<String>,
}

/// The clocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    #[schema(required)]
    pub wrong: Option<String>,
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
                state: link,
                since: since.map(time_text),
                last_answer_at: last_answer_at.map(time_text),
                clock_skew_ms,
                trouble,
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
