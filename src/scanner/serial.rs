//! Scanners on a serial line.

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};
use tokio_serial::{ClearBuffer, DataBits, FlowControl, SerialPort, SerialStream, StopBits};
use zeroize::Zeroizing;

use super::framing::{Framer, Lost};
use super::link::{BEAT, Link, Worker};
use super::{Clock, Handle, Input, ScannerSettings};

/// How the line is set. USB scanners (CDC-ACM) ignore most of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialSettings {
    /// Bits per second.
    pub baud: u32,
    /// 7 or 8.
    pub data_bits: u8,
    /// The check bit behind the data.
    pub parity: Parity,
    /// 1 or 2.
    pub stop_bits: u8,
    /// Who may stop the other side from sending.
    pub flow: Flow,
}

impl Default for SerialSettings {
    /// 9600 8N1, as most scanners leave the factory.
    fn default() -> Self {
        Self { baud: 9600, data_bits: 8, parity: Parity::None, stop_bits: 1, flow: Flow::None }
    }
}

/// The check bit behind the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// There is none.
    None,
    /// The number of ones is even.
    Even,
    /// The number of ones is odd.
    Odd,
}

/// Who may stop the other side from sending, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Nobody.
    None,
    /// By the wires RTS and CTS.
    RtsCts,
    /// By the characters XON and XOFF.
    XonXoff,
}

pub(super) fn start(
    settings: ScannerSettings,
    line: SerialSettings,
    clock: Clock,
    sink: Sender<Input>,
) -> Handle {
    let id = settings.id.clone();
    let link = Link::new(id.clone(), clock, sink);
    let beats = link.beats();
    let task = tokio::spawn(keep_reading(settings, line, link));
    Handle::new(id, beats, Worker::Task(task))
}

async fn keep_reading(settings: ScannerSettings, line: SerialSettings, mut link: Link) {
    while !link.is_closed() {
        match super::only_node(&settings).and_then(|node| open(&node, line)) {
            Ok(mut port) => {
                link.plugged();
                let why = read(&mut port, settings.gap, &mut link).await;
                drop(port);
                link.unplugged(why);
            }
            Err(why) => link.unplugged(why),
        }
        let mut rest = link.backoff();
        while !rest.is_zero() {
            link.beat();
            let nap = rest.min(BEAT);
            sleep(nap).await;
            rest = rest.saturating_sub(nap);
        }
    }
}

/// Opens the device for us alone. What it sent before we came is thrown away:
/// a code that was scanned before anybody asked for one pays nothing.
fn open(device: &Path, line: SerialSettings) -> Result<SerialStream, String> {
    let builder = tokio_serial::new(device.to_string_lossy(), line.baud)
        .data_bits(if line.data_bits == 7 { DataBits::Seven } else { DataBits::Eight })
        .parity(match line.parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        })
        .stop_bits(if line.stop_bits == 2 { StopBits::Two } else { StopBits::One })
        .flow_control(match line.flow {
            Flow::None => FlowControl::None,
            Flow::RtsCts => FlowControl::Hardware,
            Flow::XonXoff => FlowControl::Software,
        })
        .exclusive(true);
    let port = SerialStream::open(&builder).map_err(|error| in_words(device, &error))?;
    port.clear(ClearBuffer::Input).map_err(|error| in_words(device, &error))?;
    Ok(port)
}

fn in_words(device: &Path, error: &tokio_serial::Error) -> String {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    use tokio_serial::ErrorKind::{InvalidInput, Io, NoDevice, Unknown};

    let device = device.display();
    match error.kind() {
        Io(NotFound) => format!("{device} is not there"),
        Io(PermissionDenied) => super::no_permission(&device),
        // The library has the same kind for a device that is not there and one
        // that is held; a missing one was told apart above.
        NoDevice => format!("{device} is in use by another program"),
        Unknown if error.description == Errno::EPERM.desc() => super::not_allowed(&device),
        Unknown if error.description == Errno::ENOTTY.desc() => {
            format!("{device} is no serial device")
        }
        InvalidInput | Unknown | Io(_) => format!("{device} cannot be opened: {error}"),
    }
}

/// Reads until the device is gone; says why it is.
async fn read(port: &mut SerialStream, gap: Duration, link: &mut Link) -> String {
    let mut framer = Framer::new(gap);
    let mut bytes = Zeroizing::new([0; 256]);
    loop {
        link.beat();
        if link.is_closed() {
            return "nobody listens".to_owned();
        }
        // The device is looked at before the time is: when time is over,
        // nothing had come.
        match timeout(super::wait(framer.due(), link.now()), port.read(bytes.as_mut_slice())).await
        {
            Err(_) => link.framed(framer.idle(link.now())),
            // A hang-up reads as an end that never ends.
            Ok(Ok(0)) => return "it was unplugged".to_owned(),
            Ok(Ok(read)) => {
                let now = link.now();
                // A gap may have passed unseen, or may not: the bytes cannot
                // be told from the ones before.
                if framer.has_text() && framer.due().is_some_and(|due| now >= due) {
                    link.framed(framer.lose(Lost::Late, now));
                }
                for byte in bytes.iter().take(read) {
                    link.framed(framer.push(*byte, now));
                }
            }
            Ok(Err(error)) => return format!("it cannot be read any more: {error}"),
        }
    }
}
