//! Money that goes back: whole and in parts, once, and only as much as there is.

use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};
use tilld::sandbox::Fault;

use crate::http::{self, Reply};
use crate::till::{Daemon, Shop, is, outcome, until, with_code};
use crate::world::World;

/// A refund of so much.
pub(crate) fn of(amount: &str) -> Value {
    json!({ "amount": amount, "reason": "凉了" })
}

/// Somebody at the merchant does something, by the sandbox's own door.
fn control(shop: &Shop, path: &str, body: &Value) -> Value {
    let mut stream = http::tcp(shop.gateway().addr()).expect("a connection");
    http::send(&mut stream, "POST", path, "", &body.to_string()).expect("sent");
    http::receive(&mut stream).expect("a reply").expect(200)
}

fn paid(daemon: &Daemon, number: &str, amount: &str) {
    let payment = daemon.pay(number, &with_code(amount)).expect(201);
    assert_eq!(outcome(&payment), is("paid", "taken", ""));
}

fn open_count(daemon: &Daemon) -> u64 {
    let status = daemon.status()["open_payments"].as_u64().expect("a number");
    let metrics = daemon.get("/metrics").text;
    let line = metrics.lines().find_map(|line| line.strip_prefix("tilld_open_payments "));
    assert_eq!(line.and_then(|count| count.parse().ok()), Some(status), "{metrics}");
    status
}

/// The journal is sound and says of each payment what the ledger says.
pub(crate) fn books_agree(shop: &Shop, daemon: Daemon, numbers: &[&str]) {
    for number in numbers {
        let all = daemon.get(&format!("/v1/payments/{number}/refunds")).expect(200);
        let told: Vec<(String, u64)> = all["refunds"]
            .as_array()
            .expect("refunds")
            .iter()
            .filter(|refund| refund["state"] == "refunded")
            .map(|refund| {
                let fen = refund["amount"].as_str().expect("an amount").replace('.', "");
                let request = refund["out_request_no"].as_str().expect("a number").to_owned();
                (request, fen.parse().expect("fen"))
            })
            .collect();
        let mut held = shop.given_back(number);
        held.retain(|(request, _)| request != "MERCHANT_ACCOUNT");
        assert_eq!(told, held, "{number}: {all}");
    }
    daemon.stop();
    let report = tilld::journal::verify(&shop.journal(), None).expect("a sound journal");
    assert_eq!(report.open, 0);
}

#[test]
fn a_payment_is_given_back_in_parts_and_not_a_fen_more() {
    let shop = Shop::usual();
    let daemon = shop.start();
    paid(&daemon, "PARTS", "12.34");
    let mut events = daemon.events(None);
    let refund = daemon.give_back("PARTS", "R1", &of("5.00")).expect(201);
    assert_eq!((&refund["state"], &refund["final"]), (&json!("refunded"), &json!(true)));
    assert_eq!((&refund["amount"], &refund["cause"]), (&json!("5.00"), &json!("register")));
    assert!(refund["attention"].is_null() && refund["refusal"].is_null(), "{refund}");
    let payment = daemon.payment("PARTS");
    assert_eq!(outcome(&payment), is("paid", "taken", ""));
    assert_eq!(payment["refunded_amount"], "5.00");
    let told = events.until(|event| event.is("refund", &[("state", "refunded")]));
    let told = &told.last().expect("one").data;
    assert_eq!(told["out_request_no"], "R1");

    let too_much = daemon.give_back("PARTS", "R2", &of("7.35")).expect(422);
    assert_eq!((&too_much["code"], &too_much["left"]), (&json!("refund_exceeds"), &json!("7.34")));
    assert_eq!(too_much["money"], "taken", "{too_much}");
    assert_eq!(daemon.get("/v1/payments/PARTS/refunds/R2").status, 404, "it never began");
    daemon.give_back("PARTS", "R2", &of("7.34")).expect(201);
    let payment = daemon.payment("PARTS");
    assert_eq!(
        (&payment["refunded_amount"], &payment["money"]),
        (&json!("12.34"), &json!("returned"))
    );
    let nothing_left = daemon.give_back("PARTS", "R3", &of("0.01")).expect(422);
    assert_eq!(nothing_left["left"], "0.00");
    // Whoever asks again, at any time, is told of the same refund; for another sum,
    // that its number is taken.
    assert_eq!(daemon.give_back("PARTS", "R1", &of("5")).expect(200), refund);
    let other = daemon.give_back("PARTS", "R1", &of("5.01")).expect(409);
    assert_eq!(other["code"], "refund_conflict");
    assert_eq!(shop.requests("PARTS", "refund"), 2);
    assert_eq!(shop.money("PARTS"), (12_34, 12_34));

    paid(&daemon, "WHOLE", "12.34");
    daemon.give_back("WHOLE", "R1", &of("12.34")).expect(201);
    assert_eq!(daemon.payment("WHOLE")["money"], "returned");
    assert_eq!(shop.given_back("WHOLE"), [("R1".to_owned(), 12_34)]);
    assert_eq!(shop.requests("WHOLE", "refund"), 1);
    books_agree(&shop, daemon, &["PARTS", "WHOLE"]);
}

