//! The journal's files, while somebody else has hands on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::till::{Daemon, Shop, until, with_code};

fn tilld(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tilld")).args(arguments).output().expect("tilld runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn log_of(journal: &Path) -> PathBuf {
    journal.with_file_name("journal.db-wal")
}

/// The daemon says that it takes no payments, and takes none.
fn is_closed(daemon: &Daemon) -> Value {
    let why = until("the daemon notices", || {
        let journal = daemon.status()["journal"].clone();
        (journal["writable"] == false).then(|| journal["reason"].clone())
    });
    let denied = daemon.put("DENIED", &with_code("1.00"));
    assert_eq!(denied.status, 503, "{}", denied.json());
    assert_eq!(denied.json()["code"], "journal_unavailable");
    why
}

#[test]
fn a_log_that_is_deleted_takes_no_payment_along() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.pay("BEFORE", &with_code("1.00")).expect(201);
    fs::remove_file(log_of(&shop.journal())).unwrap();
    daemon.pay("AFTER", &with_code("2.00")).expect(201);
    assert_eq!(daemon.settled("AFTER")["state"], "paid");
    daemon.kill();
    let daemon = shop.start();
    for number in ["BEFORE", "AFTER"] {
        assert_eq!(daemon.payment(number)["state"], "paid", "{number}");
        assert_eq!(shop.requests(number, "pay"), 1, "{number}");
    }
    daemon.stop();
    let verified = tilld(&["verify", shop.journal().to_str().unwrap()]);
    assert!(verified.status.success(), "{}", text(&verified));
}

#[test]
fn a_journal_that_is_replaced_closes_the_shop_and_is_saved() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.pay("PAID", &with_code("1.00")).expect(201);
    assert_eq!(daemon.settled("PAID")["state"], "paid");
    fs::remove_file(shop.journal()).unwrap();
    let why = is_closed(&daemon);
    let saved = shop.path("journal.db-saved");
    assert!(why.as_str().is_some_and(|why| why.contains("journal.db-saved")), "{why}");
    daemon.kill();
    fs::rename(saved, shop.journal()).unwrap();
    let daemon = shop.start();
    assert_eq!(daemon.payment("PAID")["state"], "paid");
}

#[test]
fn a_journal_that_is_emptied_closes_the_shop() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.pay("PAID", &with_code("1.00")).expect(201);
    fs::write(shop.journal(), "").unwrap();
    is_closed(&daemon);
}

#[test]
fn a_journal_without_its_end_is_taken_when_a_person_says_so() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.pay("FIRST", &with_code("1.00")).expect(201);
    daemon.stop();
    let daemon = shop.start();
    daemon.pay("SECOND", &with_code("2.00")).expect(201);
    daemon.settled("SECOND");
    daemon.kill();
    fs::remove_file(log_of(&shop.journal())).unwrap();
    let mut refused = shop.spawn(shop.command());
    assert_eq!(refused.ended().code(), Some(78), "{}", refused.log());
    let log = refused.log();
    let advice = log.split("tilld accept ").nth(1).expect("what to do").trim_end();
    let (newest, journal) = advice.split_once(' ').expect("a number and a file");
    let journal = journal.lines().next().unwrap_or_default();
    let wrong = tilld(&["accept", "1", journal]);
    assert_eq!(wrong.status.code(), Some(1), "{}", text(&wrong));
    let accepted = tilld(&["accept", newest, journal]);
    assert_eq!(accepted.status.code(), Some(0), "{}", text(&accepted));
    let daemon = shop.start();
    assert_eq!(daemon.payment("FIRST")["state"], "paid");
    assert_eq!(daemon.get("/v1/payments/SECOND").status, 404);
}

#[test]
fn a_second_daemon_is_kept_out_by_a_link_too() {
    let shop = Shop::usual();
    let daemon = shop.start();
    fs::hard_link(shop.journal(), shop.path("hard.db")).unwrap();
    std::os::unix::fs::symlink(shop.journal(), shop.path("soft.db")).unwrap();
    fs::remove_file(shop.path("journal.db-lock")).unwrap();
    for name in ["hard.db", "soft.db", "journal.db"] {
        let config = shop.path("second.toml");
        let second = shop
            .config_text()
            .replace("\"journal.db\"", &format!("\"{name}\""))
            .replace("tilld.sock", "second.sock");
        fs::write(&config, second).unwrap();
        let mut second = shop.spawn(shop.command_with(&config));
        assert_eq!(second.ended().code(), Some(69), "{name}: {}", second.log());
    }
    daemon.pay("PAID", &with_code("1.00")).expect(201);
}

#[test]
fn the_key_proves_the_journal_and_old_entries_are_archived() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.pay("PAID", &with_code("12.34")).expect(201);
    daemon.settled("PAID");
    daemon.stop();
    let config = shop.config();
    let config = config.to_str().unwrap();
    let proven = tilld(&["verify", "--config", config]);
    assert!(text(&proven).contains(" entries proven by the key"), "{}", text(&proven));
    let unproven = tilld(&["verify", shop.journal().to_str().unwrap()]);
    assert!(text(&unproven).contains("was not proven"), "{}", text(&unproven));

    // Nothing is so old; how much is archived is tried where the times are given.
    let none = tilld(&["archive", "--config", config, "--older-than", "1"]);
    assert_eq!((none.status.code(), text(&none)), (Some(0), "nothing to archive\n".to_owned()));
    let daemon = shop.start();
    let in_use = tilld(&["archive", "--config", config, "--older-than", "1"]);
    assert_eq!(in_use.status.code(), Some(1), "{}", text(&in_use));
    assert!(text(&in_use).contains("in use"), "{}", text(&in_use));
    assert_eq!(daemon.payment("PAID")["state"], "paid");
}
