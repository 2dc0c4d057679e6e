//! The table again, row by row, and what it does not say.

use super::super::envelope;
use super::super::mask::Mask;
use super::super::table::{self, PayVerdict, Words};
use super::super::verdict::judge;
use super::{NOW, code, order};
use crate::alipay::ask::{Expect, Method};
use crate::payment::{
    Answer, CancelAnswer, Fen, PayAnswer, QueryAnswer, Said, Timestamp, Trade, TroubleKind,
};

/// `method code sub_code => verdict`, or with a `trade_status`, or with `action`
/// and `retry_flag`; `-` for none.
const ROWS: &str = "
    pay 10000 - => Paid
    pay 10003 - => Waiting
    pay 10000 ACQ.SOMETHING => Unsettled
    pay 20000 isp.unknow-error => Busy
    pay 20000 aop.unknow-error => Busy
    pay 20000 aop.ACQ.SYSTEM_ERROR => Busy
    pay 20000 - => Busy
    pay 20001 aop.invalid-app-auth-token => Refused
    pay 40001 isv.missing-method => Refused
    pay 40002 isv.invalid-signature => Refused
    pay 40003 isv.invalid-app-state => Refused
    pay 40005 isv.app-call-limited => Busy
    pay 40006 isv.insufficient-isv-permissions => Refused
    pay 40004 - => Unsettled
    pay 40004 ACQ.NEVER_HEARD_OF => Unsettled
    pay 40004 ACQ.APPLY_PC_MERCHANT_CODE_ERROR => Unsettled
    pay 50000 - => Unsettled
    pay - - => Unsettled
    pay 10001 - => Unsettled
    pay 40004 ACQ.TRADE_NOT_EXIST => Unsettled
    pay 40004 acq.payment_fail => Unsettled
    pay 40004 ACQ.ACQ.PAYMENT_FAIL => Unsettled
    pay 40004 ACQ.MY_CARD_PROBLEM => Unsettled

    query 10000 - TRADE_SUCCESS => Paid
    query 10000 - TRADE_FINISHED => Paid
    query 10000 - WAIT_BUYER_PAY => Waiting
    query 10000 - TRADE_CLOSED => Closed
    query 10000 - TRADE_PENDING => Unsettled
    query 10000 - trade_success => Unsettled
    query 10000 - - => Unsettled
    query 10003 - TRADE_SUCCESS => Unsettled
    query 40004 ACQ.TRADE_NOT_EXIST => NotExist
    query 40004 TRADE_NOT_EXIST => NotExist
    query 40004 ACQ.SYSTEM_ERROR => Busy
    query 40004 AQC.SYSTEM_ERROR => Busy
    query 40004 ACQ.INVALID_PARAMETER => Unsettled
    query 40004 ACQ.BUYER_BALANCE_NOT_ENOUGH => Unsettled
    query 20000 - => Busy
    query 20001 - => Refused
    query 40001 - => Refused
    query 40002 - => Refused
    query 40003 - => Refused
    query 40005 - => Busy
    query 40006 - => Refused

    cancel 10000 - close N => Closed
    cancel 10000 - close - => Closed
    cancel 10000 - refund N => Refunded
    cancel 10000 - refund - => Refunded
    cancel 10000 - - N => NoAction
    cancel 10000 - - - => Unsettled
    cancel 10000 - - Y => Busy
    cancel 10000 - close Y => Busy
    cancel 10000 - refund Y => Busy
    cancel 10000 - close X => Unsettled
    cancel 10000 - shut N => Unsettled
    cancel 40004 ACQ.SYSTEM_ERROR => Busy
    cancel 40004 AQC.SYSTEM_ERROR => Busy
    cancel 40004 ACQ.CANCEL_NOT_ALLOWED => RefusedForGood
    cancel 40004 ACQ.TRADE_CANCEL_TIME_OUT => RefusedForGood
    cancel 40004 ACQ.TRADE_HAS_FINISHED => RefusedForGood
    cancel 40004 ACQ.REASON_TRADE_REFUND_FEE_ERR => RefusedForGood
    cancel 40004 ACQ.SELLER_BALANCE_NOT_ENOUGH => SellerBalance
    cancel 40004 ACQ.REASON_TRADE_BEEN_FREEZEN => Unsettled
    cancel 40004 ACQ.INVALID_PARAMETER => Unsettled
    cancel 40004 ACQ.TRADE_NOT_EXIST => Unsettled
    cancel 20000 - => Busy
    cancel 20001 - => Refused
    cancel 40001 - => Refused
    cancel 40002 - => Refused
    cancel 40003 - => Refused
    cancel 40005 - => Busy
    cancel 40006 - => Refused
