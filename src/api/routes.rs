//! The requests, one function each: text into values, the backend, values into
//! text.

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use hyper::body::Bytes;
use serde::Serialize;

use super::code::Code;
use super::doors::Sent;
use super::money::Refused;
use super::openapi;
use super::params::{self, Number};
use super::peer::Peer;
use super::problem::{Problem, ProblemView};
use super::ready::ReadyView;
use super::state::{Api, Wait};
use super::status::StatusView;
use super::step::{JournalView, StepView};
use super::view::{PaymentView, PaymentsView};
use super::{body, events, list, metrics};
use crate::payment::Public;
use crate::terminal::Reply;

type Answer = Result<Response, Problem>;

pub(super) fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/payments", get(list_payments).post(post_payment))
        .route("/v1/payments/{out_trade_no}", put(put_payment).get(get_payment))
        .route("/v1/payments/{out_trade_no}/code", post(post_code))
        .route("/v1/payments/{out_trade_no}/cancel", post(cancel_payment))
        .route("/v1/payments/{out_trade_no}/journal", get(get_journal))
        .route("/v1/events", get(get_events))
        .route("/v1/status", get(get_status))
        .route("/v1/ready", get(get_ready))
        .route("/v1/openapi.json", get(get_description))
        .route("/metrics", get(get_metrics))
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(api)
}

