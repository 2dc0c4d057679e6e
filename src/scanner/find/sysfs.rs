//! What devices there are, by what the kernel says of them. Nothing is opened
//! but files of `/sys` and folders of `/dev`: a keyboard that is nobody's
//! business stays closed.
//!
//! Everything here may be missing, huge or nonsense: a device says of itself
//! what it likes, and may be pulled out while it is looked at.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use crate::scanner::decode::descriptor::Layout;
use crate::scanner::find::found::{Bus, Class, Found, Keys, Node};
use crate::scanner::find::identity;
use crate::scanner::settings::{Kind, Place, ScannerSettings};
use crate::scanner::shut::Shut;
use crate::scanner::shut::not_there;

/// Longer than any file of `/sys` that is read here.
const FILE_MAX: u64 = 4096;
/// More than any box has; the rest is not looked at.
const NODES_MAX: usize = 512;

/// Where `/sys` and `/dev` are.
#[derive(Clone, Debug)]
pub struct System {
    root: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        Self::below(Path::new("/"))
    }
}

/// The nodes to open for a scanner: one, or all that a keyboard scanner types
/// with, the one with Enter first. It is asked before each opening, because
/// numbers change with plugging.
///
/// # Errors
///
/// Why there is none to open, in words for a technician.
pub fn resolve(system: &System, settings: &ScannerSettings) -> Result<Vec<PathBuf>, Shut> {
    match (&settings.place, settings.kind) {
        (Place::Identity(identity), _) => {
            identity::choose(&system.devices(), identity, settings.kind, settings.force)
        }
        // A keyboard scanner may type through other nodes as well.
        (Place::Device(path), Kind::Evdev) => {
            let devices = system.devices();
            match system.node_at(path, &devices) {
                Some(device) => identity::keyboard(&devices, device, settings.force),
                // Opening it says what it is instead, or that it is not there.
                None => Ok(vec![path.clone()]),
            }
        }
        (Place::Device(path), Kind::Serial(_) | Kind::Hidraw) => Ok(vec![path.clone()]),
    }
}

/// The nodes of a scanner, as things are now.
pub(in crate::scanner) fn nodes(settings: &ScannerSettings) -> Result<Vec<PathBuf>, Shut> {
    resolve(&System::default(), settings)
}

/// The node of a scanner that has one.
pub(in crate::scanner) fn only_node(settings: &ScannerSettings) -> Result<PathBuf, Shut> {
    nodes(settings)?.into_iter().next().ok_or_else(|| not_there(&settings.place))
}

impl System {
    /// A system whose `/sys` and `/dev` are below another root.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where the kernel lists who runs.
    pub(in crate::scanner) fn processes(&self) -> PathBuf {
        self.root.join("proc")
    }

    /// All devices with nodes that keys, codes or bytes come through.
    #[must_use]
    pub fn devices(&self) -> Vec<Found> {
        let links = self.links();
        let mut devices: BTreeMap<PathBuf, Found> = BTreeMap::new();
        for (class, folder) in [("input", "input"), ("hidraw", ""), ("tty", "")] {
            for name in names(&self.root.join("sys/class").join(class)) {
                let Some((at, found, mut node)) = self.node(class, &name) else { continue };
                node.path = self.root.join("dev").join(folder).join(&name);
                node.links = links.get(&name).cloned().unwrap_or_default();
                devices.entry(at).or_insert(found).nodes.push(node);
            }
        }
        let mut devices: Vec<Found> = devices.into_values().collect();
        for device in &mut devices {
            device.nodes.sort_by_key(|node| {
                let order = match node.class {
                    Class::Keys(keys) => u8::from(!keys.enter),
                    Class::HidPos => 2,
                    Class::Serial => 3,
                    Class::Pointer | Class::Other => 4,
                };
                (order, node.interface, node.path.as_os_str().len(), node.path.clone())
            });
        }
        devices
    }

