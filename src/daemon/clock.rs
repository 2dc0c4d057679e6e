//! The only place that reads clocks.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::payment::{Moment, Timestamp};

/// The gateway's `Date` has whole seconds and the answer was under way; closer
/// than this is the same time.
const SKEW_SEEN: i64 = 3_000;

/// Nothing has been heard of the gateway's clock.
const NOT_HEARD: i64 = i64::MIN;

/// The three clocks of a [`Moment`].
///
/// The steady one starts at the wall clock's time and then runs with
/// `CLOCK_BOOTTIME`, which goes on in suspend and is never set. So a step of
/// the wall clock changes no deadline while the daemon runs.
#[derive(Debug)]
pub struct Clock {
    /// What to add to `CLOCK_BOOTTIME` to get the steady clock, in milliseconds.
    steady_offset: i64,
    /// What to add to the steady clock to get the gateway's, in milliseconds.
    gateway_offset: AtomicI64,
}

impl Clock {
    /// Starts the steady clock.
    #[must_use]
    pub fn start() -> Self {
        let steady_offset = wall_millis() - boot_millis();
        Self { steady_offset, gateway_offset: AtomicI64::new(NOT_HEARD) }
    }

    /// All three.
    #[must_use]
    pub fn now(&self) -> Moment {
        let (steady, wall) = (self.steady(), self.wall());
        let gateway = match self.gateway_offset.load(Ordering::Relaxed) {
            NOT_HEARD => wall,
            offset => Timestamp(steady.millis().saturating_add(offset)),
        };
        Moment { steady, wall, gateway }
    }

    /// The steady clock.
    #[must_use]
    pub fn steady(&self) -> Timestamp {
        Timestamp(boot_millis().saturating_add(self.steady_offset))
    }

    /// The wall clock.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        Timestamp(wall_millis())
    }

    /// Learns from the date of a verified answer that has just come.
    pub fn learn(&self, gateway_time: Timestamp) {
        let (wall, steady) = (self.wall().millis(), self.steady().millis());
        let agrees = gateway_time.millis().abs_diff(wall) <= SKEW_SEEN.unsigned_abs();
        let now = if agrees { wall } else { gateway_time.millis() };
        self.gateway_offset.store(now.saturating_sub(steady), Ordering::Relaxed);
    }

    /// How far the gateway's clock is ahead of the box's, in milliseconds.
    #[must_use]
    pub fn gateway_skew(&self) -> Option<i64> {
        let heard = self.gateway_offset.load(Ordering::Relaxed) != NOT_HEARD;
        let now = self.now();
        heard.then(|| now.gateway.millis().saturating_sub(now.wall.millis()))
    }

    /// From now until `at` on the steady clock; zero when it has passed.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Duration {
        let millis = at.millis().saturating_sub(self.steady().millis());
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

fn boot_millis() -> i64 {
    // Cannot fail: the clock exists since Linux 2.6.39 and the pointer is ours.
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map_or(0, |t| t.tv_sec().saturating_mul(1000).saturating_add(t.tv_nsec() / 1_000_000))
}

#[allow(clippy::disallowed_methods, reason = "this is the place")]
fn wall_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_clock_is_the_walls_until_it_is_heard() {
        let clock = Clock::start();
        assert_eq!(clock.gateway_skew(), None);
        let hour = 3_600_000;
        clock.learn(Timestamp(clock.wall().millis() + hour));
        let skew = clock.gateway_skew().expect("heard");
        assert!((hour - 100..=hour + 100).contains(&skew), "{skew}");
        // A second of difference is the resolution of the header.
        clock.learn(Timestamp(clock.wall().millis() + 1_000));
        assert!(clock.gateway_skew().expect("heard").abs() <= 100);
    }
}