/// Starts a payment, or finds it.
///
/// The register chooses the merchant order number. The same request again, at
/// any later time, is the same payment: nothing is charged twice. So after a
/// lost connection the register just sends it again.
#[utoipa::path(
    put, path = "/v1/payments/{out_trade_no}", tag = "payments",
    params(
        ("out_trade_no" = String, Path, description = "The merchant order number: 1 to 64 of A-Z a-z 0-9 _"),
        ("wait" = Option<f64>, Query, description = "Reply when the payment is final, or as it stands after so many seconds (at most 300)"),
    ),
    request_body = body::PayBody,
    responses(
        (status = 201, description = "The payment that this request has started", body = PaymentView),
        (status = 200, description = "The payment that an equal request had started, as it stands", body = PaymentView),
        (status = 400, description = "`invalid_json`", body = ProblemView, content_type = "application/problem+json"),
        (status = 409, description = "`order_conflict`, `scanner_busy`, `sale_in_doubt`, `sale_already_paid`, `code_already_used`", body = ProblemView, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemView, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`", body = ProblemView, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_request`, `invalid_amount`, `invalid_order_number`, `invalid_parameter`, `not_a_payment_code`, `unknown_scanner`, `scanner_needed`", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "`journal_unavailable`, `clock_wrong`, `keys_unproven`, `app_key_wrong`, `alipay_key_wrong`, `too_many_open`, `draining`, `stopping`, `too_many_waiting`", body = ProblemView, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn put_payment(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Number(number): Number,
    uri: Uri,
    headers: HeaderMap,
    Extension(sent): Extension<Sent>,
) -> Answer {
    let mut sales = Vec::new();
    let pay = async {
        let wait = api.wait(params::wait(&uri)?, &peer)?;
        let bytes = read_json(&headers, sent)?;
        sales = body::sales_of(&bytes);
        let request = body::pay_request(&bytes, number.clone(), false)?;
        let reply = api.backend.pay(request, peer.asker()).await?;
        started(&api, reply, wait).await
    };
    match pay.await {
        Ok(response) => Ok(response),
        Err(problem) => Err(api.weigh(Refused::Begin(Some(&number), &sales), problem).await),
    }
}

/// Starts a payment for a sale, or finds it.
///
/// For registers without numbers of their own: `sale` is the key. The same sale
/// again replies with its open or paid payment.
#[utoipa::path(
    post, path = "/v1/payments", tag = "payments",
    params(
        ("wait" = Option<f64>, Query, description = "Reply when the payment is final, or as it stands after so many seconds (at most 300)"),
    ),
    request_body = body::PayBody,
    responses(
        (status = 201, description = "The payment that this request has started; `Location` has its path", body = PaymentView),
        (status = 200, description = "The sale's open or paid payment, as it stands", body = PaymentView),
        (status = 400, description = "`invalid_json`", body = ProblemView, content_type = "application/problem+json"),
        (status = 409, description = "`order_conflict`, `scanner_busy`, `sale_in_doubt`, `sale_already_paid`, `code_already_used`", body = ProblemView, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemView, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`", body = ProblemView, content_type = "application/problem+json"),
        (status = 422, description = "As for `PUT`", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "As for `PUT`", body = ProblemView, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn post_payment(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
    Extension(sent): Extension<Sent>,
) -> Answer {
    let mut sales = Vec::new();
    let pay = async {
        let wait = api.wait(params::wait(&uri)?, &peer)?;
        let bytes = read_json(&headers, sent)?;
        sales = body::sales_of(&bytes);
        let request = body::pay_request(&bytes, api.backend.fresh_number(), true)?;
        let reply = api.backend.pay(request, peer.asker()).await?;
        started(&api, reply, wait).await
    };
    match pay.await {
        Ok(response) => Ok(response),
        Err(problem) => Err(api.weigh(Refused::Begin(None, &sales), problem).await),
    }
}

/// Brings the payment code.
///
/// What the register scanned or the cashier typed, for a payment that waits for
/// a code.
#[utoipa::path(
    post, path = "/v1/payments/{out_trade_no}/code", tag = "payments",
    params(
        ("out_trade_no" = String, Path, description = "The merchant order number"),
        ("wait" = Option<f64>, Query, description = "Reply when the payment is final, or as it stands after so many seconds (at most 300)"),
    ),
    request_body = body::CodeBody,
    responses(
        (status = 200, description = "The payment, as it stands", body = PaymentView),
        (status = 404, description = "`not_found`", body = ProblemView, content_type = "application/problem+json"),
        (status = 409, description = "`not_awaiting_code`, `code_already_used`", body = ProblemView, content_type = "application/problem+json"),
        (status = 422, description = "`not_a_payment_code`, `invalid_request`, `invalid_order_number`", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "`journal_unavailable`, `stopping`, `too_many_waiting`", body = ProblemView, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn post_code(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Number(number): Number,
    uri: Uri,
    headers: HeaderMap,
    Extension(sent): Extension<Sent>,
) -> Answer {
    let bring = async {
        let wait = api.wait(params::wait(&uri)?, &peer)?;
        let bytes = read_json(&headers, sent)?;
        let code = body::code_request(&bytes)?;
        match api.backend.code(number.clone(), code, peer.asker()).await? {
            Reply::Started(payment) | Reply::Stands(payment) => {
                let payment = api.settled(payment, wait).await?;
                json(StatusCode::OK, &api.view(&payment))
            }
            Reply::Denied(denied) => Err(denied.into()),
        }
    };
    match bring.await {
        Ok(response) => Ok(response),
        Err(problem) => Err(api.weigh(Refused::Within(&number), problem).await),
    }
}

/// The payment, as it stands.
#[utoipa::path(
    get, path = "/v1/payments/{out_trade_no}", tag = "payments",
    params(
        ("out_trade_no" = String, Path, description = "The merchant order number"),
        ("wait" = Option<f64>, Query, description = "Reply when the payment is final, or as it stands after so many seconds (at most 300)"),
    ),
    responses(
        (status = 200, description = "The payment", body = PaymentView),
        (status = 404, description = "`not_found`", body = ProblemView, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_parameter`, `invalid_order_number`", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "`journal_unavailable`, `too_many_waiting`", body = ProblemView, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_payment(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Number(number): Number,
    uri: Uri,
) -> Answer {
    let look = async {
        let wait = api.wait(params::wait(&uri)?, &peer)?;
        let payment = api.settled(api.read(&number).await?, wait).await?;
        json(StatusCode::OK, &api.view(&payment))
    };
    match look.await {
        Ok(response) => Ok(response),
        Err(problem) => Err(api.weigh(Refused::Within(&number), problem).await),
    }
}

/// The cashier gives up.
///
/// The payment is driven to `cancelled`; or it turns out to be paid, now or on
/// the way, and takes a refund. A payment that is declined or cancelled already
/// is replied with as it stands.
#[utoipa::path(
    post, path = "/v1/payments/{out_trade_no}/cancel", tag = "payments",
    params(
        ("out_trade_no" = String, Path, description = "The merchant order number"),
        ("wait" = Option<f64>, Query, description = "Reply when the payment is final, or as it stands after so many seconds (at most 300)"),
    ),
    responses(
        (status = 200, description = "The payment, as it stands", body = PaymentView),
        (status = 202, description = "The payment; its cancel is going on, and nobody waited for its end (also when too many wait already)", body = PaymentView),
        (status = 404, description = "`not_found`", body = ProblemView, content_type = "application/problem+json"),
        (status = 409, description = "`already_paid`", body = ProblemView, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_parameter`, `invalid_order_number`", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "`journal_unavailable`, `stopping`", body = ProblemView, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn cancel_payment(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Number(number): Number,
    uri: Uri,
) -> Answer {
    let cancel = async {
        // A stop is done, whether or not there is a place to wait for its end.
        let wait = api.wait(params::wait(&uri)?, &peer).ok().flatten();
        let waits = wait.is_some();
        let payment = match api.backend.stop(number.clone(), peer.asker()).await? {
            Reply::Started(payment) | Reply::Stands(payment) => api.settled(payment, wait).await?,
            Reply::Denied(denied) => return Err(denied.into()),
        };
        if payment.public() == Public::Paid {
            return Err(Problem::already_paid(&payment));
        }
        let going_on = !payment.is_final() && !waits;
        let status = if going_on { StatusCode::ACCEPTED } else { StatusCode::OK };
        json(status, &api.view(&payment))
    };
    match cancel.await {
        Ok(response) => Ok(response),
        Err(problem) => Err(api.weigh(Refused::Within(&number), problem).await),
    }
}

/// Payments, newest first.
#[utoipa::path(
    get, path = "/v1/payments", tag = "payments",
    params(
        ("state" = Option<String>, Query, description = "One state, or `open` for all that are not final"),
        ("since" = Option<String>, Query, description = "Created at this time or after it (RFC 3339 with an offset)"),
        ("limit" = Option<u64>, Query, description = "At most so many, 1 to 500; 100 if not given", minimum = 1, maximum = 500),
        ("sale" = Option<String>, Query, description = "Attempts at this sale only"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the part before"),
    ),
    responses(
        (status = 200, description = "A part of the list", body = PaymentsView),
        (status = 422, description = "`invalid_parameter`", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "`journal_unavailable`", body = ProblemView, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list_payments(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    uri: Uri,
) -> Answer {
    let filter = params::filter(&uri)?;
    let place = api.list_place(&peer)?;
    list::stream(&api, filter, place).await
}

/// Every step ever journaled for the payment.
#[utoipa::path(
    get, path = "/v1/payments/{out_trade_no}/journal", tag = "payments",
    params(("out_trade_no" = String, Path, description = "The merchant order number")),
    responses(
        (status = 200, description = "The steps, oldest first", body = JournalView),
        (status = 404, description = "`not_found`", body = ProblemView, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_order_number`", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "`journal_unavailable`", body = ProblemView, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_journal(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Number(number): Number,
    uri: Uri,
) -> Answer {
    params::only(&uri, &[])?;
    let _place = api.list_place(&peer)?;
    let steps = api.backend.steps_of(number.clone()).await?;
    let entries: Vec<_> = steps.iter().filter_map(StepView::of).collect();
    if entries.is_empty() {
        return Err(Problem::not_found(&number));
    }
    json(StatusCode::OK, &JournalView { entries })
}

/// What happens, as it happens.
///
/// Server-sent events `payment` (the payment after each change), `scan`,
/// `scanner` and `gateway`. `id` is the number of the journal's entry: who comes
/// back with `Last-Event-ID` misses nothing, also over a restart of the daemon.
/// Without it the stream starts at the present; `0` replays everything.
#[utoipa::path(
    get, path = "/v1/events", tag = "terminal",
    params(
        ("Last-Event-ID" = Option<u64>, Header, description = "Go on after this event; 0 for all"),
        ("after" = Option<u64>, Query, description = "The same, for clients that cannot set headers"),
        ("lastEventId" = Option<u64>, Query, description = "The same, as polyfills of EventSource write it"),
    ),
    responses(
        (status = 200, description = "`data` is a Payment, ScanEvent, ScannerEvent or GatewayEvent, by the event's name", body = String, content_type = "text/event-stream"),
        (status = 422, description = "`invalid_parameter`", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "`too_many_streams`", body = ProblemView, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_events(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    events::stream(&api, peer, &uri, &headers)
}

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

/// A path may hold anything, so it is not repeated.
async fn no_such_route() -> Problem {
    Problem::new(Code::NoSuchRoute, "the paths are listed in /v1/openapi.json")
}

async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(Code::MethodNotAllowed, format!("{method} is not known here; see Allow"))
}

async fn started(api: &Api, reply: Reply, wait: Option<Wait>) -> Answer {
    let (status, payment) = match reply {
        Reply::Started(payment) => (StatusCode::CREATED, payment),
        Reply::Stands(payment) => (StatusCode::OK, payment),
        Reply::Denied(denied) => return Err(denied.into()),
    };
    let payment = api.settled(payment, wait).await?;
    let mut response = json(status, &api.view(&payment))?;
    let path = format!("/v1/payments/{}", payment.order().out_trade_no);
    if let Ok(path) = HeaderValue::from_str(&path) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    Ok(response)
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value)
        .map_err(|_| Problem::new(Code::Internal, "the reply could not be written as JSON"))?;
    let mut response = (status, body).into_response();
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
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
