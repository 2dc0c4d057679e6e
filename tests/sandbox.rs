//! The simulated gateway, heard over its socket by a small client of its own:
//! signed and verified here without the code of the sandbox.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests count as tests"
)]

mod sandbox_client;
mod sandbox_precreate;
mod sandbox_refunds;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tilld::sandbox::{Fault, Options, Running, Said, Sandbox, SandboxError, Status, endings};
use time::OffsetDateTime;
use tokio::net::TcpStream;

use sandbox_client::stories::STORIES;
use sandbox_client::{
    Ask, Till, beijing, code, control, encode, exchange, number, pair, pay_biz, since_epoch, start,
    until,
};

// --- the front door ----------------------------------------------------------

#[tokio::test]
async fn the_front_door_is_as_strict_as_alipays() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);

    type Change = fn(&mut Ask);
    // What is wrong, before it is signed, and what the gateway says to it.
    let table: &[(&str, Change, &str)] = &[
        ("nothing", |_| {}, "40004 ACQ.TRADE_NOT_EXIST"),
        // --- missing, twice, empty
        ("no app_id", |a| a.without("app_id"), "unsigned 40001 isv.missing-app-id"),
        ("app_id empty", |a| a.set("app_id", ""), "unsigned 40001 isv.missing-app-id"),
        ("app_id twice", |a| a.again("app_id"), "40002 isv.invalid-parameter"),
        ("no method", |a| a.without("method"), "40001 isv.missing-method"),
        ("method empty", |a| a.set("method", ""), "40001 isv.missing-method"),
        ("method twice", |a| a.again("method"), "40002 isv.invalid-parameter"),
        ("no charset", |a| a.without("charset"), "40002 isv.invalid-charset"),
        ("charset empty", |a| a.set("charset", ""), "40002 isv.invalid-charset"),
        ("charset twice", |a| a.again("charset"), "40002 isv.invalid-parameter"),
        (
            "charset in both",
            |a| a.body.push(pair("charset", "utf-8")),
            "40002 isv.invalid-parameter",
        ),
        ("charset in the body", |a| a.move_to_body("charset"), "40002 isv.invalid-charset"),
        ("no sign_type", |a| a.without("sign_type"), "40001 isv.missing-signature-type"),
        ("sign_type empty", |a| a.set("sign_type", ""), "40001 isv.missing-signature-type"),
        ("sign_type twice", |a| a.again("sign_type"), "40002 isv.invalid-parameter"),
        ("no timestamp", |a| a.without("timestamp"), "40001 isv.missing-timestamp"),
        ("timestamp empty", |a| a.set("timestamp", ""), "40001 isv.missing-timestamp"),
        ("timestamp twice", |a| a.again("timestamp"), "40002 isv.invalid-parameter"),
        ("no version", |a| a.without("version"), "40001 isv.missing-version"),
        ("version empty", |a| a.set("version", ""), "40001 isv.missing-version"),
        ("version twice", |a| a.again("version"), "40002 isv.invalid-parameter"),
        ("no biz_content", |a| a.without("biz_content"), "40002 isv.invalid-parameter"),
        ("biz_content empty", |a| a.set("biz_content", ""), "40002 isv.invalid-parameter"),
        ("biz_content twice", |a| a.again("biz_content"), "40002 isv.invalid-parameter"),
        ("no format", |a| a.without("format"), "40004 ACQ.TRADE_NOT_EXIST"),
        ("format empty", |a| a.set("format", ""), "40002 isv.invalid-parameter"),
        ("format twice", |a| a.again("format"), "40002 isv.invalid-parameter"),
        ("notify_url empty", |a| a.set("notify_url", ""), "40002 isv.invalid-parameter"),
        // --- wrong
        (
            "another app_id",
            |a| a.set("app_id", "2014072300007148"),
            "unsigned 40002 isv.invalid-app-id",
        ),
        ("unknown method", |a| a.set("method", "alipay.trade.steal"), "40002 isv.invalid-method"),
        ("method of odd letters", |a| a.set("method", "a\"b"), "40002 isv.invalid-method"),
        ("charset gbk", |a| a.set("charset", "gbk"), "40002 isv.invalid-charset"),
        ("charset UTF-8", |a| a.set("charset", "UTF-8"), "40004 ACQ.TRADE_NOT_EXIST"),
        ("sign_type SM2", |a| a.set("sign_type", "SM2"), "40002 isv.invalid-signature-type"),
        ("sign_type rsa2", |a| a.set("sign_type", "rsa2"), "40002 isv.invalid-signature-type"),
        ("format XML", |a| a.set("format", "XML"), "40002 isv.invalid-format"),
        ("format json", |a| a.set("format", "json"), "40004 ACQ.TRADE_NOT_EXIST"),
        ("version 2.0", |a| a.set("version", "2.0"), "40002 isv.invalid-parameter"),
        (
            "timestamp with T",
            |a| {
                let t = a.get("timestamp").replace(' ', "T");
                a.set("timestamp", &t);
            },
            "40002 isv.invalid-timestamp",
        ),
        (
            "timestamp without seconds",
            |a| {
                let t = a.get("timestamp")[..16].to_owned();
                a.set("timestamp", &t);
            },
            "40002 isv.invalid-timestamp",
        ),
        (
            "16 minutes ago",
            |a| a.set("timestamp", &beijing(-16 * 60)),
            "40002 isv.invalid-timestamp",
        ),
        ("in 16 minutes", |a| a.set("timestamp", &beijing(16 * 60)), "40002 isv.invalid-timestamp"),
        ("14 minutes ago", |a| a.set("timestamp", &beijing(-14 * 60)), "40004 ACQ.TRADE_NOT_EXIST"),
        (
            "UTC instead of Beijing",
            |a| a.set("timestamp", &beijing(-8 * 3600)),
            "40002 isv.invalid-timestamp",
        ),
        ("biz_content in the URL", |a| a.move_to_url("biz_content"), "40002 isv.invalid-parameter"),
        ("biz_content no JSON", |a| a.set("biz_content", "{"), "40002 isv.illegal-json"),
        ("biz_content no object", |a| a.set("biz_content", "[1]"), "40002 isv.illegal-json"),
        ("biz_content with a tail", |a| a.set("biz_content", "{} {}"), "40002 isv.illegal-json"),
        ("notify_url no address", |a| a.set("notify_url", "shop"), "40002 isv.invalid-parameter"),
        (
            "notify_url too long",
            |a| a.set("notify_url", &format!("https://{}", "a".repeat(250))),
            "40002 isv.invalid-parameter",
        ),
        (
            "notify_url right",
            |a| a.set("notify_url", "https://shop/n?a=1&b=2"),
            "40004 ACQ.TRADE_NOT_EXIST",
        ),
        ("app_auth_token", |a| a.set("app_auth_token", "x"), "20001 aop.invalid-app-auth-token"),
        ("encrypt_type", |a| a.set("encrypt_type", "AES"), "40002 isv.invalid-encrypt-type"),
        ("app_cert_sn", |a| a.set("app_cert_sn", "x"), "40002 isv.app-cert-not-exist"),
        (
            "common parameters in the body",
            |a| {
                for name in ["app_id", "method", "timestamp", "version", "sign_type", "format"] {
                    a.move_to_body(name);
                }
            },
            "40004 ACQ.TRADE_NOT_EXIST",
        ),
        (
            "a body of another type",
            |a| a.content_type = "application/json",
            "40002 isv.invalid-signature",
        ),
    ];
    for (what, change, expected) in table {
        let mut ask = till.ask("alipay.trade.query", &json!({ "out_trade_no": "NEVER" }));
        change(&mut ask);
        till.sign(&mut ask);
        assert_eq!(till.word(&till.send(&ask).await, "", ""), *expected, "{what}");
    }

    // What is wrong after it was signed.
    let table: &[(&str, Change, &str)] = &[
        ("no sign", |a| a.without("sign"), "40001 isv.missing-signature"),
        ("sign empty", |a| a.set("sign", ""), "40001 isv.missing-signature"),
        ("sign twice", |a| a.again("sign"), "40002 isv.invalid-parameter"),
        ("sign no base64", |a| a.set("sign", "?"), "40002 isv.invalid-signature"),
        (
            "sign with blanks for plus",
            |a| {
                let s = a.get("sign").replace('A', " ");
                a.set("sign", &s);
            },
            "40002 isv.invalid-signature",
        ),
        (
            "biz_content changed",
            |a| a.set("biz_content", "{\"out_trade_no\":\"OTHER\"}"),
            "40002 isv.invalid-signature",
        ),
        (
            "a parameter added",
            |a| a.set("notify_url", "https://shop"),
            "40002 isv.invalid-signature",
        ),
    ];
    for (what, change, expected) in table {
        let mut ask = till.ask("alipay.trade.query", &json!({ "out_trade_no": "NEVER" }));
        till.sign(&mut ask);
        change(&mut ask);
        assert_eq!(till.word(&till.send(&ask).await, "", ""), *expected, "{what}");
    }
    for broken in ["%", "%zz=1", "a=%FF"] {
        let mut ask = till.ask("alipay.trade.query", &json!({ "out_trade_no": "NEVER" }));
        till.sign(&mut ask);
        let body = format!("{}&{broken}", encode(&ask.body));
        let heard = till.send_raw(&ask, &body).await;
        assert_eq!(till.word(&heard, "", ""), "unsigned 40002 isv.invalid-parameter", "{broken}");
    }

    // The original says what it would have signed, and how to verify it.
    let mut ask = till.ask("alipay.trade.query", &json!({ "out_trade_no": "NEVER" }));
    till.sign(&mut ask);
    ask.set("version", "1.1");
    let heard = till.send(&ask).await.unwrap();
    assert!(heard.body.contains("&amp;charset=utf-8&amp;"), "{}", heard.body);

    assert!(running.ledger().trade("NEVER").is_none());
    running.stop().await;
}

