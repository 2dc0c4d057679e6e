//! What the official SDKs send, what the gateway may answer, and what it tells by
//! itself: the data in `tests/vectors`, case by case.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use serde_json::Value;
use tilld::alipay::Gateway;
use tilld::alipay::ask::{Expect, Refund};
use tilld::alipay::content;
use tilld::alipay::envelope::{self, EnvelopeError};
use tilld::alipay::link::{self, Application};
use tilld::alipay::notify::Notification;
use tilld::alipay::request;
use tilld::alipay::returned::Returned;
use tilld::alipay::sign::{PrivateKey, PublicKey, SignType, canonical};
use tilld::alipay::told::{Told, ToldError};
use tilld::payment::{Till, Timestamp};

const PYTHON: &str = include_str!("vectors/requests_python_sdk.json");
const NODE: &str = include_str!("vectors/requests_node_sdk.json");
const RESPONSES: &str = include_str!("vectors/responses.json");
const NOTIFY: &str = include_str!("vectors/notify.json");

/// 2026-01-02 03:04:05 at +08:00, when all of the requests were made.
const WHEN: Timestamp = Timestamp(1_767_294_245_000);

/// The cases of both SDKs that are no business of this terminal.
fn left_out(sdk: &str, case: &Value) -> Option<&'static str> {
    let id = case["id"].as_str().unwrap();
    let method = case["input"]["method"].as_str().unwrap();
    match (sdk, id) {
        _ if matches!(method, "alipay.trade.page.pay" | "alipay.trade.wap.pay") => {
            Some("a page in the buyer's browser, not a call: it has a test of its own")
        }
        ("python", _) if case["charset"] != "utf-8" => Some("GBK is never sent"),
        (_, "empty_common_params") => Some("pins SDK bugs with empty parameters"),
        ("node", "pay_nested_encrypted") => Some("content encryption is not supported"),
        ("node", "query_cert_mode") => Some("certificate mode is not supported"),
        _ => None,
    }
}

#[test]
fn requests_equal_those_of_the_python_sdk() {
    let outcome = requests("python", PYTHON, |case| {
        let http = &case["expect"]["http"];
        (text(&http["url_query"]), text(&http["body"]))
    });
    // 3 pages, 2 in GBK, 1 bug; with notify_url and app_auth_token at the end
    // the order is still the SDK's.
    assert_eq!(outcome, Outcome { passed: 21, same_bytes: 21, left_out: 6 });
}

#[test]
fn requests_equal_those_of_the_node_sdk() {
    let outcome = requests("node", NODE, |case| {
        let http = &case["expect"]["http"];
        let path_and_query = text(&http["path_and_query"]);
        let query = path_and_query.split_once('?').unwrap().1.to_owned();
        (query, text(&http["body"]))
    });
    // 3 pages, 1 bug, 1 encrypted, 1 in certificate mode. The SDK has another
    // order of parameters than we have, so the URL is compared decoded as well
    // as, in the SDK's order, byte for byte.
    assert_eq!(outcome, Outcome { passed: 21, same_bytes: 21, left_out: 6 });
}

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    passed: usize,
    same_bytes: usize,
    left_out: usize,
}

