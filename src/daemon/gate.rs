//! Whether a payment may begin: the box's clock will do, and both keys are
//! proven.
//!
//! Every request to the gateway carries a date, a pay also the date after which
//! it is void, and TLS asks whether certificates are valid today. And a wrong key
//! is found out by a payment that nobody can tell the end of. So before the first
//! pay the gateway is asked a question that concerns nobody. Its answer tells
//! which dates the gateway takes, that it knows our signature, and that what it
//! says verifies.
//!
//! Until then no payment begins, nor while the answers say that a key or the
//! clock is wrong. A gateway that falls silent later keeps nobody out: such a
//! payment ends `cancelled`, and nothing was sent.

use std::time::Duration;

use super::heard::{Date, Dated};
use crate::alipay::{Probed, Proof, request};
use crate::payment::{Answered, Moment, Timestamp, TroubleKind};
use crate::terminal::ClosedBy;

/// When this program was made, at the earliest: no box that is right says less.
const BUILT: Timestamp = Timestamp(match option_env!("SOURCE_DATE_EPOCH") {
    Some(seconds) => millis(seconds),
    // The year of the first release.
    None => 1_767_225_600_000,
});

/// How long the first payments may be kept waiting for the gateway's word.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// Between two probes while something is wrong: doubling, up to this. A shop
/// may be closed until the next one.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Between two probes for the sake of what payments' own calls were told.
const ONCE_A_SECOND: Duration = Duration::from_secs(1);

/// What the gateway says to a date that is too far off its own.
const INVALID_TIMESTAMP: &str = "isv.invalid-timestamp";

/// What a probe, or any other call, has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The gateway has answered us.
    Answered,
    /// The gateway finds our date too far off.
    DateRefused,
    /// TLS finds that the gateway's certificate is not valid at our time.
    CertificateRefused,
    /// It speaks of signatures, its own does not verify, or it lets us in with
    /// nothing.
    KeysDoubted,
    /// Nothing.
    Nothing,
}

impl Told {
    pub(super) fn by_call(answered: &Answered) -> Self {
        let sub_code = answered.wire.sub_code.as_deref();
        if sub_code == Some(INVALID_TIMESTAMP) {
            return Self::DateRefused;
        }
        if sub_code.is_some_and(Proof::speaks_of_our_key) {
            return Self::KeysDoubted;
        }
        match answered.answer.trouble().map(|trouble| trouble.kind) {
            // Why the front door is closed is for a probe to find out.
            Some(TroubleKind::Unverified | TroubleKind::Refused) => Self::KeysDoubted,
            Some(TroubleKind::Unreachable | TroubleKind::NoAnswer | TroubleKind::Foreign) => {
                Self::Nothing
            }
            Some(
                TroubleKind::Busy
                | TroubleKind::Unsettled
                | TroubleKind::SellerBalance
                | TroubleKind::Restart,
            )
            | None => Self::Answered,
        }
    }

    pub(super) fn by_probe(probed: &Probed) -> Self {
        if probed.certificate_out_of_date {
            Self::CertificateRefused
        } else {
            Self::by_call(&probed.answered)
        }
    }

    /// What became of the date on the request.
    pub(super) fn date(self, answered: &Answered) -> Date {
        // Only what comes from behind the front door was let in with its date.
        let inside = matches!(answered.wire.code.as_deref(), Some("10000" | "10003" | "40004"));
        match self {
            Self::DateRefused => Date::Refused,
            Self::Answered if inside => Date::Taken,
            Self::Answered | Self::CertificateRefused | Self::KeysDoubted | Self::Nothing => {
                Date::Unseen
            }
        }
    }
}

/// Why the gateway's door is closed, and its words about that.
pub(super) type Door = Result<(), (ClosedBy, String)>;

/// Decides whether new payments are let in, and when to ask the gateway.
#[derive(Debug)]
pub(super) struct Gate {
    /// What is wrong with the clock.
    wrong: Option<String>,
    door: Door,
    /// When to ask next (steady clock).
    due: Option<Timestamp>,
    under_way: bool,
    /// An answer to a payment's call casts doubt on a key or the clock.
    doubted: bool,
    /// When it was asked last.
    asked_at: Option<Timestamp>,
    /// By which clock the next question is dated, or the one under way.
    dated: Dated,
    /// Probes since the last one that found nothing wrong.
    tries: u32,
    /// The first verdict is there, or was waited for long enough.
    has_asked: bool,
    began: Timestamp,
}