#[tokio::test]
async fn a_get_or_the_legacy_type_works_like_alipays() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let mut ask = till.ask("alipay.trade.query", &json!({ "out_trade_no": "NEVER" }));
    ask.verb = "GET";
    till.sign(&mut ask);
    // A GET has no body, so its biz_content could only be in the URL.
    let heard = till.send_raw(&ask, "").await;
    assert_eq!(till.word(&heard, "", ""), "40002 isv.invalid-signature");

    let mut ask = till.ask("alipay.trade.query", &json!({ "out_trade_no": "NEVER" }));
    ask.set("sign_type", "RSA");
    till.sign_sha1(&mut ask);
    let heard = till.send(&ask).await.unwrap();
    let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&heard.body).unwrap();
    let sign: String = serde_json::from_str(raw["sign"].get()).unwrap();
    let content = raw["alipay_trade_query_response"].get();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, &till.alipay);
    key.verify(content.as_bytes(), &BASE64.decode(sign).unwrap()).expect("signed with SHA-1");
    assert!(content.contains("ACQ.TRADE_NOT_EXIST"), "{content}");

    // It says RSA, but was signed as RSA2.
    let mut ask = till.ask("alipay.trade.query", &json!({ "out_trade_no": "NEVER" }));
    ask.set("sign_type", "RSA");
    till.sign(&mut ask);
    let heard = till.send(&ask).await.unwrap();
    assert!(heard.body.contains("isv.invalid-signature"), "{}", heard.body);
    running.stop().await;
}

