//! Payments, cancels and codes: where the money is, and what that is told by.

use serde_json::{Value, json};

use crate::fake::{self, Act, Fake};
use crate::run::{both_languages, end, interrupt, start, till, till_with_input};
use crate::says::*;
use crate::{CANARY, PAY};

/// Every story ends with a sentence on stdout alone, and with the exit code of
/// its money.
#[test]
fn every_ending_has_its_sentence_and_its_exit_code() {
    type Story = fn() -> Vec<Act>;
    let stories: [(&str, i32, Story); 6] = [
        ("pay-paid.txt", 0, || vec![Act::Say(201, paid("A1").to_string())]),
        ("pay-awaiting-buyer.txt", 0, || {
            vec![say(&awaiting_code("A1")), say(&awaiting_buyer("A1")), say(&paid("A1"))]
        }),
        ("pay-declined.txt", 10, || vec![say(&processing("A1")), say(&declined("A1"))]),
        ("pay-cancelled.txt", 10, || vec![say(&cancelling("A1")), say(&cancelled("A1"))]),
        ("pay-returned.txt", 11, || vec![say(&cancelling("A1")), say(&given_back("A1"))]),
        ("pay-lost-and-back.txt", 0, || {
            vec![Act::Cut, say(&processing("A1")), Act::CutMidway, say(&paid("A1"))]
        }),
    ];
    for (name, code, story) in stories {
        for ran in both_languages(name, PAY, || Fake::new(in_turn(story()))) {
            assert_eq!(ran.code, code, "{name}");
            assert_eq!(ran.out.lines().count(), 1, "{name}: one sentence");
        }
        let fake = Fake::new(in_turn(story()));
        let ran = till(&fake.socket(), &[PAY, &["--json"]].concat());
        assert_eq!(ran.code, code, "{name} in JSON");
        assert_eq!(ran.json()["out_trade_no"], "A1", "{name} in JSON");
        assert!(!ran.json()["from_the_future"].is_null(), "members of the future are passed on");
    }
}

#[test]
fn denied_requests_end_by_their_money() {
    type Story = fn() -> Act;
    let stories: [(&str, i32, Story); 7] = [
        ("denied-sale-in-doubt.txt", 20, || {
            let (zh, en) = ("上一次收款还没有结果", "The earlier attempt is not settled");
            problem(409, "sale_in_doubt", "unknown", Some("B7"), zh, en)
        }),
        ("denied-sale-already-paid.txt", 0, || {
            let (zh, en) = ("这笔销售已经收款", "This sale has been paid");
            problem(409, "sale_already_paid", "taken", Some("B7"), zh, en)
        }),
        ("denied-scanner-busy.txt", 10, || {
            let (zh, en) = ("扫码枪正在等待另一笔付款", "The scanner waits for another payment");
            problem(409, "scanner_busy", "none", Some("B7"), zh, en)
        }),
        ("denied-order-conflict.txt", 20, || {
            let (zh, en) = ("单号已用于另一笔付款", "The number belongs to another payment");
            problem(409, "order_conflict", "unknown", Some("A1"), zh, en)
        }),
        ("denied-amount.txt", 2, || {
            problem(422, "invalid_amount", "none", None, "金额不对", "The amount is wrong")
        }),
        ("denied-journal.txt", 20, || {
            problem(503, "journal_unavailable", "unknown", None, "终端不能收款", "No payments now")
        }),
        ("denied-without-words.txt", 20, || Act::Say(500, "{}".to_owned())),
    ];
    for (name, code, story) in stories {
        for ran in both_languages(name, PAY, || Fake::new(move |_| story())) {
            assert_eq!(ran.code, code, "{name}");
        }
        let fake = Fake::new(move |_| story());
        let ran = till(&fake.socket(), &[PAY, &["--json"]].concat());
        assert_eq!(ran.code, code, "{name} in JSON");
        assert!(ran.json().is_object());
        assert_eq!(fake.lines().len(), 1, "{name}: a denial is not asked about again");
    }
}

