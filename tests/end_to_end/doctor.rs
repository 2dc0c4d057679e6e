//! `till doctor` beside a real daemon, with the box around it.

use std::process::Command;

use serde_json::Value;

use crate::till::{Shop, until, with_code};

/// What it finds, and how it ends.
fn doctor(shop: &Shop) -> (Option<i32>, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_till"));
    command.args(["doctor", "--json", "--socket"]).arg(shop.socket());
    command.arg("--config").arg(shop.config());
    // No programs of this box: what they say is up to it.
    command.env("PATH", shop.path("")).env_remove("TILLD_SOCKET");
    let ran = command.output().expect("till runs");
    let found = serde_json::from_slice(&ran.stdout).expect("JSON");
    (ran.status.code(), found)
}

fn grades(found: &Value, check: &str) -> Vec<String> {
    let all = found["findings"].as_array().expect("findings").iter();
    all.filter(|finding| finding["check"] == check)
        .map(|finding| finding["grade"].as_str().expect("a grade").to_owned())
        .collect()
}

#[test]
fn the_doctor_sees_the_configuration_the_journal_and_the_disk() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.until_ready();
    daemon.pay("PAID", &with_code("1.00")).expect(201);
    until("the gateway is known", || (daemon.status()["gateway"]["state"] == "up").then_some(()));
    let (code, found) = doctor(&shop);
    for check in ["socket", "gateway", "keys", "journal", "clock", "journal_file"] {
        assert_eq!(grades(&found, check), ["good"], "{check}: {found}");
    }
    // The sandbox's keys may be less private than a shop's.
    assert!(!grades(&found, "config").contains(&"fault".to_owned()), "{found}");
    assert_eq!(grades(&found, "disk").len(), 1, "{found}");
    assert_eq!(grades(&found, "units"), ["note"], "{found}");
    let is_full = grades(&found, "disk") == ["fault"];
    assert_eq!(code, Some(i32::from(is_full)), "{found}");

    // While the daemon is down is when it is needed most.
    daemon.stop();
    let config = std::fs::read_to_string(shop.config()).expect("the configuration");
    std::fs::write(shop.config(), config.replace("app_id", "ap_id")).expect("written");
    let (code, found) = doctor(&shop);
    assert_eq!(code, Some(1));
    assert_eq!(grades(&found, "socket"), ["fault"], "{found}");
    assert!(grades(&found, "config").contains(&"fault".to_owned()), "{found}");
    assert_eq!(grades(&found, "journal_file"), ["good"], "{found}");
}
