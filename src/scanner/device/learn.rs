//! Finds a scanner by one scan: listens to everything that may be one, takes
//! nothing away from anybody, and hears which of them reads a code.
//!
//! A scanner types as no person does, so what people type meanwhile is not
//! heard as a scan. What was heard stays in memory, and is wiped.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use ::evdev::raw_stream::RawDevice;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zeroize::Zeroizing;

use crate::payment::{SecretText, Timestamp};
use crate::scanner::decode::framing::{Framed, Framer, Lost};
use crate::scanner::decode::keymap::{KeyEvent, Keys};
use crate::scanner::decode::report::Reports;
use crate::scanner::device::wake::is_empty;
use crate::scanner::device::{hidraw, serial};
use crate::scanner::find::found::{Bus, Found};
use crate::scanner::find::suggest::ways;
use crate::scanner::find::sysfs::System;
use crate::scanner::makers::{SCANNER_WORDS, SERIAL_CHIPS};
use crate::scanner::settings::{Kind, SerialSettings};
use crate::scanner::shut::Shut;
use crate::scanner::shut::cannot_open;

/// People need longer for a key, and make longer words of fewer keys.
const KEY_TIME_MAX: Duration = Duration::from_millis(50);
const TYPED_LENGTH_MIN: usize = 6;
/// How often it is looked for devices that were plugged in.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What was heard.
#[derive(Debug)]
pub enum Sound {
    /// A scan.
    Scan {
        /// Where it came from.
        node: PathBuf,
        /// How it is read.
        kind: Kind,
        /// What was scanned.
        text: SecretText,
    },
    /// Something that only a scanner sends, and that cannot be read.
    Lost {
        /// Where it came from.
        node: PathBuf,
        /// Why it cannot be read, and what helps.
        why: Lost,
    },
}

/// Listens to everything that may be a scanner.
pub struct Listener {
    system: System,
    began: Instant,
    looked: Option<Instant>,
    open: BTreeMap<PathBuf, Source>,
    /// What could not be opened, and why.
    shut: BTreeMap<PathBuf, String>,
    bytes: Zeroizing<Vec<u8>>,
}

enum Source {
    Keys(Typing),
    Pos(File, Reports),
    Line(serial::Port, Framer),
}

/// Keys that are pressed, with the kernel's times of the first and the last.
struct Typing {
    device: RawDevice,
    keys: Keys,
    times: Option<(SystemTime, SystemTime)>,
}

impl Listener {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(system: System) -> Self {
        Self {
            system,
            began: Instant::now(),
            looked: None,
            open: BTreeMap::new(),
            shut: BTreeMap::new(),
            bytes: Zeroizing::new(vec![0; 4096]),
        }
    }

    /// How many devices it listens to.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// What it cannot listen to, and why not.
    pub fn shut(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.shut.iter().map(|(path, why)| (path.as_path(), why.as_str()))
    }

    /// Listens for at most `wait`. What is plugged in meanwhile is listened to as
    /// well.
    pub fn listen(&mut self, wait: Duration) -> Option<Sound> {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_INTERVAL) {
            self.looked = Some(Instant::now());
            self.look();
        }
        // Silence ends codes, too.
        let wait = wait.min(Duration::from_millis(20));
        let readable = self.poll(wait);
        let now = self.now();
        let mut gone = Vec::new();
        let mut heard = None;
        for (path, source) in &mut self.open {
            let is_readable = readable.contains(path);
            match source.take(is_readable, now, &mut self.bytes) {
                Ok(Some(sound)) if heard.is_none() => heard = Some((path.clone(), sound)),
                Ok(_) => {}
                Err(()) => gone.push(path.clone()),
            }
        }
        for path in gone {
            self.open.remove(&path);
        }
        let (node, (kind, framed)) = heard?;
        Some(match framed {
            Framed::Code(frame) => Sound::Scan { node, kind, text: frame.text },
            Framed::Lost(why) => Sound::Lost { node, why },
        })
    }

    fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    fn look(&mut self) {
        let devices = self.system.devices();
        let mut shut = BTreeMap::new();
        for way in ways(&devices).iter().filter(|way| may_be_scanner(way.device, way.kind)) {
            for node in &way.nodes {
                if self.open.contains_key(&node.path) {
                    continue;
                }
                match Source::open(&node.path, way.kind) {
                    Ok(source) => {
                        self.open.insert(node.path.clone(), source);
                    }
                    Err(why) => {
                        shut.insert(node.path.clone(), why.why);
                    }
                }
            }
        }
        self.shut = shut;
    }

    fn poll(&self, wait: Duration) -> Vec<PathBuf> {
        let wait = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
        let mut fds: Vec<PollFd<'_>> = self
            .open
            .values()
            .map(|source| PollFd::new(source.as_fd(), PollFlags::POLLIN))
            .collect();
        if poll(&mut fds, wait).is_err() {
            return Vec::new();
        }
        let is_readable = |fd: &PollFd<'_>| fd.revents().is_some_and(|seen| !seen.is_empty());
        let all = self.open.keys().zip(&fds);
        all.filter(|(_, fd)| is_readable(fd)).map(|(path, _)| path.clone()).collect()
    }
}

