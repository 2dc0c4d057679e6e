//! Lists, sent as they are read: a page of the journal at a time, and the next
//! only when the client has taken the last. However long a list is, and however
//! many clients read none of it, it costs one page of memory each.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

use super::backend::Unavailable;
use super::pages::Pages;
use super::places::Place;
use super::state::Api;
use crate::api::wire::{Filter, Part, Problem, StepView, params};
use crate::payment::OutTradeNo;

/// What is read from the journal at once.
const PAGE: usize = 32;

/// What is listed.
pub(super) enum Listed {
    /// Payments, newest first.
    Payments(Filter),
    /// The steps of a payment, oldest first.
    Steps(OutTradeNo),
}

/// A page of it: each item as JSON; and where to go on, if there is more.
struct Page {
    items: Vec<String>,
    next: Option<u64>,
}

impl Listed {
    /// The member that the items are in.
    fn member(&self) -> &'static str {
        match self {
            Self::Payments(_) => "payments",
            Self::Steps(_) => "entries",
        }
    }

    async fn page(&self, api: &Api, part: Part) -> Result<Page, Unavailable> {
        match self {
            Self::Payments(filter) => {
                let page = api.backend.list(Filter { part, ..filter.clone() }).await?;
                let items = page
                    .payments
                    .iter()
                    .map(|(payment, refunded)| json(&api.view_with(payment, *refunded)))
                    .collect();
                Ok(Page { items, next: page.next })
            }
            Self::Steps(number) => {
                let Part { cursor, limit } = part;
                let after = cursor.unwrap_or(0);
                // One more, to know whether there is one.
                let mut steps = api.backend.steps_after(number.clone(), after, limit + 1).await?;
                let more = steps.len() > limit;
                steps.truncate(limit);
                let next = steps.last().map(|last| last.seq).filter(|_| more);
                let items = steps.iter().filter_map(StepView::of).map(|step| json(&step)).collect();
                Ok(Page { items, next })
            }
        }
    }
}

fn json(item: &impl Serialize) -> String {
    serde_json::to_string(item).unwrap_or_default()
}

/// The list, of which the first page is read before anything is told, so that what
/// is wrong can still be said. One that is a page or less is sent whole.
pub(super) async fn stream(
    api: &Api,
    listed: Listed,
    part: Part,
    place: Place,
) -> Result<Response, Problem> {
    let mut writing = Writing { api: api.clone(), listed, left: part.limit, begun: false };
    let first = writing.read(part.cursor).await?;
    if let (true, Listed::Steps(number)) = (first.items.is_empty(), &writing.listed) {
        // Nothing after the cursor; or there is no such payment.
        api.read(number).await?;
    }
    let mut text = format!("{{\"{}\":[", writing.listed.member());
    let body = match writing.write(&mut text, &first) {
        None => {
            finish(&mut text, first.next);
            Body::from(text)
        }
        Some(next) => {
            let (parts, taken) = mpsc::channel(1);
            tokio::spawn(async move {
                let _place = place;
                writing.go_on(next, text, parts).await;
            });
            Body::new(Pages(taken))
        }
    };
    let mut response = (StatusCode::OK, body).into_response();
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

fn finish(text: &mut String, next: Option<u64>) {
    let cursor = next.map(params::write_cursor);
    let _ = match cursor {
        Some(cursor) => write!(text, "],\"next_cursor\":\"{cursor}\"}}"),
        None => write!(text, "],\"next_cursor\":null}}"),
    };
}

struct Writing {
    api: Api,
    listed: Listed,
    /// So many items are still wanted.
    left: usize,
    begun: bool,
}

impl Writing {
    async fn read(&self, cursor: Option<u64>) -> Result<Page, Unavailable> {
        self.listed.page(&self.api, Part { cursor, limit: self.left.min(PAGE) }).await
    }

    /// Writes a page; and where to go on, if that is not all.
    fn write(&mut self, text: &mut String, page: &Page) -> Option<u64> {
        for item in &page.items {
            let _ = write!(text, "{}{item}", if self.begun { "," } else { "" });
            self.begun = true;
        }
        self.left = self.left.saturating_sub(page.items.len());
        page.next.filter(|_| self.left > 0)
    }

    async fn go_on(
        mut self,
        mut next: u64,
        mut text: String,
        parts: mpsc::Sender<Result<Bytes, BrokenOff>>,
    ) {
        loop {
            if parts.send(Ok(std::mem::take(&mut text).into())).await.is_err() {
                return;
            }
            let Ok(page) = self.read(Some(next)).await else {
                // What was sent so far must not look like the whole list.
                let _ = parts.send(Err(BrokenOff)).await;
                return;
            };
            match self.write(&mut text, &page) {
                Some(more) => next = more,
                None => {
                    finish(&mut text, page.next);
                    let _ = parts.send(Ok(text.into())).await;
                    return;
                }
            }
        }
    }
}

/// The journal could not be read to the end.
#[derive(Debug, thiserror::Error)]
#[error("the journal could not be read to the end")]
pub(super) struct BrokenOff;
