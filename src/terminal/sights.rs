//! What scanners have read just now: one code held before a scanner is read
//! again and again, and is one scan all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::payment::{CodeMark, SecretText, Timestamp, are_halves};

/// A code on a phone that is read again within this time is the same customer
/// still holding it out: scanners read again after 0.4 to 0.5 s, and nobody pays
/// twice in two seconds.
pub(super) const PHONE_WINDOW: Duration = Duration::from_secs(2);

/// Goods that are read again within this time are the same article. Two cans of
/// the same drink come further apart: the hand has to move.
pub(super) const GOODS_WINDOW: Duration = Duration::from_millis(500);

/// One text that was read.
#[derive(Debug)]
struct Sight {
    scanner: String,
    /// Which text; itself it may be money.
    mark: CodeMark,
    /// When it was last read. Each reading moves this on, so a code that stays
    /// before the scanner stays one scan.
    at: Timestamp,
    /// A payment that waited took notice of it.
    noticed: bool,
}

/// Pieces of a torn code may still come so long after its payment has ceased to
/// wait: the customer goes on holding it out.
pub(super) const NEAR: Duration = Duration::from_secs(10);

/// What was read within the last two seconds, and where payments waited lately.
#[derive(Debug, Default)]
pub(super) struct Sights {
    texts: Vec<Sight>,
    scanners: BTreeMap<String, Lately>,
}

/// One scanner lately.
#[derive(Debug, Default)]
struct Lately {
    /// The last text that may be the first half of a code.
    half: Option<(SecretText, Timestamp)>,
    /// Until when pieces of a code are to be expected.
    near_until: Option<Timestamp>,
}

/// One reading.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) scanner: &'a str,
    pub(super) mark: CodeMark,
    pub(super) window: Duration,
    pub(super) at: Timestamp,
    /// Since when a payment waits on this scanner, if one does.
    pub(super) waiting_since: Option<Timestamp>,
}

impl Sights {
    /// Whether this is one scan with an earlier reading.
    ///
    /// A code that came before its payment began was of no use to anybody. Read
    /// again for that payment it counts, however soon: the cashier who was too
    /// quick does the right thing then.
    pub(super) fn is_repeat(&mut self, reading: Reading<'_>) -> bool {
        let Reading { scanner, mark, window, at, waiting_since } = reading;
        self.texts.retain(|sight| at < sight.at + PHONE_WINDOW);
        let noticed = waiting_since.is_some_and(|since| since <= at);
        let is_seen = |sight: &&mut Sight| sight.scanner == scanner && sight.mark == mark;
        let Some(sight) = self.texts.iter_mut().find(is_seen) else {
            self.texts.push(Sight { scanner: scanner.to_owned(), mark, at, noticed });
            return false;
        };
        let is_new_to_payment =
            noticed && !sight.noticed && waiting_since.is_some_and(|since| sight.at < since);
        let is_repeat = at < sight.at + window && !is_new_to_payment;
        sight.at = at;
        if !is_repeat {
            sight.noticed = noticed;
        }
        is_repeat
    }

    /// No payment waits on this scanner any more.
    pub(super) fn waited(&mut self, scanner: &str, until: Timestamp) {
        self.scanners.entry(scanner.to_owned()).or_default().near_until = Some(until + NEAR);
    }

    /// Whether pieces of a code are to be expected of what was read, though no
    /// payment waits: one has just now, or this is the second half of something.
    pub(super) fn is_near(&mut self, scanner: &str, text: &SecretText, at: Timestamp) -> bool {
        let lately = self.scanners.entry(scanner.to_owned()).or_default();
        let is_second = lately
            .half
            .replace((text.clone(), at))
            .is_some_and(|(first, then)| at < then + PHONE_WINDOW && are_halves(&first, text));
        is_second || lately.near_until.is_some_and(|until| at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `MILLIS WHAT [since MILLIS]`, one reading a line, and says which
    /// were repeats. `p...` are codes on phones, all else is goods.
    fn play(story: &str) -> Vec<bool> {
        let mut sights = Sights::default();
        let number = |text: &str| text.parse::<i64>().map(Timestamp).expect("millis");
        let line = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let what = words[1];
            sights.is_repeat(Reading {
                scanner: "lane-1",
                mark: CodeMark([what.as_bytes()[1]; 16]),
                window: if what.starts_with('p') { PHONE_WINDOW } else { GOODS_WINDOW },
                at: number(words[0]),
                waiting_since: words.get(3).map(|since| number(since)),
            })
        };
        story.trim().lines().map(line).collect()
    }

    #[test]
    fn a_code_held_before_the_scanner_is_one_scan() {
        assert_eq!(
            play("0 p1\n 500 p1\n 1900 p1\n 3800 p1\n 5800 p1"),
            [false, true, true, true, false]
        );
        // Whatever else is read in between.
        assert_eq!(play("0 p1\n 400 p2\n 800 p1"), [false, false, true]);
    }

    #[test]
    fn two_equal_articles_are_two() {
        assert_eq!(play("0 g1\n 500 g1\n 1000 g1"), [false; 3]);
        assert_eq!(play("0 g1\n 400 g1\n 800 g1\n 1300 g1"), [false, true, true, false]);
    }

    #[test]
    fn a_code_that_came_too_early_counts_when_it_comes_again() {
        // Nobody waited; a payment begins; it is read once more, and held.
        assert_eq!(play("0 p1\n 900 p1 since 600\n 1300 p1 since 600"), [false, false, true]);
        // It was for the payment before: that one has taken notice of it.
        assert_eq!(play("100 p1 since 0\n 900 p1 since 600"), [false, true]);
        // It began before the payment did, and came after.
        assert_eq!(play("500 p1 since 600\n 900 p1 since 600"), [false, false]);
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut sights = Sights::default();
        for at in 0..100 {
            let mark = CodeMark([at; 16]);
            let at = Timestamp(i64::from(at) * 500);
            let window = PHONE_WINDOW;
            sights.is_repeat(Reading { scanner: "one", mark, window, at, waiting_since: None });
        }
        assert!(sights.texts.len() <= 4, "{}", sights.texts.len());
    }
}