#[test]
fn nobody_listens() {
    for (name, arguments) in [
        ("absent-pay.txt", &["pay", "1", "--subject", "x"][..]),
        ("absent-pay-order.txt", PAY),
        ("absent-show.txt", &["show", "A1"]),
        ("absent-watch.txt", &["watch"]),
    ] {
        for ran in both_languages(name, arguments, Fake::absent) {
            assert_eq!(ran.code, 3, "{name}");
        }
        let fake = Fake::absent();
        let ran = till(&fake.socket(), &[arguments, &["--json"]].concat());
        assert_eq!((ran.code, &ran.json()["code"]), (3, &json!("daemon_absent")), "{name}");
        let untouched = name == "absent-pay.txt";
        let money = if untouched { "none" } else { "unknown" };
        assert_eq!(ran.json()["money"], money, "{name}");
    }
}

/// The promise: whatever is lost, the repeated request is the same one.
#[test]
fn a_lost_request_is_repeated_under_the_same_number() {
    for arguments in [
        &["pay", "88.88", "--subject", "咖啡", "--code", CANARY][..],
        &["pay", "88.88", "--subject", "咖啡", "--sale", "S1", "--code", CANARY],
        &["pay", "88.88", "--subject", "咖啡", "--order", "A1", "--sale", "S1", "--timeout", "30"],
    ] {
        let fake = Fake::new(in_turn(vec![
            Act::Cut,
            Act::CutMidway,
            problem(503, "stopping", "unknown", None, "正在重启", "Restarting"),
            say(&processing("A1")),
            say(&paid("A1")),
        ]));
        let ran = till(&fake.socket(), arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        let seen = fake.seen();
        let first = &seen[0];
        for again in &seen[1..4] {
            assert_eq!((again.line(), &again.body), (first.line(), &first.body));
        }
        let expected = if arguments.contains(&"--order") {
            "PUT /v1/payments/A1".to_owned()
        } else if arguments.contains(&"--sale") {
            "POST /v1/payments".to_owned()
        } else {
            let number = first.path.strip_prefix("/v1/payments/").expect("a number of its own");
            assert_eq!(number.len(), 32);
            assert!(ran.err.contains(number), "whoever is interrupted can ask for it");
            format!("PUT /v1/payments/{number}")
        };
        assert_eq!(first.line(), expected);
        let body: Value = serde_json::from_str(&first.body).expect("JSON");
        assert_eq!((&body["amount"], &body["subject"]), (&json!("88.88"), &json!("咖啡")));
        if arguments.contains(&"--timeout") {
            assert_eq!(body["timeout"], 30);
            assert!(body.get("auth_code").is_none());
        } else {
            assert_eq!(body["auth_code"], CANARY);
        }
    }
}

#[test]
fn two_payments_have_two_numbers() {
    let fake = Fake::new(|_| say(&paid("A1")));
    for _ in 0..2 {
        till(&fake.socket(), &["pay", "1", "--subject", "x"]);
    }
    assert_ne!(fake.seen()[0].path, fake.seen()[1].path);
}

/// Once a request may have reached the terminal, only a final payment is
/// certain; nothing that is said in between makes it `none`.
#[test]
fn a_payment_under_way_never_ends_on_a_guess() {
    type Story = fn() -> Act;
    let strange: [(&str, Story); 5] = [
        ("forgotten", || problem(404, "not_found", "unknown", None, "没有", "No such payment")),
        ("denied", || problem(422, "bad_wait", "none", None, "不对", "Wrong")),
        ("not JSON", || Act::Say(200, "paid".to_owned())),
        ("another shape", || Act::Say(200, "[1]".to_owned())),
        ("down", || problem(503, "stopping", "unknown", None, "正在重启", "Restarting")),
    ];
    for (name, act) in strange {
        let fake = Fake::new(move |request| match request.method.as_str() {
            "PUT" => say(&processing("A1")),
            _ => act(),
        });
        let ran = till(&fake.socket(), &[PAY, &["--wait", "1"]].concat());
        assert_eq!(ran.code, 20, "{name}: {ran:?}");
        assert!(ran.out.contains("till show A1"), "{name}: {ran:?}");
    }
}

#[test]
fn a_daemon_that_stays_away_leaves_the_outcome_unknown() {
    let name = "left-in-doubt.txt";
    let runs = both_languages(name, &[PAY, &["--wait", "1"]].concat(), || {
        let fake = Fake::absent();
        let socket = fake.socket();
        // The first request arrives, and then the daemon is no more.
        fake.listen(move |_| {
            fake::remove(&socket);
            Act::Cut
        });
        fake
    });
    assert!(runs.iter().all(|ran| ran.code == 20));
    let fake = Fake::new(|_| Act::Cut);
    let ran = till(&fake.socket(), &[PAY, &["--wait", "1", "--json"]].concat());
    assert_eq!(ran.code, 20);
    let value = ran.json();
    assert_eq!((&value["money"], &value["out_trade_no"]), (&json!("unknown"), &json!("A1")));
}

#[test]
fn whoever_will_not_wait_has_still_sent_the_request() {
    let fake = Fake::new(|_| say(&awaiting_code("A1")));
    let ran = till(&fake.socket(), &[PAY, &["--wait", "0", "--json"]].concat());
    assert_eq!((ran.code, &ran.json()["state"]), (20, &json!("awaiting_code")));
    assert_eq!(fake.lines()[0], "PUT /v1/payments/A1");
}

// --- Cancelling, codes ------------------------------------------------------------

/// A terminal that waits for the buyer until it is asked to cancel; then the
/// payment is `after`.
fn until_cancelled(after: Value) -> Fake {
    let mut cancel_asked = false;
    Fake::new(move |request| {
        cancel_asked |= request.line() == "POST /v1/payments/A1/cancel";
        match (request.method.as_str(), cancel_asked) {
            ("GET", true) => say(&after),
            (_, true) => Act::Say(202, cancelling("A1").to_string()),
            _ => say(&awaiting_buyer("A1")),
        }
    })
}

#[test]
fn ctrl_c_cancels_and_waits_for_the_truth() {
    for (after, code) in [(given_back("A1"), 11), (cancelled("A1"), 10), (paid("A1"), 0)] {
        let fake = until_cancelled(after);
        let child = start(&fake.socket(), PAY);
        fake.wait_for("GET /v1/payments/A1");
        interrupt(&child);
        let ran = end(child);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.err.contains("Asked the terminal to cancel"), "{ran:?}");
    }
}

