//! What is plugged in, with and without the daemon.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::CANARY;
use crate::fake::Fake;
use crate::fake_box::FakeBox;
use crate::run::{Ran, end, golden, interrupt, shown, start, till};
use crate::says::say;

const SHOP: &str = "
    i8042 -         AT_keyboard                  kbd=event0
    1-2   0c2e:0b81 Honeywell,Voyager serial=18A kbd=event5 media=event6 pos=hidraw1 acm=ttyACM0
    1-3   1a86:7523 QinHeng,USB_Serial           usb=ttyUSB0
    ";

fn shop() -> Fake {
    Fake::new(|_| {
        say(&json!({
            "version": "0.0.9",
            "scanners": [
                {"id": "lane-1", "kind": "hidraw", "device": "0c2e:0b81 serial 18A", "present": true},
                {"id": "lane-3", "kind": "serial", "device": "/dev/ttyS0", "present": false},
            ],
        }))
    })
}

fn ran(fake_box: &FakeBox, fake: &Fake, arguments: &[&str]) -> Ran {
    let root = fake_box.root().display().to_string();
    let arguments = [&["scanners"], arguments, &["--sysroot", &root]].concat();
    let mut ran = till(&fake.socket(), &arguments);
    for text in [&mut ran.out, &mut ran.err] {
        *text = text.replace(&root, "");
    }
    ran
}

#[test]
fn what_is_plugged_in_is_listed_with_what_it_would_be() {
    let fake_box = FakeBox::new(SHOP);
    let mut text = String::new();
    for lang in ["zh", "en"] {
        let fake = shop();
        let ran = ran(&fake_box, &fake, &["--lang", lang]);
        assert_eq!(ran.code, 0);
        text.push_str(&shown(&["scanners", "--lang", lang], &ran, &fake.socket()));
    }
    golden("scanners-plugged.txt", &text);

    let view = ran(&fake_box, &shop(), &["--json"]).json();
    // What the daemon tells is still there.
    assert_eq!(view["scanners"][0]["id"], "lane-1");
    let ways = view["devices"].as_array().expect("a list");
    let shown: Vec<_> = ways
        .iter()
        .map(|way| {
            let text = |name: &str| way[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", text("kind"), text("product"), text("scanner"))
        })
        .collect();
    assert_eq!(
        shown,
        ["evdev 0b81 -", "hidraw 0b81 lane-1", "serial 0b81 -", "serial 7523 -", "evdev 0001 -"]
    );
    assert_eq!(
        ways[0]["toml"].as_str().map(str::lines).expect("text").nth(1),
        Some("id = \"lane-2\"")
    );
    assert_eq!(ways[4]["refused"], "is the box's own keyboard, not a scanner");
    assert_eq!((&ways[1]["present"], &ways[1]["may_open"]), (&json!(true), &json!(true)));
}

#[test]
fn it_works_without_the_daemon() {
    let fake_box = FakeBox::new("1-2 0c2e:0b61 Honeywell,1900 pos=hidraw1");
    let mut text = String::new();
    for lang in ["zh", "en"] {
        let fake = Fake::absent();
        let ran = ran(&fake_box, &fake, &["--lang", lang]);
        assert_eq!(ran.code, 0);
        text.push_str(&shown(&["scanners", "--lang", lang], &ran, &fake.socket()));
    }
    golden("scanners-absent.txt", &text);
    let view = ran(&fake_box, &Fake::absent(), &["--json"]).json();
    assert_eq!(view["devices"][0]["kind"], "hidraw");
    assert!(view.get("scanners").is_none());
}

#[test]
fn who_may_not_open_a_device_is_told_so() {
    if nix::unistd::geteuid().is_root() {
        eprintln!("NOT RUN: root may open everything");
        return;
    }
    let fake_box = FakeBox::new("1-2 0c2e:0b61 Honeywell,1900 pos=hidraw1");
    let node = fake_box.root().join("dev/hidraw1");
    std::fs::set_permissions(node, std::fs::Permissions::from_mode(0o000)).expect("its mode");
    let view = ran(&fake_box, &Fake::absent(), &["--json"]).json();
    assert_eq!(view["devices"][0]["may_open"], false);
}

#[test]
fn learning_ends_when_nothing_is_scanned() {
    let fake_box = FakeBox::new("");
    for (arguments, fake) in [
        (["learn", "--timeout", "0"], shop as fn() -> Fake),
        (["learn", "--timeout", "0"], Fake::absent),
    ] {
        let plain = ran(&fake_box, &fake(), &arguments);
        assert_eq!((plain.code, plain.out.as_str()), (1, ""), "{plain:?}");
        assert!(plain.err.contains("No scan was heard"), "{plain:?}");
        let view = ran(&fake_box, &fake(), &[&arguments[..], &["--json"]].concat());
        assert_eq!((view.code, view.json()["code"].as_str()), (1, Some("no_scan")));
    }
    // Devices that are files can be seen and not be listened to.
    let fake_box = FakeBox::new(SHOP);
    let ran = ran(&fake_box, &Fake::absent(), &["learn", "--timeout", "0"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("No device could be opened"), "{ran:?}");
}

/// A serial scanner is a pty here; what it is, the files say.
#[test]
fn one_scan_finds_the_scanner() {
    let fake_box = FakeBox::new(
        "
        1-3 1a86:7523 QinHeng,USB_Serial usb=ttyUSB0
        1-4 1a86:7523 QinHeng,USB_Serial usb=ttyUSB1
        ",
    );
    let pty = nix::pty::openpty(None, None).expect("a pty");
    let name = nix::unistd::ttyname(&pty.slave).expect("its name");
    let node = fake_box.root().join("dev/ttyUSB1");
    std::fs::remove_file(&node).expect("there");
    std::os::unix::fs::symlink(name, &node).expect("a link");
    let root = fake_box.root().display().to_string();
    for json in [&[][..], &["--json"]] {
        let fake = Fake::absent();
        let arguments = [&["scanners", "learn", "--sysroot", &root], json].concat();
        let mut child = start(&fake.socket(), &arguments);
        // Until it listens nobody hears.
        while child.try_wait().expect("a child").is_none() {
            let code = format!("{CANARY}\r");
            nix::unistd::write(&pty.master, code.as_bytes()).expect("scanned");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let ran = end(child);
        assert_eq!(ran.code, 0, "{ran:?}");
        let said = format!("{}{}", ran.out, ran.err);
        assert!(!said.contains(CANARY) && said.contains("28**************94"), "{ran:?}");
        let toml = "[[scanner]]\nid = \"lane-1\"\nkind = \"serial\"\nvendor = \"1a86\"\nproduct = \"7523\"\nphys = \"usb-0000:00:14.0-4\"\n";
        if json.is_empty() {
            assert!(ran.out.starts_with(toml), "{ran:?}");
            assert!(ran.out.contains("\nSUBSYSTEM==\"tty\""), "{ran:?}");
        } else {
            assert_eq!(ran.json()["toml"], toml);
        }
    }
}

#[test]
fn learning_can_be_interrupted() {
    let fake_box = FakeBox::new("");
    let root = fake_box.root().display().to_string();
    let fake = Fake::absent();
    let mut child = start(&fake.socket(), &["scanners", "learn", "--sysroot", &root]);
    // Its first words are said when it listens.
    let mut first = [0; 1];
    let stderr = child.stderr.as_mut().expect("stderr");
    std::io::Read::read_exact(stderr, &mut first).expect("words");
    interrupt(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}
