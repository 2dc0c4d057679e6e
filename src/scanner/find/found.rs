//! The devices of a box, as the kernel describes them.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::scanner::makers::SCANNER_MAKERS;

/// A device that was plugged in once, with all the ways it is reached by: one
/// scanner may be a keyboard, a HID-POS device and a serial line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How it is connected.
    pub bus: Bus,
    /// Who made it; 0 when nobody says.
    pub vendor: u16,
    /// What it is; 0 when nobody says.
    pub product: u16,
    /// What it calls itself.
    pub name: String,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its place on the bus, without the part behind it: `usb-0000:00:14.0-2`.
    pub phys: String,
    /// The ways it is reached by, those that type first.
    pub nodes: Vec<Node>,
}

/// How a device is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bus {
    /// USB.
    Usb,
    /// Bluetooth.
    Bluetooth,
    /// The box's own keyboard port.
    I8042,
    /// It is a program.
    Virtual,
    /// Anything else.
    #[default]
    Other,
}

/// One device file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its path, which changes with plugging.
    pub path: PathBuf,
    /// What comes through it.
    pub class: Class,
    /// Its name at the kernel.
    pub name: String,
    /// Its place on the bus.
    pub phys: String,
    /// Its unique number at the kernel.
    pub uniq: String,
    /// Which part of a USB device it is.
    pub interface: Option<u8>,
    /// The links that udev keeps to it.
    pub links: Vec<PathBuf>,
    /// Its place as udev writes it, for a node that udev keeps no link to.
    pub id_path: Option<String>,
}

/// What comes through a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// Keys.
    Keys(Keys),
    /// The movements of a mouse or a touch screen, and no keys.
    Pointer,
    /// Codes in HID-POS reports.
    HidPos,
    /// Bytes of a serial line.
    Serial,
    /// Nothing that a scanner sends.
    #[default]
    Other,
}

/// What is known of a node with keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// It has the key that ends a code.
    pub enter: bool,
    /// It has every letter, Enter and Escape: somebody could work with it.
    pub full: bool,
    /// It also moves a pointer.
    pub pointer: bool,
}

impl Found {
    /// The nodes that type, the one with Enter first.
    pub fn key_nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| matches!(node.class, Class::Keys(_)))
    }

    /// It has a node of this class, whatever its keys.
    pub(in crate::scanner) fn has(&self, class: impl Fn(Class) -> bool) -> bool {
        self.nodes.iter().any(|node| class(node.class))
    }

    /// Somebody could work with it as a keyboard.
    pub(in crate::scanner) fn is_full_keyboard(&self) -> bool {
        self.has(|class| matches!(class, Class::Keys(Keys { full: true, .. })))
    }

    /// Something of it moves a pointer.
    pub(in crate::scanner) fn has_pointer(&self) -> bool {
        self.has(|class| matches!(class, Class::Pointer | Class::Keys(Keys { pointer: true, .. })))
    }

    /// It is of a maker of scanners, who makes nothing that people type on. The
    /// vendors of udev/70-tilld.rules.
    #[must_use]
    pub fn is_of_scanner_maker(&self) -> bool {
        SCANNER_MAKERS.contains(&self.vendor)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.product)?;
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        Ok(())
    }
}

impl Node {
    /// The names that udev gave it in folders of this name: `by-id`, `by-path`.
    pub(in crate::scanner) fn names_in(&self, folder: &str) -> impl Iterator<Item = &str> {
        self.links
            .iter()
            .filter(move |link| {
                link.parent().and_then(Path::file_name).is_some_and(|f| f == folder)
            })
            .filter_map(|link| link.file_name()?.to_str())
    }

    /// The path that stays the same, if there is one.
    #[must_use]
    pub fn lasting_path(&self) -> &Path {
        let of = |folder: &str| {
            let is_in = |link: &&PathBuf| {
                link.parent().and_then(Path::file_name).is_some_and(|name| name == folder)
            };
            self.links.iter().find(is_in)
        };
        of("by-id").or_else(|| of("tilld")).or_else(|| of("by-path")).unwrap_or(&self.path)
    }
}
