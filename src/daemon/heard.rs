//! What the gateway's clock shows, as far as its answers have told.
//!
//! Two things tell: the gateway takes a request's date, or refuses it as too far
//! off; and the answer has a `Date`. The first is what counts for us, so it
//! outweighs the second: a relay may write any `Date` on an answer, but dates
//! that were taken are dates that will do.
//!
//! All times here are offsets: what to add to the steady clock, in milliseconds.

/// The gateway's `Date` has whole seconds and the answer was under way; closer
/// than this is the same time.
const SAME: i64 = 3_000;

/// A `Date` that moves the clock further than this is believed when a second
/// answer says the same.
const LARGE: i64 = 60_000;

/// The gateway refuses dates that are further off than this, so that a `Date`
/// further from a date that it has taken is not its clock's.
const WINDOW: i64 = 15 * 60_000;

/// The first millisecond of 2020: no gateway lives earlier.
const EARLIEST: i64 = 1_577_836_800_000;
/// The first of 2100: none of this program's lives later.
const LATEST: i64 = 4_102_444_800_000;

/// By which clock a request was dated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dated {
    /// The best guess at the gateway's.
    Guess,
    /// The other one that it could be.
    Other,
}

/// What an answer made of the date on its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Date {
    Taken,
    Refused,
    /// It was not looked at.
    Unseen,
}

/// What has been heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// The gateway's clock, once something has told it.
    known: Option<i64>,
    /// A date by that clock was taken, and none refused since.
    taken: bool,
    /// A `Date` that says something else.
    other: Option<i64>,
}

impl Heard {
    /// The best guess, for a box whose own clock is here.
    pub(super) fn guess(&self, wall: i64) -> i64 {
        self.known.unwrap_or(wall)
    }

    pub(super) fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// The clock to try when the gateway does not take the dates of the guess:
    /// what its answers say, or what the box says by itself.
    pub(super) fn other(&self, wall: i64) -> Option<i64> {
        let guess = self.guess(wall);
        self.other.into_iter().chain([wall]).find(|other| apart(*other, guess) > SAME)
    }

    /// The least and the most that the gateway's clock may show.
    pub(super) fn bounds(&self, wall: i64) -> (i64, i64) {
        let guess = self.guess(wall);
        let wall = Some(wall).filter(|_| !self.taken);
        let all = || [self.other, wall].into_iter().flatten().chain([guess]);
        (all().min().unwrap_or(guess), all().max().unwrap_or(guess))
    }

    /// Learns from a verified answer about a number of ours: what became of the
    /// request's date, and the `Date` that came with the answer, if one did.
    pub(super) fn learn(
        &mut self,
        dated: Dated,
        date: Date,
        answers_at: Option<i64>,
        steady: i64,
        wall: i64,
    ) {
        match date {
            Date::Taken => {
                let by = match dated {
                    Dated::Guess => self.guess(wall),
                    Dated::Other => self.other(wall).unwrap_or_else(|| self.guess(wall)),
                };
                (self.known, self.taken) = (Some(by), true);
                // What is that far from a date that was taken is not the clock.
                self.other = self.other.filter(|other| apart(*other, by) <= WINDOW);
            }
            Date::Refused => self.taken = false,
            Date::Unseen => {}
        }
        let plausible = answers_at.filter(|at| (EARLIEST..LATEST).contains(at));
        let Some(said) = plausible.map(|at| at.saturating_sub(steady)) else { return };
        let guess = self.guess(wall);
        let off = apart(said, guess);
        let again = self.other.is_some_and(|other| apart(said, other) <= SAME);
        if off <= SAME || (self.taken && off <= LARGE) || (self.taken && off <= WINDOW && again) {
            // As exact as the box's own clock, if that is the same.
            let exact = if apart(said, wall) <= SAME { wall } else { said };
            self.other = None;
            self.known = self.known.is_some().then_some(exact);
        } else if !self.taken || off <= WINDOW {
            self.other = Some(said);
        }
    }
}

