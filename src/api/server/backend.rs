//! What the API needs of the daemon.

use std::future::Future;
use std::pin::Pin;

use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::api::wire::{Filter, Status};
use crate::payment::{
    Asker, AuthCode, OutRequestNo, OutTradeNo, Payment, Recorded, Refund, Refunded, Timestamp,
};
use crate::terminal::{PayRequest, RefundAsk, Reply};

/// A reply that comes soon.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The daemon, as the API sees it.
///
/// **Everything told is on disk**: replies and reads come from what the journal
/// holds, never from what is about to be written.
///
/// **A register that hangs up changes nothing**: the API then drops the future
/// it was waiting for. A request that had been handed over by then goes on; one
/// that had not, was never made.
///
/// **Who asks is told along**, as the kernel says, where it does.
///
/// **Nobody waits here for the gateway**: requests reply when their entry is on
/// disk. Waiting for the end of a payment is done by the API, which reads the
/// payment again whenever [`head`](Self::head) moves.
pub trait Backend: Send + Sync + 'static {
    /// `PUT` or `POST` of a payment.
    fn pay(&self, request: PayRequest, asker: Option<Asker>)
    -> Soon<'_, Result<Reply, Unanswered>>;

    /// A code for a payment that waits for one.
    fn code(
        &self,
        number: OutTradeNo,
        code: AuthCode,
        asker: Option<Asker>,
    ) -> Soon<'_, Result<Reply, Unanswered>>;

    /// The cashier gives up. A payment that is final already, and not paid, is
    /// replied with as it stands.
    fn stop(&self, number: OutTradeNo, asker: Option<Asker>)
    -> Soon<'_, Result<Reply, Unanswered>>;

    /// `PUT` of a refund.
    fn refund(&self, ask: RefundAsk, asker: Option<Asker>) -> Soon<'_, Result<Reply, Unanswered>>;

    /// The refunds of a payment, oldest first.
    fn refunds_of(&self, number: OutTradeNo) -> Soon<'_, Result<Vec<Refund>, Unavailable>>;

    /// One refund, as the journal holds it.
    fn refund_of(
        &self,
        number: OutTradeNo,
        request: OutRequestNo,
    ) -> Soon<'_, Result<Option<Refund>, Unavailable>>;

    /// What is proven to be back of a payment by its refunds.
    fn refunded(&self, number: OutTradeNo) -> Soon<'_, Result<Refunded, Unavailable>>;

    /// Whether there is a payment, or a request that may yet become one. A
    /// request that was replied to, or taken back, does not count as one.
    fn standing(&self, about: About) -> Soon<'_, Result<Standing, Unavailable>>;

    /// A payment as the journal holds it, open or finished.
    fn payment(&self, number: OutTradeNo) -> Soon<'_, Result<Option<Payment>, Unavailable>>;

    /// Payments, newest first.
    fn list(&self, filter: Filter) -> Soon<'_, Result<Page, Unavailable>>;

    /// The entries of one payment after `seq`, at most `limit`, oldest first; none
    /// if there is no such payment.
    fn steps_after(
        &self,
        number: OutTradeNo,
        seq: u64,
        limit: usize,
    ) -> Soon<'_, Result<Vec<Recorded>, Unavailable>>;

    /// The entries after `seq`, at most `limit`, in their order and without
    /// gaps.
    fn after(&self, seq: u64, limit: usize) -> Soon<'_, Result<Vec<Recorded>, Unavailable>>;

    /// The number of the last entry on disk; it changes when there is a further
    /// one, and only after the reads above can see it. Never goes back.
    fn head(&self) -> watch::Receiver<u64>;

    /// How the terminal is.
    fn status(&self) -> Status;

    /// The steady clock, for telling how long a window is still open. The status
    /// has it as well, at the price of all the rest of it.
    fn steady(&self) -> Timestamp {
        self.status().clock.steady
    }

    /// A number that cannot repeat: 128 random bits.
    fn fresh_number(&self) -> OutTradeNo;

    /// Adds the daemon's own figures to a scrape. The registry is made for each
    /// scrape and has the prefix `tilld`; what [`status`](Self::status) tells is
    /// in it already.
    fn scrape(&self, registry: &mut Registry);
}

/// The journal cannot be read; why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading the journal: {0}")]
pub struct Unavailable(
    /// The reason, for the technician.
    pub String,
);

/// Why a request got no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It was taken back in time: it has done nothing and will do nothing.
    #[error("{0}")]
    TakenBack(String),
    /// The daemon ended before it looked at it, so it has done nothing and will
    /// do nothing.
    #[error("the terminal is stopping")]
    Ended,
    /// It may have been acted on, or may still be.
    #[error("{0}")]
    InDoubt(String),
}

/// What is asked about: a payment by its number, or a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// The payment with this number.
    Number(OutTradeNo),
    /// The attempt at this sale that is open or paid.
    Sale(String),
}

/// Whether there is what was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is nothing, and nothing is on its way.
    Free,
    /// A request for it is with the daemon, which has not replied yet.
    UnderWay,
    /// This payment.
    Payment(Box<Payment>),
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Newest first, each with what went back of it.
    pub payments: Vec<(Payment, Refunded)>,
    /// Where the next page begins, if there is more: a number that means
    /// something to the journal only, such as the first entry of the last
    /// payment of this page. It must stay good while payments are added and
    /// change.
    pub next: Option<u64>,
}
