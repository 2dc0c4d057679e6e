//! What every request shares, and waiting for the end of a payment.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::backend::Backend;
use super::feed::Feed;
use super::peer::{Peer, Role};
use super::places::{Place, Places};
use super::settings::Settings;
use crate::api::wire::{Code, PaymentView, Problem};
use crate::payment::{
    Amount, OutRequestNo, OutTradeNo, Payment, Public, Refund, Refunded, Sentence,
};

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
        let Some(mut wait) = wait else { return Ok(payment) };
        let number = payment.order().out_trade_no.clone();
        let mut head = self.backend.head();
        while !payment.is_final() {
            head.mark_unchanged();
            payment = self.read(&number).await?;
            if payment.is_final() || !self.moved(&mut head, &mut wait).await {
                break;
            }
        }
        Ok(payment)
    }

    /// The payment as it stands now, with what went back of it.
    pub(super) async fn view(&self, payment: &Payment) -> Result<PaymentView, Problem> {
        let refunded = if payment.public() == Public::Paid {
            self.backend.refunded(payment.order().out_trade_no.clone()).await?
        } else {
            Refunded::default()
        };
        Ok(self.view_with(payment, refunded))
    }

    pub(super) fn view_with(&self, payment: &Payment, refunded: Refunded) -> PaymentView {
        PaymentView::at(payment, self.backend.steady()).after(payment, refunded)
    }

    /// The refund when it is final, or as it stands when the waiting is over.
    pub(super) async fn refund_settled(
        &self,
        mut refund: Refund,
        wait: Option<Wait>,
    ) -> Result<Refund, Problem> {
        let Some(mut wait) = wait else { return Ok(refund) };
        let (number, request) = (refund.of().clone(), refund.asked().request.clone());
        let mut head = self.backend.head();
        while !refund.is_final() {
            head.mark_unchanged();
            refund = self.read_refund(&number, &request).await?;
            if refund.is_final() || !self.moved(&mut head, &mut wait).await {
                break;
            }
        }
        Ok(refund)
    }

    /// Until the journal's head moves: true. False once nobody waits any more.
    async fn moved(&self, head: &mut watch::Receiver<u64>, wait: &mut Wait) -> bool {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            moved = head.changed() => moved.is_ok(),
            () = tokio::time::sleep_until(wait.until) => false,
            () = wait.peer.gone() => false,
            _ = stopping.wait_for(|stopping| *stopping) => false,
        }
    }

    pub(super) async fn read_refund(
        &self,
        number: &OutTradeNo,
        request: &OutRequestNo,
    ) -> Result<Refund, Problem> {
        let refund = self.backend.refund_of(number.clone(), request.clone()).await?;
        refund.ok_or_else(|| Problem::no_such_refund(number, request))
    }

    /// Whether somebody may give so much back.
    pub(super) fn may_refund(&self, peer: &Peer, amount: Amount) -> Result<(), Problem> {
        let right = self.settings.refunds;
        let detail = match peer.role {
            Some(Role::Supervisor) => return Ok(()),
            _ if right.by == Role::Supervisor => {
                "refunds are for the groups of api.roles.supervisor (api.refunds.by)".to_owned()
            }
            _ => match right.cashier_limit {
                Some(limit) if amount > limit => format!(
                    "refunds of more than {limit} yuan are for the groups of api.roles.supervisor (api.refunds.cashier_limit)"
                ),
                Some(_) | None => return Ok(()),
            },
        };
        let sentence = Sentence::new(
            "这笔退款需要店长来做，这次没有退款",
            "This refund is for a supervisor to make; nothing was given back",
        );
        Err(Problem::new(Code::Forbidden, detail).refused_refund(sentence))
    }

    /// The payment as the journal holds it.
    pub(super) async fn read(&self, number: &OutTradeNo) -> Result<Payment, Problem> {
        let payment = self.backend.payment(number.clone()).await?;
        payment.ok_or_else(|| Problem::not_found(number))
    }
}
