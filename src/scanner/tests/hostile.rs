//! What devices say of themselves may be anything.

use std::fs;
use std::os::unix::fs::symlink;

use crate::scanner::find::sysfs::{System, resolve};
use crate::scanner::settings::{Identity, Kind, Place, ScannerSettings};
use crate::scanner::tests::fake_box::FakeBox;

const INPUT: &str =
    "sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/0003:0C2E:0B61.0000/input/input5";
const USB: &str = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-2";

fn scanner() -> FakeBox {
    FakeBox::new("1-2 0c2e:0b61 Honeywell,1900 kbd=event5 pos=hidraw0 acm=ttyACM0")
}

#[test]
fn names_cannot_steer_a_terminal() {
    let fake = scanner();
    for (bytes, expected) in [
        (
            &b"\x1b[2J\xff\xfe\0\nNext line\r"[..],
            "\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}\u{fffd}Next line",
        ),
        ("\u{202e}txet\u{7f}".as_bytes(), "\u{fffd}txet\u{fffd}"),
        ("扫码枪 \"1900\"".as_bytes(), "扫码枪 \"1900\""),
    ] {
        fs::write(fake.root().join(USB).join("product"), bytes).expect("a file");
        let devices = System::below(fake.root()).devices();
        assert_eq!(devices[0].name, format!("Honeywell {expected}"));
    }
    fs::write(fake.root().join(USB).join("product"), "x".repeat(100_000)).expect("a file");
    let devices = System::below(fake.root()).devices();
    assert_eq!(devices[0].name.len(), "Honeywell ".len() + 255);
}

/// Each file is missing, empty, nonsense, huge or a folder in turn: nothing
/// panics, and what is left of the device is still found by its numbers.
#[test]
fn files_may_be_missing_or_nonsense() {
    let files = [
        format!("{USB}/idVendor"),
        format!("{USB}/devpath"),
        format!("{USB}/manufacturer"),
        format!("{USB}/1-2:1.0/bInterfaceNumber"),
        format!("{USB}/1-2:1.0/0003:0C2E:0B61.0000/uevent"),
        format!("{USB}/1-2:1.1/0003:0C2E:0B61.0001/uevent"),
        format!("{USB}/1-2:1.1/0003:0C2E:0B61.0001/report_descriptor"),
        format!("{INPUT}/name"),
        format!("{INPUT}/id/bustype"),
        format!("{INPUT}/id/vendor"),
        format!("{INPUT}/capabilities/key"),
        format!("{INPUT}/capabilities/rel"),
    ];
    let hostile: [Option<&[u8]>; 6] = [
        None,
        Some(b""),
        Some(b"\xff\xfe\xfd"),
        Some(b"-1 ffffffffffffffffffffffffffffffffffff zz ::::"),
        Some(&[b'f'; 50_000]),
        Some(b"HID_ID=0003:FFFFFFFF:::::\nHID_ID\n=\n"),
    ];
    for file in &files {
        for bytes in hostile {
            let fake = scanner();
            let path = fake.root().join(file);
            fs::remove_file(&path).expect("there");
            if let Some(bytes) = bytes {
                fs::write(&path, bytes).expect("a file");
            }
            check_all_ways(&fake);
        }
        let fake = scanner();
        fs::remove_file(fake.root().join(file)).expect("there");
        fs::create_dir(fake.root().join(file)).expect("a folder");
        check_all_ways(&fake);
    }
}

fn check_all_ways(fake: &FakeBox) {
    let system = System::below(fake.root());
    for kind in [Kind::Evdev, Kind::Hidraw, Kind::Serial(Default::default())] {
        let identity = Identity { vendor: 0x0c2e, product: 0x0b61, ..Identity::default() };
        let settings = ScannerSettings::new("a", kind, Place::Identity(identity));
        // Found or not, it is told in one line.
        match resolve(&system, &settings) {
            Ok(nodes) => assert!(!nodes.is_empty()),
            Err(shut) => assert!(shut.why.len() < 1000 && !shut.why.contains('\n'), "{shut}"),
        }
        let path = fake.root().join("dev/input/event5");
        let by_path = ScannerSettings::new("a", kind, Place::Device(path));
        assert!(
            resolve(&system, &by_path).is_ok_and(|nodes| !nodes.is_empty()) || kind == Kind::Evdev
        );
    }
}

#[test]
fn links_that_lead_elsewhere_lead_nowhere() {
    let fake = scanner();
    let class = fake.root().join("sys/class/input");
    for (name, target) in [
        ("event7", "/"),
        ("event8", "/etc"),
        ("event9", "event9"),
        ("event10", "../../../../../../../.."),
        ("event11", "nowhere"),
    ] {
        symlink(target, class.join(name)).expect("a link");
    }
    fs::write(class.join("event12"), "a file").expect("a file");
    let by_id = fake.root().join("dev/input/by-id");
    symlink("/etc/passwd", by_id.join("usb-x")).expect("a link");
    symlink("..", by_id.join("usb-y")).expect("a link");
    let devices = System::below(fake.root()).devices();
    assert_eq!(devices.len(), 1, "{devices:?}");
    assert_eq!(devices[0].nodes.len(), 3);
}

#[test]
fn a_box_without_sys_has_no_devices() {
    let empty = tempfile::tempdir().expect("a folder");
    assert_eq!(System::below(empty.path()).devices(), []);
    assert_eq!(System::below(&empty.path().join("none")).devices(), []);
}
