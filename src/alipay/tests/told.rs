//! What Alipay tells of its own accord, and what is believed of it.

use proptest::prelude::*;

use super::super::notify::{Expected, Match, Notification, What};
use super::super::returned::Returned;
use super::super::sign::{PublicKey, SignType};
use super::super::told::{FORM_MAX, Told, ToldError};
use super::{NOW, alipay_private, alipay_public, app_private, order};
use crate::payment::{Fen, Timestamp};

const PAID: &[(&str, &str)] = &[
    ("app_id", "2014072300007148"),
    ("charset", "utf-8"),
    ("gmt_payment", "2026-01-02 03:04:06"),
    ("notify_id", "2026010200222155624068450559358070"),
    ("out_trade_no", "POS20260101000001"),
    ("passback_params", "a=1&b=2+3%"),
    ("seller_id", "2088531891668739"),
    ("subject", "咖啡 & 牛奶 +1 100%"),
    ("total_amount", "88.88"),
    ("trade_no", "2026010222001455610500000001"),
    ("trade_status", "TRADE_SUCCESS"),
];

fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The text that is signed, by the rule in the documents' own words.
fn text(pairs: &[(&str, &str)], left_out: &[&str]) -> String {
    let mut pairs: Vec<_> = pairs.iter().filter(|(n, _)| !left_out.contains(n)).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// `pairs` as Alipay would send them, by the rule of trade notifications.
fn signed(pairs: &[(&str, &str)]) -> String {
    let sign = alipay_private().sign(SignType::Rsa2, text(pairs, &["sign_type"]).as_bytes());
    encoded(&[pairs, &[("sign", sign.as_str())]].concat())
}

fn open(form: impl AsRef<[u8]>) -> Result<Told, ToldError> {
    Told::open(form.as_ref(), &[], SignType::Rsa2, &alipay_public())
}

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = PAID.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
    kept.copied().chain(more.iter().copied()).collect()
}

#[test]
fn a_notification_is_decoded_once_and_read() {
    let form =
        signed(&with(&[("sign_type", "RSA2"), ("refund_fee", "12.5"), ("out_biz_no", "R1")]));
    let heard = Notification::read(form.as_bytes(), SignType::Rsa2, &alipay_public()).unwrap();
    assert_eq!(
        heard,
        Notification {
            notify_id: "2026010200222155624068450559358070".to_owned(),
            app_id: "2014072300007148".to_owned(),
            seller_id: Some("2088531891668739".to_owned()),
            out_trade_no: "POS20260101000001".to_owned(),
            trade_no: Some("2026010222001455610500000001".to_owned()),
            total_amount: Some(Fen(8888)),
            trade_status: "TRADE_SUCCESS".to_owned(),
            gmt_payment: Some(Timestamp(NOW.millis() + 1000)),
            refund_fee: Some(Fen(1250)),
            out_biz_no: Some("R1".to_owned()),
            passback_params: Some("a=1&b=2+3%".to_owned()),
        }
    );
    let told = open(&form).unwrap();
    assert_eq!(told.text("subject"), Some("咖啡 & 牛奶 +1 100%"));
    assert_eq!(told.text("nothing"), None);
}

#[test]
fn what_is_not_exactly_what_was_signed_is_refused() {
    use ToldError as E;
    let good = signed(PAID);
    assert!(open(&good).is_ok());
    let key = alipay_private();
    let by =
        |sign: &str, more: &[(&str, &str)]| encoded(&[&with(more)[..], &[("sign", sign)]].concat());
    let sign = key.sign(SignType::Rsa2, text(PAID, &[]).as_bytes());
    let sha1 = key.sign(SignType::Rsa, text(PAID, &[]).as_bytes());
    for (form, expected) in [
        (String::new(), E::Unsigned),
        (encoded(PAID), E::Unsigned),
        (by("", &[]), E::Unsigned),
        (by("AAAA", &[]), E::BadSignature),
        (by("nothing of base64", &[]), E::BadSignature),
        (by(&sign, &[("total_amount", "88.87")]), E::BadSignature),
        (by(&sign, &[("trade_status", "TRADE_FINISHED")]), E::BadSignature),
        (by(&sign, &[("more", "x")]), E::BadSignature),
        (by(&app_private().sign(SignType::Rsa2, text(PAID, &[]).as_bytes()), &[]), E::BadSignature),
        // A weaker signature, whether it says so or not.
        (by(&sha1, &[]), E::BadSignature),
        (by(&sha1, &[("sign_type", "RSA")]), E::SignType),
        (by(&sign, &[("sign_type", "RSA")]), E::SignType),
        (by(&sign, &[("sign_type", "rsa2")]), E::SignType),
        // Twice, also if it is the same, or another way of writing it.
        (format!("{good}&trade_no=1"), E::Twice),
        (format!("{good}&total_amount=88.88"), E::Twice),
        (format!("{good}&total%5Famount=88.88"), E::Twice),
        (format!("{good}&sign=x"), E::Twice),
        // Not a form.
        (format!("{good}&x=%"), E::Garbled),
        (good.replace("utf-8", "utf-7"), E::BadSignature),
        ("x=1&".repeat(FORM_MAX / 4 + 1), E::TooLarge),
    ] {
        assert_eq!(open(&form).err(), Some(expected), "{form:.200}");
    }
    let other = signed(&with(&[("charset", "utf-16")]));
    assert_eq!(open(other).err(), Some(E::Garbled), "no text in a charset that nobody reads");
    // Once more decoded it would be another text.
    let twice = signed(&with(&[("subject", "100%25")]));
    assert_eq!(open(twice).unwrap().text("subject"), Some("100%25"));
}

