//! The description of the API, made from the code.

use utoipa::OpenApi;

use super::{body, code, events, problem, routes, status, step, view};

/// The description of the API, as served at `GET /v1/openapi.json`.
#[must_use]
pub fn description() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tilld",
        description = "The local API of the payment terminal, on its Unix socket. Amounts are strings in yuan; times are RFC 3339. Additions only within /v1: clients ignore members and events they do not know.",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        routes::put_payment,
        routes::get_payment,
        routes::post_payment,
        routes::list_payments,
        routes::post_code,
        routes::cancel_payment,
        routes::get_journal,
        routes::get_events,
        routes::get_status,
        routes::get_metrics,
        routes::get_description,
    ),
    components(schemas(
        view::PaymentView,
        view::PaymentsView,
        view::StateView,
        view::MoneyView,
        view::CancelActionView,
        view::ReasonView,
        view::HintView,
        view::SentenceView,
        step::JournalView,
        step::StepView,
        step::SentView,
        step::AnsweredView,
        step::ToldView,
        events::ScanEvent,
        events::ScannerEvent,
        events::GatewayEvent,
        status::StatusView,
        status::ScannerStatus,
        status::GatewayView,
        status::Link,
        status::Journal,
        status::ClockView,
        problem::ProblemView,
        code::Code,
        code::Retry,
        body::PayBody,
        body::CodeBody,
    )),
    tags(
        (name = "payments", description = "Taking money"),
        (name = "terminal", description = "The terminal itself"),
    ),
)]
struct Description;
