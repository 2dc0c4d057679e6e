//! Server-sent events: the journal, as it grows.
//!
//! A stream is a place in the journal and nothing else. It goes on from there
//! when the journal's head moves, a page at a time, and only as fast as its
//! client takes the pages; so a client that reads slowly, or not at all, holds
//! up nobody and costs one page of memory. What is told is made once for all
//! streams ([`super::feed`]).

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::code::Code;
use super::pages::Pages;
use super::params;
use super::peer::Peer;
use super::places::Place;
use super::problem::Problem;
use super::state::Api;
use super::view::{PaymentView, time_text};
use crate::payment::{Entry, Recorded, ScannerNews};

/// `event: scan`: a scanner read something that no payment was waiting for, or
/// that does not pay the one that was; then that payment has a `hint`, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "at": "2026-11-20T10:00:00+08:00", "scanner": "lane-1", "kind": "goods",
    "text": "6901234567892", "aim": "]E0"
}))]
pub struct ScanEvent {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Which scanner.
    pub scanner: String,
    /// What it was: `alipay`, `wechat`, `unionpay`, `other_wallet`,
    /// `collect_code`, `scale_label`, `torn`, `extra_characters`, `goods`,
    /// `unreadable`, `too_early`, or `code_already_used`.
    pub kind: String,
    /// What it read. A star stands for each digit that may be of a payment code.
    pub text: String,
    /// The AIM symbology identifier it came with.
    #[schema(required)]
    pub aim: Option<String>,
}

/// `event: scanner`: a scanner came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "at": "2026-11-20T10:00:00+08:00", "scanner": "lane-1", "news": "plugged", "reason": null
}))]
pub struct ScannerEvent {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Which scanner.
    pub scanner: String,
    /// `plugged`, `unplugged`, or `scan_lost` (it has to be scanned again).
    pub news: String,
    /// Why.
    #[schema(required)]
    pub reason: Option<String>,
}

/// `event: gateway`: the gateway can be reached, or cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "at": "2026-11-20T10:00:00+08:00", "up": true, "reason": null }))]
pub struct GatewayEvent {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// It answers.
    pub up: bool,
    /// Why it does not.
    #[schema(required)]
    pub reason: Option<String>,
}

/// `GET /v1/events`.
pub(super) fn stream(
    api: &Api,
    peer: Peer,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let top = *api.backend.head().borrow();
    let asked = params::after(uri)?;
    // A client that comes back by itself says in the header where it was, and
    // still has the parameter of its first address.
    let after = match headers.get("last-event-id").map(HeaderValue::to_str) {
        Some(Ok(text)) => Some(params::read_event_id("Last-Event-ID", text)?),
        Some(Err(_)) => Some(params::read_event_id("Last-Event-ID", "?")?),
        None => asked,
    };
    let after = after.unwrap_or(top);
    if after > top {
        // Another journal: whoever asks for this has missed nobody knows what.
        let detail = "is beyond the last event; this may be another journal: begin again with 0";
        return Err(Problem::parameter("Last-Event-ID", detail));
    }
    let place = api
        .places
        .streams
        .take(peer.who)
        .map_err(|full| Problem::new(Code::TooManyStreams, full.detail("event streams")))?;

    let (pages, taken) = mpsc::channel(1);
    tokio::spawn(follow(api.clone(), peer, after, pages, place));
    let mut response = Body::new(Pages(taken)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx would keep events until it has a page full of them.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Where the pages go.
type Out = mpsc::Sender<Result<Bytes, Infallible>>;

/// Sends what the journal holds after `sent`, and then what comes, until the
/// client is gone or the daemon ends.
async fn follow(api: Api, peer: Peer, mut sent: u64, pages: Out, _place: Place) {
    let mut head = api.backend.head();
    let mut stopping = api.stopping.clone();
    // Also makes the reply's head leave at once, when there is nothing to tell.
    if pages.send(Ok(Bytes::from_static(b"retry: 1000\n\n"))).await.is_err() {
        return;
    }
    loop {
        let top = *head.borrow_and_update();
        while sent < top {
            // Ends the stream: the client comes back with the last id it has.
            let Ok(told) = api.feed.after(api.backend.as_ref(), sent, top).await else { return };
            let Some(told) = told else { break };
            sent = told.last;
            tokio::select! {
                taken = pages.send(Ok(told.text)) => if taken.is_err() { return },
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
        tokio::select! {
            moved = head.changed() => if moved.is_err() { return },
            () = tokio::time::sleep(api.settings.comment_interval) => {
                // A client that has not taken the last page needs no comment.
                drop(pages.try_send(Ok(Bytes::from_static(b":\n\n"))));
            }
            () = peer.gone() => return,
            () = pages.closed() => return,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// One event. JSON never has a line end in it, so `data:` is one line.
pub(super) fn event_text(recorded: &Recorded) -> Option<String> {
    let at = time_text(recorded.at);
    let data = match &recorded.entry {
        Entry::Payment { payment, .. } => serde_json::to_string(&PaymentView::from(payment)),
        Entry::Scan { scanner, kind, text, aim } => serde_json::to_string(&ScanEvent {
            at,
            scanner: scanner.clone(),
            kind: kind.name().to_owned(),
            text: text.clone(),
            aim: aim.clone(),
        }),
        Entry::Scanner { scanner, news } => {
            let (news, reason) = match news {
                ScannerNews::Plugged => ("plugged", None),
                ScannerNews::Unplugged(why) => ("unplugged", Some(why.clone())),
                ScannerNews::ScanLost(why) => ("scan_lost", Some(why.clone())),
            };
            serde_json::to_string(&ScannerEvent {
                at,
                scanner: scanner.clone(),
                news: news.to_owned(),
                reason,
            })
        }
        Entry::Gateway { up, text } => {
            let reason = Some(text.clone()).filter(|text| !text.is_empty());
            serde_json::to_string(&GatewayEvent { at, up: *up, reason })
        }
    };
    let (id, name) = (recorded.seq, recorded.entry.event_name());
    Some(format!("id: {id}\nevent: {name}\ndata: {}\n\n", data.ok()?))
}
