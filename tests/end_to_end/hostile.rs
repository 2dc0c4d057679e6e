//! A gateway, or somebody on the way to it, that says what it should not: an
//! answer of before, byte for byte, and interim answers without end.

use std::thread;

use tilld::sandbox::Fault;

use crate::till::{Setup, Shop, is, outcome, until, with_code};

fn setup() -> Setup {
    Setup {
        request_timeout: "2s",
        timeout: "4s",
        expire_after: "6s",
        late_margin: "500ms",
        ..Setup::default()
    }
}

/// An answer to `method` about `earlier` comes in place of the one about `number`.
fn replay(method: &str, number: &str, earlier: &str, times: u32) -> Fault {
    Fault {
        method: Some(method.to_owned()),
        out_trade_no: Some(number.to_owned()),
        times: Some(times),
        replay: Some(earlier.to_owned()),
        ..Fault::default()
    }
}

const ALL: u32 = 10_000;

/// Bugs to plant: judge an answer without comparing its number; take a close of
/// another order for one of ours.
#[test]
fn an_answer_of_another_order_moves_nothing() {
    let shop = Shop::open(setup());
    let daemon = shop.start();
    let faults = |faults: Vec<Fault>| {
        faults.into_iter().for_each(|fault| shop.gateway().fault(fault).expect("it makes sense"));
    };
    // Genuine successes and a genuine close, to be replayed: of the same amount.
    let same = || with_code("77.02");
    assert_eq!(
        outcome(&daemon.pay("PAID", &with_code("1.00")).expect(201)),
        is("paid", "taken", "")
    );
    assert_eq!(outcome(&daemon.pay("ASKED", &same()).expect(201)), is("paid", "taken", ""));
    daemon.put("GONE", &with_code("77.04")).expect(201);
    daemon.post("/v1/payments/GONE/cancel", &serde_json::Value::Null);
    assert_eq!(outcome(&daemon.settled("GONE")), is("cancelled", "none", "close"));

    thread::scope(|scope| {
        // Nothing was charged, and what is heard is another order's success. Nobody
        // knows, until somebody says something about this one.
        scope.spawn(|| {
            let lost = Fault { execute: Some(false), ..replay("pay", "LOST", "PAID", 1) };
            faults(vec![lost, replay("query", "LOST", "ASKED", 12)]);
            daemon.put("LOST", &same()).expect(201);
            until("all was replayed", || {
                let payment = daemon.payment("LOST");
                let over = shop.requests("LOST", "query") > 12;
                assert!(over || payment["money"] == "unknown", "{payment}");
                over.then_some(())
            });
            let payment = daemon.settled("LOST");
            assert_eq!(outcome(&payment), is("cancelled", "none", "close"), "{payment}");
            assert_eq!(shop.money("LOST"), (0, 0));
        });
        // It was charged: what is heard is not its answer, and so it goes back.
        scope.spawn(|| {
            faults(vec![replay("pay", "DONE", "PAID", 1), replay("query", "DONE", "ASKED", ALL)]);
            let payment = daemon.pay("DONE", &with_code("1.00")).expect(201);
            assert_eq!(outcome(&payment), is("cancelled", "returned", "refund"), "{payment}");
            assert_eq!(shop.money("DONE"), (100, 100));
        });
        // Another order's close is no close of this one: it is asked for again.
        scope.spawn(|| {
            let vain = Fault { execute: Some(false), ..replay("cancel", "KEPT", "GONE", 1) };
            faults(vec![vain]);
            let payment = daemon.pay("KEPT", &with_code("77.04")).expect(201);
            assert_eq!(outcome(&payment), is("cancelled", "none", "close"), "{payment}");
            assert_eq!(shop.requests("KEPT", "cancel"), 2);
            let trade = shop.gateway().ledger().trade("KEPT").expect("a trade");
            assert_eq!(trade.status.name(), "TRADE_CLOSED");
        });
    });
    daemon.stop();
}

