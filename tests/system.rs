//! What a distribution installs: units, users, rules of udev.
//!
//! systemd's own tools judge the units where they are there. Where they are
//! not, the test says so loudly, and the rest of it still runs.

// A test that cannot set its scene should say so and end.
#![allow(clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs a tool; nothing when this box does not have it.
fn run(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        loudly(&format!("{program} is not on this box, so `{arguments:?}` did not run"));
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

/// Says what was left out also when the test passes, when the harness would
/// swallow what is printed.
fn loudly(text: &str) {
    writeln!(std::io::stderr(), "NOT CHECKED: {text}").expect("somebody listens");
}

/// The values of a key in a unit, in the order of the lines.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn systemd_accepts_the_units_and_finds_them_tight() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = folder.path().join("tilld.service");
    let socket = folder.path().join("tilld.socket");
    let port = folder.path().join("tilld-tcp.socket");
    // The program is not installed here; everything else is as shipped.
    let program = env!("CARGO_BIN_EXE_tilld");
    let unit = shipped("systemd/tilld.service").replace("/usr/bin/tilld", program);
    fs::write(&service, unit).expect("the service");
    fs::write(&socket, shipped("systemd/tilld.socket")).expect("the socket");
    fs::write(&port, shipped("systemd/tilld-tcp.socket")).expect("the port");
    let (service, socket) = (service.to_string_lossy(), socket.to_string_lossy());
    let port = port.to_string_lossy();
    if let Some((good, said)) = run("systemd-analyze", &["verify", "--man=no", &service, &port]) {
        assert!(good && said.trim().is_empty(), "{said}");
    }
    if let Some((good, said)) = run("systemd-analyze", &["verify", "--man=no", &service, &socket]) {
        assert!(good && said.trim().is_empty(), "{said}");
    }
    // 13 means 1.3.
    let security = ["security", "--offline=true", "--threshold=13", "--no-pager", &service];
    if let Some((good, said)) = run("systemd-analyze", &security) {
        assert!(good, "the unit is more exposed than 1.3:\n{said}");
    }
    // The same with the key encrypted, as the drop-in has it.
    let beside = folder.path().join("tilld.service.d");
    fs::create_dir(&beside).expect("a folder");
    fs::write(beside.join("encrypted-key.conf"), shipped("systemd/encrypted-key.conf"))
        .expect("the drop-in");
    if let Some((good, said)) = run("systemd-analyze", &["verify", "--man=no", &service, &socket]) {
        assert!(good && said.trim().is_empty(), "{said}");
    }
}

#[test]
fn systemd_accepts_the_users() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/tilld.sysusers");
    let path = path.to_string_lossy();
    if let Some((good, said)) = run("systemd-sysusers", &["--dry-run", &path]) {
        assert!(good, "{said}");
    }
    let users = shipped("systemd/tilld.sysusers");
    assert!(users.lines().any(|line| line.starts_with("u tilld ")));
    assert!(users.lines().any(|line| line.starts_with("g tilld-clients ")));
}

#[test]
fn the_units_agree_with_each_other_and_with_the_configuration() {
    let service = shipped("systemd/tilld.service");
    let socket = shipped("systemd/tilld.socket");
    let config = shipped("config/tilld.toml");
    let path = values(&socket, "ListenStream");
    assert_eq!(path, ["/run/tilld/tilld.sock"]);
    assert!(config.contains(&format!("socket = \"{}\"", path[0])));
    assert_eq!(values(&socket, "SocketGroup"), ["tilld-clients"]);
    assert_eq!(values(&socket, "SocketMode"), ["0660"]);
    assert_eq!(values(&socket, "DirectoryMode"), ["0755"]);
    assert!(
        values(&service, "RuntimeDirectory").is_empty(),
        "the socket would vanish from it whenever the service stops"
    );
    assert_eq!(
        values(&service, "LoadCredential"),
        [
            "alipay-app-key:/etc/tilld/credentials/alipay-app-key.pem",
            "alipay-app-key-beside:/etc/tilld/app_private_key.pem"
        ]
    );
    // Each of them may be missing; what tilld then sees is a word, and says more.
    for loaded in values(&service, "LoadCredential") {
        let name = loaded.split(':').next().expect("a name");
        assert!(values(&service, "SetCredential").contains(&format!("{name}:none").as_str()));
    }
    assert!(config.contains("private_key_file = \"/etc/tilld/credentials/alipay-app-key.pem\""));
    assert!(config.contains("path = \"/var/lib/tilld/journal.db\""));
    assert_eq!(values(&service, "StateDirectory"), ["tilld"]);
    assert_eq!(values(&service, "StateDirectoryMode"), ["0700"]);
    assert_eq!(values(&service, "Type"), ["notify"]);
    assert_eq!(values(&service, "RestartPreventExitStatus"), ["78"]);
    assert!(!values(&service, "WatchdogSec").is_empty());
}

