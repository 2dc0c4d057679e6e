//! What a device would be in tilld.toml, and the udev rule that gives it to the
//! daemon.

use std::fs;

use nix::unistd::{AccessFlags, access};

use crate::scanner::find::found::{Bus, Found, Node};
use crate::scanner::find::identity;
use crate::scanner::find::identity::{Refusal, is_read_as, mark_of, own_marks, refusal, telling};
use crate::scanner::settings::{Identity, Kind, Place, SerialSettings};

/// A way to read a device.
#[derive(Clone, Debug)]
pub struct Way<'d> {
    /// The device.
    pub device: &'d Found,
    /// How it is read.
    pub kind: Kind,
    /// The nodes that are opened for it.
    pub nodes: Vec<&'d Node>,
    /// Why it is not read this way unless it is forced, if so.
    pub refusal: Option<Refusal>,
    /// Other devices with the same numbers.
    twins: Vec<&'d Found>,
    /// The device has other nodes that are read the same way.
    is_one_of_many: bool,
}

/// All ways to read these devices as scanners, the devices in order.
#[must_use]
pub fn ways(devices: &[Found]) -> Vec<Way<'_>> {
    devices.iter().flat_map(|device| ways_of(devices, device)).collect()
}

fn ways_of<'d>(devices: &'d [Found], device: &'d Found) -> Vec<Way<'d>> {
    let twins: Vec<&Found> = devices
        .iter()
        .filter(|other| (other.vendor, other.product) == (device.vendor, device.product))
        .collect();
    let way = |kind, nodes: Vec<&'d Node>, is_one_of_many| Way {
        device,
        kind,
        nodes,
        refusal: if kind == Kind::Evdev { refusal(devices, device) } else { None },
        twins: twins.clone(),
        is_one_of_many,
    };
    let mut ways = Vec::new();
    if device.has(|class| is_read_as(class, Kind::Evdev)) {
        ways.push(way(Kind::Evdev, device.key_nodes().collect(), false));
    }
    // Of these each is read by itself.
    for kind in [Kind::Hidraw, Kind::Serial(SerialSettings::default())] {
        let nodes: Vec<&Node> =
            device.nodes.iter().filter(|node| is_read_as(node.class, kind)).collect();
        ways.extend(nodes.iter().map(|node| way(kind, vec![*node], nodes.len() > 1)));
    }
    ways
}

impl Way<'_> {
    /// The `[[scanner]]` of tilld.toml.
    #[must_use]
    pub fn toml(&self, id: &str) -> String {
        let mut lines = vec![
            "[[scanner]]".to_owned(),
            format!("id = {}", quoted(id)),
            format!("kind = \"{}\"", self.kind.name()),
        ];
        match self.place() {
            Place::Device(path) => {
                lines.push(format!("device = {}", quoted(&path.to_string_lossy())));
            }
            Place::Identity(identity) => {
                lines.push(format!("vendor = \"{:04x}\"", identity.vendor));
                lines.push(format!("product = \"{:04x}\"", identity.product));
                let marks = identity.marks().into_iter();
                lines.extend(
                    marks.filter_map(|(name, mark)| Some(format!("{name} = {}", quoted(mark?)))),
                );
            }
        }
        if self.refusal.is_some() {
            lines.push("force = true".to_owned());
        }
        lines.join("\n") + "\n"
    }

    /// What it is found by: as little as tells it from all others.
    #[must_use]
    pub fn place(&self) -> Place {
        let device = self.device;
        let only = self.nodes.first();
        if device.vendor == 0 && device.product == 0 {
            return Place::Device(
                only.map(|node| node.lasting_path().to_owned()).unwrap_or_default(),
            );
        }
        let mut identity =
            Identity { vendor: device.vendor, product: device.product, ..Identity::default() };
        if self.is_one_of_many {
            // The socket with its part: tells twins apart as well.
            identity.by_path =
                only.and_then(|node| own_marks(device, node, "by_path").into_iter().next());
        } else if self.twins.len() > 1 {
            let mark = telling(&self.twins);
            let own = mark_of(device, mark);
            match mark {
                "serial" => identity.serial = own,
                "uniq" => identity.uniq = own,
                _ => identity.phys = own,
            }
        }
        Place::Identity(identity)
    }

    /// A scanner that is configured at this place is read this way. The place is
    /// written as [`Place`] prints it.
    #[must_use]
    pub fn is_at(&self, place: &str) -> bool {
        match Identity::read(place) {
            Some(identity) => identity::is(self.device, &identity),
            None => {
                let real = fs::canonicalize(place).unwrap_or_else(|_| place.into());
                self.nodes.iter().any(|node| {
                    fs::canonicalize(&node.path).unwrap_or_else(|_| node.path.clone()) == real
                })
            }
        }
    }

    /// Whether this user may open its nodes. Nothing is opened.
    #[must_use]
    pub fn may_open(&self) -> bool {
        let wanted = match self.kind {
            Kind::Serial(_) => AccessFlags::R_OK | AccessFlags::W_OK,
            Kind::Evdev | Kind::Hidraw => AccessFlags::R_OK,
        };
        self.nodes.iter().all(|node| access(&node.path, wanted).is_ok())
    }

    /// The lines for `/etc/udev/rules.d/71-tilld-local.rules` that give it to
    /// the daemon; none where udev has nothing to do with it.
    #[must_use]
    pub fn rule(&self) -> Option<String> {
        let device = self.device;
        if matches!(device.bus, Bus::Virtual | Bus::I8042) || device.vendor == 0 {
            return None;
        }
        let (vendor, product) = (device.vendor, device.product);
        let is_usb = device.bus == Bus::Usb;
        Some(match self.kind {
            Kind::Evdev => keyboard_rule(vendor, product, is_usb),
            Kind::Serial(_) => serial_rule(vendor, product),
            Kind::Hidraw => hidraw_rule(vendor, product, is_usb),
        })
    }

    /// The rules that tilld is shipped with already give it to the daemon.
    #[must_use]
    pub fn is_ruled(&self) -> bool {
        self.device.is_of_scanner_maker() && self.device.bus == Bus::Usb
    }
}

