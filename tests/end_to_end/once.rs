//! However often a register asks, the buyer is charged once.

use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use crate::http;
use crate::till::{Shop, code, is, outcome, until, with_code};

#[test]
fn fifty_equal_requests_at_once_charge_once() {
    let shop = Shop::usual();
    let daemon = shop.start();
    let body = with_code("77.02");
    let barrier = Barrier::new(50);
    let replies: Vec<_> = thread::scope(|scope| {
        let ask = || {
            barrier.wait();
            daemon.pay("ONCE", &body)
        };
        let all: Vec<_> = (0..50).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|one| one.join().expect("a reply")).collect()
    });
    let with = |status| replies.iter().filter(|reply| reply.status == status).count();
    assert_eq!((with(201), with(200)), (1, 49));
    for reply in &replies {
        assert_eq!(outcome(&reply.json()), is("paid", "taken", ""));
        assert_eq!(reply.json(), replies[0].json());
    }
    assert_eq!(shop.requests("ONCE", "pay"), 1);
    assert_eq!(shop.money("ONCE"), (77_02, 0));
}

#[test]
fn a_register_that_hangs_up_asks_again_and_gets_the_same_payment() {
    let shop = Shop::usual();
    let daemon = shop.start();
    // The buyer dawdles.
    let body = with_code("77.04");
    for _ in 0..2 {
        let mut register = http::unix(&daemon.socket).expect("a connection");
        let path = "/v1/payments/LOST?wait=60";
        http::send(&mut register, "PUT", path, "", &body.to_string()).expect("sent");
        until("the payment is known", || {
            (daemon.get("/v1/payments/LOST").status == 200).then_some(())
        });
        drop(register);
    }
    let before = daemon.until_state("LOST", "awaiting_buyer");
    let again = daemon.put("LOST", &body).expect(200);
    assert_eq!(again["created_at"], before["created_at"]);
    // With another code it is still the same payment, and that code pays nothing.
    let mut other = body.clone();
    other["auth_code"] = json!(code());
    daemon.put("LOST", &other).expect(200);
    assert!(shop.gateway().ledger().confirm("LOST"));
    let paid = daemon.pay("LOST", &body).expect(200);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
    assert_eq!(shop.requests("LOST", "pay"), 1);
    assert_eq!(shop.money("LOST"), (77_04, 0));

    // The same number for something else is refused by name, and nothing comes
    // of it.
    for (member, value) in [("amount", json!("1.00")), ("subject", json!("茶"))] {
        let mut other = body.clone();
        other[member] = value;
        let problem = daemon.put("LOST", &other).expect(409);
        assert_eq!(problem["code"], "order_conflict");
        assert_eq!(problem["differs"], json!([member]));
        assert_eq!(problem["money"], "unknown");
    }
    assert_eq!(daemon.payment("LOST"), paid);
}

/// Bug to plant: hand the request on without its asker.
#[test]
fn the_journal_tells_who_asked() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.put("ASKED", &with_code("77.04")).expect(201);
    daemon.until_state("ASKED", "awaiting_buyer");
    daemon.post("/v1/payments/ASKED/cancel", &json!({}));
    let told = daemon.get("/v1/payments/ASKED/journal").expect(200);
    let own = json!({ "uid": nix::unistd::geteuid().as_raw(), "pid": std::process::id() });
    let of = |step: &str| {
        let entries = told["entries"].as_array().expect("entries").iter();
        entries.filter(|entry| entry["step"] == step).map(|entry| entry["asker"].clone()).next()
    };
    assert_eq!((of("requested"), of("stop")), (Some(own.clone()), Some(own)), "{told}");
}

#[test]
fn seven_is_seven_and_lists_tell_all() {
    let shop = Shop::usual();
    let daemon = shop.start();
    let mut body = with_code("7");
    daemon.pay("SEVEN", &body).expect(201);
    body["amount"] = json!("7.00");
    let paid = daemon.put("SEVEN", &body).expect(200);
    assert_eq!(paid["amount"], "7.00");
    for amount in ["7.001", "+7", "7e0", "７", " 7", "-7", "0", "100000000.01"] {
        body["amount"] = json!(amount);
        let problem = daemon.put("EIGHT", &body).expect(422);
        assert_eq!(
            (&problem["code"], &problem["money"]),
            (&json!("invalid_amount"), &json!("none"))
        );
    }
    assert_eq!(daemon.get("/v1/payments/EIGHT").expect(404)["code"], "not_found");
    for number in ["LIST1", "LIST2", "LIST3"] {
        daemon.pay(number, &with_code("1.00")).expect(201);
    }
    let numbers = |page: &Value| -> Vec<String> {
        let payments = page["payments"].as_array().expect("payments");
        payments.iter().map(|p| p["out_trade_no"].as_str().unwrap().to_owned()).collect()
    };
    let page = daemon.get("/v1/payments?limit=3&state=paid").expect(200);
    assert_eq!(numbers(&page), ["LIST3", "LIST2", "LIST1"]);
    let cursor = page["next_cursor"].as_str().expect("more");
    let page = daemon.get(&format!("/v1/payments?limit=3&state=paid&cursor={cursor}")).expect(200);
    assert_eq!(numbers(&page), ["SEVEN"]);
    assert!(page["next_cursor"].is_null());
    assert_eq!(numbers(&daemon.get("/v1/payments?state=open").expect(200)), [""; 0]);
}
