//! A box whose clock is wrong, is set, or that has slept.

use std::fs;
use std::time::SystemTime;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::till::{Daemon, Setup, Shop, is, outcome, until, with_code};
use crate::world::World;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

#[allow(clippy::disallowed_methods, reason = "whoever sets a clock has to know what it says")]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("for some time yet")
}

/// A shop whose gateway has a certificate for some years, as real ones have.
fn shop(setup: Setup) -> Shop {
    let mut shop = Shop::open(setup);
    shop.close_gateway();
    let dated = |params: &mut rcgen::CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2025, 1, 1);
        params.not_after = rcgen::date_time_ymd(2055, 1, 1);
    };
    let mut ca = rcgen::CertificateParams::default();
    dated(&mut ca);
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let ca_cert = ca.self_signed(&ca_key).expect("an authority");
    let mut leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    dated(&mut leaf);
    let leaf_key = rcgen::KeyPair::generate().expect("a key");
    let issuer = rcgen::Issuer::from_params(&ca, &ca_key);
    let leaf_cert = leaf.signed_by(&leaf_key, &issuer).expect("a certificate");
    fs::write(shop.path("sandbox/ca.pem"), ca_cert.pem()).expect("written");
    fs::write(shop.path("sandbox/tls_cert.pem"), leaf_cert.pem()).expect("written");
    fs::write(shop.path("sandbox/tls_key.pem"), leaf_key.serialize_pem()).expect("written");
    shop.open_gateway();
    shop
}

fn until_wrong(daemon: &Daemon) -> String {
    until("the clock is known to be wrong", || {
        daemon.status()["clock"]["wrong"].as_str().map(str::to_owned)
    })
}

fn until_right(daemon: &Daemon) {
    until("the clock will do", || daemon.status()["clock"]["wrong"].is_null().then_some(()));
}

#[test]
fn a_box_that_wakes_up_in_1970_takes_no_payment_until_its_clock_is_set() {
    let shop = shop(Setup::default());
    let world = World::of(&shop);
    let daemon = shop.start_with(world.around(shop.command()));
    daemon.put("OPEN", &with_code("77.04")).expect(201);
    daemon.until_state("OPEN", "awaiting_buyer");
    daemon.kill();

    world.wall_off_by(5 * MINUTE - now());
    let daemon = shop.start_with(world.around(shop.command()));
    let why = until_wrong(&daemon);
    assert!(why.contains("1970-01-01") && why.contains("timedatectl"), "{why}");
    assert!(why.contains("certificate of Alipay's gateway is not valid"), "{why}");
    let body = with_code("1.00");
    let told = daemon.put("NEW", &body).expect(503);
    assert_eq!(told["code"], "clock_wrong", "{told}");
    assert_eq!((&told["money"], &told["retry"]), (&json!("none"), &json!("same_request")));
    assert_eq!(told["detail"], why);
    assert!(shop.gateway().ledger().number("NEW").is_none());
    // What is open stays open: nobody knows, and nothing is guessed.
    let open = daemon.payment("OPEN");
    assert_eq!((&open["money"], &open["final"]), (&json!("unknown"), &json!(false)), "{open}");
    assert!(daemon.log().contains("the clock is wrong: no new payments"), "{}", daemon.log());

    assert!(shop.gateway().ledger().confirm("OPEN"));
    world.wall_off_by(0);
    until_right(&daemon);
    assert!(daemon.log().contains("clock stepped"), "{}", daemon.log());
    assert_eq!(outcome(&daemon.pay("NEW", &body).expect(201)), is("paid", "taken", ""));
    assert_eq!(outcome(&daemon.settled("OPEN")), is("paid", "taken", ""));
}

/// Later than the program was made, so that only the certificate tells.
#[test]
fn a_box_that_lives_in_2100_takes_no_payment_until_its_clock_is_set() {
    let shop = shop(Setup::default());
    let world = World::of(&shop);
    world.wall_off_by(74 * 365 * 24 * HOUR);
    let daemon = shop.start_with(world.around(shop.command()));
    let why = until_wrong(&daemon);
    assert!(why.contains("certificate of Alipay's gateway is not valid"), "{why}");
    assert_eq!(daemon.put("NEW", &with_code("1.00")).expect(503)["code"], "clock_wrong");
    world.wall_off_by(0);
    until_right(&daemon);
    assert_eq!(
        outcome(&daemon.pay("NEW", &with_code("1.00")).expect(201)),
        is("paid", "taken", "")
    );
}

