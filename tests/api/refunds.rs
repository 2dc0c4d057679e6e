//! Refunds over the socket.

use serde_json::{Value, json};
use tilld::api::{RefundRight, Role, Roles, Settings};
use tilld::payment::{Answer, Answered, Wire};
use tilld::payment::{
    Back, Fen, Happened, Moment, Payment, Refund, RefundAnswer, RefundCause, RefundRequest, State,
};
use tilld::terminal::{Denied, Reply};
use tokio::io::AsyncWriteExt;

use crate::bounds::with_port_to;
use crate::client::{Terminal, read_response, request};
use crate::fake::{Fake, NOW, payment};

const JSON: &str = "content-type: application/json";
const BODY: &str = r#"{"amount":"5.00","reason":"凉了"}"#;
const PATH: &str = "/v1/payments/A1/refunds/R1";

/// A refund that was just sent.
pub fn sent(payment: &Payment, request: &str, amount: &str) -> Refund {
    let asked = RefundRequest {
        payment: payment.clone(),
        request: request.parse().unwrap(),
        amount: amount.parse().unwrap(),
        reason: Some("凉了".to_owned()),
        operator_id: None,
        cause: RefundCause::Register,
        before: Fen(0),
        created_at: NOW,
    };
    let now = Moment::undisputed(NOW, NOW, NOW);
    Refund::requested(asked, now).step(&Happened::Requested, now).unwrap().refund
}

pub fn done(refund: &Refund) -> Refund {
    let answer = Answer::Refund(RefundAnswer::Done(Back::default()));
    let answered = Answered { answer, gateway_time: None, wire: Wire::default() };
    let now = Moment::undisputed(NOW, NOW, NOW);
    refund.step(&Happened::Answered(answered), now).unwrap().refund
}

fn paid(terminal: &Terminal) -> Payment {
    let payment = payment("A1", State::Paid);
    terminal.fake.journal(&payment, "test");
    payment
}

#[tokio::test]
async fn a_new_refund_is_201_and_the_same_again_200() {
    let terminal = Terminal::start();
    let refund = sent(&paid(&terminal), "R1", "5.00");
    for (started, status) in [(true, 201), (false, 200)] {
        let refund = refund.clone().into();
        terminal.fake.will_reply(Reply::Refund { refund, started });
        let told = terminal.put(PATH, BODY).await;
        assert_eq!(told.status, status);
        assert!(told.head.contains("location: /v1/payments/a1/refunds/r1"), "{}", told.head);
        let view = told.json();
        for (member, value) in [
            ("out_trade_no", json!("A1")),
            ("out_request_no", json!("R1")),
            ("amount", json!("5.00")),
            ("state", json!("processing")),
            ("final", json!(false)),
            ("reason", json!("凉了")),
            ("refusal", Value::Null),
            ("attention", Value::Null),
            ("cause", json!("register")),
            ("rev", json!(1)),
        ] {
            assert_eq!(view[member], value, "{member}");
        }
        let zh = view["cashier"]["zh"].as_str().unwrap();
        assert!(zh.contains("结果未定") && zh.contains("请勿另外退现金"), "{zh}");
    }
    let asks = terminal.fake.refund_asks.lock().unwrap();
    assert_eq!(asks[0].amount.fen(), 500);
    assert_eq!(asks[0].reason.as_deref(), Some("凉了"));
}

