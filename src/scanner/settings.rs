//! What the configuration says about a scanner.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::scanner::makers::TRIGGERS;

/// One `[[scanner]]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannerSettings {
    /// Payments name it so.
    pub id: String,
    /// Where it is. It may come later.
    pub place: Place,
    /// The silence that ends a code when nothing else does.
    pub gap: Duration,
    /// How it is read.
    pub kind: Kind,
    /// When it is the terminal's. [`Mode::Armed`] is for keyboards only.
    pub mode: Mode,
    /// What tells it to read, and to stop. For serial scanners only.
    pub trigger: Option<Trigger>,
    /// Read it although it looks like a keyboard for people.
    pub force: bool,
    /// Let go of it when what comes in looks like a person typing.
    pub typed_guard: bool,
}

impl ScannerSettings {
    /// A scanner with the usual values.
    #[must_use]
    pub fn new(id: &str, kind: Kind, place: Place) -> Self {
        Self {
            id: id.to_owned(),
            place,
            gap: kind.default_gap(),
            kind,
            mode: Mode::Owned,
            trigger: None,
            force: false,
            typed_guard: true,
        }
    }
}

/// Where a scanner is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At a path. May be a link that udev keeps.
    Device(PathBuf),
    /// Wherever a device with these marks is plugged in.
    Identity(Identity),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => path.display().fmt(f),
            Self::Identity(identity) => identity.fmt(f),
        }
    }
}

/// The marks of a device. All that are given must be its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Who made it: the first number that `lsusb` shows.
    pub vendor: u16,
    /// What it is: the second number.
    pub product: u16,
    /// Its serial number, whole.
    pub serial: Option<String>,
    /// Its name in `/dev/serial/by-id` or `/dev/input/by-id`.
    pub by_id: Option<String>,
    /// Its name in the `by-path` beside those: the socket it is plugged into.
    pub by_path: Option<String>,
    /// How its place on the bus begins, such as `usb-0000:00:14.0-2`.
    pub phys: Option<String>,
    /// What the kernel has as its unique number; the address of a Bluetooth
    /// scanner.
    pub uniq: Option<String>,
    /// Its name, whole.
    pub name: Option<String>,
}

impl Identity {
    /// Every device that the other one means is meant by this one, too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let mut marks = self.marks().into_iter().zip(other.marks());
        (self.vendor, self.product) == (other.vendor, other.product)
            && marks.all(|((_, mark), (_, other))| mark.is_none() || mark == other)
    }

    /// The marks beside the two numbers, by their names in the configuration.
    #[must_use]
    pub fn marks(&self) -> [(&'static str, Option<&str>); 6] {
        [
            ("serial", self.serial.as_deref()),
            ("by_id", self.by_id.as_deref()),
            ("by_path", self.by_path.as_deref()),
            ("phys", self.phys.as_deref()),
            ("uniq", self.uniq.as_deref()),
            ("name", self.name.as_deref()),
        ]
    }
}

impl Identity {
    /// Reads what an identity prints, for programs that were told of one.
    #[must_use]
    pub fn read(shown: &str) -> Option<Self> {
        let (numbers, mut rest) = match shown.split_once(' ') {
            Some((numbers, _)) => (numbers, shown.get(numbers.len()..)?),
            None => (shown, ""),
        };
        let (vendor, product) = numbers.split_once(':')?;
        let number = |text: &str| {
            let digits = text.len() == 4 && text.bytes().all(|b| b.is_ascii_hexdigit());
            u16::from_str_radix(text, 16).ok().filter(|_| digits)
        };
        let mut identity =
            Self { vendor: number(vendor)?, product: number(product)?, ..Self::default() };
        let names = identity.marks().map(|(name, _)| name);
        let mut read = |n: usize| -> Option<String> {
            let value = rest.strip_prefix(&format!(" {} ", names.get(n)?))?;
            let later = names.get(n + 1..)?.iter();
            let end = later.filter_map(|name| value.find(&format!(" {name} "))).min();
            let (value, others) = value.split_at(end.unwrap_or(value.len()));
            rest = others;
            Some(value.to_owned())
        };
        identity.serial = read(0);
        identity.by_id = read(1);
        identity.by_path = read(2);
        identity.phys = read(3);
        identity.uniq = read(4);
        identity.name = read(5);
        rest.is_empty().then_some(identity)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.product)?;
        for (name, mark) in self.marks() {
            if let Some(mark) = mark {
                write!(f, " {name} {mark}")?;
            }
        }
        Ok(())
    }
}