#[tokio::test]
async fn a_pay_is_checked_field_by_field() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let long = |n: usize| "长".repeat(n);
    let goods = |n: usize| {
        let item = json!({"goods_id": "1", "goods_name": "a", "quantity": 1, "price": "0.01"});
        Value::Array(vec![item; n])
    };
    let table: Vec<(&str, Value, &str)> = vec![
        ("out_trade_no", json!(null), "INVALID_PARAMETER"),
        ("out_trade_no", json!(""), "INVALID_PARAMETER"),
        ("out_trade_no", json!("A B"), "INVALID_PARAMETER"),
        ("out_trade_no", json!("订单"), "INVALID_PARAMETER"),
        ("out_trade_no", json!("A".repeat(65)), "INVALID_PARAMETER"),
        ("scene", json!(null), "INVALID_PARAMETER"),
        ("scene", json!("wave_code"), "UN_SUPPORT_TRADE_SCENE"),
        ("product_code", json!("FAST_INSTANT_TRADE_PAY"), "UN_SUPPORT_TRADE_SCENE"),
        ("product_code", json!(null), "10000"),
        ("product_code", json!("OFFLINE_PAYMENT"), "10000"),
        ("auth_code", json!(null), "AUTH_TOKEN_IS_NOT_EXIST"),
        ("auth_code", json!("123456789012345678"), "PAYMENT_AUTH_CODE_INVALID"),
        ("auth_code", json!("280000000000000"), "PAYMENT_AUTH_CODE_INVALID"),
        ("auth_code", json!("2800000000000000000000000"), "PAYMENT_AUTH_CODE_INVALID"),
        ("auth_code", json!("3100000000000000"), "PAYMENT_AUTH_CODE_INVALID"),
        ("total_amount", json!(null), "INVALID_PARAMETER"),
        ("total_amount", json!("0"), "INVALID_PARAMETER"),
        ("total_amount", json!("0.00"), "INVALID_PARAMETER"),
        ("total_amount", json!("0.001"), "INVALID_PARAMETER"),
        ("total_amount", json!("-1"), "INVALID_PARAMETER"),
        ("total_amount", json!("1,00"), "INVALID_PARAMETER"),
        ("total_amount", json!("100000000.01"), "INVALID_PARAMETER"),
        ("total_amount", json!("100000000.00"), "INVALID_PARAMETER"),
        ("total_amount", json!("100000000"), "10000"),
        ("total_amount", json!(88.88), "10000"),
        ("total_amount", json!(0.1 + 0.2), "INVALID_PARAMETER"),
        ("subject", json!(null), "INVALID_PARAMETER"),
        ("subject", json!(""), "INVALID_PARAMETER"),
        ("subject", json!(long(257)), "INVALID_PARAMETER"),
        ("subject", json!(long(256)), "10000"),
        ("subject", json!("a/b"), "INVALID_PARAMETER"),
        ("subject", json!("a=b"), "INVALID_PARAMETER"),
        ("subject", json!("a&b"), "INVALID_PARAMETER"),
        ("subject", json!("a\nb"), "INVALID_PARAMETER"),
        ("body", json!(long(129)), "INVALID_PARAMETER"),
        ("operator_id", json!("o".repeat(29)), "INVALID_PARAMETER"),
        ("terminal_id", json!("t".repeat(33)), "INVALID_PARAMETER"),
        ("store_id", json!("s".repeat(33)), "INVALID_PARAMETER"),
        ("store_id", json!("南京"), "INVALID_STORE_ID"),
        ("store_id", json!("NJ_001"), "10000"),
        ("seller_id", json!("2".repeat(29)), "INVALID_PARAMETER"),
        ("seller_id", json!("2088102146225135"), "10000"),
        ("discountable_amount", json!("0.00"), "INVALID_PARAMETER"),
        ("discountable_amount", json!("100000000"), "INVALID_PARAMETER"),
        ("discountable_amount", json!("0.01"), "10000"),
        ("undiscountable_amount", json!("100000000"), "INVALID_PARAMETER"),
        ("extend_params", json!("{}"), "INVALID_PARAMETER"),
        ("extend_params", json!({ "hb_fq_num": "3" }), "10000"),
        ("query_options", json!("fund_bill_list"), "INVALID_PARAMETER"),
        ("query_options", json!(["fund_bill_list"]), "10000"),
        ("goods_detail", goods(151), "SUB_GOODS_SIZE_MAX_COUNT"),
        ("goods_detail", goods(150), "10000"),
        ("goods_detail", json!([{"goods_id": "1"}]), "INVALID_PARAMETER"),
        ("goods_detail", json!("x"), "INVALID_PARAMETER"),
        ("timeout_express", json!("5m"), "10000"),
        ("timeout_express", json!("1.5h"), "INVALID_PARAMETER"),
        ("timeout_express", json!("16d"), "INVALID_PARAMETER"),
        ("time_expire", json!("soon"), "INVALID_PARAMETER"),
        ("time_expire", json!(beijing(120)), "10000"),
        ("time_expire", json!(beijing(-1)), "NOW_TIME_AFTER_EXPIRE_TIME_ERROR"),
        ("time_expire", json!(beijing(-8 * 3600 + 120)), "NOW_TIME_AFTER_EXPIRE_TIME_ERROR"),
    ];
    for (field, value, expected) in table {
        let mut biz = pay_biz(&number(), "1.00", &code());
        biz[field] = value.clone();
        if value.is_null() {
            biz.as_object_mut().unwrap().remove(field);
        }
        let heard = till.call("alipay.trade.pay", &biz).await;
        let word = till.word(&heard, "", "").replace("40004 ACQ.", "");
        assert_eq!(word, expected, "{field} {value}");
    }
    running.stop().await;
}

