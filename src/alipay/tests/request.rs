//! What goes out, member by member.

use std::collections::BTreeMap;

use super::super::ask::Pay;
use super::super::content;
use super::super::request::{self, RequestError};
use super::super::sign::SignType;
use super::{NOW, app_private, order, pay};
use crate::payment::{Extras, Till, Timestamp};

fn till() -> Till {
    Till {
        terminal_id: "T_001".to_owned(),
        store_id: Some("NJ_001".to_owned()),
        operator_id: Some("yx_001".to_owned()),
    }
}

#[test]
fn a_pay_says_everything_that_is_known_and_nothing_empty() {
    let mut order = order();
    order.subject = "a\"b\\c/d&e=f+g%h 咖啡☕\n".to_owned();
    order.body = Some("大杯".to_owned());
    order.goods_detail = Some(r#"[{"goods_id":"1","price":2.10}]"#.to_owned());
    let tagged = Pay { tag: Some("0123456789abcdef".to_owned()), ..pay(order.clone()) };
    let content = content::pay(&tagged, &till()).unwrap();
    // The price is passed on as it was written, not as a float.
    assert!(content.contains(r#""goods_detail":[{"goods_id":"1","price":2.10}]"#), "{}", *content);
    let value: serde_json::Value = serde_json::from_str(&content).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "out_trade_no": "POS20260101000001",
            "scene": "bar_code",
            "auth_code": "28763443825664394",
            "subject": "a\"b\\c/d&e=f+g%h 咖啡☕\n",
            "total_amount": "88.88",
            "product_code": "FACE_TO_FACE_PAYMENT",
            "body": "大杯",
            "operator_id": "yx_001",
            "store_id": "NJ_001",
            "terminal_id": "T_001",
            "goods_detail": [{"goods_id": "1", "price": 2.10}],
            "time_expire": "2026-01-02 03:06:05",
            "passback_params": "0123456789abcdef",
        })
    );

    order.operator_id = Some("li".to_owned());
    order.body = Some(String::new());
    order.goods_detail = None;
    order.amount = "100000000".parse().unwrap();
    let nobody = Till { store_id: Some(String::new()), ..Till::default() };
    let content = content::pay(&pay(order), &nobody).unwrap();
    let value: serde_json::Value = serde_json::from_str(&content).unwrap();
    let members: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        members,
        [
            "auth_code",
            "operator_id",
            "out_trade_no",
            "product_code",
            "scene",
            "subject",
            "time_expire",
            "total_amount"
        ]
    );
    assert_eq!(value["operator_id"], "li");
    assert_eq!(value["total_amount"], "100000000", "eleven characters at most");
}

/// Each member by itself, as it was read, and nothing else with it.
#[test]
fn what_the_register_adds_is_passed_on_as_it_is() {
    let amount = |text: &str| Some(text.parse().unwrap());
    let text = |text: &str| Some(text.to_owned());
    for (extras, member) in [
        (
            Extras { seller_id: text("2088102146225135"), ..Extras::default() },
            r#""seller_id":"2088102146225135""#,
        ),
        (
            Extras { discountable_amount: amount("8.88"), ..Extras::default() },
            r#""discountable_amount":"8.88""#,
        ),
        (
            Extras { undiscountable_amount: amount("80"), ..Extras::default() },
            r#""undiscountable_amount":"80.00""#,
        ),
        (
            Extras {
                extend_params: text(
                    r#"{"hb_fq_num":3,"sys_service_provider_id":"2088511833207846"}"#,
                ),
                ..Extras::default()
            },
            r#""extend_params":{"hb_fq_num":3,"sys_service_provider_id":"2088511833207846"}"#,
        ),
        (
            Extras {
                query_options: vec!["fund_bill_list".to_owned(), "mdiscount_amount".to_owned()],
                ..Extras::default()
            },
            r#""query_options":["fund_bill_list","mdiscount_amount"]"#,
        ),
    ] {
        let plain = content::pay(&pay(order()), &till()).unwrap();
        let mut order = order();
        order.extras = extras;
        let content = content::pay(&pay(order), &till()).unwrap();
        assert!(content.contains(member), "{member}: {}", *content);
        assert_eq!(content.replace(&format!(",{member}"), ""), *plain);
    }
    for params in ["[]", "{", "\"{}\""] {
        let mut order = order();
        order.extras.extend_params = text(params);
        let content = content::pay(&pay(order), &till());
        assert_eq!(content.err(), Some(RequestError::ExtendParams), "{params}");
    }
}

