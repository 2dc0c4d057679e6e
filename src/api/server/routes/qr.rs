//! What the buyer of a payment scans, as a picture.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::IntoResponse;

use super::{Number, query};
use crate::api::server::answer::Answer;
use crate::api::server::money::Refused;
use crate::api::server::state::Api;
use crate::api::wire::{Code, Problem, ProblemView, params, qr_svg};
use crate::payment::Offer;

/// The QR code of a payment by the method `qr`, as SVG with its quiet zone.
///
/// Show it only while the payment is `awaiting_buyer`.
#[utoipa::path(
    get, path = "/v1/payments/{out_trade_no}/qr.svg", tag = "payments",
    params(("out_trade_no" = String, Path, description = "The merchant order number")),
    responses(
        (status = 200, description = "The picture", body = String, content_type = "image/svg+xml"),
        (status = 404, description = "`not_found`", body = ProblemView, content_type = "application/problem+json"),
        (status = 409, description = "`nothing_to_scan`: another method, not made yet, or over", body = ProblemView, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_order_number`, `invalid_parameter`", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "`journal_unavailable`", body = ProblemView, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_qr(State(api): State<Api>, Number(number): Number, uri: Uri) -> Answer {
    let draw = async {
        params::only(query(&uri), &[])?;
        let payment = api.read(&number).await?;
        let shown = payment.offer().and_then(Offer::qr_code).filter(|_| !payment.is_ending());
        let svg = shown.and_then(qr_svg).ok_or_else(|| {
            let detail = format!("payment {number} is {}", payment.public().name());
            Problem::new(Code::NothingToScan, detail)
        })?;
        let mut response = (StatusCode::OK, svg).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
        // Once it is over nobody may be shown it.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    };
    match draw.await {
        Ok(response) => Ok(response),
        Err(problem) => Err(api.weigh(Refused::Within(&number), problem).await),
    }
}
