//! Whether the box's clock will do for a payment.
//!
//! Every request to the gateway carries a date, a pay also the date after which
//! it is void, and TLS asks whether certificates are valid today. So before the
//! first pay the gateway is asked a question that concerns nobody, and its clock
//! is learned from the answer: from then on the dates of requests are right,
//! whatever the box's clock says.
//!
//! Only a box that cannot even ask because of its clock takes no new payments.
//! A gateway that is merely out of reach keeps nobody out: such a payment ends
//! `cancelled`, and nothing was sent.

use std::time::Duration;

use crate::alipay::{Probed, request};
use crate::payment::{Answered, Moment, Timestamp};

/// When this program was made, at the earliest: no box that is right says less.
const BUILT: Timestamp = Timestamp(match option_env!("SOURCE_DATE_EPOCH") {
    Some(seconds) => millis(seconds),
    // The year of the first release.
    None => 1_767_225_600_000,
});

/// How long the first payments may be kept waiting for the gateway's clock.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// Between two probes while nothing is known: doubling, up to this.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// What the gateway says to a date that is too far off its own.
const INVALID_TIMESTAMP: &str = "isv.invalid-timestamp";

/// What a probe, or any other call, has told about the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The gateway answered, and its clock is known.
    Time,
    /// The gateway finds our date too far off.
    DateRefused,
    /// TLS finds that the gateway's certificate is not valid at our time.
    CertificateRefused,
    /// Nothing.
    Nothing,
}

impl Told {
    pub(super) fn by_call(answered: &Answered) -> Self {
        if answered.wire.sub_code.as_deref() == Some(INVALID_TIMESTAMP) {
            Self::DateRefused
        } else if answered.gateway_time.is_some() {
            Self::Time
        } else {
            Self::Nothing
        }
    }

    pub(super) fn by_probe(probed: &Probed) -> Self {
        if probed.certificate_out_of_date {
            Self::CertificateRefused
        } else {
            Self::by_call(&probed.answered)
        }
    }
}

/// Decides whether new payments are let in, and when to ask the gateway.
#[derive(Debug)]
pub(super) struct Gate {
    wrong: Option<String>,
    /// When to ask next (steady clock).
    due: Option<Timestamp>,
    under_way: bool,
    /// Probes since the last answer.
    tries: u32,
    /// The first probe is over.
    has_asked: bool,
    began: Timestamp,
}