#[test]
fn the_unit_bounds_what_the_daemon_takes_of_the_box() {
    let service = shipped("systemd/tilld.service");
    let mebibytes = |key: &str| -> u64 {
        let found = values(&service, key);
        let [one] = found[..] else { panic!("{key} is there {} times", found.len()) };
        let number = one.strip_suffix('M').and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("{key}={one}"))
    };
    // Slowed down long before it is ended.
    assert!(mebibytes("MemoryHigh") * 2 <= mebibytes("MemoryMax"));
    assert!(mebibytes("MemoryMax") <= 256, "a cashier box may have half a gigabyte");
    // Other programs first, but it can be ended.
    let adjust: i32 = values(&service, "OOMScoreAdjust").concat().parse().expect("a number");
    assert!((-999..0).contains(&adjust), "{adjust}");
    let files: u64 = values(&service, "LimitNOFILE").concat().parse().expect("a number");
    assert!(files >= 2 * 512, "{files} descriptors are too few for all registers");
    assert_eq!(values(&service, "SocketBindDeny"), ["any"]);
}

#[test]
fn the_port_is_a_unit_of_its_own_and_the_daemon_may_open_no_other() {
    let service = shipped("systemd/tilld.service");
    let port = shipped("systemd/tilld-tcp.socket");
    let address = values(&port, "ListenStream");
    let address: std::net::SocketAddr = address.concat().parse().expect("one address");
    assert!(address.ip().is_loopback(), "{address}");
    let allowed = format!("tcp:{}", address.port());
    assert_eq!(values(&service, "SocketBindAllow"), [allowed.as_str()]);
    assert_eq!(values(&port, "Service"), ["tilld.service"]);
    // Somebody who holds the port must not take the Unix socket away with it.
    assert_eq!(values(&shipped("systemd/tilld.socket"), "ListenStream").len(), 1);
    for key in ["Requires", "BindsTo", "Wants"] {
        assert!(!values(&service, key).concat().contains("tilld-tcp"), "{key}");
    }
    let config = shipped("config/tilld.toml");
    assert!(config.contains(&format!("listen = \"{address}\"")), "tilld.toml names another");
}

#[test]
fn every_line_of_hardening_says_why() {
    let service = shipped("systemd/tilld.service");
    let (_, hardening) = service.split_once("# Hardening.").expect("the hardening");
    let (hardening, _) = hardening.split_once("[Install]").expect("the end of it");
    // What a comment has been said about; keys that belong together share one.
    let together = ["AmbientCapabilities", "SocketBindAllow"];
    let mut explained = String::new();
    let mut before = "";
    for line in hardening.lines().skip(1) {
        if let Some((key, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            let again = explained == key || key.starts_with("Device") || together.contains(&key);
            assert!(before.starts_with("# ") || again, "no reason is given for {line}");
            key.clone_into(&mut explained);
        }
        before = line;
    }
}

// --- udev ----------------------------------------------------------------------

#[test]
fn udev_accepts_the_rules() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("udev/70-tilld.rules");
    let path = path.to_string_lossy();
    // `verify` exists since systemd 254.
    let known = run("udevadm", &["verify", "--help"]).is_some_and(|(good, _)| good);
    if known && let Some((good, said)) = run("udevadm", &["verify", "--resolve-names=never", &path])
    {
        assert!(good, "{said}");
    } else {
        loudly("this box has no `udevadm verify`");
    }
}

