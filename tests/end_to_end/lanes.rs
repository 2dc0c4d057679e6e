//! Customers who show their codes to scanners.

use std::collections::BTreeMap;
use std::fs;
use std::thread;

use serde_json::{Value, json};

use crate::scanner::Pty;
use crate::till::{Daemon, Setup, Shop, code, is, outcome, until, with_code, without_code};

const LANES: usize = 8;
const CUSTOMERS: usize = 25;

fn shop_with(lanes: usize) -> (Shop, Vec<Pty>) {
    let scanners: Vec<String> = (1..=lanes).map(|lane| format!("lane-{lane}")).collect();
    let shop = Shop::open(Setup { scanners: scanners.clone(), ..Setup::default() });
    let ptys = scanners.iter().map(|id| Pty::plug(&shop.path(id))).collect();
    (shop, ptys)
}

/// What a customer does, by the code that is shown; the last two digits name the
/// lane, and are all that the journal keeps of it.
fn shown(lane: usize, customer: usize) -> (String, (String, String, Value)) {
    let (ending, outcome) = match customer % 5 {
        0 | 1 => (1, is("paid", "taken", "")),
        2 => (2, is("paid", "taken", "")),
        3 => (5, is("declined", "none", "")),
        _ => (3, is("paid", "taken", "")),
    };
    // 16 to 24 digits.
    let width = 4 + customer % 9;
    (format!("2877{ending:02}{lane:02}{customer:0width$}00{lane:02}"), outcome)
}

#[test]
fn two_hundred_customers_at_eight_scanners_all_end_right() {
    let (shop, ptys) = shop_with(LANES);
    let daemon = shop.start();
    daemon.until_plugged();
    let mut events = daemon.events(None);
    thread::scope(|scope| {
        for (index, pty) in ptys.into_iter().enumerate() {
            let (shop, daemon) = (&shop, &daemon);
            scope.spawn(move || serve(shop, daemon, pty, index + 1));
        }
    });
    assert_eq!(daemon.status()["open_payments"], 0);

    // Every code that was goods, on its lane, and nothing else.
    let head = daemon.status()["journal"]["head_seq"].as_u64().unwrap();
    let seen = events.until(|event| event.id >= head);
    let mut goods: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in seen.iter().filter(|event| event.name == "scan") {
        assert_eq!(event.data["kind"], "goods", "{event:?}");
        let word = |name: &str| event.data[name].as_str().unwrap().to_owned();
        goods.entry(word("scanner")).or_default().push(word("text"));
    }
    for lane in 1..=LANES {
        let expected: Vec<String> = (0..CUSTOMERS).map(|customer| item(lane, customer)).collect();
        assert_eq!(goods.get(&format!("lane-{lane}")), Some(&expected), "lane {lane}");
    }
    daemon.stop();
    let report = tilld::journal::verify(&shop.journal(), None).expect("a sound journal");
    assert_eq!((report.payments, report.open), ((LANES * CUSTOMERS) as u64, 0));
}