#[tokio::test]
async fn who_waits_hears_of_the_end_and_the_payment_tells_what_went_back() {
    let terminal = Terminal::start();
    let payment = paid(&terminal);
    let refund = sent(&payment, "R1", "5.00");
    terminal.fake.journal_refund(&refund);
    terminal.fake.will_reply(Reply::Refund { refund: refund.clone().into(), started: true });
    let path = format!("{PATH}?wait=20");
    let (told, ()) = tokio::join!(terminal.put(&path, BODY), async {
        tokio::task::yield_now().await;
        terminal.fake.journal_refund(&done(&refund));
    });
    assert_eq!((told.status, told.json()["state"].clone()), (201, json!("refunded")));
    let view = terminal.get("/v1/payments/A1").await.json();
    assert_eq!(view["refunded_amount"], "5.00");
    assert_eq!((view["state"].clone(), view["money"].clone()), (json!("paid"), json!("taken")));
    assert_eq!(view["rev"], payment.rev() + 1, "what was refunded is a change");
    let listed = terminal.get("/v1/payments").await.json();
    assert_eq!(listed["payments"][0]["refunded_amount"], "5.00");

    terminal.fake.journal_refund(&done(&sent(&payment, "R2", "83.88")));
    let view = terminal.get("/v1/payments/A1").await.json();
    assert_eq!(
        (view["refunded_amount"].clone(), view["money"].clone()),
        (json!("88.88"), json!("returned"))
    );
    let all = terminal.get("/v1/payments/A1/refunds").await.json();
    let numbers: Vec<_> =
        all["refunds"].as_array().unwrap().iter().map(|r| &r["out_request_no"]).collect();
    assert_eq!(numbers, ["R1", "R2"]);
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let terminal = Terminal::start();
    for path in [PATH, "/v1/payments/A1/refunds"] {
        let told = terminal.get(path).await;
        assert_eq!((told.status, told.json()["code"].clone()), (404, json!("not_found")), "{path}");
        assert_eq!(told.json()["money"], "unknown", "{path}");
    }
    paid(&terminal);
    let told = terminal.get(PATH).await;
    assert_eq!(told.status, 404);
    let zh = told.json()["cashier"]["zh"].as_str().unwrap().to_owned();
    assert!(zh.contains("查不到这笔退款"), "{zh}");
    let none = terminal.get("/v1/payments/A1/refunds").await;
    assert_eq!((none.status, none.json()), (200, json!({ "refunds": [] })));
}

