//! What a register adds for Alipay: read strictly, and part of what is asked for.

use serde_json::{Value, json};

use crate::client::Terminal;

/// A body for 10 yuan with this besides.
fn body(more: &Value) -> String {
    let mut body = json!({ "amount": "10.00", "subject": "咖啡" });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string()
}

#[tokio::test]
async fn what_alipay_would_not_take_is_refused_by_name() {
    let terminal = Terminal::start();
    let many: serde_json::Map<String, Value> =
        (0..33).map(|n| (format!("p{n}"), json!("x"))).collect();
    for (more, member) in [
        (json!({ "seller_id": 2088 }), "seller_id"),
        (json!({ "seller_id": "2".repeat(29) }), "seller_id"),
        (json!({ "seller_id": "" }), "seller_id"),
        (json!({ "extend_params": "{}" }), "extend_params"),
        (json!({ "extend_params": [] }), "extend_params"),
        (json!({ "extend_params": {} }), "extend_params"),
        (json!({ "extend_params": many }), "extend_params"),
        (json!({ "extend_params": { "": "x" } }), "extend_params"),
        (json!({ "extend_params": { "a b": "x" } }), "extend_params"),
        (json!({ "extend_params": { "a": "" } }), "extend_params"),
        (json!({ "extend_params": { "a": "x".repeat(513) } }), "extend_params"),
        (json!({ "extend_params": { "a": null } }), "extend_params"),
        (json!({ "extend_params": { "a": true } }), "extend_params"),
        (json!({ "extend_params": { "a": -1 } }), "extend_params"),
        (json!({ "extend_params": { "a": 1e300 } }), "extend_params"),
        (json!({ "extend_params": { "a": { "b": "x" } } }), "extend_params"),
        (json!({ "query_options": "fund_bill_list" }), "query_options"),
        (json!({ "query_options": [] }), "query_options"),
        (json!({ "query_options": [1] }), "query_options"),
        (json!({ "method": "qr", "query_options": ["a"] }), "query_options"),
        (json!({ "query_options": ["a", "a"] }), "query_options"),
        (json!({ "query_options": ["fund bill"] }), "query_options"),
        (
            json!({ "query_options": (0..17).map(|n| n.to_string()).collect::<Vec<_>>() }),
            "query_options",
        ),
    ] {
        let told = terminal.put("/v1/payments/A1", &body(&more)).await;
        let told = told.problem(422, "invalid_request");
        assert_eq!(told["member"], member, "{more}");
    }
    let twice = r#"{"amount":"10.00","subject":"x","extend_params":{"a":"1","\u0061":"2"}}"#;
    let told = terminal.put("/v1/payments/A1", twice).await.problem(422, "invalid_request");
    assert_eq!(told["member"], "extend_params");
    for member in ["discountable_amount", "undiscountable_amount"] {
        for bad in [json!(1), json!("0"), json!("1.001"), json!("-1")] {
            let more = json!({ member: bad });
            let told = terminal.put("/v1/payments/A1", &body(&more)).await;
            assert_eq!(told.problem(422, "invalid_amount")["member"], member, "{more}");
        }
    }
    assert!(terminal.fake.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_parts_of_an_amount_add_up() {
    let terminal = Terminal::start();
    for (index, (discountable, undiscountable, member)) in [
        (Some("2.00"), Some("8.00"), None),
        (Some("10.00"), None, None),
        (None, Some("0.01"), None),
        (Some("2.00"), Some("7.99"), Some("discountable_amount")),
        (Some("2.00"), Some("8.01"), Some("discountable_amount")),
        (Some("10.01"), None, Some("discountable_amount")),
        (None, Some("10.01"), Some("undiscountable_amount")),
    ]
    .into_iter()
    .enumerate()
    {
        let more = json!({
            "discountable_amount": discountable, "undiscountable_amount": undiscountable
        });
        let told = terminal.put(&format!("/v1/payments/A{index}"), &body(&more)).await;
        match member {
            None => assert_eq!(told.status, 201, "{more}"),
            Some(member) => {
                assert_eq!(told.problem(422, "invalid_request")["member"], member, "{more}");
            }
        }
    }
}