impl Gate {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            wrong: None,
            due: Some(now),
            under_way: false,
            tries: 0,
            has_asked: false,
            began: now,
        }
    }

    /// Why no new payment is let in, if none is.
    pub(super) fn wrong(&self) -> Option<&str> {
        self.wrong.as_deref()
    }

    /// New payments wait: the gateway's first answer is due any moment.
    pub(super) fn keeps_waiting(&self, now: Timestamp) -> bool {
        !self.has_asked && now < self.began + PATIENCE
    }

    /// When there is something to be done next.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let asking = self.due.filter(|_| !self.under_way);
        let letting_in = (!self.has_asked).then(|| self.began + PATIENCE);
        asking.into_iter().chain(letting_in).min()
    }

    /// Whether to ask the gateway now.
    pub(super) fn ask(&mut self, now: Timestamp) -> bool {
        let ask = !self.under_way && self.due.is_some_and(|due| due <= now);
        if ask {
            self.under_way = true;
            self.due = None;
        }
        if now >= self.began + PATIENCE {
            self.has_asked = true;
        }
        ask
    }

    /// Something has happened to the clock: ask again at once.
    pub(super) fn doubt(&mut self, now: Timestamp) {
        self.tries = 0;
        self.due = Some(now);
    }

    /// A payment's own call came back.
    pub(super) fn called(&mut self, told: Told, now: Timestamp) {
        match told {
            Told::Time => self.is_right(),
            Told::DateRefused => self.doubt(now),
            Told::CertificateRefused | Told::Nothing => {
                // Why, and until when, is for a probe to find out.
                if self.due.is_none() {
                    self.due = Some(now + self.pause());
                }
            }
        }
    }

    /// A probe came back. `knows_gateway`: the gateway's clock is known, from
    /// this answer or an earlier one. `trouble` says why there was no answer.
    pub(super) fn probed(&mut self, told: Told, trouble: &str, knows_gateway: bool, now: Moment) {
        self.under_way = false;
        self.has_asked = true;
        let says = request::beijing(now.wall).unwrap_or_else(|_| "no date at all".to_owned());
        let set_it = "set the clock, for instance with: timedatectl set-ntp true";
        match told {
            Told::Time => return self.is_right(),
            // Its answer has told the right date, with which the next one goes.
            Told::DateRefused if knows_gateway && self.tries == 0 => {
                self.tries = 1;
                self.due = Some(now.steady);
                return;
            }
            Told::DateRefused => {
                self.wrong = Some(format!(
                    "Alipay refuses the date of this box, which says that it is {says} in Beijing; {set_it}"
                ));
            }
            Told::CertificateRefused => {
                self.wrong = Some(format!(
                    "the certificate of Alipay's gateway is not valid at what this box takes for the time, {says} in Beijing; {set_it}"
                ));
            }
            Told::Nothing if now.wall < BUILT && !knows_gateway => {
                self.wrong = Some(format!(
                    "this box says that it is {says} in Beijing, before this program was made, and Alipay cannot be asked ({trouble}); {set_it}"
                ));
            }
            Told::Nothing => self.wrong = None,
        }
        if self.due.is_none() {
            self.due = Some(now.steady + self.pause());
        }
    }

    fn is_right(&mut self) {
        self.wrong = None;
        self.tries = 0;
        self.due = None;
        self.has_asked = true;
    }

    /// Until the next try.
    fn pause(&mut self) -> Duration {
        self.tries = self.tries.saturating_add(1);
        Duration::from_secs(1 << (self.tries - 1).min(6)).min(PAUSE_MAX)
    }
}

