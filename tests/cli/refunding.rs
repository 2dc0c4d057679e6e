//! Refunds: whether the money went back, who is asked before, and what a lost
//! connection changes (nothing).

use serde_json::{Value, json};

use crate::fake::{Act, Fake, Seen};
use crate::run::{both_languages, end, interrupt, start, till};
use crate::says::*;
use crate::typing::Window;

const REFUND: &[&str] = &["refund", "A1", "5", "--request", "R1", "--reason", "凉了", "--yes"];
const PATH: &str = "/v1/payments/A1/refunds/R1";

/// Every story ends with a sentence on stdout alone, and with the exit code of the
/// refund: 0 is money that is proven to be back, and nothing else.
///
/// Bug to plant: end a denied refund by the money of its payment.
#[test]
fn every_refund_has_its_sentence_and_its_exit_code() {
    type Story = fn() -> Vec<Act>;
    let stories: [(&str, i32, Story); 8] = [
        ("refund.txt", 0, || {
            vec![Act::Say(201, refunding("A1", "R1").to_string()), say(&refunded("A1", "R1"))]
        }),
        ("refund-refused.txt", 10, || vec![say(&refunding("A1", "R1")), say(&refused("A1", "R1"))]),
        ("refund-lost-and-back.txt", 0, || {
            vec![
                Act::Cut,
                problem(503, "stopping", "taken", None, "正在重启", "Restarting"),
                say(&refunding("A1", "R1")),
                Act::CutMidway,
                say(&refunded("A1", "R1")),
            ]
        }),
        ("refund-balance.txt", 0, || {
            let mut waits = refunding("A1", "R1");
            waits["attention"] = json!({"zh": "商家支付宝账户余额不足", "en": "The merchant's account has not enough"});
            vec![say(&waits), say(&refunded("A1", "R1"))]
        }),
        ("refund-exceeds.txt", 10, || {
            let (zh, en) = ("退款金额超过还可以退的金额，没有退款", "More than can still go back");
            vec![problem(422, "refund_exceeds", "taken", None, zh, en)]
        }),
        ("refund-not-paid.txt", 10, || {
            let (zh, en) = ("这笔收款没有收到钱，没有可退的", "This payment was not paid");
            vec![problem(409, "not_paid", "none", None, zh, en)]
        }),
        ("refund-in-doubt.txt", 20, || {
            let (zh, en) = ("这笔收款的另一笔退款还没有结果", "Another refund is not settled");
            vec![problem(409, "refund_in_doubt", "taken", None, zh, en)]
        }),
        ("refund-forbidden.txt", 10, || {
            let (zh, en) = ("这笔退款需要店长来做", "This refund is for a supervisor to make");
            vec![problem(403, "forbidden", "taken", None, zh, en)]
        }),
    ];
    for (name, code, story) in stories {
        for ran in both_languages(name, REFUND, || Fake::new(in_turn(story()))) {
            assert_eq!(ran.code, code, "{name}");
            assert_eq!(ran.out.lines().count(), 1, "{name}: one sentence");
        }
        let fake = Fake::new(in_turn(story()));
        let ran = till(&fake.socket(), &[REFUND, &["--json"]].concat());
        assert_eq!(ran.code, code, "{name} in JSON");
        let told = ran.json();
        assert!(told["out_request_no"] == "R1" || told["code"].is_string(), "{name}: {told}");
        assert_eq!(fake.lines()[0], format!("PUT {PATH}"), "{name}: asked for at once");
    }
}

#[test]
fn denials_of_a_refund_that_say_nothing_of_its_money_are_unknown() {
    for (status, code, money, exit) in [
        (409, "refund_conflict", "taken", 20),
        (409, "payment_in_doubt", "unknown", 20),
        (409, "other_account", "taken", 10),
        (404, "not_found", "unknown", 20),
        (422, "invalid_refund_number", "taken", 2),
        (503, "journal_unavailable", "taken", 20),
        (500, "from_the_future", "taken", 20),
        (418, "from_the_future", "returned", 20),
    ] {
        let fake = Fake::new(move |_| problem(status, code, money, None, "不能退", "No refund"));
        let ran = till(&fake.socket(), REFUND);
        assert_eq!(ran.code, exit, "{code}: {ran:?}");
        assert_eq!(fake.lines().len(), 1, "{code}: a denial is not asked about again");
    }
}

