//! The real `till demo`, from beginning to end and broken off.

// A test that cannot set its scene should say so and end.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tilld::payment::hide_codes;

const DEADLINE: Duration = Duration::from_secs(60);

/// The scenes, and what each of them promises.
const SCENES: [(&str, &str, &str); 13] = [
    ("paid", "paid", "taken"),
    ("buyer_confirms", "paid", "taken"),
    ("declined", "declined", "none"),
    ("other_wallet", "paid", "taken"),
    ("never_confirmed", "cancelled", "none"),
    ("cashier_cancels", "cancelled", "none"),
    ("answer_lost", "paid", "taken"),
    ("answer_lost_and_cancelled", "cancelled", "returned"),
    ("asked_twice", "paid", "taken"),
    ("killed", "paid", "taken"),
    ("late_pay", "cancelled", "returned"),
    ("refund_in_part", "paid", "taken"),
    ("refund_of_the_rest", "paid", "returned"),
];

/// A place of its own for the demo's folder, so that what is left behind can be
/// told from what others do.
fn place() -> TempDir {
    tempfile::Builder::new().prefix("demo").tempdir_in("/tmp").expect("a folder")
}

fn demo(place: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_till"));
    command.env_clear().env("TMPDIR", place.path()).arg("demo").args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(place: &TempDir, arguments: &[&str]) -> Ran {
    let output = demo(place, arguments).output().expect("till runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The processes whose command line names the place: the demo's daemon.
fn daemons(place: &Path) -> Vec<String> {
    let place = place.to_str().expect("UTF-8");
    let of = |entry: fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(place).then_some(line)
    };
    fs::read_dir("/proc").expect("/proc").filter_map(|entry| of(entry.ok()?)).collect()
}

fn folders(place: &TempDir) -> usize {
    fs::read_dir(place.path()).expect("the place").count()
}

fn until(what: &str, come: impl Fn() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !come() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn nothing_is_left(place: &TempDir) {
    assert_eq!(daemons(place.path()), Vec::<String>::new());
    assert_eq!(folders(place), 0);
}

/// A demo mostly waits, as people do, so all that are whole run side by side.
#[test]
fn whole_demos_end_as_promised() {
    std::thread::scope(|scope| {
        scope.spawn(every_scene_ends_as_promised);
        scope.spawn(|| people_read_it("en", "All 13 payments ended as promised"));
        scope.spawn(|| people_read_it("zh", "13 笔付款全部如约结束"));
        scope.spawn(what_is_kept_is_said);
    });
}

fn every_scene_ends_as_promised() {
    let place = place();
    let ran = run(&place, &["--json"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(ran.err, "");
    let told: Value = serde_json::from_str(&ran.out).expect("one JSON value");
    assert_eq!(told["ok"], true);
    assert_eq!(told["kept"], Value::Null);
    let scenes = told["scenes"].as_array().expect("scenes");
    let names: Vec<_> = scenes.iter().map(|scene| scene["scene"].as_str().expect("name")).collect();
    assert_eq!(names, SCENES.map(|(name, ..)| name));
    for (scene, (name, state, money)) in scenes.iter().zip(SCENES) {
        assert_eq!(scene["ok"], true, "{name}");
        assert_eq!((scene["state"].as_str(), scene["money"].as_str()), (Some(state), Some(money)));
        // What the ledger says, by what the API says of the money.
        let (charged, returned) = match money {
            "taken" if name == "refund_in_part" => (&scene["amount"], "20.00"),
            "taken" => (&scene["amount"], "0.00"),
            "returned" => (&scene["amount"], scene["amount"].as_str().expect("text")),
            _ => (&Value::from("0.00"), "0.00"),
        };
        assert_eq!(
            (&scene["ledger"]["charged"], &scene["ledger"]["returned"]),
            (charged, &Value::from(returned)),
            "{name}"
        );
        let steps = scene["steps"].as_array().expect("steps");
        for who in ["register", "terminal", "gateway"] {
            assert!(steps.iter().any(|step| step["who"] == who), "{name}: no {who}");
        }
        let last = steps.iter().rfind(|step| step["who"] == "terminal").expect("a step");
        let last = last["what"]["en"].as_str().expect("words");
        let end =
            if name.starts_with("refund") { "REFUNDED".to_owned() } else { state.to_uppercase() };
        assert!(last.contains(&end), "{name}: {last}");
        let times: Vec<f64> = steps.iter().map(|s| s["seconds"].as_f64().expect("time")).collect();
        assert!(times.is_sorted(), "{name}: {times:?}");
        for step in steps {
            let (zh, en) = (&step["what"]["zh"], &step["what"]["en"]);
            assert!(zh.as_str() != Some("") && en.as_str() != Some(""), "{name}: {step}");
        }
    }
    assert!(hide_codes(&ran.out) == ran.out, "a payment code is shown: {}", ran.out);
    nothing_is_left(&place);
}

fn people_read_it(lang: &str, last: &str) {
    let place = place();
    let ran = run(&place, &["--lang", lang]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(ran.err, "");
    for index in 1..=SCENES.len() {
        assert!(ran.out.contains(&format!("── {index}/{}  ", SCENES.len())), "{}", ran.out);
    }
    assert!(ran.out.contains(last), "{}", ran.out);
    assert!(!ran.out.contains('✗'), "{}", ran.out);
    // A row of the table is one line, which ends with what went back.
    let rows = ran.out.lines().filter(|line| line.starts_with("  ✓ "));
    assert_eq!(rows.filter(|row| row.ends_with(".00")).count(), SCENES.len(), "{}", ran.out);
    // Nothing is left unfilled, and no cursor is moved.
    assert!(!ran.out.contains("{}") && !ran.out.contains('\x1b'), "{}", ran.out);
    assert!(hide_codes(&ran.out) == ran.out, "a payment code is shown: {}", ran.out);
    // Commands to be copied are as long as the path of the program makes them.
    for line in ran.out.lines().filter(|line| !line.contains(env!("CARGO_BIN_EXE_till"))) {
        assert!(columns(line) <= 80, "{} columns: {line}", columns(line));
    }
    nothing_is_left(&place);
}

/// What a terminal makes of it: two columns to a Chinese character.
fn columns(line: &str) -> usize {
    let is_wide = |c: char| matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{ff00}'..='\u{ff60}');
    line.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

/// A demo that has reached its second scene, with its daemon.
fn under_way(place: &TempDir) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = demo(place, &["--lang", "en"]).spawn().expect("till starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout"));
    let mut line = String::new();
    while !line.starts_with("── 2/") {
        line.clear();
        assert_ne!(lines.read_line(&mut line).expect("a line"), 0, "it ended");
    }
    assert_eq!(daemons(place.path()).len(), 1, "its daemon can be seen");
    (child, lines)
}

fn send(child: &Child, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    kill(id, signal).expect("sent");
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let place = place();
        let (mut child, _lines) = under_way(&place);
        send(&child, signal);
        assert_eq!(child.wait().expect("its end").code(), Some(1));
        nothing_is_left(&place);
    }
}

#[test]
fn a_killed_demo_takes_its_daemon_along() {
    let place = place();
    let (mut child, _lines) = under_way(&place);
    send(&child, Signal::SIGKILL);
    child.wait().expect("its end");
    until("the daemon goes on without its demo", || daemons(place.path()).is_empty());
}

fn what_is_kept_is_said() {
    let place = place();
    let ran = run(&place, &["--keep", "--json"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let told: Value = serde_json::from_str(&ran.out).expect("one JSON value");
    let kept = Path::new(told["kept"].as_str().expect("where"));
    for name in ["tilld.toml", "journal.db", "ledger.jsonl", "tilld.log"] {
        assert!(kept.join(name).is_file(), "{name}");
    }
    // Nothing that was written holds a code either.
    for entry in fs::read_dir(kept).expect("the folder") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).unwrap_or_default();
        let found = bytes.split(|b| !b.is_ascii_digit()).any(|digits| {
            digits.len() == 18 && (digits.starts_with(b"2800") || digits.starts_with(b"2877"))
        });
        assert!(!found, "{} holds a payment code", path.display());
    }
    assert_eq!(daemons(place.path()), Vec::<String>::new());
}
