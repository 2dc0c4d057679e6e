//! The terminal itself: how it is, whether it may begin, its figures, its
//! description.

use axum::extract::State;
use axum::http::StatusCode;

use crate::api::server::answer::{Answer, json};
use crate::api::server::state::Api;
use crate::api::server::{metrics, openapi};
use crate::api::wire::{ProblemView, ReadyView, StatusView};

/// How the terminal is.
#[utoipa::path(
    get, path = "/v1/status", tag = "terminal",
    responses((status = 200, description = "Its scanners, gateway, keys, journal and clock", body = StatusView)),
)]
pub(super) async fn get_status(State(api): State<Api>) -> Answer {
    json(StatusCode::OK, &StatusView::from(api.backend.status()))
}

/// May a payment begin now?
///
/// For what watches over shops, and for a register before its first customer.
/// `gateway_unreachable` alone denies no payment: it would end `cancelled`.
#[utoipa::path(
    get, path = "/v1/ready", tag = "terminal",
    responses(
        (status = 200, description = "A payment may begin", body = ReadyView),
        (status = 503, description = "None may, or none can reach Alipay, and why: `keys_unproven`, `app_key_wrong`, `alipay_key_wrong`, `gateway_unreachable`, `clock_wrong`, `journal_unavailable`, `draining`, `stopping`; or as for every request, `too_many_connections`", content((ReadyView = "application/json"), (ProblemView = "application/problem+json"))),
    ),
)]
pub(super) async fn get_ready(State(api): State<Api>) -> Answer {
    let view = ReadyView::of(&api.backend.status());
    let status = if view.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &view)
}

/// Figures for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "terminal",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text")),
)]
pub(super) async fn get_metrics(State(api): State<Api>) -> Answer {
    metrics::scrape(&api)
}

/// This description.
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "terminal",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
)]
pub(super) async fn get_description() -> Answer {
    json(StatusCode::OK, &openapi::description())
}