#[test]
fn the_rules_run_between_those_they_depend_on() {
    // 60-input-id and 60-serial find out what a device is; 73-seat-late gives
    // it away.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("udev");
    for entry in fs::read_dir(folder).expect("the rules") {
        let name = entry.expect("a file").file_name().into_string().expect("a name");
        assert!(*"61-" < *name && *name < *"73-", "{name}");
    }
}

#[test]
fn scanners_are_taken_and_other_devices_are_not() {
    for vendor in ["0536", "05e0", "05f9", "065a", "0c2e", "1eab", "23d0"] {
        let keys = keyboard(vendor).play();
        assert_eq!(keys.group(), Some("tilld"), "{vendor}");
        assert_eq!(keys.set("ENV{LIBINPUT_IGNORE_DEVICE}"), Some("1"));
        // Its volume keys, too: all its nodes with keys are grabbed together.
        let mut media = keyboard(vendor);
        media.known.remove("ENV{ID_INPUT_KEYBOARD}");
        assert_eq!(media.play().group(), Some("tilld"), "{vendor}");
        let serial = Device::new("tty", "ttyACM0").env("ID_VENDOR_ID", vendor).play();
        assert_eq!(serial.group(), Some("tilld"), "{vendor}");
        assert_eq!(serial.set("ENV{ID_MM_DEVICE_IGNORE}"), Some("1"));
        let hid = hid(vendor).play();
        assert_eq!(hid.group(), Some("tilld"), "{vendor}");
        let name = "tilld/hid-$env{ID_VENDOR_ID}-$env{ID_MODEL_ID}-$env{ID_USB_INTERFACE_NUM}";
        assert_eq!(hid.set("SYMLINK"), Some(name), "{vendor}");
        // Which asks for what the builtin finds out.
        assert_eq!(hid.set("IMPORT{builtin}"), Some("usb_id"), "{vendor}");
        let usb = Device::new("usb", "1-2").env("DEVTYPE", "usb_device").attr("idVendor", vendor);
        let usb = usb.play();
        assert_eq!(usb.set("ATTR{power/control}"), Some("on"), "{vendor}");
        assert_eq!(usb.set("ENV{ID_MM_DEVICE_IGNORE}"), Some("1"));
        assert_eq!(usb.group(), None);
    }
    // Keyboards, modems and chips that anything may contain.
    for vendor in ["046d", "045e", "1a86", "0403", "10c4", "067b", "12d1", ""] {
        for device in [
            keyboard(vendor),
            Device::new("tty", "ttyUSB0").env("ID_VENDOR_ID", vendor),
            Device::new("usb", "1-2").env("DEVTYPE", "usb_device").attr("idVendor", vendor),
            hid(vendor),
        ] {
            assert_eq!(device.play().done, BTreeMap::new(), "{vendor}");
        }
    }
    for device in [
        // The box's own keyboard, and its own serial port.
        Device::new("input", "event0").env("ID_INPUT_KEY", "1").env("ID_INPUT_KEYBOARD", "1"),
        Device::new("tty", "ttyS0").env("ID_VENDOR_ID", "0c2e"),
        // What of a scanner has no keys, and a scanner that is pulled.
        Device::new("input", "event7").env("ID_BUS", "usb").env("ID_VENDOR_ID", "0c2e"),
        Device { action: "remove", ..keyboard("0c2e") },
    ] {
        assert_eq!(device.play().done, BTreeMap::new());
    }
}

fn keyboard(vendor: &str) -> Device {
    Device::new("input", "event7")
        .env("ID_BUS", "usb")
        .env("ID_VENDOR_ID", vendor)
        .env("ID_INPUT_KEY", "1")
        .env("ID_INPUT_KEYBOARD", "1")
}

fn hid(vendor: &str) -> Device {
    let mut device = Device::new("hidraw", "hidraw3");
    device.parents = vec![format!("0003:{}:0B61.0004", vendor.to_uppercase()), "1-2".to_owned()];
    device
}

