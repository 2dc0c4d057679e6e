//! Replies: what is believed, and what is not whatever it looks like.

use proptest::prelude::*;

use super::super::envelope::{EnvelopeError, REPLY_MAX, open};
use super::super::sign::SignType;
use super::{alipay_private, alipay_public, app_private, signed_by};

const METHOD: &str = "alipay.trade.query";
const MEMBER: &str = "alipay_trade_query_response";
const GENUINE: &str = r#"{"code":"10000","out_trade_no":"1","trade_status":"WAIT_BUYER_PAY"}"#;
const FORGED: &str = r#"{"code":"10000","out_trade_no":"1","trade_status":"TRADE_SUCCESS"}"#;

fn error(reply: impl AsRef<[u8]>) -> Option<EnvelopeError> {
    open(reply.as_ref(), METHOD, SignType::Rsa2, &alipay_public()).err()
}

#[test]
fn a_signed_answer_is_believed_wherever_its_members_stand() {
    let sign = alipay_private().sign(SignType::Rsa2, GENUINE.as_bytes());
    for reply in [
        format!("{{\"{MEMBER}\":{GENUINE},\"sign\":\"{sign}\"}}"),
        format!("{{\"sign\":\"{sign}\",\"{MEMBER}\":{GENUINE}}}"),
        format!("\r\n {{ \"{MEMBER}\" :\t{GENUINE} , \"sign\" : \"{sign}\" }} \n"),
        format!("{{\"error_response\":{GENUINE},\"sign\":\"{sign}\"}}"),
        format!("{{\"{MEMBER}\":{GENUINE},\"sign\":\"{}\"}}", sign.replace('/', "\\/")),
        format!("{{\"alipay\\u005ftrade_query_response\":{GENUINE},\"sign\":\"{sign}\"}}"),
    ] {
        let content = open(reply.as_bytes(), METHOD, SignType::Rsa2, &alipay_public());
        assert_eq!(content.unwrap().text("trade_status"), Some("WAIT_BUYER_PAY"), "{reply}");
    }
}

#[test]
fn texts_and_numbers_are_the_same_and_empties_are_absent() {
    let content = r#"{"a":"1.20","b":1.20,"c":null,"d":"","e":{"x":1},"f":true,"g":"\u5496\/\"","h":12345678901234567890123,"j":1e400}"#;
    let reply = signed_by(&alipay_private(), MEMBER, content);
    let content = open(reply.as_bytes(), METHOD, SignType::Rsa2, &alipay_public()).unwrap();
    let read = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(|name| content.text(name));
    assert_eq!(
        read,
        [
            Some("1.20"),
            Some("1.20"),
            None,
            None,
            Some("{\"x\":1}"),
            Some("true"),
            Some("咖/\""),
            // Numbers that no float holds are kept rather than rounded.
            Some("12345678901234567890123"),
            None,
            Some("1e400"),
        ]
    );
}

