//! Money that goes back: what the sandbox gives, refuses and tells of it.

use serde_json::{Value, json};
use tilld::sandbox::endings::REFUND_ENDINGS;
use tilld::sandbox::{Fault, Options, Running, Status};

use crate::sandbox_client::{Till, beijing, code, control, number, pay_biz, start, until};

const REFUND: &str = "alipay.trade.refund";
const QUERY: &str = "alipay.trade.fastpay.refund.query";

#[tokio::test]
async fn refunds_count_once() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let name = number();
    till.call("alipay.trade.pay", &pay_biz(&name, "10.00", &code())).await;
    let refund = |request: &str, amount: &str| json!({ "out_trade_no": name, "out_request_no": request, "refund_amount": amount });
    for (biz, expected) in [
        (refund("R1", "4.00"), "10000 Y 4.00"),
        (refund("R1", "4.00"), "10000 N 4.00"),
        (refund("R1", "3.00"), "40004 ACQ.DISCORDANT_REPEAT_REQUEST"),
        (refund("R2", "6.01"), "40004 ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"),
        (refund("R2", "1.00"), "10000 Y 5.00"),
        (refund("R3", "5.00"), "10000 Y 10.00"),
        (refund("R4", "0.01"), "40004 ACQ.TRADE_HAS_CLOSE"),
        (refund("R2", "1.00"), "10000 N 10.00"),
        (json!({ "out_trade_no": name, "refund_amount": "1.00" }), "40004 ACQ.INVALID_PARAMETER"),
        (
            json!({ "out_trade_no": "NEVER", "refund_amount": "1.00", "out_request_no": "1" }),
            "40004 ACQ.TRADE_NOT_EXIST",
        ),
    ] {
        let content = till.content(&till.call("alipay.trade.refund", &biz).await);
        let told = ["code", "sub_code", "fund_change", "refund_fee"];
        let told: Vec<&str> = told.iter().filter_map(|name| content[name].as_str()).collect();
        assert_eq!(told.join(" "), expected, "{biz}");
    }
    let trade = running.ledger().trade(&name).unwrap();
    assert_eq!((trade.charged_fen, trade.refunded_fen), (1000, 1000));
    assert_eq!(trade.status, Status::TradeClosed);
    let heard = till.call("alipay.trade.cancel", &json!({ "out_trade_no": name })).await;
    assert_eq!(till.word(&heard, "", ""), "40004 ACQ.REASON_TRADE_REFUND_FEE_ERR");

    let ask = |request: &str| json!({ "out_trade_no": name, "out_request_no": request });
    let method = "alipay.trade.fastpay.refund.query";
    let known = till.content(&till.call(method, &ask("R1")).await);
    assert_eq!(
        (&known["refund_status"], &known["refund_amount"]),
        (&json!("REFUND_SUCCESS"), &json!("4.00"))
    );
    let unknown = till.content(&till.call(method, &ask("R9")).await);
    assert_eq!((&unknown["code"], &unknown["refund_status"]), (&json!("10000"), &Value::Null));
    running.stop().await;
}

/// A trade of so many yuan that was paid.
async fn paid(till: &Till, yuan: &str) -> String {
    let name = number();
    let heard = till.call("alipay.trade.pay", &pay_biz(&name, yuan, &code())).await;
    assert_eq!(till.word(&heard, &name, yuan), "10000");
    name
}

fn refund(name: &str, request: &str, yuan: &str) -> Value {
    json!({ "out_trade_no": name, "out_request_no": request, "refund_amount": yuan })
}

/// Asks for it, and says what is told, in a word or two.
async fn give(till: &Till, biz: &Value) -> String {
    let heard = till.call(REFUND, biz).await;
    let name = biz["out_trade_no"].as_str().unwrap();
    match till.word(&heard, name, "").as_str() {
        "10000" => {
            let content = till.content(&heard);
            content["fund_change"].as_str().unwrap_or("10000").to_owned()
        }
        word => word.strip_prefix("40004 ACQ.").unwrap_or(word).to_owned(),
    }
}