/// Bug to plant: send the call of a request that is known.
#[test]
fn many_equal_requests_at_once_give_back_once() {
    let shop = Shop::usual();
    let daemon = shop.start();
    paid(&daemon, "ONCE", "9.00");
    let barrier = Barrier::new(20);
    let replies: Vec<Reply> = thread::scope(|scope| {
        let ask = || {
            barrier.wait();
            daemon.give_back("ONCE", "R1", &of("4.00"))
        };
        let all: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|one| one.join().expect("a reply")).collect()
    });
    let with = |status| replies.iter().filter(|reply| reply.status == status).count();
    assert_eq!((with(201), with(200)), (1, 19));
    for reply in &replies {
        assert_eq!(reply.json(), replies[0].json());
    }
    assert_eq!((shop.requests("ONCE", "refund"), shop.money("ONCE")), (1, (9_00, 4_00)));
    books_agree(&shop, daemon, &["ONCE"]);
}

#[test]
fn of_two_refunds_at_once_one_goes_out_and_the_other_later() {
    let shop = Shop::usual();
    let daemon = shop.start();
    paid(&daemon, "RACE", "9.00");
    let slow = Fault {
        method: Some("refund".to_owned()),
        out_trade_no: Some("RACE".to_owned()),
        delay_ms: Some(5_000),
        ..Fault::default()
    };
    shop.gateway().fault(slow).expect("a fault");
    let barrier = Barrier::new(2);
    let (barrier, daemon_of) = (&barrier, &daemon);
    let replies: Vec<(&str, Reply)> = thread::scope(|scope| {
        let ask = |request: &'static str| {
            scope.spawn(move || {
                barrier.wait();
                let path = format!("RACE/refunds/{request}");
                (request, daemon_of.put(&path, &of("4.50")))
            })
        };
        let all = ["R1", "R2"].map(ask);
        all.into_iter().map(|one| one.join().expect("a reply")).collect()
    });
    let won = replies.iter().find(|(_, reply)| reply.status == 201).expect("one goes out").0;
    let (lost, denied) = replies.iter().find(|(_, reply)| reply.status != 201).expect("one waits");
    let denied = denied.expect(409);
    assert_eq!(denied["code"], "refund_in_doubt", "{denied}");
    assert_eq!(denied["money"], "taken");
    until("one is there", || (shop.requests("RACE", "refund") == 1).then_some(()));
    assert_eq!(open_count(&daemon), 1, "a refund is open like a payment");
    daemon.refund_settled("RACE", won);
    assert_eq!(open_count(&daemon), 0);
    daemon.give_back("RACE", lost, &of("4.50")).expect(201);
    assert_eq!((shop.requests("RACE", "refund"), shop.money("RACE")), (2, (9_00, 9_00)));
    books_agree(&shop, daemon, &["RACE"]);
}