#[test]
fn ctrl_c_on_a_payment_that_is_paid_already_ends_paid() {
    let mut cancel_asked = false;
    let fake = Fake::new(move |request| match request.line().as_str() {
        "POST /v1/payments/A1/cancel" => {
            cancel_asked = true;
            problem(409, "already_paid", "taken", Some("A1"), "已收款", "Paid already")
        }
        _ if cancel_asked => say(&paid("A1")),
        _ => say(&processing("A1")),
    });
    let child = start(&fake.socket(), PAY);
    fake.wait_for("GET /v1/payments/A1");
    interrupt(&child);
    let ran = end(child);
    assert_eq!((ran.code, ran.out.as_str()), (0, "Paid 88.88 yuan\n"));
}

#[test]
fn a_second_ctrl_c_leaves_with_the_number_and_no_certainty() {
    let fake = until_cancelled(cancelling("A1"));
    let child = start(&fake.socket(), PAY);
    fake.wait_for("GET /v1/payments/A1");
    interrupt(&child);
    fake.wait_for("POST /v1/payments/A1/cancel");
    interrupt(&child);
    let ran = end(child);
    assert_eq!(ran.code, 20, "{ran:?}");
    assert!(ran.out.contains("till show A1"), "{ran:?}");
}

/// Whoever wants to cancel does not want the lost request repeated.
#[test]
fn ctrl_c_while_the_first_answer_is_awaited_sends_no_second_request() {
    let accepted = || Act::Say(202, cancelling("A1").to_string());
    // A number that is not known (yet) may belong to a request on its way.
    let unknown = || problem(404, "not_found", "unknown", None, "没有", "No such payment");
    let stories: [(i32, fn() -> Act); 2] = [(10, accepted), (20, unknown)];
    for (code, cancel) in stories {
        let (cut, cut_now) = std::sync::mpsc::channel::<()>();
        let fake = Fake::new(move |request| match request.method.as_str() {
            "PUT" => {
                let _ = cut_now.recv();
                Act::Cut
            }
            "POST" => cancel(),
            _ => say(&cancelled("A1")),
        });
        let mut child = start(&fake.socket(), PAY);
        fake.wait_for("PUT /v1/payments/A1");
        interrupt(&child);
        let mut stderr = std::io::BufReader::new(child.stderr.take().expect("stderr"));
        let mut said = String::new();
        std::io::BufRead::read_line(&mut stderr, &mut said).expect("a line");
        assert!(said.contains("as soon as the terminal answers"), "{said}");
        drop(cut);
        let ran = end(child);
        assert_eq!(ran.code, code, "{ran:?}");
        assert_eq!(fake.lines().iter().filter(|line| line.starts_with("PUT")).count(), 1);
    }
}

