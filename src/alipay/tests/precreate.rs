//! A code that the buyer scans: what is said, and what an answer may be taken for.

use std::sync::Arc;
use std::time::Duration;

use super::super::content;
use super::super::envelope;
use super::super::mask::Mask;
use super::super::table::{self, Words};
use super::super::verdict::judge;
use super::played::{Gateway, Play, signed};
use super::{NOW, ask, order, precreate};
use crate::alipay::ask::{Ask, Method, Precreate};
use crate::payment::{Answer, Extras, Judged, PrecreateAnswer, Till};

#[test]
fn every_documented_case_of_a_precreate_has_its_verdict() {
    for row in "
        10000 - => Made
        10000 ACQ.SOMETHING => Unsettled
        10003 - => Unsettled
        20000 isp.unknow-error => Busy
        20001 - => Refused
        40001 - => Refused
        40002 isv.invalid-signature => Refused
        40003 - => Refused
        40005 - => Busy
        40006 - => Refused
        40004 ACQ.APPLY_PC_MERCHANT_CODE_ERROR => Repeated
        40004 APPLY_PC_MERCHANT_CODE_ERROR => Repeated
        40004 ACQ.TRADE_HAS_SUCCESS => Repeated
        40004 ACQ.CONTEXT_INCONSISTENT => Repeated
        40004 ACQ.TRADE_HAS_CLOSE => Declined
        40004 ACQ.TOTAL_FEE_EXCEED => Declined
        40004 ACQ.INVALID_PARAMETER => Declined
        40004 ACQ.ACCESS_FORBIDDEN => Declined
        40004 ACQ.SYSTEM_ERROR => Busy
        40004 ACQ.TRADE_STATUS_ERROR => Unsettled
        40004 ACQ.NEVER_HEARD_OF => Unsettled
        40004 - => Unsettled
        - - => Unsettled
    "
    .lines()
    .map(str::trim)
    .filter(|row| !row.is_empty())
    {
        let (words, expected) = row.split_once(" => ").unwrap();
        let (code, sub_code) = words.split_once(' ').unwrap();
        let word = |word| if word == "-" { "" } else { word };
        let words = Words { code: word(code), sub_code: word(sub_code), ..Words::default() };
        assert_eq!(format!("{:?}", table::precreate(words)), expected, "{row}");
    }
}

#[test]
fn there_is_a_code_only_for_our_number_and_as_it_came() {
    let number = r#""out_trade_no":"POS20260101000001""#;
    let code = "https://qr.alipay.com/bax28763443825664394";
    let shown = format!(r#""qr_code":"{}""#, code.replace('/', "\\/"));
    let long = format!(r#""qr_code":"{}""#, "x".repeat(1025));
    for (members, expected) in [
        (format!("{number},{shown}"), Judged::Made),
        (number.to_owned(), Judged::Unknown),
        (format!(r#"{number},"qr_code":"""#), Judged::Unknown),
        (format!("{number},{long}"), Judged::Unknown),
        (format!(r#"{number},"qr_code":"a\nb""#), Judged::Unknown),
        (shown.clone(), Judged::Unknown),
        (format!(r#""out_trade_no":"POS2",{shown}"#), Judged::Unknown),
    ] {
        let content = format!(r#"{{"code":"10000","msg":"Success",{members}}}"#);
        let read = envelope::read(content.as_bytes()).expect("JSON");
        let expect = ask(Method::Precreate).expect();
        let (answer, _) = judge(Method::Precreate, &read, &expect, Mask::new(None));
        assert_eq!(answer.judged(), expected, "{content}");
        if let Answer::Precreate(PrecreateAnswer::Made { qr_code }) = answer {
            assert_eq!(qr_code, code, "not masked: it is no payment code");
        }
    }
}

#[test]
fn a_precreate_ends_at_a_date_and_its_code_after_a_while() {
    let till = Till { terminal_id: "T_001".to_owned(), ..Till::default() };
    let mut asked = precreate();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&content::precreate(&asked, &till).unwrap())
            .unwrap(),
        serde_json::json!({
            "out_trade_no": "POS20260101000001",
            "subject": "咖啡",
            "total_amount": "88.88",
            "product_code": "FACE_TO_FACE_PAYMENT",
            "terminal_id": "T_001",
            "time_expire": "2026-01-02 03:06:05",
            "qr_code_timeout_express": "2m",
            "passback_params": "0123456789abcdef",
        })
    );
    let mut order = order();
    order.extras = Extras {
        seller_id: Some("2088102146225135".to_owned()),
        discountable_amount: Some("8.88".parse().unwrap()),
        undiscountable_amount: Some("80.00".parse().unwrap()),
        extend_params: Some(r#"{"hb_fq_num":"3"}"#.to_owned()),
        // It has none.
        query_options: vec!["fund_bill_list".to_owned()],
    };
    let more = Precreate { order: Arc::new(order), ..precreate() };
    let (plain, more) =
        (content::precreate(&asked, &till).unwrap(), content::precreate(&more, &till).unwrap());
    let added = r#","seller_id":"2088102146225135","discountable_amount":"8.88","undiscountable_amount":"80.00","extend_params":{"hb_fq_num":"3"}"#;
    assert!(more.contains(added), "{}", *more);
    assert_eq!(more.replace(added, ""), *plain);
    for (seconds, written) in [(0, "1m"), (1, "1m"), (60, "1m"), (61, "2m"), (5400, "90m")] {
        asked.code_lives = Duration::from_secs(seconds);
        let content = content::precreate(&asked, &till).unwrap();
        let member = format!("\"qr_code_timeout_express\":\"{written}\"");
        assert!(content.contains(&member), "{seconds}: {}", *content);
    }
}

#[tokio::test]
async fn it_is_notified_where_it_says_and_lost_or_not_sent_as_a_pay_is() {
    let made = r#"{"code":"10000","out_trade_no":"POS20260101000001","qr_code":"https://x"}"#;
    let gateway = Gateway::plays([Play::Reply(signed(Method::Precreate, made)), Play::Close]).await;
    let client = super::gateway::client(&gateway.url());
    let notify_url = Some("https://pos.example.com/notify?shop=1".to_owned());
    let asked = Precreate { notify_url, order: Arc::new(order()), ..precreate() };
    let asked = Ask::Precreate(Box::new(asked));
    let answered = client.send(client.prepare(asked, NOW)).await;
    assert_eq!(answered.answer.judged(), Judged::Made, "{answered:?}");
    let request = &gateway.requests()[0];
    assert!(request.contains("method=alipay.trade.precreate&"), "{request}");
    let notified = "notify_url=https%3A%2F%2Fpos.example.com%2Fnotify%3Fshop%3D1&";
    assert!(request.contains(notified), "{request}");
    let lost = client.send(client.prepare(ask(Method::Precreate), NOW)).await;
    assert_eq!(lost.answer.judged(), Judged::Unknown);
    assert!(!gateway.requests()[1].contains("notify_url"));
    let nowhere = super::gateway::client("http://127.0.0.1:9/");
    let unsent = nowhere.send(nowhere.prepare(ask(Method::Precreate), NOW)).await;
    assert_eq!(unsent.answer.judged(), Judged::NotSent, "{unsent:?}");
}
