//! `[[scanner]]`: where the scanners are, and how they are read.

use std::path::Path;
use std::time::Duration;

use super::read::{Item, Section};
use super::{Loader, SECOND, values};
use crate::scanner::{
    Flow, Identity, Kind, Mode, Parity, Place, ScannerSettings, SerialSettings, Trigger,
};

/// The keys of a serial line, and those of a keyboard.
const SERIAL_KEYS: [&str; 8] =
    ["baud", "data_bits", "parity", "stop_bits", "flow", "trigger", "trigger_on", "trigger_off"];
const EVDEV_KEYS: [&str; 3] = ["mode", "force", "typed_guard"];

/// What a device may be known by beside its two numbers, with examples.
const MARKS: [(&str, &str); 6] = [
    ("serial", "20201A2B3C"),
    ("by_id", "usb-EXAMPLE_Barcode_Scanner-event-kbd"),
    ("by_path", "pci-0000:00:14.0-usb-0:2:1.0-event-kbd"),
    ("phys", "usb-0000:00:14.0-2/"),
    ("uniq", "00:11:22:33:44:55"),
    ("name", "EXAMPLE Barcode Scanner"),
];

/// What a scanner says of the till that it belongs to.
pub(super) struct TillOfScanner {
    pub(super) scanner: String,
    pub(super) terminal_id: Option<String>,
    pub(super) store_id: Option<String>,
}

