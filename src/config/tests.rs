//! Faulty configurations, and what is said about each.

mod may;

use std::fs;
use std::os::unix::fs::PermissionsExt;

mod tills;

use super::*;
use crate::scanner::{
    Flow, Identity, Kind, Mode, Parity, Place as ScannerPlace, SerialSettings, Trigger,
};

const GOOD: &str = r#"[terminal]
id = "T_001"

[alipay]
app_id = "2014072300007148"
private_key_file = "app.pem"
alipay_public_key_file = "alipay.pem"
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let private = folder.path().join("app.pem");
    fs::write(&private, "private").expect("a key");
    fs::set_permissions(private, fs::Permissions::from_mode(0o600)).expect("its mode");
    fs::write(folder.path().join("alipay.pem"), "public").expect("a key");
    folder
}

fn load_text(folder: &Path, text: &str) -> Result<Config, Vec<Fault>> {
    let file = folder.join("tilld.toml");
    fs::write(&file, text).expect("a configuration");
    load_with(&file, None)
}

/// Without the name of the folder.
fn said(folder: &Path, faults: &[Fault]) -> Vec<String> {
    let folder = format!("{}/", folder.display());
    faults.iter().map(|fault| fault.to_string().replace(&folder, "")).collect()
}

/// Reads `text` and compares all that is said about it.
fn check(text: &str, expected: &[&str]) {
    let folder = folder();
    let faults = load_text(folder.path(), text).expect_err("faults");
    assert_eq!(said(folder.path(), &faults), expected, "{text}");
}

/// The same for lines that are put behind a good configuration; the first of
/// them is line 8.
fn check_more(more: &str, expected: &[&str]) {
    check(&format!("{GOOD}{more}"), expected);
}

#[test]
fn the_usual_values() {
    let folder = folder();
    let config = load_text(folder.path(), GOOD).expect("good");
    assert_eq!(config.terminal.id, "T_001");
    assert_eq!(config.terminal.store_id, None);
    assert_eq!(config.alipay.gateway.as_str(), "https://openapi.alipay.com/gateway.do");
    assert_eq!(config.alipay.app_id, "2014072300007148");
    assert_eq!(config.alipay.private_key.bytes(), b"private");
    assert_eq!(config.alipay.private_key.place().line, 6);
    assert_eq!(config.alipay.alipay_public_key.bytes(), b"public");
    assert_eq!(config.alipay.sign_type, SignType::Rsa2);
    assert_eq!(config.alipay.request_timeout, Duration::from_secs(10));
    assert!(config.alipay.ca.is_none() && config.alipay.proxy.is_none());
    assert_eq!(config.rules, Rules::default());
    assert_eq!(config.journal, Path::new("/var/lib/tilld/journal.db"));
    assert_eq!(config.api.socket, Path::new("/run/tilld/tilld.sock"));
    assert_eq!((config.api.mode, &config.api.listen), (0o660, &None));
    assert_eq!(config.scanners, []);
    assert_eq!(config.warnings, []);
}

