//! Scanners that are keyboards.
//!
//! The raw stream is read, not the evdev crate's repaired one: that one hides
//! that keys were lost and makes up others in their place.

// Two requests that the evdev crate does not wrap: which clock stamps the
// events, and which events are not wanted.
#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use ::evdev::raw_stream::RawDevice;
use ::evdev::{BusType, EventType, InputEvent, KeyCode, LedCode};
use nix::libc;
use nix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc::Sender;

use crate::payment::Timestamp;
use crate::scanner::decode::framing::Lost;
use crate::scanner::decode::keymap::KeyEvent;
use crate::scanner::device::handle::Handle;
use crate::scanner::device::hold::{Hold, Look, Nodes};
use crate::scanner::device::link::Link;
use crate::scanner::device::thread;
use crate::scanner::device::thread::End;
use crate::scanner::device::wake::{BEAT, Wake, Woken};
use crate::scanner::device::wake::{is_empty, wait};
use crate::scanner::find::sysfs::nodes;
use crate::scanner::input::{Clock, Input};
use crate::scanner::settings::ScannerSettings;
use crate::scanner::shut::Shut;
use crate::scanner::shut::{cannot_open, not_there};

/// How long to wait for all keys to be up, and for silence, when the device is
/// opened.
const OPEN_TIMEOUT: Duration = Duration::from_secs(3);
/// The same before it is let go of at the end.
const FINISH_TIMEOUT: Duration = Duration::from_millis(300);
const KEYS_UP_INTERVAL: Duration = Duration::from_millis(20);

/// Told when a keyboard that was taken for a scanner is let go of.
const TYPED: &str = "it looks like a person typing, so it is let go of for a while; if it is a scanner that types slowly write typed_guard = false";

mod request {
    #[repr(C)]
    pub(super) struct Mask {
        pub(super) kind: u32,
        pub(super) size: u32,
        pub(super) bits: u64,
    }

    nix::ioctl_write_ptr!(set_clock, b'E', 0xa0, nix::libc::c_int);
    nix::ioctl_write_ptr!(set_mask, b'E', 0x93, Mask);
}

pub(in crate::scanner) fn start(
    settings: ScannerSettings,
    clock: Clock,
    sink: Sender<Input>,
) -> Handle {
    let link = Link::new(settings.id.clone(), clock, sink);
    thread::start(settings.id.clone(), link, move |wake, link| open(&settings, wake, link), read)
}

/// The nodes of one scanner.
struct Keyboard {
    nodes: Vec<Node>,
}

struct Node {
    device: RawDevice,
    /// The lights as they were before it was ours.
    lights: Vec<InputEvent>,
}

/// A scanner, and how it is held.
type Held = (Keyboard, Hold);

/// Opens all nodes of the scanner, and takes them once to see that they can be
/// taken. One that cannot keeps none open.
fn open(settings: &ScannerSettings, wake: &Wake, link: &mut Link) -> Result<Held, Shut> {
    let paths = nodes(settings)?;
    let mut keyboard = Keyboard { nodes: Vec::new() };
    for path in &paths {
        let cannot = |error: &io::Error| cannot_open(path, "input device", error);
        let file = open_file(path).map_err(|error| cannot(&error))?;
        let device = RawDevice::from_fd(file).map_err(|error| cannot(&error))?;
        // The others are its volume keys and the like.
        if keyboard.nodes.is_empty() {
            is_scanner(&device, path, settings.force)?;
        }
        prepare(&device).map_err(|error| cannot(&error))?;
        keyboard.nodes.push(Node { device, lights: Vec::new() });
    }
    let Some(path) = paths.first() else { return Err(not_there(&settings.place)) };
    let cannot = |error: &io::Error| cannot_open(path, "input device", error);
    let begun = link.now();
    let mut hold = None;
    loop {
        link.beat();
        let now = link.now();
        let wait = match &mut hold {
            None if keyboard.any_down().map_err(|error| cannot(&error))? => KEYS_UP_INTERVAL,
            None => {
                hold = Some(Hold::new(settings, paths.len(), link.learned, now));
                continue;
            }
            Some(hold) => {
                // Whatever is lost now was never ours.
                let mut say = |_| {};
                hold.look(&mut keyboard, true, now, &mut say).map_err(|error| cannot(&error))?;
                wait(hold.due(true), now)
            }
        };
        if let Some(hold) = hold.take_if(|hold| hold.is_ours()) {
            return Ok((keyboard, hold));
        }
        if now >= begun + OPEN_TIMEOUT || wake.poll(&keyboard.fds(), wait) == Woken::Stop {
            let path = path.display();
            return Err(format!("{path}: {}", Lost::Held).into());
        }
    }
}