    /// The device that a path leads to.
    fn node_at<'d>(&self, path: &Path, devices: &'d [Found]) -> Option<&'d Found> {
        let real = fs::canonicalize(path).ok()?;
        let number = fs::metadata(&real)
            .ok()
            .filter(|data| data.file_type().is_char_device())
            .map(|data| format!("{}:{}", major(data.rdev()), minor(data.rdev())));
        devices.iter().find(|device| {
            device.nodes.iter().any(|node| {
                // The same node under another name has the same number.
                let name = node.path.file_name().unwrap_or_default();
                let has_number = || {
                    let dev = self.root.join("sys/class/input").join(name).join("dev");
                    number.as_ref().is_some_and(|number| text(&dev).as_ref() == Some(number))
                };
                fs::canonicalize(&node.path).is_ok_and(|there| there == real) || has_number()
            })
        })
    }

    /// The links that udev keeps, by the name of the node that they lead to.
    fn links(&self) -> BTreeMap<String, Vec<PathBuf>> {
        let mut links: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        let folders = ["input/by-id", "input/by-path", "serial/by-id", "serial/by-path", "tilld"];
        for folder in folders {
            let folder = self.root.join("dev").join(folder);
            for name in names(&folder) {
                let link = folder.join(name);
                let Ok(target) = fs::read_link(&link) else { continue };
                if let Some(node) = target.file_name().and_then(|name| name.to_str()) {
                    links.entry(node.to_owned()).or_default().push(link);
                }
            }
        }
        links
    }

    /// A node of a class: the folder of the device that it belongs to, that
    /// device, and the node.
    fn node(&self, class: &str, name: &str) -> Option<(PathBuf, Found, Node)> {
        let link = self.root.join("sys/class").join(class).join(name);
        // Consoles and the like hang on nothing.
        fs::symlink_metadata(link.join("device")).ok()?;
        let at = fs::canonicalize(link).ok()?;
        let above = Above::of(&self.root.join("sys"), &at);
        let mut node = Node { interface: above.interface(), ..Node::default() };
        let mut found = Found::default();
        let own = match class {
            "input" if name.starts_with("event") => self.input(&at, &mut found, &mut node)?,
            "hidraw" => self.hidraw(&at, &above, &mut found, &mut node)?,
            "tty" => serial(name, &at, &mut node)?,
            _ => return None,
        };
        if at.starts_with(self.sys().join("devices/virtual")) && found.bus != Bus::Bluetooth {
            found.bus = Bus::Virtual;
        }
        let mut key = own;
        if let Some(usb) = &above.usb {
            found.bus = Bus::Usb;
            found.vendor = hex(&usb.join("idVendor")).unwrap_or(0);
            found.product = hex(&usb.join("idProduct")).unwrap_or(0);
            found.serial = text(&usb.join("serial"));
            let maker = text(&usb.join("manufacturer"));
            let product = text(&usb.join("product"));
            let name = [maker, product].into_iter().flatten().collect::<Vec<_>>().join(" ");
            if !name.is_empty() {
                found.name = name;
            }
            found.phys = above.phys().unwrap_or_default();
            key = usb.clone();
        } else if let Some(hid) = &above.hid {
            key = hid.clone();
        }
        if node.phys.is_empty() {
            node.phys = found.phys.clone();
        }
        if found.phys.is_empty() {
            found.phys = node.phys.split('/').next().unwrap_or_default().to_owned();
        }
        if found.name.is_empty() {
            found.name = node.name.clone();
        }
        if node.class == Class::HidPos {
            node.id_path = above.id_path();
        }
        Some((key, found, node))
    }

    fn sys(&self) -> PathBuf {
        // As the paths below it are written once their links are followed.
        fs::canonicalize(self.root.join("sys")).unwrap_or_else(|_| self.root.join("sys"))
    }

    fn input(&self, at: &Path, found: &mut Found, node: &mut Node) -> Option<PathBuf> {
        let device = fs::canonicalize(at.join("device")).ok()?;
        if !device.starts_with(self.sys()) {
            return None;
        }
        let of = |name: &str| text(&device.join(name)).unwrap_or_default();
        (node.name, node.phys, node.uniq) = (of("name"), of("phys"), of("uniq"));
        found.bus = match hex(&device.join("id/bustype")).unwrap_or(0) {
            0x03 => Bus::Usb,
            0x05 => Bus::Bluetooth,
            0x11 => Bus::I8042,
            _ => Bus::Other,
        };
        found.vendor = hex(&device.join("id/vendor")).unwrap_or(0);
        found.product = hex(&device.join("id/product")).unwrap_or(0);
        let bits = |name: &str| Bits::read(&of(&format!("capabilities/{name}")));
        node.class = input_class(&bits("key"), &bits("rel"), &bits("abs"));
        Some(device)
    }

    fn hidraw(
        &self,
        at: &Path,
        above: &Above,
        found: &mut Found,
        node: &mut Node,
    ) -> Option<PathBuf> {
        let device = fs::canonicalize(at.join("device")).ok()?;
        if !device.starts_with(self.sys()) {
            return None;
        }
        let uevent = above.hid.as_ref().and_then(|hid| text_of_lines(&hid.join("uevent")))?;
        let of = |name: &str| {
            let line = uevent.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().to_owned()
        };
        (node.name, node.phys, node.uniq) = (of("HID_NAME"), of("HID_PHYS"), of("HID_UNIQ"));
        // Bus, vendor and product, in hex.
        let id = of("HID_ID");
        let mut id = id.split(':').map(|part| u32::from_str_radix(part, 16).unwrap_or(0));
        let mut next = || id.next().and_then(|number| u16::try_from(number).ok()).unwrap_or(0);
        found.bus = match next() {
            0x03 => Bus::Usb,
            0x05 => Bus::Bluetooth,
            _ => Bus::Other,
        };
        (found.vendor, found.product) = (next(), next());
        let descriptor = bytes(&device.join("report_descriptor")).unwrap_or_default();
        if Layout::read(&descriptor).is_ok() {
            node.class = Class::HidPos;
        }
        Some(device)
    }
}