#[test]
fn what_is_not_settled_or_not_paid_gives_nothing_back() {
    let shop = Shop::usual();
    let daemon = shop.start();
    let unknown = daemon.give_back("NOBODY", "R1", &of("1.00")).expect(404);
    assert_eq!((&unknown["code"], &unknown["money"]), (&json!("not_found"), &json!("unknown")));
    daemon.put("OPEN", &with_code("77.04")).expect(201);
    daemon.until_state("OPEN", "awaiting_buyer");
    let denied = daemon.give_back("OPEN", "R1", &of("1.00")).expect(409);
    assert_eq!(
        (&denied["code"], &denied["money"]),
        (&json!("payment_in_doubt"), &json!("unknown"))
    );
    daemon.post("/v1/payments/OPEN/cancel", &json!({}));
    daemon.settled("OPEN");
    let denied = daemon.give_back("OPEN", "R1", &of("1.00")).expect(409);
    assert_eq!((&denied["code"], &denied["money"]), (&json!("not_paid"), &json!("none")));
    assert_eq!(shop.requests("OPEN", "refund") + shop.requests("NOBODY", "refund"), 0);
    books_agree(&shop, daemon, &["OPEN"]);
}

/// Bug to plant: count only what this terminal gave back.
#[test]
fn what_somebody_gives_back_in_the_merchants_account_is_told_and_counts() {
    let shop = Shop::usual();
    let daemon = shop.start();
    paid(&daemon, "ELSEWHERE", "10.00");
    control(&shop, "/sandbox/trades/ELSEWHERE/refund", &json!({ "refund_amount": "2.00" }));
    let refund = daemon.give_back("ELSEWHERE", "R1", &of("3.00")).expect(201);
    assert_eq!(refund["state"], "refunded");
    let told = &refund["attention"];
    for (language, word) in [("zh", "5.00"), ("en", "5.00")] {
        assert!(told[language].as_str().is_some_and(|text| text.contains(word)), "{refund}");
    }
    let denied = daemon.give_back("ELSEWHERE", "R2", &of("5.01")).expect(422);
    assert_eq!((&denied["code"], &denied["left"]), (&json!("refund_exceeds"), &json!("5.00")));
    daemon.give_back("ELSEWHERE", "R2", &of("5.00")).expect(201);
    assert_eq!(shop.money("ELSEWHERE"), (10_00, 10_00));

    // Nobody has told the terminal yet: Alipay itself refuses, and that is asked about.
    paid(&daemon, "UNTOLD", "10.00");
    control(&shop, "/sandbox/trades/UNTOLD/refund", &json!({ "refund_amount": "2.00" }));
    let refund = daemon.give_back("UNTOLD", "R1", &of("10.00")).expect(201);
    assert_eq!(refund["state"], "refused", "{refund}");
    assert!(refund["refusal"]["sub_code"].is_string(), "{refund}");
    daemon.give_back("UNTOLD", "R2", &of("8.00")).expect(201);
    assert_eq!(shop.money("UNTOLD"), (10_00, 10_00));
    books_agree(&shop, daemon, &["ELSEWHERE", "UNTOLD"]);
}

/// Bug to plant: after a restart a refund is sent again under another number.
#[test]
fn a_refund_that_was_open_when_the_power_went_is_carried_on_with() {
    let shop = Shop::usual();
    let daemon = shop.start();
    paid(&daemon, "CUT", "10.00");
    let slow = Fault {
        method: Some("refund".to_owned()),
        out_trade_no: Some("CUT".to_owned()),
        delay_ms: Some(60_000),
        ..Fault::default()
    };
    shop.gateway().fault(slow).expect("a fault");
    let refund = daemon.put("CUT/refunds/R1", &of("4.00")).expect(201);
    assert_eq!((&refund["state"], &refund["final"]), (&json!("processing"), &json!(false)));
    until("the refund is there", || (shop.requests("CUT", "refund") == 1).then_some(()));
    daemon.kill();
    let daemon = shop.start();
    assert_eq!(daemon.refund_settled("CUT", "R1")["state"], "refunded");
    assert_eq!(daemon.put("CUT/refunds/R1", &of("4.00")).expect(200)["state"], "refunded");
    assert_eq!((shop.requests("CUT", "refund"), shop.money("CUT")), (1, (10_00, 4_00)));

    // Nothing of the next reaches the gateway before the power goes.
    let lost = Fault {
        method: Some("refund".to_owned()),
        out_trade_no: Some("CUT".to_owned()),
        drop_request: true,
        ..Fault::default()
    };
    shop.gateway().fault(lost).expect("a fault");
    daemon.put("CUT/refunds/R2", &of("6.00")).expect(201);
    until("it is known to be lost", || daemon.log().contains("R2").then_some(()));
    daemon.kill();
    let daemon = shop.start();
    assert_eq!(daemon.refund_settled("CUT", "R2")["state"], "refunded");
    assert_eq!(shop.money("CUT"), (10_00, 10_00));
    books_agree(&shop, daemon, &["CUT"]);
}