#[test]
fn whatever_is_not_exactly_one_signed_answer_is_refused() {
    let sign = alipay_private().sign(SignType::Rsa2, GENUINE.as_bytes());
    let good = format!("{{\"{MEMBER}\":{GENUINE},\"sign\":\"{sign}\"}}");
    let member = format!("\"{MEMBER}\":{GENUINE}");
    let forged = format!("\"{MEMBER}\":{FORGED}");
    let none = EnvelopeError::NoAnswer(METHOD.to_owned());
    use EnvelopeError as E;
    for (reply, expected) in [
        (String::new(), E::NotJson),
        ("null".to_owned(), E::NotJson),
        ("[]".to_owned(), E::NotJson),
        ("{}".to_owned(), none.clone()),
        ("<html>502</html>".to_owned(), E::NotJson),
        (format!("{good}x"), E::NotJson),
        (format!("{good}{good}"), E::NotJson),
        (format!("\u{feff}{good}"), E::NotJson),
        (good[..good.len() - 1].to_owned(), E::NotJson),
        // A name twice, also when it is spelt differently.
        (format!("{{{member},\"sign\":\"{sign}\",{forged}}}"), E::NotJson),
        (format!("{{{forged},{member},\"sign\":\"{sign}\"}}"), E::NotJson),
        (format!("{{{member},\"sign\":\"{sign}\",\"sign\":\"{sign}\"}}"), E::NotJson),
        (
            format!(
                "{{{member},\"sign\":\"{sign}\",\"\\u0061lipay_trade_query_response\":{FORGED}}}"
            ),
            E::NotJson,
        ),
        // Another answer beside the signed one.
        (format!("{{{member},\"sign\":\"{sign}\",\"error_response\":{FORGED}}}"), none.clone()),
        (
            format!("{{{member},\"sign\":\"{sign}\",\"alipay_trade_pay_response\":{FORGED}}}"),
            E::Foreign,
        ),
        // Nobody looks at what else there is, but twice it must not be there.
        (format!("{{{member},\"sign\":\"{sign}\",\"x\":1,\"x\":1}}"), E::NotJson),
        // An answer to another call.
        (signed_by(&alipay_private(), "alipay_trade_pay_response", GENUINE), E::Foreign),
        (format!("{{\"sign\":\"{sign}\"}}"), none),
        (format!("{{{member},\"sign\":[\"{sign}\"]}}"), E::BadSignature),
        (format!("{{{member},\"sign\":null}}"), E::BadSignature),
        (format!("{{{member},\"sign\":\"\"}}"), E::BadSignature),
        (format!("{{{forged},\"sign\":\"{sign}\"}}"), E::BadSignature),
        (signed_by(&app_private(), MEMBER, GENUINE), E::BadSignature),
        (format!("{{{forged},\"alipay_cert_sn\":\"x\",\"sign\":\"{sign}\"}}"), E::Certificate),
        (signed_by(&alipay_private(), MEMBER, "\"AAAA\""), E::Encrypted),
        (signed_by(&alipay_private(), MEMBER, "[]"), E::Content),
        (signed_by(&alipay_private(), MEMBER, "null"), E::Content),
        (signed_by(&alipay_private(), MEMBER, r#"{"code":"1","code":"2"}"#), E::Content),
        (signed_by(&alipay_private(), MEMBER, r#"{"a":[{"b":1,"\u0062":2}]}"#), E::Content),
        (
            signed_by(
                &alipay_private(),
                MEMBER,
                &format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)),
            ),
            E::Content,
        ),
    ] {
        assert_eq!(error(&reply), Some(expected), "{reply:.300}");
    }
    assert_eq!(error(b"{\"a\":\"\xff\"}"), Some(E::NoAnswer(METHOD.to_owned())));
    assert_eq!(error(b"{\"a\":\xff}"), Some(E::NotJson));
    assert_eq!(error(vec![b' '; REPLY_MAX + 1]), Some(E::TooLarge));
}

#[test]
fn what_alipay_adds_beside_the_signed_answer_changes_nothing() {
    let sign = alipay_private().sign(SignType::Rsa2, GENUINE.as_bytes());
    let good = format!("\"{MEMBER}\":{GENUINE},\"sign\":\"{sign}\"");
    for reply in [
        format!("{{{good},\"alipay_cert_sn\":\"x\"}}"),
        format!("{{\"a_new_member\":{FORGED},{good}}}"),
        format!("{{{good},\"sign_type\":\"RSA2\",\"x\":[1,{{\"sign\":1,\"sign\":2}}]}}"),
    ] {
        let content = open(reply.as_bytes(), METHOD, SignType::Rsa2, &alipay_public());
        assert_eq!(content.unwrap().text("trade_status"), Some("WAIT_BUYER_PAY"), "{reply}");
    }
}

/// The bytes are verified as they came, whatever they are.
#[test]
fn a_text_that_cannot_be_read_hides_nothing_but_itself() {
    for (store, read) in [
        (&b"\xbf\xa7\xb7\xc8"[..], "咖啡"),
        (b"\xd5\x5c\xc6\xb7", "誠品"),
        (b"\xd5\x5c", "誠"),
        (b"\xe5\x92\x96\xe5\x95", "咖\u{fffd}"),
        (b"\\ud83d", "\u{fffd}"),
        (b"\xff", "\u{fffd}"),
    ] {
        let mut content = r#"{"code":"10000","msg":"成功","store_name":""#.as_bytes().to_vec();
        content.extend_from_slice(store);
        content.extend_from_slice(br#"","trade_status":"TRADE_SUCCESS"}"#);
        let sign = alipay_private().sign(SignType::Rsa2, &content);
        let mut reply = format!("{{\"{MEMBER}\":").into_bytes();
        reply.extend_from_slice(&content);
        reply.extend_from_slice(format!(",\"sign\":\"{sign}\"}}").as_bytes());
        let content = open(&reply, METHOD, SignType::Rsa2, &alipay_public()).unwrap();
        assert_eq!(content.text("trade_status"), Some("TRADE_SUCCESS"));
        assert_eq!(content.text("code"), Some("10000"));
        assert_eq!(content.text("store_name"), Some(read));
        // Another bad text in their place is not what was signed.
        let at = reply.windows(store.len()).position(|part| part == store).unwrap();
        reply[at] ^= 1;
        assert!(error(&reply).is_some());
    }
}

#[test]
fn an_unsigned_success_is_no_answer_and_its_words_hide_codes() {
    let said = r#"{"code":"10000","msg":"Success 28763443825664394"}"#;
    let text = error(format!("{{\"{MEMBER}\":{said}}}")).unwrap().to_string();
    assert!(text.contains("10000 Success 28*************94"), "{text}");
    let text = error(format!("{{\"{MEMBER}\":[1]}}")).unwrap().to_string();
    assert!(text.contains("nothing readable"), "{text}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(error(&bytes).is_some());
    }

    #[test]
    fn no_text_that_looks_like_an_answer_makes_it_panic(
        text in r#"[\{\}\[\]":,\\ a-e0-9.u\-]{0,60}"#,
    ) {
        prop_assert!(error(&text).is_some());
        let inside = format!("{{\"{MEMBER}\":{text},\"sign\":\"x\"}}");
        prop_assert!(error(inside).is_some());
    }

    /// Bytes may change where they are not signed; what is believed may not.
    #[test]
    fn a_changed_reply_is_never_believed_with_other_content(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..4),
    ) {
        let mut reply = signed_by(&alipay_private(), MEMBER, GENUINE).into_bytes();
        for (at, byte, kind) in changes {
            let at = at.index(reply.len());
            match kind {
                0 => reply[at] = byte,
                1 => reply.insert(at, byte),
                _ => { reply.remove(at); }
            }
        }
        if let Ok(content) = open(&reply, METHOD, SignType::Rsa2, &alipay_public()) {
            prop_assert_eq!(content.text("trade_status"), Some("WAIT_BUYER_PAY"));
            prop_assert_eq!(content.text("out_trade_no"), Some("1"));
            prop_assert_eq!(content.text("code"), Some("10000"));
        }
    }
}

/// Every arrangement of genuine and forged members: believed exactly when
/// there is one genuine answer, its signature, and no other answer.
#[test]
fn no_arrangement_of_members_smuggles_a_forged_answer_in() {
    let sign = alipay_private().sign(SignType::Rsa2, GENUINE.as_bytes());
    let members = [
        format!("\"{MEMBER}\":{GENUINE}"),
        format!("\"sign\":\"{sign}\""),
        format!("\"{MEMBER}\":{FORGED}"),
        format!("\"error_response\":{FORGED}"),
        "\"sign\":\"AAAA\"".to_owned(),
        format!("\"alipay_trade_pay_response\":{FORGED}"),
        "\"alipay_cert_sn\":\"x\"".to_owned(),
    ];
    let key = alipay_public();
    for length in 0..=4 {
        for number in 0..members.len().pow(length) {
            let mut rest = number;
            let picks: Vec<usize> = (0..length)
                .map(|_| {
                    let pick = rest % members.len();
                    rest /= members.len();
                    pick
                })
                .collect();
            let reply: Vec<&str> = picks.iter().map(|pick| members[*pick].as_str()).collect();
            let reply = format!("{{{}}}", reply.join(","));
            let opened = open(reply.as_bytes(), METHOD, SignType::Rsa2, &key);
            let mut sorted = picks.clone();
            sorted.sort_unstable();
            assert_eq!(opened.is_ok(), matches!(sorted[..], [0, 1] | [0, 1, 6]), "{reply}");
        }
    }
}
