//! What a scanner types, turned back into the characters it meant.
//!
//! Only the moment a key goes down counts. Repeats are the kernel's invention,
//! and the release says nothing that the press did not.

use std::time::Duration;

use crate::payment::Timestamp;
use crate::scanner::decode::framing::{Framed, Framer, Learned, Lost};

/// One event of an input device, as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    /// `EV_SYN`, `EV_KEY`, ...
    pub kind: u16,
    /// Which key.
    pub code: u16,
    /// 1 pressed, 0 released, 2 repeated.
    pub value: i32,
    /// When it happened.
    pub at: Timestamp,
}

const EV_SYN: u16 = 0x00;
const EV_KEY: u16 = 0x01;
const SYN_REPORT: u16 = 0;
const SYN_DROPPED: u16 = 3;

/// Stands between two characters where the scanner pressed something that is
/// no character. No payment code contains it, so digits from both sides of a
/// control key never meet.
const SEPARATOR: u8 = 0x1d;

/// Reads codes from key events, US layout.
pub struct Keys {
    framer: Framer,
    held: Held,
    /// Events are missing: nothing counts until the kernel's next report.
    dropped: bool,
    /// A control key was pressed inside the code.
    separate: bool,
}

#[derive(Clone, Copy, Default)]
struct Held {
    shift: [bool; 2],
    alt: [bool; 2],
    other: [bool; 4],
}

/// What a key does.
enum Key {
    Types(u8, u8),
    Keypad(u8),
    Ends,
    Holds,
    /// Locks change the meaning of other keys above us, not here.
    Locks,
    Controls,
    Foreign,
}

impl Keys {
    /// `gap` is the silence that ends a code when no Enter or Tab does.
    #[must_use]
    pub fn new(gap: Duration) -> Self {
        Self::knowing(gap, Learned::SILENCE)
    }

    /// The same, for a scanner of which something is known.
    #[must_use]
    pub fn knowing(gap: Duration, learned: Learned) -> Self {
        let framer = Framer::knowing(gap, learned);
        Self { framer, held: Held::default(), dropped: false, separate: false }
    }

    /// What is known of the scanner.
    #[must_use]
    pub fn learned(&self) -> Learned {
        self.framer.learned()
    }

    /// Tells that no key is down: others had the keys since, and saw those come
    /// up that were.
    pub fn all_up(&mut self) {
        self.held = Held::default();
        self.dropped = false;
        self.separate = false;
    }

    /// Forgets what is pending without a word.
    pub fn forget(&mut self) {
        self.framer.forget();
    }

    /// Whether at `at` a code had begun and could still become one.
    #[must_use]
    pub fn has_text(&self, at: Timestamp) -> bool {
        self.framer.has_text() && self.due().is_some_and(|due| at < due)
    }

    /// Gives up what is pending; see [`Framer::lose`].
    pub fn lose(&mut self, why: Lost, at: Timestamp) -> Option<Framed> {
        self.framer.lose(why, at)
    }

    /// Takes one event.
    pub fn push(&mut self, event: KeyEvent) -> Option<Framed> {
        match (event.kind, event.code) {
            (EV_SYN, SYN_DROPPED) => {
                self.dropped = true;
                // The kernel could be asked what is held down, but throws away
                // all keys that are still queued when it answers (EVIOCGKEY).
                // A scanner presses shift anew for the next code.
                self.held = Held::default();
                self.framer.lose(Lost::Dropped, event.at)
            }
            (EV_SYN, SYN_REPORT) if self.dropped => {
                self.dropped = false;
                None
            }
            (EV_KEY, code) if !self.dropped => {
                self.held.change(code, event.value);
                if event.value == 1 { self.pressed(code, event.at) } else { None }
            }
            _ => None,
        }
    }

    /// Tells that nothing has happened until `now`.
    pub fn idle(&mut self, now: Timestamp) -> Option<Framed> {
        let framed = self.framer.idle(now);
        self.judge(framed)
    }

