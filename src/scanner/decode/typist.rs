//! A scanner, or a person who types?
//!
//! A keyboard that was taken for a scanner is dead for the person in front of
//! it, and what is typed goes to the wrong place. Scanners type evenly and fast,
//! also those that were told to be slow: up to 60 ms a key. People do not reach
//! 70 ms a key for long, pause, and correct themselves.

use std::collections::VecDeque;
use std::time::Duration;

use crate::payment::Timestamp;
use crate::scanner::decode::keymap::{KeyEvent, Press, press};

/// No scanner is as slow.
const SLOW: Duration = Duration::from_millis(70);
/// What comes after so long is another code, not the next key.
const PAUSE: Duration = Duration::from_secs(1);
/// So many keys tell a person; shorter codes say too little.
const ENOUGH: usize = 8;
/// The same when one of them corrects the others. More than one is needed: a
/// code can be printed that makes a scanner press any key.
const ENOUGH_TO_CORRECT: usize = 3;

/// Watches the rhythm of the keys.
#[derive(Debug, Default)]
pub(in crate::scanner) struct Typist {
    /// The last key of any sort.
    last: Option<Timestamp>,
    /// How long after another each of the last keys came, since the last Enter,
    /// Tab or pause; at most [`ENOUGH`] of them.
    gaps: VecDeque<i64>,
    corrects: bool,
}

impl Typist {
    /// Takes a key that went down; `true` when this is a person.
    pub(in crate::scanner) fn press(&mut self, event: KeyEvent) -> bool {
        let press = press(event.code);
        if press == Press::Ends {
            *self = Self::default();
            return false;
        }
        if self.last.is_some_and(|last| event.at >= last + PAUSE) {
            *self = Self::default();
        }
        let gap = self.last.map(|last| event.at.millis().saturating_sub(last.millis()));
        self.last = Some(event.at);
        // Shift takes its time, and is no key of its own.
        if press == Press::Holds {
            return false;
        }
        self.corrects |= press == Press::Corrects;
        self.gaps.extend(gap);
        if self.gaps.len() == ENOUGH {
            self.gaps.pop_front();
        }
        let enough = if self.corrects { ENOUGH_TO_CORRECT } else { ENOUGH };
        self.gaps.len() + 1 >= enough && self.usual_gap() > SLOW
    }

    /// The median of the times between two keys: neither a hiccup nor a key that
    /// bounces says much.
    fn usual_gap(&self) -> Duration {
        let mut gaps: Vec<_> = self.gaps.iter().collect();
        gaps.sort_unstable();
        // Of an even number the lower one: in doubt it is a scanner.
        let median = gaps.get(gaps.len().saturating_sub(1) / 2).map_or(0, |gap| **gap);
        Duration::from_millis(u64::try_from(median).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKSPACE: u16 = 14;
    const ENTER: u16 = 28;
    const SHIFT: u16 = 42;
    const DIGIT: u16 = 2;

    /// Presses keys, each so many milliseconds after the one before; says at
    /// which key it was taken for a person.
    fn caught(keys: impl IntoIterator<Item = (i64, u16)>) -> Option<usize> {
        let mut typist = Typist::default();
        let mut now = 0;
        keys.into_iter().position(|(gap, code)| {
            now += gap;
            typist.press(KeyEvent { kind: 1, code, value: 1, at: Timestamp(now) })
        })
    }

    fn digits(count: usize, gap: i64) -> Vec<(i64, u16)> {
        vec![(gap, DIGIT); count]
    }

    #[test]
    fn scanners_at_every_pace_are_scanners() {
        for gap in [0, 1, 2, 8, 16, 20, 40, 60, 70] {
            for count in [1, 2, 3, 6, 8, 13, 18, 24, 100] {
                for end in [Some(ENTER), None] {
                    // Goods one after the other, as fast as anybody scans.
                    let mut keys = Vec::new();
                    for _ in 0..20 {
                        keys.push((1000, DIGIT));
                        keys.extend(digits(count - 1, gap));
                        keys.extend(end.map(|end| (gap, end)));
                    }
                    assert_eq!(caught(keys), None, "{count} digits, {gap} ms, {end:?}");
                }
            }
        }
    }

    #[test]
    fn a_scanner_that_stumbles_is_a_scanner() {
        // A radio that lost touch for a moment, twice.
        let mut keys = digits(6, 20);
        keys.extend([(400, DIGIT), (20, DIGIT), (20, DIGIT), (300, DIGIT)]);
        keys.extend(digits(8, 20));
        assert_eq!(caught(keys), None);
        // Letters, with the shift that belongs to each.
        let letters = [(40, SHIFT), (40, 30)].repeat(20);
        assert_eq!(caught(letters), None);
    }

    #[test]
    fn people_are_people() {
        for gap in [75, 90, 120, 200, 400, 999] {
            assert_eq!(caught(digits(20, gap)), Some(7), "{gap} ms");
        }
        // In bursts.
        let words = [(60, DIGIT), (90, DIGIT), (130, DIGIT), (250, 57)].repeat(5);
        assert_eq!(caught(words), Some(7));
        // After scans.
        let mut keys = [digits(18, 8), vec![(8, ENTER)]].concat();
        keys.extend(digits(12, 150));
        assert_eq!(caught(keys), Some(18 + 1 + 7));
        // Shift does not make them faster.
        let letters = [(100, 30), (5, SHIFT)].repeat(20);
        assert_eq!(caught(letters), Some(14));
    }

    #[test]
    fn a_number_and_enter_is_not_enough() {
        let mut keys = digits(5, 200);
        keys.push((200, ENTER));
        assert_eq!(caught(keys.repeat(10)), None);
    }

    #[test]
    fn who_corrects_is_a_person_unless_it_is_as_fast_as_a_scanner() {
        let slow = [(150, DIGIT), (150, DIGIT), (200, BACKSPACE)];
        assert_eq!(caught(slow), Some(2));
        assert_eq!(caught([(0, BACKSPACE), (150, BACKSPACE), (150, BACKSPACE)]), Some(2));
        // A printed code that makes the scanner press the key: it would be let
        // go of, and type the next code into a window.
        let mut printed = vec![(0, DIGIT), (8, BACKSPACE), (8, BACKSPACE), (8, DIGIT), (8, ENTER)];
        printed.extend(vec![(1000, BACKSPACE); 9]);
        assert_eq!(caught(printed), None);
    }
}
