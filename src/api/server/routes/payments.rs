//! Payments: begun, looked at, given a code, given up, listed.

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::{Number, query, read_json};
use crate::api::server::answer::{Answer, json};
use crate::api::server::doors::Sent;
use crate::api::server::list::{self, Listed};
use crate::api::server::money::Refused;
use crate::api::server::peer::Peer;
use crate::api::server::state::{Api, Wait};
use crate::api::wire::{
    CodeBody, PayBody, PaymentView, PaymentsView, Problem, ProblemView, body, members, params,
};
use crate::payment::{Payment, Public};
use crate::terminal::Reply;

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
    request_body = PayBody,
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
        let wait = api.wait(params::wait(query(&uri))?, &peer)?;
        let bytes = read_json(&headers, sent)?;
        sales = members::sales_of(&bytes);
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
    request_body = PayBody,
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
        let wait = api.wait(params::wait(query(&uri))?, &peer)?;
        let bytes = read_json(&headers, sent)?;
        sales = members::sales_of(&bytes);
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
    request_body = CodeBody,
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
        let wait = api.wait(params::wait(query(&uri))?, &peer)?;
        let bytes = read_json(&headers, sent)?;
        let code = body::code_request(&bytes)?;
        let reply = api.backend.code(number.clone(), code, peer.asker()).await?;
        let payment = api.settled(payment_of(reply)?.1, wait).await?;
        json(StatusCode::OK, &api.view(&payment).await?)
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
        let wait = api.wait(params::wait(query(&uri))?, &peer)?;
        let payment = api.settled(api.read(&number).await?, wait).await?;
        json(StatusCode::OK, &api.view(&payment).await?)
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
        let wait = api.wait(params::wait(query(&uri))?, &peer).ok().flatten();
        let waits = wait.is_some();
        let reply = api.backend.stop(number.clone(), peer.asker()).await?;
        let payment = api.settled(payment_of(reply)?.1, wait).await?;
        if payment.public() == Public::Paid {
            return Err(Problem::already_paid(&payment));
        }
        let going_on = !payment.is_final() && !waits;
        let status = if going_on { StatusCode::ACCEPTED } else { StatusCode::OK };
        json(status, &api.view(&payment).await?)
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
    let filter = params::filter(query(&uri))?;
    let place = api.list_place(&peer)?;
    let part = filter.part;
    list::stream(&api, Listed::Payments(filter), part, place).await
}

async fn started(api: &Api, reply: Reply, wait: Option<Wait>) -> Answer {
    let (status, payment) = payment_of(reply)?;
    let payment = api.settled(payment, wait).await?;
    let mut response = json(status, &api.view(&payment).await?)?;
    let path = format!("/v1/payments/{}", payment.order().out_trade_no);
    if let Ok(path) = HeaderValue::from_str(&path) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    Ok(response)
}

/// The payment in a reply, and whether the request has started it.
fn payment_of(reply: Reply) -> Result<(StatusCode, Payment), Problem> {
    match reply {
        Reply::Started(payment) => Ok((StatusCode::CREATED, payment)),
        Reply::Stands(payment) => Ok((StatusCode::OK, payment)),
        Reply::Denied(denied) => Err(denied.into()),
        Reply::Refund { .. } => Err(Problem::not_about_this()),
    }
}