fn requests(sdk: &str, file: &str, wire: impl Fn(&Value) -> (String, String)) -> Outcome {
    let file: Value = serde_json::from_str(file).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let mut outcome = Outcome { passed: 0, same_bytes: 0, left_out: 0 };
    for case in cases {
        let id = text(&case["id"]);
        if left_out(sdk, case).is_some() {
            outcome.left_out += 1;
            continue;
        }
        let sign_type = SignType::from_name(case["sign_type"].as_str().unwrap()).unwrap();
        let key = private_key(&id, sign_type);
        let (query, body) = wire(case);
        let theirs = decode(&query);
        let their_content = decode(&body);
        assert_eq!(their_content.len(), 1, "{id}: the SDK puts biz_content alone in the body");
        let biz_content = &their_content[0].1;

        // The text that is signed, and the signature, from what is sent.
        let sent = theirs.iter().chain(&their_content);
        let signed = canonical(sent.map(|(n, v)| (n.as_str(), v.as_str())));
        assert_eq!(*signed, text(&case["expect"]["sign_content"]), "{id}");
        assert_eq!(key.sign(sign_type, signed.as_bytes()), text(&case["expect"]["sign"]), "{id}");
        let public = public_key("app_public", sign_type);
        assert!(public.verify(sign_type, signed.as_bytes(), &text(&case["expect"]["sign"])));

        // Our own request, with what the SDK's has besides.
        let method = text(&case["input"]["method"]);
        let mut ours = request::common("2014072300007148", &method, sign_type, WHEN).unwrap();
        if !theirs.iter().any(|(name, _)| name == "format") {
            ours.retain(|(name, _)| *name != "format");
        }
        for (name, value) in &theirs {
            if name != "sign" && !ours.iter().any(|(ours, _)| ours == name) {
                ours.push((name, value.clone()));
            }
        }
        let built = request::build(&ours, biz_content, sign_type, &key).unwrap();
        let as_set = |pairs: Vec<(String, String)>| pairs.into_iter().collect::<BTreeMap<_, _>>();
        let (our_query, their_query) = (decode(&built.query), decode(&query));
        assert_eq!(our_query.len(), as_set(our_query.clone()).len(), "{id}: each once");
        assert_eq!(as_set(our_query), as_set(their_query), "{id}");
        assert_eq!(String::from_utf8(built.body.to_vec()).unwrap(), body, "{id}");

        // In the SDK's own order every byte of the URL is the same.
        ours.sort_by_key(|(name, _)| theirs.iter().position(|(theirs, _)| theirs == name));
        let ordered = request::build(&ours, biz_content, sign_type, &key).unwrap();
        assert_eq!(ordered.query, query, "{id}");
        outcome.same_bytes += 1;
        if sdk == "python" {
            assert_eq!(built.query, query, "{id}: our order is that of the Python SDK");
        }
        outcome.passed += 1;
    }
    assert_eq!(outcome.passed + outcome.left_out, cases.len());
    outcome
}

#[test]
fn query_and_cancel_have_the_same_business_content_as_the_sdks() {
    for file in [PYTHON, NODE] {
        let file: Value = serde_json::from_str(file).unwrap();
        for id in ["query_out_trade_no", "cancel"] {
            let case =
                file["cases"].as_array().unwrap().iter().find(|c| c["id"] == id).unwrap().clone();
            let number = text(&case["input"]["biz"]["out_trade_no"]);
            let expect = Expect {
                number: number.parse().unwrap(),
                amount: "1".parse().unwrap(),
                refund: None,
            };
            let content = format!("&biz_content={}&", *content::by_number(&expect));
            assert!(text(&case["expect"]["sign_content"]).contains(&content), "{id}");
        }
    }
}

/// What the SDKs were told to ask besides: more than this terminal wants to know.
#[test]
fn a_refund_and_its_query_have_the_same_business_content_as_the_sdks() {
    let file: Value = serde_json::from_str(NODE).unwrap();
    let sign_content = |id: &str| {
        let mut cases = file["cases"].as_array().unwrap().iter();
        text(&cases.find(|case| case["id"] == id).unwrap()["expect"]["sign_content"])
    };
    let refund = Refund {
        number: "POS20260101000001".parse().unwrap(),
        trade_no: None,
        trade_amount: "88.88".parse().unwrap(),
        request: "HZ01RF001".to_owned(),
        amount: "12.33".parse().unwrap(),
        reason: Some("正常退款/部分".to_owned()),
        operator_id: None,
        till: None,
    };
    let theirs = sign_content("refund_partial")
        .replace(",\"query_options\":[\"refund_detail_item_list\"]", "");
    let ours = content::refund(&refund, &Till::default()).unwrap();
    assert!(theirs.contains(&format!("&biz_content={}&", *ours)), "{theirs} {}", *ours);
    let theirs = sign_content("refund_query").replace("\"refund_detail_item_list\",", "");
    let ours = content::refund_query(&refund.query()).unwrap();
    assert!(theirs.contains(&format!("&biz_content={}&", *ours)), "{theirs} {}", *ours);
}