// --- endings -----------------------------------------------------------------

#[tokio::test]
async fn every_ending_goes_as_the_table_says() {
    let told: Vec<u8> = STORIES.iter().map(|(number, ..)| *number).collect();
    let all: Vec<u8> = endings::ENDINGS.iter().map(|ending| ending.number).collect();
    assert_eq!(told, all, "one story for each ending");

    let dir = tempfile::tempdir().unwrap();
    let running = start(Options { speed: 300.0, ..Options::new(dir.path()) }).await;
    let till = Till::of(&running);
    for (ending, story, books) in STORIES {
        // Picked by the amount, and then by the code.
        let by_amount = (format!("77.{ending:02}"), code());
        let by_code = ("8.88".to_owned(), format!("2877{ending:02}{}", &code()[6..]));
        for (amount, code) in [by_amount, by_code] {
            let name = number();
            tell(&till, &running, &name, &amount, &code, story).await;
            let number = running.ledger().number(&name).unwrap();
            assert_eq!(number.ending, Some(*ending));
            let sums = number.trade.map_or((0, 0), |t| (t.charged_fen, t.refunded_fen));
            let fen: u64 = amount.replace('.', "").parse().unwrap();
            let expected = match *books {
                "charged" => (fen, 0),
                "returned" => (fen, fen),
                _ => (0, 0),
            };
            assert_eq!(sums, expected, "{ending}: {story}");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a_fence_refuses_the_late_pay() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options { speed: 300.0, fence: true, ..Options::new(dir.path()) }).await;
    let till = Till::of(&running);
    let name = number();
    let story = "pay silence, query TRADE_NOT_EXIST, cancel no action, late, query TRADE_NOT_EXIST, cancel no action";
    tell(&till, &running, &name, "77.33", &code(), story).await;
    let number = running.ledger().number(&name).unwrap();
    assert!(number.trade.is_none() && number.fenced);
    let late = number.history.iter().find(|one| one.method.starts_with("late")).unwrap();
    assert_eq!(late.sub_code, "ACQ.TRADE_HAS_CLOSE");

    // A fresh pay with that number is refused as well, until the fence is gone.
    let pay = pay_biz(&name, "77.33", &code());
    let heard = till.call("alipay.trade.pay", &pay).await;
    assert_eq!(till.word(&heard, "", ""), "40004 ACQ.TRADE_HAS_CLOSE");
    running.set_fence(false);
    let heard = till.call("alipay.trade.pay", &pay).await;
    assert_eq!(till.word(&heard, "", ""), "10000");
    running.stop().await;
}

#[tokio::test]
async fn a_late_pay_is_refused_after_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options { speed: 300.0, ..Options::new(dir.path()) }).await;
    let till = Till::of(&running);
    let name = number();
    let mut biz = pay_biz(&name, "77.33", &code());
    biz["time_expire"] = json!(beijing(60));
    assert!(till.call("alipay.trade.pay", &biz).await.is_none());
    // Two minutes pass.
    running.set_skew_ms(120_000);
    let heard = till.call("alipay.trade.cancel", &json!({ "out_trade_no": name })).await;
    assert_eq!(till.word(&heard, "", ""), "no action");
    until(|| running.ledger().number(&name).unwrap().history.len() == 3).await;
    let number = running.ledger().number(&name).unwrap();
    assert_eq!(number.history[2].sub_code, "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR");
    assert!(number.trade.is_none());
    running.stop().await;
}