fn apart(one: i64, other: i64) -> i64 {
    i64::try_from(one.abs_diff(other)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const YEAR: i64 = 365 * 24 * HOUR;
    /// What the steady clock shows.
    const STEADY: i64 = 1_795_140_000_000;

    /// A box whose clock is so far from the truth, and what it hears.
    struct Ear(Heard, i64);

    impl Ear {
        fn of(wall: i64) -> Self {
            Self(Heard::default(), wall)
        }

        fn hears(&mut self, dated: Dated, date: Date, says: Option<i64>) -> &mut Self {
            let says = says.map(|says| STEADY + says);
            self.0.learn(dated, date, says, STEADY, self.1);
            self
        }

        fn taken(&mut self, says: Option<i64>) -> &mut Self {
            self.hears(Dated::Guess, Date::Taken, says)
        }

        /// The guess, and the bounds around it.
        fn now(&self) -> (i64, i64, i64) {
            let (low, high) = self.0.bounds(self.1);
            (low, self.0.guess(self.1), high)
        }
    }

    fn even(at: i64) -> (i64, i64, i64) {
        (at, at, at)
    }

    #[test]
    fn a_clock_that_is_hours_off_is_corrected_once_the_gateway_has_taken_the_correction() {
        for off in [-3 * HOUR, 3 * HOUR, -56 * YEAR] {
            let mut ear = Ear::of(off);
            ear.hears(Dated::Guess, Date::Refused, Some(0));
            assert_eq!(ear.0.other(off), Some(0), "what the answer says is tried next");
            assert_eq!(ear.now(), (off.min(0), off, off.max(0)), "either may be right");
            ear.hears(Dated::Other, Date::Taken, Some(0));
            assert_eq!((ear.now(), ear.0.other(off)), (even(0), Some(off)));
        }
    }

    #[test]
    fn a_date_that_contradicts_what_the_gateway_takes_is_not_believed_however_often() {
        for lie in [2 * HOUR, -2 * HOUR, YEAR, -YEAR] {
            let mut ear = Ear::of(0);
            for _ in 0..5 {
                ear.taken(Some(lie));
                assert_eq!((ear.now(), ear.0.is_known()), (even(0), true), "{lie}");
            }
        }
    }

    #[test]
    fn dates_of_no_century_are_not_heard() {
        for absurd in [253_402_300_799_000 - STEADY, -STEADY, i64::MAX - STEADY] {
            let mut ear = Ear::of(0);
            ear.hears(Dated::Guess, Date::Refused, Some(absurd));
            assert_eq!((ear.0.other(0), ear.now()), (None, even(0)), "{absurd}");
        }
    }

    #[test]
    fn a_large_shift_needs_two_answers_and_a_small_one_does_not() {
        let mut ear = Ear::of(0);
        ear.taken(Some(1_000));
        assert_eq!(ear.now(), even(0), "the header counts whole seconds");
        ear.taken(Some(30_000));
        assert_eq!(ear.now(), even(30_000));
        ear.taken(Some(330_000));
        assert_eq!(ear.now(), (30_000, 30_000, 330_000), "until somebody says it again");
        ear.taken(Some(331_000));
        assert_eq!(ear.now(), even(331_000));
        // Two that do not agree with each other tell nothing.
        ear.taken(Some(700_000)).taken(Some(900_000));
        assert_eq!(ear.now(), (331_000, 331_000, 900_000));
        // And one that says what was known ends it.
        ear.taken(Some(331_000));
        assert_eq!(ear.now(), even(331_000));
    }

    #[test]
    fn a_gateway_without_dates_is_known_by_what_it_takes() {
        let mut ear = Ear::of(0);
        assert!(!ear.0.is_known());
        ear.taken(None);
        assert!(ear.0.is_known());
        // Whatever becomes of the box's clock.
        ear.1 = 5 * HOUR;
        assert_eq!(ear.now(), even(0));
    }

    #[test]
    fn when_the_correction_is_refused_the_box_s_own_clock_is_tried() {
        // A relay with a wrong clock had been believed, as its own dates were taken.
        let mut ear = Ear::of(2 * HOUR);
        ear.hears(Dated::Guess, Date::Refused, Some(0)).hears(Dated::Other, Date::Taken, Some(0));
        ear.hears(Dated::Guess, Date::Refused, Some(0));
        assert_eq!(ear.0.other(ear.1), Some(2 * HOUR));
        ear.hears(Dated::Other, Date::Taken, Some(0));
        assert_eq!(ear.now(), even(2 * HOUR));
    }
}
