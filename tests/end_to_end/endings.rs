//! Every ending of the sandbox's table, each by one blocking request.

use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};
use tilld::sandbox::endings::{ENDINGS, Ending, Ends};

use crate::till::{Daemon, Setup, Shop, code, is, outcome, until};

#[test]
fn every_ending_of_the_table_through_the_api() {
    let shop = Shop::open(Setup {
        request_timeout: "2s",
        timeout: "6s",
        expire_after: "8s",
        late_margin: "500ms",
        ..Setup::default()
    });
    let daemon = shop.start();
    let failed: Vec<u8> = thread::scope(|scope| {
        let play = |ending: &'static Ending| {
            let (shop, daemon) = (&shop, &daemon);
            (ending.number, scope.spawn(move || play(shop, daemon, ending)))
        };
        let all: Vec<_> = ENDINGS.iter().map(play).collect();
        all.into_iter().filter_map(|(number, one)| one.join().err().map(|_| number)).collect()
    });
    assert_eq!(failed, [0_u8; 0], "endings that went wrong; see above");
    let open = ENDINGS.iter().filter(|ending| ending.ends == Ends::Open).count();
    assert_eq!(daemon.status()["open_payments"], open);
    daemon.stop();
    let report = tilld::journal::verify(&shop.journal(), None).expect("a sound journal");
    assert_eq!((report.payments, report.open), (ENDINGS.len() as u64, open as u64));
}

fn play(shop: &Shop, daemon: &Daemon, ending: &Ending) {
    let number = format!("ENDS_{:02}", ending.number);
    let auth_code = code();
    let body = json!({
        "amount": format!("77.{:02}", ending.number), "subject": "咖啡", "auth_code": auth_code,
    });
    let is_open = ending.ends == Ends::Open;
    let wait = if is_open { 1 } else { 80 };
    let payment = daemon.put(&format!("{number}?wait={wait}"), &body).expect(201);
    let (charged, returned) = shop.money(&number);
    let told = outcome(&payment);
    match ending.ends {
        Ends::Paid => {
            assert_eq!(told, is("paid", "taken", ""), "{payment}");
            assert!(charged > 0 && returned == 0, "{charged} {returned}");
            assert!(payment["trade_no"].is_string(), "{payment}");
            assert!(payment["reason"].is_null(), "{payment}");
        }
        Ends::Declined => {
            assert_eq!(told, is("declined", "none", ""), "{payment}");
            assert_eq!(charged, 0);
            let reason = &payment["reason"];
            assert!(reason["code"].is_string() && reason["sub_code"].is_string(), "{payment}");
            assert!(!reason["message"].as_str().unwrap().is_empty(), "{payment}");
        }
        Ends::Closed => {
            assert_eq!(told, is("cancelled", "none", "close"), "{payment}");
            assert_eq!(charged, 0);
        }
        Ends::Returned => {
            assert_eq!(told, is("cancelled", "returned", "refund"), "{payment}");
            assert!(charged > 0 && returned == charged, "{charged} {returned}");
        }
        Ends::Open => {
            let payment = until("somebody is asked to look", || {
                let payment = daemon.payment(&number);
                payment["attention"]["zh"].is_string().then_some(payment)
            });
            assert_eq!((&payment["final"], &payment["money"]), (&json!(false), &json!("unknown")));
            // Nobody's money was undone.
            assert_eq!(shop.requests(&number, "cancel"), 0, "{payment}");
        }
    }
    if !is_open {
        assert_eq!(payment["final"], true);
        assert_eq!(payment["attention"], Value::Null, "{payment}");
    }
    steps(shop, daemon, &number, &auth_code, is_open);
}

/// The journal tells every call, every answer, and no secret.
fn steps(shop: &Shop, daemon: &Daemon, number: &str, auth_code: &str, is_open: bool) {
    // One at a time: a program may have a few lists only.
    static LISTS: Mutex<()> = Mutex::new(());
    let reply = {
        let _one = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
        daemon.get(&format!("/v1/payments/{number}/journal"))
    };
    assert!(!reply.text.contains(auth_code) && !reply.text.contains(&auth_code[4..16]));
    let entries = reply.expect(200)["entries"].as_array().expect("entries").clone();
    let first = &entries[0];
    assert_eq!(first["step"], "requested");
    assert_eq!(first["sent"]["method"], "alipay.trade.pay");
    let masked = first["auth_code"].as_str().expect("a masked code");
    assert!(masked.starts_with(&auth_code[..2]) && masked.contains("****"), "{masked}");
    let number_of = |entry: &Value, name: &str| entry[name].as_u64().expect("a number");
    for (before, after) in entries.iter().zip(&entries[1..]) {
        assert!(number_of(before, "seq") < number_of(after, "seq"), "{before} {after}");
    }
    // A refund of the payment stands among its steps, and counts its own.
    let (own, entries): (Vec<Value>, Vec<Value>) =
        entries.into_iter().partition(|entry| entry["out_request_no"].is_string());
    let pairs = |of: &[Value]| of.iter().cloned().zip(of.iter().skip(1).cloned()).collect();
    let pairs: [Vec<(Value, Value)>; 2] = [pairs(&own), pairs(&entries)];
    for (before, after) in pairs.iter().flatten() {
        assert_eq!(number_of(before, "rev") + 1, number_of(after, "rev"), "{before} {after}");
        // One call at a time: what was sent to change something is answered by the
        // next step. (A question that changed nothing is no entry.)
        if before["sent"].is_object() {
            assert!(after["answered"].is_object(), "{before} {after}");
        }
    }
    let sent = |method: &str| {
        let method = format!("alipay.trade.{method}");
        entries.iter().filter(|entry| entry["sent"]["method"] == *method).count()
    };
    assert_eq!(sent("pay"), 1);
    assert_eq!(shop.requests(number, "pay"), 1);
    // What the receipt needs stands in the very entry that made it paid.
    let payment = daemon.payment(number);
    if let Some(paid) = entries.iter().find(|entry| entry["state"] == "paid") {
        let told = &paid["answered"]["trade"];
        for name in ["trade_no", "receipt_amount", "buyer_logon_id"] {
            assert!(told[name].is_string() && told[name] == payment[name], "{name}: {paid}");
        }
        assert_eq!(told["total_amount"], payment["amount"], "{paid}");
        assert!(told["paid_at"].is_string(), "{paid}");
    }
    if !is_open {
        assert_eq!(sent("cancel"), shop.requests(number, "cancel"), "cancels of {number}");
        assert!(sent("query") <= shop.requests(number, "query"), "queries of {number}");
        let payment = daemon.payment(number);
        let last = entries.last().expect("an entry");
        assert_eq!((&last["state"], &last["money"]), (&payment["state"], &payment["money"]));
        assert_eq!(last["rev"], payment["rev"]);
    }
}