// --- one number, one charge --------------------------------------------------

#[tokio::test]
async fn a_number_is_charged_once_and_a_code_pays_once() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let pay = |name: &str, amount: &str, code: &str| pay_biz(name, amount, code);
    let (name, used) = (number(), code());
    for (biz, expected) in [
        (pay(&name, "1.00", &used), "10000"),
        (pay(&name, "1.00", &code()), "40004 ACQ.TRADE_HAS_SUCCESS"),
        (pay(&name, "1.01", &code()), "40004 ACQ.CONTEXT_INCONSISTENT"),
        (pay(&number(), "1.00", &used), "40004 ACQ.PAYMENT_AUTH_CODE_INVALID"),
    ] {
        let heard = till.call("alipay.trade.pay", &biz).await;
        assert_eq!(till.word(&heard, "", ""), expected, "{biz}");
    }
    assert_eq!(running.ledger().trade(&name).unwrap().charged_fen, 100);

    // A waiting trade stays the same trade, and a closed one stays closed.
    let name = number();
    let first = till.call("alipay.trade.pay", &pay(&name, "77.04", &code())).await;
    let again = till.call("alipay.trade.pay", &pay(&name, "77.04", &code())).await;
    assert_eq!(till.content(&first)["trade_no"], till.content(&again)["trade_no"]);
    assert_eq!(till.content(&again)["code"], "10003");
    till.call("alipay.trade.cancel", &json!({ "out_trade_no": name })).await;
    let heard = till.call("alipay.trade.pay", &pay(&name, "77.04", &code())).await;
    assert_eq!(till.word(&heard, "", ""), "40004 ACQ.TRADE_HAS_CLOSE");
    // The trade's own number goes before the merchant's.
    let trade_no = till.content(&first)["trade_no"].clone();
    let biz = json!({ "trade_no": trade_no, "out_trade_no": "NEVER" });
    let heard = till.call("alipay.trade.query", &biz).await;
    assert_eq!(till.content(&heard)["out_trade_no"], name.as_str());
    for (method, biz) in [
        ("alipay.trade.query", json!({ "trade_no": "2026" })),
        ("alipay.trade.cancel", json!({ "trade_no": "2026" })),
    ] {
        let heard = till.call(method, &biz).await;
        assert_eq!(till.word(&heard, "", ""), "40004 ACQ.TRADE_NOT_EXIST");
    }
    running.stop().await;
}

#[tokio::test]
async fn time_closes_what_is_not_confirmed_and_ends_the_cancel() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let (open, paid) = (number(), number());
    let mut biz = pay_biz(&open, "77.04", &code());
    biz["time_expire"] = json!(beijing(60));
    till.call("alipay.trade.pay", &biz).await;
    till.call("alipay.trade.pay", &pay_biz(&paid, "1.00", &code())).await;
    assert_eq!(running.ledger().trade(&open).unwrap().status, Status::WaitBuyerPay);
    running.set_skew_ms(61_000);
    assert_eq!(running.ledger().trade(&open).unwrap().status, Status::TradeClosed);
    assert!(!running.ledger().confirm(&open), "too late for the buyer");

    running.set_skew_ms(25 * 3600 * 1000);
    let mut ask = till.ask("alipay.trade.cancel", &json!({ "out_trade_no": paid }));
    ask.set("timestamp", &beijing(25 * 3600));
    till.sign(&mut ask);
    let heard = till.send(&ask).await;
    assert_eq!(till.word(&heard, "", ""), "40004 ACQ.TRADE_CANCEL_TIME_OUT");
    // The Date header is the sandbox's own clock.
    let date = &heard.unwrap().headers["date"];
    let tomorrow = OffsetDateTime::from(std::time::UNIX_EPOCH) + since_epoch(25 * 3600);
    assert!(date.contains(&format!("{:02} ", tomorrow.day())), "{date}");
    running.stop().await;
}

// --- the shape of answers ----------------------------------------------------

