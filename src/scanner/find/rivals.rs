//! Who else reads a scanner's device. Two readers of one line share its bytes:
//! each gets pieces, and neither a code.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::scanner::find::sysfs;
use crate::scanner::find::sysfs::System;
use crate::scanner::settings::{Kind, ScannerSettings};

/// The daemon, as the kernel names its process.
const OURS: &str = "tilld";

/// A node, whatever its names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Number(u64),
    File(PathBuf),
}

/// What is wrong with the devices of these scanners as things are now, in words
/// for a technician: one that two of them mean, and one that another program has
/// open, as far as this user may see that.
#[must_use]
pub fn rivals(system: &System, scanners: &[ScannerSettings]) -> Vec<String> {
    let mut said = Vec::new();
    let mut owners: BTreeMap<Node, &ScannerSettings> = BTreeMap::new();
    // The desktop reads keyboards as well, and stops when they are taken.
    let mut lines: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for scanner in scanners {
        let paths = sysfs::resolve(system, scanner).unwrap_or_default();
        for (node, path) in paths.iter().filter_map(|path| node(path)) {
            if let Some(owner) = owners.get(&node).filter(|owner| owner.id != scanner.id) {
                said.push(format!(
                    "scanner {:?} ({}) is the same device as scanner {:?} ({}); take one of the two out",
                    scanner.id, scanner.place, owner.id, owner.place
                ));
                break;
            }
            owners.insert(node, scanner);
            if matches!(scanner.kind, Kind::Serial(_) | Kind::Hidraw) {
                lines.insert(path, &scanner.id);
            }
        }
    }
    if !lines.is_empty() {
        said.extend(other_readers(&system.processes(), &lines));
    }
    said
}

fn node(path: &Path) -> Option<(Node, PathBuf)> {
    let path = fs::canonicalize(path).ok()?;
    let data = fs::metadata(&path).ok()?;
    let is_device = data.file_type().is_char_device();
    let node = if is_device { Node::Number(data.rdev()) } else { Node::File(path.clone()) };
    Some((node, path))
}

fn other_readers(processes: &Path, lines: &BTreeMap<PathBuf, &str>) -> Vec<String> {
    let mut said = Vec::new();
    for process in fs::read_dir(processes).into_iter().flatten().flatten() {
        let number = process.file_name();
        let Some(number) = number.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        let name = name.trim();
        if number == std::process::id() || name == OURS {
            continue;
        }
        let open = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        let mut open: Vec<_> = open
            .filter_map(|open| lines.get_key_value(&fs::read_link(open.path()).ok()?))
            .collect();
        open.dedup();
        for (path, id) in open {
            said.push(format!(
                "scanner {id:?}: another program reads {} as well, {} (process {number}); stop it, it takes parts of the codes",
                path.display(),
                name.escape_debug()
            ));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::scanner::settings::{Place, SerialSettings};

    fn serial(id: &str, path: &Path) -> ScannerSettings {
        let place = Place::Device(path.to_owned());
        ScannerSettings::new(id, Kind::Serial(SerialSettings::default()), place)
    }

    #[test]
    fn a_port_under_two_names_and_a_second_reader_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = fs::canonicalize(folder.path()).expect("a folder");
        let [one, other, alias, gone] =
            ["ttyS1", "ttyS2", "by-id-scanner", "gone"].map(|name| root.join(name));
        fs::write(&one, "").expect("a port");
        fs::write(&other, "").expect("a port");
        symlink("ttyS1", &alias).expect("another name");
        let system = System::below(&root);
        let said = |scanners: &[ScannerSettings]| rivals(&system, scanners);
        assert_eq!(said(&[serial("a", &one), serial("b", &other), serial("c", &gone)]), [""; 0]);
        let two = [serial("a", &one), serial("b", &other), serial("c", &alias)];
        let [twin] = said(&two).try_into().expect("one");
        for word in ["\"c\"", "by-id-scanner", "\"a\"", "ttyS1"] {
            assert!(twin.contains(word), "{twin} without {word}");
        }

        // Some program has the port open, twice; the daemon has, too.
        for (process, name) in [("812", "gpsd\n"), ("813", "tilld\n"), ("self", "x\n")] {
            let process = root.join("proc").join(process);
            fs::create_dir_all(process.join("fd")).expect("a process");
            fs::write(process.join("comm"), name).expect("its name");
            for open in ["0", "7"] {
                symlink(&one, process.join("fd").join(open)).expect("an open file");
            }
        }
        let [reader] = said(&[serial("a", &alias)]).try_into().expect("one");
        for word in ["\"a\"", "ttyS1", "gpsd", "812"] {
            assert!(reader.contains(word), "{reader} without {word}");
        }
        assert_eq!(said(&[serial("b", &other)]), [""; 0]);
        // A keyboard is read by the desktop, which is no fault.
        let keys = ScannerSettings { kind: Kind::Evdev, ..serial("a", &one) };
        assert_eq!(said(&[keys]), [""; 0]);
    }

    #[test]
    fn a_device_is_the_same_under_another_node() {
        let name = |path| node(Path::new(path)).map(|(node, _)| node);
        assert!(matches!(name("/dev/null"), Some(Node::Number(_))));
        assert_ne!(name("/dev/null"), name("/dev/zero"));
        assert_eq!(name("/dev/null"), name("/proc/self/root/dev/null"));
    }
}