/// Two days after the end of the gateway's certificate: nothing says that it is
/// the clock.
#[test]
fn an_expired_certificate_of_the_gateway_is_not_blamed_on_the_clock() {
    let shop = shop(Setup::default());
    let world = World::of(&shop);
    // 2055-01-03, and from midnight in UTC on it is no longer valid.
    world.wall_off_by(2_682_547_200_000 - now());
    let daemon = shop.start_with(world.around(shop.command()));
    let why = until("it is known what is wrong", || {
        daemon.status()["gateway"]["trouble"].as_str().map(str::to_owned)
    });
    assert!(why.contains("certificate expired at 2055-01-01 08:00:00 in Beijing"), "{why}");
    assert!(why.contains("the gateway needs a new certificate"), "{why}");
    assert!(daemon.status()["clock"]["wrong"].is_null(), "{}", daemon.log());
}

/// The gateway refuses dates that are a quarter of an hour off, and closes a
/// trade at the date that the pay names.
#[test]
fn a_clock_that_is_hours_off_does_no_harm_because_the_gateways_is_learned_first() {
    for off in [-3 * HOUR, 3 * HOUR] {
        let shop = Shop::usual();
        let world = World::of(&shop);
        world.wall_off_by(off);
        let daemon = shop.start_with(world.around(shop.command()));
        let paid = daemon.pay("FIRST", &with_code("1.00")).expect(201);
        assert_eq!(outcome(&paid), is("paid", "taken", ""), "{}", daemon.log());
        let trade = shop.gateway().ledger().trade("FIRST").expect("a trade");
        let life = trade.expire_ms - trade.created_ms;
        assert!((0..10 * MINUTE).contains(&life), "it is void after {life} ms");
        let skew = daemon.status()["gateway"]["clock_skew_ms"].as_i64().expect("known");
        assert!((skew + off).abs() < MINUTE, "{skew}");
        assert!(daemon.status()["clock"]["wrong"].is_null());
        // The probes are nobody's payments.
        assert_eq!(daemon.get("/v1/payments").expect(200)["payments"].as_array().unwrap().len(), 1);
        assert_eq!(shop.gateway().ledger().all().len(), 1);
    }
}

#[test]
fn without_a_network_a_clock_before_the_build_keeps_payments_out_and_another_does_not() {
    let mut shop = Shop::open(Setup { timeout: "1s", ..Setup::default() });
    shop.close_gateway();
    let world = World::of(&shop);
    world.wall_off_by(-now());
    let daemon = shop.start_with(world.around(shop.command()));
    let why = until_wrong(&daemon);
    assert!(why.contains("before this program was made"), "{why}");
    assert_eq!(daemon.put("REFUSED", &with_code("1.00")).expect(503)["code"], "clock_wrong");
    world.wall_off_by(0);
    until_right(&daemon);
    assert_eq!(daemon.put("REFUSED", &with_code("1.00")).expect(503)["code"], "keys_unproven");
}