#[tokio::test]
async fn answers_look_like_alipays() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let name = number();
    let heard = till.call("alipay.trade.pay", &pay_biz(&name, "88.88", &code())).await;
    let content = till.content(&heard);
    let heard = heard.unwrap();
    assert!(heard.body.starts_with("{\"alipay_trade_pay_response\":{\"code\":\"10000\""));
    assert_eq!(heard.headers["content-type"], "text/html;charset=utf-8");
    assert_eq!(heard.headers["trace_id"].len(), 32);
    assert!(heard.headers["date"].ends_with(" GMT"));
    for (member, value) in [
        ("msg", "Success"),
        ("out_trade_no", name.as_str()),
        ("total_amount", "88.88"),
        ("receipt_amount", "88.88"),
        ("buyer_pay_amount", "88.88"),
        ("buyer_logon_id", "159****5620"),
    ] {
        assert_eq!(content[member], value, "{member}");
    }
    let trade_no = content["trade_no"].as_str().unwrap();
    assert!(trade_no.len() == 28 && trade_no.bytes().all(|b| b.is_ascii_digit()), "{trade_no}");
    assert_eq!(content["gmt_payment"].as_str().unwrap().len(), 19);

    // Refused pays name sums too, all zero; slashes come escaped, and are signed so.
    let heard = till.call("alipay.trade.pay", &pay_biz(&number(), "77.05", &code())).await;
    assert_eq!(till.content(&heard)["receipt_amount"], "0.00");
    let mut biz = pay_biz(&number(), "1.00", &code());
    biz["subject"] = json!("a/b");
    let heard = till.call("alipay.trade.pay", &biz).await;
    assert!(till.content(&heard)["sub_msg"].as_str().unwrap().contains(" / "));
    assert!(heard.unwrap().body.contains(" \\/ "));
    running.stop().await;
}

#[tokio::test]
async fn one_port_speaks_http_and_https() {
    let dir = tempfile::tempdir().unwrap();
    // A name that is given later is added, and one given once stays.
    for name in ["10.0.3.2", "gateway.test"] {
        let options = Options { names: vec![name.to_owned()], ..Options::new(dir.path()) };
        start(options).await.stop().await;
    }
    let before = std::fs::read(dir.path().join("ca.pem")).unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);
    let ca = std::fs::read(running.folder().ca()).unwrap();
    assert!(ca == before, "the same names need no new authority");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    for host in ["127.0.0.1", "localhost", "10.0.3.2", "gateway.test"] {
        let stream = TcpStream::connect(running.addr()).await.unwrap();
        let name = ServerName::try_from(host).unwrap();
        let mut stream = connector.connect(name, stream).await.expect(host);
        // Two requests on one connection.
        for last in [false, true] {
            let mut ask = till.ask("alipay.trade.pay", &pay_biz(&number(), "1.00", &code()));
            till.sign(&mut ask);
            let heard = exchange(&mut stream, &ask, &encode(&ask.body), last).await;
            assert_eq!(till.word(&heard, "", ""), "10000", "{host}");
        }
    }
    running.stop().await;
}

// --- what the folder remembers -----------------------------------------------

#[tokio::test]
async fn a_restarted_sandbox_knows_its_trades_keys_and_codes() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    assert!(running.wrote_config());
    let till = Till::of(&running);
    let (paid, open, used) = (number(), number(), code());
    till.call("alipay.trade.pay", &pay_biz(&paid, "1.00", &used)).await;
    till.call("alipay.trade.pay", &pay_biz(&open, "77.03", &code())).await;
    till.call("alipay.trade.query", &json!({ "out_trade_no": open })).await;
    let before = running.ledger().all();
    let ledger = running.folder().ledger();
    let (app_id, busy) = (running.app_id().to_owned(), dir.path().to_owned());
    // Nobody else may use the folder meanwhile.
    let twice = Sandbox::start(Options::new(&busy)).await.err().unwrap();
    assert!(twice.to_string().contains("another sandbox uses this folder"), "{twice}");
    running.stop().await;

    // A kill in the middle of a write leaves half a line.
    let mut text = std::fs::read_to_string(&ledger).unwrap();
    assert!(!text.contains(&used), "the ledger holds a payment code");
    text.push_str("{\"number\":{\"out_tr");
    std::fs::write(&ledger, &text).unwrap();

    let running = start(Options::new(dir.path())).await;
    assert_eq!(running.app_id(), app_id);
    assert_eq!(running.ledger().all(), before);
    let config = std::fs::read_to_string(running.folder().config()).unwrap();
    assert!(config.contains(&running.gateway()), "led to the new port: {config}");
    let till = Till { addr: running.addr(), ..till };
    let heard = till.call("alipay.trade.pay", &pay_biz(&number(), "1.00", &used)).await;
    assert_eq!(till.word(&heard, "", ""), "40004 ACQ.PAYMENT_AUTH_CODE_INVALID");
    for expected in ["WAIT_BUYER_PAY", "TRADE_SUCCESS"] {
        let heard = till.call("alipay.trade.query", &json!({ "out_trade_no": open })).await;
        assert_eq!(till.word(&heard, "", ""), expected, "the ending goes on where it was");
    }
    for secret in ["app_private_key.pem", "alipay_private_key.pem", "tls_key.pem", "ledger.jsonl"] {
        let mode = std::fs::metadata(dir.path().join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    running.stop().await;

    // Damage in the middle is not passed over.
    std::fs::write(&ledger, text.replacen("{\"number\"", "{\"nomber", 1) + "\n").unwrap();
    let error = Sandbox::start(Options::new(dir.path())).await.err().unwrap().to_string();
    assert!(error.contains("ledger.jsonl") && error.contains("line 1"), "{error}");
}

#[tokio::test]
async fn says_clearly_why_it_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = taken.local_addr().unwrap();
    let fail = async |options| Sandbox::start(options).await.err().expect("must not start");
    let options = Options { listen: addr, ..Options::new(dir.path()) };
    assert!(matches!(fail(options).await, SandboxError::PortInUse(_)));
    let options = Options { listen: "0.0.0.0:0".parse().unwrap(), ..Options::new(dir.path()) };
    assert!(matches!(fail(options).await, SandboxError::NotLoopback(_)));
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let options = Options { speed, ..Options::new(dir.path()) };
        assert!(matches!(fail(options).await, SandboxError::Speed));
    }
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(fail(Options::new(&file)).await, SandboxError::Folder { .. }));
}

