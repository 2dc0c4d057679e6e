//! Bytes with the times they came at, cut into codes.
//!
//! ```text
//!   [STX] 2 8 7 6 … 4 CR LF      a terminator ends a code, whichever it is
//!   2 8 7 6 … 4 ─── gap ───      silence does, when nothing else comes
//!   2 8 7 ─── gap ─── 2 8 7 6 …  so a torn code is never glued to the next
//!   x x x x … x x x x            too long: dropped whole, to its very end
//! ```
//!
//! A scanner that has once ended a code with a terminator always does. From then
//! on a silence inside a code (a radio that lost touch, a box that was busy) ends
//! nothing: what was before it is lost, and so is what comes after it.
//!
//! Whatever cannot be trusted is lost in one piece: half of a code of 24 digits
//! may look like a whole code of 18.

use std::fmt;
use std::time::Duration;

use zeroize::{Zeroize, Zeroizing};

use crate::payment::{SecretText, Timestamp, split_aim};

/// The longest code that is taken; goods labels and links stay below it.
pub const LENGTH_MAX: usize = 512;

/// How long a scanner that ends its codes itself must be silent until what comes
/// next begins a code. Nobody aims and scans again in less.
const RESUME: Duration = Duration::from_secs(1);

/// The silence that ends the first code of a scanner of which nothing is known.
/// Seventeen digits and a pause may be a whole code, or one that a busy box has
/// held up; the Enter behind it would tell, so it is given more time to come.
const FIRST: Duration = Duration::from_millis(600);

/// After so many codes that a terminator should have ended, and nothing came at
/// all, the scanner is one that sends none: it was told so since.
const UNLEARN: u8 = 2;

const NUL: u8 = 0x00;
const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const ACK: u8 = 0x06;
const TAB: u8 = 0x09;
const LF: u8 = 0x0a;
const CR: u8 = 0x0d;
const NAK: u8 = 0x15;

/// One code, as the scanner sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it says, without terminators and AIM identifier.
    pub text: SecretText,
    /// The AIM symbology identifier it came with, such as `]Q1`.
    pub aim: Option<String>,
    /// When its first byte came. A code scanned before its payment began must
    /// never pay it, so the end does not count.
    pub started_at: Timestamp,
}

/// What came out of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A code.
    Code(Frame),
    /// Something that was meant to be a code and cannot be trusted.
    Lost(Lost),
}

/// Why a scan is lost. Prints as a sentence for the person at the scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// No end within the longest code that is taken.
    TooLong,
    /// The next code began before this one had ended.
    Torn,
    /// It is no text in any encoding we know.
    Garbled,
    /// The kernel had to drop keys that we did not take in time.
    Dropped,
    /// We looked so late that two codes could not have been told apart.
    Late,
    /// The keys are those of another keyboard layout.
    OtherLayout,
    /// The scanner types with ALT and the keypad.
    AltMode,
    /// The daemon had no room for it.
    Busy,
    /// The scanner does not take the command to read.
    Untold,
    /// The keyboard could not be taken from others while a payment waits.
    Held,
    /// The scanner may go on typing like a keyboard.
    Keyboard,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => {
                "the code did not end; scan again, and set the scanner to end a code with CR (Enter)"
            }
            Self::Torn => "the code was cut off by the next one; scan again",
            Self::Garbled => {
                "what came is no text; check the scanner's baud rate, data bits and parity"
            }
            Self::Dropped => "the scanner was faster than this box, and keys were lost; scan again",
            Self::Late => "this box was too slow to see where the code ended; scan again",
            Self::OtherLayout => {
                "the scanner types for another keyboard; set its keyboard country to US (USA, English)"
            }
            Self::AltMode => {
                "the scanner types with ALT and the keypad; switch off its ALT mode (universal keyboard)"
            }
            Self::Busy => "the terminal was too busy to take the code; scan again",
            Self::Held => {
                "the scanner cannot be taken over: a key of it is down, or it never falls silent; scan once more, or plug it in again"
            }
            Self::Keyboard => {
                "the scanner could not be told to be no keyboard; set it to HID-POS mode by the code in its manual"
            }
            Self::Untold => {
                "the scanner does not take the command to read; pull its trigger by hand, and check its flow control and cable"
            }
        })
    }
}

