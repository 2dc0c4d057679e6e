//! What goes wrong: every problem, with where the money is.

use serde_json::json;
use tilld::payment::{CancelAction, OtherCode, OutTradeNo, Sentence, State};
use tilld::terminal::{Closed, ClosedBy, Denied};

use crate::client::Terminal;
use crate::fake::{NOW, payment};

const BODY: &str = r#"{"amount":"88.88","subject":"咖啡"}"#;

fn number(text: &str) -> OutTradeNo {
    text.parse().unwrap()
}

fn closed(by: ClosedBy) -> Denied {
    Denied::KeysWrong(Closed { by, text: Sentence::new("密钥", "the keys") })
}

#[tokio::test]
async fn the_terminal_says_no_by_name() {
    let terminal = Terminal::start();
    let lanes = vec!["lane-1".to_owned(), "lane-2".to_owned()];
    let busy = Denied::ScannerBusy { number: number("B1"), scanner: "lane-1".to_owned() };
    let conflict = Denied::OrderConflict { number: number("A1"), differs: vec!["amount"] };
    let paid = Box::new(payment("B1", State::Paid));
    let full = Denied::JournalUnavailable("the disk is full".to_owned());
    for (denied, status, code, money, retry) in [
        (conflict, 409, "order_conflict", "unknown", "after_fix"),
        (busy, 409, "scanner_busy", "none", "same_request"),
        (
            Denied::SaleInDoubt { number: number("B1") },
            409,
            "sale_in_doubt",
            "unknown",
            "same_request",
        ),
        (
            Denied::SaleAlreadyPaid { payment: paid.clone(), long_ago: false },
            409,
            "sale_already_paid",
            "taken",
            "never",
        ),
        (
            Denied::SaleAlreadyPaid { payment: paid.clone(), long_ago: true },
            409,
            "sale_already_paid",
            "none",
            "never",
        ),
        (Denied::SaleConflict(paid), 409, "sale_conflict", "none", "after_fix"),
        (Denied::DoorClosed("no".to_owned()), 503, "door_closed", "none", "same_request"),
        (Denied::TooManyOpen(1_000), 503, "too_many_open", "none", "same_request"),
        (Denied::UnknownScanner(lanes.clone()), 422, "unknown_scanner", "none", "after_fix"),
        (Denied::ScannerNeeded(lanes.clone()), 422, "scanner_needed", "none", "after_fix"),
        (full, 503, "journal_unavailable", "none", "same_request"),
        (Denied::ClockWrong("1970".to_owned()), 503, "clock_wrong", "none", "same_request"),
        (closed(ClosedBy::KeysUnproven), 503, "keys_unproven", "none", "same_request"),
        (closed(ClosedBy::AppKeyWrong), 503, "app_key_wrong", "none", "after_fix"),
        (closed(ClosedBy::AlipayKeyWrong), 503, "alipay_key_wrong", "none", "after_fix"),
        (Denied::TooManyOpen(1_000), 503, "too_many_open", "none", "same_request"),
        (Denied::Draining, 503, "draining", "none", "same_request"),
        (Denied::Stopping, 503, "stopping", "none", "same_request"),
    ] {
        terminal.fake.will_deny(denied.clone());
        let told = terminal.put("/v1/payments/A1", BODY).await.problem(status, code);
        assert_eq!(told["money"], money, "{code}");
        assert_eq!(told["retry"], retry, "{code}");
        match denied {
            Denied::OrderConflict { .. } => {
                assert_eq!(told["out_trade_no"], "A1");
                assert_eq!(told["differs"], json!(["amount"]));
            }
            Denied::ScannerBusy { .. }
            | Denied::SaleInDoubt { .. }
            | Denied::SaleAlreadyPaid { .. }
            | Denied::SaleConflict(_) => assert_eq!(told["out_trade_no"], "B1"),
            Denied::UnknownScanner(_) | Denied::ScannerNeeded(_) => {
                assert_eq!(told["scanners"], json!(["lane-1", "lane-2"]));
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_code_that_comes_too_late_is_told_what_became_of_the_payment() {
    let terminal = Terminal::start();
    let code = r#"{"auth_code":"281234567890123494"}"#;
    terminal.post("/v1/payments/NONE/code", code).await.problem(404, "not_found");
    for (state, money) in [
        (State::Paid, "taken"),
        (State::Querying, "unknown"),
        (State::Cancelled(CancelAction::None), "none"),
    ] {
        let late = payment("A1", state);
        terminal.fake.journal(&late, "test");
        terminal.fake.will_deny(Denied::NotAwaitingCode(Box::new(late)));
        let told = terminal.post("/v1/payments/A1/code", code).await;
        let told = told.problem(409, "not_awaiting_code");
        assert_eq!(told["money"], money);
        assert_eq!(told["payment"]["money"], money);
    }
}

#[tokio::test]
async fn faulty_bodies_are_refused_by_name() {
    let terminal = Terminal::start();
    for (body, status, code, member) in [
        ("", 400, "invalid_json", None),
        ("{", 400, "invalid_json", None),
        ("{}}", 400, "invalid_json", None),
        ("\u{feff}", 400, "invalid_json", None),
        ("\u{feff}{}", 422, "invalid_request", Some("amount")),
        ("[]", 422, "invalid_request", None),
        ("null", 422, "invalid_request", None),
        (r#"{"subject":"x"}"#, 422, "invalid_request", Some("amount")),
        (r#"{"amount":null,"subject":"x"}"#, 422, "invalid_request", Some("amount")),
        (
            r#"{"amount":"1","subject":"x","auth_cod":"1"}"#,
            422,
            "invalid_request",
            Some("auth_cod"),
        ),
        (r#"{"amount":"1","amount":"1","subject":"x"}"#, 422, "invalid_request", Some("amount")),
        (r#"{"amount":88.88,"subject":"x"}"#, 422, "invalid_amount", Some("amount")),
        (r#"{"amount":"7.001","subject":"x"}"#, 422, "invalid_amount", Some("amount")),
        (r#"{"amount":"-7","subject":"x"}"#, 422, "invalid_amount", Some("amount")),
        (r#"{"amount":"0","subject":"x"}"#, 422, "invalid_amount", Some("amount")),
        (r#"{"amount":"1"}"#, 422, "invalid_request", Some("subject")),
        (r#"{"amount":"1","subject":""}"#, 422, "invalid_request", Some("subject")),
        (r#"{"amount":"1","subject":"a\nb"}"#, 422, "invalid_request", Some("subject")),
        (r#"{"amount":"1","subject":"\ud800"}"#, 400, "invalid_json", None),
        (r#"{"amount":"1","subject":"x","timeout":0}"#, 422, "invalid_request", Some("timeout")),
        (r#"{"amount":"1","subject":"x","timeout":601}"#, 422, "invalid_request", Some("timeout")),
        (r#"{"amount":"1","subject":"x","timeout":"60"}"#, 422, "invalid_request", Some("timeout")),
        (r#"{"amount":"1","subject":"x","timeout":1.5}"#, 422, "invalid_request", Some("timeout")),
        (
            r#"{"amount":"1","subject":"x","goods_detail":{}}"#,
            422,
            "invalid_request",
            Some("goods_detail"),
        ),
        (
            r#"{"amount":"1","subject":"x","goods_detail":[]}"#,
            422,
            "invalid_request",
            Some("goods_detail"),
        ),
        (
            r#"{"amount":"1","subject":"x","goods_detail":[{"goods_id":"1"}]}"#,
            422,
            "invalid_request",
            Some("goods_detail"),
        ),
        (r#"{"amount":"1","subject":"x","sale":7}"#, 422, "invalid_request", Some("sale")),
        (
            r#"{"amount":"1","subject":"x","auth_code":28}"#,
            422,
            "invalid_request",
            Some("auth_code"),
        ),
    ] {
        let told = terminal.put("/v1/payments/A1", body).await.problem(status, code);
        assert_eq!(told.get("member").and_then(|m| m.as_str()), member, "{body}");
        assert_eq!((&told["money"], &told["retry"]), (&json!("none"), &json!("after_fix")));
    }
    let long = format!(r#"{{"amount":"1","subject":"{}"}}"#, "咖".repeat(257));
    terminal.put("/v1/payments/A1", &long).await.problem(422, "invalid_request");
    let whole = format!(r#"{{"amount":"1","subject":"{}"}}"#, "咖".repeat(256));
    assert_eq!(terminal.put("/v1/payments/A1", &whole).await.status, 201);
    assert_eq!(terminal.fake.requests.lock().unwrap().len(), 1, "only the whole one came through");
    terminal.post("/v1/payments", BODY).await.problem(422, "invalid_request");
}

#[tokio::test]
async fn other_codes_are_named_and_no_code_is_ever_repeated() {
    let terminal = Terminal::start();
    for (code, kind) in [
        ("134567890123456789", OtherCode::WeChat),
        ("6212345678901234567", OtherCode::UnionPay),
        ("831234567890123456", OtherCode::OtherWallet),
        ("https://qr.alipay.com/fkx1234", OtherCode::CollectCode),
        ("281234567890123", OtherCode::Torn),
        ("6901234567892", OtherCode::Goods),
        ("", OtherCode::Unreadable),
    ] {
        let body = json!({ "amount": "1", "subject": "x", "auth_code": code }).to_string();
        let told = terminal.put("/v1/payments/A1", &body).await;
        let told = told.problem(422, "not_a_payment_code");
        assert_eq!(told["kind"], kind.name());
        assert_eq!(told["cashier"]["zh"], kind.sentence().zh);
        assert_eq!(told["money"], "none");
        assert!(code.is_empty() || !told.to_string().contains(code), "{told}");
    }
    // The code in every wrong place.
    let code = "281234567890123494";
    for body in [
        format!(r#"{{"amount":"{code}","subject":"x"}}"#),
        format!(r#"{{"amount":"1","subject":"x","timeout":{code}}}"#),
        format!(r#"{{"amount":"1","subject":"x","{code}":1}}"#),
        format!(r#"{{"amount":"1","subject":"x","auth_code":{code}}}"#),
        format!(r#"{{"amount":"1","subject":"x","auth_code":"{code}1234567890"}}"#),
        format!(r#"{{"amount":"1","subject":"x" {code}"#),
        code.to_owned(),
    ] {
        let told = terminal.put("/v1/payments/A1", &body).await;
        assert!((400..=422).contains(&told.status), "{told:?}");
        assert!(!told.body.contains(code), "{told:?}");
    }
    let told = terminal.get(&format!("/v1/{code}")).await;
    assert!(!told.body.contains(code), "{told:?}");
}

#[tokio::test]
async fn a_code_that_was_used_before_names_the_payment_it_was_used_for() {
    let terminal = Terminal::start();
    let body = json!({ "amount": "1", "subject": "x", "auth_code": "281234567890123494" });
    for (state, words) in [
        (State::Paid, "paid"),
        (State::Querying, "not settled"),
        (State::Declined, "not paid"),
        (State::Cancelled(CancelAction::Close), "cancelled"),
    ] {
        let earlier = payment("A1", state);
        terminal.fake.journal(&payment("WAITS", State::AwaitingCode { until: NOW }), "test");
        for (path, money) in [("/v1/payments/A2", "none"), ("/v1/payments/WAITS/code", "unknown")] {
            terminal.fake.will_deny(Denied::CodeAlreadyUsed(Box::new(earlier.clone())));
            let told = match path {
                "/v1/payments/A2" => terminal.put(path, &body.to_string()).await,
                _ => terminal.post(path, r#"{"auth_code":"281234567890123494"}"#).await,
            };
            let told = told.problem(409, "code_already_used");
            // This request has charged nothing; the earlier payment speaks for itself.
            assert_eq!((&told["money"], &told["retry"]), (&json!(money), &json!("after_fix")));
            assert_eq!(told["out_trade_no"], "A1");
            assert_eq!(told["payment"]["money"], earlier.money().name());
            let sentence = told["cashier"]["en"].as_str().unwrap();
            assert_eq!(sentence.contains(words), money == "none", "{told}");
            assert!(told["cashier"]["zh"].as_str().unwrap().contains("刷新"), "{told}");
            assert!(!told.to_string().contains("281234567890123494"), "{told}");
        }
    }
}

#[tokio::test]
async fn paths_and_parameters_are_refused_by_name() {
    let terminal = Terminal::start();
    for path in ["A-1", "A%201", "%E5%92%96", "%FF", &"A".repeat(65)] {
        for response in [
            terminal.put(&format!("/v1/payments/{path}"), BODY).await,
            terminal.get(&format!("/v1/payments/{path}")).await,
            terminal.post(&format!("/v1/payments/{path}/cancel"), "").await,
            terminal.get(&format!("/v1/payments/{path}/journal")).await,
        ] {
            response.problem(422, "invalid_order_number");
        }
    }
    for query in [
        "state=gone",
        "since=x",
        "limit=0",
        "limit=501",
        "limit=x",
        "cursor=x",
        "sale=",
        "stat=open",
        "page=2",
    ] {
        let told = terminal.get(&format!("/v1/payments?{query}")).await;
        let told = told.problem(422, "invalid_parameter");
        assert_eq!(told["member"], query.split('=').next().unwrap());
    }
    for query in
        ["limit=0", "limit=501", "limit=x", "cursor=x", "cursor=12", "state=open", "page=2"]
    {
        let told = terminal.get(&format!("/v1/payments/A1/journal?{query}")).await;
        let told = told.problem(422, "invalid_parameter");
        assert_eq!(told["member"], query.split('=').next().unwrap());
    }
    for response in [
        terminal.get("/v1/payments?state=paid&state=open").await,
        terminal.get("/v1/payments/A1?state=paid").await,
        terminal.get("/v1/payments/A1/journal?wait=1").await,
        terminal.put("/v1/payments/A1?timeout=5", BODY).await,
    ] {
        response.problem(422, "invalid_parameter");
    }
    for wait in ["-1", "x", ""] {
        for response in [
            terminal.put(&format!("/v1/payments/A1?wait={wait}"), BODY).await,
            terminal.post(&format!("/v1/payments?wait={wait}"), BODY).await,
            terminal.get(&format!("/v1/payments/A1?wait={wait}")).await,
            terminal.post(&format!("/v1/payments/A1/cancel?wait={wait}"), "").await,
        ] {
            assert_eq!(response.problem(422, "invalid_parameter")["member"], "wait");
        }
    }
    assert!(terminal.fake.requests.lock().unwrap().is_empty(), "nothing was begun");
    terminal.get("/v1/payments/A1").await.problem(404, "not_found");
    terminal.get("/v1/payments/A1/journal").await.problem(404, "not_found");
    terminal.post("/v1/payments/A1/cancel", "").await.problem(404, "not_found");
}

#[tokio::test]
async fn http_itself_is_refused_in_the_same_words() {
    let terminal = Terminal::start();
    terminal.get("/").await.problem(404, "no_such_route");
    terminal.get("/v1/payments/A1/refund").await.problem(404, "no_such_route");
    for (method, path, allowed) in [
        ("DELETE", "/v1/payments/A1", ["put", "get"]),
        ("PATCH", "/v1/payments", ["get", "post"]),
        ("POST", "/v1/status", ["get", "head"]),
    ] {
        let told = terminal.ask(method, path, &[], "").await;
        told.problem(405, "method_not_allowed");
        let allow = told.head.lines().find(|line| line.starts_with("allow:")).expect("Allow");
        assert!(allowed.iter().all(|method| allow.contains(method)), "{allow}");
    }
    for header in ["content-type: text/plain", "content-type: \u{1f600}"] {
        let told = terminal.ask("PUT", "/v1/payments/A1", &[header], BODY).await;
        told.problem(415, "unsupported_media_type");
    }
    let curl = "content-type: application/x-www-form-urlencoded";
    for headers in [&["content-type: Application/JSON; charset=utf-8"][..], &[curl], &[]] {
        let told = terminal.ask("PUT", "/v1/payments/A1", headers, BODY).await;
        assert!(told.status < 300, "{told:?}");
    }
}

#[tokio::test]
async fn a_head_that_means_two_things_is_refused() {
    let terminal = Terminal::start();
    for header in ["Host: other", "authorization: Bearer a\r\nauthorization: Bearer b"] {
        let told = terminal.ask("GET", "/v1/status", &[header], "").await;
        told.problem(400, "repeated_header");
    }
}

/// What a program sends that is not JSON in UTF-8, and what it is told.
#[tokio::test]
async fn the_cause_of_an_unreadable_body_is_named() {
    let terminal = Terminal::start();
    let ended = [BODY.as_bytes(), b"\0"].concat();
    let wide: Vec<u8> =
        b"\xff\xfe".iter().copied().chain(BODY.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let zipped = [&b"\x1f\x8b\x08\0"[..], BODY.as_bytes()].concat();
    let half = br#"{"amount":"1","subject":"x","goods_detail":[{"goods_id":"\ud83d"}]}"#;
    let gbk = b"{\"amount\":\"1\",\"subject\":\"\xbf\xa7\"}";
    for (body, cause) in [
        (&ended[..], "NUL"),
        (&wide, "UTF-16"),
        (&zipped, "gzip"),
        (half, "surrogate"),
        (br#"{"amount":"1","\udc00":"x"}"#, "surrogate"),
        (gbk, "not UTF-8"),
    ] {
        let mut text = format!(
            "PUT /v1/payments/A1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        text.extend_from_slice(body);
        use tokio::io::AsyncWriteExt;
        let mut stream = terminal.connect().await;
        stream.write_all(&text).await.unwrap();
        let told = crate::client::read_response(&mut stream).await;
        let told = told.problem(400, "invalid_json");
        assert!(told["detail"].as_str().unwrap().contains(cause), "{cause}: {told}");
    }
    let told = terminal.ask("PUT", "/v1/payments/A1", &["content-encoding: br"], BODY).await;
    let told = told.problem(415, "unsupported_media_type");
    assert!(told["detail"].as_str().unwrap().contains("compressed"), "{told}");
    // A mark at the beginning is no fault.
    let marked = terminal.put("/v1/payments/A1", &format!("\u{feff}{BODY}")).await;
    assert_eq!(marked.status, 201, "{marked:?}");
}

#[tokio::test]
async fn bodies_have_64_kib_and_not_a_byte_more() {
    let terminal = Terminal::start();
    let padded = |length: usize| format!("{BODY}{}", " ".repeat(length - BODY.len()));
    let whole = terminal.put("/v1/payments/A1", &padded(64 * 1024)).await;
    assert_eq!(whole.status, 201);
    let told = terminal.put("/v1/payments/A2", &padded(64 * 1024 + 1)).await;
    assert_eq!(told.problem(413, "body_too_large")["money"], "none");
    // Undeclared, in chunks.
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let chunked = format!(
        "PUT /v1/payments/A2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    use tokio::io::AsyncWriteExt;
    let mut stream = terminal.connect().await;
    stream.write_all(chunked.as_bytes()).await.unwrap();
    crate::client::read_response(&mut stream).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_leaves_the_money_unknown() {
    let terminal = Terminal::start();
    *terminal.fake.unreadable.lock().unwrap() = true;
    terminal.fake.will_deny(Denied::JournalUnavailable("disk I/O error".to_owned()));
    for response in [
        terminal.put("/v1/payments/A1", BODY).await,
        terminal.get("/v1/payments/A1").await,
        terminal.get("/v1/payments").await,
        terminal.get("/v1/payments/A1/journal").await,
    ] {
        assert!(response.head.contains("retry-after: 1"), "{response:?}");
        assert_eq!(response.problem(503, "journal_unavailable")["money"], "unknown");
    }
}