/// The promise: whatever is lost, the repeated request is the same one.
///
/// Bug to plant: a fresh number for each round.
#[test]
fn a_lost_refund_is_repeated_under_the_same_number() {
    let fake = Fake::new(in_turn(vec![
        Act::Cut,
        Act::CutMidway,
        problem(503, "draining", "taken", None, "正在升级", "Upgrading"),
        say(&refunding("A1", "R1")),
        Act::Cut,
        say(&refunded("A1", "R1")),
    ]));
    let ran = till(&fake.socket(), &["refund", "A1", "5.0", "--yes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let seen = fake.seen();
    for again in &seen[1..4] {
        assert_eq!((again.line(), &again.body), (seen[0].line(), &seen[0].body));
    }
    let number = seen[0].path.strip_prefix("/v1/payments/A1/refunds/").expect("a number");
    assert_eq!(number.len(), 32);
    assert!(ran.err.contains(number), "whoever is interrupted can ask for it");
    assert_eq!(serde_json::from_str::<Value>(&seen[0].body).unwrap(), json!({"amount": "5.00"}));
    assert!(seen[4].line().starts_with(&format!("GET {}", seen[0].path)), "{seen:?}");
}

#[test]
fn who_leaves_is_told_under_which_number_it_goes_on() {
    for name in ["SIGINT", "--wait"] {
        let fake = Fake::new(|_| say(&refunding("A1", "R1")));
        let ran = if name == "--wait" {
            till(&fake.socket(), &[REFUND, &["--wait", "1", "--lang", "en"]].concat())
        } else {
            let child = start(&fake.socket(), &[REFUND, &["--lang", "en"]].concat());
            fake.wait_for(&format!("GET {PATH}"));
            interrupt(&child);
            end(child)
        };
        assert_eq!(ran.code, 20, "{name}: {ran:?}");
        assert!(ran.out.contains("do not pay it back in cash"), "{name}: {ran:?}");
        assert!(ran.out.contains("Refund R1; ask with: till show A1"), "{name}: {ran:?}");
    }
}

#[test]
fn a_refund_without_a_terminal() {
    for ran in both_languages("refund-absent.txt", &["refund", "A1", "5", "--yes"], Fake::absent) {
        assert_eq!(ran.code, 3);
    }
    for request in [&[][..], &["--request", "R1"]] {
        let arguments = [&["refund", "A1", "--all", "--yes", "--json"], request].concat();
        let ran = till(&Fake::absent().socket(), &arguments);
        assert_eq!((ran.code, &ran.json()["code"]), (3, &json!("daemon_absent")));
    }
}

/// A script that forgot to say that it means it gives nothing back.
#[test]
fn nobody_to_ask_is_a_no() {
    let fake = || Fake::new(|request| panic!("unasked: {request:?}"));
    for ran in both_languages("refund-unasked.txt", &["refund", "A1", "5"], fake) {
        assert_eq!(ran.code, 2);
    }
    for arguments in
        [&["refund", "A1"][..], &["refund", "A1", "5", "--all"], &["refund", "A1", "5.001"]]
    {
        assert_eq!(till(&fake().socket(), arguments).code, 2, "{arguments:?}");
    }
}

/// A payment of which 8.88 went back, and refund R1 of 5 yuan.
fn shop(request: &Seen) -> Act {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/v1/payments/A1") => say(&paid_less("A1", "8.88")),
        ("GET", "/v1/payments/A2") => say(&paid_less("A2", "88.88")),
        ("GET", "/v1/payments/A3") => say(&declined("A3")),
        ("GET", "/v1/payments/A4") => say(&awaiting_buyer("A4")),
        ("GET", "/v1/payments/A1/refunds/R9") => {
            problem(404, "not_found", "taken", None, "没有这笔退款", "There is no such refund")
        }
        _ => say(&refunded("A1", "R1")),
    }
}

fn put(fake: &Fake) -> Option<Value> {
    let put = fake.seen().into_iter().find(|seen| seen.method == "PUT")?;
    let body: Value = serde_json::from_str(&put.body).expect("JSON");
    Some(body["amount"].clone())
}

/// Bug to plant: give all of the payment back, whatever is left.
#[test]
fn all_is_what_is_left() {
    for (order, request, amount, code) in [
        ("A1", None, Some("80.00"), 0),
        ("A1", Some("R9"), Some("80.00"), 0),
        // The same refund again is of the same sum, also once it has changed what is left.
        ("A1", Some("R1"), Some("5.00"), 0),
        ("A2", None, None, 10),
        ("A3", None, None, 10),
        ("A4", None, None, 20),
    ] {
        let fake = Fake::new(shop);
        let number = request.map(|request| vec!["--request", request]).unwrap_or_default();
        let ran = till(&fake.socket(), &[vec!["refund", order, "--all", "--yes"], number].concat());
        assert_eq!(ran.code, code, "{order} {request:?}: {ran:?}");
        assert_eq!(put(&fake), amount.map(Value::from), "{order} {request:?}");
    }
    for (name, order) in [("refund-nothing-left.txt", "A2"), ("refund-all-not-paid.txt", "A3")] {
        both_languages(name, &["refund", order, "--all", "--yes"], || Fake::new(shop));
        let ran = till(&Fake::new(shop).socket(), &["refund", order, "--all", "--yes", "--json"]);
        assert_eq!((ran.code, &ran.json()["out_trade_no"]), (10, &json!(order)));
    }
}

/// Bug to plant: take anything but a no for a yes.
#[test]
fn a_person_is_asked_first() {
    for (typed, amount, code) in [
        ("y\n", Some("5.00"), 0),
        ("是\n", Some("5.00"), 0),
        ("\n", None, 10),
        ("n\n", None, 10),
        ("281234567890123494\n", None, 10),
        // Ctrl-D.
        ("\u{4}", None, 10),
    ] {
        let fake = Fake::new(shop);
        let mut window = Window::open();
        let child = window.start(&fake, &["refund", "A1", "5", "--lang", "en"]);
        fake.wait_for("GET /v1/payments/A1");
        assert_eq!(put(&fake), None, "before anything is typed");
        window.types(typed);
        let ran = end(child);
        assert_eq!((ran.code, put(&fake)), (code, amount.map(Value::from)), "{typed:?}: {ran:?}");
        let question = ["A1", "咖啡", "88.88", "80.00", "Give 5.00 yuan back"];
        assert!(question.iter().all(|part| ran.err.contains(part)), "{ran:?}");
    }
    // What was agreed to once is not asked again, and --yes is never asked.
    for arguments in [&["--request", "R1"][..], &["--yes"]] {
        let fake = Fake::new(shop);
        let window = Window::open();
        let ran = end(window.start(&fake, &[&["refund", "A1", "5"], arguments].concat()));
        assert_eq!((ran.code, put(&fake)), (0, Some(json!("5.00"))), "{ran:?}");
    }
}