/// What is known of how a scanner ends its codes. It stays true when the scanner
/// is plugged in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Learned {
    /// The scanner ends its codes itself; so many codes it may still leave
    /// without an end until that is no longer believed.
    terminates: u8,
    /// It has sent a code before.
    heard: bool,
}

impl Learned {
    /// Nothing at all: no code was read since the daemon started.
    pub const NOTHING: Self = Self { terminates: 0, heard: false };
    /// That silence ends its codes.
    pub const SILENCE: Self = Self { terminates: 0, heard: true };
}

/// Cuts bytes into codes. Knows no clock: the times come with the bytes.
pub struct Framer {
    gap: Duration,
    /// Has room for the longest code from the start, so that no copy of a code
    /// is left behind by growing.
    bytes: Zeroizing<Vec<u8>>,
    /// The first and the last byte of what is pending; none when nothing is.
    times: Option<(Timestamp, Timestamp)>,
    /// What is pending is lost: the rest of it goes the same way.
    lost: bool,
    learned: Learned,
    /// Silence tore a code, and nothing has followed yet.
    torn: bool,
}

impl Framer {
    /// `gap` is the silence that ends a code when nothing else does.
    #[must_use]
    pub fn new(gap: Duration) -> Self {
        Self {
            gap,
            bytes: Zeroizing::new(Vec::with_capacity(LENGTH_MAX)),
            times: None,
            lost: false,
            learned: Learned::SILENCE,
            torn: false,
        }
    }

    /// The same, for a scanner of which more is known, or less.
    #[must_use]
    pub fn knowing(gap: Duration, learned: Learned) -> Self {
        Self { learned, ..Self::new(gap) }
    }

    /// What is known of the scanner.
    #[must_use]
    pub fn learned(&self) -> Learned {
        self.learned
    }

    /// Takes one byte that came at `at`.
    pub fn push(&mut self, byte: u8, at: Timestamp) -> Option<Framed> {
        // A byte after a gap begins a code, so at most one of the two speaks.
        let before = self.idle(at);
        let by_itself = self.take(byte, at);
        before.or(by_itself)
    }

    /// Tells that nothing has come until `now`.
    pub fn idle(&mut self, now: Timestamp) -> Option<Framed> {
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        if self.learned.terminates == 0 || !self.has_text() {
            return self.end();
        }
        let last = self.times.map_or(now, |(_, last)| last);
        let lost = self.lose(Lost::Torn, last);
        self.torn = true;
        if self.due().is_some_and(|due| now >= due) {
            // Silent for so long already that nothing of it can follow.
            self.end();
        }
        lost
    }

    /// When the silence will have ended what is pending, if anything is.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        let resumes = self.lost && self.learned.terminates > 0;
        let silence = if resumes {
            self.gap.max(RESUME)
        } else if self.learned.heard {
            self.gap
        } else {
            self.gap.max(FIRST)
        };
        self.times.map(|(_, last)| last + silence)
    }

    /// Whether a code has begun and can still become one.
    #[must_use]
    pub fn has_text(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Gives up what is pending, and what still comes of it until a terminator
    /// or a gap. Speaks once for each loss.
    pub fn lose(&mut self, why: Lost, at: Timestamp) -> Option<Framed> {
        self.bytes.zeroize();
        self.touch(at);
        if self.lost {
            return None;
        }
        self.lost = true;
        Some(Framed::Lost(why))
    }

    /// Forgets what is pending without a word.
    pub fn forget(&mut self) {
        self.bytes.zeroize();
        self.times = None;
        self.lost = false;
        self.torn = false;
    }

    fn touch(&mut self, at: Timestamp) {
        let first = self.times.map_or(at, |(first, _)| first);
        self.times = Some((first, at));
    }

    fn take(&mut self, byte: u8, at: Timestamp) -> Option<Framed> {
        match byte {
            CR | LF | TAB | ETX | NUL => {
                if self.has_text() {
                    self.learned.terminates = UNLEARN;
                }
                self.torn = false;
                self.end()
            }
            STX => {
                let torn = self.has_text().then_some(Framed::Lost(Lost::Torn));
                self.forget();
                self.touch(at);
                torn
            }
            // Replies of the scanner to its own settings.
            ACK | NAK => None,
            _ if self.bytes.len() >= LENGTH_MAX => self.lose(Lost::TooLong, at),
            _ => {
                self.touch(at);
                self.torn = false;
                if !self.lost {
                    self.bytes.push(byte);
                }
                None
            }
        }
    }

    fn end(&mut self) -> Option<Framed> {
        let (started_at, _) = self.times?;
        if self.torn {
            self.learned.terminates = self.learned.terminates.saturating_sub(1);
        }
        let framed = frame(&self.bytes, started_at);
        self.learned.heard |= self.has_text();
        self.forget();
        framed
    }
}