    /// When silence will have ended what is pending, if anything is.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.framer.due()
    }

    fn pressed(&mut self, code: u16, at: Timestamp) -> Option<Framed> {
        let key = key(code);
        let alt = self.held.alt.contains(&true);
        let chord = alt || self.held.other.contains(&true);
        match key {
            Key::Holds | Key::Locks => None,
            Key::Keypad(digit) if alt && digit.is_ascii_digit() => {
                self.framer.lose(Lost::AltMode, at)
            }
            // Control characters, and worse: a barcode can spell Ctrl and Win.
            _ if chord => self.control(),
            Key::Controls => self.control(),
            Key::Foreign => self.framer.lose(Lost::OtherLayout, at),
            Key::Ends => self.put(b'\r', at),
            Key::Keypad(byte) => self.put(byte, at),
            Key::Types(_, shifted) if self.held.shift.contains(&true) => self.put(shifted, at),
            Key::Types(plain, _) => self.put(plain, at),
        }
    }

    fn control(&mut self) -> Option<Framed> {
        self.separate = true;
        None
    }

    fn put(&mut self, byte: u8, at: Timestamp) -> Option<Framed> {
        let separate = std::mem::take(&mut self.separate);
        let before = self.idle(at);
        if separate && byte != b'\r' && self.framer.has_text() {
            self.framer.push(SEPARATOR, at);
        }
        let framed = self.framer.push(byte, at);
        before.or_else(|| self.judge(framed))
    }

    /// Nobody prints codes of nothing but the signs above the digits: that is
    /// a scanner that holds shift for its digits, as French keyboards need it.
    fn judge(&self, framed: Option<Framed>) -> Option<Framed> {
        if let Some(Framed::Code(frame)) = &framed {
            let text = frame.text.reveal();
            let signs = text.chars().filter(|c| "!@#$%^&*()".contains(*c)).count();
            if signs >= 8 && !text.contains(|c: char| c.is_ascii_digit()) {
                return Some(Framed::Lost(Lost::OtherLayout));
            }
        }
        framed
    }
}

impl Held {
    fn change(&mut self, code: u16, value: i32) {
        let down = value != 0;
        match code {
            42 => self.shift[0] = down,
            54 => self.shift[1] = down,
            56 => self.alt[0] = down,
            100 => self.alt[1] = down,
            29 => self.other[0] = down,
            97 => self.other[1] = down,
            125 => self.other[2] = down,
            126 => self.other[3] = down,
            _ => {}
        }
    }
}

/// A key went down.
pub(in crate::scanner) fn is_press(event: KeyEvent) -> bool {
    event.kind == EV_KEY && event.value == 1
}

/// Some keys are lost.
pub(in crate::scanner) fn is_dropped(event: KeyEvent) -> bool {
    (event.kind, event.code) == (EV_SYN, SYN_DROPPED)
}

/// A key went down or came up, or some are lost. A repeat is neither.
pub(in crate::scanner) fn is_key(event: KeyEvent) -> bool {
    event.kind == EV_KEY && event.value != 2 || is_dropped(event)
}

/// What pressing a key says about who presses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scanner) enum Press {
    /// One of many.
    Types,
    /// Shift and its like, which are pressed together with others.
    Holds,
    /// Enter and Tab.
    Ends,
    /// Backspace and Delete.
    Corrects,
}

pub(in crate::scanner) fn press(code: u16) -> Press {
    match key(code) {
        Key::Ends => Press::Ends,
        Key::Holds | Key::Locks => Press::Holds,
        Key::Controls if matches!(code, 14 | 111) => Press::Corrects,
        Key::Types(..) | Key::Keypad(_) | Key::Controls | Key::Foreign => Press::Types,
    }
}

