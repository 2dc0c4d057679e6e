//! Giving money back: what is said, and what an answer may be taken for.

use super::super::content;
use super::super::envelope;
use super::super::mask::Mask;
use super::super::request::RequestError;
use super::super::sign::SignType;
use super::super::table::{self, Words};
use super::super::verdict::judge;
use super::played::{Gateway, Play, signed};
use super::{NOW, alipay_public, ask, refund};
use crate::alipay::ask::{Ask, Expect, Method, Refund};
use crate::payment::{
    Answer, Back, Fen, Judged, RefundAnswer, RefundQueryAnswer, Till, Timestamp, TroubleKind,
};

/// `method code sub_code fund_change => verdict`, or with `refund_status` and
/// `refund_amount`; `-` for none.
const ROWS: &str = "
    refund 10000 - Y => Done
    refund 10000 - N => Unproven
    refund 10000 - - => Unproven
    refund 10000 - y => Unproven
    refund 10000 ACQ.SOMETHING Y => Unsettled
    refund 10003 - Y => Unsettled
    refund 20000 isp.unknow-error - => Busy
    refund 20000 - Y => Busy
    refund 20001 aop.invalid-app-auth-token - => Refused
    refund 40001 - - => Refused
    refund 40002 isv.invalid-signature - => Refused
    refund 40003 - - => Refused
    refund 40005 - - => Busy
    refund 40006 - - => Refused
    refund 40004 - - => Unsettled
    refund 40004 ACQ.NEVER_HEARD_OF - => Unsettled
    refund 40004 ACQ.NEVER_HEARD_OF Y => Unsettled
    refund 50000 - Y => Unsettled
    refund - - Y => Unsettled

    query 10000 - REFUND_SUCCESS 12.33 => Done
    query 10000 - REFUND_SUCCESS - => Done
    query 10000 - - - => NotDone
    query 10000 - - 12.33 => Unsettled
    query 10000 - REFUND_PROCESSING 12.33 => Unsettled
    query 10000 - refund_success 12.33 => Unsettled
    query 10000 ACQ.SOMETHING REFUND_SUCCESS 12.33 => Unsettled
    query 10003 - REFUND_SUCCESS 12.33 => Unsettled
    query 40004 ACQ.TRADE_NOT_EXIST - - => Unsettled
    query 40004 TRADE_NOT_EXIST - - => Unsettled
    query 40004 ACQ.SYSTEM_ERROR - - => Busy
    query 40004 AQC.SYSTEM_ERROR - - => Busy
    query 40004 ACQ.INVALID_PARAMETER - - => Unsettled
    query 40004 ACQ.ENTERPRISE_PAY_BIZ_ERROR - - => Unsettled
    query 20000 - - - => Busy
    query 20001 - - - => Refused
    query 40001 - - - => Refused
    query 40002 - - - => Refused
    query 40003 - - - => Refused
    query 40005 - - - => Busy
    query 40006 - - - => Refused
";

/// The sub_codes of a refund answered 40004.
const REFUND_40004: &[(&str, &str)] = &[
    ("Busy", "SYSTEM_ERROR"),
    ("SellerBalance", "SELLER_BALANCE_NOT_ENOUGH"),
    ("Unsettled", "TRADE_NOT_EXIST REASON_TRADE_BEEN_FREEZEN"),
    (
        "RefusedForGood",
        "TRADE_HAS_FINISHED TRADE_HAS_CLOSE TRADE_NOT_ALLOW_REFUND TRADE_STATUS_ERROR
        REASON_TRADE_STATUS_INVALID NOT_ALLOW_PARTIAL_REFUND ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND

        REASON_TRADE_REFUND_FEE_ERR REFUND_FEE_ERROR REFUND_AMT_NOT_EQUAL_TOTAL

        DISCORDANT_REPEAT_REQUEST INVALID_PARAMETER

        BUYER_ERROR CUSTOMER_VALIDATE_ERROR REFUND_ACCOUNT_NOT_EXIST

        REFUNDALLOC_UNAUTH_LIMIT ALLOC_AMOUNT_VALIDATE_ERROR
        REFUND_ROYALTY_PAYEE_ACCOUNT_NOT_EXIST OVERDRAFT_AGREEMENT_NOT_MATCH
        OVERDRAFT_ASSIGN_ACCOUNT_INVALID REFUND_CHARGE_ERROR ENTERPRISE_PAY_BIZ_ERROR",
    ),
];

