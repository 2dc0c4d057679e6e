//! Serial scanners through the real open path, on pseudo terminals.
//!
//! Nothing here waits for a time to pass in the hope that something happened:
//! every wait is for an input, with a deadline far beyond what it needs.

// A test that cannot set its scene should say so and end.
#![allow(clippy::expect_used)]

mod pty;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::termios::{FlowArg, tcflow};
use pty::Pty;
use tilld::payment::{ScannerNews, Timestamp};
use tilld::scanner::{
    Clock, Handle, Input, Kind, Place, ScannerSettings, SerialSettings, Trigger, start,
};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;

const CODE: &str = "281234567890123494";
const OTHER: &str = "6901234567892";
const DEADLINE: Duration = Duration::from_secs(30);

impl Pty {
    async fn is_told(&mut self, what: &str) {
        let deadline = Instant::now() + DEADLINE;
        let mut told = String::new();
        while !told.ends_with(what) {
            assert!(Instant::now() < deadline, "{told:?} and not {what:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
            told.push_str(&self.told());
        }
        // It may have been told to read once more: this machine may be slow.
        assert_eq!(told.replace(what, ""), "", "besides {what}");
    }
}

fn settings(device: &Path, gap: Duration) -> ScannerSettings {
    let place = Place::Device(device.to_owned());
    let usual = ScannerSettings::new("lane-1", Kind::Serial(SerialSettings::default()), place);
    ScannerSettings { gap, ..usual }
}

fn clock() -> Clock {
    let start = Instant::now();
    Arc::new(move || Timestamp(i64::try_from(start.elapsed().as_millis()).expect("not for ever")))
}

fn listen(device: &Path, gap: Duration) -> (Handle, Receiver<Input>) {
    let (sink, source) = channel(32);
    (start(settings(device, gap), clock(), sink), source)
}

async fn next(source: &mut Receiver<Input>) -> String {
    let input = timeout(DEADLINE, source.recv()).await.expect("in time").expect("a scanner");
    match input {
        Input::Scan { scanner, text, aim, .. } => {
            assert_eq!(scanner, "lane-1");
            format!("{}{}", aim.unwrap_or_default(), text.reveal())
        }
        Input::News { news: ScannerNews::Plugged, .. } => "plugged".to_owned(),
        Input::News { news: ScannerNews::Unplugged(why), .. } => format!("unplugged: {why}"),
        Input::News { news: ScannerNews::ScanLost(why), .. } => format!("lost: {why}"),
    }
}

/// Long enough that no slow machine takes a pause for a gap.
const LONG_GAP: Duration = Duration::from_secs(20);
const GAP: Duration = Duration::from_millis(300);

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let name = folder.path().join("scanner");
    (folder, name)
}

#[tokio::test]
async fn reads_codes_with_every_end() {
    let (_folder, name) = place();
    let mut pty = Pty::plug(&name);
    let (_handle, mut source) = listen(&name, LONG_GAP);
    assert_eq!(next(&mut source).await, "plugged");
    for end in ["\r", "\n", "\r\n", "\t", "\x03"] {
        pty.send(format!("\x02]Q1{CODE}{end}"));
        assert_eq!(next(&mut source).await, format!("]Q1{CODE}"));
    }
    pty.send(format!("{CODE}\r\n{OTHER}\r\n"));
    assert_eq!(next(&mut source).await, CODE);
    assert_eq!(next(&mut source).await, OTHER);
}

#[tokio::test]
async fn reads_a_code_that_only_a_gap_ends() {
    let (_folder, name) = place();
    let mut pty = Pty::plug(&name);
    let (_handle, mut source) = listen(&name, GAP);
    assert_eq!(next(&mut source).await, "plugged");
    pty.send(CODE);
    assert_eq!(next(&mut source).await, CODE);
    pty.send(&CODE[..7]);
    assert_eq!(next(&mut source).await, &CODE[..7]);
    pty.send(format!("{CODE}\r"));
    assert_eq!(next(&mut source).await, CODE);
}

