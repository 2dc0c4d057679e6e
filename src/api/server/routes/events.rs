//! What happens, as it happens.

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Uri};

use crate::api::server::answer::Answer;
use crate::api::server::events;
use crate::api::server::peer::Peer;
use crate::api::server::state::Api;
use crate::api::wire::ProblemView;

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
