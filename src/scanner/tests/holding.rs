//! A keyboard scanner and the register's window beside it: who gets what.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::time::Duration;

use proptest::prelude::*;

use crate::payment::Timestamp;
use crate::scanner::decode::framing::{Framed, Learned};
use crate::scanner::decode::keymap::{KeyEvent, Keys};
use crate::scanner::device::hold::{Hold, Look, Nodes};
use crate::scanner::settings::{Kind, Mode, Place, ScannerSettings};

const CODE: &str = "281234567890123494";
const GOODS: &str = "6901234567892";
const ENTER: u16 = 28;

/// The kernel, and what the register's window gets from it.
#[derive(Default)]
struct Desk {
    coming: VecDeque<(usize, KeyEvent)>,
    queue: Vec<(usize, KeyEvent)>,
    down: BTreeSet<(usize, u16)>,
    ours: bool,
    busy: bool,
    others: Vec<KeyEvent>,
    now: i64,
    /// The key that goes down in the moment before a grab or release.
    meanwhile: Option<(usize, KeyEvent)>,
}

impl Desk {
    fn happens(&mut self, node: usize, event: KeyEvent) {
        if (event.kind, event.value) == (1, 0) {
            self.down.remove(&(node, event.code));
        } else if event.kind == 1 {
            self.down.insert((node, event.code));
        }
        self.queue.push((node, event));
        if !self.ours && event.kind == 1 {
            self.others.push(event);
        }
    }

    fn advance(&mut self, now: i64) {
        self.now = now;
        while let Some((node, event)) = self.coming.pop_front_if(|(_, e)| e.at.millis() <= now) {
            self.happens(node, event);
        }
    }

    fn meanwhile(&mut self) {
        if let Some((node, event)) = self.meanwhile.take_if(|(_, e)| e.at.millis() <= self.now) {
            self.happens(node, event);
        }
    }
}

impl Nodes for Desk {
    fn any_down(&self) -> io::Result<bool> {
        Ok(!self.down.is_empty())
    }

    fn grab(&mut self) -> io::Result<()> {
        if self.busy {
            return Err(io::Error::from_raw_os_error(nix::libc::EBUSY));
        }
        self.meanwhile();
        assert!(!self.ours, "grabbed twice");
        self.ours = true;
        Ok(())
    }

    fn ungrab(&mut self) {
        self.meanwhile();
        assert!(self.ours, "released twice");
        self.ours = false;
    }

    fn read(&mut self, _: Timestamp, typed: &mut Vec<(usize, KeyEvent)>) -> io::Result<()> {
        typed.append(&mut self.queue);
        Ok(())
    }
}

/// What came of a story.
#[derive(Debug, Default, PartialEq, Eq)]
struct Came {
    window: Vec<String>,
    read: Vec<String>,
    /// When it was grabbed and released.
    hands: Vec<(i64, bool)>,
    stuck: Vec<u16>,
    typed: Option<i64>,
}

fn settings(mode: Mode) -> ScannerSettings {
    let place = Place::Device("/dev/input/event7".into());
    ScannerSettings { mode, ..ScannerSettings::new("lane-1", Kind::Evdev, place) }
}

fn key(code: u16, value: i32, at: i64) -> KeyEvent {
    KeyEvent { kind: 1, code, value, at: Timestamp(at) }
}

fn digit(c: char) -> u16 {
    let digit = u16::try_from(c.to_digit(10).expect("a digit")).expect("small");
    if digit == 0 { 11 } else { digit + 1 }
}

/// Types, `pace` milliseconds a key; half of that it is down. `⏎` is Enter,
/// `←` is Backspace.
fn typing(text: &str, at: i64, pace: i64) -> Vec<KeyEvent> {
    let mut all = Vec::new();
    for (index, c) in text.chars().enumerate() {
        let code = match c {
            '⏎' => ENTER,
            '←' => 14,
            other => digit(other),
        };
        let down = at + i64::try_from(index).expect("short") * pace;
        all.push(key(code, 1, down));
        all.push(key(code, 0, down + pace / 2));
    }
    all
}

fn shown(framed: &Framed) -> String {
    match framed {
        Framed::Code(frame) => frame.text.reveal().to_owned(),
        Framed::Lost(why) => format!("{why:?}"),
    }
}

/// Plays lines of `TIME WHAT`: `waits`, `ends`, `type TEXT PACE [NODE]`,
/// `down KEY`, `up KEY`, `dropped`, `busy`, and `meanwhile TEXT PACE`: in the
/// moment of a grab or release at that time. Ends five seconds after the last line.
fn play(settings: &ScannerSettings, story: &str) -> Came {
    play_knowing(Learned::SILENCE, settings, story).0
}