#[test]
fn all_values() {
    let folder = folder();
    fs::write(folder.path().join("token"), "abc123\n").expect("a token");
    fs::write(folder.path().join("ca.pem"), "ca").expect("a certificate");
    let text = r#"
[terminal]
id = "T_001"
store_id = "NJ_001"
operator_id = "yx_001"
[alipay]
gateway = "http://127.0.0.1:8080/gateway.do"
app_id = "2014072300007148"
private_key_file = "app.pem"
alipay_public_key_file = "alipay.pem"
sign_type = "RSA"
ca_file = "ca.pem"
request_timeout = "2500ms"
proxy = "http://user:word@proxy.shop:3128"
[payment]
poll_interval = "250ms"
timeout = "5m"
late_margin = "0s"
code_timeout = "90s"
scale_prefixes = ["26", "2801"]
[journal]
path = "data/journal.db"
[api]
socket = "tilld.sock"
mode = "0600"
listen = "127.0.0.1:7580"
token_file = "token"
[[scanner]]
id = "lane-1"
kind = "serial"
device = "ttyACM0"
baud = 115200
data_bits = 7
parity = "even"
stop_bits = 2
flow = "xonxoff"
gap = "100ms"
trigger_on = "16 54 0D"
[[scanner]]
id = "lane-2"
kind = "evdev"
vendor = "0c2e"
product = "0B61"
serial = "17"
by_id = "/dev/input/by-id/usb-scanner-event-kbd"
by_path = "pci-0000:00:14.0-usb-0:2:1.0-event-kbd"
phys = "usb-0000:00:14.0-2"
uniq = "00:11:22:33:44:55"
name = "Scanner"
mode = "armed"
force = true
typed_guard = false
[[scanner]]
id = "lane-3"
kind = "hidraw"
device = "/dev/hidraw0"
"#;
    let config = load_text(folder.path(), text).expect("good");
    let here = folder.path();
    assert_eq!(config.journal, here.join("data/journal.db"));
    assert_eq!(config.api.socket, here.join("tilld.sock"));
    assert_eq!(config.api.listen.as_ref().expect("asked").token.reveal(), "abc123");
    assert_eq!(config.alipay.ca.as_ref().expect("asked").bytes(), b"ca");
    // It follows a timeout that is longer than it usually is.
    assert_eq!(config.rules.expire_after, Duration::from_mins(5));
    assert_eq!(config.rules.late_margin, Duration::ZERO);
    let prefixes = vec!["26".to_owned(), "2801".to_owned()];
    assert_eq!(config.scale_labels, ScaleLabels::new(prefixes));
    let serial = SerialSettings {
        baud: 115_200,
        data_bits: 7,
        parity: Parity::Even,
        stop_bits: 2,
        flow: Flow::XonXoff,
    };
    assert_eq!(
        config.scanners,
        [
            ScannerSettings {
                id: "lane-1".to_owned(),
                place: ScannerPlace::Device(here.join("ttyACM0")),
                gap: Duration::from_millis(100),
                kind: Kind::Serial(serial),
                mode: Mode::Owned,
                trigger: Some(Trigger { on: b"\x16T\r".to_vec(), off: Vec::new() }),
                force: false,
                typed_guard: true,
            },
            ScannerSettings {
                id: "lane-2".to_owned(),
                place: ScannerPlace::Identity(Identity {
                    vendor: 0x0c2e,
                    product: 0x0b61,
                    serial: Some("17".to_owned()),
                    by_id: Some("usb-scanner-event-kbd".to_owned()),
                    by_path: Some("pci-0000:00:14.0-usb-0:2:1.0-event-kbd".to_owned()),
                    phys: Some("usb-0000:00:14.0-2".to_owned()),
                    uniq: Some("00:11:22:33:44:55".to_owned()),
                    name: Some("Scanner".to_owned()),
                }),
                gap: Duration::from_millis(150),
                kind: Kind::Evdev,
                mode: Mode::Armed,
                trigger: None,
                force: true,
                typed_guard: false,
            },
            ScannerSettings::new(
                "lane-3",
                Kind::Hidraw,
                ScannerPlace::Device(PathBuf::from("/dev/hidraw0")),
            ),
        ]
    );
    // Nothing that is a secret prints itself, and nothing was created.
    let printed = format!("{config:?}");
    for secret in ["private\"", "word", "abc123"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    let mut found: Vec<_> = fs::read_dir(here)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    found.sort();
    assert_eq!(found, ["alipay.pem", "app.pem", "ca.pem", "tilld.toml", "token"]);
}

#[test]
fn what_is_missing() {
    check(
        "",
        &[
            r#"tilld.toml:1: terminal.id: is missing; write id = "T_001""#,
            r#"tilld.toml:1: alipay.app_id: is missing; write app_id = "2014072300007148""#,
            r#"tilld.toml:1: alipay.private_key_file: is missing; write private_key_file = "/etc/tilld/credentials/alipay-app-key.pem""#,
            r#"tilld.toml:1: alipay.alipay_public_key_file: is missing; write alipay_public_key_file = "/etc/tilld/alipay_public_key.pem""#,
        ],
    );
    check_more(
        "[[scanner]]\n[[scanner]]\nkind = \"serial\"\n",
        &[
            r#"tilld.toml:8: scanner.id: is missing; write id = "lane-1""#,
            r#"tilld.toml:8: scanner.device: is missing; write device = "/dev/ttyACM0", or vendor and product (till scanners shows them)"#,
            r#"tilld.toml:8: scanner.kind: is missing; write kind = "serial""#,
            r#"tilld.toml:9: scanner.id: is missing; write id = "lane-1""#,
            r#"tilld.toml:9: scanner.device: is missing; write device = "/dev/ttyACM0", or vendor and product (till scanners shows them)"#,
        ],
    );
}

#[test]
fn prefixes_of_scale_labels() {
    let folder = folder();
    let config = load_text(folder.path(), GOOD).expect("good");
    assert_eq!(config.scale_labels, ScaleLabels::default());
    let more = "[payment]\nscale_prefixes = []\n";
    let config = load_text(folder.path(), &format!("{GOOD}{more}")).expect("good");
    assert_eq!(config.scale_labels, ScaleLabels::default());
    check_more(
        "[payment]\nscale_prefixes = \"26\"\n",
        &[
            r#"tilld.toml:9: payment.scale_prefixes: must be a list of texts and is a text; write scale_prefixes = ["26"]"#,
        ],
    );
    check_more(
        "[payment]\nscale_prefixes = [\n  \"26\",\n  26,\n  \"2\",\n  \"26x\",\n  \"21\",\n]\n",
        &[
            r#"tilld.toml:11: payment.scale_prefixes: must hold texts and holds a whole number; write scale_prefixes = ["26"]"#,
            r#"tilld.toml:12: payment.scale_prefixes: `2` is no prefix of labels; write two to four digits, such as "26""#,
            r#"tilld.toml:13: payment.scale_prefixes: `26x` is no prefix of labels; write two to four digits, such as "26""#,
            r#"tilld.toml:14: payment.scale_prefixes: `21` needs no entry, because no payment code begins so; leave it out, or write digits that begin with 25 to 30"#,
        ],
    );
}

#[test]
fn what_is_unknown() {
    check_more(
        "[payment]\npoll = \"5s\"\n[printer]\nx = 1\n",
        &[
            "tilld.toml:9: payment.poll: is no key of [payment]; write one of: code_timeout, expire_after, late_margin, poll_interval, scale_prefixes, timeout, unsent_for",
            "tilld.toml:10: printer: is no section; write one of: alipay, api, journal, payment, scanner, terminal",
        ],
    );
    check(
        &GOOD.replace("id = \"T_001\"", "id = \"T_001\"\nstore = \"x\""),
        &[
            "tilld.toml:3: terminal.store: is no key of [terminal]; write one of: id, operator_id, store_id",
        ],
    );
}

#[test]
fn wrong_types() {
    check_more(
        "[payment]\ntimeout = 60\npoll_interval = 5.5\n[api]\nmode = 0o660\nsocket = [\"a\"]\n",
        &[
            r#"tilld.toml:9: payment.timeout: must be a text and is a whole number; write timeout = "60s""#,
            r#"tilld.toml:10: payment.poll_interval: must be a text and is a number with a point; write poll_interval = "5s""#,
            r#"tilld.toml:12: api.mode: must be a text and is a whole number; write mode = "0660""#,
            r#"tilld.toml:13: api.socket: must be a text and is a list; write socket = "/run/tilld/tilld.sock""#,
        ],
    );
    check_more(
        "[scanner]\nid = \"a\"\n",
        &["tilld.toml:8: scanner: there may be several, so write [[scanner]] in two brackets"],
    );
    check(
        &format!("journal = \"x\"\nscanner = [1]\n{GOOD}"),
        &[
            "tilld.toml:1: journal: must be a table; write [journal]",
            "tilld.toml:2: scanner: must be tables; write [[scanner]]",
        ],
    );
}

#[test]
fn impossible_values() {
    check_more(
        "[payment]\ntimeout = \"999ms\"\npoll_interval = \"99ms\"\ncode_timeout = \"soon\"\n",
        &[
            r#"tilld.toml:9: payment.timeout: `999ms` is out of bounds; write "1s" to "1h""#,
            r#"tilld.toml:10: payment.poll_interval: `99ms` is out of bounds; write "100ms" to "1h""#,
            r#"tilld.toml:11: payment.code_timeout: `soon` is no length of time; write a whole number and a unit, such as "250ms", "5s" or "2m""#,
        ],
    );
    check_more(
        "[payment]\ntimeout = \"3m\"\nexpire_after = \"2m\"\n",
        &[
            r#"tilld.toml:10: payment.expire_after: is shorter than timeout, so the gateway would refuse payments that are still waited for; write "3m" or more"#,
        ],
    );
    check_more(
        "request_timeout = \"31s\"\nsign_type = \"MD5\"\ngateway = \"http://openapi.alipay.com/gateway.do\"\n",
        &[
            r#"tilld.toml:8: alipay.request_timeout: `31s` is out of bounds; write "100ms" to "30s""#,
            r#"tilld.toml:9: alipay.sign_type: `MD5` is no sign type; write "RSA2" (or "RSA")"#,
            r#"tilld.toml:10: alipay.gateway: plain http is for a gateway on this box only (127.0.0.1, [::1], localhost); write "https://openapi.alipay.com/gateway.do""#,
        ],
    );
    check(
        &GOOD.replace("T_001", "").replace("2014072300007148", "app"),
        &[
            "tilld.toml:2: terminal.id: is empty; write a value, or leave the line out",
            r#"tilld.toml:5: alipay.app_id: `app` is no app id; write the digits shown at open.alipay.com, such as "2014072300007148""#,
        ],
    );
}

#[test]
fn who_may_come_in() {
    check_more(
        "[api]\nlisten = \"127.0.0.1:7580\"\n",
        &[
            r#"tilld.toml:9: api.listen: is open to every user of this box without a token; write token_file = "/etc/tilld/api.token" as well"#,
        ],
    );
    check_more(
        "[api]\nlisten = \"0.0.0.0:7580\"\ntoken_file = \"none\"\nmode = \"0999\"\n",
        &[
            r#"tilld.toml:9: api.listen: `0.0.0.0:7580` could be reached from other boxes; write an address of this box, such as "127.0.0.1:7580""#,
            "tilld.toml:10: api.token_file: none does not exist; write the path of an existing file",
            r#"tilld.toml:11: api.mode: `0999` is no mode; write octal digits, such as "0660""#,
        ],
    );
}

#[test]
fn faults_of_scanners() {
    let one = "[[scanner]]\nid = \"a\"\nkind = \"serial\"\ndevice = \"/dev/ttyS0\"\n";
    check_more(
        &format!("{one}{one}"),
        &[
            "tilld.toml:13: scanner.id: `a` is the name of another scanner, too; write a different one",
            "tilld.toml:15: scanner.device: /dev/ttyS0 is the device of another scanner, too; write a different one",
        ],
    );
    check_more(
        &format!("{one}baud = 0\nparity = \"mark\"\ndata_bits = 9\ngap = \"1ms\"\n"),
        &[
            "tilld.toml:12: scanner.baud: 0 is impossible; write 50 to 4000000, such as 9600 or 115200",
            r#"tilld.toml:13: scanner.parity: is no parity; write "none", "even" or "odd""#,
            "tilld.toml:14: scanner.data_bits: 9 is impossible; write 7 or 8",
            r#"tilld.toml:15: scanner.gap: `1ms` is out of bounds; write "10ms" to "5s""#,
        ],
    );
    check_more(
        &one.replace("serial", "evdev").replace("id", "baud = -9600\nid"),
        &[
            "tilld.toml:9: scanner.baud: -9600 is impossible; write 50 to 4000000, such as 9600 or 115200",
            r#"tilld.toml:9: scanner.baud: is for serial scanners only; leave it out, or write kind = "serial""#,
        ],
    );
    check_more(
        &one.replace("serial", "usb").replace("\"a\"", "\"\"").replace("/dev/ttyS0", ""),
        &[
            "tilld.toml:9: scanner.id: is empty; write a value, or leave the line out",
            r#"tilld.toml:10: scanner.kind: `usb` is no kind of scanner; write "serial", "evdev" or "hidraw""#,
            "tilld.toml:11: scanner.device: is empty; write the path of a file",
        ],
    );
}

#[test]
fn what_a_scanner_is_known_by() {
    let scanner = |keys: &str| format!("[[scanner]]\nid = \"a\"\nkind = \"evdev\"\n{keys}");
    check_more(
        &scanner("vendor = \"0c2e\"\nproduct = 2913\n"),
        &[
            r#"tilld.toml:12: scanner.product: must be a text and is a whole number; write product = "0b61""#,
        ],
    );
    check_more(
        &scanner("vendor = \"c2e\"\n"),
        &[
            r#"tilld.toml:8: scanner.product: is missing; write product = "0b61""#,
            r#"tilld.toml:11: scanner.vendor: `c2e` is no number of a device; write four hex digits as lsusb shows them, such as "0c2e""#,
        ],
    );
    check_more(
        &scanner("name = \"Scanner\"\nserial = \"\"\n"),
        &[
            "tilld.toml:8: scanner.vendor: is missing, and serial alone is not enough to know a scanner by; write vendor and product as well (till scanners shows them), or device in its place",
            "tilld.toml:12: scanner.serial: is empty; write a value, or leave the line out",
        ],
    );
    check_more(
        &scanner("device = \"/dev/x\"\nvendor = \"0c2e\"\nphys = \"usb-1\"\n"),
        &[
            "tilld.toml:12: scanner.vendor: is for scanners that are found by what they are; leave it out, or leave device out",
            "tilld.toml:13: scanner.phys: is for scanners that are found by what they are; leave it out, or leave device out",
        ],
    );
    let one = scanner("vendor = \"0c2e\"\nproduct = \"0b61\"\nserial = \"1\"\n");
    check_more(
        &format!("{one}{}", one.replace("\"a\"", "\"b\"")),
        &[
            "tilld.toml:17: scanner.vendor: means the device of another scanner, too; write for both of them what tells them apart, such as serial or phys (till scanners shows it)",
        ],
    );
    // One that is known by its numbers alone is every one of them.
    for (first, second) in [("", "phys = \"usb-1\"\n"), ("phys = \"usb-1\"\n", "")] {
        let one = |id: &str, mark: &str| {
            let scanner = scanner("vendor = \"0c2e\"\nproduct = \"0b61\"\n");
            scanner.replace("\"a\"", &format!("\"{id}\"")) + mark
        };
        let folder = folder();
        let text = format!("{GOOD}{}{}", one("a", first), one("b", second));
        let faults = load_text(folder.path(), &text).expect_err("a fault");
        assert_eq!(faults.len(), 1, "{faults:?}");
        // Read in another way it is not taken from the first.
        let text = text.replacen("evdev", "hidraw", 1);
        assert_eq!(load_text(folder.path(), &text).expect("good").scanners.len(), 2);
    }
    let folder = folder();
    let twins = one.replace("\"a\"", "\"b\"").replace("\"1\"", "\"2\"");
    let config = load_text(folder.path(), &format!("{GOOD}{one}{twins}")).expect("good");
    assert_eq!(config.scanners.len(), 2);
}

#[test]
fn keys_of_one_kind_of_scanner() {
    let scanner = |kind: &str, keys: &str| {
        format!("[[scanner]]\nid = \"a\"\nkind = \"{kind}\"\ndevice = \"/dev/x\"\n{keys}")
    };
    check_more(
        &scanner("serial", "mode = \"armed\"\nforce = true\ntyped_guard = \"no\"\n"),
        &[
            r#"tilld.toml:12: scanner.mode: is for keyboard scanners only; leave it out, or write kind = "evdev""#,
            r#"tilld.toml:13: scanner.force: is for keyboard scanners only; leave it out, or write kind = "evdev""#,
            r#"tilld.toml:14: scanner.typed_guard: is for keyboard scanners only; leave it out, or write kind = "evdev""#,
            "tilld.toml:14: scanner.typed_guard: must be true or false and is a text; write typed_guard = false",
        ],
    );
    check_more(
        &scanner("hidraw", "mode = \"sometimes\"\ntrigger = \"zebra\"\n"),
        &[
            r#"tilld.toml:12: scanner.mode: is for keyboard scanners only; leave it out, or write kind = "evdev""#,
            r#"tilld.toml:12: scanner.mode: `sometimes` is no mode; write "owned" or "armed""#,
            r#"tilld.toml:13: scanner.trigger: is for serial scanners only; leave it out, or write kind = "serial""#,
        ],
    );
    check_more(
        &scanner("serial", "trigger = \"acme\"\ntrigger_on = \"16 5\"\n"),
        &[
            "tilld.toml:12: scanner.trigger: `acme` is no maker whose commands are known; write one of honeywell, mindeo, datalogic, zebra, newland, gm65, zkteco, or trigger_on and trigger_off with the bytes of its manual",
            r#"tilld.toml:13: scanner.trigger_on: `16 5` are no bytes; write two hex digits for each, such as "16 54 0D""#,
            "tilld.toml:13: scanner.trigger_on: is what trigger says by a maker's name; leave one of them out",
        ],
    );
    check_more(
        &scanner("serial", "trigger_off = \"16 55 0D\"\n"),
        &[
            r#"tilld.toml:12: scanner.trigger_off: is of no use alone; write trigger_on = "16 54 0D" as well"#,
        ],
    );
}

#[test]
fn keys_that_cannot_be_read() {
    let folder = folder();
    let here = folder.path();
    let good = |public: &str| {
        fs::write(here.join("alipay.pem"), "").expect("empty");
        let text = GOOD.replace("alipay.pem", public);
        said(here, &load_text(here, &text).expect_err("a fault"))
    };
    for (public, why) in [
        ("alipay.pem", "alipay.pem is empty; write the path of the right file"),
        ("none.pem", "none.pem does not exist; write the path of an existing file"),
        ("/", "/ is no file; write the path of a file"),
        ("/dev/zero", "/dev/zero is no file; write the path of a file"),
    ] {
        assert_eq!(good(public), [format!("tilld.toml:7: alipay.alipay_public_key_file: {why}")]);
    }
    fs::write(here.join("huge"), " ".repeat(70_000)).expect("huge");
    assert_eq!(
        good("huge"),
        [
            "tilld.toml:7: alipay.alipay_public_key_file: huge is far too large for a key; write the path of the right file"
        ]
    );
}

#[test]
fn a_gateway_that_is_not_alipays_is_a_warning() {
    let folder = folder();
    for (gateway, says) in [
        ("https://openapi.alipay.com/gateway", "Alipay's gateway has the path /gateway.do"),
        ("https://openapi.alipay.example/gateway.do", "openapi.alipay.example is not Alipay's"),
    ] {
        let text = format!("{GOOD}gateway = \"{gateway}\"\n");
        let config = load_text(folder.path(), &text).expect("good");
        assert_eq!(config.alipay.gateway.as_str(), gateway);
        let said = said(folder.path(), &config.warnings);
        let expected = format!("tilld.toml:8: alipay.gateway: {says}");
        assert!(said.len() == 1 && said[0].starts_with(&expected), "{said:?}");
    }
}

#[test]
fn a_key_that_others_can_read_is_a_warning() {
    let folder = folder();
    let key = folder.path().join("app.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).expect("its mode");
    let config = load_text(folder.path(), GOOD).expect("good");
    assert_eq!(
        said(folder.path(), &config.warnings),
        [
            "tilld.toml:6: alipay.private_key_file: app.pem can be read by other users of this box; write chmod 600 app.pem"
        ]
    );
    let open = format!("{GOOD}[api]\nmode = \"0666\"\n");
    let config = load_text(folder.path(), &open).expect("good");
    assert_eq!(config.warnings.iter().map(Fault::line).collect::<Vec<_>>(), [6, 9]);
}

/// Sets the mode of a file of the folder, or of the folder itself.
fn mode(folder: &Path, name: &str, mode: u32) {
    let path = if name == "." { folder.to_owned() } else { folder.join(name) };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
}

#[test]
fn what_everybody_can_change_is_a_warning() {
    let good = format!("{GOOD}ca_file = \"ca.pem\"\n[journal]\npath = \"j/journal.db\"\n");
    for (name, bits, warnings) in [
        (
            "alipay.pem",
            0o666,
            &[
                "tilld.toml:7: alipay.alipay_public_key_file: alipay.pem can be changed by every user of this box; write chmod o-w alipay.pem",
            ][..],
        ),
        (
            "ca.pem",
            0o646,
            &[
                "tilld.toml:8: alipay.ca_file: ca.pem can be changed by every user of this box; write chmod o-w ca.pem",
            ],
        ),
        (
            "tilld.toml",
            0o606,
            &[
                "tilld.toml:1: tilld.toml can be changed by every user of this box; write chmod o-w tilld.toml",
            ],
        ),
        (
            "j",
            0o1777,
            &[
                "tilld.toml:10: journal.path: j can be changed by every user of this box, and the journal is in it; write chmod o-w j",
            ],
        ),
        ("alipay.pem", 0o664, &[]),
        ("j", 0o775, &[]),
    ] {
        let folder = folder();
        fs::write(folder.path().join("ca.pem"), "x").expect("a file");
        fs::create_dir(folder.path().join("j")).expect("a folder");
        fs::write(folder.path().join("tilld.toml"), &good).expect("a file");
        mode(folder.path(), name, bits);
        let config = load_with(&folder.path().join("tilld.toml"), None).expect("good");
        assert_eq!(said(folder.path(), &config.warnings), warnings, "{name} {bits:o}");
    }
    // Whoever can write into the folder can put another key there.
    let folder = folder();
    mode(folder.path(), ".", 0o777);
    let config = load_text(folder.path(), GOOD).expect("good");
    assert_eq!(config.warnings.iter().map(Fault::line).collect::<Vec<_>>(), [1, 7]);
    mode(folder.path(), ".", 0o1777);
    assert_eq!(load_text(folder.path(), GOOD).expect("good").warnings, []);
}

/// Root reads everything, and would tell the technician that all is well.
#[test]
fn what_the_units_user_cannot_read_is_a_warning() {
    let text = format!("{GOOD}[api]\nlisten = \"127.0.0.1:7580\"\ntoken_file = \"token\"\n");
    let folder = folder();
    let here = folder.path();
    fs::write(here.join("tilld.toml"), text).expect("a file");
    fs::write(here.join("token"), "0123456789abcdef").expect("a token");
    let own = std::os::unix::fs::MetadataExt::gid(&fs::metadata(here).expect("it is there"));
    let unit = |gid| rights::Who { name: "tilld".to_owned(), uid: 4_000_000, gid };
    let warnings = |gid| {
        let config = load_as(&here.join("tilld.toml"), None, unit(gid)).expect("good");
        said(here, &config.warnings)
    };
    mode(here, ".", 0o755);
    mode(here, "token", 0o600);
    let remedy = "write chown root:tilld token && chmod 640 token";
    let unread = "token cannot be read by the user tilld who runs the daemon";
    assert_eq!(warnings(4_000_000), [format!("tilld.toml:10: api.token_file: {unread}; {remedy}")]);
    // The advice, obeyed.
    mode(here, "token", 0o640);
    assert_eq!(warnings(own), Vec::<String>::new());
    mode(here, "token", 0o644);
    let read = "token can be read by other users of this box";
    assert_eq!(warnings(own), [format!("tilld.toml:10: api.token_file: {read}; {remedy}")]);
    mode(here, "alipay.pem", 0o600);
    mode(here, "token", 0o640);
    assert_eq!(
        warnings(4_000_000)[0],
        "tilld.toml:7: alipay.alipay_public_key_file: alipay.pem cannot be read by the user tilld who runs the daemon; write chmod 644 alipay.pem"
    );
    mode(here, ".", 0o700);
    assert!(
        warnings(own)[0].contains("cannot be entered by the user tilld"),
        "{:?}",
        warnings(own)
    );
}

#[test]
fn a_key_from_systemd_takes_the_place_of_the_file() {
    let folder = folder();
    let credentials = tempfile::tempdir().expect("a folder");
    fs::write(credentials.path().join("alipay-app-key"), "handed over").expect("a key");
    let file = folder.path().join("tilld.toml");
    for (text, line) in [
        (GOOD.to_owned(), 6),
        (GOOD.replace("app.pem", "/root/not/for/us"), 6),
        (GOOD.replace("private_key_file = \"app.pem\"\n", ""), 4),
    ] {
        fs::write(&file, text).expect("a configuration");
        let config = load_with(&file, Some(credentials.path())).expect("good");
        let key = &config.alipay.private_key;
        assert_eq!((key.bytes(), key.place().line), (&b"handed over"[..], line));
        assert_eq!(
            said(folder.path(), &[key.place().fault("is no key; write another")]),
            [format!("tilld.toml:{line}: alipay.private_key_file: is no key; write another")]
        );
    }
    // Systemd has handed over other things only.
    fs::remove_file(credentials.path().join("alipay-app-key")).expect("removed");
    fs::write(&file, GOOD).expect("a configuration");
    let config = load_with(&file, Some(credentials.path())).expect("good");
    assert_eq!(config.alipay.private_key.bytes(), b"private");
}

#[test]
fn a_key_that_the_unit_did_not_find_is_missed_by_name() {
    let folder = folder();
    let credentials = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        fs::write(credentials.path().join(name), text).expect("a credential");
    };
    let file = folder.path().join("tilld.toml");
    let nowhere = GOOD.replace("app.pem", "/etc/tilld/credentials/not-there.pem");
    let load = |text: &str| {
        fs::write(&file, text).expect("a configuration");
        load_with(&file, Some(credentials.path()))
    };
    // The words of the unit for a missing file, in both of its places.
    write("alipay-app-key", "none");
    write("alipay-app-key-beside", "none");
    let faults = load(&nowhere).expect_err("no key anywhere");
    assert_eq!(
        said(folder.path(), &faults),
        [
            "tilld.toml:6: alipay.private_key_file: there is no private key; write it to /etc/tilld/credentials/alipay-app-key.pem, as root and with chmod 600, and start tilld again"
        ]
    );
    // A file that the daemon may read itself still does.
    assert_eq!(load(GOOD).expect("good").alipay.private_key.bytes(), b"private");
    // The place that installations by hand use.
    write("alipay-app-key-beside", "by hand");
    assert_eq!(load(&nowhere).expect("good").alipay.private_key.bytes(), b"by hand");
    // Both: one is used, and it is said which.
    write("alipay-app-key", "the usual");
    let config = load(&nowhere).expect("good");
    assert_eq!(config.alipay.private_key.bytes(), b"the usual");
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
}

#[test]
fn what_is_no_toml() {
    for (text, line, key) in [
        (format!("{GOOD}gateway = https://x\n"), 8, "gateway"),
        (format!("{GOOD}gateway =\n[api]\n"), 8, "gateway"),
        (format!("{GOOD}[api\n"), 8, ""),
        (format!("{GOOD}what is this\n"), 8, ""),
        (format!("{GOOD}app_id = \"1\"\n"), 8, "app_id"),
        (format!("{GOOD}[terminal]\nid = \"2\"\n"), 8, ""),
        (format!("{GOOD}ca_file = \"x\n[api]\n"), 8, "ca_file"),
    ] {
        let folder = folder();
        let faults = load_text(folder.path(), &text).expect_err("a fault");
        let first = faults.first().expect("one");
        assert_eq!((first.line(), first.key()), (line, key), "{faults:?}");
        for fault in &faults {
            assert_eq!(fault.to_string().lines().count(), 1, "{fault}");
            assert!(fault.to_string().contains("; write "), "{fault}");
        }
    }
}

#[test]
fn what_is_no_file() {
    let folder = folder();
    let file = folder.path().join("none.toml");
    let faults = load_with(&file, None).expect_err("none");
    let said = said(folder.path(), &faults);
    assert!(said.len() == 1 && said[0].starts_with("none.toml:1: cannot be read: "), "{said:?}");
    fs::write(&file, b"[terminal]\nid = \"\xff\"\n").expect("not UTF-8");
    let faults = load_with(&file, None).expect_err("not UTF-8");
    assert_eq!(faults[0].line(), 2);
}

#[test]
fn the_shipped_configuration() {
    let shipped = include_str!("../../config/tilld.toml");
    let folder = folder();
    // Its keys are where a distribution puts them; here they are beside it.
    let text = shipped
        .replace("/etc/tilld/credentials/alipay-app-key.pem", "app.pem")
        .replace("/etc/tilld/alipay_public_key.pem", "alipay.pem");
    // As it is shipped it lacks the one thing that nobody can guess, so that it
    // is not started with somebody else's.
    let faults = load_text(folder.path(), &text).expect_err("no application");
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].key(), "alipay.app_id");
    let text = text.replace("app_id = \"\"", "app_id = \"2014072300007148\"");
    let config = load_text(folder.path(), &text).expect("good");
    assert_eq!(config.warnings, []);
    assert_eq!(config.rules, Rules::default());
    assert_eq!(config.scanners.len(), 1);
    // Every key that is shown as a comment can be put in as it stands.
    for file in ["ca.pem", "api.token"] {
        fs::write(folder.path().join(file), "something").expect("a file");
    }
    let all: String = text
        .lines()
        .map(|line| {
            let key = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
            format!("{}\n", key.unwrap_or(line))
        })
        .collect();
    let all = all.replace("/etc/tilld/", "");
    let config = load_text(folder.path(), &all).expect("good");
    assert!(config.api.listen.is_some() && config.alipay.proxy.is_some());
    assert_eq!(config.scanners.len(), 3);
    // And every key that there is, is shown.
    let faults = load_text(
        folder.path(),
        "[terminal]\nx=1\n[alipay]\nx=1\n[payment]\nx=1\n[journal]\nx=1\n[api]\nx=1\n[[scanner]]\nx=1\n",
    )
    .expect_err("unknown keys");
    let mut shown = 0;
    for fault in faults.iter().map(ToString::to_string) {
        let Some((_, keys)) = fault.split_once("write one of: ") else { continue };
        for key in keys.split(", ") {
            let line = |l: &str| l.trim_start_matches('#').starts_with(&format!("{key} = "));
            assert!(text.lines().any(line), "{key} is not in config/tilld.toml");
            shown += 1;
        }
    }
    assert!(shown > 25, "{shown}");
}
