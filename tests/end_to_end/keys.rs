//! Keys that are wrong, are replaced, or that nobody has proven yet.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tilld::sandbox::Fault;

use crate::till::{Daemon, Gateway, Setup, Shop, is, outcome, until, with_code};

/// The keys of a merchant who is somebody else.
fn stranger(shop: &Shop) -> std::path::PathBuf {
    let folder = shop.path("stranger");
    drop(Gateway::open(tilld::sandbox::Options::new(folder.clone())));
    folder
}

/// Puts another file in its place at once, as people should.
fn replace(file: &Path, by: &Path) {
    let beside = file.with_extension("new");
    fs::copy(by, &beside).expect("copied");
    fs::rename(&beside, file).expect("in its place");
}

/// What `/v1/ready` gives as reasons.
fn reasons(daemon: &Daemon) -> Vec<String> {
    let reply = daemon.get("/v1/ready");
    let ready = reply.expect(reply.status);
    let codes: Vec<String> = ready["reasons"]
        .as_array()
        .expect("reasons")
        .iter()
        .map(|reason| {
            for language in ["zh", "en"] {
                assert!(reason[language].as_str().is_some_and(|text| !text.is_empty()), "{reason}");
            }
            reason["code"].as_str().expect("a code").to_owned()
        })
        .collect();
    assert_eq!(
        (reply.status, &ready["ready"]),
        (if codes.is_empty() { 200 } else { 503 }, &json!(codes.is_empty()))
    );
    codes
}

#[track_caller]
fn until_reasons(daemon: &Daemon, wanted: &[&str]) {
    let what = format!("no payment may begin because of {wanted:?}");
    until(&what, || (reasons(daemon) == wanted).then_some(()));
}

#[track_caller]
fn is_denied(told: &Value, code: &str, retry: &str) {
    assert_eq!(told["code"], code, "{told}");
    assert_eq!((&told["money"], &told["retry"]), (&json!("none"), &json!(retry)), "{told}");
}

#[test]
fn a_wrong_key_of_alipays_is_told_before_the_first_customer_and_mended_without_a_restart() {
    let shop = Shop::usual();
    let (ours, right) = (shop.path("sandbox/alipay_public_key.pem"), shop.path("right.pem"));
    fs::copy(&ours, &right).expect("kept");
    replace(&ours, &stranger(&shop).join("alipay_public_key.pem"));
    let daemon = shop.start();
    until_reasons(&daemon, &["alipay_key_wrong"]);
    let told = daemon.put("FIRST", &with_code("1.00")).expect(503);
    is_denied(&told, "alipay_key_wrong", "after_fix");
    let why = told["detail"].as_str().expect("why");
    assert!(why.contains("sandbox/alipay_public_key.pem"), "it names the file: {why}");
    assert_eq!(daemon.status()["keys"]["trouble"]["en"], why);
    assert!(daemon.log().contains("a key is wrong: no new payments"), "{}", daemon.log());
    let metrics = daemon.get("/metrics").text;
    assert!(metrics.contains("tilld_not_ready{reason=\"alipay_key_wrong\"} 1"), "{metrics}");
    assert!(shop.gateway().ledger().number("FIRST").is_none());

    replace(&ours, &right);
    until_reasons(&daemon, &[]);
    let paid = daemon.pay("FIRST", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
}

#[test]
fn an_application_that_the_gateway_does_not_know_takes_no_payment() {
    let shop = Shop::usual();
    let (ours, right) = (shop.path("sandbox/app_private_key.pem"), shop.path("right.pem"));
    fs::copy(&ours, &right).expect("kept");
    replace(&ours, &stranger(&shop).join("app_private_key.pem"));
    let daemon = shop.start();
    until_reasons(&daemon, &["app_key_wrong"]);
    let told = daemon.put("FIRST", &with_code("1.00")).expect(503);
    is_denied(&told, "app_key_wrong", "after_fix");
    let why = told["detail"].as_str().expect("why");
    assert!(why.contains("isv.invalid-signature") && why.contains("app_private_key.pem"), "{why}");
    // A file that is no key changes nothing; the right one does, at a word.
    fs::write(&ours, "half of a").expect("written");
    daemon.signal(Signal::SIGHUP);
    until("it is told", || daemon.log().contains("a changed key is not used").then_some(()));
    replace(&ours, &right);
    daemon.signal(Signal::SIGHUP);
    until_reasons(&daemon, &[]);
    let paid = daemon.pay("FIRST", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));

    // Another application's number is as wrong, and there the gateway cannot sign.
    daemon.stop();
    let text = fs::read_to_string(shop.config()).expect("the configuration");
    let other = text.replace(shop.gateway().app_id(), "2099000000000000");
    fs::write(shop.config(), other).expect("written");
    let daemon = shop.start();
    until_reasons(&daemon, &["app_key_wrong"]);
}