/// The same with a scanner of which something is known; and what is known then.
fn play_knowing(learned: Learned, settings: &ScannerSettings, story: &str) -> (Came, Learned) {
    let mut desk = Desk::default();
    let mut turns: VecDeque<(i64, &str)> = VecDeque::new();
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at: i64 = words[0].parse().expect("a time");
        let number = |index: usize| words[index].parse::<i64>().expect("a number");
        let typed = |desk: &mut Desk, events: Vec<KeyEvent>, node: usize| {
            desk.coming.extend(events.into_iter().map(|event| (node, event)));
        };
        match words[1] {
            "type" => {
                let node = words.get(4).map_or(0, |node| node.parse().expect("a node"));
                typed(&mut desk, typing(words[2], at, number(3)), node);
            }
            "down" | "up" => {
                let value = i32::from(words[1] == "down");
                typed(&mut desk, vec![key(words[2].parse().expect("a key"), value, at)], 0);
            }
            "dropped" => {
                let event = |code| KeyEvent { kind: 0, code, value: 0, at: Timestamp(at) };
                typed(&mut desk, vec![event(3), event(0)], 0);
            }
            "meanwhile" => {
                let mut events = typing(words[2], at, number(3));
                let rest = events.split_off(1);
                desk.meanwhile = events.pop().map(|event| (0, event));
                typed(&mut desk, rest, 0);
            }
            what => turns.push_back((at, what)),
        }
    }
    desk.coming.make_contiguous().sort_by_key(|(_, event)| event.at);
    let last = desk.coming.back().map_or(0, |(_, event)| event.at.millis());
    let end = turns.back().map_or(0, |(at, _)| *at).max(last) + 5000;

    let mut came = Came::default();
    let mut hold = Hold::new(settings, 2, learned, Timestamp(0));
    let mut waits = false;
    for now in 0..=end {
        desk.advance(now);
        let mut told = false;
        while let Some((_, what)) = turns.pop_front_if(|(at, _)| *at == now) {
            told = true;
            match what {
                "waits" => waits = true,
                "ends" => waits = false,
                "busy" => desk.busy = true,
                other => panic!("{other}"),
            }
        }
        let is_due = hold.due(waits).is_some_and(|due| due <= Timestamp(now));
        if came.typed.is_some() || !(told || is_due || !desk.queue.is_empty()) {
            continue;
        }
        let was = desk.ours;
        let mut say = |framed: Framed| came.read.push(shown(&framed));
        match hold.look(&mut desk, waits, Timestamp(now), &mut say) {
            Ok(Look::Fine) => {}
            Ok(Look::Typed) => {
                came.typed = Some(now);
                hold.let_go(&mut desk);
            }
            Err(error) => came.read.push(error.kind().to_string()),
        }
        assert_eq!(hold.is_ours(), desk.ours);
        if was != desk.ours {
            came.hands.push((now, desk.ours));
        }
    }
    let mut window = Keys::new(settings.gap);
    let mut down = BTreeSet::new();
    for event in &desk.others {
        came.window.extend(window.push(*event).iter().map(shown));
        if event.value == 1 {
            down.insert(event.code);
        } else {
            down.remove(&event.code);
        }
    }
    came.window.extend(window.idle(Timestamp(end)).iter().map(shown));
    came.stuck = down.into_iter().collect();
    (came, hold.learned())
}

fn armed(story: &str) -> Came {
    let came = play(&settings(Mode::Armed), story);
    assert_eq!(came.stuck, [0; 0], "a key hangs in the window\n{story}");
    came
}

fn owned(story: &str) -> Came {
    let came = play(&settings(Mode::Owned), story);
    assert_eq!(came.stuck, [0; 0], "a key hangs in the window\n{story}");
    came
}

fn check(came: &Came, window: &[&str], read: &[&str]) {
    assert_eq!(came.window, window, "in the window; {came:?}");
    assert_eq!(came.read, read, "read; {came:?}");
}

#[test]
fn goods_go_to_the_window_and_the_payment_code_does_not() {
    for pace in [2, 8, 16, 40, 60] {
        let came = armed(&format!(
            "
            1000 type {GOODS}⏎ {pace}
            4000 waits
            5000 type {CODE}⏎ {pace}
            6200 ends
            8000 type {GOODS}⏎ {pace}
            "
        ));
        check(&came, &[GOODS, GOODS], &[CODE]);
        assert_eq!(came.hands[0], (4000, true), "a quiet scanner is taken at once");
        assert_eq!(came.hands.len(), 2);
    }
}