// --- control -----------------------------------------------------------------

#[tokio::test]
async fn tests_can_script_faults_and_read_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(Options::new(dir.path())).await;
    let till = Till::of(&running);

    // Each fault: what a pay then sounds like, and what is charged.
    for (fault, expected, charged) in [
        (json!({"drop_request": true}), "silence", false),
        (json!({"drop_answer": true}), "silence", true),
        (json!({"cut": true}), "cut", true),
        (json!({"garbage": true}), "garbage", true),
        (json!({"bad_signature": true}), "wrong signature 10000", true),
        (json!({"unsigned": true}), "unsigned 10000", true),
        (json!({"other_order": true}), "other order 10000", true),
        (json!({"other_amount": true}), "other amount 10000", true),
        (json!({"extra_member": true}), "10000", true),
        (json!({"date": ""}), "10000", true),
        (json!({"status": 503}), "http 503", true),
        (json!({"status": 503, "execute": false}), "http 503", false),
        (json!({"delay_ms": 1}), "10000", true),
        (json!({"replay": "NEVER_SEEN"}), "silence", true),
        (json!({"answer": {"code": "20000", "sub_code": "isp.x"}}), "20000 isp.x", false),
        (
            json!({"answer": {"code": "20000", "sub_code": "isp.x"}, "execute": true}),
            "20000 isp.x",
            true,
        ),
    ] {
        let (status, _) = control(&till, "POST", "faults", &fault).await;
        assert_eq!(status, 200);
        let name = number();
        let heard = till.call("alipay.trade.pay", &pay_biz(&name, "1.00", &code())).await;
        assert_eq!(till.word(&heard, &name, "1.00"), expected, "{fault}");
        let fen = running.ledger().trade(&name).map_or(0, |trade| trade.charged_fen);
        assert_eq!(fen, if charged { 100 } else { 0 }, "{fault}");
    }

    // Only the named order, only so often, only that method.
    let name = number();
    let fault =
        json!([{ "method": "query", "out_trade_no": name, "times": 2, "drop_answer": true }]);
    control(&till, "POST", "faults", &fault).await;
    till.call("alipay.trade.pay", &pay_biz(&name, "77.04", &code())).await;
    for (order, expected) in [
        ("OTHER", "40004 ACQ.TRADE_NOT_EXIST"),
        (name.as_str(), "silence"),
        (name.as_str(), "silence"),
        (name.as_str(), "WAIT_BUYER_PAY"),
    ] {
        let heard = till.call("alipay.trade.query", &json!({ "out_trade_no": order })).await;
        assert_eq!(till.word(&heard, "", ""), expected);
    }

    // A pay that comes through late.
    let late = number();
    control(&till, "POST", "faults", &json!({ "method": "pay", "late_ms": 30 })).await;
    assert!(till.call("alipay.trade.pay", &pay_biz(&late, "1.00", &code())).await.is_none());
    until(|| running.ledger().trade(&late).is_some()).await;

    // Nonsense is refused with a reason.
    for nonsense in [
        json!({"drop_requests": true}),
        json!({"method": "steal"}),
        json!({"cut": true, "garbage": true}),
        json!({"late_ms": 1}),
        json!({"no_action": true}),
        json!({"status": 42}),
        json!(7),
    ] {
        let (status, json) = control(&till, "POST", "faults", &nonsense).await;
        assert_eq!(status, 400, "{nonsense}");
        assert!(json["error"].is_string());
    }
    assert!(running.fault(Fault { status: Some(42), ..Fault::default() }).is_err());
    let said = Said::new("40004", "ACQ.SYSTEM_ERROR", "");
    running.fault(Fault { answer: Some(said), ..Fault::default() }).unwrap();
    let (_, json) = control(&till, "GET", "faults", &Value::Null).await;
    assert_eq!(json["faults"].as_array().unwrap().len(), 1);
    control(&till, "DELETE", "faults", &Value::Null).await;

    // The buyer.
    let (status, json) =
        control(&till, "POST", &format!("trades/{name}/confirm"), &Value::Null).await;
    assert_eq!((status, &json["trade"]["status"]), (200, &json!("TRADE_SUCCESS")));
    let (status, _) = control(&till, "POST", &format!("trades/{name}/giveup"), &Value::Null).await;
    assert_eq!(status, 409);
    let gone = number();
    till.call("alipay.trade.pay", &pay_biz(&gone, "77.04", &code())).await;
    let (_, json) = control(&till, "POST", &format!("trades/{gone}/giveup"), &Value::Null).await;
    assert_eq!(json["trade"]["status"], "TRADE_CLOSED");
    assert_eq!(control(&till, "POST", "trades/NOBODY/confirm", &Value::Null).await.0, 404);

    // The books.
    let (_, json) = control(&till, "GET", &format!("ledger/{name}"), &Value::Null).await;
    let answered: Vec<bool> =
        json["history"].as_array().unwrap().iter().map(|one| one["answered"] == true).collect();
    assert_eq!(answered, [true, false, false, true]);
    assert_eq!(control(&till, "GET", "ledger/NOBODY", &Value::Null).await.0, 404);
    let (_, json) = control(&till, "GET", "requests", &Value::Null).await;
    assert_eq!(json["numbers"][&name], json!({ "alipay.trade.pay": 1, "alipay.trade.query": 3 }));
    assert_eq!(
        json["numbers"][&late],
        json!({ "alipay.trade.pay": 1, "late alipay.trade.pay": 1 })
    );
    let (_, json) = control(&till, "GET", "endings", &Value::Null).await;
    assert_eq!(json["endings"].as_array().unwrap().len(), endings::ENDINGS.len());
    control(&till, "POST", "clock", &json!({ "skew_ms": 3_600_000 })).await;
    let heard = till.call("alipay.trade.query", &json!({ "out_trade_no": name })).await;
    assert_eq!(till.word(&heard, "", ""), "40002 isv.invalid-timestamp");
    control(&till, "POST", "clock", &json!({ "skew_ms": 0 })).await;
    let (status, json) = control(&till, "POST", "settings", &json!({ "fence": true })).await;
    let habits = json!({ "fence": true, "echo": true, "no_date": false, "date_skew_ms": 0 });
    assert_eq!((status, json), (200, habits));
    let (status, json) = control(&till, "POST", "settings", &json!({ "echo": false })).await;
    assert_eq!((status, &json["fence"]), (200, &json!(true)), "what is not named stays");
    assert_eq!(control(&till, "POST", "settings", &json!({ "habit": true })).await.0, 400);
    let other = json!({ "out_trade_no": "THEIRS", "total_amount": "3.00", "subject": "咖啡", "paid": true });
    let (status, json) = control(&till, "POST", "trades", &other).await;
    assert_eq!((status, &json["trade"]["charged_fen"]), (200, &json!(300)));
    assert_eq!(control(&till, "POST", "trades", &other).await.0, 409);
    control(&till, "POST", "reset", &Value::Null).await;
    assert!(running.ledger().all().is_empty());
    assert_eq!(control(&till, "GET", "nothing", &Value::Null).await.0, 404);
    running.stop().await;
}

