//! Scanners that are keyboards.
//!
//! The raw stream is read, not the evdev crate's repaired one: that one hides
//! that keys were lost and makes up others in their place.

// Two requests that the evdev crate does not wrap: which clock stamps the
// events, and which events are not wanted.
#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use ::evdev::raw_stream::RawDevice;
use ::evdev::{BusType, EventType, InputEvent, KeyCode, LedCode};
use nix::libc;
use nix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc::Sender;

use super::keymap::{KeyEvent, Keys};
use super::link::{Link, Shut};
use super::thread::{self, End, Wake, Woken};
use super::{Clock, Handle, Input, ScannerSettings};
use crate::payment::Timestamp;

/// How long to wait for all keys to be up before the device is grabbed. A key
/// that is down then would stay down for everybody else, and repeat for ever.
const KEYS_UP_TIMEOUT: Duration = Duration::from_secs(3);
/// The same before it is let go of at the end; short, because a daemon that is
/// told to stop stops.
const KEYS_UP_TIMEOUT_AT_END: Duration = Duration::from_millis(200);
const KEYS_UP_INTERVAL: Duration = Duration::from_millis(20);

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

pub(super) fn start(settings: ScannerSettings, clock: Clock, sink: Sender<Input>) -> Handle {
    let link = Link::new(settings.id.clone(), clock, sink);
    let gap = settings.gap;
    thread::start(
        settings.id.clone(),
        link,
        move |wake, link| open(&super::only_node(&settings)?, wake, link),
        move |device, wake, link| read(device, gap, wake, link),
    )
}

fn open(path: &Path, wake: &Wake, link: &mut Link) -> Result<RawDevice, Shut> {
    let shown = path.display();
    let cannot = |error: &io::Error| super::cannot_open(path, "input device", error);
    let file = open_file(path).map_err(|error| cannot(&error))?;
    let mut device = RawDevice::from_fd(file).map_err(|error| cannot(&error))?;
    if !device.supported_keys().is_some_and(|keys| keys.contains(KeyCode::KEY_ENTER)) {
        return Err(
            format!("{shown} is no keyboard; another event device of the scanner is").into()
        );
    }
    if device.input_id().bus_type() == BusType::BUS_I8042 {
        return Err(format!("{shown} is the box's own keyboard, not a scanner").into());
    }
    prepare(&device).map_err(|error| cannot(&error))?;
    grab(&mut device, wake, link).map_err(|error| match error {
        Grab::Io(error) => cannot(&error),
        Grab::KeyDown => {
            format!("{shown}: a key is held down; scan once, or plug it in again").into()
        }
    })?;
    Ok(device)
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

enum Grab {
    Io(io::Error),
    KeyDown,
}

fn grab(device: &mut RawDevice, wake: &Wake, link: &mut Link) -> Result<(), Grab> {
    let mut left = KEYS_UP_TIMEOUT;
    loop {
        if is_idle(device)? {
            device.grab().map_err(Grab::Io)?;
            // A key that went down in between is let go of before anybody else
            // has to live with it.
            if is_idle(device)? {
                break;
            }
            device.ungrab().map_err(Grab::Io)?;
        }
        link.beat();
        if left.is_zero() || wake.sleep(KEYS_UP_INTERVAL) {
            return Err(Grab::KeyDown);
        }
        left = left.saturating_sub(KEYS_UP_INTERVAL);
    }
    drain(device).map_err(Grab::Io)?;
    // Scanners that see the light turn capitals round. A light that cannot be
    // put out is no reason not to read the scanner.
    if device.supported_leds().is_some_and(|leds| leds.contains(LedCode::LED_CAPSL)) {
        let _ = device.send_events(&[InputEvent::new(EventType::LED.0, LedCode::LED_CAPSL.0, 0)]);
    }
    Ok(())
}

fn is_idle(device: &RawDevice) -> Result<bool, Grab> {
    let down = device.get_key_state().map_err(Grab::Io)?;
    Ok(down.iter().next().is_none())
}

/// Throws away what was typed before the device was ours.
fn drain(device: &mut RawDevice) -> io::Result<()> {
    loop {
        match device.fetch_events().map(Iterator::count) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if super::is_empty(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn read(device: &mut RawDevice, gap: Duration, wake: &Wake, link: &mut Link) -> End {
    let mut keys = Keys::new(gap);
    // No key was down when the device was grabbed, but between two keys of a
    // code none is.
    keys.join(link.now());
    loop {
        link.beat();
        if link.is_closed() {
            let_go(device, wake);
            return End::Stopped;
        }
        match wake.poll(&[device.as_fd()], super::wait(keys.due(), link.now())) {
            Woken::Stop => {
                let_go(device, wake);
                return End::Stopped;
            }
            Woken::Told => {}
            Woken::Time => link.framed(keys.idle(link.now())),
            Woken::Device(gone) => match take(device, &mut keys, link) {
                Ok(_) if !gone => {}
                Err(error) if !gone && super::is_empty(&error) => {}
                Err(error) if !gone && error.raw_os_error() != Some(libc::ENODEV) => {
                    return End::Gone(format!("it cannot be read any more: {error}"));
                }
                Ok(_) | Err(_) => return End::Gone("it was unplugged".to_owned()),
            },
        }
    }
}

fn take(device: &mut RawDevice, keys: &mut Keys, link: &mut Link) -> io::Result<()> {
    let (now, monotonic) = (link.now(), monotonic());
    for event in device.fetch_events()? {
        let event = KeyEvent {
            kind: event.event_type().0,
            code: event.code(),
            value: event.value(),
            at: on_our_clock(event.timestamp(), now, monotonic),
        };
        link.framed(keys.push(event));
    }
    Ok(())
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

fn let_go(device: &mut RawDevice, wake: &Wake) {
    let mut left = KEYS_UP_TIMEOUT_AT_END;
    while !left.is_zero() && matches!(is_idle(device), Ok(false)) {
        // Already stopped, so this does not wait by itself.
        if wake.sleep(KEYS_UP_INTERVAL) {
            std::thread::sleep(KEYS_UP_INTERVAL);
        }
        left = left.saturating_sub(KEYS_UP_INTERVAL);
    }
    // Closing it would do the same; a device that is gone is let go of.
    let _ = device.ungrab();
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