/// A serial line. Most names in the class are no lines: consoles, terminals of
/// windows, ports that the chip does not have.
fn serial(name: &str, at: &Path, node: &mut Node) -> Option<PathBuf> {
    let device = fs::canonicalize(at.join("device")).ok()?;
    let is_absent = name.starts_with("ttyS") && text(&at.join("type")).as_deref() == Some("0");
    if is_absent {
        return None;
    }
    name.clone_into(&mut node.name);
    node.class = Class::Serial;
    Some(device)
}

/// The keys of a node by its bits. Buttons of mice and joysticks are no keys.
fn input_class(key: &Bits, rel: &Bits, abs: &Bits) -> Class {
    const BUTTONS_FROM: usize = 0x100;
    const ESC: usize = 1;
    const ENTER: usize = 28;
    // The three rows of letters, as the keys lie.
    let mut letters = (16..=25).chain(30..=38).chain(44..=50);
    // The axes X and Y have the same numbers in both; scroll wheels and the
    // volume of a keyboard have others.
    let pointer = (0..2).any(|axis| rel.has(axis) || abs.has(axis));
    if (0..BUTTONS_FROM).any(|code| key.has(code)) {
        let full = letters.all(|code| key.has(code)) && key.has(ENTER) && key.has(ESC);
        Class::Keys(Keys { enter: key.has(ENTER), full, pointer })
    } else if pointer {
        Class::Pointer
    } else {
        Class::Other
    }
}

/// Bits as `/sys` writes them: words in hex, the highest first.
struct Bits(Vec<u64>);

impl Bits {
    fn read(text: &str) -> Self {
        let words = text.split_ascii_whitespace().rev();
        Self(words.map(|word| u64::from_str_radix(word, 16).unwrap_or(0)).collect())
    }

    fn has(&self, bit: usize) -> bool {
        // The kernel writes words as long as those of the program that reads.
        let word = usize::try_from(usize::BITS).unwrap_or(64);
        self.0.get(bit / word).is_some_and(|bits| (bits >> (bit % word)) & 1 == 1)
    }
}

