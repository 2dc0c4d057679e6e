//! A box of files: `/sys` and `/dev` as a kernel and udev would make them for
//! the devices that a few lines of text name.
//!
//! ```text
//! i8042  -         AT_keyboard               kbd=event0
//! 1-2    0c2e:0b61 Honeywell,Voyager serial=A kbd=event5 pos=hidraw0 acm=ttyACM0
//! ```
//!
//! A line is a socket, the two numbers, the maker and the name with `_` for
//! spaces, perhaps a serial number, and the parts of the device in order:
//! `kbd` (a whole keyboard), `pad` (digits and Enter), `media` (volume keys), `mouse`,
//! `both` (keys and a pointer in one), `hid` (the raw side of a keyboard),
//! `pos` (HID-POS), `acm` and `usb` (serial lines). Sockets are `BUS-PORT` of
//! USB, `i8042`, `board`, `program` or `bt`.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a test may")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A folder with `/sys` and `/dev` in it.
pub(crate) struct FakeBox {
    folder: tempfile::TempDir,
}

const CONTROLLER: &str = "sys/devices/pci0000:00/0000:00:14.0";

impl FakeBox {
    pub(crate) fn new(devices: &str) -> Self {
        let made = Self { folder: tempfile::tempdir().expect("a folder") };
        for folder in ["sys/class/input", "sys/class/hidraw", "sys/class/tty", "dev/input"] {
            fs::create_dir_all(made.root().join(folder)).expect("a folder");
        }
        made.folder_with("sys/bus/pci", &[]);
        made.folder_with(CONTROLLER, &[("vendor", "0x8086")]);
        symlink(made.root().join("sys/bus/pci"), made.root().join(CONTROLLER).join("subsystem"))
            .expect("a link");
        for line in devices.lines().map(str::trim).filter(|line| !line.is_empty()) {
            made.plug(line);
        }
        made
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The device of one line is plugged in.
    pub(crate) fn plug(&self, line: &str) {
        let mut words = line.split_whitespace();
        let mut word = || words.next().expect("a word");
        let (socket, ids, called) = (word(), word(), word());
        let called = called.replace('_', " ");
        let (maker, name) = called.split_once(',').unwrap_or(("", &called));
        let (vendor, product) = ids.split_once(':').unwrap_or(("0001", "0001"));
        let mut device = Device { fake: self, socket, vendor, product, maker, name, serial: "" };
        let at = device.folder();
        if socket.contains('-') {
            let port = socket.split_once('-').expect("a port").1;
            let files = [
                ("idVendor", vendor),
                ("idProduct", product),
                ("manufacturer", maker),
                ("product", name),
                ("devpath", port),
            ];
            self.folder_with(&at, &files);
        } else {
            self.folder_with(&at, &[]);
        }
        for (interface, part) in words.enumerate() {
            let (what, node) = part.split_once('=').expect("a part");
            if what == "serial" {
                device.serial = node;
                self.folder_with(&at, &[("serial", node)]);
                continue;
            }
            let interface = interface - usize::from(!device.serial.is_empty());
            device.part(what, node, interface);
        }
    }

    pub(crate) fn folder_with(&self, folder: &str, files: &[(&str, &str)]) {
        let folder = self.root().join(folder);
        fs::create_dir_all(&folder).expect("a folder");
        for (name, text) in files {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, format!("{text}\n")).expect("a file");
        }
    }

    fn link(&self, link: &str, target: &str) {
        let link = self.root().join(link);
        fs::create_dir_all(link.parent().expect("a folder")).expect("a folder");
        // Of two with one name the last wins, as with udev.
        let _ = fs::remove_file(&link);
        symlink(target, link).expect("a link");
    }
}

struct Device<'a> {
    fake: &'a FakeBox,
    socket: &'a str,
    vendor: &'a str,
    product: &'a str,
    maker: &'a str,
    name: &'a str,
    serial: &'a str,
}