";

/// The sub_codes of a pay answered 40004.
const PAY_40004: &[(PayVerdict, &str)] = &[
    (PayVerdict::Busy, "SYSTEM_ERROR"),
    (PayVerdict::Unsettled, "TRADE_STATUS_ERROR"),
    (PayVerdict::Repeated, "TRADE_HAS_SUCCESS CONTEXT_INCONSISTENT"),
    (
        PayVerdict::Declined,
        "TRADE_HAS_CLOSE

        PAYMENT_AUTH_CODE_INVALID BUYER_BALANCE_NOT_ENOUGH BUYER_BANKCARD_BALANCE_NOT_ENOUGH
        ERROR_BALANCE_PAYMENT_DISABLE BUYER_SELLER_EQUAL TRADE_BUYER_NOT_MATCH PAYER_UNMATCHED
        USER_LOGONID_DUP BUYER_ENABLE_STATUS_FORBID BUYER_NOT_EXIST BUYER_NOT_MAINLAND_CERT
        NOT_CERTIFIED_USER ERROR_BUYER_CERTIFY_LEVEL_LIMIT PULL_MOBILE_CASHIER_FAIL
        MOBILE_PAYMENT_SWITCH_OFF USER_FACE_PAYMENT_SWITCH_OFF PAYMENT_FAIL
        BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR
        NO_PAYMENT_INSTRUMENTS_AVAILABLE NOT_SUPPORT_PAYMENT_INST PAYMENT_REQUEST_HAS_RISK

        BEYOND_PAY_RESTRICTION BEYOND_PER_RECEIPT_RESTRICTION BEYOND_PER_RECEIPT_DAY_RESTRICTION
        BEYOND_PER_RECEIPT_SINGLE_RESTRICTION MERCHANT_PERM_RECEIPT_DAY_LIMIT
        MERCHANT_PERM_RECEIPT_SINGLE_LIMIT MERCHANT_PERM_RECEIPT_SUSPEND_LIMIT
        PRODUCT_AMOUNT_LIMIT_ERROR REQUEST_AMOUNT_EXCEED TOTAL_FEE_EXCEED ACCESS_FORBIDDEN
        PARTNER_ERROR MERCHANT_AGREEMENT_NOT_EXIST MERCHANT_AGREEMENT_INVALID
        AGREEMENT_NOT_EXIST AGREEMENT_INVALID AGREEMENT_ERROR MERCHANT_STATUS_NOT_NORMAL
        SELLER_BEEN_BLOCKED SELLER_NOT_EXIST INVALID_RECEIVE_ACCOUNT RESTRICTED_MERCHANT_INDUSTRY
        INVALID_STORE_ID SUB_MERCHANT_CREATE_FAIL SUB_MERCHANT_TYPE_INVALID
        SECONDARY_MERCHANT_NOT_EXIST SECONDARY_MERCHANT_STATUS_ERROR
        SECONDARY_MERCHANT_ID_INVALID

        TRADE_SETTLE_ERROR CERT_EXPIRED CARD_TYPE_ERROR CYCLE_PAY_DATE_NOT_MATCH
        ZM_AUTH_AMOUNT_EXCEED AUTH_NO_ERROR AUTH_AMOUNT_NOT_ENOUGH AUTH_ORDER_HAS_CLOSED
        SMILE_PAY_MERCHANT_NOT_MATCH PRODUCT_UNSUPPORT_ADVANCE ENTERPRISE_PAY_BIZ_ERROR

        INVALID_PARAMETER AUTH_TOKEN_IS_NOT_EXIST EXIST_FORBIDDEN_WORD AMOUNT_OR_CURRENCY_ERROR
        CURRENCY_NOT_SUPPORT NOW_TIME_AFTER_EXPIRE_TIME_ERROR RISK_MERCHANT_IP_NOT_EXIST
        UN_SUPPORT_TRADE_SCENE SUB_GOODS_SIZE_MAX_COUNT",
    ),
];

