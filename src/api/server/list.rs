//! Lists, sent as they are read: a page of the journal at a time, and the next
//! only when the client has taken the last. However long a list is, and however
//! many clients read none of it, it costs one page of memory each.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Bytes;
use tokio::sync::mpsc;

use super::backend::Page;
use super::pages::Pages;
use super::places::Place;
use super::state::Api;
use crate::api::wire::{Filter, Problem, params};

/// Payments that are read from the journal at once.
const PAGE: usize = 32;

/// The list, of which the first page is read before anything is told, so that what
/// is wrong can still be said. One that is a page or less is sent whole.
pub(super) async fn stream(api: &Api, filter: Filter, place: Place) -> Result<Response, Problem> {
    let first = api.backend.list(page_of(&filter, filter.limit, filter.cursor)).await?;
    let mut text = "{\"payments\":[".to_owned();
    let mut writing = Writing { api: api.clone(), left: filter.limit, begun: false };
    let next = writing.page(&mut text, &first);
    let body = match next {
        None => {
            finish(&mut text, first.next);
            Body::from(text)
        }
        Some(next) => {
            let (parts, taken) = mpsc::channel(1);
            tokio::spawn(async move {
                let _place = place;
                writing.go_on(filter, next, text, parts).await;
            });
            Body::new(Pages(taken))
        }
    };
    let mut response = (StatusCode::OK, body).into_response();
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

fn page_of(filter: &Filter, left: usize, cursor: Option<u64>) -> Filter {
    Filter { limit: left.min(PAGE), cursor, ..filter.clone() }
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
    /// So many payments are still wanted.
    left: usize,
    begun: bool,
}

impl Writing {
    /// Writes a page; and where to go on, if that is not all.
    fn page(&mut self, text: &mut String, page: &Page) -> Option<u64> {
        for payment in &page.payments {
            let payment = serde_json::to_string(&self.api.view(payment)).unwrap_or_default();
            let _ = write!(text, "{}{payment}", if self.begun { "," } else { "" });
            self.begun = true;
        }
        self.left = self.left.saturating_sub(page.payments.len());
        page.next.filter(|_| self.left > 0)
    }

    async fn go_on(
        mut self,
        filter: Filter,
        mut next: u64,
        mut text: String,
        parts: mpsc::Sender<Result<Bytes, BrokenOff>>,
    ) {
        loop {
            if parts.send(Ok(std::mem::take(&mut text).into())).await.is_err() {
                return;
            }
            let wanted = page_of(&filter, self.left, Some(next));
            let Ok(page) = self.api.backend.list(wanted).await else {
                // What was sent so far must not look like the whole list.
                let _ = parts.send(Err(BrokenOff)).await;
                return;
            };
            match self.page(&mut text, &page) {
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
