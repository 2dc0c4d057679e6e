//! What every event stream is told, made once for all of them.
//!
//! The streams that follow the present all want the same entry at the same
//! moment. The first that comes reads it and makes its text; the others find it.

use std::collections::VecDeque;

use hyper::body::Bytes;
use tokio::sync::Mutex;

use super::backend::{Backend, Unavailable};
use crate::api::wire::event_text;
use crate::payment::Recorded;

/// Entries that are read from the journal at once.
const PAGE: usize = 32;
/// So many of the newest pages are kept, for streams that are a little behind.
const KEPT: usize = 16;

/// Some entries in a row, as text.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// The entry that it begins after.
    after: u64,
    /// The last entry in it.
    pub(super) last: u64,
    pub(super) text: Bytes,
}

/// The newest pages, oldest first.
#[derive(Default)]
pub(super) struct Feed(Mutex<VecDeque<Told>>);

impl Feed {
    /// What comes after entry `after`, up to the entry `top`. None if there is
    /// nothing more.
    ///
    /// Whoever follows the present waits for whoever reads it; whoever replays
    /// the past reads by itself, and holds up nobody.
    pub(super) async fn after(
        &self,
        backend: &dyn Backend,
        after: u64,
        top: u64,
    ) -> Result<Option<Told>, Unavailable> {
        if top.saturating_sub(after) > PAGE as u64 {
            return read(backend, after, top).await;
        }
        let mut kept = self.0.lock().await;
        if let Some(told) = kept.iter().rev().find(|t| t.after == after && t.last <= top) {
            return Ok(Some(told.clone()));
        }
        let told = read(backend, after, top).await?;
        if let Some(told) = &told {
            if kept.len() >= KEPT {
                kept.pop_front();
            }
            kept.push_back(told.clone());
        }
        Ok(told)
    }
}

async fn read(backend: &dyn Backend, after: u64, top: u64) -> Result<Option<Told>, Unavailable> {
    let page = backend.after(after, PAGE).await?;
    let mut text = String::new();
    let mut last = after;
    for recorded in page.iter().filter(|recorded| recorded.seq <= top) {
        let Recorded { seq, .. } = recorded;
        let written = event_text(recorded)
            .ok_or_else(|| Unavailable(format!("entry {seq} cannot be written as JSON")))?;
        text.push_str(&written);
        last = *seq;
    }
    Ok((last > after).then(|| Told { after, last, text: text.into() }))
}
