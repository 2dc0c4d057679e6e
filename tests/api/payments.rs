//! What goes well: every request of the contract's table.

use std::time::Duration;

use serde_json::{Value, json};
use tilld::api::{Backend, PaymentView, ReceiptView, Which};
use tilld::payment::{
    Asker, Call, CancelAction, Extras, Fen, Hint, Order, OtherCode, Public, Reason, Said, State,
    Till, Timestamp, Trade,
};

use crate::client::Terminal;
use crate::fake::{NOW, altered, order, payment};

const BODY: &str = r#"{"amount":"88.88","subject":"咖啡"}"#;

#[tokio::test]
async fn a_put_starts_a_payment_and_the_same_again_finds_it() {
    let terminal = Terminal::start();
    let first = terminal.put("/v1/payments/A1", BODY).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert!(first.head.contains("content-type: application/json"), "{first:?}");
    assert!(first.head.contains("location: /v1/payments/a1"), "{first:?}");
    assert!(first.head.contains("cache-control: no-store"), "{first:?}");
    assert_eq!(first.json()["state"], "awaiting_code");

    let again = terminal.put("/v1/payments/A1", BODY).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.json(), first.json());
    assert_eq!(terminal.get("/v1/payments/A1").await.json(), first.json());
}

#[tokio::test]
async fn what_is_asked_for_arrives_whole() {
    let terminal = Terminal::start();
    let body = json!({
        "amount": "7", "subject": "A&B=C 1/2 ☕", "auth_code": "281234567890123494\r\n",
        "scanner": "lane-2", "sale": "S 1", "body": "more", "operator_id": "yx_001",
        "goods_detail": [
            { "quantity": 1, "price": "2.50", "goods_name": "咖啡", "goods_id": "g1" }
        ],
        "timeout": 30, "seller_id": "2088102146225135", "discountable_amount": "2",
        "undiscountable_amount": "5.00",
        "extend_params": { "sys_service_provider_id": "2088511833207846", "hb_fq_num": 3 },
        "query_options": ["fund_bill_list"]
    });
    assert_eq!(terminal.put("/v1/payments/A1", &body.to_string()).await.status, 201);
    let requests = terminal.fake.requests.lock().unwrap();
    let request = &requests[0];
    let order = &request.order;
    assert!(!request.keyed_by_sale);
    assert_eq!(request.code.as_ref().unwrap().reveal(), "281234567890123494");
    assert_eq!(order.amount.fen(), 700);
    assert_eq!(order.subject, "A&B=C 1/2 ☕");
    assert_eq!(order.scanner.as_deref(), Some("lane-2"));
    assert_eq!(order.sale.as_deref(), Some("S 1"));
    assert_eq!(order.body.as_deref(), Some("more"));
    assert_eq!(order.operator_id.as_deref(), Some("yx_001"));
    assert_eq!(order.timeout, Some(Duration::from_secs(30)));
    assert_eq!(
        order.goods_detail.as_deref(),
        Some(r#"[{"goods_id":"g1","goods_name":"咖啡","price":"2.50","quantity":1}]"#)
    );
    let extras = Extras {
        seller_id: Some("2088102146225135".to_owned()),
        discountable_amount: Some("2".parse().unwrap()),
        undiscountable_amount: Some("5".parse().unwrap()),
        extend_params: Some(
            r#"{"hb_fq_num":3,"sys_service_provider_id":"2088511833207846"}"#.to_owned(),
        ),
        query_options: vec!["fund_bill_list".to_owned()],
    };
    assert_eq!(order.extras, extras);
}

#[tokio::test]
async fn a_post_is_keyed_by_its_sale() {
    let terminal = Terminal::start();
    let body = r#"{"amount":"88.88","subject":"咖啡","sale":"S1"}"#;
    let first = terminal.post("/v1/payments", body).await;
    assert_eq!(first.status, 201);
    let number = "T0000000000000000000000000000001";
    assert_eq!(first.json()["out_trade_no"], number);
    assert!(first.head.contains(&format!("location: /v1/payments/{}", number.to_lowercase())));
    assert!(terminal.fake.requests.lock().unwrap()[0].keyed_by_sale);
}

#[tokio::test]
async fn the_example_of_the_contract_is_what_we_say() {
    let example = json!({
        "out_trade_no": "20150320010101001", "state": "paid", "final": true, "money": "taken",
        "rev": 4, "amount": "88.88", "subject": "咖啡", "method": "code", "qr_code": null,
        "scanner": "lane-1", "trade_no": "2013112011001004330000121536", "receipt_amount": "88.88",
        "buyer_logon_id": "159****5620", "reason": null, "attention": null,
        "refunded_amount": "0.00", "sale": null,
        "cashier": { "zh": "已收款 88.88 元", "en": "Paid 88.88 yuan" },
        "created_at": "2026-11-20T10:00:00+08:00", "updated_at": "2026-11-20T10:00:02+08:00"
    });
    let read: PaymentView = serde_json::from_value(example.clone()).unwrap();

    let terminal = Terminal::start();
    let paid = altered(&payment("20150320010101001", State::Paid), |record| {
        record.rev = 4;
        record.updated_at = NOW + Duration::from_secs(2);
        record.trade = Trade {
            trade_no: Some("2013112011001004330000121536".to_owned()),
            buyer_logon_id: Some("159****5620".to_owned()),
            said: Said { receipt_amount: Some(Fen(8888)), ..Said::default() },
            ..Trade::default()
        };
    });
    terminal.fake.journal(&paid, "pay_answered");
    let told = terminal.get("/v1/payments/20150320010101001").await.json();
    let mut view: PaymentView = serde_json::from_value(told.clone()).unwrap();
    // Added since: it has a test of its own.
    assert!(view.receipt.take().is_some());
    assert_eq!(view, read);
    for (member, value) in example.as_object().unwrap() {
        assert_eq!(&told[member], value, "{member}");
    }
}

#[tokio::test]
async fn a_receipt_says_what_was_told_and_where_it_was_taken() {
    let terminal = Terminal::start();
    let paid = altered(&payment("A1", State::Paid), |record| {
        record.till = Some(
            Till {
                terminal_id: "T_002".to_owned(),
                store_id: Some("NJ_002".to_owned()),
                operator_id: Some("yx_001".to_owned()),
            }
            .into(),
        );
        record.trade = Trade {
            trade_no: Some("2013112011001004330000121536".to_owned()),
            buyer_logon_id: Some("159****5620".to_owned()),
            paid_at: Some(NOW + Duration::from_secs(1)),
            said: Said {
                total_amount: Some(Fen(8888)),
                receipt_amount: Some(Fen(8688)),
                buyer_pay_amount: Some(Fen(8088)),
                point_amount: Some(Fen(0)),
                invoice_amount: Some(Fen(8087)),
                discount_amount: Some(Fen(600)),
                mdiscount_amount: Some(Fen(200)),
                fund_bill_list: Some(r#"[{"fund_channel":"COUPON","amount":"8.00"}]"#.to_owned()),
            },
            ..Trade::default()
        };
    });
    terminal.fake.journal(&paid, "pay_answered");
    let told = terminal.get("/v1/payments/A1").await.json();
    let expected = json!({
        "total_amount": "88.88", "receipt_amount": "86.88", "buyer_pay_amount": "80.88",
        "point_amount": "0.00", "invoice_amount": "80.87", "discount_amount": "6.00",
        "mdiscount_amount": "2.00",
        "fund_bill_list": [{ "fund_channel": "COUPON", "amount": "8.00" }],
        "paid_at": "2026-11-20T10:00:01+08:00", "buyer_logon_id": "159****5620",
        "store_id": "NJ_002", "terminal_id": "T_002", "operator_id": "yx_001"
    });
    assert_eq!(told["receipt"], expected);

    // The register's own operator; funds that are no list; an older entry.
    let named = altered(&paid, |record| {
        let order = record.order.as_ref().clone();
        record.order = Order { operator_id: Some("li".to_owned()), ..order }.into();
        record.trade.said.fund_bill_list = Some("\"none\"".to_owned());
    });
    let receipt = serde_json::to_value(ReceiptView::of(&named)).unwrap();
    assert_eq!((&receipt["operator_id"], &receipt["fund_bill_list"]), (&json!("li"), &Value::Null));
    let old = serde_json::to_value(ReceiptView::of(&payment("A2", State::Paid))).unwrap();
    let members = old.as_object().unwrap();
    assert!(members.len() == 13 && members.values().all(Value::is_null), "{old}");

    for state in [State::Declined, State::Cancelled(CancelAction::Refund), State::Querying] {
        assert_eq!(ReceiptView::of(&payment("A3", state)), None, "{state:?}");
    }
    let waits = terminal.put("/v1/payments/A4", BODY).await.json();
    assert_eq!(waits["receipt"], Value::Null);
}

#[tokio::test]
async fn a_hint_is_told_in_a_word_and_in_a_sentence() {
    let terminal = Terminal::start();
    let used = Hint::used_for(&payment("A1", State::Paid));
    for (index, (hint, kind, earlier)) in [
        (Hint::Shown(OtherCode::WeChat), "wechat", Value::Null),
        (Hint::Shown(OtherCode::ScaleLabel), "scale_label", Value::Null),
        (Hint::ScannerGone, "scanner_gone", Value::Null),
        (Hint::ScanLost, "scan_lost", Value::Null),
        (Hint::TooEarly, "too_early", Value::Null),
        (used, "code_already_used", json!("A1")),
    ]
    .into_iter()
    .enumerate()
    {
        let number = format!("H{index}");
        let waits = altered(&payment(&number, State::AwaitingCode { until: NOW }), |record| {
            record.hint = Some(hint.clone());
        });
        terminal.fake.journal(&waits, "hint");
        let told = terminal.get(&format!("/v1/payments/{number}")).await.json();
        assert_eq!(told["hint"], json!({ "kind": kind, "out_trade_no": earlier }));
        assert_eq!((&told["state"], &told["money"]), (&json!("awaiting_code"), &json!("open")));
        let zh = told["cashier"]["zh"].as_str().unwrap();
        assert!(zh.starts_with(&hint.sentence().zh) && zh.contains("88.88 元"), "{zh}");
    }
}

#[tokio::test]
async fn every_ending_is_told_with_its_money() {
    let terminal = Terminal::start();
    let declined = altered(&payment("D1", State::Declined), |record| {
        record.reason = Some(Reason {
            code: "40004".to_owned(),
            sub_code: Some("ACQ.BUYER_BALANCE_NOT_ENOUGH".to_owned()),
            message: "买家余额不足".to_owned(),
        });
    });
    terminal.fake.journal(&declined, "cancel_answered");
    let told = terminal.get("/v1/payments/D1").await.json();
    assert_eq!((&told["state"], &told["money"]), (&json!("declined"), &json!("none")));
    assert_eq!(
        told["reason"],
        json!({
            "code": "40004", "sub_code": "ACQ.BUYER_BALANCE_NOT_ENOUGH", "message": "买家余额不足"
        })
    );
    assert_eq!(told["cancel_action"], Value::Null);

    for (action, name, money) in [
        (CancelAction::Close, "close", "none"),
        (CancelAction::Refund, "refund", "returned"),
        (CancelAction::None, "none", "none"),
    ] {
        terminal.fake.journal(&payment(name, State::Cancelled(action)), "cancel_answered");
        let told = terminal.get(&format!("/v1/payments/{name}")).await.json();
        assert_eq!(told["state"], "cancelled");
        assert_eq!(told["cancel_action"], name);
        assert_eq!(told["money"], money);
    }
}

/// Bugs to plant: 0.00 of everything, the amount of whatever is cancelled, or of
/// what is only being cancelled.
#[tokio::test]
async fn what_went_back_is_told_as_refunded_and_nothing_else_is() {
    let terminal = Terminal::start();
    for (number, state, refunded) in [
        ("returned", State::Cancelled(CancelAction::Refund), "88.88"),
        ("closed", State::Cancelled(CancelAction::Close), "0.00"),
        ("never_sent", State::Cancelled(CancelAction::None), "0.00"),
        ("paid", State::Paid, "0.00"),
        ("declined", State::Declined, "0.00"),
        ("cancelling", State::Cancelling, "0.00"),
        ("asking", State::Querying, "0.00"),
        ("waiting", State::AwaitingCode { until: NOW }, "0.00"),
    ] {
        // Alipay gives back what the buyer paid, whatever the merchant got of it.
        let payment = altered(&payment(number, state), |record| {
            record.trade.said.receipt_amount = Some(Fen(8000));
        });
        terminal.fake.journal(&payment, "test");
        let one = terminal.get(&format!("/v1/payments/{number}")).await.json();
        let all = terminal.get("/v1/payments?limit=1").await.json();
        for told in [&one, &all["payments"][0]] {
            assert_eq!(told["refunded_amount"], refunded, "{told}");
            assert_eq!(told["amount"], "88.88", "{told}");
        }
    }
}

#[tokio::test]
async fn an_open_payment_tells_how_long_its_window_is_open() {
    let terminal = Terminal::start();
    // By the steady clock of the fake, which stands still.
    let steady = terminal.fake.status().clock.steady;
    let soon = |millis| Timestamp(steady.millis() + millis);
    let resting = State::Resting { until: soon(900) };
    for (number, state, ends, told) in [
        ("code", State::AwaitingCode { until: soon(119_001) }, 0, json!(120)),
        ("code_over", State::AwaitingCode { until: soon(0) }, 0, Value::Null),
        ("paying", State::Paying, 60_000, json!(60)),
        // Rounded up, so that it is 0 never.
        ("resting", resting, 1, json!(1)),
        ("over", State::Querying, 0, Value::Null),
        ("long_over", State::Querying, -3_000, Value::Null),
        ("cancelling", State::Cancelling, 10_000, Value::Null),
        ("paid", State::Paid, 10_000, Value::Null),
    ] {
        let payment = altered(&payment(number, state), |record| {
            if let Some(offer) = &mut record.offer {
                offer.deadline = soon(ends);
            }
        });
        terminal.fake.journal(&payment, "due");
        let one = terminal.get(&format!("/v1/payments/{number}")).await.json();
        assert_eq!(one["seconds_left"], told, "{number}");
        let all = terminal.get("/v1/payments?limit=1").await.json();
        assert_eq!(all["payments"][0]["seconds_left"], told, "{number}");
    }
}

#[tokio::test]
async fn a_code_is_brought_to_its_payment() {
    let terminal = Terminal::start();
    terminal.put("/v1/payments/A1", BODY).await;
    let brought =
        terminal.post("/v1/payments/A1/code", r#"{"auth_code":"281234567890123494"}"#).await;
    assert_eq!(brought.status, 200, "{brought:?}");
    assert_eq!(brought.json()["out_trade_no"], "A1");
    assert_eq!(terminal.fake.codes.lock().unwrap()[0].reveal(), "281234567890123494");
}

#[tokio::test]
async fn a_cancel_is_answered_by_where_the_payment_stands() {
    let terminal = Terminal::start();
    for (number, state, status) in [
        ("open", State::Querying, 202),
        ("declined", State::Declined, 200),
        ("cancelled", State::Cancelled(CancelAction::Close), 200),
        ("paid", State::Paid, 409),
    ] {
        terminal.fake.journal(&payment(number, state), "test");
        let told = terminal.ask("POST", &format!("/v1/payments/{number}/cancel"), &[], "").await;
        assert_eq!(told.status, status, "{told:?}");
        if status == 409 {
            let problem = told.problem(409, "already_paid");
            assert_eq!(problem["money"], "taken");
            assert_eq!(problem["payment"]["state"], "paid");
        } else {
            assert_eq!(told.json()["out_trade_no"], number);
        }
    }
}

#[tokio::test]
async fn the_daemon_is_told_who_asks() {
    let terminal = Terminal::start();
    terminal.put("/v1/payments/A1", BODY).await;
    terminal.post("/v1/payments/A1/code", r#"{"auth_code":"281234567890123494"}"#).await;
    terminal.post("/v1/payments/A1/cancel", "").await;
    let own = Asker { uid: nix::unistd::geteuid().as_raw(), pid: Some(std::process::id()) };
    assert_eq!(*terminal.fake.askers.lock().unwrap(), [Some(own); 3]);
}

#[tokio::test]
async fn lists_are_newest_first_and_go_on_where_they_ended() {
    let terminal = Terminal::start();
    for number in ["A1", "A2", "A3"] {
        terminal.fake.journal(&payment(number, State::Paying), "requested");
    }
    terminal.fake.becomes("A2", State::Paid);
    let numbers = |list: &Value| -> Vec<String> {
        let payments = list["payments"].as_array().unwrap();
        payments.iter().map(|p| p["out_trade_no"].as_str().unwrap().to_owned()).collect()
    };
    let first = terminal.get("/v1/payments?limit=2").await.json();
    assert_eq!(numbers(&first), ["A3", "A2"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = terminal.get(&format!("/v1/payments?limit=2&cursor={cursor}")).await.json();
    assert_eq!(numbers(&second), ["A1"]);
    assert_eq!(second["next_cursor"], Value::Null);
    assert_eq!(numbers(&terminal.get("/v1/payments?state=open").await.json()), ["A3", "A1"]);
    assert_eq!(numbers(&terminal.get("/v1/payments?state=paid").await.json()), ["A2"]);

    terminal.get("/v1/payments?since=2026-11-20T02:00:00Z&state=awaiting_buyer").await;
    let filters = terminal.fake.filters.lock().unwrap();
    let last = filters.last().unwrap();
    assert_eq!(last.since, Some(NOW));
    assert_eq!(last.which, Which::State(Public::AwaitingBuyer));
    assert!(last.part.limit <= 32, "a page at a time");
}

/// Bug to plant: take the `next_cursor` of the first page for that of the list.
#[tokio::test]
async fn long_lists_are_whole_and_go_on_where_they_ended() {
    let terminal = Terminal::start();
    for number in 1..=100 {
        terminal.fake.journal(&payment(&format!("A{number}"), State::Paying), "requested");
    }
    for (limit, pages) in
        [(500, &[100][..]), (100, &[100]), (70, &[70, 30]), (32, &[32, 32, 32, 4])]
    {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        for length in pages {
            let path = format!("/v1/payments?limit={limit}{cursor}");
            let list = terminal.get(&path).await;
            assert!(list.head.contains("content-type: application/json"), "{list:?}");
            let list = list.json();
            let payments = list["payments"].as_array().unwrap();
            assert_eq!(payments.len(), *length, "{path}");
            seen.extend(payments.iter().map(|p| p["out_trade_no"].as_str().unwrap().to_owned()));
            cursor = format!("&cursor={}", list["next_cursor"].as_str().unwrap_or("end"));
        }
        assert_eq!(cursor, "&cursor=end", "{limit}");
        let all: Vec<_> = (1..=100).rev().map(|number| format!("A{number}")).collect();
        assert_eq!(seen, all, "{limit}");
    }
}

/// Bugs to plant: take the `next_cursor` of the first page for that of the part;
/// begin the next page with the step that the last one ended with.
#[tokio::test]
async fn a_long_journal_of_a_payment_comes_in_parts_and_is_whole() {
    let terminal = Terminal::start();
    for round in 0..100 {
        let mut of_another = payment("B1", State::Paying);
        let ours = altered(&payment("A1", State::Paying), |record| record.rev = round + 1);
        terminal.fake.journal(&ours, "due");
        of_another = altered(&of_another, |record| record.rev = round + 1);
        terminal.fake.journal(&of_another, "due");
    }
    for (limit, parts) in [
        ("limit=500", &[100][..]),
        ("limit=100", &[100]),
        ("", &[100]),
        ("limit=99", &[99, 1]),
        ("limit=70", &[70, 30]),
        ("limit=32", &[32, 32, 32, 4]),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        for length in parts {
            let part = terminal.get(&format!("/v1/payments/A1/journal?{limit}{cursor}")).await;
            assert!(part.whole && part.head.contains("content-type: application/json"));
            let part = part.json();
            let entries = part["entries"].as_array().unwrap();
            assert_eq!(entries.len(), *length, "{limit}{cursor}");
            seen.extend(entries.iter().map(|entry| entry["rev"].as_u64().unwrap()));
            cursor = format!("&cursor={}", part["next_cursor"].as_str().unwrap_or("end"));
            assert!(*terminal.fake.last_read.lock().unwrap() <= 33, "a page at a time");
        }
        assert_eq!(cursor, "&cursor=end", "{limit}");
        assert_eq!(seen, (1..=100).collect::<Vec<_>>(), "{limit}");
    }
    // One more than are told unasked: whoever asks for no part sees that it is one.
    let last = altered(&payment("A1", State::Paid), |record| record.rev = 101);
    terminal.fake.journal(&last, "query_answered");
    let first = terminal.get("/v1/payments/A1/journal").await.json();
    assert_eq!(first["entries"].as_array().unwrap().len(), 100);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = terminal.get(&format!("/v1/payments/A1/journal?cursor={cursor}")).await.json();
    assert_eq!(rest["entries"][0]["state"], "paid");
    assert_eq!(
        (rest["entries"].as_array().unwrap().len(), &rest["next_cursor"]),
        (1, &Value::Null)
    );
    // Behind the end there is nothing, of a payment that there is.
    let behind = terminal.get("/v1/payments/A1/journal?cursor=cfff").await.json();
    assert_eq!(behind, json!({ "entries": [], "next_cursor": null }));
    terminal.get("/v1/payments/A2/journal?cursor=cfff").await.problem(404, "not_found");
}

#[tokio::test]
async fn the_attempts_at_a_sale_are_listed_by_it() {
    let terminal = Terminal::start();
    for (number, sale) in [("A1", "S1"), ("A2", "S 2"), ("A3", "S1")] {
        let attempt = altered(&payment(number, State::Paid), |record| {
            let order = tilld::payment::Order { sale: Some(sale.to_owned()), ..order(number) };
            record.order = order.into();
        });
        terminal.fake.journal(&attempt, "test");
    }
    for (query, count) in [("S1", 2), ("S%202", 1), ("nobody", 0)] {
        let list = terminal.get(&format!("/v1/payments?sale={query}")).await.json();
        assert_eq!(list["payments"].as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test]
async fn the_journal_tells_every_step_and_no_code() {
    let terminal = Terminal::start();
    let asked = payment("A1", State::AwaitingCode { until: NOW });
    terminal.fake.journal(&asked, "requested");
    let asked = altered(&asked, |record| {
        (record.rev, record.state) = (2, State::Paying);
    });
    terminal.fake.journal_call(&asked, Call::Pay, "28**************94");
    let told = terminal.get("/v1/payments/A1/journal").await.json();
    let entries = told["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["step"], "requested");
    assert_eq!(entries[0]["sent"], Value::Null);
    assert_eq!(entries[1]["seq"], 2);
    assert_eq!(entries[1]["at"], "2026-11-20T10:00:00+08:00");
    assert_eq!(entries[1]["auth_code"], "28**************94");
    assert_eq!(
        entries[1]["sent"],
        json!({
            "method": "alipay.trade.pay", "out_trade_no": "A1", "total_amount": "88.88",
            "refund_amount": null,
        })
    );
}

#[tokio::test]
async fn status_and_figures_are_told() {
    let terminal = Terminal::start();
    let status = terminal.get("/v1/status").await.json();
    assert_eq!(status["uptime"], 61);
    assert_eq!(status["gateway"]["state"], "down");
    assert_eq!(status["gateway"]["clock_skew_ms"], -120);
    assert_eq!(status["scanners"][0]["id"], "lane-1");
    assert_eq!(status["journal"]["writable"], true);
    assert_eq!(status["open_payments"], 3);
    assert_eq!(status["keys"], json!({ "state": "proven", "trouble": null }));
    let ready = terminal.get("/v1/ready").await;
    assert_eq!(ready.status, 503, "{ready:?}");
    let ready = ready.json();
    let unreachable = "Alipay cannot be reached (connection refused): see to the network";
    assert_eq!((&ready["ready"], &ready["reasons"][0]["en"]), (&json!(false), &json!(unreachable)));
    assert_eq!(ready["reasons"].as_array().map(Vec::len), Some(1), "{ready}");

    let figures = terminal.get("/metrics").await;
    assert!(figures.head.contains("application/openmetrics-text"), "{figures:?}");
    for line in [
        "tilld_open_payments 3",
        "tilld_gateway_up 0",
        "tilld_scanner_present{scanner=\"lane-1\"} 1",
        "tilld_api_connections 1",
        "tilld_api_lists 0",
        "tilld_daemon_figure 7",
        "tilld_not_ready{reason=\"gateway_unreachable\"} 1",
        "tilld_not_ready{reason=\"app_key_wrong\"} 0",
        "# EOF",
    ] {
        assert!(figures.body.contains(line), "{line} in {}", figures.body);
    }
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let terminal = Terminal::start();
    terminal.fake.journal(&payment(order("A1").out_trade_no.as_str(), State::Paid), "test");
    let mut stream = terminal.connect().await;
    for _ in 0..3 {
        let text = "GET /v1/payments/A1 HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut told = String::new();
        while !told.ends_with('}') {
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).await.unwrap();
            assert!(length > 0, "{told}");
            told.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        }
        assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    }
}