/// Empty frames are the second half of CR LF, or what is left of a lost code.
pub(in crate::scanner) fn frame(bytes: &[u8], started_at: Timestamp) -> Option<Framed> {
    let Ok(text) = str::from_utf8(bytes) else {
        return Some(Framed::Lost(Lost::Garbled));
    };
    let (aim, text) = split_aim(text);
    if text.is_empty() || is_no_read(text) {
        return None;
    }
    let (text, aim) = (SecretText::new(text.to_owned()), aim.map(str::to_owned));
    Some(Framed::Code(Frame { text, aim, started_at }))
}

/// What some scanners send when the trigger was pulled and nothing was read.
fn is_no_read(text: &str) -> bool {
    let text = text.strip_prefix("%%").unwrap_or(text);
    text.eq_ignore_ascii_case("NoRead") || text == "NR"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GAP: i64 = 60;
    const CODE: &str = "281234567890123494";
    const OTHER: &str = "6901234567892";

    #[test]
    fn the_first_code_may_pause_until_its_end_is_known() {
        let mut framer = Framer::knowing(Duration::from_millis(60), Learned::NOTHING);
        let (head, tail) = CODE.split_at(17);
        let mut came = Vec::new();
        let mut push = |framer: &mut Framer, text: &str, at| {
            came.extend(text.bytes().filter_map(|b| framer.push(b, Timestamp(at))));
        };
        push(&mut framer, head, 0);
        assert_eq!(framer.idle(Timestamp(599)), None, "seventeen digits are no code yet");
        push(&mut framer, tail, 599);
        push(&mut framer, "\r", 600);
        // From here on the scanner is known to end its codes, and a pause tears one.
        push(&mut framer, head, 1000);
        push(&mut framer, tail, 1060);
        push(&mut framer, "\r", 1061);
        assert_eq!(texts(&came), [CODE, "Torn"]);
        // One that sends no end is waited for once.
        let mut framer = Framer::knowing(Duration::from_millis(60), Learned::NOTHING);
        let mut came: Vec<_> = CODE.bytes().filter_map(|b| framer.push(b, Timestamp(0))).collect();
        came.extend(framer.idle(Timestamp(600)));
        came.extend(CODE.bytes().filter_map(|b| framer.push(b, Timestamp(2000))));
        came.extend(framer.idle(Timestamp(2060)));
        assert_eq!(texts(&came), [CODE, CODE]);
    }

    /// Chunks of bytes, each with the silence before it.
    fn run(chunks: &[(i64, &[u8])]) -> Vec<Framed> {
        let mut framer = Framer::new(Duration::from_millis(60));
        let mut now = 0;
        let mut all = Vec::new();
        for (silence, bytes) in chunks {
            now += silence;
            all.extend(bytes.iter().filter_map(|b| framer.push(*b, Timestamp(now))));
        }
        all.extend(framer.idle(Timestamp(now + GAP)));
        all
    }

    fn texts(framed: &[Framed]) -> Vec<String> {
        framed
            .iter()
            .map(|f| match f {
                Framed::Code(frame) => match &frame.aim {
                    Some(aim) => format!("{aim} {}", frame.text.reveal()),
                    None => frame.text.reveal().to_owned(),
                },
                Framed::Lost(why) => format!("{why:?}"),
            })
            .collect()
    }

    fn check(bytes: &[u8], expected: &[&str]) {
        assert_eq!(texts(&run(&[(0, bytes)])), expected, "{:?}", String::from_utf8_lossy(bytes));
        // The same, however the bytes are cut into reads.
        for cut in 1..bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(texts(&run(&[(0, first), (20, second)])), expected, "cut at {cut}");
        }
    }

    #[test]
    fn every_terminator_ends_a_code() {
        for end in ["\r", "\n", "\r\n", "\t", "\x03", "\0", "\x03\r\n", "\r\r", ""] {
            check(format!("{CODE}{end}").as_bytes(), &[CODE]);
        }
        for end in ["\x03", "\x03\r\n", "\r"] {
            check(format!("\x02{CODE}{end}").as_bytes(), &[CODE]);
        }
    }

    #[test]
    fn codes_that_run_together_are_told_apart() {
        for end in ["\r", "\n", "\r\n", "\t", "\0"] {
            check(format!("{CODE}{end}{OTHER}{end}").as_bytes(), &[CODE, OTHER]);
        }
        check(format!("\x02{CODE}\x03\x02{OTHER}\x03").as_bytes(), &[CODE, OTHER]);
    }

    #[test]
    fn a_torn_code_is_never_glued_to_the_next() {
        let whole = format!("{CODE}\r");
        for cut in 1..CODE.len() {
            let torn = &CODE[..cut];
            let framed = run(&[(0, torn.as_bytes()), (GAP, whole.as_bytes())]);
            assert_eq!(texts(&framed), [torn, CODE]);
            let framed = run(&[(0, torn.as_bytes()), (0, b"\x02"), (0, whole.as_bytes())]);
            assert_eq!(texts(&framed), ["Torn", CODE]);
        }
    }

    #[test]
    fn a_gap_ends_a_code_when_nothing_else_does() {
        let framed = run(&[(0, CODE.as_bytes()), (GAP, OTHER.as_bytes())]);
        assert_eq!(texts(&framed), [CODE, OTHER]);
        let framed = run(&[(0, CODE.as_bytes()), (GAP - 1, b"7\r")]);
        assert_eq!(texts(&framed), [format!("{CODE}7")]);
    }

    #[test]
    fn of_a_scanner_that_ends_its_codes_no_piece_passes_for_a_code() {
        let whole = format!("{CODE}\r");
        let whole = whole.as_bytes();
        for cut in 1..CODE.len() {
            let (first, second) = whole.split_at(cut);
            for silence in [GAP, 5 * GAP] {
                let story = [(0, whole), (GAP, first), (silence, second), (0, whole)];
                assert_eq!(texts(&run(&story)), [CODE, "Torn", CODE], "{silence} at {cut}");
            }
            // It is for ever that it is torn, and somebody scans again.
            let story = [(0, whole), (GAP, first), (1000, whole)];
            assert_eq!(texts(&run(&story)), [CODE, "Torn", CODE], "at {cut}");
            // Other losses last as long.
            let mut framer = Framer::new(Duration::from_millis(60));
            let mut all: Vec<_> =
                whole.iter().filter_map(|b| framer.push(*b, Timestamp(0))).collect();
            all.extend(framer.lose(Lost::Dropped, Timestamp(0)));
            all.extend(second.iter().filter_map(|b| framer.push(*b, Timestamp(GAP))));
            all.extend(whole.iter().filter_map(|b| framer.push(*b, Timestamp(GAP))));
            assert_eq!(texts(&all), [CODE, "Dropped", CODE], "at {cut}");
        }
        // A silence that is only noticed when it is over.
        let mut framer = Framer::new(Duration::from_millis(60));
        let mut all = Vec::new();
        for (at, bytes) in [(0, whole), (100, b"2812"), (400, b"345\r"), (900, whole)] {
            all.extend(bytes.iter().filter_map(|b| framer.push(*b, Timestamp(at))));
        }
        assert_eq!(texts(&all), [CODE, "Torn", CODE]);
    }

    #[test]
    fn a_scanner_that_was_told_to_end_codes_by_silence_is_understood() {
        let whole = format!("{OTHER}\r");
        let (whole, bare) = (whole.as_bytes(), CODE.as_bytes());
        let story = [(0, whole), (2000, bare), (2000, bare), (2000, bare), (2000, bare)];
        assert_eq!(texts(&run(&story)), [OTHER, "Torn", "Torn", CODE, CODE]);
        // Codes that are torn now and then do not add up.
        let story = [(0, whole), (2000, bare), (2000, whole), (2000, bare), (2000, whole)];
        let twice = [&story[..], &[(2000, bare)]].concat();
        assert_eq!(texts(&run(&twice)), [OTHER, "Torn", OTHER, "Torn", OTHER, "Torn"]);
        // Neither do those of which more came, however often they were torn.
        let mut story = vec![(0, whole)];
        for _ in 0..9 {
            story.extend([(2000, bare), (GAP, bare), (999, whole)]);
            story.extend([(2000, bare), (GAP, bare)]);
        }
        story.push((2000, whole));
        let mut expected = vec![OTHER];
        expected.extend(["Torn"; 18]);
        expected.push(OTHER);
        assert_eq!(texts(&run(&story)), expected);
    }

    #[test]
    fn each_loss_has_its_own_words() {
        let all = [
            (Lost::TooLong, "CR (Enter)"),
            (Lost::Torn, "scan again"),
            (Lost::Garbled, "baud rate"),
            (Lost::Dropped, "keys were lost"),
            (Lost::Late, "too slow"),
            (Lost::OtherLayout, "keyboard country to US"),
            (Lost::AltMode, "ALT mode"),
            (Lost::Busy, "too busy"),
            (Lost::Untold, "by hand"),
            (Lost::Held, "a key of it is down"),
            (Lost::Keyboard, "HID-POS mode"),
        ];
        let said: Vec<_> = all.iter().map(|(why, _)| why.to_string()).collect();
        for ((why, cure), sentence) in all.iter().zip(&said) {
            assert!(sentence.contains(cure), "{why:?}: {sentence}");
            assert_eq!(said.iter().filter(|other| *other == sentence).count(), 1, "{sentence}");
        }
    }

    #[test]
    fn too_long_is_dropped_whole() {
        let long = "7".repeat(LENGTH_MAX);
        check(format!("{long}\r").as_bytes(), &[&long]);
        let framed = run(&[(0, format!("{long}7{CODE}\r{OTHER}\r").as_bytes())]);
        assert_eq!(texts(&framed), ["TooLong", OTHER]);
        let framed = run(&[
            (0, long.as_bytes()),
            (0, long.as_bytes()),
            (GAP - 1, CODE.as_bytes()),
            (GAP, OTHER.as_bytes()),
        ]);
        assert_eq!(texts(&framed), ["TooLong", OTHER]);
    }

    #[test]
    fn what_is_lost_is_lost_to_its_end() {
        let mut framer = Framer::new(Duration::from_millis(60));
        let at = Timestamp(0);
        assert_eq!(framer.push(b'2', at), None);
        assert_eq!(framer.lose(Lost::Late, at), Some(Framed::Lost(Lost::Late)));
        assert_eq!(framer.lose(Lost::Late, at), None);
        for byte in CODE.bytes() {
            assert_eq!(framer.push(byte, at), None);
        }
        assert_eq!(framer.push(b'\r', at), None);
        assert_eq!(framer.due(), None);
        for byte in CODE.bytes() {
            assert_eq!(framer.push(byte, at), None);
        }
        assert!(matches!(framer.push(b'\r', at), Some(Framed::Code(_))));
    }

    #[test]
    fn identifiers_are_taken_off_and_replies_ignored() {
        check(format!("]Q1{CODE}\r").as_bytes(), &[&format!("]Q1 {CODE}")]);
        check(format!("\x02]C0{CODE}\x03").as_bytes(), &[&format!("]C0 {CODE}")]);
        check(format!("]{CODE}\r").as_bytes(), &[&format!("]{CODE}")]);
        check(b"]E0\r", &[]);
        check(b"NoRead\r%%NoRead\rnoread\rNR\r", &[]);
        check(b"\x06\x06\x15\r", &[]);
        check(format!("\x06{CODE}\r").as_bytes(), &[CODE]);
        check(b"\r\n\r\n\x02\x03\0\t", &[]);
    }

    #[test]
    fn other_letters_are_text_and_noise_is_not() {
        check("会员001\r".as_bytes(), &["会员001"]);
        check(b"28\xff\xfe1234567890123\r", &["Garbled"]);
        check(b"0104\x1d21abc\r", &["0104\u{1d}21abc"]);
    }

    #[test]
    fn a_code_starts_with_its_first_byte() {
        for chunks in [
            &[(7, &b"2876"[..]), (50, b"3443"), (50, b"825664394\r")][..],
            &[(7, b"\x02"), (30, b"28763443825664394\x03")],
            &[(0, b"999\r\n"), (7, b"28763443"), (50, b"825664394\r")],
        ] {
            let framed = run(chunks);
            let Some(Framed::Code(frame)) = framed.last() else { panic!("{framed:?}") };
            assert_eq!(frame.started_at, Timestamp(7));
            assert_eq!(frame.text.reveal(), "28763443825664394");
        }
    }

    #[test]
    fn nothing_prints_a_code() {
        assert!(!format!("{:?}", run(&[(0, CODE.as_bytes())])).contains("2812"));
    }

    /// What the framer must never do, in the plainest words: the bytes between
    /// two separators, and no others.
    fn pieces(bytes: &[(i64, u8)]) -> Vec<Vec<u8>> {
        let mut pieces = vec![Vec::new()];
        for (silence, byte) in bytes {
            let separates = matches!(byte, 0 | 2 | 3 | 9 | 10 | 13);
            if separates || *silence >= GAP {
                pieces.push(Vec::new());
            }
            if !separates && !matches!(byte, 6 | 21) {
                pieces.last_mut().expect("one").push(*byte);
            }
        }
        pieces
    }

    fn timed_byte() -> impl Strategy<Value = (i64, u8)> {
        let silence = prop_oneof![8 => 0..GAP / 2, 1 => GAP..2 * GAP];
        let byte = prop_oneof![
            8 => b'0'..=b'9',
            1 => prop::sample::select(vec![0, 2, 3, 6, 9, 10, 13, 21]),
            1 => any::<u8>(),
        ];
        (silence, byte)
    }

    proptest! {
        #[test]
        fn a_frame_is_one_whole_piece(bytes in prop::collection::vec(timed_byte(), 0..1200)) {
            // ACK and NAK are no sign of life, so silences are reckoned between
            // the bytes that count.
            let mut counted = Vec::new();
            let mut silence = 0;
            for (before, byte) in &bytes {
                silence += before;
                if !matches!(byte, 6 | 21) {
                    counted.push((silence, *byte));
                    silence = 0;
                }
            }
            let pieces = pieces(&counted);
            let chunks: Vec<_> = bytes.iter().map(|(t, b)| (*t, std::slice::from_ref(b))).collect();
            let mut from = 0;
            for framed in run(&chunks) {
                if let Framed::Code(frame) = framed {
                    let text = format!("{}{}", frame.aim.unwrap_or_default(), frame.text.reveal());
                    let place = pieces[from..].iter().position(|p| p == text.as_bytes());
                    prop_assert!(place.is_some(), "{text:?} was never sent in one piece");
                    from += place.expect("checked") + 1;
                }
            }
        }

        #[test]
        fn every_code_comes_out(
            codes in prop::collection::vec("[0-9]{16,24}", 1..8),
            end in 0..7usize,
            pace in 0..GAP,
        ) {
            let ends: [&[u8]; 7] = [b"\r", b"\n", b"\r\n", b"\t", b"\x03", b"\0", b""];
            let mut chunks: Vec<(i64, &[u8])> = Vec::new();
            for code in &codes {
                let mut silence = GAP;
                for byte in code.as_bytes().chunks(1).chain(ends[end].chunks(1)) {
                    chunks.push((silence, byte));
                    silence = pace;
                }
            }
            prop_assert_eq!(texts(&run(&chunks)), codes);
        }
    }
}