/// The amount that the query tells of, if it is answered at all.
async fn told(till: &Till, name: &str, request: &str) -> Option<String> {
    let biz = json!({ "out_trade_no": name, "out_request_no": request });
    let heard = till.call(QUERY, &biz).await;
    if heard.is_none() {
        return Some("silence".to_owned());
    }
    let content = till.content(&heard);
    assert_eq!(content["code"], "10000", "{content}");
    let is_done = content["refund_status"] == "REFUND_SUCCESS";
    assert_eq!(is_done, content["refund_amount"].is_string(), "{content}");
    content["refund_amount"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_refund_is_checked_field_by_field() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let name = paid(&till, "10.00").await;
    for (member, value) in [
        ("refund_amount", json!("0.00")),
        ("refund_amount", json!("1.001")),
        ("refund_amount", json!("")),
        ("refund_amount", json!("-1")),
        ("out_request_no", json!("R".repeat(65))),
        ("refund_reason", json!("酸".repeat(257))),
        ("operator_id", json!("o".repeat(31))),
        ("store_id", json!("s".repeat(33))),
        ("terminal_id", json!("t".repeat(33))),
        ("query_options", json!("gmt_refund_pay")),
        ("query_options", json!([1])),
        ("out_trade_no", json!("a/b")),
        ("out_trade_no", json!("")),
    ] {
        let mut biz = refund(&name, "R1", "1.00");
        biz[member] = value;
        assert_eq!(give(&till, &biz).await, "INVALID_PARAMETER", "{biz}");
    }
    let nameless = json!({ "out_trade_no": name });
    let heard = till.call(QUERY, &nameless).await;
    assert_eq!(till.word(&heard, "", ""), "40004 ACQ.INVALID_PARAMETER");
    let strange = json!({ "out_trade_no": "NEVER", "out_request_no": "R1" });
    let heard = till.call(QUERY, &strange).await;
    assert_eq!(till.word(&heard, "", ""), "40004 ACQ.TRADE_NOT_EXIST");
    assert_eq!(running.ledger().trade(&name).unwrap().refunded_fen, 0);

    // Without a number of its own there is one, of all of it.
    let whole = json!({ "out_trade_no": name, "refund_amount": "10.00" });
    assert_eq!(give(&till, &whole).await, "Y");
    assert_eq!(give(&till, &whole).await, "N");
    assert_eq!(told(&till, &name, &name).await.as_deref(), Some("10.00"));
    running.stop().await;
}

#[tokio::test]
async fn the_date_is_told_to_those_who_ask_and_the_trade_keeps_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let name = paid(&till, "10.00").await;
    assert_eq!(give(&till, &refund(&name, "R1", "10.00")).await, "Y");
    let mut biz = json!({ "out_trade_no": name, "out_request_no": "R1" });
    let content = till.content(&till.call(QUERY, &biz).await);
    assert_eq!(content["gmt_refund_pay"], Value::Null, "{content}");
    biz["query_options"] = json!(["refund_detail_item_list", "gmt_refund_pay"]);
    let content = till.content(&till.call(QUERY, &biz).await);
    assert_eq!(content["gmt_refund_pay"].as_str().map(str::len), Some(19), "{content}");
    let of_trade = json!({ "out_trade_no": name });
    let content = till.content(&till.call("alipay.trade.query", &of_trade).await);
    assert_eq!(content["trade_status"], "TRADE_CLOSED");
    assert!(content["send_pay_date"].is_string(), "{content}");
    running.stop().await;
}

#[tokio::test]
async fn a_trade_that_is_too_old_or_finished_gives_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let name = paid(&till, "10.00").await;
    assert_eq!(give(&till, &refund(&name, "R1", "1.00")).await, "Y");
    let year = 365 * 24 * 3600;
    running.set_skew_ms(year * 1000 + 5_000);
    let mut ask = till.ask(REFUND, &refund(&name, "R2", "1.00"));
    ask.set("timestamp", &beijing(year));
    till.sign(&mut ask);
    let heard = till.send(&ask).await;
    assert_eq!(till.word(&heard, "", ""), "40004 ACQ.TRADE_HAS_FINISHED");
    let trade = running.ledger().trade(&name).unwrap();
    assert_eq!((trade.status, trade.refunded_fen), (Status::TradeFinished, 100));
    running.stop().await;
}

#[tokio::test]
async fn somebody_gives_money_back_in_the_merchant_account() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let name = paid(&till, "10.00").await;
    let path = format!("trades/{name}/refund");
    let part = json!({ "refund_amount": "4.00", "out_request_no": "OURS" });
    assert_eq!(control(&till, "POST", &path, &part).await.0, 200);
    assert_eq!(give(&till, &refund(&name, "R1", "7.00")).await, "REFUND_AMT_NOT_EQUAL_TOTAL");
    assert_eq!(give(&till, &refund(&name, "OURS", "4.01")).await, "DISCORDANT_REPEAT_REQUEST");
    assert_eq!(told(&till, &name, "OURS").await.as_deref(), Some("4.00"));
    let too_much = json!({ "refund_amount": "6.01" });
    assert_eq!(control(&till, "POST", &path, &too_much).await.0, 409);
    assert_eq!(control(&till, "POST", &path, &Value::Null).await.0, 200);
    assert_eq!(give(&till, &refund(&name, "R1", "1.00")).await, "TRADE_HAS_CLOSE");
    assert_eq!(control(&till, "POST", "trades/NEVER/refund", &Value::Null).await.0, 409);
    assert_eq!(control(&till, "POST", &path, &json!({ "much": 1 })).await.0, 400);
    let trade = running.ledger().trade(&name).unwrap();
    assert_eq!((trade.status, trade.refunded_fen), (Status::TradeClosed, 1000));
    running.stop().await;
}