#[test]
fn every_documented_case_has_its_verdict() {
    let rows = ROWS.lines().map(str::trim).filter(|row| !row.is_empty());
    for row in rows {
        let (words, expected) = row.split_once(" => ").unwrap();
        let word = |at| match words.split(' ').nth(at) {
            None | Some("-") => "",
            Some(word) => word,
        };
        let words = Words {
            code: word(1),
            sub_code: word(2),
            trade_status: if word(0) == "query" { word(3) } else { "" },
            action: if word(0) == "cancel" { word(3) } else { "" },
            retry_flag: if word(0) == "cancel" { word(4) } else { "" },
            ..Words::default()
        };
        let found = match word(0) {
            "pay" => format!("{:?}", table::pay(words)),
            "query" => format!("{:?}", table::query(words)),
            _ => format!("{:?}", table::cancel(words)),
        };
        assert_eq!(found, expected, "{row}");
    }
}

#[test]
fn a_pay_is_declined_by_listed_sub_codes_only() {
    for (expected, listed) in PAY_40004 {
        for sub_code in listed.split_whitespace() {
            for prefix in ["", "ACQ.", "AQC."] {
                let sub_code = format!("{prefix}{sub_code}");
                let words = Words { code: "40004", sub_code: &sub_code, ..Words::default() };
                assert_eq!(table::pay(words), *expected, "{sub_code}");
            }
        }
    }
}

/// Judges `content` for the payment of 88.88 yuan with the number
/// POS20260101000001, and says the outcome in a word or two.
fn say(method: Method, content: &str) -> String {
    let kind = |kind: TroubleKind| format!("unknown {kind:?}");
    let content = envelope::read(content.as_bytes()).expect("JSON");
    let code = code();
    let (answer, _) = judge(method, &content, &Expect::of(&order()), Mask::new(Some(&code)));
    match answer {
        Answer::Pay(PayAnswer::Paid(_)) | Answer::Query(QueryAnswer::Paid(_)) => "paid".into(),
        Answer::Pay(PayAnswer::Waiting(_)) | Answer::Query(QueryAnswer::Waiting(_)) => {
            "waiting".into()
        }
        Answer::Pay(PayAnswer::Declined(reason)) => format!("declined {}", reason.message),
        Answer::Pay(PayAnswer::Refused(reason)) => format!("refused {}", reason.message),
        Answer::Pay(PayAnswer::Repeated(_)) => "repeated".into(),
        Answer::Pay(PayAnswer::NotSent(_)) => "not sent".into(),
        Answer::Pay(PayAnswer::Foreign(_)) | Answer::Query(QueryAnswer::Foreign(_)) => {
            "foreign".into()
        }
        Answer::Query(QueryAnswer::Closed { was_paid, .. }) => format!("closed {was_paid}"),
        Answer::Query(QueryAnswer::NotExist) => "not exist".into(),
        Answer::Cancel(CancelAnswer::Closed(_)) => "closed".into(),
        Answer::Cancel(CancelAnswer::Refunded(_)) => "refunded".into(),
        Answer::Cancel(CancelAnswer::NoAction) => "no action".into(),
        Answer::Cancel(CancelAnswer::Refused(reason)) => format!("refused {}", reason.message),
        Answer::Pay(PayAnswer::Unknown(trouble))
        | Answer::Query(QueryAnswer::Unknown(trouble))
        | Answer::Cancel(CancelAnswer::Unknown(trouble)) => kind(trouble.kind),
        answer @ (Answer::Refund(_) | Answer::RefundQuery(_) | Answer::Precreate(_)) => {
            panic!("{answer:?}")
        }
    }
}

