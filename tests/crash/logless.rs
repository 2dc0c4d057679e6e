//! The plug is pulled, and somebody takes the journal's log away: the terminal
//! does not start as if the payments in it had never been.
//!
//! `cargo test` does it three times, `CRASH_LOGLESS=10` ten times.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use tilld::journal;

use crate::Random;
use crate::books::{self, Word, text};
use crate::register::{self, Reply};
use crate::shop::{LOOK_AGAIN, Shop, Terminal};

const OVER_WITHIN: Duration = Duration::from_secs(60);

#[test]
fn a_journal_without_its_log_is_not_begun_anew() {
    let times = std::env::var("CRASH_LOGLESS").map_or(3, |text| text.parse().unwrap());
    let mut random = Random::from_environment();
    let shop = Shop::open();
    let terminal = shop.terminal(false);
    let mut numbers: Vec<String> = Vec::new();
    let mut refused = 0;
    for time in 0..times {
        let many = 1 + random.below(8);
        let daemon = terminal.start_ready(None).unwrap();
        // Some are on their way when the plug is pulled, or have just been paid.
        std::thread::scope(|scope| {
            for n in 0..many {
                let (number, code) = (format!("LOGLESS_{time}_{n}"), shop.code());
                let amount = if n % 2 == 0 { "12.34" } else { "77.03" };
                let body = json!({ "amount": amount, "subject": "咖啡", "auth_code": code });
                let path = format!("/v1/payments/{number}");
                numbers.push(number);
                let socket = terminal.socket();
                scope.spawn(move || {
                    if n % 4 > 0 {
                        return register::put(&socket, &path, &body);
                    }
                    // Some of it goes back.
                    register::put(&socket, &format!("{path}?wait=1"), &body)?;
                    let some = json!({ "amount": "5.00" });
                    register::put(&socket, &format!("{path}/refunds/R1"), &some)
                });
            }
            std::thread::sleep(Duration::from_millis(random.below(400)));
        });
        let told = register::get(&terminal.socket(), "/v1/status").unwrap().body;
        let told = told["journal"]["head_seq"].as_u64().unwrap();
        daemon.kill();

        let (log, kept) = (terminal.path("journal.db-wal"), terminal.path("kept-wal"));
        fs::copy(&log, &kept).unwrap();
        fs::remove_file(&log).unwrap();
        let left = entries(&terminal);
        if left < told {
            refused += 1;
            refuses(&terminal, left, told);
        }
        // The technician has found it again.
        fs::copy(&kept, &log).unwrap();
        let daemon = terminal.start_ready(None).unwrap();
        let known = register::get(&terminal.socket(), "/v1/status").unwrap().body;
        assert!(known["journal"]["head_seq"].as_u64().unwrap() >= told, "{known}");
        daemon.kill();
    }
    assert!(refused > 0, "the log held nothing, {times} times");
    println!("{times} times without its log, {refused} of them with entries in it");

    let daemon = terminal.start_ready(None).unwrap();
    for number in &numbers {
        let payment = settled(&terminal, number);
        let refund = settled(&terminal, &format!("{number}/refunds/R1"));
        books::compare_refund(number, "R1", refund.as_ref(), shop.ledger()).unwrap();
        let payment = payment.and_then(|_| settled(&terminal, number));
        books::compare(&Word { number: number.clone(), payment }, shop.ledger()).unwrap();
    }
    daemon.kill();
}

/// How many entries the journal has without its log. A copy is looked at, so that
/// nothing is changed.
fn entries(terminal: &Terminal) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("journal.db");
    fs::copy(terminal.journal(), &copy).unwrap();
    journal::verify(&copy, None).map_or(0, |report| report.entries)
}

/// The start ends by itself, and says how many entries there are and were.
fn refuses(terminal: &Terminal, left: u64, told: u64) {
    let before = terminal.log().len();
    let started = terminal.start_ready(None);
    let said = terminal.log().split_off(before);
    assert!(started.is_err(), "{left} entries of {told} are left, and it started: {said}");
    let after = |word: &str| -> Option<u64> {
        let (_, rest) = said.split_once(word)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    assert_eq!(after(" it has "), Some(left), "{said}");
    // What was told is the least that there had been.
    assert!(after(" and had ").is_some_and(|had| had >= told), "{told}: {said}");
    assert!(!terminal.path("journal.db-wal").exists() || entries(terminal) == left);
}

/// The payment or the refund, once it is over.
fn settled(terminal: &Terminal, number: &str) -> Option<serde_json::Value> {
    let deadline = Instant::now() + OVER_WITHIN;
    loop {
        let path = format!("/v1/payments/{number}");
        match register::get(&terminal.socket(), &path).unwrap() {
            Reply { status: 404, .. } => return None,
            Reply { body, .. } if books::is_over(&body) => return Some(body),
            reply => assert!(Instant::now() < deadline, "{}", text(&reply.body, "state")),
        }
        std::thread::sleep(5 * LOOK_AGAIN);
    }
}