#[test]
fn goods_that_are_no_array_are_not_sent() {
    for goods in ["{}", "[1,", "\"[]\"", "x"] {
        let mut order = order();
        order.goods_detail = Some(goods.to_owned());
        let content = content::pay(&pay(order), &till());
        assert_eq!(content.err(), Some(RequestError::Goods), "{goods}");
    }
}

#[test]
fn common_parameters_are_in_the_url_and_business_in_the_body_each_once() {
    let common = request::common("2014072300007148", "alipay.trade.query", SignType::Rsa2, NOW);
    let built =
        request::build(&common.unwrap(), "{\"a\":\"b\"}", SignType::Rsa2, &app_private()).unwrap();
    let pairs: Vec<(String, String)> =
        form_urlencoded::parse(built.query.as_bytes()).into_owned().collect();
    let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["timestamp", "app_id", "method", "charset", "format", "version", "sign_type", "sign"]
    );
    let pairs: BTreeMap<String, String> = pairs.into_iter().collect();
    assert_eq!(pairs["timestamp"], "2026-01-02 03:04:05");
    assert_eq!(pairs["charset"], "utf-8");
    assert!(pairs.values().all(|value| !value.is_empty()));
    assert_eq!(built.body.as_slice(), b"biz_content=%7B%22a%22%3A%22b%22%7D");
}

#[test]
fn empties_are_neither_signed_nor_sent_and_twice_is_refused() {
    let key = app_private();
    let common = request::common("1", "m", SignType::Rsa2, NOW).unwrap();
    let plain = request::build(&common, "{}", SignType::Rsa2, &key).unwrap();
    let mut more = common.clone();
    more.push(("app_auth_token", String::new()));
    let with_empty = request::build(&more, "{}", SignType::Rsa2, &key).unwrap();
    assert_eq!(with_empty.query, plain.query);

    for name in ["app_id", "sign", "biz_content"] {
        let mut more = common.clone();
        more.push((name, "x".to_owned()));
        let built = request::build(&more, "{}", SignType::Rsa2, &key);
        assert_eq!(built.err(), Some(RequestError::Twice(name.to_owned())));
    }
    let nobody = request::common("", "m", SignType::Rsa2, NOW).unwrap();
    let built = request::build(&nobody, "{}", SignType::Rsa2, &key);
    assert_eq!(built.err(), Some(RequestError::Missing("app_id")));
    let built = request::build(&common, "", SignType::Rsa2, &key);
    assert_eq!(built.err(), Some(RequestError::Missing("biz_content")));
}

#[test]
fn dates_are_at_eight_hours_east_whatever_the_zone_here() {
    for (millis, text) in [
        (0, "1970-01-01 08:00:00"),
        (-1, "1970-01-01 07:59:59"),
        (1_767_294_245_999, "2026-01-02 03:04:05"),
        (1_767_196_799_000, "2025-12-31 23:59:59"),
        (1_709_136_000_000, "2024-02-29 00:00:00"),
    ] {
        assert_eq!(request::beijing(Timestamp(millis)).as_deref(), Ok(text));
        let whole = Timestamp(millis.div_euclid(1000) * 1000);
        assert_eq!(request::from_beijing(text), Some(whole));
    }
    for text in ["", "2026-01-02", "2026-02-30 00:00:00", "2026-01-02T03:04:05", "soon"] {
        assert_eq!(request::from_beijing(text), None, "{text}");
    }
    assert!(request::beijing(Timestamp(i64::MAX)).is_err());
}
