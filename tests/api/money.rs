//! What a refused request is told of the money: `none` only where it was looked
//! up, and nothing is there.

use serde_json::{Value, json};
use tilld::api::{About, Code, Unanswered};
use tilld::payment::{CancelAction, Order, Payment, State};
use tilld::terminal::Denied;
use tokio::io::AsyncWriteExt;

use crate::client::{Response, Terminal, read_response, request};
use crate::fake::{NOW, altered, order, payment};

const BODY: &str = r#"{"amount":"88.88","subject":"咖啡"}"#;
const SALE: &str = r#"{"amount":"88.88","subject":"咖啡","sale":"S1"}"#;
const WECHAT: &str = r#"{"amount":"1","subject":"x","auth_code":"134567890123456789"}"#;

fn money(response: &Response) -> String {
    assert!(response.head.contains("content-type: application/problem+json"), "{response:?}");
    let told = response.json();
    let (zh, en) = (told["cashier"]["zh"].as_str(), told["cashier"]["en"].as_str());
    let (zh, en) = (zh.expect("a sentence"), en.expect("a sentence"));
    let money = told["money"].as_str().expect("a word").to_owned();
    let says_none = zh.contains("没有扣款") && en.contains("nothing was charged");
    assert_eq!(says_none, money == "none", "{told}");
    money
}

fn attempt(number: &str, sale: &str, state: State) -> Payment {
    let order = Order { sale: Some(sale.to_owned()), ..order(number) };
    altered(&payment(number, state), |record| record.order = order.into())
}

