//! What the journal holds of a payment.

use axum::extract::{Extension, State};
use axum::http::{StatusCode, Uri};

use super::{Number, query};
use crate::api::server::answer::{Answer, json};
use crate::api::server::peer::Peer;
use crate::api::server::state::Api;
use crate::api::wire::{JournalView, Problem, ProblemView, StepView, params};

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
    params::only(query(&uri), &[])?;
    let _place = api.list_place(&peer)?;
    let steps = api.backend.steps_of(number.clone()).await?;
    let entries: Vec<_> = steps.iter().filter_map(StepView::of).collect();
    if entries.is_empty() {
        return Err(Problem::not_found(&number));
    }
    json(StatusCode::OK, &JournalView { entries })
}
