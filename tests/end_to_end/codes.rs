//! Codes that are shown a second time, and what is shown instead of a code.

use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::scanner::Pty;
use crate::till::{Daemon, Setup, Shop, code, is, outcome, until, with_code, without_code};

fn shop() -> (Shop, Pty) {
    let shop = Shop::open(Setup { scanners: vec!["lane-1".to_owned()], ..Setup::default() });
    let pty = Pty::plug(&shop.path("lane-1"));
    (shop, pty)
}

/// The payment once its cashier reads about this.
fn hinted(daemon: &Daemon, number: &str, kind: &str) -> Value {
    until(kind, || {
        let payment = daemon.payment(number);
        (payment["hint"]["kind"] == kind).then_some(payment)
    })
}

#[test]
fn a_code_that_was_shown_before_is_not_charged_again_over_a_crash() {
    let (shop, mut pty) = shop();
    let mut daemon = shop.start();
    daemon.until_plugged();
    let (paid, dawdles) = (code(), code());
    let with = |amount: &str, code: &str| {
        let mut body = with_code(amount);
        body["auth_code"] = json!(code);
        body
    };
    daemon.pay("FIRST", &with("3.00", &paid)).expect(201);
    daemon.put("SLOW", &with("77.04", &dawdles)).expect(201);
    daemon.until_state("SLOW", "awaiting_buyer");
    daemon.put("WAITS", &without_code("5.00")).expect(201);
    daemon.kill();
    daemon = shop.start();
    daemon.until_plugged();
    daemon.until_state("SLOW", "awaiting_buyer");

    for (index, (used, by)) in [(&paid, "FIRST"), (&dawdles, "SLOW")].into_iter().enumerate() {
        let number = format!("NEW{index}");
        // The number of the first has no payment; that of the second has one that waits.
        for (problem, money) in [
            (daemon.put(&number, &with("5.00", used)).expect(409), "none"),
            (
                daemon.post("/v1/payments/WAITS/code", &json!({ "auth_code": used })).expect(409),
                "unknown",
            ),
        ] {
            assert_eq!(problem["code"], "code_already_used", "{problem}");
            assert_eq!((&problem["money"], &problem["out_trade_no"]), (&json!(money), &json!(by)));
        }
        assert_eq!(daemon.get(&format!("/v1/payments/{number}")).status, 404);
        pty.scan(used, index);
        let waits = until("the cashier knows", || {
            let waits = daemon.payment("WAITS");
            (waits["hint"]["out_trade_no"] == by).then_some(waits)
        });
        assert_eq!(waits["state"], "awaiting_code");
        assert_eq!(waits["hint"]["kind"], "code_already_used");
        assert!(waits["cashier"]["zh"].as_str().unwrap().contains(by), "{waits}");
        assert!(!waits.to_string().contains(used.as_str()));
    }
    assert!(shop.gateway().ledger().number("WAITS").is_none(), "nothing was sent");
    // The same request is the same payment, and the same code is no second one.
    assert_eq!(daemon.put("FIRST", &with("3.00", &paid)).expect(200)["state"], "paid");
    let fresh = code();
    pty.scan(&fresh, 2);
    let payment = daemon.settled("WAITS");
    assert_eq!((outcome(&payment), &payment["hint"]), (is("paid", "taken", ""), &Value::Null));
    let again = daemon.post("/v1/payments/WAITS/code", &json!({ "auth_code": fresh })).expect(200);
    assert_eq!(again["rev"], payment["rev"]);
    assert_eq!(shop.requests("WAITS", "pay"), 1);
    daemon.stop();
    tilld::journal::verify(&shop.journal(), None).expect("a sound journal");
}

#[test]
fn a_scanner_that_floods_neither_fills_the_journal_nor_hides_the_code_behind() {
    let (shop, mut pty) = shop();
    let daemon = shop.start();
    daemon.until_plugged();
    let mut events = daemon.events(None);
    let begun = Instant::now();
    daemon.put("FLOOD", &without_code("5.00")).expect(201);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..100_000 {
                pty.scan(&format!("69{n:011}"), 0);
            }
            pty.scan(&code(), 0);
        });
        // Others pay meanwhile.
        for n in 0..10 {
            let paid = daemon.pay(&format!("OTHER{n}"), &with_code("3.00")).expect(201);
            assert_eq!(outcome(&paid), is("paid", "taken", ""));
        }
    });
    assert_eq!(outcome(&daemon.settled("FLOOD")), is("paid", "taken", ""));
    let seen = events.until(|event| event.is("scanner", &[("news", "scan_lost")]));
    let scans = seen.iter().filter(|event| event.name == "scan").count();
    let seconds = usize::try_from(begun.elapsed().as_secs()).expect("few") + 1;
    assert!(scans <= 5 * seconds, "{scans} entries in {seconds} s");
    let reason = seen.last().unwrap().data["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("scans were left out"), "{reason}");
}

#[test]
fn a_register_that_shows_the_sentence_only_is_right() {
    let (shop, mut pty) = shop();
    let daemon = shop.start();
    daemon.until_plugged();
    let mut rev = daemon.put("HINTS", &without_code("5.00")).expect(201)["rev"].clone();
    for (index, (text, kind, words)) in [
        ("134567890123456789", "wechat", "微信"),
        ("6212345678901234567", "unionpay", "云闪付"),
        ("911234567890123456", "other_wallet", "其他钱包"),
        ("wxp://f2f0abcdef", "collect_code", "收款码"),
        ("281234567890123", "torn", "再扫一次"),
        ("6901234567892", "goods", "不是付款码"),
    ]
    .into_iter()
    .enumerate()
    {
        pty.scan(text, index);
        let payment = hinted(&daemon, "HINTS", kind);
        assert!(payment["cashier"]["zh"].as_str().unwrap().contains(words), "{payment}");
        assert!(payment["rev"].as_u64() > rev.as_u64(), "{payment}");
        rev = payment["rev"].clone();
    }
    drop(pty);
    let gone = hinted(&daemon, "HINTS", "scanner_gone");
    assert!(gone["cashier"]["zh"].as_str().unwrap().contains("手工输入"), "{gone}");
    // A payment that begins meanwhile knows it, too; and the code can be typed.
    let typed = json!({ "auth_code": code() });
    let paid = daemon.post("/v1/payments/HINTS/code?wait=60", &typed).expect(200);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
    let begun = daemon.put("LATER", &without_code("5.00")).expect(201);
    assert_eq!(begun["hint"]["kind"], "scanner_gone");
    let mut pty = Pty::plug(&shop.path("lane-1"));
    until("the scanner is back", || daemon.payment("LATER")["hint"].is_null().then_some(()));
    let sentence = daemon.payment("LATER")["cashier"]["zh"].clone();
    assert!(sentence.as_str().unwrap().starts_with("请扫顾客的付款码"), "{sentence}");
    pty.scan(&code(), 0);
    assert_eq!(outcome(&daemon.settled("LATER")), is("paid", "taken", ""));
}