/// The box's own keyboard and programs are none. Nor is every serial line: who
/// opens one moves its wires, and a modem or a printer may mind.
fn may_be_scanner(device: &Found, kind: Kind) -> bool {
    match kind {
        Kind::Evdev => !matches!(device.bus, Bus::I8042 | Bus::Virtual),
        Kind::Hidraw => true,
        Kind::Serial(_) => {
            let name = device.name.to_lowercase();
            device.bus == Bus::Usb
                && (device.is_of_scanner_maker()
                    || SERIAL_CHIPS.contains(&device.vendor)
                    || SCANNER_WORDS.iter().any(|word| name.contains(word)))
        }
    }
}

impl Source {
    fn open(path: &Path, kind: Kind) -> Result<Self, Shut> {
        let gap = kind.default_gap();
        match kind {
            Kind::Evdev => {
                let cannot = |error: &std::io::Error| cannot_open(path, "input device", error);
                let mut options = OpenOptions::new();
                // Read only, and not grabbed: it goes on typing where it did.
                options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
                let file = options.open(path).map_err(|error| cannot(&error))?;
                let device = RawDevice::from_fd(file.into()).map_err(|error| cannot(&error))?;
                Ok(Self::Keys(Typing { device, keys: Keys::new(gap), times: None }))
            }
            Kind::Hidraw => {
                let (file, layout) = hidraw::look(path)?;
                Ok(Self::Pos(file, Reports::new(layout, gap)))
            }
            Kind::Serial(_) => {
                let port = serial::open(path, SerialSettings::default())?;
                Ok(Self::Line(port, Framer::new(gap)))
            }
        }
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Keys(typing) => typing.device.as_fd(),
            Self::Pos(file, _) => file.as_fd(),
            Self::Line(port, _) => port.as_fd(),
        }
    }

    /// Takes what has come; an error when the device is gone.
    fn take(
        &mut self,
        is_readable: bool,
        now: Timestamp,
        bytes: &mut [u8],
    ) -> Result<Option<(Kind, Framed)>, ()> {
        let line = SerialSettings::default();
        Ok(match self {
            Self::Keys(typing) => {
                typing.take(is_readable, now)?.map(|framed| (Kind::Evdev, framed))
            }
            Self::Pos(file, reports) if is_readable => {
                let length = file.read(bytes).map_err(|_| ())?;
                let report = bytes.get(..length).unwrap_or_default();
                reports.push(report, now).map(|framed| (Kind::Hidraw, framed))
            }
            Self::Pos(_, reports) => reports.idle(now).map(|framed| (Kind::Hidraw, framed)),
            Self::Line(port, framer) if is_readable => {
                let read = nix::unistd::read(port.as_fd().as_raw_fd(), bytes).map_err(|_| ())?;
                if read == 0 {
                    return Err(());
                }
                let mut heard = None;
                for byte in bytes.iter().take(read) {
                    heard = heard.or(framer.push(*byte, now));
                }
                heard.map(|framed| (Kind::Serial(line), framed))
            }
            Self::Line(_, framer) => framer.idle(now).map(|framed| (Kind::Serial(line), framed)),
        })
    }
}