#[test]
fn the_tail_of_the_goods_is_theirs() {
    // The payment begins with every key of the goods' scan.
    for begins in 1000..1000 + 16 * 20 + 200 {
        let came = armed(&format!(
            "
            1000 type {GOODS}⏎ 16
            {begins} waits
            2000 type {CODE}⏎ 16
            2700 ends
            "
        ));
        check(&came, &[GOODS], &[CODE]);
        assert!(came.hands[0].0 >= 1000 + 13 * 16 + 8 + 150, "{:?}", came.hands);
    }
}

#[test]
fn the_tail_of_the_payment_code_is_ours() {
    // The payment ends with every key: by its code, or because somebody gave up.
    for ends in 2000..2000 + 19 * 20 + 100 {
        for code in [format!("{CODE}⏎"), format!("{CODE}⏎⏎"), CODE.to_owned()] {
            let came = armed(&format!(
                "
                1000 waits
                2000 type {code} 16
                {ends} ends
                4000 type {GOODS}⏎ 16
                "
            ));
            // Where only silence ends a code, nobody has told it from the next.
            check(&came, &[GOODS], &[CODE]);
        }
    }
}

#[test]
fn a_key_that_is_down_is_not_taken_away() {
    let came = armed(
        "
        1000 down 30
        1500 waits
        2500 up 30
        9000 ends
        ",
    );
    assert_eq!(came.hands[0], (2650, true));
    // For ever: it is told once, and taken when it comes up.
    let came = armed(
        "
        1000 down 30
        1500 waits
        9000 up 30
        9500 type 6901⏎ 8
        9900 ends
        ",
    );
    check(&came, &["a"], &["Held", "6901"]);
    assert_eq!(came.hands[0], (9150, true));
    // One that hangs while it is ours is not waited for without end.
    let came = armed(
        "
        1000 waits
        2000 down 30
        2500 ends
        7000 up 30
        ",
    );
    check(&came, &[], &["a"]);
    assert_eq!(came.hands, [(1000, true), (5000, false)]);
}

#[test]
fn a_shift_that_came_up_in_other_hands_is_up() {
    let came = armed(
        "
        1000 waits
        2000 down 42
        2500 ends
        7000 up 42
        8000 waits
        9000 type 6901⏎ 8
        ",
    );
    check(&came, &[], &["6901"]);
}

#[test]
fn the_rest_of_a_torn_code_is_none_although_it_changed_hands() {
    let came = armed(&format!(
        "
        1000 waits
        1500 type {GOODS}⏎ 8
        2000 type 2812 8
        2100 ends
        2250 waits
        2400 type {CODE}⏎ 8
        4000 type {CODE}⏎ 8
        "
    ));
    check(&came, &[], &[GOODS, "Torn", CODE]);
    assert_eq!(came.hands.len(), 3);
}

#[test]
fn what_was_learned_is_known_when_it_is_plugged_in_again() {
    let owned = settings(Mode::Owned);
    let (start, end) = CODE.split_at(17);
    let hiccup = format!("1000 type {start} 8\n1400 type {end}⏎ 8\n3000 type {CODE}⏎ 8");
    let (_, learned) = play_knowing(Learned::SILENCE, &owned, &format!("500 type {GOODS}⏎ 8"));
    let (came, _) = play_knowing(learned, &owned, &hiccup);
    check(&came, &[], &["Torn", CODE]);
}

#[test]
fn a_short_gap_cuts_no_slow_scan_in_two() {
    let hasty = ScannerSettings { gap: Duration::from_millis(10), ..settings(Mode::Armed) };
    let came = play(&hasty, &format!("1000 type {GOODS}⏎ 60\n1100 waits\n1900 ends"));
    assert_eq!(came.hands, []);
}

#[test]
fn a_scan_that_begins_in_the_moment_of_the_grab_stays_whole() {
    let came = armed(&format!(
        "
        1000 waits
        1000 meanwhile {GOODS}⏎ 8
        3000 type {CODE}⏎ 8
        3500 ends
        "
    ));
    check(&came, &[GOODS], &[CODE]);
    // In the moment of the release its first key was ours: it is told.
    let came = armed(&format!(
        "
        1000 waits
        2000 ends
        2000 meanwhile {GOODS}⏎ 8
        "
    ));
    check(&came, &[&GOODS[1..]], &["Torn"]);
}