/// An EAN-13.
fn item(lane: usize, customer: usize) -> String {
    let digits = format!("690{lane:04}{customer:05}");
    let weighted = digits.chars().zip([1, 3].into_iter().cycle());
    let sum: u32 = weighted.map(|(c, weight)| c.to_digit(10).unwrap() * weight).sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

fn serve(shop: &Shop, daemon: &Daemon, mut pty: Pty, lane: usize) {
    let scanner = format!("lane-{lane}");
    for customer in 0..CUSTOMERS {
        let number = format!("L{lane}_{customer}");
        let (code, expected) = shown(lane, customer);
        let mut body = without_code("3.50");
        body["scanner"] = json!(scanner);
        // Goods before the payment, or while it waits.
        let style = lane + customer;
        if customer % 2 == 0 {
            pty.scan(&item(lane, customer), style);
        }
        let waits = daemon.put(&number, &body).expect(201);
        assert_eq!(waits["state"], "awaiting_code", "{waits}");
        assert_eq!(waits["scanner"], *scanner);
        if customer % 2 == 1 {
            pty.scan(&item(lane, customer), style + 1);
        }
        pty.scan(&code, style + 2);
        let payment = daemon.settled(&number);
        assert_eq!(outcome(&payment), expected, "{number}");
        let journal = daemon.get(&format!("/v1/payments/{number}/journal")).expect(200);
        let masked: Vec<&str> = journal["entries"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|entry| entry["auth_code"].as_str())
            .collect();
        let stars = "*".repeat(code.len() - 4);
        assert_eq!(masked, [format!("28{stars}{lane:02}")], "a code of another lane");
        assert_eq!(shop.requests(&number, "pay"), 1);
        let charged = if payment["state"] == "paid" { 350 } else { 0 };
        assert_eq!(shop.money(&number), (charged, 0));
    }
}

#[test]
fn a_code_that_was_scanned_before_pays_nothing() {
    let (shop, mut ptys) = shop_with(1);
    let daemon = shop.start();
    daemon.until_plugged();
    let mut events = daemon.events(None);
    let early = code();
    ptys[0].scan(&early, 0);
    let seen = events.until(|event| event.name == "scan");
    assert_eq!(seen.last().unwrap().data["kind"], "alipay");
    // The only scanner is the default.
    let waits = daemon.put("EARLY", &without_code("1.00")).expect(201);
    assert_eq!(waits["scanner"], "lane-1");

    // While it waits: other wallets, torn codes and goods are told, and pay
    // nothing.
    let others = [
        ("134567890123456789", "wechat"),
        ("6212345678901234567", "unionpay"),
        ("https://qr.alipay.com/fkx1234", "collect_code"),
        ("281234567890123", "torn"),
        ("6901234567892", "goods"),
    ];
    for (index, (text, kind)) in others.into_iter().enumerate() {
        ptys[0].scan(text, index);
        let seen = events.until(|event| event.name == "scan");
        let scan = &seen.last().unwrap().data;
        assert_eq!((&scan["kind"], &scan["scanner"]), (&json!(kind), &json!("lane-1")));
        let told = if matches!(kind, "goods" | "collect_code") { Some(text) } else { None };
        assert_eq!(told.is_some(), scan["text"] == text, "{scan}");
    }
    assert_eq!(daemon.payment("EARLY")["state"], "awaiting_code");
    assert!(shop.gateway().ledger().number("EARLY").is_none(), "nothing was sent");

    // The same words by hand are refused with their kind named.
    let problem = daemon.post("/v1/payments/EARLY/code", &json!({ "auth_code": others[0].0 }));
    let problem = problem.expect(422);
    assert_eq!(
        (&problem["code"], &problem["kind"]),
        (&json!("not_a_payment_code"), &json!("wechat"))
    );

    let good = code();
    ptys[0].scan(&good, 3);
    assert_eq!(outcome(&daemon.settled("EARLY")), is("paid", "taken", ""));
    assert_eq!(shop.money("EARLY"), (1_00, 0));
    let problem = daemon.post("/v1/payments/EARLY/code", &json!({ "auth_code": code() }));
    assert_eq!(problem.expect(409)["code"], "not_awaiting_code");
}

#[test]
fn a_scanner_is_unplugged_and_plugged_in_again() {
    let (shop, mut ptys) = shop_with(1);
    let daemon = shop.start();
    daemon.until_plugged();
    let mut events = daemon.events(None);
    daemon.put("PLUG", &without_code("1.00")).expect(201);
    for _ in 0..2 {
        ptys.clear();
        let gone = events.until(|event| event.is("scanner", &[("news", "unplugged")]));
        assert!(gone.last().unwrap().data["reason"].is_string());
        until("the status says so", || {
            (daemon.status()["scanners"][0]["present"] == false).then_some(())
        });
        ptys.push(Pty::plug(&shop.path("lane-1")));
        events.until(|event| event.is("scanner", &[("news", "plugged"), ("scanner", "lane-1")]));
    }
    // The customer is still there.
    assert_eq!(daemon.payment("PLUG")["state"], "awaiting_code");
    ptys[0].scan(&code(), 2);
    assert_eq!(outcome(&daemon.settled("PLUG")), is("paid", "taken", ""));
}

#[test]
fn a_scanner_is_told_to_read_while_a_payment_waits_for_it() {
    let (shop, mut ptys) = shop_with(1);
    let triggered = shop.config_text() + "trigger = \"datalogic\"\n";
    fs::write(shop.config(), triggered).expect("the configuration");
    let daemon = shop.start();
    daemon.until_plugged();
    let mut events = daemon.events(None);
    let told = |pty: &mut Pty, what: char| {
        let mut told = String::new();
        until("it is told", || {
            told += &pty.told();
            told.ends_with(what).then_some(())
        });
        // On a slow machine it is told to read once more.
        assert!(told.chars().all(|c| c == what), "{told} besides {what}");
    };
    // What the scanner is told comes before the next code it reads.
    let mut nothing = |pty: &mut Pty, goods: &str| {
        pty.scan(goods, 0);
        events.until(|event| event.is("scan", &[("text", goods)]));
        assert_eq!(pty.told(), "");
    };
    nothing(&mut ptys[0], "6901234567892");
    daemon.put("SCAN", &without_code("1.00")).expect(201);
    told(&mut ptys[0], 'T');
    ptys[0].scan(&code(), 1);
    assert_eq!(outcome(&daemon.settled("SCAN")), is("paid", "taken", ""));
    told(&mut ptys[0], 'X');
    // The register's own code needs no scanner.
    let paid = daemon.pay("OWN", &with_code("2.00")).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
    // Another one: the same is taken for a scanner that stutters.
    nothing(&mut ptys[0], "6901234567908");
    daemon.put("STOP", &without_code("3.00")).expect(201);
    told(&mut ptys[0], 'T');
    daemon.post("/v1/payments/STOP/cancel?wait=60", &Value::Null).expect(200);
    told(&mut ptys[0], 'X');
    // A payment that waits when the terminal starts is one that waits.
    daemon.put("AGAIN", &without_code("4.00")).expect(201);
    told(&mut ptys[0], 'T');
    drop(daemon);
    ptys[0] = Pty::plug(&shop.path("lane-1"));
    let daemon = shop.start();
    told(&mut ptys[0], 'T');
    ptys[0].scan(&code(), 2);
    assert_eq!(outcome(&daemon.settled("AGAIN")), is("paid", "taken", ""));
}

#[test]
fn a_scanner_serves_one_payment_at_a_time() {
    let (shop, mut ptys) = shop_with(2);
    let daemon = shop.start();
    daemon.until_plugged();
    let on = |lane: &str| json!({ "amount": "2.00", "subject": "茶", "scanner": lane });
    let problem = daemon.put("A", &without_code("2.00")).expect(422);
    assert_eq!(problem["code"], "scanner_needed");
    assert_eq!(problem["scanners"], json!(["lane-1", "lane-2"]));
    let problem = daemon.put("A", &on("lane-3")).expect(422);
    assert_eq!(problem["code"], "unknown_scanner");

    daemon.put("A", &on("lane-1")).expect(201);
    let problem = daemon.put("B", &on("lane-1")).expect(409);
    assert_eq!((&problem["code"], &problem["out_trade_no"]), (&json!("scanner_busy"), &json!("A")));
    assert_eq!(problem["money"], "none");
    daemon.put("C", &on("lane-2")).expect(201);
    // With its own code it needs none.
    let paid = daemon.pay("D", &with_code("2.00")).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));

    ptys[1].scan(&code(), 1);
    assert_eq!(outcome(&daemon.settled("C")), is("paid", "taken", ""));
    assert_eq!(daemon.payment("A")["state"], "awaiting_code");
    let cancelled = daemon.post("/v1/payments/A/cancel?wait=60", &Value::Null).expect(200);
    assert_eq!(outcome(&cancelled), is("cancelled", "none", "none"));
    assert!(shop.gateway().ledger().number("A").is_none());
    // It is free again, also for a code that is typed.
    daemon.put("B", &on("lane-1")).expect(201);
    let typed = daemon.post("/v1/payments/B/code?wait=60", &json!({ "auth_code": code() }));
    assert_eq!(outcome(&typed.expect(200)), is("paid", "taken", ""));
}

#[test]
fn nobody_shows_a_code() {
    let setup = Setup { code_timeout: "100ms", ..Setup::default() };
    let shop = Shop::open(setup);
    let daemon = shop.start();
    let payment = daemon.pay("NOBODY", &without_code("2.00")).expect(201);
    assert_eq!(outcome(&payment), is("cancelled", "none", "none"));
    assert!(shop.gateway().ledger().number("NOBODY").is_none());
}