impl Gate {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            wrong: None,
            door: unproven("Alipay has not been asked yet"),
            due: Some(now),
            under_way: false,
            doubted: false,
            asked_at: None,
            dated: Dated::Guess,
            tries: 0,
            has_asked: false,
            began: now,
        }
    }

    /// Why no new payment is let in because of the clock, if none is.
    pub(super) fn wrong(&self) -> Option<&str> {
        self.wrong.as_deref()
    }

    /// Why none is because of the keys.
    pub(super) fn door(&self) -> &Door {
        &self.door
    }

    /// New payments wait: the gateway's verdict is due any moment.
    pub(super) fn keeps_waiting(&self, now: Timestamp) -> bool {
        !self.has_asked && now < self.began + PATIENCE
    }

    /// When there is something to be done next.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let asking = self.due.filter(|_| !self.under_way);
        let letting_in = (!self.has_asked).then(|| self.began + PATIENCE);
        asking.into_iter().chain(letting_in).min()
    }

    /// Whether to ask the gateway now, and by which clock.
    pub(super) fn ask(&mut self, now: Timestamp) -> Option<Dated> {
        if now >= self.began + PATIENCE {
            self.has_asked = true;
        }
        if self.under_way || self.due.is_none_or(|due| due > now) {
            return None;
        }
        (self.under_way, self.doubted) = (true, false);
        self.asked_at = Some(now);
        self.due = None;
        Some(self.dated)
    }

    /// Something has happened to the clock or the keys: ask again at once.
    pub(super) fn doubt(&mut self, now: Timestamp) {
        self.tries = 0;
        self.dated = Dated::Guess;
        self.due = Some(now);
    }

    /// The keys are others now: what was proven of the old ones is worth nothing,
    /// and new payments wait for the verdict on these. What is under way now was
    /// asked with the old ones, and is not the verdict.
    pub(super) fn has_other_keys(&mut self, now: Timestamp) {
        let under_way = self.under_way;
        *self = Self { under_way, wrong: self.wrong.take(), ..Self::new(now) };
    }

    /// A payment's own call came back.
    pub(super) fn called(&mut self, told: Told, now: Timestamp) {
        match told {
            // What was doubted is for a probe to clear up.
            Told::Answered if self.door.is_ok() && !self.doubted => self.all_is_right(),
            Told::Answered => self.wrong = None,
            Told::DateRefused | Told::KeysDoubted => {
                // Once a second, however many payments are answered so.
                let soonest = self.asked_at.map_or(now, |at| now.max(at + ONCE_A_SECOND));
                self.doubt(soonest);
                self.doubted = true;
            }
            Told::CertificateRefused | Told::Nothing => {
                // Why, and until when, is for a probe to find out.
                if self.due.is_none() {
                    self.due = Some(now + self.pause());
                }
            }
        }
    }

    /// What was asked will not be answered, or not for us.
    pub(super) fn came_to_nothing(&mut self) {
        self.under_way = false;
    }

    /// A probe came back. `trouble` says what was wrong with its answer; `clock`
    /// what else the box knows of the time.
    pub(super) fn probed(
        &mut self,
        told: Told,
        proof: &Proof,
        trouble: &str,
        clock: Known,
        now: Moment,
    ) {
        self.under_way = false;
        // Another question is due: its answer is the verdict.
        if told == Told::DateRefused && self.dated == Dated::Guess && clock.has_other {
            self.dated = Dated::Other;
            self.due = Some(now.steady);
            return;
        }
        self.dated = Dated::Guess;
        self.has_asked = true;
        self.judge_keys(proof, trouble);
        self.judge_clock(told, trouble, clock.knows_gateway, now.wall);
        if told == Told::Answered && self.door.is_ok() {
            return self.all_is_right();
        }
        if self.due.is_none() {
            self.due = Some(now.steady + self.pause());
        }
    }

    fn judge_keys(&mut self, proof: &Proof, trouble: &str) {
        self.door = match proof {
            Proof::Both => Ok(()),
            Proof::AppKeyWrong(words) => Err((ClosedBy::AppKeyWrong, words.clone())),
            Proof::AlipayKeyWrong => Err((ClosedBy::AlipayKeyWrong, trouble.to_owned())),
            Proof::Refused(words) => unproven(words),
            // What was proven once is not less so because nobody answers.
            Proof::Nothing => match &self.door {
                Err((ClosedBy::KeysUnproven, _)) => unproven(trouble),
                Ok(()) | Err((ClosedBy::AppKeyWrong | ClosedBy::AlipayKeyWrong, _)) => return,
            },
        };
    }

    fn judge_clock(&mut self, told: Told, trouble: &str, knows_gateway: bool, wall: Timestamp) {
        let says = request::beijing(wall).unwrap_or_else(|_| "no date at all".to_owned());
        let set_it = "set the clock, for instance with: timedatectl set-ntp true";
        self.wrong = match told {
            Told::DateRefused => Some(format!(
                "Alipay refuses the date of this box, which says that it is {says} in Beijing; {set_it}"
            )),
            Told::CertificateRefused => Some(format!(
                "the certificate of Alipay's gateway is not valid at what this box takes for the time, {says} in Beijing; {set_it}"
            )),
            Told::Nothing if wall < BUILT && !knows_gateway => Some(format!(
                "this box says that it is {says} in Beijing, before this program was made, and Alipay cannot be asked ({trouble}); {set_it}"
            )),
            Told::Answered | Told::KeysDoubted | Told::Nothing => None,
        };
    }

    fn all_is_right(&mut self) {
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

/// What the box knows of the time, beside what a probe told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The gateway's clock is known.
    pub(super) knows_gateway: bool,
    /// There is another clock to try than the one that is taken for it.
    pub(super) has_other: bool,
}