#[test]
fn every_documented_case_of_a_refund_has_its_verdict() {
    for row in ROWS.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (words, expected) = row.split_once(" => ").unwrap();
        let word = |at| match words.split(' ').nth(at) {
            None | Some("-") => "",
            Some(word) => word,
        };
        let said = Words { code: word(1), sub_code: word(2), ..Words::default() };
        let found = match word(0) {
            "refund" => format!("{:?}", table::refund(Words { fund_change: word(3), ..said })),
            _ => {
                let told = Words { refund_status: word(3), refund_amount: word(4), ..said };
                format!("{:?}", table::refund_query(told))
            }
        };
        assert_eq!(found, expected, "{row}");
    }
    for (expected, listed) in REFUND_40004 {
        for sub_code in listed.split_whitespace() {
            for prefix in ["", "ACQ.", "AQC."] {
                let sub_code = format!("{prefix}{sub_code}");
                let words = Words { code: "40004", sub_code: &sub_code, ..Words::default() };
                assert_eq!(format!("{:?}", table::refund(words)), *expected, "{sub_code}");
            }
        }
    }
}

fn judged(method: Method, content: &str, expect: &Expect) -> Answer {
    let content = envelope::read(content.as_bytes()).expect("JSON");
    judge(method, &content, expect, Mask::new(None)).0
}

/// Judges `content` for the usual refund, and says the outcome in a word or two.
fn say(method: Method, content: &str) -> String {
    let kind = |kind: TroubleKind| format!("unknown {kind:?}");
    match judged(method, content, &ask(method).expect()) {
        Answer::Refund(RefundAnswer::Done(_)) | Answer::RefundQuery(RefundQueryAnswer::Done(_)) => {
            "done".into()
        }
        Answer::Refund(RefundAnswer::Unproven(_)) => "unproven".into(),
        Answer::Refund(RefundAnswer::Refused(reason)) => format!("refused {}", reason.message),
        Answer::RefundQuery(RefundQueryAnswer::NotDone) => "not done".into(),
        Answer::RefundQuery(RefundQueryAnswer::Foreign(trouble)) => {
            format!("foreign {:?}", trouble.kind)
        }
        Answer::Refund(RefundAnswer::Unknown(trouble))
        | Answer::RefundQuery(RefundQueryAnswer::Unknown(trouble)) => kind(trouble.kind),
        answer @ (Answer::Pay(_) | Answer::Query(_) | Answer::Cancel(_) | Answer::Precreate(_)) => {
            panic!("{answer:?}")
        }
    }
}

const NUMBER: &str = r#""out_trade_no":"POS20260101000001""#;
const TRADE: &str = r#""trade_no":"2026010222001455610500000001""#;
const REQUEST: &str = r#""out_request_no":"HZ01RF001""#;
const SUCCESS: &str = r#""refund_status":"REFUND_SUCCESS""#;

