//! Which of the devices is meant, and whether it may be taken.
//!
//! A keyboard that is grabbed types nowhere else. So a keyboard is refused
//! unless it can only be a scanner, or the configuration says `force = true`;
//! and where two devices would do, none is taken.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::scanner::find::found::{Bus, Class, Found, Keys, Node};
use crate::scanner::settings::{Identity, Kind};
use crate::scanner::shut::Shut;

/// More nodes with keys than any scanner has.
const KEY_NODES_MAX: usize = 4;
/// As many others are named when the one that is looked for is not there.
const OTHERS_MAX: usize = 3;

/// The nodes of the one device with these marks.
pub(in crate::scanner) fn choose(
    devices: &[Found],
    identity: &Identity,
    kind: Kind,
    force: bool,
) -> Result<Vec<PathBuf>, Shut> {
    let alike: Vec<&Found> = devices.iter().filter(|found| has_numbers(found, identity)).collect();
    let marked: Vec<&Found> =
        alike.iter().copied().filter(|found| other_mark(found, identity).is_none()).collect();
    let usable: Vec<&Found> =
        marked.iter().copied().filter(|found| found.has(|class| is_read_as(class, kind))).collect();
    match (usable.as_slice(), marked.first()) {
        ([device], _) => match kind {
            Kind::Evdev => keyboard(devices, device, force),
            Kind::Serial(_) | Kind::Hidraw => Ok(only_node(device, identity, kind)?),
        },
        ([], Some(device)) => Err(in_another_mode(device, kind).into()),
        ([], None) => Err(Shut { why: not_there(devices, &alike, identity, kind), absent: true }),
        (twins, _) => Err(twins_in_words(twins, identity).into()),
    }
}

/// The nodes with keys of a keyboard that may be taken.
pub(in crate::scanner) fn keyboard(
    devices: &[Found],
    device: &Found,
    force: bool,
) -> Result<Vec<PathBuf>, Shut> {
    if let Some(why) = refusal(devices, device).filter(|_| !force) {
        let force = "if it is a scanner all the same write force = true";
        return Err(format!("{device} {why}; {force}").into());
    }
    Ok(device.key_nodes().map(|node| node.path.clone()).collect())
}

/// Why a keyboard is not taken unless it is forced. Prints as words that follow
/// its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is the keyboard of the box's own port.
    OfTheBox,
    /// A program made it.
    Virtual,
    /// It moves a pointer as well.
    Pointer,
    /// It has so many nodes with keys, more than a scanner has.
    ManyNodes(usize),
    /// Nobody could type on this box any more.
    OnlyKeyboard,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfTheBox => f.write_str("is the box's own keyboard, not a scanner"),
            Self::Virtual => f.write_str("is a keyboard that a program made"),
            Self::Pointer => f.write_str("moves a pointer, so it is a mouse or a receiver of one"),
            Self::ManyNodes(nodes) => {
                write!(f, "has {nodes} nodes with keys, more than a scanner has")
            }
            Self::OnlyKeyboard => f.write_str(
                "is the only keyboard of this box, and whoever needs a keyboard would have none",
            ),
        }
    }
}

/// Whether and why a keyboard is not taken unless it is forced.
#[must_use]
pub(in crate::scanner) fn refusal(devices: &[Found], device: &Found) -> Option<Refusal> {
    let is_only = || {
        let mut others = devices.iter().filter(|other| !std::ptr::eq(*other, device));
        // Nobody works with a program's keyboard, or with another scanner.
        !others.any(|other| {
            other.is_full_keyboard() && other.bus != Bus::Virtual && !other.is_of_scanner_maker()
        })
    };
    let nodes = device.key_nodes().count();
    if device.bus == Bus::I8042 {
        Some(Refusal::OfTheBox)
    } else if device.bus == Bus::Virtual {
        Some(Refusal::Virtual)
    } else if device.has_pointer() {
        Some(Refusal::Pointer)
    } else if nodes > KEY_NODES_MAX {
        Some(Refusal::ManyNodes(nodes))
    } else if device.is_full_keyboard() && !device.is_of_scanner_maker() && is_only() {
        Some(Refusal::OnlyKeyboard)
    } else {
        None
    }
}

/// A node that is read this way.
pub(in crate::scanner) fn is_read_as(class: Class, kind: Kind) -> bool {
    match (class, kind) {
        // A node without Enter alone is a set of volume keys, or a power button.
        (Class::Keys(Keys { enter, .. }), Kind::Evdev) => enter,
        (Class::HidPos, Kind::Hidraw) | (Class::Serial, Kind::Serial(_)) => true,
        (_, Kind::Evdev | Kind::Hidraw | Kind::Serial(_)) => false,
    }
}

/// The device has all these marks.
pub(in crate::scanner) fn is(found: &Found, identity: &Identity) -> bool {
    has_numbers(found, identity) && other_mark(found, identity).is_none()
}

fn has_numbers(found: &Found, identity: &Identity) -> bool {
    found.vendor == identity.vendor && found.product == identity.product
}

/// A mark that is given and is not this device's, with what it has in its place.
fn other_mark(found: &Found, identity: &Identity) -> Option<(&'static str, String)> {
    let marks = identity.marks();
    let (name, _) = marks.iter().find(|(name, mark)| {
        mark.is_some_and(|mark| !found.nodes.iter().any(|node| has(found, node, name, mark)))
    })?;
    Some((name, mark_of(found, name).unwrap_or_default()))
}