#[test]
fn a_key_that_alipay_ceases_to_take_closes_the_shop_and_a_new_one_opens_it() {
    let shop = Shop::usual();
    let daemon = shop.start();
    until_reasons(&daemon, &[]);
    let refusal = |number: &str, times| Fault {
        out_trade_no: Some(number.to_owned()),
        times: Some(times),
        answer: Some(tilld::sandbox::Said::new("40002", "isv.invalid-signature", "验签出错")),
        ..Fault::default()
    };
    shop.gateway().fault(refusal("TILLD_PROBE", 1000)).expect("a fault");
    shop.gateway().fault(refusal("LAST", 1)).expect("a fault");
    daemon.put("LAST", &with_code("1.00")).expect(201);
    until_reasons(&daemon, &["app_key_wrong"]);
    is_denied(&daemon.put("NEXT", &with_code("1.00")).expect(503), "app_key_wrong", "after_fix");
    shop.gateway().clear_faults();
    until_reasons(&daemon, &[]);
    let paid = daemon.pay("NEXT", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
}

#[test]
fn nothing_begins_before_the_keys_are_proven_and_silence_later_denies_nothing() {
    let listen = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let mut shop = Shop::open(Setup { timeout: "1s", listen, ..Setup::default() });
    shop.close_gateway();
    let daemon = shop.start();
    is_denied(
        &daemon.put("FIRST", &with_code("1.00")).expect(503),
        "keys_unproven",
        "same_request",
    );
    until_reasons(&daemon, &["keys_unproven", "gateway_unreachable"]);
    shop.open_gateway();
    until_reasons(&daemon, &[]);
    let paid = daemon.pay("FIRST", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
    shop.close_gateway();
    let unsent = daemon.pay("SECOND", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&unsent), is("cancelled", "none", "none"));
    until_reasons(&daemon, &["gateway_unreachable"]);
}

/// The first answer takes its time, and the cashier none.
#[test]
fn a_cancel_takes_back_a_payment_that_waits_to_begin() {
    let shop = Shop::usual();
    let slow = Fault {
        out_trade_no: Some("TILLD_PROBE".to_owned()),
        delay_ms: Some(2_500),
        ..Fault::default()
    };
    shop.gateway().fault(slow).expect("a fault");
    let daemon = shop.start();
    std::thread::scope(|scope| {
        let put = scope.spawn(|| daemon.put("EARLY", &with_code("1.00")));
        // It is on its way: whoever asks is not told that there is nothing.
        let cancelled = until("the cancel meets it", || {
            let told = daemon.post("/v1/payments/EARLY/cancel", &Value::Null);
            put.is_finished().then_some(told)
        });
        // Nothing of it will be done; but while the cancel was being answered, it
        // could have been about another payment of this number.
        let told = put.join().expect("a reply").expect(503);
        assert_eq!(
            (&told["code"], &told["retry"]),
            (&json!("keys_unproven"), &json!("same_request"))
        );
        assert!(["none", "unknown"].contains(&told["money"].as_str().expect("a word")), "{told}");
        assert_eq!(cancelled.status, 404, "{}", cancelled.text);
    });
    daemon.until_ready();
    assert!(shop.gateway().ledger().number("EARLY").is_none(), "it was never sent");
    daemon.get("/v1/payments/EARLY").expect(404);
    let paid = daemon.pay("EARLY", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
}

/// Only the old account knows what became of what is open there.
#[test]
fn a_start_with_open_payments_of_another_account_is_refused() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.put("OPEN", &with_code("77.04")).expect(201);
    daemon.until_state("OPEN", "awaiting_buyer");
    daemon.stop();
    let ours = fs::read_to_string(shop.config()).expect("the configuration");
    let app_id = shop.gateway().app_id().to_owned();
    let address = shop.gateway().addr().to_string();
    let elsewhere = shop.gateway().gateway().replace(&address, "127.0.0.1:9");
    for (old, new, named) in [
        (&app_id, "2099000000000000", "2099000000000000"),
        (&shop.gateway().gateway(), elsewhere.as_str(), "127.0.0.1:9"),
    ] {
        fs::write(shop.config(), ours.replace(old.as_str(), new)).expect("written");
        let mut refused = shop.spawn(shop.command());
        assert_eq!(refused.ended().code(), Some(78), "{}", refused.log());
        let log = refused.log();
        for word in ["OPEN", &app_id, &address, named] {
            assert!(log.contains(word), "{word}: {log}");
        }
        assert!(!shop.socket().exists(), "nobody waits there for an answer");
    }
    fs::write(shop.config(), ours).expect("written");
    let daemon = shop.start();
    assert!(shop.gateway().ledger().confirm("OPEN"));
    assert_eq!(outcome(&daemon.settled("OPEN")), is("paid", "taken", ""));
}