/// How a scanner is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A serial line: RS-232, USB-serial, CDC-ACM.
    Serial(SerialSettings),
    /// A keyboard, read below the desktop and grabbed.
    Evdev,
    /// HID-POS: a USB scanner that is neither a keyboard nor a serial line.
    Hidraw,
}

impl Kind {
    /// The word for it in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Serial(_) => "serial",
            Self::Evdev => "evdev",
            Self::Hidraw => "hidraw",
        }
    }

    /// The silence that ends a code unless the configuration says otherwise.
    /// A byte takes a millisecond at 9600 baud; keys come up to 40 ms apart
    /// from scanners that were told to type slowly. HID-POS says where a code ends,
    /// and silence only ends what was announced and never came.
    #[must_use]
    pub fn default_gap(&self) -> Duration {
        match self {
            Self::Serial(_) => Duration::from_millis(60),
            Self::Evdev => Duration::from_millis(150),
            Self::Hidraw => Duration::from_millis(200),
        }
    }
}

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

/// When a scanner is the terminal's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Always: nothing that it reads reaches a window.
    Owned,
    /// While a payment waits for a code; at other times it types into the
    /// register's window, as it did before there was a terminal.
    Armed,
}

impl Mode {
    /// The word for it in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Owned => "owned",
            Self::Armed => "armed",
        }
    }
}

/// What is sent to a scanner that reads only when it is told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// When a payment begins to wait for a code.
    pub on: Vec<u8>,
    /// When it no longer does. Empty for scanners that stop by themselves.
    pub off: Vec<u8>,
}

impl Trigger {
    /// The commands of a maker's scanners, by the word in the configuration.
    #[must_use]
    pub fn of_maker(word: &str) -> Option<Self> {
        let (_, on, off) = TRIGGERS.iter().find(|(maker, ..)| *maker == word)?;
        Some(Self { on: on.to_vec(), off: off.to_vec() })
    }

    /// The words for the makers that are known.
    pub fn makers() -> impl Iterator<Item = &'static str> {
        TRIGGERS.iter().map(|(maker, ..)| *maker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_shows_as_it_is_found() {
        let device = Place::Device(PathBuf::from("/dev/ttyACM0"));
        assert_eq!(device.to_string(), "/dev/ttyACM0");
        let identity = Identity {
            vendor: 0x0c2e,
            product: 0xb61,
            serial: Some("17".to_owned()),
            phys: Some("usb-1".to_owned()),
            ..Identity::default()
        };
        assert_eq!(Place::Identity(identity).to_string(), "0c2e:0b61 serial 17 phys usb-1");
    }

    #[test]
    fn what_an_identity_prints_can_be_read() {
        let all = Identity {
            vendor: 0x0c2e,
            product: 0xb61,
            serial: Some("17 A".to_owned()),
            by_id: Some("usb-x".to_owned()),
            by_path: None,
            phys: Some("usb-0000:00:14.0-2".to_owned()),
            uniq: None,
            name: Some("Bar Code Scanner".to_owned()),
        };
        let bare = Identity { vendor: 1, product: 2, ..Identity::default() };
        for identity in [all, bare] {
            assert_eq!(Identity::read(&identity.to_string()), Some(identity));
        }
        for other in ["/dev/ttyACM0", "", "0c2e:0b61 what 1", "0c2e:b61", "0c2e:0b61 ", "c:\\dev"] {
            assert_eq!(Identity::read(other), None, "{other}");
        }
    }

    /// The last two bytes of an SSI packet are the two's complement of the sum
    /// of the others.
    #[test]
    fn packets_of_zebra_add_up() {
        let trigger = Trigger::of_maker("zebra").expect("known");
        for packet in [trigger.on, trigger.off] {
            let (body, check) = packet.split_at(packet.len() - 2);
            let sum = body.iter().fold(0u16, |sum, byte| sum + u16::from(*byte));
            assert_eq!(check, sum.wrapping_neg().to_be_bytes());
            assert_eq!(usize::from(packet[0]), body.len());
        }
    }

    #[test]
    fn commands_of_newland_are_whole() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02X} ")).collect::<String>();
        let trigger = Trigger::of_maker("newland").expect("known");
        assert_eq!(hex(&trigger.on), "7E 01 30 30 30 30 23 53 43 4E 54 52 47 31 3B 03 ");
        assert_eq!(hex(&trigger.off), "7E 01 30 30 30 30 23 53 43 4E 54 52 47 30 3B 03 ");
        assert_eq!(Trigger::of_maker("none"), None);
    }
}
