//! When a scanner is told to read, and what it says to that.
//!
//! ```text
//!   a payment waits  ─▶ on ─ 3 s ─▶ on ─ 3 s ─▶ on …
//!   a code came               └▶ 1 s ─▶ on, unless it was the payment's
//!   it waits no more ─▶ off
//! ```
//!
//! Scanners put out their light by themselves, after each code and after some
//! seconds without one; a payment waits longer. Told again while it reads, a
//! scanner goes on reading.

use std::time::Duration;

use crate::payment::Timestamp;
use crate::scanner::device::wake::Calls;
use crate::scanner::settings::Trigger;

/// The shortest time after which scanners are known to give up.
const AGAIN: Duration = Duration::from_secs(3);
/// Time for the terminal to say that the code was the one it waits for, and for
/// the buyer to show another if it was not.
const AFTER_CODE: Duration = Duration::from_secs(1);

/// Pulls the trigger of one scanner, from when its line is opened.
pub(in crate::scanner) struct Puller {
    trigger: Option<Trigger>,
    heard: Calls,
    again: Option<Timestamp>,
}

impl Puller {
    pub(in crate::scanner) fn new(trigger: Option<Trigger>) -> Self {
        Self { trigger, heard: Calls::default(), again: None }
    }

    /// What to send now. A line that was opened while a payment waits begins
    /// with `on`; one on which nothing was sent has nothing to take back.
    pub(in crate::scanner) fn pull(&mut self, calls: Calls, now: Timestamp) -> Option<&[u8]> {
        let trigger = self.trigger.as_ref()?;
        let before = std::mem::replace(&mut self.heard, calls);
        if calls.waits() {
            let due = calls != before || self.again.is_some_and(|again| now >= again);
            if due {
                self.again = Some(now + AGAIN);
            }
            return due.then_some(&trigger.on);
        }
        self.again = None;
        (before.waits() && !trigger.off.is_empty()).then_some(&trigger.off)
    }

    /// Tells that a code came.
    pub(in crate::scanner) fn read(&mut self, now: Timestamp) {
        self.again = self.again.map(|again| again.min(now + AFTER_CODE));
    }

    /// When there is something to send, if nothing changes.
    pub(in crate::scanner) fn due(&self) -> Option<Timestamp> {
        self.again
    }
}

/// Takes what the scanner answers to its commands out of what it reads: the
/// answers hold bytes that would pass for codes.
pub(in crate::scanner) struct Answers {
    known: Vec<Vec<u8>>,
    /// What may become an answer.
    held: Vec<u8>,
}

impl Answers {
    /// Each maker's commands are told by their form. A maker that does not
    /// answer has no entry here.
    pub(in crate::scanner) fn to(trigger: Option<&Trigger>) -> Self {
        let on = trigger.map_or(&[][..], |trigger| &trigger.on);
        let known = match on {
            [0x7e, 0x00, ..] => vec![vec![0x02, 0x00, 0x00, 0x01, 0x00, 0x33, 0x31]],
            // SSI: done; or not, why (again, not now, denied, cancelled), and
            // the checksum over that.
            [_, 0xe4, 0x04, ..] => vec![
                vec![0x04, 0xd0, 0x00, 0x00, 0xff, 0x2c],
                vec![0x05, 0xd1, 0x00, 0x00, 0x01, 0xff, 0x29],
                vec![0x05, 0xd1, 0x00, 0x00, 0x02, 0xff, 0x28],
                vec![0x05, 0xd1, 0x00, 0x00, 0x06, 0xff, 0x24],
                vec![0x05, 0xd1, 0x00, 0x00, 0x0a, 0xff, 0x20],
            ],
            // Either command, which differ in a digit, in another frame and
            // with the verdict (done, unknown, not possible) before its end.
            [0x7e, command @ .., _, 0x3b, 0x03] => [b'0', b'1']
                .iter()
                .flat_map(|digit| [0x06, 0x15, 0x05].map(|verdict| [*digit, verdict]))
                .map(|end| [b"\x02", command, &end, b"\x3b\x03"].concat())
                .collect(),
            _ => Vec::new(),
        };
        Self { known, held: Vec::new() }
    }

    /// Takes one byte; gives those that belong to no answer.
    pub(in crate::scanner) fn sift(&mut self, byte: u8) -> Vec<u8> {
        let mut passed = Vec::new();
        self.held.push(byte);
        while !self.held.is_empty() {
            match self.known.iter().find(|answer| answer.starts_with(&self.held)) {
                Some(answer) if answer.len() == self.held.len() => self.held.clear(),
                Some(_) => break,
                None => passed.push(self.held.remove(0)),
            }
        }
        passed
    }