/// Elsewhere its number means nothing.
#[test]
fn a_refund_that_is_open_in_another_account_keeps_the_daemon_from_starting_in_this_one() {
    let shop = Shop::usual();
    let daemon = shop.start();
    paid(&daemon, "REFUNDED", "10.00");
    paid(&daemon, "OTHER", "10.00");
    daemon.give_back("OTHER", "R1", &of("1.00")).expect(201);
    let lost = Fault {
        method: Some("refund".to_owned()),
        out_trade_no: Some("REFUNDED".to_owned()),
        drop_request: true,
        ..Fault::default()
    };
    shop.gateway().fault(lost).expect("a fault");
    daemon.put("REFUNDED/refunds/R1", &of("4.00")).expect(201);
    daemon.kill();
    let ours = shop.gateway().app_id().to_owned();
    let config = shop.path("other.toml");
    let text = shop
        .config_text()
        .replace(&format!("app_id = \"{ours}\""), "app_id = \"2021000000000000\"");
    std::fs::write(&config, text).expect("written");
    let mut refused = shop.spawn(shop.command_with(&config));
    assert_eq!(refused.ended().code(), Some(78), "{}", refused.log());
    let log = refused.log();
    for word in ["a refund of payment REFUNDED is open", "2021000000000000", &ours] {
        assert!(log.contains(word), "{word}: {log}");
    }
    assert!(!log.contains("OTHER"), "{log}");
    let daemon = shop.start();
    assert_eq!(daemon.refund_settled("REFUNDED", "R1")["state"], "refunded");
    daemon.stop();
    // With nothing open the account may change; what was paid in the other one is
    // given back there.
    let daemon = shop.start_with(shop.command_with(&config));
    let denied = daemon.give_back("REFUNDED", "R2", &of("1.00")).expect(409);
    assert_eq!((&denied["code"], &denied["money"]), (&json!("other_account"), &json!("taken")));
}

/// Bug to plant: an empty account is a refusal.
#[test]
fn an_empty_merchants_account_is_waited_for_until_it_is_filled() {
    let shop = Shop::usual();
    let world = World::of(&shop);
    let daemon = shop.start_with(world.around(shop.command()));
    paid(&daemon, "POOR", "66.09");
    daemon.put("POOR/refunds/R1", &of("66.09")).expect(201);
    let mut slept = 0;
    for refused in 1..=2 {
        let refund = until("the account is empty", || {
            let refund = daemon.refund("POOR", "R1");
            let asked = shop.requests("POOR", "refund") == refused;
            (asked && refund["attention"]["zh"].is_string()).then_some(refund)
        });
        assert_eq!((&refund["state"], &refund["final"]), (&json!("processing"), &json!(false)));
        assert!(refund["attention"]["zh"].as_str().unwrap().contains("余额"), "{refund}");
        assert_eq!((open_count(&daemon), shop.money("POOR")), (1, (66_09, 0)));
        let denied = daemon.give_back("POOR", "R2", &of("1.00")).expect(409);
        assert_eq!(denied["code"], "refund_in_doubt");
        // Nobody waits for minutes here.
        slept += 10 * 60_000;
        world.wall_off_by(slept);
        shop.gateway().set_skew_ms(slept);
        world.has_slept(slept);
    }
    let refund = daemon.refund_settled("POOR", "R1");
    assert_eq!((&refund["state"], &refund["attention"]), (&json!("refunded"), &Value::Null));
    assert_eq!((open_count(&daemon), shop.money("POOR")), (0, (66_09, 66_09)));
    books_agree(&shop, daemon, &["POOR"]);
}