fn is_scanner(device: &RawDevice, path: &Path, force: bool) -> Result<(), String> {
    let shown = path.display();
    if !device.supported_keys().is_some_and(|keys| keys.contains(KeyCode::KEY_ENTER)) {
        return Err(format!("{shown} is no keyboard; another event device of the scanner is"));
    }
    if device.input_id().bus_type() == BusType::BUS_I8042 && !force {
        return Err(format!("{shown} is the box's own keyboard, not a scanner"));
    }
    Ok(())
}

/// Read and write, because the CapsLock light is ours to put out; read only
/// where that is all we may.
fn open_file(path: &Path) -> io::Result<OwnedFd> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
    let file = options.clone().write(true).open(path).or_else(|error| {
        if error.raw_os_error() == Some(libc::EACCES) { options.open(path) } else { Err(error) }
    })?;
    Ok(file.into())
}

fn prepare(device: &RawDevice) -> io::Result<()> {
    let clock = libc::CLOCK_MONOTONIC;
    // SAFETY: the request reads one int, which lives across the call.
    unsafe { request::set_clock(device.as_raw_fd(), &raw const clock) }?;
    // Scan codes would take a third of the kernel's short queue.
    let mask = request::Mask { kind: u32::from(EventType::MISC.0), size: 0, bits: 0 };
    // SAFETY: the request reads this structure and, as its size is 0, nothing
    // that it points to.
    // Kernels before 4.4 do not know it, and do without.
    let _ = unsafe { request::set_mask(device.as_raw_fd(), &raw const mask) };
    Ok(())
}

impl Keyboard {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.nodes.iter().map(|node| node.device.as_fd()).collect()
    }
}

impl Nodes for Keyboard {
    fn any_down(&self) -> io::Result<bool> {
        for node in &self.nodes {
            if node.device.get_key_state()?.iter().next().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn grab(&mut self) -> io::Result<()> {
        for node in &mut self.nodes {
            if let Err(error) = node.device.grab() {
                self.ungrab();
                return Err(error);
            }
            node.set_lights();
        }
        Ok(())
    }

    fn ungrab(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| node.device.is_grabbed()) {
            let lights = std::mem::take(&mut node.lights);
            // Closing it would do the same; a device that is gone is let go of.
            let _ = node.device.send_events(&lights);
            let _ = node.device.ungrab();
        }
    }

    fn read(&mut self, now: Timestamp, typed: &mut Vec<(usize, KeyEvent)>) -> io::Result<()> {
        for (place, node) in self.nodes.iter_mut().enumerate() {
            node.read(now, |event| typed.push((place, event)))?;
        }
        Ok(())
    }
}

impl Node {
    /// Scanners that see CapsLock turn capitals round, and some type nothing on
    /// a keypad without NumLock. A light that cannot be set is no reason not to
    /// read the scanner.
    fn set_lights(&mut self) {
        let has = self.device.supported_leds();
        let on = self.device.get_led_state().unwrap_or_default();
        let wanted = [(LedCode::LED_CAPSL, false), (LedCode::LED_NUML, true)];
        let event = |led: LedCode, on: bool| InputEvent::new(EventType::LED.0, led.0, on.into());
        let ours: Vec<_> = wanted
            .into_iter()
            .filter(|(led, _)| has.is_some_and(|leds| leds.contains(*led)))
            .collect();
        self.lights = ours.iter().map(|(led, _)| event(*led, on.contains(*led))).collect();
        let ours: Vec<_> = ours.into_iter().map(|(led, on)| event(led, on)).collect();
        let _ = self.device.send_events(&ours);
    }