#[test]
fn two_payments_in_a_row_and_none_that_lasts() {
    let came = armed(&format!(
        "
        1000 waits
        2000 type {CODE}⏎ 8
        2160 ends
        2161 waits
        3000 type {CODE}⏎ 8
        3200 ends
        "
    ));
    check(&came, &[], &[CODE, CODE]);
    assert_eq!(came.hands.len(), 2, "it stays ours between the two");
    let came = armed(&format!("1000 type {GOODS}⏎ 8\n1050 waits\n1060 ends\n1500 type 77⏎ 8"));
    check(&came, &[GOODS, "77"], &[]);
    assert_eq!(came.hands, []);
}

#[test]
fn owned_is_owned() {
    let came = owned(&format!(
        "
        1000 type {GOODS}⏎ 8
        2000 waits
        3000 type {CODE}⏎ 8
        3200 ends
        4000 type {GOODS}⏎ 8
        "
    ));
    check(&came, &[], &[GOODS, CODE, GOODS]);
    assert_eq!(came.hands, [(150, true)]);
    // A scan that was under way when it was opened is not cut in two.
    let came = owned(&format!("0 type {GOODS}⏎ 16\n2000 type {CODE}⏎ 16"));
    check(&came, &[GOODS], &[CODE]);
}

#[test]
fn lost_keys_poison_the_scan_and_nobody_trusts_what_is_down() {
    let came = armed(&format!(
        "
        1000 waits
        2000 type 28123456 8
        2064 dropped
        2072 type 4567890123494⏎ 8
        3000 type {CODE}⏎ 8
        3200 ends
        "
    ));
    check(&came, &[], &["Dropped", CODE]);
    assert_eq!(came.hands.len(), 2);
    // The release was among the lost ones: it is asked for.
    let came = armed("1000 down 30\n1500 dropped\n2000 waits\n6000 up 30\n9000 ends");
    assert_eq!(came.hands[0].0, 6000 + 150 + 150, "{came:?}");
}

#[test]
fn another_program_that_has_it_is_an_error() {
    let came = armed("500 busy\n1000 waits\n1001 ends");
    check(&came, &[], &["resource busy"]);
}

#[test]
fn two_nodes_never_make_one_code() {
    let (first, second) = CODE.split_at(9);
    let came = owned(&format!(
        "
        1000 type {first} 8
        1072 type {second}⏎ 8 1
        3000 type {CODE}⏎ 8 1
        4000 type {GOODS}⏎ 8 0
        "
    ));
    check(&came, &[], &["Torn", CODE, GOODS]);
    // At once, key by key.
    let came = owned(&format!("1000 type {CODE}⏎ 8\n1004 type {CODE}⏎ 8 1\n3000 type {GOODS}⏎ 8"));
    check(&came, &[], &["Torn", GOODS]);
}

#[test]
fn a_person_gets_the_keyboard_back() {
    let came = owned("1000 type 1234567890123456 120");
    assert_eq!(came.typed, Some(1000 + 7 * 120));
    assert_eq!(came.hands.len(), 2);
    assert!(came.window.concat().ends_with("90123456"), "{came:?}");
    // Asked not to look, nobody looks.
    let trusting = ScannerSettings { typed_guard: false, ..settings(Mode::Owned) };
    assert_eq!(play(&trusting, "1000 type 1234567890123456 120").typed, None);
    // What a person types while it is theirs is nobody's business.
    assert_eq!(armed("1000 type 1234567890123456 120").typed, None);
    let came = armed("1000 waits\n2000 type 12←← 200\n4000 ends");
    assert_eq!(came.typed, Some(2400));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is scanned whenever, each code is whole, and on one side.
    #[test]
    fn every_code_is_on_one_side_and_whole(
        scans in prop::collection::vec((0..600i64, 1..60i64, "[0-9]{3,24}"), 1..12),
        turns in prop::collection::vec(0..900i64, 0..14),
        owned in any::<bool>(),
    ) {
        let mut story = String::new();
        let mut now = 200;
        for (pause, pace, code) in &scans {
            now += pause;
            story += &format!("{now} type {code}⏎ {pace}\n");
            now += (i64::try_from(code.len()).expect("short") + 1) * pace;
        }
        let mut at = 200;
        for (index, pause) in turns.iter().enumerate() {
            at += pause + 1;
            story += &format!("{at} {}\n", if index % 2 == 0 { "waits" } else { "ends" });
        }
        let came = play(&settings(if owned { Mode::Owned } else { Mode::Armed }), &story);
        prop_assert_eq!(&came.stuck, &[0u16; 0]);
        let mut all: Vec<_> = came.window.iter().chain(&came.read).cloned().collect();
        all.retain(|said| said != "Held");
        all.sort();
        let mut codes: Vec<_> = scans.into_iter().map(|(_, _, code)| code).collect();
        codes.sort();
        prop_assert_eq!(all, codes, "{:?}", came);
    }
}