// The same lines are at the end of udev/70-tilld.rules, for people.

fn keyboard_rule(vendor: u16, product: u16, is_usb: bool) -> String {
    // Properties with the numbers are made for USB only.
    let numbers = if is_usb {
        format!("ENV{{ID_VENDOR_ID}}==\"{vendor:04x}\", ENV{{ID_MODEL_ID}}==\"{product:04x}\"")
    } else {
        format!("ATTRS{{id/vendor}}==\"{vendor:04x}\", ATTRS{{id/product}}==\"{product:04x}\"")
    };
    format!(
        "SUBSYSTEM==\"input\", KERNEL==\"event*\", {numbers}, ENV{{ID_INPUT_KEY}}==\"1\", GROUP=\"tilld\", MODE=\"0660\", ENV{{LIBINPUT_IGNORE_DEVICE}}=\"1\""
    )
}

fn serial_rule(vendor: u16, product: u16) -> String {
    format!(
        "SUBSYSTEM==\"tty\", KERNEL==\"ttyACM*|ttyUSB*\", ENV{{ID_VENDOR_ID}}==\"{vendor:04x}\", ENV{{ID_MODEL_ID}}==\"{product:04x}\", GROUP=\"tilld\", MODE=\"0660\", ENV{{ID_MM_DEVICE_IGNORE}}=\"1\", ENV{{ID_MM_PORT_IGNORE}}=\"1\""
    )
}

fn hidraw_rule(vendor: u16, product: u16, is_usb: bool) -> String {
    let (bus, name) = if is_usb {
        let name = "tilld/hid-$env{ID_VENDOR_ID}-$env{ID_MODEL_ID}-$env{ID_USB_INTERFACE_NUM}";
        ("0003", format!(", SYMLINK+=\"{name}\""))
    } else {
        ("0005", String::new())
    };
    let import = if is_usb { "IMPORT{builtin}=\"usb_id\", " } else { "" };
    format!(
        "SUBSYSTEM==\"hidraw\", KERNELS==\"{bus}:{vendor:04X}:{product:04X}.*\", {import}GROUP=\"tilld\", MODE=\"0660\"{name}"
    )
}

