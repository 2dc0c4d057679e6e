//! What every request shares, and waiting for the end of a payment.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::backend::Backend;
use super::code::Code;
use super::problem::Problem;
use super::server::Settings;
use super::view::PaymentView;
use crate::payment::{OutTradeNo, Payment};

/// What every request shares.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) settings: Arc<Settings>,
    /// True once the daemon ends; whoever waits then replies with what is known.
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) places: Places,
}

/// What there is a bounded number of.
#[derive(Clone)]
pub(super) struct Places {
    pub(super) connections: Arc<Semaphore>,
    pub(super) waiting: Arc<Semaphore>,
    pub(super) streams: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(settings.connections_max)),
            waiting: Arc::new(Semaphore::new(settings.waiting_max)),
            streams: Arc::new(Semaphore::new(settings.streams_max)),
        }
    }
}

/// A place among those who wait for a payment's end. It is taken before the
/// payment is begun, so that a request turned away for want of one has begun
/// nothing; and it is free again when the register hangs up, because the future
/// that holds it is then dropped.
pub(super) struct Wait {
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Api {
    /// A place to wait in, if the register wants to wait.
    pub(super) fn wait(&self, length: Option<Duration>) -> Result<Option<Wait>, Problem> {
        let Some(length) = length else { return Ok(None) };
        let place = self.places.waiting.clone().try_acquire_owned().map_err(|_| {
            let detail = format!("{} requests wait already", self.settings.waiting_max);
            Problem::new(Code::TooManyWaiting, detail)
        })?;
        Ok(Some(Wait { until: Instant::now() + length, _place: place }))
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
        let number = payment.order.out_trade_no.clone();
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
