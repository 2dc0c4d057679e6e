//! What every request shares, and waiting for the end of a payment.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::backend::Backend;
use super::feed::Feed;
use super::peer::Peer;
use super::places::{Place, Places};
use super::settings::Settings;
use crate::api::wire::{Code, PaymentView, Problem};
use crate::payment::{OutTradeNo, Payment};

/// What every request shares.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) settings: Arc<Settings>,
    /// True once the daemon ends; whoever waits then replies with what is known.
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) places: Places,
    pub(super) feed: Arc<Feed>,
}

/// A place among those who wait for a payment's end. It is taken before the
/// payment is begun, so that a request turned away for want of one has begun
/// nothing; and it is free again when the register hangs up.
pub(super) struct Wait {
    until: Instant,
    peer: Peer,
    _place: Place,
}

impl Api {
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        settings: Arc<Settings>,
        stopping: watch::Receiver<bool>,
        places: Places,
    ) -> Self {
        Self { backend, settings, stopping, places, feed: Arc::default() }
    }

    /// A place to wait in, if the register wants to wait.
    pub(super) fn wait(
        &self,
        length: Option<Duration>,
        peer: &Peer,
    ) -> Result<Option<Wait>, Problem> {
        let Some(length) = length else { return Ok(None) };
        let place = self.places.waiting.take(peer.who).map_err(|full| {
            Problem::new(Code::TooManyWaiting, full.detail("requests that wait"))
        })?;
        Ok(Some(Wait { until: Instant::now() + length, peer: peer.clone(), _place: place }))
    }

    /// A place to read a list in.
    pub(super) fn list_place(&self, peer: &Peer) -> Result<Place, Problem> {
        let place = self.places.lists.take(peer.who);
        place.map_err(|full| Problem::new(Code::TooManyLists, full.detail("lists that are read")))
    }

    /// The payment when it is final, or as it stands when the waiting is over.
    ///
    /// Each round marks the journal's head as seen and reads afterwards: a change
    /// between the two is read, and one after them wakes the next round.
    pub(super) async fn settled(
        &self,
        mut payment: Payment,
        wait: Option<Wait>,
    ) -> Result<Payment, Problem> {
        let Some(wait) = wait else { return Ok(payment) };
        let number = payment.order().out_trade_no.clone();
        let mut head = self.backend.head();
        let mut stopping = self.stopping.clone();
        while !payment.is_final() {
            head.mark_unchanged();
            payment = self.read(&number).await?;
            if payment.is_final() {
                break;
            }
            tokio::select! {
                moved = head.changed() => if moved.is_err() { break },
                () = tokio::time::sleep_until(wait.until) => break,
                () = wait.peer.gone() => break,
                _ = stopping.wait_for(|stopping| *stopping) => break,
            }
        }
        Ok(payment)
    }

    /// The payment as it stands now.
    pub(super) fn view(&self, payment: &Payment) -> PaymentView {
        PaymentView::at(payment, self.backend.steady())
    }

    /// The payment as the journal holds it.
    pub(super) async fn read(&self, number: &OutTradeNo) -> Result<Payment, Problem> {
        let payment = self.backend.payment(number.clone()).await?;
        payment.ok_or_else(|| Problem::not_found(number))
    }
}