/// A text as TOML writes it. What a device calls itself may be anything.
fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scanner::find::sysfs::{System, resolve};
    use crate::scanner::settings::{Kind, ScannerSettings};
    use crate::scanner::tests::fake_box::FakeBox;

    const SHOP: &str = "
        i8042 -         AT_keyboard                  kbd=event0
        1-1   046d:c31c Logitech,USB_Keyboard        kbd=event1 media=event2 hid=hidraw0
        1-2   0c2e:0b81 Honeywell,Voyager serial=18A kbd=event5 media=event6 pos=hidraw1 acm=ttyACM0
        1-3   05e0:1200 Symbol,Scanner               kbd=event7
        1-4   05e0:1200 Symbol,Scanner               kbd=event8
        1-5   1eab:0106 Newland,FR80                 acm=ttyACM1 acm=ttyACM2
        1-6   0403:6001 FTDI,Serial serial=A         usb=ttyUSB0
        1-7   0403:6001 FTDI,Serial serial=B         usb=ttyUSB1
        bt    1d57:7777 Ring serial=00:11:22:33      kbd=event9
        ";

    /// What is suggested leads back to the nodes that it was suggested for.
    #[test]
    fn every_suggestion_is_the_way_it_was_made_for() {
        let fake = FakeBox::new(SHOP);
        let system = System::below(fake.root());
        let devices = system.devices();
        let ways = ways(&devices);
        assert_eq!(ways.len(), 12);
        for way in &ways {
            let mut settings = ScannerSettings::new("a", way.kind, way.place());
            settings.force = way.refusal.is_some();
            let nodes: Vec<_> = way.nodes.iter().map(|node| node.path.clone()).collect();
            assert_eq!(resolve(&system, &settings), Ok(nodes), "{}", way.toml("a"));
            if way.refusal.is_some() {
                settings.force = false;
                assert!(resolve(&system, &settings).is_err(), "{}", way.toml("a"));
            }
        }
    }

    #[test]
    fn as_little_as_tells_it_from_all_others() {
        let fake = FakeBox::new(SHOP);
        let devices = System::below(fake.root()).devices();
        let told: Vec<String> = ways(&devices)
            .iter()
            .map(|way| way.toml("a").replace("[[scanner]]\nid = \"a\"\n", "").replace('\n', " "))
            .collect();
        let expected = [
            "kind = \"evdev\" vendor = \"046d\" product = \"c31c\" ",
            "kind = \"evdev\" vendor = \"0c2e\" product = \"0b81\" ",
            "kind = \"hidraw\" vendor = \"0c2e\" product = \"0b81\" ",
            "kind = \"serial\" vendor = \"0c2e\" product = \"0b81\" ",
            "kind = \"evdev\" vendor = \"05e0\" product = \"1200\" phys = \"usb-0000:00:14.0-3\" ",
            "kind = \"evdev\" vendor = \"05e0\" product = \"1200\" phys = \"usb-0000:00:14.0-4\" ",
            "kind = \"serial\" vendor = \"1eab\" product = \"0106\" by_path = \"pci-0000:00:14.0-usb-0:5:1.0\" ",
            "kind = \"serial\" vendor = \"1eab\" product = \"0106\" by_path = \"pci-0000:00:14.0-usb-0:5:1.1\" ",
            "kind = \"serial\" vendor = \"0403\" product = \"6001\" serial = \"A\" ",
            "kind = \"serial\" vendor = \"0403\" product = \"6001\" serial = \"B\" ",
            "kind = \"evdev\" vendor = \"1d57\" product = \"7777\" ",
            "kind = \"evdev\" vendor = \"0001\" product = \"0001\" force = true ",
        ];
        assert_eq!(told, expected);
    }

    /// The rules that are printed are those that people may copy.
    #[test]
    fn the_rules_are_those_of_the_shipped_file() {
        let shipped = include_str!("../../../udev/70-tilld.rules");
        for rule in [
            keyboard_rule(0x1234, 0x5678, true),
            serial_rule(0x1234, 0x5678),
            hidraw_rule(0x1234, 0x5678, true),
        ] {
            assert!(shipped.contains(&format!("\n#{rule}\n")), "{rule}");
        }
        for maker in crate::scanner::makers::SCANNER_MAKERS {
            assert!(shipped.contains(&format!("{maker:04x}")), "{maker:04x}");
            assert!(
                shipped.contains(&format!("KERNELS==\"0003:{maker:04X}:*"))
                    || shipped.contains(&format!("|0003:{maker:04X}:*"))
            );
        }
        let fake = FakeBox::new(SHOP);
        let devices = System::below(fake.root()).devices();
        for way in ways(&devices) {
            let is_of_box = way.device.bus == Bus::I8042;
            assert_eq!(way.rule().is_none(), is_of_box);
            assert!(way.is_at(&way.place().to_string()) && way.may_open());
            let others = ways(&devices).into_iter();
            let mut others = others.filter(|other| other.is_at(&way.place().to_string()));
            assert!(others.all(|other| std::ptr::eq(other.device, way.device)));
            assert_eq!(way.is_ruled(), shipped.contains(&format!("{:04x}|", way.device.vendor)));
        }
    }

    #[test]
    fn nothing_that_a_device_says_breaks_the_file() {
        assert_eq!(quoted("a\"b\\c\u{1}"), "\"a\\\"b\\\\c\\u0001\"");
        let parsed = toml::de::DeTable::parse("x = \"a\\\"b\\\\c\\u0001\"").expect("TOML");
        assert_eq!(parsed.get_ref().len(), 1);
        assert_eq!(Kind::Evdev.name(), "evdev");
    }
}