/// Whole seconds, written in digits.
const fn millis(seconds: &str) -> i64 {
    let digits = seconds.as_bytes();
    let (mut sum, mut at) = (0_i64, 0);
    while at < digits.len() {
        #[allow(clippy::indexing_slicing, reason = "below the length, at compile time")]
        let digit = digits[at];
        assert!(digit.is_ascii_digit(), "SOURCE_DATE_EPOCH is not a number of seconds");
        sum = sum * 10 + (digit - b'0') as i64;
        at += 1;
    }
    sum * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box whose wall clock is so far ahead of the truth.
    struct Box(Gate, i64);

    impl Box {
        const TRUTH: i64 = 1_795_140_000_000;

        fn new(ahead: i64) -> Self {
            Self(Gate::new(Timestamp(0)), ahead)
        }

        fn at(&self, ms: i64) -> Moment {
            let wall = Timestamp(Self::TRUTH + self.1 + ms);
            Moment::undisputed(Timestamp(ms), wall, wall)
        }

        /// Asks at this time, which must be when it wants to.
        fn ask(&mut self, ms: i64) {
            if ms > 0 {
                assert!(!self.0.ask(Timestamp(ms - 1)), "too early at {ms}");
            }
            assert!(self.0.ask(Timestamp(ms)), "not at {ms}: {:?}", self.0);
            assert!(!self.0.ask(Timestamp(ms)), "one at a time");
        }

        fn told(&mut self, told: Told, knows: bool, ms: i64) -> Option<&str> {
            let now = self.at(ms);
            self.0.probed(told, "no route", knows, now);
            self.0.wrong()
        }
    }

    const YEARS: i64 = 365 * 24 * 3_600_000;

    #[test]
    fn a_clock_that_the_gateway_confirms_lets_payments_in_and_is_left_alone() {
        let mut till = Box::new(0);
        assert!(till.0.keeps_waiting(Timestamp(0)), "its first answer is waited for");
        till.ask(0);
        assert!(till.0.keeps_waiting(Timestamp(100)));
        assert_eq!(till.told(Told::Time, true, 100), None);
        assert!(!till.0.keeps_waiting(Timestamp(101)));
        assert_eq!(till.0.due(), None);
    }

    #[test]
    fn nobody_waits_long_for_a_gateway_that_does_not_answer() {
        let mut till = Box::new(0);
        till.ask(0);
        assert_eq!(till.0.due(), Some(Timestamp(3_000)));
        assert!(till.0.keeps_waiting(Timestamp(2_999)));
        assert!(!till.0.keeps_waiting(Timestamp(3_000)));
        assert!(!till.0.ask(Timestamp(3_000)), "it is still being asked");
        assert_eq!(till.0.due(), None);
    }

    #[test]
    fn a_gateway_out_of_reach_keeps_nobody_out_and_is_asked_ever_more_slowly() {
        let mut till = Box::new(0);
        let mut at = 0;
        for pause in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            till.ask(at);
            assert_eq!(till.told(Told::Nothing, false, at), None);
            at += pause * 1000;
        }
        // The clock is set, or the box wakes up: at once, and from the beginning.
        till.0.doubt(Timestamp(at - 9_000));
        till.ask(at - 9_000);
        assert_eq!(till.told(Told::Nothing, false, at - 9_000), None);
        till.ask(at - 8_000);
    }

    #[test]
    fn a_certificate_that_is_not_valid_today_keeps_payments_out_until_the_clock_is_set() {
        let mut till = Box::new(-56 * YEARS);
        till.ask(0);
        let wrong = till.told(Told::CertificateRefused, false, 10).expect("wrong");
        assert!(wrong.contains("1970-"), "{wrong}");
        assert!(wrong.contains("timedatectl set-ntp true"), "{wrong}");
        till.ask(1_010);
        till.told(Told::CertificateRefused, false, 1_020);
        till.1 = 0;
        till.0.doubt(Timestamp(1_500));
        till.ask(1_500);
        assert_eq!(till.told(Told::Time, true, 1_600), None);
    }

    #[test]
    fn a_clock_before_the_program_was_made_is_wrong_unless_the_gateways_is_known() {
        let mut till = Box::new(-20 * YEARS);
        till.ask(0);
        let wrong = till.told(Told::Nothing, false, 10).expect("wrong");
        assert!(wrong.contains("2006-") && wrong.contains("no route"), "{wrong}");
        let mut till = Box::new(-20 * YEARS);
        till.ask(0);
        assert_eq!(till.told(Told::Time, true, 10), None);
        till.0.doubt(Timestamp(20));
        till.ask(20);
        assert_eq!(till.told(Told::Nothing, true, 30), None);
    }

    #[test]
    fn a_refused_date_is_corrected_once_before_it_is_called_wrong() {
        let mut till = Box::new(0);
        till.ask(0);
        assert_eq!(till.told(Told::DateRefused, true, 10), None);
        till.ask(10);
        let wrong = till.told(Told::DateRefused, true, 20).expect("refused again");
        assert!(wrong.contains("refuses the date"), "{wrong}");
        // Without a date to learn from there is nothing to try.
        let mut till = Box::new(0);
        till.ask(0);
        assert!(till.told(Told::DateRefused, false, 10).is_some());
    }

    #[test]
    fn calls_of_payments_tell_as_well() {
        let mut till = Box::new(0);
        till.ask(0);
        till.told(Told::CertificateRefused, false, 10);
        till.0.called(Told::Time, Timestamp(20));
        assert_eq!((till.0.wrong(), till.0.due()), (None, None));
        till.0.called(Told::Nothing, Timestamp(100));
        till.ask(1_100);
        till.told(Told::Time, true, 1_110);
        till.0.called(Told::DateRefused, Timestamp(2_000));
        till.ask(2_000);
    }

    #[test]
    fn the_time_of_the_build_is_read_from_the_builders_variable() {
        assert_eq!(millis("1767225600"), 1_767_225_600_000);
        assert!(BUILT.millis() >= 1_700_000_000_000);
    }
}