    fn read(&mut self, now: Timestamp, mut take: impl FnMut(KeyEvent)) -> io::Result<()> {
        loop {
            let events = match self.device.fetch_events() {
                Ok(events) => events,
                Err(error) if is_empty(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
            let monotonic = monotonic();
            let mut count = 0;
            for event in events {
                count += 1;
                take(KeyEvent {
                    kind: event.event_type().0,
                    code: event.code(),
                    value: event.value(),
                    at: on_our_clock(event.timestamp(), now, monotonic),
                });
            }
            if count == 0 {
                return Ok(());
            }
        }
    }
}

fn read((keyboard, hold): &mut Held, wake: &Wake, link: &mut Link) -> End {
    let mut gone = false;
    loop {
        link.beat();
        if link.is_closed() {
            finish(keyboard, hold, link);
            return End::Stopped;
        }
        let (waits, now) = (wake.calls().waits(), link.now());
        let mut say = |framed| link.framed(Some(framed));
        let looked = hold.look(keyboard, waits, now, &mut say);
        link.learned = hold.learned();
        match looked {
            Ok(Look::Typed) => {
                finish(keyboard, hold, link);
                link.unplugged(TYPED.to_owned());
                return leave_alone(keyboard, wake, link);
            }
            Ok(Look::Fine) if !gone => {}
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                // Opening it again says who has it.
                return End::Known;
            }
            Err(error) if !gone && error.raw_os_error() != Some(libc::ENODEV) => {
                return End::Gone(format!("it cannot be read any more: {error}"));
            }
            Ok(Look::Fine) | Err(_) => return End::Gone("it was unplugged".to_owned()),
        }
        match wake.poll(&keyboard.fds(), wait(hold.due(waits), now)) {
            Woken::Stop => {
                finish(keyboard, hold, link);
                return End::Stopped;
            }
            // What is left to read tells better how it went.
            Woken::Device(end) => gone = end,
            Woken::Told | Woken::Time => {}
        }
    }
}

/// Gives the keyboard back, between two scans if there is one soon: a daemon
/// that is told to stop stops.
fn finish(keyboard: &mut Keyboard, hold: &mut Hold, link: &mut Link) {
    let end = link.now() + FINISH_TIMEOUT;
    let mut say = |_| {};
    while link.now() < end && matches!(hold.finish(keyboard, link.now(), &mut say), Ok(false)) {
        std::thread::sleep(KEYS_UP_INTERVAL);
    }
    hold.let_go(keyboard);
}

/// Leaves the keyboard to others for a while, or until it is unplugged. What is
/// typed is not read; it stays open because that is how its end shows.
fn leave_alone(keyboard: &Keyboard, wake: &Wake, link: &mut Link) -> End {
    let until = link.now() + link.rest();
    loop {
        link.beat();
        if link.is_closed() {
            return End::Stopped;
        }
        if link.now() >= until {
            return End::Known;
        }
        match wake.poll_end(&keyboard.fds(), BEAT) {
            Woken::Stop => return End::Stopped,
            Woken::Device(_) => return End::Known,
            Woken::Told | Woken::Time => {}
        }
    }
}

fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// The kernel stamps events on its own clock; their age is the same on ours.
fn on_our_clock(stamp: SystemTime, now: Timestamp, monotonic: Duration) -> Timestamp {
    let stamp = stamp.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(monotonic);
    let age = monotonic.saturating_sub(stamp).as_millis();
    Timestamp(now.millis().saturating_sub(i64::try_from(age).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_keeps_its_age() {
        let stamp = SystemTime::UNIX_EPOCH + Duration::from_millis(9_000);
        let monotonic = Duration::from_millis(9_250);
        assert_eq!(on_our_clock(stamp, Timestamp(70_000), monotonic), Timestamp(69_750));
        // Stamped after we looked at the clock.
        let monotonic = Duration::from_millis(8_999);
        assert_eq!(on_our_clock(stamp, Timestamp(70_000), monotonic), Timestamp(70_000));
    }
}