/// A device, as udev knows it, and what the rules do to it.
struct Device {
    action: &'static str,
    known: BTreeMap<String, String>,
    parents: Vec<String>,
    done: BTreeMap<String, String>,
}

impl Device {
    fn new(subsystem: &str, kernel: &str) -> Self {
        let known = [("SUBSYSTEM", subsystem), ("KERNEL", kernel), ("TEST", "power/control")];
        Self {
            action: "add",
            known: known.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            parents: Vec::new(),
            done: BTreeMap::new(),
        }
    }

    fn env(mut self, key: &str, value: &str) -> Self {
        self.known.insert(format!("ENV{{{key}}}"), value.to_owned());
        self
    }

    fn attr(mut self, key: &str, value: &str) -> Self {
        self.known.insert(format!("ATTR{{{key}}}"), value.to_owned());
        self
    }

    fn set(&self, key: &str) -> Option<&str> {
        self.done.get(key).map(String::as_str)
    }

    /// The group, if the mode lets nobody else in.
    fn group(&self) -> Option<&str> {
        self.set("GROUP").filter(|_| self.set("MODE") == Some("0660"))
    }

    fn matches(&self, key: &str, pattern: &str) -> bool {
        let values: Vec<&str> = match key {
            "ACTION" => vec![self.action],
            "KERNELS" => self.parents.iter().map(String::as_str).collect(),
            _ => self.known.get(key).map(String::as_str).into_iter().collect(),
        };
        pattern.split('|').any(|p| values.iter().any(|v| glob(p, v)))
    }

    /// As udev would, as far as these rules need it: all conditions of a line
    /// hold, or nothing of it is done.
    fn play(mut self) -> Self {
        let text = shipped("udev/70-tilld.rules");
        let mut skip_to = None;
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let tokens: Vec<_> = line.split(", ").map(token).collect();
            if let Some(label) = &skip_to {
                if tokens.iter().any(|(k, o, v)| *k == "LABEL" && *o == "=" && v == label) {
                    skip_to = None;
                }
                continue;
            }
            let conditions = tokens.iter().filter(|(_, operator, _)| *operator == "==");
            if !conditions.clone().all(|(key, _, pattern)| self.matches(key, pattern)) {
                continue;
            }
            for (key, _, value) in tokens.iter().filter(|(_, operator, _)| *operator != "==") {
                match *key {
                    "GOTO" => skip_to = Some((*value).to_owned()),
                    "LABEL" => {}
                    _ => {
                        self.done.insert((*key).to_owned(), (*value).to_owned());
                    }
                }
            }
        }
        assert_eq!(skip_to, None, "a GOTO leads nowhere");
        self
    }
}

/// Takes `KEY=="value"` apart; anything else is a mistake in the rules.
fn token(text: &str) -> (&str, &str, &str) {
    let at = text.find('=').unwrap_or_else(|| panic!("no operator in {text}"));
    let at = if text[..at].ends_with('+') { at - 1 } else { at };
    let (key, rest) = text.split_at(at);
    let operators = ["==", "+=", "="];
    let operator = operators.into_iter().find(|o| rest.starts_with(o)).expect("an operator");
    let value = rest
        .strip_prefix(operator)
        .and_then(|value| value.strip_prefix('"'))
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or_else(|| panic!("no value in quotes in {text}"));
    let (name, _) = key.split_once('{').unwrap_or((key, ""));
    let known = [
        "ACTION",
        "SUBSYSTEM",
        "KERNEL",
        "KERNELS",
        "ENV",
        "ATTR",
        "TEST",
        "IMPORT",
        "SYMLINK",
        "GROUP",
        "MODE",
        "GOTO",
        "LABEL",
    ];
    assert!(known.contains(&name), "unknown key {key}");
    assert!(!value.contains('"'), "two values without a comma in {text}");
    (key, operator, value)
}

/// A pattern in which only `*` is special.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|left| {
            (0..=left.len()).any(|from| left.get(from..).is_some_and(|tail| glob(rest, tail)))
        }),
    }
}