/// What a node has for a mark.
pub(in crate::scanner) fn own_marks(found: &Found, node: &Node, mark: &str) -> Vec<String> {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    match mark {
        "serial" => found.serial.iter().cloned().collect(),
        "by_id" => node.names_in("by-id").map(str::to_owned).collect(),
        "by_path" => {
            let links = node.names_in("by-path").map(str::to_owned);
            links.chain(node.id_path.clone()).collect()
        }
        "phys" => given(&node.phys).into_iter().collect(),
        "uniq" => given(&node.uniq).into_iter().collect(),
        "name" => given(&node.name).into_iter().chain(given(&found.name)).collect(),
        _ => Vec::new(),
    }
}

fn has(found: &Found, node: &Node, mark: &str, value: &str) -> bool {
    own_marks(found, node, mark).iter().any(|own| match mark {
        // The beginning of a place is a place, of which others are part: of
        // port 2 are the interfaces 2:1.0 and 2/input0, not port 2.1 or 20.
        "phys" => begins(own, value, "/"),
        "by_path" => begins(own, value, ":-"),
        _ => own == value,
    })
}

fn begins(own: &str, value: &str, ends: &str) -> bool {
    own.strip_prefix(value).is_some_and(|rest| {
        rest.is_empty()
            || rest.starts_with(|c| ends.contains(c))
            || value.ends_with(|c| ends.contains(c))
    })
}

/// The node of a device that has one way of this kind.
fn only_node(device: &Found, identity: &Identity, kind: Kind) -> Result<Vec<PathBuf>, String> {
    let nodes: Vec<&Node> =
        device.nodes.iter().filter(|node| is_read_as(node.class, kind)).collect();
    // A mark may be that of one of them only.
    let is_meant = |node: &&Node| {
        let mut marks = identity.marks().into_iter();
        marks.all(|(name, mark)| mark.is_none_or(|mark| has(device, node, name, mark)))
    };
    let meant: Vec<&Node> = nodes.iter().copied().filter(is_meant).collect();
    match (nodes.as_slice(), meant.as_slice()) {
        ([node], _) | (_, [node]) => Ok(vec![node.path.clone()]),
        _ => {
            let places: Vec<String> = nodes
                .iter()
                .flat_map(|node| own_marks(device, node, "by_path").into_iter().next())
                .map(|path| format!("by_path = \"{path}\""))
                .collect();
            Err(format!(
                "{device} has {} ways to be read; write one of {}",
                nodes.len(),
                places.join(", ")
            ))
        }
    }
}

fn what(kind: Kind) -> &'static str {
    match kind {
        Kind::Serial(_) => "serial device",
        Kind::Evdev => "keyboard",
        Kind::Hidraw => "HID-POS scanner",
    }
}

/// It is there, but works differently.
fn in_another_mode(device: &Found, kind: Kind) -> String {
    let is = [
        ("evdev", Kind::Evdev),
        ("hidraw", Kind::Hidraw),
        ("serial", Kind::Serial(crate::scanner::settings::SerialSettings::default())),
    ]
    .into_iter()
    .filter(|(_, other)| device.has(|class| is_read_as(class, *other)))
    .map(|(word, other)| format!("a {} (kind = \"{word}\")", what(other)))
    .collect::<Vec<_>>();
    let is = if is.is_empty() { "nothing that can be read".to_owned() } else { is.join(" and ") };
    format!(
        "{device} is there and is no {}, but {is}; the scanner's manual has a code to change that",
        what(kind)
    )
}

/// It is not there; what is instead?
fn not_there(devices: &[Found], alike: &[&Found], identity: &Identity, kind: Kind) -> String {
    let missing = format!("no {} {identity} is plugged in", what(kind));
    if let Some((device, (mark, own))) =
        alike.iter().find_map(|found| Some((found, other_mark(found, identity)?)))
    {
        let own = if own.is_empty() { format!("no {mark}") } else { format!("{mark} {own}") };
        return format!("{missing}; {device} is, with {own}");
    }
    // Keyboards for people are not what anybody looks for here.
    let is_candidate = |found: &&Found| {
        // Ports of the box itself have no numbers to be known by.
        found.vendor != 0
            && found.has(|class| is_read_as(class, kind))
            && (kind != Kind::Evdev || refusal(devices, found).is_none())
    };
    let others: Vec<String> =
        devices.iter().filter(is_candidate).take(OTHERS_MAX).map(ToString::to_string).collect();
    if others.is_empty() { missing } else { format!("{missing}; there is {}", others.join(", ")) }
}

fn twins_in_words(twins: &[&Found], identity: &Identity) -> String {
    let mark = telling(twins);
    let each: Vec<String> = twins
        .iter()
        .map(|twin| format!("{mark} = \"{}\"", mark_of(twin, mark).unwrap_or_default()))
        .collect();
    let (count, each) = (twins.len(), each.join(" or "));
    format!("{count} devices are {identity}; write for the one that is meant {each}")
}

/// The mark that tells equal devices apart: what each has of its own, or else
/// the socket.
pub(in crate::scanner) fn telling(twins: &[&Found]) -> &'static str {
    let tells = |mark: &&&str| {
        let own: BTreeSet<String> = twins.iter().filter_map(|twin| mark_of(twin, mark)).collect();
        own.len() == twins.len()
    };
    ["serial", "uniq", "phys"].iter().find(tells).unwrap_or(&"phys")
}

/// What a device has for a mark.
pub(in crate::scanner) fn mark_of(device: &Found, mark: &str) -> Option<String> {
    if mark == "phys" && !device.phys.is_empty() {
        // Without the part behind it: all interfaces of this device.
        return Some(device.phys.clone());
    }
    device.nodes.iter().flat_map(|node| own_marks(device, node, mark)).next()
}