    /// Gives up what was held: no more of the answer has come for a while.
    pub(in crate::scanner) fn give_up(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays what the terminal says and what is read at times in milliseconds;
    /// tells what was sent when.
    fn play(trigger: &Trigger, story: &[(i64, &str)]) -> Vec<String> {
        let wake = crate::scanner::device::wake::Wake::new().expect("an event");
        let mut puller = Puller::new(Some(trigger.clone()));
        let mut sent = Vec::new();
        let mut story = story.iter().peekable();
        for now in 0..20_000 {
            while let Some((_, what)) = story.next_if(|(at, _)| *at == now) {
                match *what {
                    "waits" => wake.arm(true),
                    "no more" => wake.arm(false),
                    "read" => puller.read(Timestamp(now)),
                    "replug" => puller = Puller::new(Some(trigger.clone())),
                    other => panic!("{other}"),
                }
            }
            // The thread only looks when something happened or is due.
            if let Some(bytes) = puller.pull(wake.calls(), Timestamp(now)) {
                sent.push(format!("{now} {}", String::from_utf8_lossy(bytes)));
            }
        }
        sent
    }

    #[test]
    fn a_scanner_is_told_while_a_payment_waits() {
        let datalogic = Trigger::of_maker("datalogic").expect("known");
        for (story, expected) in [
            (&[][..], &[][..]),
            (&[(5, "waits"), (900, "no more")], &["5 T", "900 X"]),
            (&[(5, "waits"), (7000, "no more")], &["5 T", "3005 T", "6005 T", "7000 X"]),
            // Another payment at once: told anew, because the code put the light out.
            (
                &[(5, "waits"), (50, "no more"), (50, "waits"), (60, "no more")],
                &["5 T", "50 T", "60 X"],
            ),
            (&[(5, "waits"), (5, "no more")], &[]),
            (&[(5, "waits"), (100, "read"), (2000, "no more")], &["5 T", "1100 T", "2000 X"]),
            (&[(5, "waits"), (2900, "read"), (3500, "no more")], &["5 T", "3005 T", "3500 X"]),
            (&[(5, "waits"), (100, "replug"), (200, "no more")], &["5 T", "100 T", "200 X"]),
            (&[(5, "waits"), (100, "no more"), (100, "replug")], &["5 T"]),
            (&[(5, "read"), (9, "replug")], &[]),
        ] {
            assert_eq!(play(&datalogic, story), expected, "{story:?}");
        }
        let stops_itself = Trigger { on: b"G".to_vec(), off: Vec::new() };
        assert_eq!(play(&stops_itself, &[(5, "waits"), (900, "no more")]), ["5 G"]);
    }

    #[test]
    fn a_scanner_without_a_trigger_is_told_nothing() {
        let wake = crate::scanner::device::wake::Wake::new().expect("an event");
        wake.arm(true);
        let mut puller = Puller::new(None);
        assert_eq!(puller.pull(wake.calls(), Timestamp(0)), None);
        puller.read(Timestamp(1));
        assert_eq!(puller.due(), None);
        assert_eq!(puller.pull(wake.calls(), Timestamp(9999)), None);
    }

    fn sifted(maker: &str, bytes: &[u8]) -> Vec<u8> {
        let mut answers = Answers::to(Trigger::of_maker(maker).as_ref());
        let mut passed: Vec<u8> = bytes.iter().flat_map(|b| answers.sift(*b)).collect();
        passed.extend(answers.give_up());
        passed
    }

    #[test]
    fn answers_are_no_codes() {
        const CODE: &[u8] = b"281234567890123494\r";
        let framed = [b"\x02", CODE, b"\x03"].concat();
        for (maker, answer) in [
            ("gm65", &b"\x02\x00\x00\x01\x00\x33\x31"[..]),
            ("zebra", b"\x04\xd0\x00\x00\xff\x2c"),
            ("zebra", b"\x05\xd1\x00\x00\x06\xff\x24"),
            ("newland", b"\x02\x010000#SCNTRG1\x06\x3b\x03"),
            ("newland", b"\x02\x010000#SCNTRG0\x15\x3b\x03"),
        ] {
            for code in [CODE, &framed, b"]Q1 \x02\x04\x05"] {
                let all = [answer, code, answer, answer, code].concat();
                assert_eq!(sifted(maker, &all), [code, code].concat(), "{maker} {answer:x?}");
            }
            // Half of one is none.
            for cut in 1..answer.len() {
                // Nor does a code that follows it become part of one.
                let half = [&answer[..cut], CODE].concat();
                assert_eq!(sifted(maker, &half), half, "{maker} cut at {cut}");
                assert_eq!(sifted(maker, &answer[..cut]), &answer[..cut]);
            }
        }
        for maker in ["honeywell", "datalogic", "zkteco", "none"] {
            let all = [b"\x02\x00\x00\x01\x00\x33\x31", CODE].concat();
            assert_eq!(sifted(maker, &all), all, "{maker}");
        }
    }

    #[test]
    fn a_beginning_inside_a_beginning_is_found() {
        let answer = b"\x02\x00\x00\x01\x00\x33\x31";
        assert_eq!(sifted("gm65", &[b"\x02\x02\x00", &answer[..]].concat()), b"\x02\x02\x00");
        assert_eq!(sifted("gm65", &[b"\x02\x00", &answer[..]].concat()), b"\x02\x00");
    }
}
