//! The requests, one function each: text into values, the backend, values into
//! text.

pub(super) mod events;
pub(super) mod journal;
pub(super) mod payments;
pub(super) mod qr;
pub(super) mod refunds;
pub(super) mod terminal;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::routing::{get, post, put};
use hyper::body::Bytes;

use super::doors::Sent;
use super::state::Api;
use crate::api::wire::{Code, Problem};
use crate::payment::OutTradeNo;

pub(super) fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/payments", get(payments::list_payments).post(payments::post_payment))
        .route("/v1/payments/{out_trade_no}", put(payments::put_payment).get(payments::get_payment))
        .route("/v1/payments/{out_trade_no}/code", post(payments::post_code))
        .route("/v1/payments/{out_trade_no}/cancel", post(payments::cancel_payment))
        .route("/v1/payments/{out_trade_no}/journal", get(journal::get_journal))
        .route("/v1/payments/{out_trade_no}/qr.svg", get(qr::get_qr))
        .route("/v1/payments/{out_trade_no}/refunds", get(refunds::list_refunds))
        .route(
            "/v1/payments/{out_trade_no}/refunds/{out_request_no}",
            put(refunds::put_refund).get(refunds::get_refund),
        )
        .route("/v1/events", get(events::get_events))
        .route("/v1/status", get(terminal::get_status))
        .route("/v1/ready", get(terminal::get_ready))
        .route("/v1/openapi.json", get(terminal::get_description))
        .route("/metrics", get(terminal::get_metrics))
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(api)
}

/// A path may hold anything, so it is not repeated.
async fn no_such_route() -> Problem {
    Problem::new(Code::NoSuchRoute, "the paths are listed in /v1/openapi.json")
}

async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(Code::MethodNotAllowed, format!("{method} is not known here; see Allow"))
}

/// The merchant order number in the path.
pub(super) struct Number(OutTradeNo);

impl<S: Send + Sync> FromRequestParts<S> for Number {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let wrong = |detail: String| Problem::new(Code::InvalidOrderNumber, detail);
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| wrong("the path is not UTF-8".to_owned()))?;
        text.parse()
            .map(Number)
            .map_err(|why: crate::payment::InvalidNumber| wrong(why.to_string()))
    }
}

/// What stands behind the question mark.
fn query(uri: &Uri) -> &str {
    uri.query().unwrap_or_default()
}

/// The body of a request that must be JSON.
fn read_json(headers: &HeaderMap, Sent(body): Sent) -> Result<Bytes, Problem> {
    is_json(headers)?;
    body
}

/// No declaration counts as JSON, and so does the one that `curl -d` makes by
/// itself; another one does not.
fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let detail = "the body is compressed (Content-Encoding); send it as it is";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let Some(declared) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let kind = declared.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let accepted = ["application/json", "application/x-www-form-urlencoded"];
    if accepted.iter().any(|accepted| kind.eq_ignore_ascii_case(accepted)) {
        Ok(())
    } else {
        let detail = "send the body as content-type: application/json";
        Err(Problem::new(Code::UnsupportedMediaType, detail))
    }
}