#[test]
fn cancel_waits_for_the_outcome() {
    let story = || {
        let mut asked = 0;
        Fake::new(move |request| {
            asked += 1;
            match (request.line().as_str(), asked) {
                (_, 1) => Act::Cut,
                ("POST /v1/payments/A1/cancel", _) => Act::Say(202, cancelling("A1").to_string()),
                _ => say(&given_back("A1")),
            }
        })
    };
    for ran in both_languages("cancel.txt", &["cancel", "A1"], story) {
        assert_eq!(ran.code, 11);
    }
    let already = || {
        let act =
            || problem(409, "already_paid", "taken", Some("A1"), "已收款，请退款", "Refund it");
        Fake::new(move |_| act())
    };
    for ran in both_languages("cancel-already-paid.txt", &["cancel", "A1"], already) {
        assert_eq!(ran.code, 0);
    }
}

#[test]
fn a_code_is_read_from_standard_input_and_handed_over_once() {
    // Lost on its way, so handed over again; lost behind it, so only followed.
    for arrives in [false, true] {
        let mut codes = 0;
        let fake = Fake::new(move |request| {
            let posted = request.line() == "POST /v1/payments/A1/code";
            codes += i32::from(posted);
            let known = if arrives { codes >= 1 } else { codes >= 2 };
            match (posted, known) {
                (true, _) if codes == 1 => Act::Cut,
                (_, true) => say(&paid("A1")),
                (_, false) => say(&awaiting_code("A1")),
            }
        });
        let ran = till_with_input(&fake.socket(), &["code", "A1", "-"], &format!("{CANARY}\n"));
        assert_eq!(ran.code, 0, "{ran:?}");
        let posts = fake.seen().into_iter().filter(|seen| seen.method == "POST");
        let bodies: Vec<String> = posts.map(|seen| seen.body).collect();
        assert_eq!(bodies.len(), if arrives { 1 } else { 2 });
        assert!(bodies.iter().all(|body| *body == format!("{{\"auth_code\":\"{CANARY}\"}}")));
    }
}

/// Even if a confused terminal repeats the code, `till` does not.
#[test]
fn the_code_is_never_shown() {
    let mut echo = awaiting_buyer("A1");
    echo["cashier"]["en"] = json!(format!("code {CANARY} is waiting"));
    echo["attention"] = json!(format!("look at {CANARY}"));
    let mut last = echo.clone();
    last["final"] = json!(true);
    let denial = || problem(422, "x", "none", None, CANARY, &format!("what is {CANARY}?"));
    for json in [&[][..], &["--json"]] {
        let stories = [
            (20, vec![say(&echo), say(&last)]),
            (2, vec![denial()]),
            (20, vec![Act::Say(200, format!("\"{CANARY}\""))]),
        ];
        for (code, acts) in stories {
            let fake = Fake::new(in_turn(acts));
            let ran = till(&fake.socket(), &[PAY, &["--code", CANARY], json].concat());
            assert_eq!(ran.code, code, "{ran:?}");
            let all = format!("{}{}", ran.out, ran.err);
            assert!(!all.contains(CANARY) && !all.contains(&CANARY[2..16]), "{ran:?}");
        }
        let fake = Fake::absent();
        for mistake in [
            &["pay", CANARY, "--subject", "x", CANARY][..],
            &["code", "A1", CANARY, CANARY],
            &["show", "A1", CANARY],
            &[CANARY],
            &["pay", "1", "--subject", "x", "--timeout", CANARY, "--lang", "zh", "-x"],
            &["list", "--limit", CANARY, "--lang", "zh"],
        ] {
            let ran = till(&fake.socket(), &[mistake, json].concat());
            assert_eq!(ran.code, 2, "{ran:?}");
            let all = format!("{}{}", ran.out, ran.err);
            assert!(!all.contains(CANARY), "{ran:?}");
        }
    }
}