impl Typing {
    fn take(&mut self, is_readable: bool, now: Timestamp) -> Result<Option<Framed>, ()> {
        if !is_readable {
            let framed = self.keys.idle(now);
            return Ok(self.judge(framed));
        }
        let events: Vec<_> = match self.device.fetch_events() {
            Ok(events) => events.collect(),
            Err(error) if is_empty(&error) => return Ok(None),
            Err(_) => return Err(()),
        };
        let mut heard = None;
        for event in events {
            let stamp = event.timestamp();
            let first = match (self.times, self.keys.due()) {
                (Some((first, _)), Some(_)) => first,
                _ => stamp,
            };
            self.times = Some((first, stamp));
            let framed = self.keys.push(KeyEvent {
                kind: event.event_type().0,
                code: event.code(),
                value: event.value(),
                at: now,
            });
            heard = heard.or(self.judge(framed));
        }
        Ok(heard)
    }

    /// Only what no person types. The kernel's times count: this program may
    /// have been late.
    fn judge(&mut self, framed: Option<Framed>) -> Option<Framed> {
        let framed = framed?;
        let (first, last) = self.times?;
        match &framed {
            Framed::Code(frame) => {
                let length = frame.text.reveal().chars().count();
                let took = last.duration_since(first).unwrap_or(Duration::MAX);
                is_typed_by_a_scanner(length, took).then_some(framed)
            }
            Framed::Lost(Lost::OtherLayout | Lost::AltMode) => Some(framed),
            Framed::Lost(_) => None,
        }
    }
}

fn is_typed_by_a_scanner(length: usize, took: Duration) -> bool {
    let most = u32::try_from(length).map_or(Duration::MAX, |length| KEY_TIME_MAX * length);
    length >= TYPED_LENGTH_MIN && took <= most
}

/// A text that was scanned, as it may be shown: how long it is and how it
/// begins and ends, and of a short one nothing.
#[must_use]
pub fn masked(text: &SecretText) -> String {
    let all: Vec<char> = text.reveal().chars().collect();
    let shown = |at: usize| all.len() >= 10 && (at < 2 || at + 2 >= all.len());
    let mask = |(at, c): (usize, &char)| if shown(at) && c.is_ascii_graphic() { *c } else { '*' };
    all.iter().enumerate().map(mask).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scanner::tests::fake_box::FakeBox;

    #[test]
    fn people_type_more_slowly() {
        for (length, millis, expected) in [
            (18, 40, true),
            (18, 300, true),
            (18, 900, true),
            (18, 901, false),
            (6, 300, true),
            (5, 10, false),
            (0, 0, false),
            (8, 1_200, false),
        ] {
            let took = Duration::from_millis(millis);
            assert_eq!(is_typed_by_a_scanner(length, took), expected, "{length} in {millis} ms");
        }
        assert!(!is_typed_by_a_scanner(18, Duration::MAX));
    }

    #[test]
    fn what_was_scanned_is_shown_masked() {
        for (text, shown) in [
            ("281234567890123494", "28**************94"),
            ("6901234567", "69******67"),
            ("690123456", "*********"),
            ("咖啡\x1b[2J123456789", "*************89"),
            ("", ""),
        ] {
            assert_eq!(masked(&SecretText::new(text.to_owned())), shown);
        }
    }

    #[test]
    fn it_listens_to_what_may_be_a_scanner() {
        let fake = FakeBox::new(
            "
            i8042   -         AT_keyboard              kbd=event0
            1-1     046d:c31c Logitech,USB_Keyboard    kbd=event1 hid=hidraw0
            1-2     0c2e:0b81 Honeywell,Voyager        kbd=event2 pos=hidraw1 acm=ttyACM0
            1-3     1a86:7523 QinHeng,USB_Serial       usb=ttyUSB0
            1-4     12d1:1506 HUAWEI,Mobile_Broadband  usb=ttyUSB1
            1-5     9999:0001 Acme,Barcode_Thing       acm=ttyACM1
            program 1234:0003 ydotool                  kbd=event9
            ",
        );
        let devices = System::below(fake.root()).devices();
        let mut heard: Vec<String> = ways(&devices)
            .iter()
            .filter(|way| may_be_scanner(way.device, way.kind))
            .flat_map(|way| way.nodes.iter())
            .filter_map(|node| node.path.file_name()?.to_str().map(str::to_owned))
            .collect();
        heard.sort();
        assert_eq!(heard, ["event1", "event2", "hidraw1", "ttyACM0", "ttyACM1", "ttyUSB0"]);
        // In a box of files none of them can be opened, and it is told why.
        let mut listener = Listener::new(System::below(fake.root()));
        assert!(listener.listen(Duration::ZERO).is_none());
        assert_eq!((listener.open_count(), listener.shut().count()), (0, 6));
    }
}