/// Without a date of its own it is known by the dates that it takes; with a wrong
/// one it is known by them all the same.
#[test]
fn a_relay_with_a_wrong_clock_or_none_does_no_harm() {
    for date in [
        None,
        Some("Thu, 26 Nov 2020 10:00:00 GMT"),
        Some("Fri, 31 Dec 2083 23:59:59 GMT"),
        Some("Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        let shop = Shop::usual();
        let relay = crate::relay::relay(shop.gateway().addr(), date.map(str::to_owned));
        let config = fs::read_to_string(shop.config()).expect("the configuration");
        let by_relay =
            config.replace(&shop.gateway().gateway(), &format!("http://{relay}/gateway.do"));
        assert_ne!(config, by_relay);
        fs::write(shop.config(), by_relay).expect("written");
        let daemon = shop.start();
        for number in ["ONE", "TWO", "THREE"] {
            let paid = daemon.pay(number, &with_code("1.00")).expect(201);
            assert_eq!(outcome(&paid), is("paid", "taken", ""), "{date:?}: {}", daemon.log());
            let trade = shop.gateway().ledger().trade(number).expect("a trade");
            let life = trade.expire_ms - trade.created_ms;
            assert!((0..10 * MINUTE).contains(&life), "{date:?}: it is void after {life} ms");
        }
        let status = daemon.status();
        assert!(status["clock"]["wrong"].is_null(), "{date:?}: {status}");
    }
}

#[test]
fn steps_of_the_clock_change_no_window() {
    let shop = Shop::usual();
    let world = World::of(&shop);
    let daemon = shop.start_with(world.around(shop.command()));
    let waiting = json!({ "amount": "1.00", "subject": "x" });
    daemon.put("WAITS", &waiting).expect(201);
    for (round, off) in [HOUR, -HOUR, 400 * 24 * HOUR, 0].into_iter().enumerate() {
        world.wall_off_by(off);
        until("the step is noticed", || {
            (daemon.log().matches("clock stepped").count() > round).then_some(())
        });
        let payment = daemon.payment("WAITS");
        assert_eq!(payment["state"], "awaiting_code", "{payment}");
        assert!(payment["seconds_left"].as_u64().is_some_and(|s| s <= 600), "{payment}");
    }
}

#[test]
fn a_box_that_has_slept_does_at_once_what_is_due() {
    let shop = Shop::usual();
    let world = World::of(&shop);
    let daemon = shop.start_with(world.around(shop.command()));
    daemon.put("WAITS", &json!({ "amount": "1.00", "subject": "x" })).expect(201);
    assert_eq!(daemon.payment("WAITS")["state"], "awaiting_code");
    // It waits ten minutes for its code.
    world.has_slept(11 * MINUTE);
    assert_eq!(outcome(&daemon.settled("WAITS")), is("cancelled", "none", "none"));
    assert!(daemon.log().contains("the box was suspended"), "{}", daemon.log());
    let paid = daemon.pay("AFTER", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
}

// --- drain ---------------------------------------------------------------------

fn until_draining(daemon: &Daemon, draining: bool) {
    until("it drains, or does not", || (daemon.status()["draining"] == draining).then_some(()));
}

fn is_draining(told: &Value) {
    assert_eq!(told["code"], "draining", "{told}");
    assert_eq!((&told["money"], &told["retry"]), (&json!("none"), &json!("same_request")));
}

#[test]
fn a_drain_finishes_what_is_open_and_lets_nothing_new_in() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.put("WAITS", &json!({ "amount": "1.00", "subject": "x" })).expect(201);
    daemon.put("OPEN", &with_code("77.04")).expect(201);
    daemon.until_state("OPEN", "awaiting_buyer");
    daemon.signal(Signal::SIGUSR1);
    until_draining(&daemon, true);
    let new = with_code("1.00");
    is_draining(&daemon.put("NEW", &new).expect(503));
    assert!(shop.gateway().ledger().number("NEW").is_none());
    // What had begun goes on, also what had not been sent yet.
    let code = json!({ "auth_code": crate::till::code() });
    daemon.post("/v1/payments/WAITS/code", &code).expect(200);
    assert_eq!(outcome(&daemon.settled("WAITS")), is("paid", "taken", ""));
    assert_eq!(daemon.status()["open_payments"], 1);
    assert!(shop.gateway().ledger().confirm("OPEN"));
    assert_eq!(outcome(&daemon.settled("OPEN")), is("paid", "taken", ""));
    until("nothing is open", || (daemon.status()["open_payments"] == 0).then_some(()));
    daemon.stop();

    let daemon = shop.start();
    assert_eq!(daemon.status()["draining"], false);
    assert_eq!(outcome(&daemon.pay("NEW", &new).expect(201)), is("paid", "taken", ""));
}

#[test]
fn a_drain_that_nobody_follows_up_ends_by_itself() {
    let shop = Shop::usual();
    let world = World::of(&shop);
    let daemon = shop.start_with(world.around(shop.command()));
    daemon.signal(Signal::SIGUSR1);
    until_draining(&daemon, true);
    world.has_slept(MINUTE);
    until("it has slept", || daemon.log().contains("suspended").then_some(()));
    is_draining(&daemon.put("NEW", &with_code("1.00")).expect(503));
    world.has_slept(2 * MINUTE);
    until_draining(&daemon, false);
    assert!(daemon.log().contains("payments are taken again"), "{}", daemon.log());
    let paid = daemon.pay("NEW", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
}

/// What is sent before anybody waits for it must not end a daemon that starts.
#[test]
fn a_drain_while_it_starts_is_heard() {
    let shop = Shop::usual();
    let mut daemon = shop.spawn(shop.command());
    until("the socket is there", || shop.socket().exists().then_some(()));
    daemon.signal(Signal::SIGUSR1);
    daemon.until_it_answers();
    until_draining(&daemon, true);
    daemon.stop();
}
