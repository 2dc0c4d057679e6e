//! The only place that reads clocks.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::heard::{Date, Dated, Heard};
use crate::payment::{Moment, Timestamp};

/// A jump that is smaller than this is none. A clock that is being pulled into
/// place gains or loses less than this between two looks.
const JUMP_MIN: i64 = 1_000;

/// Clocks that were read further apart than this say nothing about each other.
const TOGETHER: i64 = 50;

/// What the box's clocks say, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readings {
    /// The wall clock, since 1970.
    pub wall: i64,
    /// `CLOCK_BOOTTIME`: goes on in suspend and is never set.
    pub boot: i64,
    /// `CLOCK_MONOTONIC`: the same, but it stands still in suspend.
    pub awake: i64,
}

/// What has happened to the clocks since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jumps {
    /// The box was suspended, for so long.
    pub slept: Option<Duration>,
    /// The wall clock was set, by so many milliseconds.
    pub stepped: Option<i64>,
}

/// The three clocks of a [`Moment`].
///
/// The steady one starts at the wall clock's time and then runs with
/// `CLOCK_BOOTTIME`, which goes on in suspend and is never set. So a step of
/// the wall clock changes no deadline while the daemon runs.
pub struct Clock {
    read: Box<dyn Fn() -> Readings + Send + Sync>,
    /// What to add to `CLOCK_BOOTTIME` to get the steady clock, in milliseconds.
    steady_offset: i64,
    /// The gateway's clock.
    heard: Mutex<Heard>,
    /// At the last look for jumps.
    looked: Mutex<Readings>,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl Clock {
    /// Starts the steady clock.
    #[must_use]
    pub fn start() -> Self {
        Self::reading(read_all)
    }

    /// The same, with clocks of the caller's.
    #[must_use]
    pub fn reading(read: impl Fn() -> Readings + Send + Sync + 'static) -> Self {
        let now = read();
        Self {
            read: Box::new(read),
            steady_offset: now.wall.saturating_sub(now.boot),
            heard: Mutex::default(),
            looked: Mutex::new(now),
        }
    }

    /// All three.
    #[must_use]
    pub fn now(&self) -> Moment {
        let Readings { wall, boot, .. } = (self.read)();
        let steady = self.steady_at(boot);
        let (heard, own) = (self.heard(), wall.saturating_sub(steady.millis()));
        let at = |offset: i64| Timestamp(steady.millis().saturating_add(offset));
        let (low, high) = heard.bounds(own);
        Moment {
            steady,
            wall: Timestamp(wall),
            gateway: at(heard.guess(own)),
            gateway_low: at(low),
            gateway_high: at(high),
        }
    }

    /// What a request to the gateway is dated with; the other clock than the
    /// guess only if there is one.
    #[must_use]
    pub(super) fn date(&self, by: Dated) -> Timestamp {
        let Moment { steady, wall, gateway, .. } = self.now();
        match by {
            Dated::Guess => gateway,
            Dated::Other => {
                let other = self.heard().other(wall.millis().saturating_sub(steady.millis()));
                other.map_or(gateway, |other| Timestamp(steady.millis().saturating_add(other)))
            }
        }
    }

    /// There is another clock to try than the guess.
    pub(super) fn has_other(&self) -> bool {
        let Moment { steady, wall, .. } = self.now();
        self.heard().other(wall.millis().saturating_sub(steady.millis())).is_some()
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The steady clock.
    #[must_use]
    pub fn steady(&self) -> Timestamp {
        self.steady_at((self.read)().boot)
    }

    fn steady_at(&self, boot: i64) -> Timestamp {
        Timestamp(boot.saturating_add(self.steady_offset))
    }

    /// The wall clock.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        Timestamp((self.read)().wall)
    }

    /// Learns from a verified answer that has just come, about a number of ours.
    pub(super) fn learn(&self, dated: Dated, date: Date, answers_at: Option<Timestamp>) {
        let Moment { steady, wall, .. } = self.now();
        let (steady, wall) = (steady.millis(), wall.millis());
        let own = wall.saturating_sub(steady);
        self.heard().learn(dated, date, answers_at.map(Timestamp::millis), steady, own);
    }

    /// Whether the gateway's clock is known.
    #[must_use]
    pub fn knows_gateway(&self) -> bool {
        self.heard().is_known()
    }

    /// How far the gateway's clock is ahead of the box's, in milliseconds.
    #[must_use]
    pub fn gateway_skew(&self) -> Option<i64> {
        let now = self.now();
        self.knows_gateway().then(|| now.gateway.millis().saturating_sub(now.wall.millis()))
    }

    /// From now until `at` on the steady clock; zero when it has passed.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Duration {
        length(at.millis().saturating_sub(self.steady().millis()))
    }