#[test]
fn empty_ones_may_be_signed_or_not_and_the_type_as_well() {
    let key = alipay_private();
    let pairs = with(&[("sign_type", "RSA2"), ("body", "")]);
    for left_out in [&["sign_type", "body"][..], &["sign_type"], &["body"]] {
        let sign = key.sign(SignType::Rsa2, text(&pairs, left_out).as_bytes());
        let form = encoded(&[&pairs[..], &[("sign", sign.as_str())]].concat());
        let told = open(form).unwrap_or_else(|why| panic!("{left_out:?}: {why}"));
        assert_eq!(told.text("body"), None);
    }
    // The certificate's number is in no text.
    let form = format!("{}&alipay_cert_sn=abc", signed(PAID));
    assert!(open(form).is_ok());
}

#[test]
fn a_form_in_gbk_is_read_in_gbk() {
    let pairs = with(&[("charset", "GBK")]);
    let as_gbk = |text: &str| encoding_rs::GB18030.encode(text).0.into_owned();
    let sign = alipay_private().sign(SignType::Rsa2, &as_gbk(&text(&pairs, &[])));
    let all = [&pairs[..], &[("sign", sign.as_str())]].concat();
    let escaped = |text: &str| -> String {
        as_gbk(text).iter().fold(String::new(), |form, byte| form + &format!("%{byte:02X}"))
    };
    let form: Vec<String> = all.iter().map(|(n, v)| format!("{n}={}", escaped(v))).collect();
    let told = open(form.join("&")).unwrap();
    assert_eq!(told.text("subject"), Some("咖啡 & 牛奶 +1 100%"));
}

#[test]
fn a_notification_is_about_us_only_if_all_that_is_known_says_so() {
    let order = order();
    let expected = Expected {
        number: &order.out_trade_no,
        amount: order.amount,
        seller_id: Some("2088531891668739"),
        app_id: "2014072300007148",
    };
    let compare = |more: &[(&str, &str)], expected: &Expected<'_>| {
        Notification::of(&open(signed(&with(more))).unwrap()).unwrap().compare(expected)
    };
    assert_eq!(compare(&[], &expected), Match::Matches);
    assert_eq!(compare(&[("total_amount", "88.880")], &expected), Match::Matches);
    for (name, value, what) in [
        ("app_id", "2014072300007149", What::App),
        ("seller_id", "2088531891668738", What::Seller),
        ("seller_id", "", What::Seller),
        ("out_trade_no", "POS20260101000002", What::Number),
        ("out_trade_no", "pos20260101000001", What::Number),
        ("total_amount", "88.87", What::Amount),
        ("total_amount", "88.881", What::Amount),
        ("total_amount", "", What::Amount),
    ] {
        assert_eq!(compare(&[(name, value)], &expected), Match::Differs(what), "{name} {value}");
    }
    let anybody = Expected { seller_id: None, ..expected };
    assert_eq!(compare(&[("seller_id", "1")], &anybody), Match::Matches);
    for name in ["notify_id", "app_id", "out_trade_no", "trade_status"] {
        let told = open(signed(&with(&[(name, "")]))).unwrap();
        assert_eq!(Notification::of(&told).err(), Some(ToldError::Missing(name)));
    }
}

#[test]
fn a_return_is_verified_without_what_the_merchant_has_added() {
    let alipays: Vec<(&str, &str)> = [
        ("app_id", "2014072300007148"),
        ("charset", "utf-8"),
        ("method", "alipay.trade.page.pay.return"),
        ("out_trade_no", "WEB1"),
        ("sign_type", "RSA2"),
        ("total_amount", "9.00"),
        ("trade_no", "2026"),
    ]
    .to_vec();
    let read = |query: &str, own: &[&str], key: &PublicKey| {
        Returned::read(query, own, SignType::Rsa2, key)
    };
    let query = format!("order=1&x=%E4%B8%AD&{}", signed(&alipays));
    let told = read(&query, &["order", "x"], &alipay_public()).unwrap();
    assert_eq!((told.out_trade_no.as_str(), told.total_amount), ("WEB1", Some(Fen(900))));
    assert_eq!((told.trade_no.as_deref(), told.seller_id), (Some("2026"), None));
    assert_eq!(read(&query, &["order"], &alipay_public()).err(), Some(ToldError::BadSignature));
    let other = query.replace("WEB1", "WEB2");
    assert_eq!(
        read(&other, &["order", "x"], &alipay_public()).err(),
        Some(ToldError::BadSignature)
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_believe(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(bytes).is_err());
    }
}