/// What a refused request says: never `none` of money that the merchant has, and
/// that nothing was given back only where that is certain.
#[tokio::test]
async fn a_refused_refund_says_what_is_true_of_the_money() {
    let terminal = Terminal::start();
    let payment = paid(&terminal);
    let request = || "R0".parse().unwrap();
    for (denied, status, code) in [
        (
            Denied::RefundConflict { request: request(), amount: payment.order().amount },
            409,
            "refund_conflict",
        ),
        (
            Denied::RefundExceeds { left: Fen(300), payment: payment.clone().into() },
            422,
            "refund_exceeds",
        ),
        (Denied::RefundInDoubt { request: request() }, 409, "refund_in_doubt"),
        (Denied::OtherAccount(payment.clone().into()), 409, "other_account"),
        (Denied::JournalUnavailable("full".to_owned()), 503, "journal_unavailable"),
        (Denied::Draining, 503, "draining"),
    ] {
        terminal.fake.will_deny(denied);
        let told = terminal.put(PATH, BODY).await;
        let view = told.json();
        assert_eq!((told.status, view["code"].clone()), (status, json!(code)));
        assert_eq!(view["money"], "taken", "{code}");
        let (zh, en) = (view["cashier"]["zh"].as_str(), view["cashier"]["en"].as_str());
        assert!(zh.unwrap().contains("没有退款"), "{view}");
        assert!(en.unwrap().contains("nothing was given back"), "{view}");
        if code == "refund_exceeds" {
            assert_eq!(view["left"], "3.00");
        }
    }
    terminal.fake.will_not_answer(tilld::api::Unanswered::InDoubt("the disk".to_owned()));
    let view = terminal.put(PATH, BODY).await.json();
    assert!(view["cashier"]["zh"].as_str().unwrap().contains("不要换单号再退"), "{view}");
    for (body, code) in [
        (r#"{"amount":"0"}"#, "invalid_amount"),
        (r#"{"amount":"5.00","force":true}"#, "invalid_request"),
        ("{", "invalid_json"),
    ] {
        let view = terminal.put(PATH, body).await.json();
        assert_eq!((view["code"].clone(), view["money"].clone()), (json!(code), json!("taken")));
    }
    let told = terminal.put("/v1/payments/A1/refunds/R-1", BODY).await;
    assert_eq!((told.status, told.json()["code"].clone()), (422, json!("invalid_refund_number")));
}

/// Where there are roles the port is a cashier, and this user everything.
///
/// Bug to plant: a limit that holds for nobody.
#[tokio::test]
async fn who_may_refund_is_a_matter_of_the_role_and_the_sum() {
    let limit = |amount: &str| RefundRight {
        cashier_limit: Some(amount.parse().unwrap()),
        ..RefundRight::default()
    };
    for (refunds, may) in [
        (RefundRight::default(), true),
        (limit("5.00"), true),
        (limit("4.99"), false),
        (RefundRight { by: Role::Supervisor, cashier_limit: None }, false),
    ] {
        let fake = Fake::new();
        let payment = payment("A1", State::Paid);
        fake.journal(&payment, "test");
        let settings = Settings { roles: Some(Roles::default()), refunds, ..Settings::default() };
        let (address, path, _folder, _stopping) = with_port_to(fake.clone(), settings);
        let refund =
            || Reply::Refund { refund: sent(&payment, "R1", "5.00").into(), started: true };
        fake.will_reply(refund());
        let mut stream = tokio::net::UnixStream::connect(path).await.unwrap();
        stream.write_all(request("PUT", PATH, &[JSON], BODY).as_bytes()).await.unwrap();
        assert_eq!(read_response(&mut stream).await.status, 201, "{refunds:?}");

        fake.will_reply(refund());
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let headers = [JSON, "authorization: Bearer 0123456789abcdef"];
        stream.write_all(request("PUT", PATH, &headers, BODY).as_bytes()).await.unwrap();
        let told = read_response(&mut stream).await;
        let asked = fake.refund_asks.lock().unwrap().len();
        if may {
            assert_eq!((told.status, asked), (201, 2), "{refunds:?}");
            continue;
        }
        assert_eq!((told.status, asked), (403, 1), "{refunds:?}");
        let told = told.json();
        assert_eq!((&told["code"], &told["money"]), (&json!("forbidden"), &json!("taken")));
        let zh = told["cashier"]["zh"].as_str().unwrap();
        assert!(zh.contains("店长") && zh.contains("没有退款"), "{zh}");
    }
}

#[tokio::test]
async fn the_steps_of_a_payment_tell_of_its_refunds() {
    let terminal = Terminal::start();
    let payment = paid(&terminal);
    let refund = sent(&payment, "R1", "5.00");
    terminal.fake.journal_refund(&refund);
    terminal.fake.journal_refund(&done(&refund));
    let all =
        RefundRequest { before: Fen(500), ..(**sent(&payment, "R2", "83.88").asked()).clone() };
    let now = Moment::undisputed(NOW, NOW, NOW);
    let all = Refund::requested(all, now).step(&Happened::Requested, now).unwrap().refund;
    terminal.fake.journal_refund(&done(&all));
    let undo = RefundRequest { cause: RefundCause::Undo, ..(**refund.asked()).clone() };
    terminal.fake.journal_refund(&Refund::requested(undo, now));

    let journal = terminal.get("/v1/payments/A1/journal").await.json();
    let told: Vec<_> = journal["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            [&step["out_request_no"], &step["refund_state"], &step["state"], &step["money"]]
        })
        .map(|step| step.map(|member| member.as_str().unwrap_or("-")).join(" "))
        .collect();
    assert_eq!(
        told,
        [
            "- - paid taken",
            "R1 processing paid taken",
            "R1 refunded paid taken",
            "R2 refunded paid returned",
            "R1 processing cancelling unknown",
        ]
    );
}