#[test]
fn replies_are_believed_as_the_vectors_say() {
    let file: Value = serde_json::from_str(RESPONSES).unwrap();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for case in file["cases"].as_array().unwrap() {
        let id = text(&case["id"]);
        let verdict = text(&case["expect"]["verdict"]);
        *counts.entry(verdict.clone()).or_default() += 1;
        let sign_type = SignType::from_name(case["sign_type"].as_str().unwrap()).unwrap();
        let body = base64::engine::general_purpose::STANDARD
            .decode(text(&case["raw_body_base64"]))
            .unwrap();
        let key = public_key("alipay_side_public", sign_type);
        let opened = envelope::open(&body, &text(&case["method"]), sign_type, &key);
        match verdict.as_str() {
            // Its signature is good, but there is no key to decrypt it with.
            "accept" if id == "encrypted_valid" => {
                assert_eq!(opened.err(), Some(EnvelopeError::Encrypted));
            }
            "accept" | "accept_as_error" | "accept_signature_but_mismatch" => {
                let content = opened.unwrap_or_else(|error| panic!("{id}: {error}"));
                let signed: Value =
                    serde_json::from_str(case["expect"]["signed_content"].as_str().unwrap())
                        .unwrap();
                for (name, value) in signed.as_object().unwrap() {
                    if let Some(value) = value.as_str() {
                        assert_eq!(content.text(name), Some(value), "{id}: {name}");
                    }
                }
            }
            "reject"
            | "reject_or_java_fallback"
            | "unsigned_error"
            | "need_new_alipay_cert"
            | "transport_error" => {
                let error = opened.err().unwrap_or_else(|| panic!("{id} was believed"));
                assert_eq!(why_not(&error), reason_for(&id), "{id}");
            }
            other => panic!("a verdict that this test does not know: {other}"),
        }
    }
    let expected = [
        ("accept", 15),
        ("accept_as_error", 3),
        ("accept_signature_but_mismatch", 1),
        ("need_new_alipay_cert", 1),
        ("reject", 7),
        ("reject_or_java_fallback", 1),
        ("transport_error", 3),
        ("unsigned_error", 2),
    ];
    assert_eq!(counts, expected.map(|(v, n)| (v.to_owned(), n)).into());
}

#[test]
fn links_to_pages_equal_those_of_the_sdks() {
    let gateway = Gateway::read("https://openapi.alipay.com/gateway.do").unwrap();
    let mut compared = 0;
    for (sdk, file) in [("python", PYTHON), ("node", NODE)] {
        let file: Value = serde_json::from_str(file).unwrap();
        for case in file["cases"].as_array().unwrap() {
            if !case["input"]["page"].as_bool().unwrap_or_default() {
                continue;
            }
            let id = text(&case["id"]);
            let sign_type = SignType::from_name(case["sign_type"].as_str().unwrap()).unwrap();
            let theirs = text(&case["expect"]["get_url"]);
            let (_, query) = theirs.split_once('?').unwrap();
            let pairs = decode(query);
            let biz_content = &pairs.iter().find(|(name, _)| name == "biz_content").unwrap().1;
            let common: Vec<(&str, String)> = pairs
                .iter()
                .filter(|(name, _)| name != "sign" && name != "biz_content")
                .map(|(name, value)| (name.as_str(), value.clone()))
                .collect();
            let key = private_key(&id, sign_type);
            let application =
                Application { gateway: &gateway, app_id: "2014072300007148", sign_type, key: &key };
            let ours = link::build(&application, &common, biz_content).unwrap();
            if sdk == "python" {
                assert_eq!(ours.url, theirs, "{id}");
            }
            // Node has another order, and `%20` for a blank.
            let (_, our_query) = ours.url.split_once('?').unwrap();
            let sorted = |mut pairs: Vec<(String, String)>| {
                pairs.sort();
                pairs
            };
            assert_eq!(sorted(decode(our_query)), sorted(pairs.clone()), "{id}");
            // Theirs escape the quotes of the form, ours all that a browser reads.
            let value = biz_content.replace('&', "&amp;").replace('"', "&quot;");
            assert!(ours.html.contains(&format!("value=\"{value}\"")), "{id}: {}", ours.html);
            compared += 1;
        }
    }
    assert_eq!(compared, 6);
}