    /// Whether the box was suspended or the wall clock set since the last look.
    pub fn look(&self) -> Jumps {
        let now = (self.read)();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *looked, now);
        // How far one clock has run away from another.
        let grown = |a: fn(&Readings) -> i64, b: fn(&Readings) -> i64| {
            let apart = |r: &Readings| a(r).saturating_sub(b(r));
            apart(&now).saturating_sub(apart(&before))
        };
        let slept = grown(|r| r.boot, |r| r.awake);
        let stepped = grown(|r| r.wall, |r| r.boot);
        Jumps {
            slept: (slept > JUMP_MIN).then(|| length(slept)),
            stepped: (stepped.abs() > JUMP_MIN).then_some(stepped),
        }
    }
}

fn length(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// All clocks at one moment: again, if the process had to wait in between.
fn read_all() -> Readings {
    let mut tries = 0;
    loop {
        let before = kernel(ClockId::CLOCK_BOOTTIME);
        let now =
            Readings { boot: before, wall: wall_millis(), awake: kernel(ClockId::CLOCK_MONOTONIC) };
        tries += 1;
        let took = kernel(ClockId::CLOCK_BOOTTIME).saturating_sub(before);
        // A suspend may fall in between as well, but not ten times.
        if took <= TOGETHER || tries >= 10 {
            return now;
        }
    }
}

fn kernel(clock: ClockId) -> i64 {
    // Cannot fail: both clocks exist since Linux 2.6.39 and the pointer is ours.
    clock_gettime(clock)
        .map_or(0, |t| t.tv_sec().saturating_mul(1000).saturating_add(t.tv_nsec() / 1_000_000))
}

#[allow(clippy::disallowed_methods, reason = "this is the place")]
fn wall_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// Clocks that a test sets.
#[cfg(test)]
pub(super) mod fake {
    use std::sync::{Arc, Mutex};

    use super::{Clock, Readings};

    /// The hands of the clocks.
    #[derive(Clone)]
    pub(in crate::daemon) struct Hands(Arc<Mutex<Readings>>);

    impl Hands {
        /// A box that was switched on ten seconds ago, at this time.
        pub(in crate::daemon) fn at(wall: i64) -> Self {
            Self(Arc::new(Mutex::new(Readings { wall, boot: 10_000, awake: 10_000 })))
        }

        pub(in crate::daemon) fn clock(&self) -> Clock {
            let hands = self.clone();
            Clock::reading(move || *hands.0.lock().unwrap())
        }

        fn turn(&self, wall: i64, boot: i64, awake: i64) {
            let mut hands = self.0.lock().unwrap();
            hands.wall += wall;
            hands.boot += boot;
            hands.awake += awake;
        }

        /// Time goes by.
        pub(in crate::daemon) fn run(&self, ms: i64) {
            self.turn(ms, ms, ms);
        }

        /// Time goes by, and the box sleeps.
        pub(in crate::daemon) fn sleep(&self, ms: i64) {
            self.turn(ms, ms, 0);
        }

        /// Somebody sets the wall clock.
        pub(in crate::daemon) fn step(&self, ms: i64) {
            self.turn(ms, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake::Hands;
    use super::*;
    use crate::payment::{CodeKey, Order, Rules, ScaleLabels};
    use crate::terminal::{Codes, Input, Known, Output, PayRequest, Request, RequestId, Terminal};

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;
    const NOW: i64 = 1_795_140_000_000;

    #[test]
    fn the_gateways_clock_is_the_walls_until_it_is_heard() {
        let hands = Hands::at(NOW);
        let clock = hands.clock();
        assert_eq!((clock.gateway_skew(), clock.knows_gateway()), (None, false));
        let says = |at: i64, date| clock.learn(Dated::Guess, date, Some(Timestamp(at)));
        says(NOW + HOUR, Date::Refused);
        assert_eq!(clock.date(Dated::Other), Timestamp(NOW + HOUR));
        assert!(clock.has_other());
        clock.learn(Dated::Other, Date::Taken, Some(Timestamp(NOW + HOUR)));
        assert_eq!((clock.gateway_skew(), clock.knows_gateway()), (Some(HOUR), true));
        // Once it is known, no step of the box's clock touches it.
        hands.step(-5 * DAY);
        hands.run(7_000);
        let now = clock.now();
        assert_eq!(now.gateway, Timestamp(NOW + HOUR + 7_000));
        assert_eq!((now.gateway_low, now.gateway_high), (now.gateway, now.gateway));
        // A second of difference is the resolution of the header.
        hands.step(5 * DAY + HOUR);
        says(clock.wall().millis() + 1_000, Date::Taken);
        assert_eq!(clock.gateway_skew(), Some(0));
    }

    #[test]
    fn jumps_are_seen_once_and_slow_pulls_are_none() {
        let hands = Hands::at(NOW);
        let clock = hands.clock();
        for ms in [1, 5_000, HOUR, 30 * DAY] {
            hands.run(ms);
            assert_eq!(clock.look(), Jumps::default());
        }
        for by in [2_000, -2_000, 400 * DAY, -400 * DAY] {
            hands.step(by);
            hands.run(5_000);
            assert_eq!(clock.look(), Jumps { slept: None, stepped: Some(by) });
            assert_eq!(clock.look(), Jumps::default());
        }
        // A time daemon that pulls the clock gently.
        for _ in 0..100 {
            hands.step(400);
            hands.run(5_000);
            assert_eq!(clock.look(), Jumps::default());
        }
        hands.sleep(HOUR);
        let slept = Some(Duration::from_hours(1));
        assert_eq!(clock.look(), Jumps { slept, stepped: None });
        hands.sleep(900);
        assert_eq!(clock.look(), Jumps::default());
    }

    #[test]
    fn the_real_clocks_have_not_jumped() {
        let clock = Clock::start();
        assert_eq!(clock.look(), Jumps::default());
        assert!(clock.wall().millis().abs_diff(clock.steady().millis()) < 60_000);
    }

    /// A payment that waits for its code, and until when.
    fn waiting(clock: &Clock) -> (Terminal, Timestamp) {
        let codes = Codes { key: CodeKey::derive(b"a test"), labels: ScaleLabels::default() };
        let mut terminal = Terminal::new(Rules::default(), codes, vec!["lane-1".to_owned()]);
        let order = Order::new(
            "A1".parse().expect("a number"),
            "1.00".parse().expect("an amount"),
            "coffee".to_owned(),
        );
        let request =
            Request::Pay(Box::new(PayRequest { order, code: None, keyed_by_sale: false }));
        let asked = Input::Request {
            id: RequestId(1),
            request,
            known: Box::new(Known::default()),
            asker: None,
        };
        written(&mut terminal, clock, asked);
        let due = terminal.due().expect("it does not wait for ever");
        (terminal, due)
    }

    fn written(terminal: &mut Terminal, clock: &Clock, input: Input) {
        for output in terminal.handle(input, clock.now()).expect("legal") {
            if let Output::Write { ticket, .. } = output {
                written(terminal, clock, Input::Written(ticket));
            }
        }
    }

    #[test]
    fn deadlines_keep_their_length_when_the_clock_is_set() {
        let length = Rules::default().code_timeout;
        for step in [DAY, -DAY, 56 * 365 * DAY, -56 * 365 * DAY] {
            let hands = Hands::at(NOW);
            let clock = hands.clock();
            let (mut terminal, due) = waiting(&clock);
            assert_eq!(clock.until(due), length);
            hands.step(step);
            assert_eq!((clock.until(due), terminal.due()), (length, Some(due)), "{step}");
            hands.run(i64::try_from(length.as_millis()).expect("short") - 1);
            written(&mut terminal, &clock, Input::Tick);
            assert_eq!(terminal.open_count(), 1, "{step}: too early");
            hands.run(1);
            written(&mut terminal, &clock, Input::Tick);
            assert_eq!(terminal.open_count(), 0, "{step}: too late");
        }
    }

    #[test]
    fn a_deadline_passes_while_the_box_sleeps() {
        let hands = Hands::at(NOW);
        let clock = hands.clock();
        let (mut terminal, due) = waiting(&clock);
        hands.sleep(HOUR);
        assert!(clock.look().slept.is_some());
        assert_eq!(clock.until(due), Duration::ZERO);
        written(&mut terminal, &clock, Input::Tick);
        assert_eq!(terminal.open_count(), 0);
    }
}
