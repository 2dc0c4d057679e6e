//! What a technician may write, and is told.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::scanner::Pty;
use crate::till::{Setup, Shop, clean, until};

fn check(config: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tilld"));
    command.arg("check").arg("--config").arg(config);
    clean(&mut command);
    command.output().expect("tilld check")
}

fn said(output: &Output) -> String {
    assert!(output.stdout.is_empty(), "faults go to stderr");
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// All names in a folder and below it.
fn names(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        if entry.path().is_dir() {
            found.extend(names(&entry.path()));
        }
        found.push(entry.path().display().to_string());
    }
    found.sort();
    found
}

#[test]
fn every_fault_is_named_with_its_line() {
    let shop = Shop::usual();
    let good = shop.config_text();
    fs::write(shop.path("api.token"), "short").unwrap();
    fs::copy(shop.path("sandbox/app_public_key.pem"), shop.path("mistaken.pem")).unwrap();
    let config = shop.path("faulty.toml");
    let key = |name: &str, value: &str| {
        let line = good.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap();
        (line.to_owned(), format!("{name} = {value}"))
    };
    let instead = |before: &str, after: &str| (before.to_owned(), after.to_owned());
    let scanner = |id: &str, device: &str| {
        format!("[[scanner]]\nid = \"{id}\"\nkind = \"serial\"\ndevice = \"{device}\"\n")
    };
    let two = format!("{}{}[journal]", scanner("lane", "/dev/a"), scanner("lane", "/dev/b"));
    // What is written in place of what, the key that is named, and what the
    // line says that is pointed at.
    let cases = [
        (
            key("alipay_public_key_file", "\"mistaken.pem\""),
            "alipay.alipay_public_key_file",
            "mistaken.pem",
        ),
        (
            key("alipay_public_key_file", "\"sandbox/ca.pem\""),
            "alipay.alipay_public_key_file",
            "ca.pem",
        ),
        (
            key("private_key_file", "\"sandbox/alipay_public_key.pem\""),
            "alipay.private_key_file",
            "alipay_public_key.pem",
        ),
        (key("private_key_file", "\"nowhere.pem\""), "alipay.private_key_file", "nowhere.pem"),
        (key("private_key_file", "7"), "alipay.private_key_file", "private_key_file = 7"),
        (key("gateway", "\"http://example.com/\""), "alipay.gateway", "example.com"),
        (key("app_id", "\"\""), "alipay.app_id", "app_id = \"\""),
        (key("ca_file", "\"sandbox/app_id\""), "alipay.ca_file", "sandbox/app_id"),
        (key("sign_type", "\"MD5\""), "alipay.sign_type", "MD5"),
        (key("request_timeout", "\"10\""), "alipay.request_timeout", "\"10\""),
        (key("request_timeout", "10"), "alipay.request_timeout", "= 10"),
        (key("poll_interval", "\"0s\""), "payment.poll_interval", "\"0s\""),
        (key("expire_after", "\"1s\""), "payment.expire_after", "expire_after"),
        (key("mode", "\"0777x\""), "api.mode", "0777x"),
        (key("mode", "\"0600\"\nlisten = \"0.0.0.0:7580\""), "api.listen", "0.0.0.0"),
        (key("mode", "\"0600\"\nlisten = \"127.0.0.1:7580\""), "api.listen", "127.0.0.1:7580"),
        (
            key("mode", "\"0600\"\nlisten = \"127.0.0.1:7580\"\ntoken_file = \"api.token\""),
            "api.token_file",
            "api.token",
        ),
        (instead("[terminal]", "[terminal]\nidd = \"x\""), "terminal.idd", "idd"),
        (instead("[journal]", "[jurnal]"), "jurnal", "[jurnal]"),
        (instead("[journal]", &two), "scanner.id", "lane"),
        (instead("[terminal]", "[terminal"), "", "[terminal"),
    ];
    let mut wrong = Vec::new();
    for ((before, after), named, on) in cases {
        assert!(good.contains(&before), "{before}");
        let text = good.replacen(&before, &after, 1);
        fs::write(&config, &text).unwrap();
        let before = names(&shop.path(""));
        let output = check(&config);
        let said = said(&output);
        let lines = |line: &&str| {
            let Some(rest) = line.strip_prefix(&format!("{}:", config.display())) else {
                return false;
            };
            let Some((number, rest)) = rest.split_once(": ") else { return false };
            let number: usize = number.parse().unwrap_or(0);
            let pointed_at = text.lines().nth(number.wrapping_sub(1)).unwrap_or_default();
            let key = format!("{named}: ");
            pointed_at.contains(on) && (named.is_empty() || rest.starts_with(&key))
        };
        let is_named = said.lines().any(|line| lines(&line));
        if output.status.code() != Some(1) || !is_named || said.lines().count() != 1 {
            wrong.push(format!("{after}: {}, {named} at {on}:\n{said}", output.status));
        }
        assert_eq!(names(&shop.path("")), before, "a check creates nothing");
        // No key is repeated, not even a wrong one.
        assert!(!said.contains("MII"), "{said}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // Several faults are told at once.
    let text = good.replace("\"RSA2\"", "\"MD5\"").replace("poll_interval", "pole_interval");
    fs::write(&config, text).unwrap();
    let several = said(&check(&config));
    assert_eq!(several.lines().count(), 2, "{several}");
}

#[test]
fn a_good_configuration_is_silent_and_a_missing_one_is_named() {
    let shop = Shop::usual();
    let before = names(&shop.path(""));
    let output = check(&shop.config());
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), ""));
    assert_eq!(names(&shop.path("")), before);
    let nowhere = shop.path("nowhere.toml");
    let output = check(&nowhere);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains(nowhere.to_str().unwrap()));
}

/// The classic: the application's own public key in place of Alipay's.
#[test]
fn one_port_under_two_names_is_named() {
    let scanners = vec!["lane-1".to_owned(), "lane-2".to_owned()];
    let shop = Shop::open(Setup { scanners, ..Setup::default() });
    let _port = Pty::plug(&shop.path("lane-1"));
    assert_eq!(said(&check(&shop.config())), "");
    symlink(shop.path("lane-1"), shop.path("lane-2")).unwrap();
    let output = check(&shop.config());
    let text = said(&output);
    assert!(output.status.success(), "it may be another port tomorrow: {text}");
    assert!(text.starts_with("warning: ") && text.lines().count() == 1, "{text}");
    assert!(text.contains("\"lane-2\"") && text.contains("\"lane-1\""), "{text}");
    let daemon = shop.start();
    until("the log says it", || daemon.log().contains("is the same device").then_some(()));
}

#[test]
fn a_daemon_with_mistaken_keys_does_not_start() {
    let shop = Shop::usual();
    let text = shop.config_text().replace("sandbox/alipay_public_key", "sandbox/app_public_key");
    fs::write(shop.config(), text).unwrap();
    let before = names(&shop.path(""));
    let mut daemon = shop.spawn(shop.command());
    assert_eq!(daemon.ended().code(), Some(78), "{}", daemon.log());
    let said = daemon.log();
    assert!(said.contains("alipay.alipay_public_key_file"), "{said}");
    assert!(said.contains("tilld.toml:"), "{said}");
    let mut after = names(&shop.path(""));
    after.retain(|name| !name.ends_with(".log"));
    assert_eq!(after, before, "nothing was begun");
}
