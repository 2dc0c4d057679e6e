//! The description of the API, made from the code.

use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::routes::{events, journal, payments, qr, refunds, terminal};
use crate::api::wire;

/// The description of the API, as served at `GET /v1/openapi.json`.
#[must_use]
pub fn description() -> Value {
    let mut document = serde_json::to_value(Description::openapi()).unwrap_or_default();
    if let Some(schemas) = at(&mut document, "/components/schemas") {
        schemas.values_mut().for_each(open_enum);
    }
    if let Some(paths) = at(&mut document, "/paths") {
        let operations = paths.values_mut().filter_map(Value::as_object_mut);
        for operation in operations.flat_map(Map::values_mut) {
            answer_as_all_do(operation);
        }
    }
    if let Some(components) = at(&mut document, "/components") {
        let token = json!({
            "type": "http", "scheme": "bearer",
            "description": "The token of the configuration; asked for on the port only"
        });
        components.insert("securitySchemes".to_owned(), json!({ "token": token }));
    }
    if let Some(whole) = document.as_object_mut() {
        whole.insert("security".to_owned(), json!([{}, { "token": [] }]));
        let servers = json!([
            { "url": "http://tilld", "description": "The Unix socket; any host name does" },
            {
                "url": "http://{address}", "description": "The port, where it is switched on",
                "variables": { "address": { "default": "127.0.0.1:7580" } }
            }
        ]);
        whole.insert("servers".to_owned(), servers);
    }
    document
}

fn at<'a>(document: &'a mut Value, place: &str) -> Option<&'a mut Map<String, Value>> {
    document.pointer_mut(place)?.as_object_mut()
}

/// Words are added within /v1, so a program that was generated from this must
/// take one that it does not know.
fn open_enum(schema: &mut Value) {
    if let Some(schema) = schema.as_object_mut()
        && let Some(words) = schema.remove("enum")
    {
        schema.insert("x-extensible-enum".to_owned(), words);
    }
}

/// What every request can be told before anybody looks at what it wants.
fn answer_as_all_do(operation: &mut Value) {
    let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, codes) in [
        ("400", "`repeated_header`"),
        ("401", "`unauthorized`, on the port"),
        ("403", "`forbidden`; `foreign_host`, on the port"),
        ("408", "`request_timeout`"),
        ("500", "`internal`"),
        ("503", "`too_many_connections`"),
    ] {
        let problem = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
        let answer = json!({
            "description": codes, "content": { "application/problem+json": problem }
        });
        answers.entry(status).or_insert(answer);
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tilld",
        description = "The local API of the payment terminal, on its Unix socket. Amounts are strings in yuan; times are RFC 3339. Additions only within /v1: clients ignore members and events they do not know.",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        payments::put_payment,
        payments::get_payment,
        payments::post_payment,
        payments::list_payments,
        payments::post_code,
        payments::cancel_payment,
        journal::get_journal,
        qr::get_qr,
        refunds::put_refund,
        refunds::get_refund,
        refunds::list_refunds,
        events::get_events,
        terminal::get_status,
        terminal::get_ready,
        terminal::get_metrics,
        terminal::get_description,
    ),
    components(schemas(
        wire::PaymentView,
        wire::PaymentsView,
        wire::StateView,
        wire::MoneyView,
        wire::CancelActionView,
        wire::ReasonView,
        wire::HintView,
        wire::ReceiptView,
        wire::SentenceView,
        wire::RefundView,
        wire::RefundsView,
        wire::RefundStateView,
        wire::CauseView,
        wire::JournalView,
        wire::StepView,
        wire::AskerView,
        wire::SentView,
        wire::AnsweredView,
        wire::ToldView,
        wire::ScanEvent,
        wire::ScannerEvent,
        wire::GatewayEvent,
        wire::StatusView,
        wire::ScannerStatus,
        wire::GatewayView,
        wire::KeysView,
        wire::KeyState,
        wire::ReadyView,
        wire::ReasonNotReady,
        wire::Link,
        wire::Journal,
        wire::ClockView,
        wire::ProblemView,
        wire::Code,
        wire::Retry,
        wire::PayBody,
        wire::RefundBody,
        wire::CodeBody,
    )),
    tags(
        (name = "payments", description = "Taking money"),
        (name = "refunds", description = "Giving it back"),
        (name = "terminal", description = "The terminal itself"),
    ),
)]
struct Description;