#[test]
fn a_refund_is_done_only_if_it_moved_our_orders_money_itself() {
    for (members, expected) in [
        (format!(r#""fund_change":"Y",{NUMBER},{TRADE},"refund_fee":"12.33""#), "done"),
        // All that ever went back of the trade: more than this refund.
        (format!(r#""fund_change":"Y",{NUMBER},{TRADE},"refund_fee":50"#), "done"),
        (format!(r#""fund_change":"Y",{NUMBER}"#), "done"),
        (format!(r#""fund_change":"Y",{NUMBER},"refund_fee":"soon""#), "done"),
        (
            format!(r#""fund_change":"Y",{NUMBER},{TRADE},"refund_fee":"12.32""#),
            "unknown Unsettled",
        ),
        (format!(r#""fund_change":"Y",{TRADE},"refund_fee":"12.33""#), "unknown Unsettled"),
        (format!(r#""fund_change":"Y",{NUMBER},"sub_code":"x""#), "unknown Unsettled"),
        // Somebody else's.
        (format!(r#""fund_change":"Y","out_trade_no":"POS2",{TRADE}"#), "unknown Foreign"),
        (format!(r#""fund_change":"Y",{NUMBER},"trade_no":"2026""#), "unknown Foreign"),
        (r#""fund_change":"N","out_trade_no":"POS2""#.to_owned(), "unknown Foreign"),
        (format!(r#""fund_change":"N",{NUMBER},{TRADE},"refund_fee":"12.33""#), "unproven"),
        (format!(r#""fund_change":"",{NUMBER}"#), "unproven"),
        (NUMBER.to_owned(), "unproven"),
        (r#""send_back_fee":"12.33""#.to_owned(), "unproven"),
    ] {
        let content = format!(r#"{{"code":"10000","msg":"Success",{members}}}"#);
        assert_eq!(say(Method::Refund, &content), expected, "{content}");
    }
    for (sub_code, expected) in [
        ("ACQ.SELLER_BALANCE_NOT_ENOUGH", "unknown SellerBalance"),
        ("ACQ.SYSTEM_ERROR", "unknown Busy"),
        ("ACQ.TRADE_NOT_EXIST", "unknown Unsettled"),
        ("ACQ.DISCORDANT_REPEAT_REQUEST", "refused 不行"),
        ("ACQ.TRADE_HAS_FINISHED", "refused 不行"),
    ] {
        let with = |more: &str| {
            format!(r#"{{"code":"40004","sub_code":"{sub_code}","sub_msg":"不行"{more}}}"#)
        };
        assert_eq!(say(Method::Refund, &with("")), expected, "{sub_code}");
        assert_eq!(say(Method::Refund, &with(&format!(",{NUMBER}"))), expected, "{sub_code}");
        let others = with(r#","out_trade_no":"POS2""#);
        assert_eq!(say(Method::Refund, &others), "unknown Foreign", "{sub_code}");
    }
    for front_door in
        [r#"{"code":"40002","sub_code":"isv.invalid-signature"}"#, r#"{"code":"40006"}"#]
    {
        assert_eq!(say(Method::Refund, front_door), "unknown Refused");
        assert_eq!(say(Method::RefundQuery, front_door), "unknown Refused");
    }
}

#[test]
fn a_refund_query_tells_of_success_only_with_all_that_makes_it_ours() {
    let amount = r#""refund_amount":"12.33""#;
    for (members, expected) in [
        (
            format!(r#"{NUMBER},{REQUEST},{TRADE},{SUCCESS},{amount},"total_amount":"88.88""#),
            "done",
        ),
        (format!("{NUMBER},{REQUEST},{SUCCESS},{amount}"), "done"),
        (format!(r#"{NUMBER},{REQUEST},{SUCCESS},"refund_amount":12.330"#), "done"),
        // Something is missing that it rests on.
        (format!("{REQUEST},{SUCCESS},{amount}"), "unknown Unsettled"),
        (format!("{NUMBER},{SUCCESS},{amount}"), "unknown Unsettled"),
        (format!("{NUMBER},{REQUEST},{SUCCESS}"), "unknown Unsettled"),
        (format!(r#"{NUMBER},{REQUEST},{SUCCESS},"refund_amount":"12.331""#), "unknown Unsettled"),
        (format!("{NUMBER},{REQUEST},{amount}"), "unknown Unsettled"),
        // An answer to another question.
        (format!(r#""out_trade_no":"POS2",{REQUEST},{SUCCESS},{amount}"#), "unknown Foreign"),
        (format!(r#"{NUMBER},"out_request_no":"R2",{SUCCESS},{amount}"#), "unknown Foreign"),
        (format!(r#"{NUMBER},"out_request_no":"hz01rf001",{SUCCESS},{amount}"#), "unknown Foreign"),
        (r#""out_trade_no":"POS2""#.to_owned(), "unknown Foreign"),
        (format!(r#"{NUMBER},"out_request_no":"R2""#), "unknown Foreign"),
        // Our number, and somebody else's refund.
        (format!(r#"{NUMBER},{REQUEST},{SUCCESS},"refund_amount":"12.34""#), "foreign Foreign"),
        (
            format!(r#"{NUMBER},{REQUEST},{SUCCESS},{amount},"total_amount":"88.87""#),
            "foreign Foreign",
        ),
        (format!(r#"{NUMBER},{REQUEST},{SUCCESS},{amount},"trade_no":"2026""#), "foreign Foreign"),
        // Never heard of: the common members, and perhaps what was asked.
        (r#""x":"y""#.to_owned(), "not done"),
        (format!("{NUMBER},{REQUEST}"), "not done"),
        (format!(r#"{NUMBER},{REQUEST},{TRADE},"total_amount":"88.88""#), "not done"),
        (format!(r#"{NUMBER},"refund_status":"","refund_amount":"""#), "not done"),
    ] {
        let content = format!(r#"{{"code":"10000","msg":"Success",{members}}}"#);
        assert_eq!(say(Method::RefundQuery, &content), expected, "{content}");
    }
    let absent = r#"{"code":"40004","sub_code":"ACQ.TRADE_NOT_EXIST"}"#;
    assert_eq!(say(Method::RefundQuery, absent), "unknown Unsettled");
}

#[test]
fn any_of_alipays_numbers_will_do_where_none_is_known() {
    let unknown = Refund { trade_no: None, ..refund() };
    let content = format!(r#"{{"code":"10000","fund_change":"Y",{NUMBER},"trade_no":"2026"}}"#);
    let expect = Ask::Refund(Box::new(unknown)).expect();
    let answer = judged(Method::Refund, &content, &expect);
    let back = Back { trade_no: Some("2026".to_owned()), ..Back::default() };
    assert_eq!(answer, Answer::Refund(RefundAnswer::Done(back)));
}

#[test]
fn what_went_back_is_kept() {
    let date = r#""gmt_refund_pay":"2026-01-02 03:04:06""#;
    let content = format!(
        r#"{{"code":"10000",{NUMBER},{TRADE},{date},"fund_change":"Y","refund_fee":"50.00"}}"#
    );
    let answer = judged(Method::Refund, &content, &ask(Method::Refund).expect());
    let back = Back {
        trade_no: Some("2026010222001455610500000001".to_owned()),
        at: Some(Timestamp(NOW.millis() + 1000)),
        total: Some(Fen(5000)),
        amount: None,
    };
    assert_eq!(answer, Answer::Refund(RefundAnswer::Done(back.clone())));
    assert_eq!((answer.judged(), answer.is_verified()), (Judged::Refunded, true));

    let content = format!(
        r#"{{"code":"10000",{NUMBER},{REQUEST},{TRADE},{date},{SUCCESS},"refund_amount":12.33}}"#
    );
    let answer = judged(Method::RefundQuery, &content, &ask(Method::RefundQuery).expect());
    let back = Back { total: None, amount: Some(Fen(1233)), ..back };
    assert_eq!(answer, Answer::RefundQuery(RefundQueryAnswer::Done(back)));
    assert_eq!(answer.judged(), Judged::Refunded);
}

/// What the vectors hold of refunds, from the bytes of the reply on.
#[test]
fn replies_to_refunds_are_judged_as_the_vectors_say() {
    let file = include_str!("../../../tests/vectors/responses.json");
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let mut judged = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let text = |name: &str| case[name].as_str().unwrap();
        let called = [Method::Refund, Method::RefundQuery];
        let Some(method) = called.into_iter().find(|m| m.name() == text("method")) else {
            continue;
        };
        let reply = text("raw_body_text").as_bytes();
        let content = envelope::open(reply, method.name(), SignType::Rsa2, &alipay_public());
        let content = content.unwrap_or_else(|why| panic!("{}: {why}", text("id")));
        let (answer, _) = judge(method, &content, &ask(method).expect(), Mask::new(None));
        judged.push((text("id"), answer.judged()));
    }
    assert_eq!(
        judged,
        [
            ("refund_fund_change_y", Judged::Refunded),
            ("refund_repeated_fund_change_n", Judged::Unproven),
            ("refund_query_success", Judged::Refunded),
            ("refund_query_unknown_request", Judged::NotDone),
        ]
    );
}

fn value(content: &str) -> serde_json::Value {
    serde_json::from_str(content).unwrap()
}

#[test]
fn a_refund_says_what_goes_back_and_under_which_number() {
    let till = Till {
        terminal_id: "T_001".to_owned(),
        store_id: Some("NJ_001".to_owned()),
        operator_id: Some("yx_001".to_owned()),
    };
    assert_eq!(
        value(&content::refund(&refund(), &till).unwrap()),
        serde_json::json!({
            "out_trade_no": "POS20260101000001",
            "refund_amount": "12.33",
            "refund_reason": "正常退款/部分",
            "out_request_no": "HZ01RF001",
            "operator_id": "yx_001",
            "store_id": "NJ_001",
            "terminal_id": "T_001",
        })
    );
    let plain =
        Refund { reason: Some(String::new()), operator_id: Some("li".to_owned()), ..refund() };
    assert_eq!(
        value(&content::refund(&plain, &Till::default()).unwrap()),
        serde_json::json!({
            "out_trade_no": "POS20260101000001",
            "refund_amount": "12.33",
            "out_request_no": "HZ01RF001",
            "operator_id": "li",
        })
    );
    assert_eq!(
        value(&content::refund_query(&refund().query()).unwrap()),
        serde_json::json!({
            "out_trade_no": "POS20260101000001",
            "out_request_no": "HZ01RF001",
            "query_options": ["gmt_refund_pay"],
        })
    );
    let nameless = Refund { request: String::new(), ..refund() };
    let missing = Some(RequestError::Missing("out_request_no"));
    assert_eq!(content::refund(&nameless, &till).err(), missing);
    assert_eq!(content::refund_query(&nameless.query()).err(), missing);
}

#[tokio::test]
async fn a_refund_and_its_query_go_out_as_such_and_come_back_judged() {
    let done = &format!(r#"{{"code":"10000",{NUMBER},"fund_change":"Y","refund_fee":"12.33"}}"#);
    let told =
        &format!(r#"{{"code":"10000",{NUMBER},{REQUEST},{SUCCESS},"refund_amount":"12.33"}}"#);
    let gateway = Gateway::plays([
        Play::Reply(signed(Method::Refund, done)),
        Play::Reply(signed(Method::RefundQuery, told)),
        // An answer to the one is none to the other.
        Play::Reply(signed(Method::RefundQuery, done)),
        Play::Close,
    ])
    .await;
    let client = super::gateway::client(&gateway.url());
    let mut heard = Vec::new();
    for method in [Method::Refund, Method::RefundQuery, Method::Refund, Method::Refund] {
        heard.push(client.send(client.prepare(ask(method), NOW)).await.answer);
    }
    let judged: Vec<Judged> = heard.iter().map(Answer::judged).collect();
    use Judged::{Refunded, Unknown};
    assert_eq!(judged, [Refunded, Refunded, Unknown, Unknown], "{heard:?}");
    let kinds: Vec<_> = heard.iter().filter_map(Answer::trouble).map(|t| t.kind).collect();
    assert_eq!(kinds, [TroubleKind::Unverified, TroubleKind::NoAnswer]);
    let requests = gateway.requests();
    for (request, method) in
        requests.iter().zip(["alipay.trade.refund", "alipay.trade.fastpay.refund.query"])
    {
        assert!(request.contains(&format!("method={method}&")), "{request}");
    }
}