#[test]
fn notifications_are_believed_as_the_vectors_say() {
    let file: Value = serde_json::from_str(NOTIFY).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for case in file["cases"].as_array().unwrap() {
        let id = text(&case["id"]);
        let sign_type = SignType::from_name(case["sign_type"].as_str().unwrap()).unwrap();
        let key = public_key("alipay_side_public", sign_type);
        let form = text(&case["form_body"]);
        let opened = Told::open(form.as_bytes(), &[], sign_type, &key);
        let verdict = case["expect"]["verdict"].as_str().unwrap();
        *counts.entry(verdict).or_default() += 1;
        match verdict {
            "accept" | "accept_v2" => {
                let told = opened.unwrap_or_else(|why| panic!("{id}: {why}"));
                for (name, value) in case["params"].as_object().unwrap() {
                    let value = value.as_str().unwrap();
                    assert_eq!(told.text(name).unwrap_or_default(), value, "{id}: {name}");
                }
                // The same for an application that signs otherwise is refused.
                let (other, why) = match sign_type {
                    SignType::Rsa2 => (SignType::Rsa, ToldError::SignType),
                    SignType::Rsa => (SignType::Rsa2, ToldError::SignType),
                };
                let why = if id == "sign_type_missing" { ToldError::BadSignature } else { why };
                let other_key = public_key("alipay_side_public", other);
                assert_eq!(Told::open(form.as_bytes(), &[], other, &other_key), Err(why), "{id}");
                match (id.as_str(), Notification::of(&told)) {
                    ("v1_return_url_style", _) => {
                        let told = Returned::read(&form, &[], sign_type, &key).unwrap();
                        assert_eq!(told.out_trade_no, text(&case["params"]["out_trade_no"]));
                    }
                    // About something else than a trade.
                    ("v2_with_sign_type", heard) => {
                        let is_trade = case["params"].get("trade_status").is_some();
                        assert_eq!(heard.is_ok(), is_trade, "{heard:?}");
                    }
                    (_, heard) => {
                        let heard = heard.unwrap_or_else(|why| panic!("{id}: {why}"));
                        assert_eq!(heard.out_trade_no, text(&case["params"]["out_trade_no"]));
                        assert_eq!(heard.total_amount.unwrap().to_string(), "0.10", "{id}");
                        assert!(heard.gmt_payment.is_some(), "{id}");
                    }
                }
            }
            "reject" => {
                let why = if id == "sign_missing" {
                    ToldError::Unsigned
                } else {
                    ToldError::BadSignature
                };
                assert_eq!(opened, Err(why), "{id}");
            }
            other => panic!("a verdict that this test does not know: {other}"),
        }
    }
    assert_eq!(counts, [("accept", 12), ("accept_v2", 1), ("reject", 3)].into());
}

fn why_not(error: &EnvelopeError) -> &'static str {
    match error {
        EnvelopeError::TooLarge => "too large",
        EnvelopeError::NotJson => "not JSON",
        EnvelopeError::Foreign => "another answer",
        EnvelopeError::NoAnswer(_) => "no answer",
        EnvelopeError::Unsigned(_) => "unsigned",
        EnvelopeError::Certificate => "certificate",
        EnvelopeError::BadSignature => "signature",
        EnvelopeError::Encrypted => "encrypted",
        EnvelopeError::Content => "content",
    }
}

fn reason_for(id: &str) -> &'static str {
    match id {
        "attack_duplicate_root_after" | "not_json" | "empty_body" | "truncated_body" => "not JSON",
        "error_response_unsigned" | "gateway_error_unsigned" | "unsigned_success" => "unsigned",
        "cert_sn_unknown" => "certificate",
        _ => "signature",
    }
}

#[test]
fn the_words_of_an_unsigned_error_are_kept_for_the_technician() {
    let file: Value = serde_json::from_str(RESPONSES).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let case = cases.iter().find(|c| c["id"] == "gateway_error_unsigned").unwrap();
    let key = public_key("alipay_side_public", SignType::Rsa2);
    let body = text(&case["raw_body_text"]);
    let error =
        envelope::open(body.as_bytes(), "alipay.trade.query", SignType::Rsa2, &key).err().unwrap();
    assert!(error.to_string().contains("40002 isv.invalid-app-id 无效的AppID参数"), "{error}");
}

#[test]
fn no_case_is_left_out_without_a_reason() {
    let mut reasons = BTreeSet::new();
    for (sdk, file) in [("python", PYTHON), ("node", NODE)] {
        let file: Value = serde_json::from_str(file).unwrap();
        for case in file["cases"].as_array().unwrap() {
            reasons.extend(left_out(sdk, case));
        }
    }
    assert_eq!(reasons.len(), 5, "{reasons:?}");
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

fn decode(form: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(form.as_bytes()).into_owned().collect()
}

fn private_key(id: &str, sign_type: SignType) -> PrivateKey {
    let pem = if id.ends_with("_pkcs8") {
        include_bytes!("vectors/keys/app_private_pkcs8.pem").as_slice()
    } else {
        include_bytes!("vectors/keys/app_private_pkcs1.pem").as_slice()
    };
    PrivateKey::read(pem, sign_type).unwrap()
}

fn public_key(name: &str, sign_type: SignType) -> PublicKey {
    let pem = match name {
        "app_public" => include_bytes!("vectors/keys/app_public.pem").as_slice(),
        _ => include_bytes!("vectors/keys/alipay_side_public.pem").as_slice(),
    };
    PublicKey::read(pem, sign_type).unwrap()
}