#[test]
fn the_page_holds_the_tables_of_endings() {
    let page = std::fs::read_to_string("docs/sandbox.md").unwrap();
    for table in [endings::markdown(), endings::refund_markdown()] {
        assert!(page.contains(&table), "write into docs/sandbox.md:\n{table}");
    }
}

// --- helpers ---------------------------------------------------------------

/// Plays a story and compares each answer with what it says.
async fn tell(till: &Till, running: &Running, name: &str, amount: &str, code: &str, story: &str) {
    for line in story.split(", ") {
        let (call, expected) = line.split_once(' ').unwrap_or((line, ""));
        let order = json!({ "out_trade_no": name });
        let heard = match call {
            "pay" => till.call("alipay.trade.pay", &pay_biz(name, amount, code)).await,
            "late" => {
                let late = |one: &tilld::sandbox::Arrived| one.method.starts_with("late");
                until(|| running.ledger().number(name).unwrap().history.iter().any(late)).await;
                continue;
            }
            "filled" => {
                running.set_skew_ms(20_000);
                continue;
            }
            method => till.call(&format!("alipay.trade.{method}"), &order).await,
        };
        let word = till.word(&heard, name, amount).replace("40004 ACQ.", "");
        assert_eq!(word, expected, "{amount} {story}: {call}");
    }
    running.set_skew_ms(0);
}