#[tokio::test]
async fn reads_a_code_that_dribbles() {
    let (_folder, name) = place();
    let mut pty = Pty::plug(&name);
    let (_handle, mut source) = listen(&name, LONG_GAP);
    assert_eq!(next(&mut source).await, "plugged");
    for byte in format!("{CODE}\r\n{OTHER}\r\n").bytes() {
        pty.send([byte]);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(next(&mut source).await, CODE);
    assert_eq!(next(&mut source).await, OTHER);
}

#[tokio::test]
async fn what_was_scanned_before_is_thrown_away() {
    let (_folder, name) = place();
    let mut pty = Pty::plug(&name);
    pty.send(format!("{CODE}\r"));
    let (_handle, mut source) = listen(&name, LONG_GAP);
    assert_eq!(next(&mut source).await, "plugged");
    pty.send(format!("{OTHER}\r"));
    assert_eq!(next(&mut source).await, OTHER);
}

#[tokio::test]
async fn comes_late_goes_and_comes_back() {
    let (_folder, name) = place();
    let (handle, mut source) = listen(&name, LONG_GAP);
    let missing = format!("unplugged: {} is not there", name.display());
    assert_eq!(next(&mut source).await, missing);
    for _ in 0..2 {
        let mut pty = Pty::plug(&name);
        assert_eq!(next(&mut source).await, "plugged");
        pty.send(format!("{CODE}\r"));
        assert_eq!(next(&mut source).await, CODE);
        // A code that is torn by the plug is not finished by the next device.
        pty.send(&CODE[..9]);
        drop(pty);
        fs::remove_file(&name).expect("unplugged");
        // Told once: that it is not there now is the same news.
        assert_eq!(next(&mut source).await, "unplugged: it was unplugged");
    }
    let beats = handle.beats();
    let deadline = Instant::now() + DEADLINE;
    while handle.beats() <= beats {
        assert!(Instant::now() < deadline, "no sign of life while the device is gone");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_was_learned_is_known_when_it_is_plugged_in_again() {
    let (_folder, name) = place();
    let mut pty = Pty::plug(&name);
    let (_handle, mut source) = listen(&name, GAP);
    assert_eq!(next(&mut source).await, "plugged");
    pty.send(format!("{OTHER}\r"));
    assert_eq!(next(&mut source).await, OTHER);
    drop(pty);
    assert_eq!(next(&mut source).await, "unplugged: it was unplugged");
    let mut pty = Pty::plug(&name);
    assert_eq!(next(&mut source).await, "plugged");
    // This scanner ends its codes, so silence does not.
    let (start, end) = CODE.split_at(17);
    pty.send(start);
    assert_eq!(next(&mut source).await, "lost: the code was cut off by the next one; scan again");
    pty.send(format!("{end}\r{CODE}\r"));
    assert_eq!(next(&mut source).await, CODE);
}

#[tokio::test]
async fn a_device_has_one_reader() {
    let (_folder, name) = place();
    let mut pty = Pty::plug(&name);
    let (handle, mut source) = listen(&name, LONG_GAP);
    assert_eq!(next(&mut source).await, "plugged");
    let (_second, mut refused) = listen(&name, LONG_GAP);
    let in_use = format!("unplugged: {} is in use by another program", name.display());
    assert_eq!(next(&mut refused).await, in_use);
    pty.send(format!("{CODE}\r"));
    assert_eq!(next(&mut source).await, CODE);
    // When the first lets go the second gets it.
    handle.stop().await;
    assert_eq!(next(&mut refused).await, "plugged");
    pty.send(format!("{OTHER}\r"));
    assert_eq!(next(&mut refused).await, OTHER);
}

fn triggered(device: &Path, clock: Clock) -> (Handle, Receiver<Input>) {
    let (sink, source) = channel(32);
    let trigger = Some(Trigger { on: b"T".to_vec(), off: b"X".to_vec() });
    (start(ScannerSettings { trigger, ..settings(device, LONG_GAP) }, clock, sink), source)
}

#[tokio::test]
async fn a_scanner_is_told_to_read_while_a_payment_waits() {
    let (_folder, name) = place();
    let mut pty = Pty::plug(&name);
    let (handle, mut source) = triggered(&name, clock());
    assert_eq!(next(&mut source).await, "plugged");
    pty.send(format!("{OTHER}\r"));
    assert_eq!(next(&mut source).await, OTHER);
    assert_eq!(pty.told(), "", "nobody waits");
    handle.arm(true);
    pty.is_told("T").await;
    pty.send(format!("{CODE}\r"));
    assert_eq!(next(&mut source).await, CODE);
    handle.arm(false);
    pty.is_told("X").await;
    // One that comes back while a payment waits is told at once.
    handle.arm(true);
    pty.is_told("T").await;
    drop(pty);
    assert_eq!(next(&mut source).await, "unplugged: it was unplugged");
    let mut pty = Pty::plug(&name);
    assert_eq!(next(&mut source).await, "plugged");
    pty.is_told("T").await;
    // One that comes back when none waits any more is not.
    drop(pty);
    assert_eq!(next(&mut source).await, "unplugged: it was unplugged");
    handle.arm(false);
    let mut pty = Pty::plug(&name);
    assert_eq!(next(&mut source).await, "plugged");
    pty.send(format!("{OTHER}\r"));
    assert_eq!(next(&mut source).await, OTHER);
    assert_eq!(pty.told(), "");
    // It is not left shining by a terminal that stops.
    handle.arm(true);
    pty.is_told("T").await;
    handle.stop().await;
    pty.is_told("X").await;
}

#[tokio::test]
async fn a_scanner_without_a_trigger_is_told_nothing() {
    let (_folder, name) = place();
    let mut pty = Pty::plug(&name);
    let (handle, mut source) = listen(&name, LONG_GAP);
    assert_eq!(next(&mut source).await, "plugged");
    handle.arm(true);
    // What the thread is told comes before what it reads.
    pty.send(format!("{CODE}\r"));
    assert_eq!(next(&mut source).await, CODE);
    handle.arm(false);
    pty.send(format!("{OTHER}\r"));
    assert_eq!(next(&mut source).await, OTHER);
    handle.stop().await;
    assert_eq!(pty.told(), "");
}

#[tokio::test]
async fn a_scanner_that_takes_no_command_is_told_of_once() {
    let (_folder, name) = place();
    let mut pty = Pty::plug(&name);
    // As if the scanner had sent XOFF, and then nothing else.
    let line = fs::File::options().read(true).write(true).open(&name).expect("the line");
    // The same loss is told once in some seconds anyway; here those pass at once.
    let later = Arc::new(AtomicI64::new(0));
    let (clock, time) = (clock(), Arc::clone(&later));
    let clock = Arc::new(move || Timestamp(clock().millis() + time.load(Ordering::Relaxed)));
    let (handle, mut source) = triggered(&name, clock);
    assert_eq!(next(&mut source).await, "plugged");
    tcflow(&line, FlowArg::TCOOFF).expect("held up");
    let mut lost = Vec::new();
    for _ in 0..3 {
        for waits in [true, false] {
            handle.arm(waits);
            pty.send(format!("{CODE}\r"));
            while let said = next(&mut source).await
                && said != CODE
            {
                lost.push(said);
            }
            later.fetch_add(3000, Ordering::Relaxed);
        }
    }
    assert!(lost[0].contains("does not take the command to read"), "{lost:?}");
    assert_eq!(lost.len(), 1);
    // It goes on being read, and is told again when it listens.
    tcflow(&line, FlowArg::TCOON).expect("released");
    handle.arm(true);
    pty.is_told("T").await;
}

#[tokio::test]
async fn what_is_no_scanner_is_named() {
    let (folder, name) = place();
    fs::write(&name, "").expect("a file");
    for path in [&name, Path::new("/dev/null"), folder.path()] {
        let (_handle, mut source) = listen(path, GAP);
        let said = next(&mut source).await;
        let shown = path.display().to_string();
        assert!(said.starts_with("unplugged: ") && said.contains(&shown), "{said}");
    }
    let said = {
        let (_handle, mut source) = listen(Path::new("/dev/null"), GAP);
        next(&mut source).await
    };
    assert_eq!(said, "unplugged: /dev/null is no serial device");
}

#[tokio::test]
async fn a_flood_of_garbage_does_not_wedge_it() {
    let (_folder, name) = place();
    let mut pty = Pty::plug(&name);
    // The daemon does not listen for a while: there is room for little.
    let (sink, mut source) = channel(4);
    let _handle = start(settings(&name, LONG_GAP), clock(), sink);
    assert_eq!(next(&mut source).await, "plugged");
    let mut seed = 1_u32;
    let noise: Vec<u8> = (0..200_000)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        })
        .collect();
    // From a thread of its own, as the pseudo terminal takes little at once.
    let sent = tokio::task::spawn_blocking(move || {
        pty.send(&noise);
        pty.send("\r");
        pty
    });
    let mut pty = timeout(DEADLINE, sent).await.expect("taken").expect("sent");
    let code = format!("{CODE}\r");
    let deadline = Instant::now() + DEADLINE;
    loop {
        assert!(Instant::now() < deadline, "the code never came through");
        pty.send(&code);
        while let Ok(Some(input)) = timeout(Duration::from_millis(200), source.recv()).await {
            if matches!(&input, Input::Scan { text, .. } if text.reveal() == CODE) {
                return;
            }
        }
    }
}

#[tokio::test]
async fn of_a_flood_of_codes_the_newest_come_and_a_number() {
    let (_folder, name) = place();
    let mut pty = Pty::plug(&name);
    let begun = Instant::now();
    let (_handle, mut source) = listen(&name, LONG_GAP);
    assert_eq!(next(&mut source).await, "plugged");
    let sent = tokio::task::spawn_blocking(move || {
        for n in 0..50_000 {
            pty.send(format!("69{n:011}\r"));
        }
        pty.send(format!("{CODE}\r"));
        pty
    });
    let (mut scans, mut left_out, mut last) = (0, 0, String::new());
    // The code comes, and what was left out is told behind it.
    while scans + left_out <= 50_000 {
        let said = next(&mut source).await;
        if let Some(told) = said.strip_prefix("lost: ") {
            let count = told.split(' ').next().expect("a word");
            left_out += count.parse::<u64>().unwrap_or_else(|_| panic!("{told}"));
        } else {
            scans += 1;
            last = said;
        }
    }
    assert_eq!((scans + left_out, last.as_str()), (50_001, CODE));
    let seconds = begun.elapsed().as_secs() + 1;
    assert!(scans <= 5 * seconds + 5, "{scans} in {seconds} s");
    drop(sent.await.expect("sent"));
}

#[tokio::test]
async fn stopping_lets_go_of_the_device() {
    let (_folder, name) = place();
    let _pty = Pty::plug(&name);
    for _ in 0..3 {
        let (handle, mut source) = listen(&name, GAP);
        assert_eq!(next(&mut source).await, "plugged");
        assert_eq!(handle.scanner(), "lane-1");
        handle.stop().await;
    }
    // The same when the daemon just drops it, or stops to listen.
    let (handle, mut source) = listen(&name, GAP);
    assert_eq!(next(&mut source).await, "plugged");
    drop(handle);
    let (_handle, mut source) = listen(&name, GAP);
    while next(&mut source).await != "plugged" {}
}

#[tokio::test]
async fn a_usb_scanner_that_is_none_is_named() {
    let (_folder, name) = place();
    fs::write(&name, "").expect("a file");
    let (keys, hid) = (Kind::Evdev, Kind::Hidraw);
    for (kind, path, end) in [
        (keys, name.as_path(), "is no input device"),
        (keys, Path::new("/dev/null"), "is no input device"),
        (keys, Path::new("/nowhere/event0"), "is not there"),
        (hid, name.as_path(), "is no HID device (hidraw)"),
        (hid, Path::new("/dev/null"), "is no HID device (hidraw)"),
        (hid, Path::new("/nowhere/hidraw0"), "is not there"),
    ] {
        let (sink, mut source) = channel(4);
        let mut settings = settings(path, GAP);
        settings.kind = kind;
        let handle = start(settings, clock(), sink);
        let said = next(&mut source).await;
        assert_eq!(said, format!("unplugged: {} {end}", path.display()));
        let beats = handle.beats();
        let deadline = Instant::now() + DEADLINE;
        while handle.beats() <= beats {
            assert!(Instant::now() < deadline, "no sign of life");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        handle.stop().await;
        assert!(source.recv().await.is_none(), "the thread has ended");
    }
}
