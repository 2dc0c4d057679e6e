//! Scanners on a serial line.

// The library has no borrowed descriptor for poll(2).
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serialport::{ClearBuffer, DataBits, FlowControl, SerialPort, StopBits, TTYPort};
use tokio::sync::mpsc::Sender;
use zeroize::Zeroizing;

use crate::scanner::decode::framing::{Framed, Framer, Lost};
use crate::scanner::device::handle::Handle;
use crate::scanner::device::link::Link;
use crate::scanner::device::thread;
use crate::scanner::device::thread::End;
use crate::scanner::device::trigger::{Answers, Puller};
use crate::scanner::device::wake::wait;
use crate::scanner::device::wake::{Wake, Woken};
use crate::scanner::find::sysfs::only_node;
use crate::scanner::input::{Clock, Input};
use crate::scanner::settings::{Flow, Parity, SerialSettings};
use crate::scanner::settings::{ScannerSettings, Trigger};
use crate::scanner::shut::Shut;
use crate::scanner::shut::{cannot_open, in_use, no_permission, not_allowed, not_there};

pub(in crate::scanner) fn start(
    settings: ScannerSettings,
    line: SerialSettings,
    clock: Clock,
    sink: Sender<Input>,
) -> Handle {
    let link = Link::new(settings.id.clone(), clock, sink);
    let (gap, trigger) = (settings.gap, settings.trigger.clone());
    thread::start(
        settings.id.clone(),
        link,
        move |_, _| open(&only_node(&settings)?, line),
        move |port, wake, link| read(port, gap, trigger.as_ref(), wake, link),
    )
}

/// An open line.
pub(in crate::scanner) struct Port(TTYPort);

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the port keeps the descriptor open for as long as it lives,
        // and is borrowed for as long as the result.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // Closing a line waits, up to half a minute, for what the other side
        // does not take. A tenth of a second is for the last command.
        for _ in 0..10 {
            if !self.0.bytes_to_write().is_ok_and(|bytes| bytes > 0) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.clear(ClearBuffer::Output);
    }
}

/// Opens the device for us alone. What it sent before we came is thrown away:
/// a code that was scanned before anybody asked for one pays nothing.
pub(in crate::scanner) fn open(device: &Path, line: SerialSettings) -> Result<Port, Shut> {
    let builder = serialport::new(device.to_string_lossy(), line.baud)
        .data_bits(if line.data_bits == 7 { DataBits::Seven } else { DataBits::Eight })
        .parity(match line.parity {
            Parity::None => serialport::Parity::None,
            Parity::Even => serialport::Parity::Even,
            Parity::Odd => serialport::Parity::Odd,
        })
        .stop_bits(if line.stop_bits == 2 { StopBits::Two } else { StopBits::One })
        .flow_control(match line.flow {
            Flow::None => FlowControl::None,
            Flow::RtsCts => FlowControl::Hardware,
            Flow::XonXoff => FlowControl::Software,
        })
        .exclusive(true);
    let cannot = |error: &serialport::Error| in_words(device, error);
    let port = Port(builder.open_native().map_err(|error| cannot(&error))?);
    // The library leaves a port that blocks; a thread with more than one thing
    // to wait for must not.
    fcntl(port.0.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
        .map_err(|error| cannot_open(device, "serial device", &error.into()))?;
    port.0.clear(ClearBuffer::Input).map_err(|error| cannot(&error))?;
    Ok(port)
}

fn in_words(device: &Path, error: &serialport::Error) -> Shut {
    use serialport::ErrorKind::{InvalidInput, Io, NoDevice, Unknown};
    use std::io::ErrorKind::{NotFound, PermissionDenied};

    let device = device.display();
    match error.kind() {
        Io(NotFound) => not_there(&device),
        Io(PermissionDenied) => no_permission(&device).into(),
        // The library has the same kind for a device that is not there and one
        // that is held; a missing one was told apart above.
        NoDevice => in_use(&device).into(),
        Unknown if error.description == Errno::EPERM.desc() => not_allowed(&device).into(),
        Unknown if error.description == Errno::ENOTTY.desc() => {
            format!("{device} is no serial device").into()
        }
        // A device whose node is there and which is not, as after a power cut
        // on the bus.
        Unknown
            if [Errno::ENXIO, Errno::ENODEV].map(Errno::desc).contains(&&*error.description) =>
        {
            not_there(&device)
        }
        InvalidInput | Unknown | Io(_) => format!("{device} cannot be opened: {error}").into(),
    }
}

/// Reads until the device is gone.
fn read(
    port: &mut Port,
    gap: Duration,
    trigger: Option<&Trigger>,
    wake: &Wake,
    link: &mut Link,
) -> End {
    let mut framer = Framer::knowing(gap, link.learned);
    let mut bytes = Zeroizing::new([0; 256]);
    let (mut puller, mut answers) = (Puller::new(trigger.cloned()), Answers::to(trigger));
    let mut deaf = false;
    loop {
        link.beat();
        if link.is_closed() {
            return End::Stopped;
        }
        if let Some(command) = puller.pull(wake.calls(), link.now())
            && !send(port, command)
            && !std::mem::replace(&mut deaf, true)
        {
            link.framed(Some(Framed::Lost(Lost::Untold)));
        }
        let due = framer.due().into_iter().chain(puller.due()).min();
        // The device is looked at before the time is: when time is over,
        // nothing had come.
        let gone = match wake.poll(&[port.as_fd()], wait(due, link.now())) {
            Woken::Stop => {
                // It is not left shining when nobody will tell it to stop.
                if let Some(off) = trigger.filter(|_| wake.calls().waits()) {
                    send(port, &off.off);
                }
                return End::Stopped;
            }
            Woken::Told => continue,
            Woken::Time => {
                let now = link.now();
                for byte in answers.give_up() {
                    link.framed(framer.push(byte, now));
                }
                link.framed(framer.idle(now));
                link.learned = framer.learned();
                continue;
            }
            Woken::Device(gone) => gone,
        };
        match nix::unistd::read(port.0.as_raw_fd(), bytes.as_mut_slice()) {
            Ok(read) if read > 0 => {
                let now = link.now();
                // A gap may have passed unseen, or may not: the bytes cannot
                // be told from the ones before.
                if framer.has_text() && framer.due().is_some_and(|due| now >= due) {
                    link.framed(framer.lose(Lost::Late, now));
                }
                for byte in bytes.iter().take(read).flat_map(|byte| answers.sift(*byte)) {
                    let framed = framer.push(byte, now);
                    if framed.is_some() {
                        puller.read(now);
                    }
                    link.framed(framed);
                }
                link.learned = framer.learned();
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) if !gone => {}
            // A hang-up reads as an end that never ends.
            Ok(_) | Err(Errno::EIO | Errno::ENXIO | Errno::ENODEV | Errno::EAGAIN) => {
                return End::Gone("it was unplugged".to_owned());
            }
            Err(error) => return End::Gone(format!("it cannot be read any more: {error}")),
        }
    }
}

/// Sends a command; `false` when the line did not take all of it. It has room
/// for thousands of bytes, so that is a scanner that lets nothing through.
fn send(port: &Port, command: &[u8]) -> bool {
    nix::unistd::write(port, command) == Ok(command.len())
}
