//! Refunds: asked for, looked at, listed.

use axum::extract::{Extension, FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::{Number, query, read_json};
use crate::api::server::answer::{Answer, json};
use crate::api::server::doors::Sent;
use crate::api::server::peer::Peer;
use crate::api::server::state::Api;
use crate::api::wire::{
    Code, Problem, ProblemView, RefundBody, RefundView, RefundsView, params, refund_request,
};
use crate::payment::{InvalidNumber, OutRequestNo, OutTradeNo};
use crate::terminal::Reply;

/// Gives money of a paid payment back, whole or in part, or finds the refund.
///
/// The register chooses the number. The same request again, at any later time, is
/// the same refund: money goes back once. So after a lost connection the register
/// just sends it again. One refund of a payment is open at a time.
#[utoipa::path(
    put, path = "/v1/payments/{out_trade_no}/refunds/{out_request_no}", tag = "refunds",
    params(
        ("out_trade_no" = String, Path, description = "The merchant order number of the payment"),
        ("out_request_no" = String, Path, description = "The refund's number: 1 to 64 of A-Z a-z 0-9 _, unique for the payment"),
        ("wait" = Option<f64>, Query, description = "Reply when the refund is final, or as it stands after so many seconds (at most 300)"),
    ),
    request_body = RefundBody,
    responses(
        (status = 201, description = "The refund that this request has started", body = RefundView),
        (status = 200, description = "The refund that an equal request had started, as it stands", body = RefundView),
        (status = 400, description = "`invalid_json`", body = ProblemView, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: refunds, or refunds of so much, are for others", body = ProblemView, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`", body = ProblemView, content_type = "application/problem+json"),
        (status = 409, description = "`refund_conflict`, `refund_in_doubt`, `not_paid`, `payment_in_doubt`, `other_account`", body = ProblemView, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemView, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`", body = ProblemView, content_type = "application/problem+json"),
        (status = 422, description = "`refund_exceeds`, `invalid_request`, `invalid_amount`, `invalid_order_number`, `invalid_refund_number`, `invalid_parameter`", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "`journal_unavailable`, `clock_wrong`, `keys_unproven`, `app_key_wrong`, `alipay_key_wrong`, `too_many_open`, `draining`, `stopping`, `too_many_waiting`", body = ProblemView, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn put_refund(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Numbers(number, request): Numbers,
    uri: Uri,
    headers: HeaderMap,
    Extension(sent): Extension<Sent>,
) -> Answer {
    let give_back = async {
        let wait = api.wait(params::wait(query(&uri))?, &peer)?;
        let bytes = read_json(&headers, sent)?;
        let ask = refund_request(&bytes, number.clone(), request.clone())?;
        api.may_refund(&peer, ask.amount)?;
        let (refund, started) = match api.backend.refund(ask, peer.asker()).await? {
            Reply::Refund { refund, started } => (*refund, started),
            Reply::Denied(denied) => return Err(denied.into()),
            Reply::Started(_) | Reply::Stands(_) => return Err(Problem::not_about_this()),
        };
        let refund = api.refund_settled(refund, wait).await?;
        let status = if started { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = json(status, &RefundView::from(&refund))?;
        let path = format!("/v1/payments/{number}/refunds/{request}");
        if let Ok(path) = HeaderValue::from_str(&path) {
            response.headers_mut().insert(header::LOCATION, path);
        }
        Ok(response)
    };
    match give_back.await {
        Ok(response) => Ok(response),
        Err(problem) => Err(api.weigh_refund(&number, problem).await),
    }
}

/// A refund, as it stands.
#[utoipa::path(
    get, path = "/v1/payments/{out_trade_no}/refunds/{out_request_no}", tag = "refunds",
    params(
        ("out_trade_no" = String, Path, description = "The merchant order number of the payment"),
        ("out_request_no" = String, Path, description = "The refund's number"),
        ("wait" = Option<f64>, Query, description = "Reply when the refund is final, or as it stands after so many seconds (at most 300)"),
    ),
    responses(
        (status = 200, description = "The refund", body = RefundView),
        (status = 404, description = "`not_found`", body = ProblemView, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_parameter`, `invalid_order_number`, `invalid_refund_number`", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "`journal_unavailable`, `too_many_waiting`", body = ProblemView, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_refund(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Numbers(number, request): Numbers,
    uri: Uri,
) -> Answer {
    let look = async {
        let wait = api.wait(params::wait(query(&uri))?, &peer)?;
        let refund = api.refund_settled(api.read_refund(&number, &request).await?, wait).await?;
        json(StatusCode::OK, &RefundView::from(&refund))
    };
    match look.await {
        Ok(response) => Ok(response),
        Err(problem) => Err(api.weigh_refund(&number, problem).await),
    }
}

/// The refunds of a payment, oldest first.
#[utoipa::path(
    get, path = "/v1/payments/{out_trade_no}/refunds", tag = "refunds",
    params(("out_trade_no" = String, Path, description = "The merchant order number of the payment")),
    responses(
        (status = 200, description = "The refunds, the terminal's own among them", body = RefundsView),
        (status = 404, description = "`not_found`", body = ProblemView, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_parameter`, `invalid_order_number`", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "`journal_unavailable`, `too_many_lists`", body = ProblemView, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list_refunds(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Number(number): Number,
    uri: Uri,
) -> Answer {
    params::only(query(&uri), &[])?;
    let _place = api.list_place(&peer)?;
    let refunds = api.backend.refunds_of(number.clone()).await?;
    if refunds.is_empty() {
        // Then it has none, or there is no such payment.
        api.read(&number).await?;
    }
    json(StatusCode::OK, &RefundsView { refunds: refunds.iter().map(RefundView::from).collect() })
}

/// The two numbers in the path of a refund.
pub(super) struct Numbers(OutTradeNo, OutRequestNo);

impl<S: Send + Sync> FromRequestParts<S> for Numbers {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((number, request)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Code::InvalidOrderNumber, "the path is not UTF-8"))?;
        let number = number.parse().map_err(|why: InvalidNumber| {
            Problem::new(Code::InvalidOrderNumber, why.to_string())
        })?;
        let request = request.parse().map_err(|_: InvalidNumber| {
            let detail = "a refund number has 1 to 64 of the characters A-Z a-z 0-9 _";
            Problem::new(Code::InvalidRefundNumber, detail)
        })?;
        Ok(Self(number, request))
    }
}