impl Loader<'_> {
    pub(super) fn scanners(
        &mut self,
        root: &mut Section<'_>,
    ) -> (Vec<ScannerSettings>, Vec<TillOfScanner>) {
        let (mut scanners, mut tills) = (Vec::new(), Vec::new());
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        for mut section in self.reader.sections(root, "scanner") {
            let s = &mut section;
            let id = self.reader.required(s, "id", "lane-1", |t| values::name(t, 64));
            let place = self.scanner_place(s);
            let kind = self.kind(s);
            let usual = kind.as_ref().map_or(Duration::from_millis(60), Kind::default_gap);
            let gap = self.duration(s, "gap", usual, (Duration::from_millis(10), 5 * SECOND));
            // Read whatever the kind is, so that they are known keys with known
            // faults.
            let mode = self.reader.text(s, "mode", "owned", |text| match text {
                "owned" => Ok(Mode::Owned),
                "armed" => Ok(Mode::Armed),
                _ => Err(format!(
                    "`{}` is no mode; write \"owned\" or \"armed\"",
                    values::shown(text)
                )),
            });
            let trigger = self.trigger(s);
            let force = self.reader.truth(s, "force", true);
            let typed_guard = self.reader.truth(s, "typed_guard", false);
            let terminal_id = self.reader.text(s, "terminal_id", "T_002", |t| values::name(t, 32));
            let store_id = self.reader.text(s, "store_id", "NJ_002", |t| values::name(t, 32));
            self.reader.finish(s);
            if let Some(id) = &id {
                self.only_once(&mut ids, id);
                tills.push(TillOfScanner {
                    scanner: id.value.clone(),
                    terminal_id: terminal_id.map(|item| item.value),
                    store_id: store_id.map(|item| item.value),
                });
            }
            if let Some(place) = &place {
                self.other_place(&mut places, place, kind.as_ref());
            }
            if let (Some(id), Some(place), Some(kind)) = (id, place, kind) {
                let usual = ScannerSettings::new(&id.value, kind, place.value);
                scanners.push(ScannerSettings {
                    gap: gap.value,
                    mode: mode.map_or(usual.mode, |item| item.value),
                    trigger,
                    force: force.map_or(usual.force, |item| item.value),
                    typed_guard: typed_guard.map_or(usual.typed_guard, |item| item.value),
                    ..usual
                });
            }
        }
        (scanners, tills)
    }

    fn only_once(&mut self, all: &mut Vec<String>, id: &Item<String>) {
        if all.contains(&id.value) {
            let text = format!(
                "`{}` is the name of another scanner, too; write a different one",
                values::shown(&id.value)
            );
            self.reader.faults.push(id.place.fault(&text));
        }
        all.push(id.value.clone());
    }

    /// Two scanners are never one device, whichever of them is plugged in.
    fn other_place(
        &mut self,
        all: &mut Vec<(Place, Option<&'static str>)>,
        item: &Item<Place>,
        kind: Option<&Kind>,
    ) {
        // The same device may be read in two ways.
        let kind = kind.map(Kind::name);
        let is_same = |(place, other): &(Place, Option<&'static str>)| match (place, &item.value) {
            (Place::Device(one), Place::Device(other)) => one == other,
            (Place::Identity(one), Place::Identity(two)) => {
                *other == kind && (one.covers(two) || two.covers(one))
            }
            (Place::Device(_), Place::Identity(_)) | (Place::Identity(_), Place::Device(_)) => {
                false
            }
        };
        if all.iter().any(is_same) {
            let text = match &item.value {
                Place::Device(path) => format!(
                    "{} is the device of another scanner, too; write a different one",
                    path.display()
                ),
                Place::Identity(_) => {
                    "means the device of another scanner, too; write for both of them what tells them apart, such as serial or phys (till scanners shows it)".to_owned()
                }
            };
            self.reader.faults.push(item.place.fault(&text));
        }
        all.push((item.value.clone(), kind));
    }

    /// Either the path of a device, or what it is known by.
    fn scanner_place(&mut self, s: &mut Section<'_>) -> Option<Item<Place>> {
        let device = self.path(s, "device", "/dev/ttyACM0");
        let mut number =
            |key, example| self.reader.text(s, key, example, |t| values::usb_number(t, example));
        let vendor = number("vendor", "0c2e");
        let product = number("product", "0b61");
        let mut marks = MARKS.map(|(key, example)| {
            let mark = self.reader.text(s, key, example, |text| values::name(text, 255));
            mark.map(|item| item.value)
        });

        if s.has("device") {
            let others = MARKS.iter().map(|(key, _)| *key);
            for key in ["vendor", "product"].into_iter().chain(others) {
                let text = "is for scanners that are found by what they are; leave it out, or leave device out";
                self.not_here(s, key, text);
            }
            return device.map(|item| Item { value: Place::Device(item.value), place: item.place });
        }
        let (has_vendor, has_product) = (s.has("vendor"), s.has("product"));
        if !has_vendor && !has_product {
            let text = match MARKS.iter().find(|(key, _)| s.has(key)) {
                None => {
                    "is missing; write device = \"/dev/ttyACM0\", or vendor and product (till scanners shows them)".to_owned()
                }
                Some((key, _)) => format!(
                    "is missing, and {key} alone is not enough to know a scanner by; write vendor and product as well (till scanners shows them), or device in its place"
                ),
            };
            let key = if MARKS.iter().any(|(key, _)| s.has(key)) { "vendor" } else { "device" };
            self.reader.faults.push(s.place(self.file, key).fault(&text));
            return None;
        }
        for (key, there, example) in
            [("vendor", has_vendor, "0c2e"), ("product", has_product, "0b61")]
        {
            if !there {
                let text = format!("is missing; write {key} = \"{example}\"");
                self.reader.faults.push(s.place(self.file, key).fault(&text));
            }
        }
        let (vendor, product) = vendor.zip(product)?;
        let mut mark = |at: usize| marks.get_mut(at).and_then(Option::take);
        let identity = Identity {
            vendor: vendor.value,
            product: product.value,
            serial: mark(0),
            by_id: mark(1).map(without_folder),
            by_path: mark(2).map(without_folder),
            phys: mark(3),
            uniq: mark(4),
            name: mark(5),
        };
        Some(Item { value: Place::Identity(identity), place: vendor.place })
    }

    /// A fault for a key that is there and should not be.
    fn not_here(&mut self, s: &mut Section<'_>, key: &'static str, text: &str) {
        if let Some(place) = self.reader.place_of(s, key) {
            self.reader.faults.push(place.fault(text));
        }
    }

    fn kind(&mut self, s: &mut Section<'_>) -> Option<Kind> {
        let line = SerialSettings::default();
        let kind = self.reader.required(s, "kind", "serial", |text| match text {
            "serial" => Ok(Kind::Serial(line)),
            "evdev" => Ok(Kind::Evdev),
            "hidraw" => Ok(Kind::Hidraw),
            _ => Err(format!(
                "`{}` is no kind of scanner; write \"serial\", \"evdev\" or \"hidraw\"",
                values::shown(text)
            )),
        });
        let line = self.line(s);
        let kind = kind?.value;
        let (serial, keyboard) = match kind {
            Kind::Serial(_) => (true, false),
            Kind::Evdev => (false, true),
            Kind::Hidraw => (false, false),
        };
        if !serial {
            for key in SERIAL_KEYS {
                let text = "is for serial scanners only; leave it out, or write kind = \"serial\"";
                self.not_here(s, key, text);
            }
        }
        if !keyboard {
            for key in EVDEV_KEYS {
                let text = "is for keyboard scanners only; leave it out, or write kind = \"evdev\"";
                self.not_here(s, key, text);
            }
        }
        Some(if serial { Kind::Serial(line) } else { kind })
    }

    fn line(&mut self, s: &mut Section<'_>) -> SerialSettings {
        let usual = SerialSettings::default();
        let baud = self.reader.number(
            s,
            "baud",
            9600,
            |n| (50..=4_000_000).contains(&n),
            "50 to 4000000, such as 9600 or 115200",
        );
        let data_bits = self.reader.number(s, "data_bits", 8, |n| (7..=8).contains(&n), "7 or 8");
        let stop_bits = self.reader.number(s, "stop_bits", 1, |n| (1..=2).contains(&n), "1 or 2");
        let parity = self.reader.text(s, "parity", "none", |text| match text {
            "none" => Ok(Parity::None),
            "even" => Ok(Parity::Even),
            "odd" => Ok(Parity::Odd),
            _ => Err("is no parity; write \"none\", \"even\" or \"odd\"".to_owned()),
        });
        let flow = self.reader.text(s, "flow", "none", |text| match text {
            "none" => Ok(Flow::None),
            "rtscts" => Ok(Flow::RtsCts),
            "xonxoff" => Ok(Flow::XonXoff),
            _ => Err("is no flow control; write \"none\", \"rtscts\" or \"xonxoff\"".to_owned()),
        });
        let small = |item: Option<Item<u32>>, usual: u8| {
            item.and_then(|item| u8::try_from(item.value).ok()).unwrap_or(usual)
        };
        SerialSettings {
            baud: baud.map_or(usual.baud, |item| item.value),
            data_bits: small(data_bits, usual.data_bits),
            parity: parity.map_or(usual.parity, |item| item.value),
            stop_bits: small(stop_bits, usual.stop_bits),
            flow: flow.map_or(usual.flow, |item| item.value),
        }
    }

    /// A maker's commands, or commands in hex.
    fn trigger(&mut self, s: &mut Section<'_>) -> Option<Trigger> {
        let (on_example, off_example) = ("16 54 0D", "16 55 0D");
        let maker = self.reader.text(s, "trigger", "honeywell", |text| {
            Trigger::of_maker(text).ok_or_else(|| {
                let makers: Vec<&str> = Trigger::makers().collect();
                format!(
                    "`{}` is no maker whose commands are known; write one of {}, or trigger_on and trigger_off with the bytes of its manual",
                    values::shown(text),
                    makers.join(", ")
                )
            })
        });
        let on = self.reader.text(s, "trigger_on", on_example, |t| values::hex(t, on_example));
        let off = self.reader.text(s, "trigger_off", off_example, |t| values::hex(t, off_example));
        if s.has("trigger") {
            for key in ["trigger_on", "trigger_off"] {
                let text = "is what trigger says by a maker's name; leave one of them out";
                self.not_here(s, key, text);
            }
            return maker.map(|item| item.value);
        }
        if let Some(off) = off.as_ref().filter(|_| !s.has("trigger_on")) {
            let text = format!("is of no use alone; write trigger_on = \"{on_example}\" as well");
            self.reader.faults.push(off.place.fault(&text));
        }
        // Some stop by themselves.
        Some(Trigger { on: on?.value, off: off.map(|item| item.value).unwrap_or_default() })
    }
}

/// `by_id` and `by_path` are names; who copies the whole path means its end.
fn without_folder(text: String) -> String {
    let name = Path::new(&text).file_name().and_then(|name| name.to_str()).map(str::to_owned);
    name.unwrap_or(text)
}
