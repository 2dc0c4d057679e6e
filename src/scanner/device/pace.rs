//! How much of what a scanner reads is handed on.
//!
//! Each scan is an entry in the journal for ever, and a turn of the daemon's
//! loop. Nobody scans more than a few things a second; a scanner that sends by
//! itself, or a line full of noise, sends thousands. What comes too fast waits
//! for its turn as long as it is among the newest, so that the code that is shown
//! at the end of a flood is taken; of all the rest the number is told.

use std::collections::VecDeque;
use std::time::Duration;

use crate::payment::Timestamp;
use crate::scanner::decode::framing::Frame;

/// So many in a second are handed on.
const A_SECOND: usize = 5;
/// So many wait for that.
const WAITING_MAX: usize = 5;
/// A flood is over when nothing was left out for so long.
const OVER_AFTER: Duration = Duration::from_secs(1);
/// One that goes on is told of so often.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The pace of one scanner.
#[derive(Debug, Default)]
pub(in crate::scanner) struct Pace {
    /// When the last ones were handed on.
    passed: VecDeque<Timestamp>,
    /// They count from when they began, however late they are handed on.
    waiting: VecDeque<Frame>,
    left_out: Option<LeftOut>,
}

/// What was left out and has not been told yet.
#[derive(Clone, Copy, Debug)]
struct LeftOut {
    count: u64,
    since: Timestamp,
    last: Timestamp,
}

impl Pace {
    /// Takes a code; [`next`](Self::next) hands it on.
    pub(in crate::scanner) fn take(&mut self, frame: Frame, now: Timestamp) {
        // The same once more, of one that waits already: the later one, as it may
        // be the first that counts for a payment.
        if self.waiting.back().is_some_and(|last| last.text == frame.text) {
            self.waiting.pop_back();
        }
        self.waiting.push_back(frame);
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
            self.leave_out(now);
        }
    }

    /// The next code, if it may be handed on now.
    pub(in crate::scanner) fn next(&mut self, now: Timestamp) -> Option<Frame> {
        if self.waiting.is_empty() || !self.has_room(now) {
            return None;
        }
        self.passed.push_back(now);
        self.waiting.pop_front()
    }

    /// Whether a loss may be told now; else it is one of those that are left out.
    pub(in crate::scanner) fn may_tell(&mut self, now: Timestamp) -> bool {
        let may = self.waiting.is_empty() && self.has_room(now);
        if may {
            self.passed.push_back(now);
        } else {
            self.leave_out(now);
        }
        may
    }

    /// How many were left out, when that is to be told.
    pub(in crate::scanner) fn left_out(&mut self, now: Timestamp) -> Option<u64> {
        let is_due = |left_out: &LeftOut| {
            now >= left_out.last + OVER_AFTER || now >= left_out.since + TOLD_AGAIN_AFTER
        };
        self.left_out.filter(is_due).map(|left_out| left_out.count)
    }

    /// It was told.
    pub(in crate::scanner) fn told(&mut self) {
        self.left_out = None;
    }

    fn leave_out(&mut self, now: Timestamp) {
        let (count, since) = self.left_out.map_or((0, now), |before| (before.count, before.since));
        self.left_out = Some(LeftOut { count: count + 1, since, last: now });
    }

    fn has_room(&mut self, now: Timestamp) -> bool {
        while self.passed.front().is_some_and(|first| now >= *first + Duration::from_secs(1)) {
            self.passed.pop_front();
        }
        self.passed.len() < A_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::SecretText;

    fn frame(text: &str, at: i64) -> Frame {
        Frame { text: SecretText::new(text.to_owned()), aim: None, started_at: Timestamp(at) }
    }

    /// Texts, and when.
    type Scans = Vec<(i64, String)>;

    /// Every line a scan, at so many milliseconds; looks every 10 ms as well.
    /// What was handed on, and when; how many were left out, and when that was told.
    fn play(scans: impl IntoIterator<Item = (i64, String)>) -> (Scans, Vec<(i64, u64)>) {
        let (mut pace, mut passed, mut told) = (Pace::default(), Vec::new(), Vec::new());
        let mut look = |pace: &mut Pace, now: i64| {
            while let Some(frame) = pace.next(Timestamp(now)) {
                passed.push((now, frame.text.reveal().to_owned()));
            }
            if let Some(count) = pace.left_out(Timestamp(now)) {
                told.push((now, count));
                pace.told();
            }
        };
        let mut now = 0;
        for (at, text) in scans {
            while now + 10 < at {
                now += 10;
                look(&mut pace, now);
            }
            now = at;
            pace.take(frame(&text, at), Timestamp(at));
            look(&mut pace, now);
        }
        for _ in 0..500 {
            now += 10;
            look(&mut pace, now);
        }
        (passed, told)
    }

    #[test]
    fn what_people_scan_is_handed_on_at_once() {
        // Three a second, for a minute; and two in quick succession.
        let scans: Vec<_> = (0..180).map(|n| (n * 333, format!("69{n}"))).collect();
        assert_eq!(play(scans.clone()), (scans, vec![]));
        let two = vec![(0, "1".to_owned()), (0, "2".to_owned())];
        assert_eq!(play(two.clone()), (two, vec![]));
    }

    #[test]
    fn of_a_flood_five_a_second_are_handed_on_and_the_rest_is_one_number() {
        let flood: Vec<_> = (0..20_000).map(|n| (n, format!("69{n}"))).collect();
        let (passed, told) = play(flood.into_iter().chain([(20_000, "the code".to_owned())]));
        for (at, _) in &passed {
            let within =
                passed.iter().filter(|(other, _)| (*at..*at + 1000).contains(other)).count();
            assert!(within <= 5, "{within} within a second from {at}");
        }
        assert!((100..=115).contains(&passed.len()), "{}", passed.len());
        // The newest is taken, soon, and nothing is told of twice.
        let (at, last) = passed.last().expect("some");
        assert!(last == "the code" && *at < 22_000, "{last} at {at}");
        let counted: u64 = told.iter().map(|(_, count)| count).sum();
        assert_eq!(counted + u64::try_from(passed.len()).expect("few"), 20_001);
        assert_eq!(told.len(), 1);
    }

    #[test]
    fn a_flood_without_end_is_told_of_once_a_minute() {
        let flood = (0..15_000).map(|n| (n * 10, format!("69{n}")));
        let (_, told) = play(flood);
        assert_eq!(told.len(), 3, "{told:?}");
    }

    #[test]
    fn a_code_held_before_a_fast_scanner_is_no_flood() {
        let held = (0..300).map(|n| (n * 20, "28".to_owned()));
        let (passed, told) = play(held);
        assert!(told.is_empty() && passed.len() <= 35, "{} {told:?}", passed.len());
    }

    #[test]
    fn losses_are_paced_too_and_never_overtake_a_code() {
        let mut pace = Pace::default();
        let now = Timestamp(0);
        let told = (0..9).filter(|_| pace.may_tell(now)).count();
        assert_eq!(told, 5);
        pace.take(frame("1", 0), now);
        assert!(pace.next(now).is_none() && !pace.may_tell(now));
        let later = Timestamp(1000);
        assert!(!pace.may_tell(later), "a code waits");
        assert!(pace.next(later).is_some() && pace.may_tell(later));
        assert_eq!(pace.left_out(Timestamp(2000)), Some(6));
    }
}
