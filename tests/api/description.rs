//! The OpenAPI document: that it is one, that it is whole, and that what is
//! really said is what it says.

use serde_json::{Value, json};
use tilld::payment::{Call, State};

use crate::client::Terminal;
use crate::fake::payment;

#[tokio::test]
async fn it_is_openapi_3_1_and_lists_every_route() {
    let terminal = Terminal::start();
    let document = terminal.get("/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    for (path, methods) in [
        ("/v1/payments", &["get", "post"][..]),
        ("/v1/payments/{out_trade_no}", &["get", "put"]),
        ("/v1/payments/{out_trade_no}/code", &["post"]),
        ("/v1/payments/{out_trade_no}/cancel", &["post"]),
        ("/v1/payments/{out_trade_no}/journal", &["get"]),
        ("/v1/events", &["get"]),
        ("/v1/status", &["get"]),
        ("/v1/ready", &["get"]),
        ("/v1/openapi.json", &["get"]),
        ("/metrics", &["get"]),
    ] {
        let operations = document["paths"][path].as_object().expect(path);
        let mut given: Vec<_> = operations.keys().map(String::as_str).collect();
        given.sort_unstable();
        assert_eq!(given, methods, "{path}");
        for method in methods {
            let operation = &operations[*method];
            assert!(operation["summary"].is_string(), "{method} {path}");
            // What the document lists is there: no route, no method is made up.
            let method = method.to_ascii_uppercase();
            let real = path.replace("{out_trade_no}", "A1");
            if real != "/v1/events" {
                let told = terminal.ask(&method, &real, &[], "").await;
                assert_ne!(told.status, 405, "{method} {path}");
                assert!(!told.body.contains("problem:no_such_route\""), "{method} {path}");
            }
        }
    }
}

/// What is read by a generator of clients.
#[tokio::test]
async fn it_says_where_to_call_and_what_every_request_can_be_told() {
    let terminal = Terminal::start();
    let document = terminal.get("/v1/openapi.json").await.json();
    assert_eq!(document["servers"].as_array().expect("servers").len(), 2);
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            for status in ["400", "401", "403", "408", "500", "503"] {
                let answer = &operation["responses"][status];
                assert!(
                    answer["content"]["application/problem+json"].is_object(),
                    "{method} {path} {status}"
                );
            }
        }
    }
    // A word that is added later must not break a client.
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(schemas.values().all(|schema| schema.get("enum").is_none()));
    let words = |name: &str| schemas[name]["x-extensible-enum"].as_array().unwrap().len();
    assert_eq!(words("ProblemCode"), tilld::api::Code::ALL.len());
    assert_eq!(words("Money"), tilld::payment::Money::ALL.len());
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_example_fits() {
    let terminal = Terminal::start();
    let document = terminal.get("/v1/openapi.json").await.json();
    references(&document, &mut |name| {
        assert!(document.pointer(name.trim_start_matches('#')).is_some(), "{name}");
    });
    let mut examples = 0;
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for example in schema.get("example").into_iter() {
            examples += 1;
            fits(&document, schema, example, name);
        }
    }
    assert!(examples >= 10, "{examples} examples");
    // The checker itself can say no.
    let broken = json!({ "zh": "x" });
    let schema = &document["components"]["schemas"]["Sentence"];
    assert!(std::panic::catch_unwind(|| fits(&document, schema, &broken, "broken")).is_err());
}

#[tokio::test]
async fn what_is_really_said_fits_as_well() {
    let terminal = Terminal::start();
    let document = terminal.get("/v1/openapi.json").await.json();
    let open = payment("A1", State::Paying);
    terminal.fake.journal_call(&open, Call::Pay, "28**************94");
    terminal.fake.becomes("A1", State::Paid);
    for (schema, told) in [
        ("Payment", terminal.get("/v1/payments/A1").await),
        ("Payments", terminal.get("/v1/payments").await),
        ("JournalOfPayment", terminal.get("/v1/payments/A1/journal").await),
        ("Status", terminal.get("/v1/status").await),
        ("Ready", terminal.get("/v1/ready").await),
        ("Problem", terminal.post("/v1/payments/A1/cancel", "").await),
        ("Problem", terminal.put("/v1/payments/A2", "{}").await),
    ] {
        fits(&document, &document["components"]["schemas"][schema], &told.json(), schema);
    }
}

fn references(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("$ref", Value::String(to)) => found(to),
                    _ => references(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// As much of JSON Schema as the document uses.
fn fits(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(to) = schema["$ref"].as_str() {
        let schema = document.pointer(to.trim_start_matches('#')).expect(to);
        return fits(document, schema, value, place);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let one = choices.iter().any(|schema| {
                std::panic::catch_unwind(|| fits(document, schema, value, place)).is_ok()
            });
            assert!(one, "{place}: {value} fits none of {choices:?}");
        }
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(kinds.is_empty() || kinds.contains(&kind), "{place}: {value} is not {kinds:?}");
    if let Some(allowed) = schema["x-extensible-enum"].as_array() {
        assert!(allowed.contains(value), "{place}: {value} is none of {allowed:?}");
    }
    if let (Some(members), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for required in schema["required"].as_array().into_iter().flatten() {
            let name = required.as_str().unwrap();
            assert!(members.contains_key(name), "{place}: {name} is missing");
        }
        for (name, member) in members {
            let schema = known.get(name).unwrap_or_else(|| panic!("{place}: {name} is unknown"));
            fits(document, schema, member, &format!("{place}.{name}"));
        }
    }
    for item in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], item, place);
    }
}