impl Device<'_> {
    fn is_usb(&self) -> bool {
        self.socket.contains('-')
    }

    fn folder(&self) -> String {
        match self.socket {
            "i8042" => "sys/devices/platform/i8042/serio0".to_owned(),
            "board" => "sys/devices/platform/serial8250".to_owned(),
            "program" => format!("sys/devices/virtual/misc/uhid/{}", self.name),
            "bt" => format!("{CONTROLLER}/usb1/1-9/bluetooth/hci0/hci0:{}", self.product),
            usb => {
                let bus = usb.split('-').next().expect("a bus");
                format!("{CONTROLLER}/usb{bus}/{usb}")
            }
        }
    }

    fn phys(&self, interface: usize) -> String {
        match self.socket {
            "i8042" => "isa0060/serio0/input0".to_owned(),
            "board" | "program" => String::new(),
            "bt" => "00:1a:7d:da:71:13".to_owned(),
            usb => {
                let port = usb.split_once('-').expect("a port").1;
                format!("usb-0000:00:14.0-{port}/input{interface}")
            }
        }
    }

    fn part(&self, what: &str, node: &str, interface: usize) {
        let port = self.socket.split_once('-').map_or("", |(_, port)| port);
        let mut at = self.folder();
        if self.is_usb() {
            at = format!("{at}/{}:1.{interface}", self.socket);
            let number = format!("{interface:02x}");
            self.fake.folder_with(&at, &[("bInterfaceNumber", &number)]);
        }
        let path = format!("pci-0000:00:14.0-usb-0:{port}:1.{interface}");
        let name = [self.maker, self.name, self.serial].map(|part| part.replace(' ', "_"));
        let name = name.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>();
        let id = format!("usb-{}", name.join("_"));
        let kbd = if what == "mouse" { "mouse" } else { "kbd" };
        let part = if interface == 0 { String::new() } else { format!("-if{interface:02}") };
        match what {
            "acm" | "usb" => {
                let line = if what == "usb" { format!("{at}/{node}") } else { at.clone() };
                self.node(&format!("{line}/tty"), "tty", node, &line, "");
                if self.is_usb() {
                    let port = if what == "usb" { "-port0" } else { "" };
                    let target = format!("../../{node}");
                    let id = format!("dev/serial/by-id/{id}-if{interface:02}{port}");
                    self.fake.link(&id, &target);
                    self.fake.link(&format!("dev/serial/by-path/{path}{port}"), &target);
                }
            }
            "hid" | "pos" => {
                let at = self.hid(&at, interface);
                let descriptor = if what == "pos" { POS } else { KEYBOARD };
                let file = self.fake.root().join(&at).join("report_descriptor");
                fs::write(file, descriptor).expect("a file");
                self.node(&format!("{at}/hidraw"), "hidraw", node, &at, "");
            }
            keys => {
                if self.is_usb() || self.socket == "bt" {
                    at = self.hid(&at, interface);
                }
                self.input(&at, keys, node, interface);
                if self.is_usb() {
                    let target = format!("../{node}");
                    self.fake.link(&format!("dev/input/by-id/{id}{part}-event-{kbd}"), &target);
                    self.fake.link(&format!("dev/input/by-path/{path}-event-{kbd}"), &target);
                }
            }
        }
    }

    fn hid(&self, at: &str, interface: usize) -> String {
        let (vendor, product) = (self.vendor.to_uppercase(), self.product.to_uppercase());
        let bus = if self.socket == "bt" { 5 } else { 3 };
        let at = format!("{at}/{bus:04}:{vendor}:{product}.000{interface}");
        let uevent = format!(
            "DRIVER=hid-generic\nHID_ID={bus:04}:0000{vendor}:0000{product}\nHID_NAME={} {}\nHID_PHYS={}\nHID_UNIQ={}",
            self.maker,
            self.name,
            self.phys(interface),
            self.serial
        );
        self.fake.folder_with(&at, &[("uevent", &uevent)]);
        at
    }

    fn input(&self, at: &str, keys: &str, node: &str, interface: usize) {
        let bus = match self.socket {
            "i8042" => "0011",
            "bt" => "0005",
            _ => "0003",
        };
        // As real ones have them.
        let all = "10000 0 0 0 1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe";
        let pad = "10000ffc";
        let media =
            "3f00033fff 0 0 483ffff17aff32d bf54444600000000 1 130c730b17c000 267bfad9415fed 0";
        let (key, rel, abs) = match keys {
            "kbd" => (all, "0", "0"),
            "pad" => (pad, "0", "0"),
            "media" => (media, "1040", "100000000"),
            "mouse" => ("70000 0 0 0 0", "903", "0"),
            "both" => (all, "903", "0"),
            other => panic!("{other}: no part of a device"),
        };
        let input = format!("{at}/input/input{}", node.trim_start_matches("event"));
        let files = [
            ("name", format!("{} {}", self.maker, self.name).trim().to_owned()),
            ("phys", self.phys(interface)),
            ("uniq", self.serial.to_owned()),
            ("id/bustype", bus.to_owned()),
            ("id/vendor", self.vendor.to_owned()),
            ("id/product", self.product.to_owned()),
            ("capabilities/key", key.to_owned()),
            ("capabilities/rel", rel.to_owned()),
            ("capabilities/abs", abs.to_owned()),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (*n, t.as_str())).collect();
        self.fake.folder_with(&input, &files);
        self.node(&input, "input", node, &input, "input/");
    }

    /// A node of a class, in the folder `at`, of the device `device`.
    fn node(&self, at: &str, class: &str, node: &str, device: &str, dev: &str) {
        let root = self.fake.root();
        let at = root.join(at).join(node);
        fs::create_dir_all(&at).expect("a folder");
        symlink(root.join(device), at.join("device")).expect("a link");
        symlink(&at, root.join("sys/class").join(class).join(node)).expect("a link");
        fs::write(root.join("dev").join(dev).join(node), "").expect("a node");
    }
}

/// A scanner's: one report of 64 bytes of text.
const POS: &[u8] = &[
    0x05, 0x8c, 0x09, 0x02, 0xa1, 0x01, 0x75, 0x08, 0x95, 0x40, 0x0b, 0xfe, 0x00, 0x8c, 0x00, 0x81,
    0x02, 0xc0,
];

/// A keyboard's: modifiers and six keys.
const KEYBOARD: &[u8] = &[
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25, 0x01,
    0x75, 0x01, 0x95, 0x08, 0x81, 0x02, 0x95, 0x06, 0x75, 0x08, 0x19, 0x00, 0x29, 0x65, 0x81, 0x00,
    0xc0,
];