/// The numbers are the kernel's (`input-event-codes.h`).
fn key(code: u16) -> Key {
    let at = |keys: &[u8], first: u16| keys.get(usize::from(code - first)).copied();
    let row =
        |first: u16, plain: &[u8], shifted: &[u8]| match (at(plain, first), at(shifted, first)) {
            (Some(plain), Some(shifted)) => Key::Types(plain, shifted),
            _ => Key::Foreign,
        };
    match code {
        2..=13 => row(2, b"1234567890-=", b"!@#$%^&*()_+"),
        16..=27 => row(16, b"qwertyuiop[]", b"QWERTYUIOP{}"),
        30..=41 => row(30, b"asdfghjkl;'`", b"ASDFGHJKL:\"~"),
        43..=53 => row(43, b"\\zxcvbnm,./", b"|ZXCVBNM<>?"),
        57 => Key::Types(b' ', b' '),
        71..=83 => at(b"789-456+1230.", 71).map_or(Key::Foreign, Key::Keypad),
        55 => Key::Keypad(b'*'),
        98 => Key::Keypad(b'/'),
        117 => Key::Keypad(b'='),
        // Enter, the keypad's Enter, Tab.
        28 | 96 | 15 => Key::Ends,
        29 | 42 | 54 | 56 | 97 | 100 | 125 | 126 => Key::Holds,
        58 | 69 | 70 => Key::Locks,
        // Keys that only European, Brazilian, Japanese and Korean keyboards
        // have.
        84..=86 | 89..=95 | 121..=124 => Key::Foreign,
        _ => Key::Controls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "281234567890123494";

    /// Plays a story: characters as a US keyboard types them; `<..>` for the
    /// rest: `<enter>`, `<kp5>`, `<+alt>` press, `<-alt>` release, `<~5>`
    /// repeat, `<dropped>` the kernel's queue overflowed, `<sync>` a report,
    /// `<200>` a pause.
    fn play(story: &str) -> Vec<String> {
        let mut keys = Keys::new(Duration::from_millis(150));
        let mut now = 0;
        let mut out = Vec::new();
        for event in script(story) {
            match event {
                Played::Pause(millis) => now += millis,
                Played::Event(kind, code, value) => {
                    now += 1;
                    out.extend(keys.push(KeyEvent { kind, code, value, at: Timestamp(now) }));
                }
            }
        }
        out.extend(keys.idle(Timestamp(now + 150)));
        out.iter()
            .map(|framed| match framed {
                Framed::Code(frame) => {
                    format!("{}{}", frame.aim.as_deref().unwrap_or(""), frame.text.reveal())
                }
                Framed::Lost(why) => format!("{why:?}"),
            })
            .collect()
    }

    enum Played {
        Pause(i64),
        Event(u16, u16, i32),
    }

    fn press(code: u16) -> Vec<Played> {
        // As a scanner sends it: scan code, key, report, and the same again.
        [(4, 4, 0), (1, code, 1), (0, 0, 0), (4, 4, 0), (1, code, 0), (0, 0, 0)]
            .map(|(kind, code, value)| Played::Event(kind, code, value))
            .into()
    }

    fn script(story: &str) -> Vec<Played> {
        let mut all = Vec::new();
        let mut rest = story;
        while let Some(c) = rest.chars().next() {
            if c == '<' {
                let (word, after) = rest[1..].split_once('>').expect("closed");
                all.extend(played(word));
                rest = after;
            } else {
                all.extend(typed(c));
                rest = &rest[c.len_utf8()..];
            }
        }
        all
    }

    fn played(word: &str) -> Vec<Played> {
        if word.len() > 1 && word.bytes().all(|b| b.is_ascii_digit()) {
            return vec![Played::Pause(word.parse().expect("milliseconds"))];
        }
        match word {
            "dropped" => vec![Played::Event(0, 3, 0)],
            "sync" => vec![Played::Event(0, 0, 0)],
            _ => match word.split_at(1) {
                ("+", name) => vec![Played::Event(1, named(name), 1)],
                ("-", name) => vec![Played::Event(1, named(name), 0)],
                ("~", name) => vec![Played::Event(1, named(name), 2)],
                _ => press(named(word)),
            },
        }
    }

    fn named(name: &str) -> u16 {
        match name {
            "enter" => 28,
            "kpenter" => 96,
            "tab" => 15,
            "shift" => 42,
            "rshift" => 54,
            "ctrl" => 29,
            "alt" => 56,
            "altgr" => 100,
            "win" => 125,
            "caps" => 58,
            "num" => 69,
            "f1" => 59,
            "102nd" => 86,
            "m" => 50,
            "5" => 6,
            _ => {
                let digit: usize = name.strip_prefix("kp").expect(name).parse().expect(name);
                [82, 79, 80, 81, 75, 76, 77, 71, 72, 73][digit]
            }
        }
    }

    /// The key of a character, looked up in the table under test: that the
    /// table itself is right is what `the_whole_keyboard` shows.
    fn typed(c: char) -> Vec<Played> {
        for code in 0..128 {
            if let Key::Types(plain, shifted) = key(code) {
                if char::from(plain) == c {
                    return press(code);
                }
                if char::from(shifted) == c {
                    let mut all = vec![Played::Event(1, 42, 1)];
                    all.extend(press(code));
                    all.push(Played::Event(1, 42, 0));
                    return all;
                }
            }
        }
        panic!("no key types {c:?}");
    }

    #[test]
    fn the_whole_keyboard() {
        let typed = |code, shift: bool| {
            let mut keys = Keys::new(Duration::from_millis(150));
            let at = Timestamp(0);
            if shift {
                keys.push(KeyEvent { kind: 1, code: 54, value: 1, at });
            }
            keys.push(KeyEvent { kind: 1, code, value: 1, at });
            match keys.push(KeyEvent { kind: 1, code: 28, value: 1, at }) {
                Some(Framed::Code(frame)) => frame.text.reveal().to_owned(),
                _ => String::new(),
            }
        };
        for (code, plain, shifted) in [
            (2, "1", "!"),
            (3, "2", "@"),
            (10, "9", "("),
            (11, "0", ")"),
            (12, "-", "_"),
            (13, "=", "+"),
            (16, "q", "Q"),
            (25, "p", "P"),
            (26, "[", "{"),
            (27, "]", "}"),
            (30, "a", "A"),
            (38, "l", "L"),
            (39, ";", ":"),
            (40, "'", "\""),
            (41, "`", "~"),
            (43, "\\", "|"),
            (44, "z", "Z"),
            (50, "m", "M"),
            (51, ",", "<"),
            (52, ".", ">"),
            (53, "/", "?"),
            (57, " ", " "),
            (71, "7", "7"),
            (72, "8", "8"),
            (73, "9", "9"),
            (74, "-", "-"),
            (75, "4", "4"),
            (76, "5", "5"),
            (77, "6", "6"),
            (78, "+", "+"),
            (79, "1", "1"),
            (80, "2", "2"),
            (81, "3", "3"),
            (82, "0", "0"),
            (83, ".", "."),
            (55, "*", "*"),
            (98, "/", "/"),
            (58, "", ""),
            (14, "", ""),
            (59, "", ""),
            (103, "", ""),
            (250, "", ""),
            (u16::MAX, "", ""),
        ] {
            assert_eq!(typed(code, false), plain, "key {code}");
            assert_eq!(typed(code, true), shifted, "shift and key {code}");
        }
    }

    #[test]
    fn codes_as_scanners_type_them() {
        for end in ["<enter>", "<kpenter>", "<tab>", "<enter><enter>", "<enter><tab>", ""] {
            assert_eq!(play(&format!("{CODE}{end}")), [CODE], "{end}");
        }
        assert_eq!(play("<kp2><kp8><kp1><kp0><enter>"), ["2810"]);
        assert_eq!(play(&format!("]Q1{CODE}<enter>")), [format!("]Q1{CODE}")]);
        assert_eq!(play("https://qr.alipay.com/fkx1A<enter>"), ["https://qr.alipay.com/fkx1A"]);
        assert_eq!(play(&format!("{CODE}<enter>6901234567892<enter>")), [CODE, "6901234567892"]);
        assert_eq!(play("<enter><tab><enter>"), [""; 0]);
    }

    #[test]
    fn only_the_press_counts() {
        assert_eq!(play("<+5><~5><~5><-5><+5><-5><enter>"), ["55"]);
        // The shift of one letter does not reach the next, and a lock shifts
        // nothing.
        assert_eq!(play("aB1<caps>c<num><kp1><enter>"), ["aB1c1"]);
        assert_eq!(play("<+shift>5<-shift>5<+rshift>5<-rshift>5<enter>"), ["%5%5"]);
        assert_eq!(play("<+shift><+rshift>5<-shift>5<-rshift>5<enter>"), ["%%5"]);
    }

    #[test]
    fn control_keys_are_never_data() {
        assert_eq!(play(&format!("<+ctrl><m><-ctrl>{CODE}<+ctrl><m><-ctrl><enter>")), [CODE]);
        assert_eq!(play(&format!("<f1>{CODE}<f1><enter>")), [CODE]);
        assert_eq!(play("<+win>r<-win>cmd<enter>"), ["cmd"]);
        // Digits from both sides of a control key never make a code.
        for control in ["<+ctrl>5<-ctrl>", "<+altgr>5<-altgr>", "<+win>5<-win>", "<f1>"] {
            let (first, second) = CODE.split_at(9);
            assert_eq!(
                play(&format!("{first}{control}{second}<enter>")),
                [format!("{first}\u{1d}{second}")],
            );
        }
        // Enter with a control key held ends nothing.
        assert_eq!(play("28<+ctrl><enter><-ctrl>76<enter>"), ["28\u{1d}76"]);
    }

    #[test]
    fn silence_ends_a_code_when_nothing_else_does() {
        assert_eq!(play(&format!("{CODE}<150>6901234567892<150>")), [CODE, "6901234567892"]);
        assert_eq!(play(&format!("28763443<150>{CODE}<enter>")), ["28763443", CODE]);
        // A control key behind the gap belongs to the next code.
        assert_eq!(play(&format!("28763443<150><f1>{CODE}<enter>")), ["28763443", CODE]);
    }

    #[test]
    fn dropped_events_poison_the_scan() {
        for cut in 0..CODE.len() {
            let (first, second) = CODE.split_at(cut);
            // What is left of 24 digits may look like a code of 18.
            for lost in [
                format!("{first}<dropped><sync>{second}888888<enter>"),
                format!("{first}<dropped><5>{second}888888<enter>"),
                format!("{first}<dropped><sync>{second}888888<150>"),
                format!("{first}<dropped><sync>{second}<dropped><sync>888888<enter>"),
            ] {
                assert_eq!(play(&format!("{lost}{CODE}<enter>")), ["Dropped", CODE], "{lost}");
            }
        }
        // Nothing between the gap in the events and the next report counts, a
        // terminator neither.
        assert_eq!(play(&format!("28<dropped><+5><-5><+enter><sync>{CODE}<enter>")), ["Dropped"]);
    }

    #[test]
    fn after_dropped_events_nothing_is_held() {
        // The release was among the lost ones.
        for held in ["shift", "ctrl", "alt", "win"] {
            let story = format!("2<+{held}>8<dropped><sync>7<enter>{CODE}<enter>");
            assert_eq!(play(&story), ["Dropped", CODE], "{held}");
        }
        // It was not, and comes for nothing.
        let story = format!("2<+shift>8<dropped><sync>7<-shift><enter>{CODE}<enter>");
        assert_eq!(play(&story), ["Dropped", CODE]);
    }

    #[test]
    fn a_foreign_layout_is_named() {
        assert_eq!(play("@*!@#$%^&*()!@#$($<enter>"), ["OtherLayout"]);
        assert_eq!(play("@*!@#$%^&*()!@#$($"), ["OtherLayout"]);
        assert_eq!(play("287<102nd>6344<enter>69<enter>"), ["OtherLayout", "69"]);
        assert_eq!(play("$9.99 (50%)!<enter>"), ["$9.99 (50%)!"]);
    }

    #[test]
    fn alt_mode_is_named() {
        // 050 056: "28" in ALT mode.
        let story = "<+alt><kp0><kp5><kp0><-alt><+alt><kp0><kp5><kp6><-alt><enter>69<enter>";
        assert_eq!(play(story), ["AltMode", "69"]);
    }

    #[test]
    fn a_code_starts_with_its_first_key() {
        let mut keys = Keys::new(Duration::from_millis(150));
        let mut framed = None;
        for (code, at) in [(28, 1), (42, 5), (3, 7), (9, 90), (28, 200)] {
            let at = Timestamp(at);
            framed = keys.push(KeyEvent { kind: 1, code, value: 1, at });
        }
        let Some(Framed::Code(frame)) = framed else { panic!("{framed:?}") };
        assert_eq!(frame.started_at, Timestamp(7));
    }
}
