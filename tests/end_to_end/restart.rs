//! What survives the end of the daemon.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use tilld::sandbox::Fault;

use crate::http::{self, Event};
use crate::scanner::Pty;
use crate::till::{Setup, Shop, code, is, outcome, until, with_code, without_code};

/// What `TimeoutStopSec` and the contract give it.
const STOP_MAX: Duration = Duration::from_secs(5);

fn ids(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.id).collect()
}

#[test]
fn events_have_no_gap_over_restarts() {
    let shop = Shop::open(Setup { scanners: vec!["lane-1".to_owned()], ..Setup::default() });
    let mut pty = Pty::plug(&shop.path("lane-1"));
    let mut daemon = shop.start();
    daemon.until_plugged();
    let mut seen = Vec::new();
    let mut last = 0;
    for round in 0..3 {
        let mut events = daemon.events(Some(last));
        let number = format!("EVENT{round}");
        daemon.pay(&number, &with_code("77.02")).expect(201);
        pty.scan("6901234567892", round);
        let open = format!("OPEN{round}");
        daemon.put(&open, &with_code("77.04")).expect(201);
        // Not all that there is: the rest comes after the restart.
        seen.extend(events.until(|event| event.is("payment", &[("out_trade_no", &open)])));
        last = seen.last().unwrap().id;
        daemon.until_state(&open, "awaiting_buyer");
        if round % 2 == 0 {
            daemon.kill();
        } else {
            daemon.stop();
        }
        daemon = shop.start();
        daemon.until_plugged();
    }
    let mut events = daemon.events(Some(last));
    for round in 0..3 {
        let number = format!("OPEN{round}");
        assert!(shop.gateway().ledger().confirm(&number));
        daemon.settled(&number);
    }
    let head = daemon.status()["journal"]["head_seq"].as_u64().unwrap();
    seen.extend(events.until(|event| event.id >= head));
    assert_eq!(ids(&seen), (1..=head).collect::<Vec<u64>>());

    // From the beginning it is the same again, and the stream goes on.
    let mut events = daemon.events(Some(0));
    assert_eq!(events.until(|event| event.id >= head), seen);
    daemon.pay("MORE", &with_code("1.00")).expect(201);
    let more = events.until(|event| event.data["state"] == "paid");
    assert_eq!(more[0].id, head + 1);
    // A payment's events tell each change once, in order.
    for round in 0..3 {
        let number = format!("OPEN{round}");
        let revs: Vec<u64> = seen
            .iter()
            .filter(|event| event.is("payment", &[("out_trade_no", &number)]))
            .map(|event| event.data["rev"].as_u64().unwrap())
            .collect();
        assert_eq!(revs, (1..=revs.len() as u64).collect::<Vec<u64>>(), "{number}");
    }
    // An id that is not from this journal is refused, not guessed at.
    let mut stream = http::unix(&daemon.socket).unwrap();
    let header = "Last-Event-ID: 1000000\r\n";
    http::send(&mut stream, "GET", "/v1/events", header, "").unwrap();
    assert_eq!(http::receive(&mut stream).unwrap().status, 422);
}

#[test]
fn told_to_stop_it_ends_in_time_and_loses_nothing() {
    let shop = Shop::open(Setup { scanners: vec!["lane-1".to_owned()], ..Setup::default() });
    let mut pty = Pty::plug(&shop.path("lane-1"));
    let mut daemon = shop.start();
    daemon.until_plugged();
    // One of each: waits for a code, waits for the buyer, waits for the gateway.
    daemon.put("CODE", &without_code("1.00")).expect(201);
    daemon.put("BUYER", &with_code("77.04")).expect(201);
    daemon.until_state("BUYER", "awaiting_buyer");
    let slow = Fault {
        method: Some("pay".to_owned()),
        out_trade_no: Some("SLOW".to_owned()),
        delay_ms: Some(60_000),
        ..Fault::default()
    };
    shop.gateway().fault(slow).unwrap();
    daemon.put("SLOW", &with_code("2.00")).expect(201);
    until("the pay is there", || (shop.requests("SLOW", "pay") == 1).then_some(()));

    let mut waiting = http::unix(&daemon.socket).expect("a connection");
    http::send(&mut waiting, "GET", "/v1/payments/BUYER?wait=60", "", "").expect("sent");
    // Connections are taken in turn, so behind this one that request is known.
    let mut events = daemon.events(None);
    daemon.signal(Signal::SIGTERM);
    let deadline = Instant::now() + STOP_MAX;
    // Requests that come meanwhile are refused, or were in time.
    let mut more = Vec::new();
    for round in 0.. {
        let number = format!("LATE{round}");
        let path = format!("/v1/payments/{number}");
        let Ok(reply) = daemon.ask("PUT", &path, &with_code("1.00").to_string()) else { break };
        match reply.status {
            201 => more.push(number),
            503 => assert_eq!(reply.json()["code"], "stopping"),
            _ => panic!("{reply:?}"),
        }
        assert!(Instant::now() < deadline, "it goes on");
    }
    while events.next().is_some() {}
    let told = http::receive(&mut waiting);
    // Whoever waited hears how it stands.
    assert_eq!(told.expect("a reply").expect(200)["state"], "awaiting_buyer");
    let deadline = Instant::now() + STOP_MAX;
    let status = loop {
        if let Some(status) = daemon.has_ended() {
            break status;
        }
        assert!(Instant::now() < deadline, "it does not end: {}", daemon.log());
        thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(0), "{}", daemon.log());

    let daemon = shop.start();
    daemon.until_plugged();
    assert!(shop.gateway().ledger().confirm("BUYER"));
    for number in more.iter().map(String::as_str).chain(["BUYER", "SLOW"]) {
        assert_eq!(outcome(&daemon.settled(number)), is("paid", "taken", ""), "{number}");
        assert_eq!(shop.requests(number, "pay"), 1, "{number}");
    }
    assert_eq!(daemon.payment("CODE")["state"], "awaiting_code");
    pty.scan(&code(), 0);
    assert_eq!(outcome(&daemon.settled("CODE")), is("paid", "taken", ""));
    let open = daemon.get("/v1/payments?state=open").expect(200);
    assert_eq!(open["payments"], json!([]));
}

/// Elsewhere its number means nothing: it would be told as never charged.
#[test]
fn a_payment_that_is_open_in_another_account_is_not_asked_about_in_this_one() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.put("PAID", &with_code("1.00")).expect(201);
    daemon.settled("PAID");
    daemon.put("OPEN", &with_code("77.04")).expect(201);
    until("the pay is there", || (shop.requests("OPEN", "pay") == 1).then_some(()));
    daemon.kill();
    let ours = shop.gateway().app_id().to_owned();
    let config = shop.path("other.toml");
    let text = shop
        .config_text()
        .replace(&format!("app_id = \"{ours}\""), "app_id = \"2021000000000000\"");
    assert!(!text.contains(&ours), "{text}");
    std::fs::write(&config, text).unwrap();
    let mut refused = shop.spawn(shop.command_with(&config));
    assert_eq!(refused.ended().code(), Some(78), "{}", refused.log());
    let log = refused.log();
    for word in ["OPEN", "2021000000000000", &ours] {
        assert!(log.contains(word), "{word}: {log}");
    }
    assert!(!log.contains("PAID"), "{log}");
    let daemon = shop.start();
    daemon.post("/v1/payments/OPEN/cancel", &json!({}));
    daemon.settled("OPEN");
    daemon.stop();
    // With nothing open the account may change.
    let daemon = shop.start_with(shop.command_with(&config));
    assert_eq!(daemon.payment("PAID")["state"], "paid");
}