/// What a node hangs on.
struct Above {
    /// The folders above it, the nearest first.
    folders: Vec<PathBuf>,
    usb: Option<PathBuf>,
    usb_interface: Option<PathBuf>,
    hid: Option<PathBuf>,
}

impl Above {
    fn of(sys: &Path, at: &Path) -> Self {
        let sys = fs::canonicalize(sys).unwrap_or_else(|_| sys.to_owned());
        let folders: Vec<PathBuf> = at
            .ancestors()
            .skip(1)
            .take_while(|above| above.starts_with(&sys) && *above != sys)
            .map(Path::to_owned)
            .collect();
        let with = |file: &str| folders.iter().find(|above| above.join(file).is_file()).cloned();
        let is_hid = |above: &&PathBuf| {
            let lines = text_of_lines(&above.join("uevent")).unwrap_or_default();
            lines.iter().any(|line| line.starts_with("HID_ID="))
        };
        Self {
            usb: with("idVendor"),
            usb_interface: with("bInterfaceNumber"),
            hid: folders.iter().find(is_hid).cloned(),
            folders,
        }
    }

    fn interface(&self) -> Option<u8> {
        let number = hex(&self.usb_interface.as_ref()?.join("bInterfaceNumber"))?;
        u8::try_from(number).ok()
    }

    /// The controller of the bus, which is above the bus's root hub.
    fn controller(&self) -> Option<usize> {
        let is_bus = |folder: &PathBuf| {
            let number = file_name(folder).and_then(|name| name.strip_prefix("usb"));
            number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        };
        Some(self.folders.iter().position(is_bus)? + 1)
    }

    /// As the kernel's drivers for keyboards write it: `usb-0000:00:14.0-2`.
    fn phys(&self) -> Option<String> {
        let controller = file_name(self.folders.get(self.controller()?)?)?;
        let port = text(&self.usb.as_ref()?.join("devpath"))?;
        Some(format!("usb-{}-{port}", shown(controller)))
    }

    /// As udev writes it in the links of other nodes:
    /// `pci-0000:00:14.0-usb-0:2:1.0`.
    fn id_path(&self) -> Option<String> {
        let (_, port) = file_name(self.usb_interface.as_ref()?)?.split_once('-')?;
        let mut path = format!("usb-0:{}", shown(port));
        let mut last = String::new();
        for folder in self.folders.get(self.controller()?..)? {
            let subsystem = fs::read_link(folder.join("subsystem")).unwrap_or_default();
            let subsystem = file_name(&subsystem).unwrap_or_default();
            // Of a row of bridges the nearest names the place.
            if matches!(subsystem, "pci" | "platform") && subsystem != last {
                path = format!("{subsystem}-{}-{path}", shown(file_name(folder)?));
            }
            subsystem.clone_into(&mut last);
        }
        Some(path)
    }
}

fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(NODES_MAX);
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn bytes(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The one line of a file, fit to be shown; none when it is empty.
fn text(path: &Path) -> Option<String> {
    let bytes = bytes(path)?;
    Some(shown(String::from_utf8_lossy(&bytes).trim())).filter(|text| !text.is_empty())
}

fn text_of_lines(path: &Path) -> Option<Vec<String>> {
    let bytes = bytes(path)?;
    Some(String::from_utf8_lossy(&bytes).lines().map(|line| shown(line.trim())).collect())
}

fn hex(path: &Path) -> Option<u16> {
    u16::from_str_radix(&text(path)?, 16).ok()
}

/// What a device calls itself goes to terminals and logs: nothing in it may
/// steer those, or be as long as it likes.
fn shown(text: &str) -> String {
    const LENGTH_MAX: usize = 255;
    let plain = |c: char| {
        let is_plain = matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1;
        if is_plain { c } else { '\u{fffd}' }
    };
    text.chars().take(LENGTH_MAX).map(plain).collect()
}
