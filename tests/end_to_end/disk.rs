//! A disk that is full, and one that is read-only.
//!
//! These need a file system of their own, and so the right to mount one.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::till::{Daemon, Setup, Shop, is, loudly, outcome, until, with_code};

/// A small file system in memory, mounted until dropped.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn mount(path: PathBuf) -> Option<Self> {
        fs::create_dir(&path).expect("a folder");
        let options = "size=6m,mode=0700";
        mount(&["-t", "tmpfs", "-o", options, "tilld-test", path.to_str().unwrap()])
            .then_some(Self { path })
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        assert!(mount(&["-o", &options, self.path.to_str().unwrap()]), "{options}");
    }

    /// Takes all the room there is.
    fn fill(&self) -> PathBuf {
        let path = self.path.join("a lot");
        let mut file = File::create(&path).expect("a file");
        let block = [7; 4096];
        while file.write_all(&block).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn mount(arguments: &[&str]) -> bool {
    Command::new("mount").args(arguments).status().is_ok_and(|status| status.success())
}

/// A shop with its journal on a disk of its own; nothing where none can be
/// mounted.
fn shop() -> Option<(Shop, Disk)> {
    let shop = Shop::open(Setup { journal: "disk/journal.db".to_owned(), ..Setup::default() });
    let Some(disk) = Disk::mount(shop.path("disk")) else {
        loudly("no file system can be mounted here, so full and read-only disks were not tried");
        return None;
    };
    Some((shop, disk))
}

/// What a register is told that may not begin anything.
fn refused(reply: &Value) {
    assert_eq!(reply["code"], "journal_unavailable", "{reply}");
    assert_eq!((&reply["money"], &reply["retry"]), (&json!("none"), &json!("same_request")));
    assert!(!reply["detail"].as_str().unwrap().is_empty());
}

/// Starts payments until one is refused; those before it must end as they should.
fn until_refused(shop: &Shop, daemon: &Daemon, prefix: &str) -> String {
    let mut round = 0;
    until("a payment is refused", || {
        let number = format!("{prefix}{round}");
        round += 1;
        let reply = daemon.pay(&number, &with_code("1.00"));
        if reply.status == 201 {
            assert_eq!(outcome(&reply.json()), is("paid", "taken", ""));
            return None;
        }
        refused(&reply.expect(503));
        assert!(shop.gateway().ledger().number(&number).is_none(), "nothing was sent");
        assert_eq!(daemon.get(&format!("/v1/payments/{number}")).status, 404);
        Some(number)
    })
}

/// The same request, until it is taken.
fn until_taken(daemon: &Daemon, number: &str) {
    let body = with_code("1.00");
    let paid = until("payments are taken again", || {
        let reply = daemon.pay(number, &body);
        match reply.status {
            503 => {
                refused(&reply.json());
                None
            }
            _ => Some(reply.expect(201)),
        }
    });
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut names: Vec<_> =
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_full_disk_takes_no_new_payment_and_ends_the_open_ones() {
    let Some((shop, disk)) = shop() else { return };
    let daemon = shop.start();
    let before = daemon.pay("BEFORE", &with_code("1.00")).expect(201);
    daemon.put("PAYS", &with_code("77.04")).expect(201);
    daemon.put("STAYS", &with_code("77.04")).expect(201);
    daemon.until_state("PAYS", "awaiting_buyer");
    daemon.until_state("STAYS", "awaiting_buyer");

    let much = disk.fill();
    let refused_number = until_refused(&shop, &daemon, "FULL");
    let status = daemon.status();
    assert_eq!(status["journal"]["writable"], false, "{status}");
    assert!(status["journal"]["reason"].as_str().unwrap().contains("full"), "{status}");
    assert!(daemon.log().contains("no new payments"), "{}", daemon.log());

    // What is open is brought to its end all the same.
    assert!(shop.gateway().ledger().confirm("PAYS"));
    assert_eq!(outcome(&daemon.settled("PAYS")), is("paid", "taken", ""));
    let stopped = until("the cashier's stop is taken", || {
        let reply = daemon.post("/v1/payments/STAYS/cancel?wait=60", &Value::Null);
        (reply.status != 503).then(|| reply.expect(200))
    });
    assert_eq!(outcome(&stopped), is("cancelled", "none", "close"));
    refused(&daemon.put(&refused_number, &with_code("1.00")).expect(503));
    assert_eq!(daemon.payment("BEFORE"), before);

    fs::remove_file(&much).unwrap();
    until_taken(&daemon, &refused_number);
    until("the status says so", || (daemon.status()["journal"]["writable"] == true).then_some(()));
    assert!(files(&disk.path).contains(&"journal.db-reserve".to_owned()));
    daemon.stop();
    let report = tilld::journal::verify(&shop.journal(), None).expect("a sound journal");
    assert_eq!(report.open, 0);
    let daemon = shop.start();
    assert_eq!(daemon.payment("BEFORE"), before);
    assert_eq!(outcome(&daemon.payment("PAYS")), is("paid", "taken", ""));
    assert_eq!(outcome(&daemon.payment("STAYS")), is("cancelled", "none", "close"));
}

/// A file system cannot be made read-only under a file that is open for
/// writing, so the daemon finds it so at its start.
#[test]
fn a_read_only_disk_takes_no_new_payment_and_the_open_ones_wait() {
    let Some((shop, disk)) = shop() else { return };
    let daemon = shop.start();
    let before = daemon.pay("BEFORE", &with_code("1.00")).expect(201);
    daemon.put("OPEN", &with_code("77.04")).expect(201);
    let open = daemon.until_state("OPEN", "awaiting_buyer");
    daemon.kill();
    disk.remount("ro");
    let seen = shop.requests("OPEN", "query");

    let daemon = shop.start();
    assert_eq!(daemon.status()["journal"]["writable"], false);
    refused(&daemon.put("NEW", &with_code("1.00")).expect(503));
    assert!(shop.gateway().ledger().number("NEW").is_none());
    assert_eq!(daemon.payment("BEFORE"), before);
    assert_eq!(daemon.payment("OPEN")["money"], open["money"]);
    assert_eq!(
        daemon.get("/v1/payments?state=open").expect(200)["payments"][0]["out_trade_no"],
        "OPEN"
    );
    // What cannot be written down is not done.
    assert_eq!(shop.requests("OPEN", "query"), seen);
    assert_eq!(shop.requests("OPEN", "cancel"), 0);

    assert!(shop.gateway().ledger().confirm("OPEN"));
    disk.remount("rw");
    assert_eq!(outcome(&daemon.settled("OPEN")), is("paid", "taken", ""));
    until_taken(&daemon, "NEW");
    daemon.stop();
    assert_eq!(tilld::journal::verify(&shop.journal(), None).expect("a sound journal").open, 0);
}

#[test]
fn a_first_start_that_the_disk_does_not_allow_says_why() {
    let Some((shop, disk)) = shop() else { return };
    let starts = |words: &[&str]| {
        let mut daemon = shop.spawn(shop.command());
        assert_eq!(daemon.ended().code(), Some(69), "{}", daemon.log());
        let said = daemon.log();
        let lines: Vec<_> = said.lines().filter(|line| line.contains("ERROR")).collect();
        assert_eq!(lines.len(), 1, "{said}");
        let missing = words.iter().find(|word| !lines[0].contains(**word));
        assert!(missing.is_none(), "{missing:?} is not in {said}");
        assert!(lines[0].contains(shop.journal().to_str().unwrap()), "{said}");
        assert!(!shop.journal().exists(), "half a journal");
        assert!(!shop.socket().exists(), "nobody shall wait for it");
    };
    let much = disk.fill();
    starts(&["the disk is full"]);
    fs::remove_file(&much).unwrap();
    disk.remount("ro");
    starts(&["Read-only file system"]);
    disk.remount("rw");
    let daemon = shop.start();
    assert_eq!(
        outcome(&daemon.pay("FIRST", &with_code("1.00")).expect(201)),
        is("paid", "taken", "")
    );
}

#[test]
fn a_start_on_a_full_disk_answers_and_begins_nothing() {
    let Some((shop, disk)) = shop() else { return };
    let daemon = shop.start();
    let before = daemon.pay("BEFORE", &with_code("1.00")).expect(201);
    daemon.stop();
    let much = disk.fill();
    let daemon = shop.start();
    let status = daemon.status();
    assert_eq!(status["journal"]["writable"], false, "{status}");
    assert!(status["journal"]["reason"].as_str().unwrap().contains("full"), "{status}");
    refused(&daemon.put("NEW", &with_code("1.00")).expect(503));
    assert_eq!(daemon.payment("BEFORE"), before);
    fs::remove_file(&much).unwrap();
    until_taken(&daemon, "NEW");
}
