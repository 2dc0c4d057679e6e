//! What the journal holds of a payment.

use axum::extract::{Extension, State};
use axum::http::Uri;

use super::{Number, query};
use crate::api::server::answer::Answer;
use crate::api::server::list::{self, Listed};
use crate::api::server::peer::Peer;
use crate::api::server::state::Api;
use crate::api::wire::{JournalView, ProblemView, params};

/// Every step ever journaled for the payment.
#[utoipa::path(
    get, path = "/v1/payments/{out_trade_no}/journal", tag = "payments",
    params(
        ("out_trade_no" = String, Path, description = "The merchant order number"),
        ("limit" = Option<u64>, Query, description = "At most so many, 1 to 500; 100 if not given", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the part before"),
    ),
    responses(
        (status = 200, description = "A part of the steps, oldest first", body = JournalView),
        (status = 404, description = "`not_found`", body = ProblemView, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_parameter`, `invalid_order_number`", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "`journal_unavailable`", body = ProblemView, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_journal(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Number(number): Number,
    uri: Uri,
) -> Answer {
    let part = params::part(query(&uri))?;
    let place = api.list_place(&peer)?;
    list::stream(&api, Listed::Steps(number), part, place).await
}