fn unproven(why: &str) -> Door {
    Err((ClosedBy::KeysUnproven, why.to_owned()))
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
        fn ask(&mut self, ms: i64) -> Dated {
            if ms > 0 {
                assert_eq!(self.0.ask(Timestamp(ms - 1)), None, "too early at {ms}");
            }
            let asked = self.0.ask(Timestamp(ms));
            assert_eq!(self.0.ask(Timestamp(ms)), None, "one at a time");
            asked.unwrap_or_else(|| panic!("not at {ms}: {:?}", self.0))
        }

        fn told(&mut self, told: Told, knows: bool, ms: i64) -> Option<&str> {
            let proof = if told == Told::Answered { Proof::Both } else { Proof::Nothing };
            self.proven(told, &proof, knows, ms);
            self.0.wrong()
        }

        fn proven(&mut self, told: Told, proof: &Proof, knows: bool, ms: i64) -> &Door {
            let now = self.at(ms);
            let known = Known { knows_gateway: knows, has_other: knows };
            self.0.probed(told, proof, "no route", known, now);
            self.0.door()
        }

        /// One with nothing wrong, at this time.
        fn open(ms: i64) -> Self {
            let mut till = Self::new(0);
            till.ask(0);
            assert_eq!(till.told(Told::Answered, true, ms), None);
            till
        }
    }

    fn closed(door: &Door) -> Option<(ClosedBy, &str)> {
        door.as_ref().err().map(|(by, words)| (*by, words.as_str()))
    }

    const YEARS: i64 = 365 * 24 * 3_600_000;

    #[test]
    fn a_gateway_that_confirms_keys_and_clock_lets_payments_in_and_is_left_alone() {
        let mut till = Box::new(0);
        assert!(till.0.keeps_waiting(Timestamp(0)), "its first answer is waited for");
        till.ask(0);
        assert!(till.0.keeps_waiting(Timestamp(100)));
        assert_eq!(till.told(Told::Answered, true, 100), None);
        assert!(!till.0.keeps_waiting(Timestamp(101)));
        assert_eq!((till.0.due(), till.0.door()), (None, &Ok(())));
    }

    #[test]
    fn nobody_waits_long_for_a_gateway_that_does_not_answer() {
        let mut till = Box::new(0);
        till.ask(0);
        assert_eq!(till.0.due(), Some(Timestamp(3_000)));
        assert!(till.0.keeps_waiting(Timestamp(2_999)));
        assert!(!till.0.keeps_waiting(Timestamp(3_000)));
        assert_eq!(till.0.ask(Timestamp(3_000)), None, "it is still being asked");
        assert_eq!(till.0.due(), None);
        let door = closed(till.0.door());
        assert_eq!(door, Some((ClosedBy::KeysUnproven, "Alipay has not been asked yet")));
    }

    #[test]
    fn a_gateway_out_of_reach_proves_nothing_and_is_asked_ever_more_slowly() {
        let mut till = Box::new(0);
        let mut at = 0;
        for pause in [1, 2, 4, 8, 10, 10, 10] {
            till.ask(at);
            assert_eq!(till.told(Told::Nothing, false, at), None);
            assert_eq!(closed(till.0.door()), Some((ClosedBy::KeysUnproven, "no route")));
            at += pause * 1000;
        }
        // The clock is set, or the box wakes up: at once, and from the beginning.
        till.0.doubt(Timestamp(at - 9_000));
        till.ask(at - 9_000);
        assert_eq!(till.told(Told::Nothing, false, at - 9_000), None);
        till.ask(at - 8_000);
    }

    #[test]
    fn what_was_proven_once_stays_so_while_nobody_answers() {
        let mut till = Box::open(10);
        till.0.called(Told::Nothing, Timestamp(20));
        till.ask(1_020);
        assert_eq!(till.told(Told::Nothing, true, 1_030), None);
        assert_eq!(till.0.door(), &Ok(()));
    }

    #[test]
    fn a_wrong_key_closes_the_door_until_it_is_proven() {
        let words = || "40002 isv.invalid-signature".to_owned();
        for (proof, door) in [
            (Proof::AppKeyWrong(words()), (ClosedBy::AppKeyWrong, "40002 isv.invalid-signature")),
            (Proof::AlipayKeyWrong, (ClosedBy::AlipayKeyWrong, "no route")),
            (Proof::Refused("40006".to_owned()), (ClosedBy::KeysUnproven, "40006")),
        ] {
            let mut till = Box::open(10);
            till.0.called(Told::KeysDoubted, Timestamp(20));
            // What another call was told does not end the doubt.
            till.0.called(Told::Answered, Timestamp(30));
            till.ask(1_000);
            let shut = till.proven(Told::KeysDoubted, &proof, true, 1_010);
            assert_eq!(closed(shut), Some(door));
            // Silence does not open it, and it goes on being asked.
            till.ask(2_010);
            assert_ne!(till.proven(Told::Nothing, &Proof::Nothing, true, 2_020), &Ok(()));
            till.0.called(Told::Answered, Timestamp(2_030));
            till.ask(4_020);
            assert_eq!(till.proven(Told::Answered, &Proof::Both, true, 4_030), &Ok(()));
            assert_eq!(till.0.due(), None);
        }
    }

    #[test]
    fn other_keys_are_proven_anew_and_payments_wait_for_that() {
        let mut till = Box::open(10);
        till.0.doubt(Timestamp(50));
        till.ask(50);
        till.0.has_other_keys(Timestamp(60));
        assert!(till.0.keeps_waiting(Timestamp(61)) && till.0.door().is_err());
        // What was asked with the old ones comes back.
        till.0.came_to_nothing();
        assert!(till.0.keeps_waiting(Timestamp(70)) && till.0.door().is_err());
        assert_eq!(till.0.ask(Timestamp(70)), Some(Dated::Guess));
        assert_eq!(till.proven(Told::Answered, &Proof::Both, true, 80), &Ok(()));
        assert!(!till.0.keeps_waiting(Timestamp(81)));
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
        assert_eq!(till.told(Told::Answered, true, 1_600), None);
    }

    #[test]
    fn a_clock_before_the_program_was_made_is_wrong_unless_the_gateways_is_known() {
        let mut till = Box::new(-20 * YEARS);
        till.ask(0);
        let wrong = till.told(Told::Nothing, false, 10).expect("wrong");
        assert!(wrong.contains("2006-") && wrong.contains("no route"), "{wrong}");
        let mut till = Box::new(-20 * YEARS);
        till.ask(0);
        assert_eq!(till.told(Told::Answered, true, 10), None);
        till.0.doubt(Timestamp(20));
        till.ask(20);
        assert_eq!(till.told(Told::Nothing, true, 30), None);
    }

    #[test]
    fn a_refused_date_is_tried_by_the_other_clock_before_it_is_called_wrong() {
        let mut till = Box::new(0);
        assert_eq!(till.ask(0), Dated::Guess);
        assert_eq!(till.told(Told::DateRefused, true, 10), None);
        assert!(till.0.keeps_waiting(Timestamp(10)), "this was no verdict");
        assert_eq!(till.ask(10), Dated::Other);
        let wrong = till.told(Told::DateRefused, true, 20).expect("refused again");
        assert!(wrong.contains("refuses the date"), "{wrong}");
        assert_eq!(till.ask(1_020), Dated::Guess, "from the beginning");
        // Without another clock there is nothing to try.
        let mut till = Box::new(0);
        till.ask(0);
        assert!(till.told(Told::DateRefused, false, 10).is_some());
    }

    #[test]
    fn calls_of_payments_tell_as_well() {
        let mut till = Box::open(10);
        till.0.doubt(Timestamp(20));
        till.ask(20);
        till.told(Told::CertificateRefused, false, 30);
        till.0.called(Told::Answered, Timestamp(40));
        assert_eq!((till.0.wrong(), till.0.due()), (None, None));
        till.0.called(Told::Nothing, Timestamp(100));
        till.ask(1_100);
        till.told(Told::Answered, true, 1_110);
        till.0.called(Told::DateRefused, Timestamp(3_000));
        till.ask(3_000);
        till.told(Told::Answered, true, 3_010);
        // However often they speak of signatures.
        for ms in [3_020, 3_030, 3_990] {
            till.0.called(Told::KeysDoubted, Timestamp(ms));
        }
        till.ask(4_000);
    }

    #[test]
    fn the_time_of_the_build_is_read_from_the_builders_variable() {
        assert_eq!(millis("1767225600"), 1_767_225_600_000);
        assert!(BUILT.millis() >= 1_700_000_000_000);
    }
}
