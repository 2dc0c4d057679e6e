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
use tokio::sync::mpsc;

use super::pages::Pages;
use super::peer::Peer;
use super::places::Place;
use super::state::Api;
use crate::api::wire::{Code, Problem, params};

/// `GET /v1/events`.
pub(super) fn stream(
    api: &Api,
    peer: Peer,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let top = *api.backend.head().borrow();
    let asked = params::after(uri.query().unwrap_or_default())?;
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
