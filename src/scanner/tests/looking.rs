//! Stories: what is plugged in, what is looked for, what is opened or said.

use std::path::{Path, PathBuf};

use crate::scanner::find::sysfs::{System, resolve};
use crate::scanner::settings::{Identity, Kind, Place, ScannerSettings, SerialSettings};
use crate::scanner::tests::fake_box::FakeBox;

/// `evdev 0c2e:0b61 phys=usb-1 force`, or `evdev /dev/input/event5`.
fn settings(fake: &FakeBox, text: &str) -> ScannerSettings {
    let mut words = text.split_whitespace();
    let kind = match words.next().expect("a kind") {
        "evdev" => Kind::Evdev,
        "hidraw" => Kind::Hidraw,
        _ => Kind::Serial(SerialSettings::default()),
    };
    let place = words.next().expect("a place");
    let mut settings = if place.starts_with('/') {
        let path = fake.root().join(place.trim_start_matches('/'));
        ScannerSettings::new("a", kind, Place::Device(path))
    } else {
        let (vendor, product) = place.split_once(':').expect("two numbers");
        let hex = |text| u16::from_str_radix(text, 16).expect("hex");
        let identity =
            Identity { vendor: hex(vendor), product: hex(product), ..Identity::default() };
        ScannerSettings::new("a", kind, Place::Identity(identity))
    };
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let value = Some(if key == "name" { value.replace('_', " ") } else { value.to_owned() });
        match (&mut settings.place, key) {
            (_, "force") => settings.force = true,
            (Place::Identity(identity), "serial") => identity.serial = value,
            (Place::Identity(identity), "by_id") => identity.by_id = value,
            (Place::Identity(identity), "by_path") => identity.by_path = value,
            (Place::Identity(identity), "phys") => identity.phys = value,
            (Place::Identity(identity), "uniq") => identity.uniq = value,
            (Place::Identity(identity), "name") => identity.name = value,
            _ => panic!("{word}"),
        }
    }
    settings
}

/// The paths of nodes as a box would have them.
fn as_on_the_box(fake: &FakeBox, path: &Path) -> PathBuf {
    Path::new("/").join(path.strip_prefix(fake.root()).unwrap_or(path))
}

/// Lines of `what is looked for => the nodes`, or `=> ! what is said`.
fn check(devices: &str, stories: &str) {
    let fake = FakeBox::new(devices);
    for story in stories.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (asked, expected) = story.split_once(" => ").expect("an arrow");
        let said = match resolve(&System::below(fake.root()), &settings(&fake, asked)) {
            Ok(nodes) => {
                let shown = nodes.iter().map(|node| as_on_the_box(&fake, node));
                shown.map(|node| node.display().to_string()).collect::<Vec<_>>().join(" ")
            }
            Err(shut) => format!("! {}", shut.why),
        };
        assert_eq!(said, expected, "{asked}, in{devices}");
    }
}

/// A box as it stands in a shop: a keyboard, a mouse, and a scanner that is
/// everything at once.
const SHOP: &str = "
    i8042 -         AT_keyboard                        kbd=event0
    1-1   046d:c31c Logitech,USB_Keyboard              kbd=event1 media=event2 hid=hidraw0
    1-4   046d:c077 Logitech,USB_Mouse                 mouse=event3
    1-2   0c2e:0b81 Honeywell,Voyager serial=18A       kbd=event5 media=event6 pos=hidraw1 acm=ttyACM0
    1-3.1 1a86:7523 QinHeng,USB_Serial                 usb=ttyUSB0
";

#[test]
fn a_composite_scanner_is_found_in_each_of_its_ways() {
    check(
        SHOP,
        "
        evdev  0c2e:0b81 => /dev/input/event5 /dev/input/event6
        hidraw 0c2e:0b81 => /dev/hidraw1
        serial 0c2e:0b81 => /dev/ttyACM0
        serial 1a86:7523 => /dev/ttyUSB0
        evdev  /dev/input/event5 => /dev/input/event5 /dev/input/event6
        evdev  /dev/input/event6 => /dev/input/event5 /dev/input/event6
        evdev  /dev/input/by-id/usb-Honeywell_Voyager_18A-event-kbd => /dev/input/event5 /dev/input/event6
        serial /dev/ttyS9 => /dev/ttyS9
        evdev  /dev/input/event9 => /dev/input/event9
        ",
    );
}

