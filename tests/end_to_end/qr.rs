//! Codes that customers scan: shown, scanned, run out.

use serde_json::{Value, json};

use crate::till::{Daemon, Setup, Shop, is, outcome, until};

fn by_qr(amount: &str) -> Value {
    json!({ "amount": amount, "subject": "咖啡", "method": "qr" })
}

/// What is shown for a payment, once there is something.
fn shown(daemon: &Daemon, number: &str) -> String {
    let payment = daemon.until_state(number, "awaiting_buyer");
    assert_eq!(payment["money"], "unknown", "{payment}");
    let zh = payment["cashier"]["zh"].as_str().expect("a sentence");
    assert!(zh.contains("扫二维码"), "{zh}");
    payment["qr_code"].as_str().expect("what to show").to_owned()
}

fn scan(shop: &Shop, qr_code: &str) {
    shop.gateway().scan(qr_code, true).expect("it can be scanned");
}

#[test]
fn a_code_that_is_scanned_is_paid() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.until_ready();
    daemon.put("QR1", &by_qr("3.20")).expect(201);
    let qr_code = shown(&daemon, "QR1");
    let svg = daemon.get("/v1/payments/QR1/qr.svg");
    assert!(svg.text.starts_with("<svg "), "{}", svg.text);
    scan(&shop, &qr_code);
    assert_eq!(outcome(&daemon.settled("QR1")), is("paid", "taken", ""));
    assert_eq!(shop.money("QR1"), (320, 0));
    let told = daemon.get("/v1/payments/QR1/qr.svg").expect(409);
    assert_eq!(told["code"], "nothing_to_scan", "nobody may be shown it any more");
    // The same request is the same payment.
    let again = daemon.put("QR1", &by_qr("3.20")).expect(200);
    assert_eq!(again["state"], "paid");
    assert_eq!(shop.requests("QR1", "precreate"), 1);
}

#[test]
fn a_code_that_nobody_scans_ends_when_nobody_can_any_more() {
    let shop = Shop::open(Setup { timeout: "3s", late_margin: "1s", ..Setup::default() });
    let daemon = shop.start();
    daemon.until_ready();
    daemon.put("QR2", &by_qr("3.20")).expect(201);
    let qr_code = shown(&daemon, "QR2");
    assert_eq!(outcome(&daemon.settled("QR2")), is("cancelled", "none", "close"));
    assert!(shop.gateway().scan(&qr_code, true).is_err(), "and nobody can");
    assert_eq!(shop.money("QR2"), (0, 0));
}

#[test]
fn what_is_scanned_after_the_cashier_gave_up_goes_back() {
    let shop = Shop::open(Setup { timeout: "20s", ..Setup::default() });
    let daemon = shop.start();
    daemon.until_ready();
    daemon.put("QR3", &by_qr("3.20")).expect(201);
    let qr_code = shown(&daemon, "QR3");
    daemon.post("/v1/payments/QR3/cancel", &json!({})).expect(202);
    until("a cancel found nothing", || (shop.requests("QR3", "cancel") > 0).then_some(()));
    scan(&shop, &qr_code);
    assert_eq!(outcome(&daemon.settled("QR3")), is("cancelled", "returned", "refund"));
    assert_eq!(shop.money("QR3"), (320, 320));
}

#[test]
fn a_code_is_shown_again_after_a_restart() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.until_ready();
    daemon.put("QR4", &by_qr("3.20")).expect(201);
    let qr_code = shown(&daemon, "QR4");
    daemon.kill();
    let daemon = shop.start();
    assert_eq!(shown(&daemon, "QR4"), qr_code);
    scan(&shop, &qr_code);
    assert_eq!(outcome(&daemon.settled("QR4")), is("paid", "taken", ""));
    assert_eq!(shop.requests("QR4", "precreate"), 1, "it is made once");
}

#[test]
fn whoever_shows_a_code_takes_none() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.until_ready();
    for (member, value) in [("auth_code", "2800000000001001"), ("scanner", "lane-1")] {
        let mut body = by_qr("3.20");
        body[member] = json!(value);
        let told = daemon.put("QR5", &body).expect(422);
        assert_eq!(
            (told["code"].as_str(), told["member"].as_str()),
            (Some("invalid_request"), Some(member))
        );
    }
}