const NUMBER: &str = r#""out_trade_no":"POS20260101000001""#;
const TRADE: &str = r#""trade_no":"2026010222001455610500000001""#;

#[test]
fn a_pay_is_paid_only_for_its_own_number_and_amount() {
    for (members, expected) in [
        (format!(r#"{NUMBER},{TRADE},"total_amount":"88.88""#), "paid"),
        (format!(r#"{NUMBER},{TRADE},"total_amount":88.88"#), "paid"),
        (format!(r#"{NUMBER},{TRADE},"total_amount":88.880"#), "paid"),
        (format!(r#"{NUMBER},{TRADE},"total_amount":8.888E1"#), "paid"),
        (format!(r#"{NUMBER},{TRADE},"total_amount":"88.87""#), "foreign"),
        (format!(r#"{NUMBER},{TRADE},"total_amount":"888.8""#), "foreign"),
        (format!(r#"{NUMBER},{TRADE},"total_amount":"0.00""#), "foreign"),
        (format!(r#"{NUMBER},{TRADE},"total_amount":"88.881""#), "unknown Unsettled"),
        (format!(r#"{NUMBER},{TRADE},"total_amount":"-88.88""#), "unknown Unsettled"),
        (format!(r#"{NUMBER},{TRADE},"total_amount":"""#), "unknown Unsettled"),
        (format!(r#"{NUMBER},{TRADE},"total_amount":null"#), "unknown Unsettled"),
        (format!("{NUMBER},{TRADE}"), "unknown Unsettled"),
        (format!(r#"{NUMBER},"total_amount":"88.88""#), "unknown Unsettled"),
        (format!(r#"{NUMBER},"trade_no":"","total_amount":"88.88""#), "unknown Unsettled"),
        (format!(r#"{TRADE},"total_amount":"88.88""#), "unknown Unsettled"),
        // Somebody else's answer; its amount does not matter.
        (format!(r#""out_trade_no":"POS2","total_amount":"88.88",{TRADE}"#), "unknown Foreign"),
        (format!(r#""out_trade_no":"POS2","total_amount":"1.00",{TRADE}"#), "unknown Foreign"),
        (
            format!(r#""out_trade_no":"pos20260101000001",{TRADE},"total_amount":"88.88""#),
            "unknown Foreign",
        ),
        (format!(r#"{NUMBER},{TRADE},"total_amount":"88.88","sub_code":"x""#), "unknown Unsettled"),
    ] {
        let pay = format!(r#"{{"code":"10000","msg":"Success",{members}}}"#);
        assert_eq!(say(Method::Pay, &pay), expected, "{pay}");
        let status = r#","trade_status":"TRADE_SUCCESS""#;
        let query = format!(r#"{{"code":"10000","msg":"Success",{members}{status}}}"#);
        assert_eq!(say(Method::Query, &query), expected, "{query}");
    }
}

#[test]
fn other_answers_are_matched_too() {
    let zeros = r#""buyer_pay_amount":"0.00","receipt_amount":"0.00","total_amount":"0.00""#;
    for (method, content, expected) in [
        (Method::Pay, format!(r#"{{"code":"10003",{NUMBER},"total_amount":"88.88"}}"#), "waiting"),
        (Method::Pay, format!(r#"{{"code":"10003",{NUMBER},"total_amount":"1"}}"#), "foreign"),
        (Method::Pay, r#"{"code":"10003","out_trade_no":"X"}"#.to_owned(), "unknown Foreign"),
        (
            Method::Pay,
            format!(r#"{{"code":"40004","sub_code":"ACQ.TRADE_HAS_SUCCESS",{NUMBER}}}"#),
            "repeated",
        ),
        (
            Method::Pay,
            r#"{"code":"40004","sub_code":"ACQ.CONTEXT_INCONSISTENT"}"#.to_owned(),
            "repeated",
        ),
        (
            Method::Pay,
            r#"{"code":"40004","sub_code":"ACQ.TRADE_HAS_SUCCESS","out_trade_no":"X"}"#.to_owned(),
            "unknown Foreign",
        ),
        (Method::Pay, r#"{"code":"10003"}"#.to_owned(), "waiting"),
        // Declines carry zero amounts, which say nothing.
        (
            Method::Pay,
            format!(
                r#"{{"code":"40004","msg":"Business Failed","sub_code":"ACQ.BUYER_BALANCE_NOT_ENOUGH","sub_msg":"余额不足",{NUMBER},{zeros}}}"#
            ),
            "declined 余额不足",
        ),
        (
            Method::Pay,
            r#"{"code":"40004","sub_code":"ACQ.PAYMENT_FAIL","out_trade_no":"X"}"#.to_owned(),
            "unknown Foreign",
        ),
        (
            Method::Pay,
            r#"{"code":"40002","msg":"Invalid Arguments","sub_code":"isv.invalid-signature"}"#
                .to_owned(),
            "refused Invalid Arguments",
        ),
        (
            Method::Query,
            r#"{"code":"40002","sub_code":"isv.invalid-signature"}"#.to_owned(),
            "unknown Refused",
        ),
        (Method::Cancel, r#"{"code":"40006"}"#.to_owned(), "unknown Refused"),
        (
            Method::Query,
            r#"{"code":"40004","sub_code":"ACQ.TRADE_NOT_EXIST"}"#.to_owned(),
            "not exist",
        ),
        (
            Method::Query,
            r#"{"code":"40004","sub_code":"ACQ.TRADE_NOT_EXIST","out_trade_no":"X"}"#.to_owned(),
            "unknown Foreign",
        ),
        (
            Method::Query,
            format!(r#"{{"code":"10000",{NUMBER},"trade_status":"WAIT_BUYER_PAY"}}"#),
            "waiting",
        ),
        (
            Method::Query,
            format!(
                r#"{{"code":"10000",{NUMBER},"trade_status":"TRADE_CLOSED","total_amount":"88.88"}}"#
            ),
            "closed false",
        ),
        (
            Method::Query,
            format!(
                r#"{{"code":"10000",{NUMBER},"trade_status":"TRADE_CLOSED","send_pay_date":"2026-01-02 03:04:06"}}"#
            ),
            "closed true",
        ),
        (
            Method::Query,
            format!(
                r#"{{"code":"10000",{NUMBER},"trade_status":"TRADE_CLOSED","send_pay_date":""}}"#
            ),
            "closed false",
        ),
        (
            Method::Query,
            r#"{"code":"10000","trade_status":"TRADE_CLOSED"}"#.to_owned(),
            "unknown Unsettled",
        ),
        (
            Method::Query,
            format!(
                r#"{{"code":"10000",{NUMBER},"trade_status":"TRADE_CLOSED","total_amount":"1"}}"#
            ),
            "foreign",
        ),
    ] {
        assert_eq!(say(method, &content), expected, "{content}");
    }
}

#[test]
fn a_cancel_counts_only_with_its_own_number() {
    for (action, own) in [
        (r#""retry_flag":"N","action":"close""#, "closed"),
        (r#""retry_flag":"N","action":"refund""#, "refunded"),
        (r#""retry_flag":"N""#, "no action"),
        (r#""retry_flag":"N","action":"""#, "no action"),
        (r#""retry_flag":"Y","action":"close""#, "unknown Busy"),
    ] {
        let with = |number: &str| format!(r#"{{"code":"10000","msg":"Success",{number}{action}}}"#);
        assert_eq!(say(Method::Cancel, &with(&format!("{NUMBER},"))), own);
        assert_eq!(
            say(Method::Cancel, &with(r#""out_trade_no":"X","#)),
            "unknown Foreign",
            "{action}"
        );
        let nameless = if own == "unknown Busy" { own } else { "unknown Unsettled" };
        assert_eq!(say(Method::Cancel, &with("")), nameless, "{action}");
    }
    let refused = r#"{"code":"40004","sub_code":"ACQ.CANCEL_NOT_ALLOWED","sub_msg":"不允许撤销"}"#;
    assert_eq!(say(Method::Cancel, refused), "refused 不允许撤销");
    let poor = r#"{"code":"40004","sub_code":"ACQ.SELLER_BALANCE_NOT_ENOUGH"}"#;
    assert_eq!(say(Method::Cancel, poor), "unknown SellerBalance", "not for good");
}

#[test]
fn the_cashier_reads_what_the_gateway_says_without_its_marks_and_codes() {
    let content = r#"{"code":"40004","msg":"Business Failed",
        "sub_code":"ACQ.PAYMENT_AUTH_CODE_INVALID",
        "sub_msg":"请刷新付款码 28763443825664394\n重试。[SOUNDWAVE_PARSER_FAIL]"}"#;
    assert_eq!(say(Method::Pay, content), "declined 请刷新付款码 28*************94 重试。");
    let only_mark = r#"{"code":"40004","msg":"Business Failed","sub_code":"PAYMENT_FAIL",
        "sub_msg":"[SOUNDWAVE_PARSER_FAIL]"}"#;
    assert_eq!(say(Method::Pay, only_mark), "declined Business Failed");
    let silent = r#"{"code":"40004","sub_code":"PAYMENT_FAIL"}"#;
    assert_eq!(say(Method::Pay, silent), "declined 40004");
}

#[test]
fn what_is_known_of_the_trade_and_the_words_are_kept() {
    let bills = r#"[{"amount":"80.00","fund_channel":"ALIPAYACCOUNT"},{"amount":8.88}]"#;
    let members = format!(
        r#""code":"10000","msg":"Success",{NUMBER},{TRADE},"total_amount":"88.88",
        "receipt_amount":88.5,"buyer_pay_amount":"80.00","point_amount":"0.00",
        "invoice_amount":"79.99","discount_amount":"8.88","mdiscount_amount":0.38,
        "buyer_logon_id":"159****5620","trade_status":"TRADE_SUCCESS",
        "passback_params":"0123456789abcdef""#
    );
    let judged = |method, more: &str| {
        let content = envelope::read(format!("{{{members},{more}}}").as_bytes()).unwrap();
        judge(method, &content, &Expect::of(&order()), Mask::new(None))
    };
    let query = format!(r#""send_pay_date":"2026-01-02 03:04:06","fund_bill_list":{bills}"#);
    let (answer, wire) = judged(Method::Query, &query);
    let Answer::Query(QueryAnswer::Paid(trade)) = answer else { panic!("{answer:?}") };
    let expected = Trade {
        trade_no: Some("2026010222001455610500000001".to_owned()),
        buyer_logon_id: Some("159****5620".to_owned()),
        paid_at: Some(Timestamp(NOW.millis() + 1000)),
        tag: Some("0123456789abcdef".to_owned()),
        said: Said {
            total_amount: Some(Fen(8888)),
            receipt_amount: Some(Fen(8850)),
            buyer_pay_amount: Some(Fen(8000)),
            point_amount: Some(Fen(0)),
            invoice_amount: Some(Fen(7999)),
            discount_amount: Some(Fen(888)),
            mdiscount_amount: Some(Fen(38)),
            fund_bill_list: Some(bills.to_owned()),
        },
    };
    assert_eq!(trade, expected);
    assert_eq!(wire.code.as_deref(), Some("10000"));
    assert_eq!(wire.message.as_deref(), Some("Success"));
    assert_eq!(wire.trade_status.as_deref(), Some("TRADE_SUCCESS"));

    // A pay has another name for the date; and a list may come as a text.
    let pay = format!(
        r#""gmt_payment":"2026-01-02 03:04:06","fund_bill_list":{}"#,
        serde_json::to_string(bills).unwrap()
    );
    let (answer, _) = judged(Method::Pay, &pay);
    assert_eq!(answer, Answer::Pay(PayAnswer::Paid(expected.clone())));

    // What cannot be read is not there, and changes nothing else.
    let (answer, _) = judged(Method::Pay, r#""gmt_payment":"soon","fund_bill_list":"[1""#);
    let said = Said { fund_bill_list: None, ..expected.said };
    let expected = Trade { paid_at: None, said, ..expected };
    assert_eq!(answer, Answer::Pay(PayAnswer::Paid(expected)));
}
