//! Time, as the core sees it: numbers that come in as arguments.

use std::ops::Add;
use std::time::Duration;

/// A point in time, in milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0
    }

    /// This point in time, moved up to the next whole second. Alipay's dates
    /// have no fractions, and a deadline that is rounded must not be early.
    #[must_use]
    pub fn round_up_to_second(self) -> Self {
        Self(self.0.saturating_add(999).div_euclid(1000).saturating_mul(1000))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, length: Duration) -> Self {
        let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

/// One moment, as read from the three clocks that matter. They are never
/// mixed: each is compared with its own kind only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Runs evenly, also through suspend (`CLOCK_BOOTTIME`), and never back,
    /// over restarts neither. All deadlines are points on this clock, so a step
    /// of the wall clock does not change their length.
    pub steady: Timestamp,
    /// The box's wall clock: for people only. Decides nothing.
    pub wall: Timestamp,
    /// The best guess at the gateway's clock: the wall clock, corrected by what
    /// the gateway's own answers say. Dates sent to the gateway come from here.
    pub gateway: Timestamp,
    /// The gateway's clock shows this at the least. The same as `gateway` while
    /// nothing speaks against that guess.
    pub gateway_low: Timestamp,
    /// And this at the most.
    pub gateway_high: Timestamp,
}

impl Moment {
    /// A moment at which nobody disputes what the gateway's clock shows.
    #[must_use]
    pub fn undisputed(steady: Timestamp, wall: Timestamp, gateway: Timestamp) -> Self {
        Self { steady, wall, gateway, gateway_low: gateway, gateway_high: gateway }
    }
}

/// The lengths of a payment's life, from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Between two queries (Alipay's quick start: every 5 seconds).
    pub poll_interval: Duration,
    /// From the pay request until the last query and the cancel.
    pub timeout: Duration,
    /// From the pay request until `time_expire`, after which the gateway itself
    /// refuses a pay that arrives late. Not less than `timeout`.
    pub expire_after: Duration,
    /// How much longer than `time_expire` a late pay is reckoned with.
    pub late_margin: Duration,
    /// How long a pay that certainly never left the box is tried again.
    pub unsent_for: Duration,
    /// How long a payment waits for a code.
    pub code_timeout: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(5),
            timeout: Duration::from_mins(1),
            expire_after: Duration::from_mins(2),
            late_margin: Duration::from_secs(10),
            unsent_for: Duration::from_secs(8),
            code_timeout: Duration::from_mins(2),
        }
    }
}