/// It is about this order, it verifies, and it is old: the buyer has paid since.
#[test]
fn an_earlier_answer_about_the_same_order_loses_no_money() {
    let shop = Shop::open(setup());
    let daemon = shop.start();
    thread::scope(|scope| {
        for (number, times, end, money) in [
            ("AGAIN", 2, is("paid", "taken", ""), (7704, 0)),
            // What is heard to the end is that nobody has paid: so it is undone,
            // and the money goes back.
            ("ALWAYS", ALL, is("cancelled", "returned", "refund"), (7704, 7704)),
        ] {
            let (shop, daemon) = (&shop, &daemon);
            scope.spawn(move || {
                daemon.put(number, &with_code("77.04")).expect(201);
                until("it was asked about", || (shop.requests(number, "query") > 0).then_some(()));
                let fault = replay("query", number, number, times);
                shop.gateway().fault(fault).expect("it makes sense");
                assert!(shop.gateway().ledger().confirm(number));
                let payment = daemon.settled(number);
                assert_eq!(outcome(&payment), end, "{payment}");
                assert_eq!(shop.money(number), money);
            });
        }
    });
    daemon.stop();
}

/// `request_timeout` bounds them; meanwhile everybody else is served, and nothing
/// of them is kept.
#[test]
fn interim_answers_without_end_cost_one_exchange() {
    const MEGABYTES: u64 = 1024;
    let shop = Shop::open(Setup { timeout: "30s", expire_after: "30s", ..setup() });
    let daemon = shop.start();
    daemon.pay("BEFORE", &with_code("1.00")).expect(201);
    let flood = |method: &str, times| Fault {
        method: Some(method.to_owned()),
        out_trade_no: Some("FLOOD".to_owned()),
        times: Some(times),
        interim_flood: true,
        ..Fault::default()
    };
    for fault in [flood("pay", 1), flood("query", 2)] {
        shop.gateway().fault(fault).expect("it makes sense");
    }
    let before = daemon.memory_peak_kib();
    let payment = daemon.put("FLOOD", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&payment), is("processing", "unknown", ""));
    let beside = daemon.pay("BESIDE", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&beside), is("paid", "taken", ""));
    assert_eq!(outcome(&daemon.payment("FLOOD")), is("processing", "unknown", ""));
    let payment = daemon.settled("FLOOD");
    assert_eq!(outcome(&payment), is("paid", "taken", ""), "{payment}");
    assert_eq!((shop.requests("FLOOD", "pay"), shop.money("FLOOD")), (1, (100, 0)));
    let grown = daemon.memory_peak_kib() - before;
    assert!(grown < 16 * MEGABYTES, "{grown} KiB more");
    daemon.stop();
}

/// The merchant's account is filled after a while: the money goes back, and until
/// then a person is asked to see to it.
#[test]
fn an_empty_account_is_waited_for() {
    let shop = Shop::open(Setup { timeout: "1s", speed: 5.0, ..setup() });
    let daemon = shop.start();
    daemon.put("EMPTY", &with_code("77.50")).expect(201);
    let payment = until("somebody is asked to fill it", || {
        let payment = daemon.payment("EMPTY");
        payment["attention"]["en"].is_string().then_some(payment)
    });
    assert_eq!(outcome(&payment), is("cancelling", "unknown", ""), "{payment}");
    let says = payment["attention"]["en"].as_str().expect("a sentence");
    assert!(says.contains("account"), "{says}");
    let payment = daemon.settled("EMPTY");
    assert_eq!(outcome(&payment), is("cancelled", "returned", "refund"), "{payment}");
    assert!(payment["attention"].is_null(), "{payment}");
    assert_eq!(payment["refunded_amount"], "77.50");
    assert!(shop.requests("EMPTY", "cancel") > 1);
    assert_eq!(shop.money("EMPTY"), (7750, 7750));
    daemon.stop();
}