#[tokio::test]
async fn faults_meet_refunds_too() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let name = paid(&till, "10.00").await;
    let method = || Some("refund".to_owned());
    running.fault(Fault { method: method(), drop_answer: true, ..Fault::default() }).unwrap();
    assert_eq!(give(&till, &refund(&name, "R1", "1.00")).await, "silence");
    assert_eq!(told(&till, &name, "R1").await.as_deref(), Some("1.00"));
    running.fault(Fault { method: method(), late_ms: Some(1), ..Fault::default() }).unwrap();
    assert_eq!(give(&till, &refund(&name, "R2", "2.00")).await, "silence");
    until(|| running.ledger().trade(&name).unwrap().refunded_fen == 3_00).await;
    assert_eq!(give(&till, &refund(&name, "R2", "2.00")).await, "N");
    let of_query = Fault { method: Some("query".to_owned()), late_ms: Some(1), ..Fault::default() };
    assert!(running.fault(of_query).is_err());
    running.stop().await;
}

/// What each ending sounds like, and what has gone back after it, in fen. `late`
/// waits until the late refund has come through.
const STORIES: &[(u8, &str, u64)] = &[
    (1, "refund Y, query 66.01, refund N", 66_01),
    (2, "refund silence, query 66.02, refund N", 66_02),
    (3, "refund silence, query none, refund Y, query 66.03", 66_03),
    (4, "refund 20000 isp.unknow-error, query 66.04, refund N", 66_04),
    (5, "refund 20000 isp.unknow-error, query none, refund Y", 66_05),
    (6, "refund 20000 isp.unknow-error, late, query 66.06, refund N", 66_06),
    (7, "refund silence, late, query 66.07, refund N", 66_07),
    (8, "refund SYSTEM_ERROR, query 66.08", 66_08),
    (
        9,
        "refund SELLER_BALANCE_NOT_ENOUGH, query none, refund SELLER_BALANCE_NOT_ENOUGH, refund Y",
        66_09,
    ),
    (10, "refund silence, query none, refund N, query none, query 66.10", 66_10),
    (11, "refund 10000, query none, refund 10000, query none", 0),
    (12, "refund TRADE_NOT_ALLOW_REFUND, query none, refund TRADE_NOT_ALLOW_REFUND", 0),
    (13, "refund TRADE_HAS_FINISHED, query none, refund TRADE_HAS_FINISHED", 0),
    (14, "refund BUYER_ERROR, query none, refund BUYER_ERROR", 0),
    (15, "refund TRADE_HAS_CLOSE, query none, refund TRADE_HAS_CLOSE", 10_000),
    (16, "refund DISCORDANT_REPEAT_REQUEST, query 0.01", 1),
    (17, "refund silence, query 0.01, refund DISCORDANT_REPEAT_REQUEST", 1),
    (18, "refund wrong signature 10000, query 66.18, refund N", 66_18),
    (19, "refund other order 10000, query none, refund Y", 66_19),
    (20, "refund cut, query 66.20, refund N", 66_20),
    (21, "refund Y, query 66.21", 66_21),
    (22, "refund silence, query silence, refund N, query silence", 66_22),
    (23, "refund 40002 isv.invalid-signature, query none, refund Y", 66_23),
];

#[tokio::test]
async fn every_ending_of_a_refund_is_played_as_the_table_says() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options { speed: 30.0, ..Options::new(dir.path()) }).await;
    let till = Till::of(&running);
    let numbers: Vec<u8> = REFUND_ENDINGS.iter().map(|ending| ending.number).collect();
    assert_eq!(STORIES.iter().map(|story| story.0).collect::<Vec<_>>(), numbers);
    for (ending, story, gone) in STORIES {
        let by_amount = paid(&till, "100.00").await;
        tell(
            &till,
            &running,
            &by_amount,
            &refund(&by_amount, "R", &format!("66.{ending:02}")),
            story,
        )
        .await;
        let trade = running.ledger().trade(&by_amount).unwrap();
        assert_eq!(trade.refunded_fen, *gone, "ending {ending}");
        // By its reason any amount plays it.
        let by_reason = paid(&till, "100.00").await;
        let mut biz = refund(&by_reason, "R", "2.00");
        biz["refund_reason"] = json!(format!("66.{ending:02} too sour"));
        let story = story.replace(&format!("66.{ending:02}"), "2.00");
        tell(&till, &running, &by_reason, &biz, &story).await;
    }
    running.stop().await;
}

async fn tell(till: &Till, running: &Running, name: &str, biz: &Value, story: &str) {
    for scene in story.split(", ") {
        let (what, expected) = scene.split_once(' ').unwrap_or((scene, ""));
        let said = match what {
            "refund" => give(till, biz).await,
            "query" => told(till, name, "R").await.unwrap_or_else(|| "none".to_owned()),
            _ => {
                let is_late = |one: &tilld::sandbox::Arrived| one.method.starts_with("late");
                let number = || running.ledger().number(name).unwrap();
                until(|| number().history.iter().any(is_late)).await;
                String::new()
            }
        };
        assert_eq!(said, expected, "{biz}: {scene} of {story}");
    }
}
