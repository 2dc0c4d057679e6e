//! What the terminal owes: a payment that was to be cancelled, was paid, and cannot
//! be cancelled goes back by a refund of the terminal's own.

use std::thread;

use serde_json::{Value, json};
use tilld::sandbox::Fault;

use crate::refunds::books_agree;
use crate::till::{Daemon, Setup, Shop, is, outcome, until, with_code};

fn shop() -> Shop {
    Shop::open(Setup {
        request_timeout: "2s",
        timeout: "3s",
        expire_after: "8s",
        ..Setup::default()
    })
}

fn own_refund(daemon: &Daemon, number: &str) -> Value {
    let all = daemon.get(&format!("/v1/payments/{number}/refunds")).expect(200);
    let all = all["refunds"].as_array().expect("refunds").clone();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

/// The books, the refund and the payment say the same.
fn is_returned(shop: &Shop, daemon: &Daemon, number: &str, payment: &Value) {
    assert_eq!(outcome(payment), is("cancelled", "returned", "refund"), "{payment}");
    assert!(payment["attention"].is_null(), "{payment}");
    let refund = own_refund(daemon, number);
    assert_eq!(refund["out_request_no"], *number, "one number, the same after any crash");
    assert_eq!((&refund["cause"], &refund["state"]), (&json!("undo"), &json!("refunded")));
    assert_eq!(shop.given_back(number), [(number.to_owned(), 77_40)]);
    assert_eq!(shop.money(number), (77_40, 77_40));
}

#[test]
fn a_cancel_that_is_refused_for_good_is_made_good_by_a_refund() {
    let shop = shop();
    let daemon = shop.start();
    let mut events = daemon.events(None);
    let payment = daemon.pay("OWED", &with_code("77.40")).expect(201);
    is_returned(&shop, &daemon, "OWED", &payment);
    // Nobody was told that it is over before the money was back.
    let told = events.until(|event| event.data["final"] == true && event.name == "payment");
    let back = told.iter().position(|event| event.is("refund", &[("state", "refunded")]));
    assert!(back.is_some_and(|at| at < told.len() - 1), "{told:#?}");
    let over = told.iter().filter(|event| event.name == "payment" && event.data["final"] == true);
    assert_eq!(over.count(), 1);
    // There is nothing left that a register could ask for.
    let denied = daemon.give_back("OWED", "R1", &json!({ "amount": "0.01" })).expect(409);
    assert_eq!((&denied["code"], &denied["money"]), (&json!("not_paid"), &json!("returned")));
    books_agree(&shop, daemon, &["OWED"]);
}

/// The answer is lost, and the power goes while the terminal owes.
#[test]
fn what_is_owed_goes_back_once_over_a_power_cut() {
    let shop = shop();
    let daemon = shop.start();
    let slow =
        Fault { method: Some("refund".to_owned()), delay_ms: Some(60_000), ..Fault::default() };
    shop.gateway().fault(slow).expect("a fault");
    daemon.put("OWED", &with_code("77.40")).expect(201);
    until("the refund is there", || (shop.requests("OWED", "refund") == 1).then_some(()));
    let payment = daemon.payment("OWED");
    assert_eq!((&payment["final"], &payment["money"]), (&json!(false), &json!("unknown")));
    // The register cannot ask for it as well.
    let denied = daemon.give_back("OWED", "R1", &json!({ "amount": "77.40" })).expect(409);
    assert_eq!(denied["code"], "payment_in_doubt", "{denied}");
    daemon.kill();
    let daemon = shop.start();
    let payment = daemon.settled("OWED");
    is_returned(&shop, &daemon, "OWED", &payment);
    assert_eq!(shop.requests("OWED", "refund"), 1, "it was asked about");
    books_agree(&shop, daemon, &["OWED"]);
}

/// Alipay takes neither the cancel nor the refund: the merchant has the money, a
/// person is told, and the register may try by itself later.
#[test]
fn what_alipay_will_not_give_back_either_stays_paid_with_attention() {
    let shop = shop();
    let daemon = shop.start();
    let no =
        json!({ "code": "40004", "sub_code": "ACQ.TRADE_NOT_ALLOW_REFUND", "sub_msg": "不行" });
    let refuse = Fault {
        method: Some("refund".to_owned()),
        answer: Some(serde_json::from_value(no).expect("an answer")),
        ..Fault::default()
    };
    shop.gateway().fault(refuse).expect("a fault");
    let payment = daemon.pay("KEPT", &with_code("77.40")).expect(201);
    assert_eq!(outcome(&payment), is("paid", "taken", ""), "{payment}");
    assert!(payment["attention"]["zh"].is_string(), "{payment}");
    assert_eq!(own_refund(&daemon, "KEPT")["state"], "refused");
    assert_eq!(shop.money("KEPT"), (77_40, 0));
    let refund = daemon.give_back("KEPT", "R1", &json!({ "amount": "77.40" })).expect(201);
    assert_eq!(refund["state"], "refunded", "{refund}");
    assert_eq!(daemon.payment("KEPT")["money"], "returned");
    books_agree(&shop, daemon, &["KEPT"]);
}

/// As many at once as there are tills in a shop.
#[test]
fn many_owed_payments_go_back_each_once() {
    let shop = shop();
    let daemon = shop.start();
    let numbers: Vec<String> = (0..12).map(|n| format!("OWED{n}")).collect();
    thread::scope(|scope| {
        for number in &numbers {
            let (shop, daemon) = (&shop, &daemon);
            scope.spawn(move || {
                let payment = daemon.pay(number, &with_code("77.40")).expect(201);
                is_returned(shop, daemon, number, &payment);
            });
        }
    });
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    books_agree(&shop, daemon, &numbers);
}
