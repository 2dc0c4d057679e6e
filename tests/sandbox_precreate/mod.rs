//! Codes that the buyer scans.

use serde_json::{Value, json};
use tilld::sandbox::{Options, Status};

use crate::sandbox_client::{Till, beijing, code, control, number, pay_biz, start};

const PRECREATE: &str = "alipay.trade.precreate";

fn biz(name: &str) -> Value {
    json!({ "out_trade_no": name, "total_amount": "12.50", "subject": "咖啡" })
}

/// Makes a code, and says what it is, or why there is none.
async fn make(till: &Till, biz: &Value) -> String {
    let heard = till.call(PRECREATE, biz).await;
    match till.word(&heard, biz["out_trade_no"].as_str().unwrap(), "").as_str() {
        "10000" => till.content(&heard)["qr_code"].as_str().unwrap().to_owned(),
        word => word.strip_prefix("40004 ACQ.").unwrap_or(word).to_owned(),
    }
}

async fn query(till: &Till, name: &str) -> String {
    let heard = till.call("alipay.trade.query", &json!({ "out_trade_no": name })).await;
    let word = till.word(&heard, name, "12.50");
    word.strip_prefix("40004 ACQ.").unwrap_or(&word).to_owned()
}

async fn scan(till: &Till, qr_code: &str, confirm: bool) -> u16 {
    control(till, "POST", "scan", &json!({ "qr_code": qr_code, "confirm": confirm })).await.0
}

#[tokio::test]
async fn a_trade_there_is_only_once_somebody_has_scanned() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let name = number();
    let qr_code = make(&till, &biz(&name)).await;
    assert!(qr_code.starts_with("https://qr.alipay.com/bax"), "{qr_code}");
    assert_eq!(query(&till, &name).await, "TRADE_NOT_EXIST");
    assert_eq!(make(&till, &biz(&name)).await, "APPLY_PC_MERCHANT_CODE_ERROR");

    // A cancel finds nothing, and the code can be paid all the same.
    let cancel = till.call("alipay.trade.cancel", &json!({ "out_trade_no": name })).await;
    assert_eq!(till.word(&cancel, &name, ""), "no action");
    assert_eq!(scan(&till, &qr_code, false).await, 200);
    assert_eq!(query(&till, &name).await, "WAIT_BUYER_PAY");
    assert_eq!(scan(&till, &qr_code, true).await, 409, "once");
    assert_eq!(make(&till, &biz(&name)).await, "APPLY_PC_MERCHANT_CODE_ERROR");
    let confirm = format!("trades/{name}/confirm");
    assert_eq!(control(&till, "POST", &confirm, &Value::Null).await.0, 200);
    assert_eq!(query(&till, &name).await, "TRADE_SUCCESS");
    assert_eq!(make(&till, &biz(&name)).await, "TRADE_HAS_SUCCESS");
    let trade = running.ledger().trade(&name).unwrap();
    assert_eq!((trade.status, trade.charged_fen), (Status::TradeSuccess, 12_50));

    // A pay has its number for itself.
    let other = number();
    till.call("alipay.trade.pay", &pay_biz(&other, "12.50", &code())).await;
    assert_eq!(make(&till, &biz(&other)).await, "TRADE_HAS_SUCCESS");
    assert_eq!(scan(&till, "https://qr.alipay.com/bax0", true).await, 409);
    running.stop().await;
}

#[tokio::test]
async fn a_code_and_its_order_run_out() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let with = |member: &str, value: &str| {
        let mut biz = biz(&number());
        biz[member] = json!(value);
        biz
    };
    // Each is made now, and scanned so many seconds later.
    for (member, value, seconds, scanned) in [
        ("subject", "咖啡", 7190, 200),
        ("subject", "咖啡", 7201, 409),
        ("qr_code_timeout_express", "3m", 170, 200),
        ("qr_code_timeout_express", "3m", 181, 409),
        // Counts from the scan.
        ("timeout_express", "1m", 600, 200),
        ("time_expire", &beijing(100), 90, 200),
        ("time_expire", &beijing(100), 101, 409),
    ] {
        running.set_skew_ms(0);
        let qr_code = make(&till, &with(member, value)).await;
        running.set_skew_ms(seconds * 1000);
        assert_eq!(scan(&till, &qr_code, false).await, scanned, "{member} {value} {seconds}");
    }
    running.set_skew_ms(0);
    for (member, value, expected) in [
        ("time_expire", beijing(-1), "NOW_TIME_AFTER_EXPIRE_TIME_ERROR"),
        ("qr_code_timeout_express", "0m".to_owned(), "INVALID_PARAMETER"),
        ("qr_code_timeout_express", "1c".to_owned(), "INVALID_PARAMETER"),
        ("subject", "a/b".to_owned(), "INVALID_PARAMETER"),
        ("total_amount", "0".to_owned(), "INVALID_PARAMETER"),
        ("product_code", "FAST_INSTANT_TRADE_PAY".to_owned(), "UN_SUPPORT_TRADE_SCENE"),
    ] {
        assert_eq!(make(&till, &with(member, &value)).await, expected, "{member} {value}");
    }
    running.stop().await;
}