/// One faulty request of each kind, as `PUT` for a number.
async fn faulty_puts(terminal: &Terminal, number: &str) -> Vec<(&'static str, Response)> {
    let path = format!("/v1/payments/{number}");
    let text = ["content-type: text/plain"];
    let zipped = format!("{BODY}{}", " ".repeat(64 * 1024));
    let mut told = vec![
        ("not_a_payment_code", terminal.put(&path, WECHAT).await),
        ("invalid_json", terminal.put(&path, "{").await),
        ("invalid_request", terminal.put(&path, r#"{"amount":"1","subject":"x","a":1}"#).await),
        ("invalid_amount", terminal.put(&path, r#"{"amount":"x","subject":"x"}"#).await),
        ("invalid_parameter", terminal.put(&format!("{path}?wait=x"), BODY).await),
        ("unsupported_media_type", terminal.ask("PUT", &path, &text, BODY).await),
        ("body_too_large", terminal.put(&path, &zipped).await),
    ];
    for denied in [
        Denied::Stopping,
        Denied::Draining,
        Denied::ClockWrong("1970".to_owned()),
        Denied::JournalUnavailable("the disk is full".to_owned()),
        Denied::ScannerBusy { number: "B1".parse().unwrap(), scanner: "lane-1".to_owned() },
    ] {
        terminal.fake.will_deny(denied);
        told.push(("denied", terminal.put(&path, BODY).await));
    }
    for unanswered in [Unanswered::TakenBack("stuck".to_owned()), Unanswered::Ended] {
        terminal.fake.will_not_answer(unanswered);
        told.push(("taken back", terminal.put(&path, BODY).await));
    }
    told
}

/// Bug to plant: let `weigh` return `problem.none()` at once.
#[tokio::test]
async fn a_number_is_told_none_only_if_it_was_looked_up_and_is_free() {
    let terminal = Terminal::start();
    for (code, told) in faulty_puts(&terminal, "FREE").await {
        assert_eq!(money(&told), "none", "{code}: {told:?}");
    }
    for state in [
        State::Paid,
        State::Querying,
        State::AwaitingCode { until: NOW },
        State::Declined,
        State::Cancelled(CancelAction::Close),
        State::Cancelled(CancelAction::None),
    ] {
        terminal.fake.journal(&payment("A1", state), "test");
        for (code, told) in faulty_puts(&terminal, "A1").await {
            assert_eq!(money(&told), "unknown", "{state:?} {code}: {told:?}");
            assert!(
                told.json()["cashier"]["zh"].as_str().unwrap().contains("A1"),
                "{code}: {told:?}"
            );
        }
    }
    // A request with this number is with the daemon at this moment.
    terminal.fake.under_way.lock().unwrap().push(About::Number("SOON".parse().unwrap()));
    for (code, told) in faulty_puts(&terminal, "SOON").await {
        assert_eq!(money(&told), "unknown", "{code}: {told:?}");
    }
    *terminal.fake.unreadable.lock().unwrap() = true;
    for (code, told) in faulty_puts(&terminal, "FREE").await {
        assert_eq!(money(&told), "unknown", "{code}: {told:?}");
    }
}

#[tokio::test]
async fn what_may_still_be_acted_on_is_never_none() {
    let terminal = Terminal::start();
    let in_doubt = || Unanswered::InDoubt("the disk does not answer".to_owned());
    terminal.fake.will_not_answer(in_doubt());
    let put = terminal.put("/v1/payments/FREE", BODY).await;
    terminal.fake.will_not_answer(in_doubt());
    let posted = terminal.post("/v1/payments", SALE).await;
    terminal.fake.will_not_answer(in_doubt());
    let stop = terminal.post("/v1/payments/FREE/cancel", "").await;
    for told in [put, posted, stop] {
        assert_eq!(money(&told), "unknown", "{told:?}");
        let told = told.problem(503, "journal_unavailable");
        assert!(told["cashier"]["en"].as_str().unwrap().contains("may still"), "{told}");
    }
}

#[tokio::test]
async fn a_sale_is_told_none_only_if_it_was_looked_up_and_has_no_attempt_that_counts() {
    let terminal = Terminal::start();
    let faulty = |sale: &str| {
        [
            format!(r#"{{"amount":"x","subject":"x","sale":"{sale}"}}"#),
            format!(r#"{{"amount":"1","subject":"x","sale":"{sale}","more":1}}"#),
            format!(r#"{{"amount":"1","sale":"OTHER","sale":"{sale}"}}"#),
            format!(r#"{{"amount":"1","subject":"x","sale":"{sale}","auth_code":"69"}}"#),
        ]
    };
    for (sale, state, word) in [
        ("S1", State::Paid, "unknown"),
        ("S2", State::Querying, "unknown"),
        ("S3", State::AwaitingCode { until: NOW }, "unknown"),
        ("S4", State::Declined, "none"),
        ("S5", State::Cancelled(CancelAction::Refund), "none"),
    ] {
        terminal.fake.journal(&attempt(&format!("A{sale}"), sale, state), "test");
        for body in faulty(sale) {
            let posted = terminal.post("/v1/payments", &body).await;
            // Also with a number of the register's own that is free.
            let put = terminal.put("/v1/payments/FREE", &body).await;
            for told in [posted, put] {
                assert_eq!(money(&told), word, "{state:?} {body}: {told:?}");
            }
        }
        terminal.fake.will_deny(Denied::JournalUnavailable("the disk is full".to_owned()));
        let whole = SALE.replace("S1", sale);
        assert_eq!(money(&terminal.post("/v1/payments", &whole).await), word, "{state:?}");
    }
    terminal.fake.under_way.lock().unwrap().push(About::Sale("SOON".to_owned()));
    for body in faulty("SOON") {
        assert_eq!(money(&terminal.post("/v1/payments", &body).await), "unknown", "{body}");
    }
    // Nothing could be looked up.
    let text = ["content-type: text/plain"];
    let unread = [
        terminal.post("/v1/payments", "{").await,
        terminal.post("/v1/payments", BODY).await,
        terminal.ask("POST", "/v1/payments", &text, SALE).await,
        terminal.post("/v1/payments?wait=x", SALE).await,
    ];
    for told in unread {
        assert_eq!(money(&told), "unknown", "{told:?}");
    }
}

/// The terminal has looked the sale up, and says itself what is there: this
/// request has moved nothing, whatever became of that.
#[tokio::test]
async fn a_sale_that_was_another_is_told_none_with_the_earlier_payment() {
    let terminal = Terminal::start();
    let paid = attempt("A1", "S1", State::Paid);
    terminal.fake.journal(&paid, "test");
    let paid = || Box::new(paid.clone());
    for (denied, code, word) in [
        (Denied::SaleConflict(paid()), "sale_conflict", "none"),
        (Denied::SaleAlreadyPaid { payment: paid(), long_ago: true }, "sale_already_paid", "none"),
        (
            Denied::SaleAlreadyPaid { payment: paid(), long_ago: false },
            "sale_already_paid",
            "taken",
        ),
    ] {
        terminal.fake.will_deny(denied.clone());
        let posted = terminal.post("/v1/payments", SALE).await;
        terminal.fake.will_deny(denied.clone());
        let put = terminal.put("/v1/payments/FREE", SALE).await;
        for told in [posted, put] {
            assert_eq!(money(&told), word, "{told:?}");
            let told = told.problem(409, code);
            assert_eq!(
                (&told["out_trade_no"], &told["payment"]["money"]),
                (&json!("A1"), &json!("taken"))
            );
            let says = told["cashier"]["en"].as_str().unwrap();
            assert_eq!(says.contains("88.88 yuan from 2026-11-20 10:00"), word == "none", "{says}");
        }
        // Its own number has a payment.
        terminal.fake.will_deny(denied);
        let told = terminal.put("/v1/payments/A1", SALE).await;
        assert_ne!(money(&told), "none", "{told:?}");
    }
}

/// Who asks for a payment that is not here may have lost a journal; and what
/// went to the wrong place was never looked up.
#[tokio::test]
async fn only_what_would_have_begun_a_payment_is_told_none() {
    let terminal = Terminal::start();
    let code = r#"{"auth_code":"281234567890123494"}"#;
    for told in [
        terminal.get("/v1/payments/FREE").await,
        terminal.get("/v1/payments/FREE?wait=x").await,
        terminal.get("/v1/payments/FREE/journal").await,
        terminal.post("/v1/payments/FREE/cancel", "").await,
        terminal.post("/v1/payments/FREE/code", code).await,
        terminal.post("/v1/payments/FREE/code", "{").await,
        terminal.put("/v1/payments/FREE/", BODY).await,
        terminal.post("/v1/payments/FREE", BODY).await,
        terminal.put("/v1/payments/A-1", BODY).await,
        terminal.get("/v1/payments?state=gone").await,
        terminal.get("/v1/events?after=x").await,
        terminal.get("/v1/nothing").await,
    ] {
        assert_eq!(money(&told), "unknown", "{told:?}");
    }
}

/// The cashier has the payment in mind, and only has to scan again.
#[tokio::test]
async fn a_wrong_code_for_a_payment_that_waits_asks_for_another_scan() {
    let terminal = Terminal::start();
    let wechat = r#"{"auth_code":"134567890123456789"}"#;
    for (state, again) in [(State::AwaitingCode { until: NOW }, true), (State::Querying, false)] {
        terminal.fake.journal(&payment("A1", state), "test");
        let told = terminal.post("/v1/payments/A1/code", wechat).await;
        let told = told.problem(422, "not_a_payment_code");
        assert_eq!(told["money"], "unknown");
        let sentence = told["cashier"]["en"].as_str().unwrap();
        assert!(sentence.contains("scan again") && !sentence.contains("charged"), "{sentence}");
        assert_eq!(sentence.contains("do not charge again"), !again, "{sentence}");
    }
}

/// A body that stalls has begun nothing; whether that is all is looked up.
#[tokio::test]
async fn a_body_that_stalls_is_weighed_as_well() {
    let settings = tilld::api::Settings {
        body_timeout: std::time::Duration::from_millis(50),
        ..tilld::api::Settings::default()
    };
    let terminal = Terminal::start_with(settings);
    terminal.fake.journal(&payment("A1", State::Paid), "test");
    for (path, word) in [("FREE", "none"), ("A1", "unknown")] {
        let whole = request("PUT", &format!("/v1/payments/{path}"), &[], BODY);
        let mut stream = terminal.connect().await;
        stream.write_all(&whole.as_bytes()[..whole.len() - 1]).await.unwrap();
        let told = read_response(&mut stream).await;
        assert_eq!(money(&told), word, "{told:?}");
        told.problem(408, "request_timeout");
    }
}

#[test]
fn what_is_told_at_best_is_in_the_table() {
    let best = |code: Code| serde_json::to_value(code.money()).unwrap();
    for (code, word) in [
        (Code::NotFound, "unknown"),
        (Code::NoSuchRoute, "unknown"),
        (Code::Unauthorized, "unknown"),
        (Code::InvalidAmount, "none"),
        (Code::SaleAlreadyPaid, "taken"),
    ] {
        assert_eq!(best(code), json!(word), "{code:?}");
    }
    assert_eq!(Code::ALL.iter().filter(|code| best(**code) == Value::Null).count(), 0);
}