#[test]
fn every_mark_must_be_its_own() {
    check(
        SHOP,
        "
        evdev  0c2e:0b81 serial=18A => /dev/input/event5 /dev/input/event6
        hidraw 0c2e:0b81 serial=18A name=Honeywell_Voyager uniq=18A => /dev/hidraw1
        evdev  0c2e:0b81 by_id=usb-Honeywell_Voyager_18A-event-kbd => /dev/input/event5 /dev/input/event6
        serial 0c2e:0b81 by_id=usb-Honeywell_Voyager_18A-if03 => /dev/ttyACM0
        evdev  0c2e:0b81 by_path=pci-0000:00:14.0-usb-0:2:1.0-event-kbd => /dev/input/event5 /dev/input/event6
        hidraw 0c2e:0b81 by_path=pci-0000:00:14.0-usb-0:2:1.2 => /dev/hidraw1
        hidraw 0c2e:0b81 by_path=pci-0000:00:14.0-usb-0:2 => /dev/hidraw1
        serial 1a86:7523 by_path=pci-0000:00:14.0-usb-0:3.1:1.0-port0 => /dev/ttyUSB0
        serial 1a86:7523 phys=usb-0000:00:14.0-3.1 => /dev/ttyUSB0
        evdev  0c2e:0b81 phys=usb-0000:00:14.0-2/input0 => /dev/input/event5 /dev/input/event6
        evdev  0c2e:0b81 serial=18 => ! no keyboard 0c2e:0b81 serial 18 is plugged in; 0c2e:0b81 Honeywell Voyager is, with serial 18A
        evdev  0c2e:0b81 serial=18A phys=usb-0000:00:14.0-3 => ! no keyboard 0c2e:0b81 serial 18A phys usb-0000:00:14.0-3 is plugged in; 0c2e:0b81 Honeywell Voyager is, with phys usb-0000:00:14.0-2
        serial 1a86:7523 phys=usb-0000:00:14.0-3 => ! no serial device 1a86:7523 phys usb-0000:00:14.0-3 is plugged in; 1a86:7523 QinHeng USB Serial is, with phys usb-0000:00:14.0-3.1
        serial 1a86:7523 serial=1 => ! no serial device 1a86:7523 serial 1 is plugged in; 1a86:7523 QinHeng USB Serial is, with no serial
        ",
    );
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    check(
        SHOP,
        "
        evdev  05e0:1200 => ! no keyboard 05e0:1200 is plugged in; there is 046d:c31c Logitech USB Keyboard, 0c2e:0b81 Honeywell Voyager
        hidraw 05e0:0600 => ! no HID-POS scanner 05e0:0600 is plugged in; there is 0c2e:0b81 Honeywell Voyager
        serial 1a86:7523 name=x => ! no serial device 1a86:7523 name x is plugged in; 1a86:7523 QinHeng USB Serial is, with name ttyUSB0
        hidraw 046d:c31c => ! 046d:c31c Logitech USB Keyboard is there and is no HID-POS scanner, but a keyboard (kind = \"evdev\"); the scanner's manual has a code to change that
        evdev  1a86:7523 => ! 1a86:7523 QinHeng USB Serial is there and is no keyboard, but a serial device (kind = \"serial\"); the scanner's manual has a code to change that
        serial 046d:c077 => ! 046d:c077 Logitech USB Mouse is there and is no serial device, but nothing that can be read; the scanner's manual has a code to change that
        ",
    );
    check("", "evdev 05e0:1200 => ! no keyboard 05e0:1200 is plugged in");
    // The box's own port is no candidate.
    check(
        "board 0000:0000 port acm=ttyS0",
        "serial 05e0:1701 => ! no serial device 05e0:1701 is plugged in",
    );
}

#[test]
fn twins_are_told_apart() {
    check(
        "
        i8042 -         AT_keyboard              kbd=event0
        1-1   05e0:1200 Symbol,Scanner           kbd=event1
        1-2   05e0:1200 Symbol,Scanner           kbd=event2
        2-1   0c2e:0b61 Honeywell,1900 serial=A  pos=hidraw1
        2-2   0c2e:0b61 Honeywell,1900 serial=B  pos=hidraw2
        3-1   0403:6001 FTDI,Serial serial=X     usb=ttyUSB0
        3-2   0403:6001 FTDI,Serial serial=X     usb=ttyUSB1
        bt    1d57:7777 Ring serial=00:11:22:33  kbd=event7
        ",
        "
        evdev  05e0:1200 => ! 2 devices are 05e0:1200; write for the one that is meant phys = \"usb-0000:00:14.0-1\" or phys = \"usb-0000:00:14.0-2\"
        evdev  05e0:1200 phys=usb-0000:00:14.0-1 => /dev/input/event1
        evdev  05e0:1200 by_path=pci-0000:00:14.0-usb-0:2:1.0-event-kbd => /dev/input/event2
        hidraw 0c2e:0b61 => ! 2 devices are 0c2e:0b61; write for the one that is meant serial = \"A\" or serial = \"B\"
        hidraw 0c2e:0b61 serial=B => /dev/hidraw2
        hidraw 0c2e:0b61 phys=usb-0000:00:14.0-1 => /dev/hidraw1
        hidraw 0c2e:0b61 by_path=pci-0000:00:14.0-usb-0:2:1.0 => /dev/hidraw2
        serial 0403:6001 => ! 2 devices are 0403:6001; write for the one that is meant phys = \"usb-0000:00:14.0-1\" or phys = \"usb-0000:00:14.0-2\"
        serial 0403:6001 phys=usb-0000:00:14.0-2 => /dev/ttyUSB1
        serial 0403:6001 by_id=usb-FTDI_Serial_X-if00-port0 => /dev/ttyUSB1
        evdev  1d57:7777 uniq=00:11:22:33 => /dev/input/event7
        ",
    );
}

/// Of two devices with one name in by-id, only one has it; the other is not
/// taken in its place.
#[test]
fn a_scanner_with_two_ways_of_a_kind_is_asked_about() {
    check(
        "1-1 1eab:0106 Newland,FR80 acm=ttyACM0 acm=ttyACM1",
        "
        serial 1eab:0106 => ! 1eab:0106 Newland FR80 has 2 ways to be read; write one of by_path = \"pci-0000:00:14.0-usb-0:1:1.0\", by_path = \"pci-0000:00:14.0-usb-0:1:1.1\"
        serial 1eab:0106 by_path=pci-0000:00:14.0-usb-0:1:1.1 => /dev/ttyACM1
        serial 1eab:0106 by_id=usb-Newland_FR80-if00 => /dev/ttyACM0
        ",
    );
}

#[test]
fn keyboards_for_people_are_refused() {
    let told = "if it is a scanner all the same write force = true";
    check(
        "
        i8042   -         AT_keyboard           kbd=event0
        1-1     046d:c52b Logitech,Receiver     kbd=event1 mouse=event2
        1-2     1234:0001 Acme,All_in_one       both=event3
        1-3     1234:0002 Acme,Macro_Pad        kbd=event4 kbd=event5 kbd=event6 kbd=event7 kbd=event8
        program 1234:0003 ydotool               kbd=event9
        ",
        &format!(
            "
            evdev /dev/input/event0 => ! 0001:0001 AT keyboard is the box's own keyboard, not a scanner; {told}
            evdev 046d:c52b => ! 046d:c52b Logitech Receiver moves a pointer, so it is a mouse or a receiver of one; {told}
            evdev 1234:0001 => ! 1234:0001 Acme All in one moves a pointer, so it is a mouse or a receiver of one; {told}
            evdev 1234:0002 => ! 1234:0002 Acme Macro Pad has 5 nodes with keys, more than a scanner has; {told}
            evdev 1234:0003 => ! 1234:0003 ydotool is a keyboard that a program made; {told}
            evdev /dev/input/event9 => ! 1234:0003 ydotool is a keyboard that a program made; {told}
            evdev /dev/input/event0 force => /dev/input/event0
            evdev 046d:c52b force => /dev/input/event1
            evdev 1234:0002 force => /dev/input/event4 /dev/input/event5 /dev/input/event6 /dev/input/event7 /dev/input/event8
            evdev 1234:0003 force => /dev/input/event9
            "
        ),
    );
}

#[test]
fn the_only_keyboard_is_left_to_people() {
    let only = "is the only keyboard of this box, and whoever needs a keyboard would have none; if it is a scanner all the same write force = true";
    // Neither a mouse, a pad of digits, a program nor a scanner is a keyboard
    // to work with.
    let few = "
        1-1     1a2c:0c21 China,USB_Keyboard kbd=event1
        1-2     0c2e:0b61 Honeywell,1900     kbd=event2
        1-3     1234:0001 Acme,Pad           pad=event3
        1-4     046d:c077 Logitech,USB_Mouse mouse=event4
        program 1234:0003 ydotool            kbd=event9
        ";
    check(
        few,
        &format!(
            "
            evdev 1a2c:0c21 => ! 1a2c:0c21 China USB Keyboard {only}
            evdev /dev/input/event1 => ! 1a2c:0c21 China USB Keyboard {only}
            evdev 1a2c:0c21 force => /dev/input/event1
            evdev 0c2e:0b61 => /dev/input/event2
            evdev 1234:0001 => /dev/input/event3
            "
        ),
    );
    check(
        &format!("{few}\n i8042 - AT_keyboard kbd=event0"),
        "evdev 1a2c:0c21 => /dev/input/event1",
    );
}

#[test]
fn numbers_change_with_plugging_and_devices_do_not() {
    let fake = FakeBox::new("i8042 - AT_keyboard kbd=event0");
    let system = System::below(fake.root());
    let wanted = settings(&fake, "evdev 0c2e:0b61");
    assert!(resolve(&system, &wanted).is_err());
    fake.plug("1-2 0c2e:0b61 Honeywell,1900 kbd=event17");
    let nodes = resolve(&system, &wanted).expect("plugged in");
    assert_eq!(as_on_the_box(&fake, &nodes[0]), Path::new("/dev/input/event17"));
}
