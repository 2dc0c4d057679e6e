//! The daemon as the API sees it: requests go into the loop, reads go to the
//! journal, and how the terminal is stands on a board.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot, watch};

use super::Clock;
use super::board::Board;
use crate::api::{self, Backend, Soon, Unavailable};
use crate::journal::{self, Reader};
use crate::payment::{AuthCode, OutTradeNo, Payment, Recorded, Timestamp};
use crate::terminal::{Denied, PayRequest, Reply, Request};

/// A disk that takes longer than this is out of order: the register is told,
/// and asks again with the same number.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// A request on its way into the loop, and the way back.
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// So many payments are remembered as they were last written: those of a busy
/// shop's registers, many times over.
const RECENT_MAX: usize = 64;

/// The payments whose entries were written last, each as it stands on disk.
///
/// Whoever waits for the end of a payment asks for it at every entry that is
/// written, of whatever payment; those questions need not go to the journal.
#[derive(Clone, Default)]
pub(super) struct Recent(Arc<Mutex<VecDeque<Payment>>>);

impl Recent {
    /// Its newest entry is on disk.
    pub(super) fn put(&self, payment: Payment) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.order.out_trade_no != payment.order.out_trade_no);
        if all.len() >= RECENT_MAX {
            all.pop_front();
        }
        all.push_back(payment);
    }

    fn get(&self, number: &OutTradeNo) -> Option<Payment> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rev().find(|payment| payment.order.out_trade_no == *number).cloned()
    }
}

pub(super) struct Daemon {
    pub(super) requests: mpsc::Sender<Asked>,
    /// For what takes long.
    pub(super) reader: Reader,
    /// For what is asked for on the loop's own thread, which never waits for the
    /// other.
    pub(super) lookups: Reader,
    pub(super) recent: Recent,
    pub(super) head: watch::Receiver<u64>,
    pub(super) board: Board,
    pub(super) clock: Arc<Clock>,
}

impl Daemon {
    async fn ask(&self, request: Request) -> Reply {
        let (reply, told) = oneshot::channel();
        if self.requests.send(Asked { request, reply }).await.is_err() {
            return Reply::Denied(Denied::Stopping);
        }
        match tokio::time::timeout(REPLY_TIMEOUT, told).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Reply::Denied(Denied::Stopping),
            Err(_) => {
                let why = "the disk does not answer; ask again with the same number";
                Reply::Denied(Denied::JournalUnavailable(why.to_owned()))
            }
        }
    }

    /// Reads on a thread of their own, so that a long list does not hold up a
    /// payment.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, journal::ReadError> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let reader = self.reader.clone();
        let done = tokio::task::spawn_blocking(move || read(&reader)).await;
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(why)) => Err(Unavailable(why.to_string())),
            Err(why) => Err(Unavailable(why.to_string())),
        }
    }
}

impl Backend for Daemon {
    fn pay(&self, request: PayRequest) -> Soon<'_, Reply> {
        Box::pin(self.ask(Request::Pay(Box::new(request))))
    }

    fn code(&self, number: OutTradeNo, code: AuthCode) -> Soon<'_, Reply> {
        Box::pin(self.ask(Request::Code { number, code }))
    }

    fn stop(&self, number: OutTradeNo) -> Soon<'_, Reply> {
        Box::pin(self.ask(Request::Stop { number }))
    }

    fn payment(&self, number: OutTradeNo) -> Soon<'_, Result<Option<Payment>, Unavailable>> {
        let read = match self.recent.get(&number) {
            Some(payment) => Ok(Some(payment)),
            // Two look-ups by key: quicker than a thread.
            None => self.lookups.payment(&number).map_err(|why| Unavailable(why.to_string())),
        };
        Box::pin(std::future::ready(read))
    }

    fn list(&self, filter: api::Filter) -> Soon<'_, Result<api::Page, Unavailable>> {
        let which = match filter.which {
            api::Which::All => None,
            api::Which::Open => Some(journal::Which::Open),
            api::Which::State(state) => Some(journal::Which::State(state)),
        };
        let filter = journal::Filter {
            which,
            since: filter.since,
            before: filter.cursor,
            limit: u32::try_from(filter.limit).unwrap_or(u32::MAX),
        };
        Box::pin(async move {
            let page = self.read(move |reader| reader.list(&filter)).await?;
            Ok(api::Page { payments: page.payments, next: page.next })
        })
    }

    fn steps_of(&self, number: OutTradeNo) -> Soon<'_, Result<Vec<Recorded>, Unavailable>> {
        Box::pin(self.read(move |reader| reader.steps_of(&number)))
    }

    fn after(&self, seq: u64, limit: usize) -> Soon<'_, Result<Vec<Recorded>, Unavailable>> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        Box::pin(self.read(move |reader| reader.after(seq, limit)))
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }

    fn status(&self) -> api::Status {
        let mut status = self.board.read();
        let now = self.clock.now();
        let up = now.steady.millis().saturating_sub(status.clock.steady.millis());
        status.uptime = Duration::from_millis(u64::try_from(up).unwrap_or(0));
        (status.clock.now, status.clock.steady) = (now.wall, now.steady);
        status.gateway.clock_skew_ms = self.clock.gateway_skew();
        status.journal.head_seq = *self.head.borrow();
        status
    }

    fn steady(&self) -> Timestamp {
        self.clock.steady()
    }

    fn fresh_number(&self) -> OutTradeNo {
        fresh_number()
    }

    fn scrape(&self, _registry: &mut Registry) {}
}

/// 128 random bits: a number that never repeats, also when a journal was lost.
fn fresh_number() -> OutTradeNo {
    let mut bits = [0_u8; 16];
    // The kernel's generator does not fail once the system is up; were it to,
    // an equal number would be denied as a conflict, never charged twice.
    if let Err(why) = getrandom::fill(&mut bits) {
        tracing::error!(%why, "drawing random bits");
    }
    let text = format!("T{:032x}", u128::from_be_bytes(bits));
    text.parse().unwrap_or_else(|_| unreachable!("33 letters and digits are a number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::{Amount, Moment, Order, Rules, State};

    fn payment(count: usize, rev: u64) -> Payment {
        let order = Order::new(
            number(count),
            Amount::from_fen(8888).expect("an amount"),
            "咖啡".to_owned(),
        );
        let start = Timestamp(0);
        let start = Moment::undisputed(start, start, start);
        Payment { state: State::Paying, rev, ..Payment::requested(order, start, &Rules::default()) }
    }

    fn number(count: usize) -> OutTradeNo {
        format!("N{count}").parse().expect("a number")
    }

    #[test]
    fn the_last_payments_are_remembered_as_they_were_last_written() {
        let recent = Recent::default();
        for count in 0..RECENT_MAX {
            recent.put(payment(count, 1));
        }
        recent.put(payment(0, 2));
        let rev = |count| recent.get(&number(count)).map(|payment| payment.rev);
        assert_eq!((rev(0), rev(1)), (Some(2), Some(1)), "both have room");
        recent.put(payment(RECENT_MAX, 1));
        assert_eq!(rev(1), None, "nobody was written longer ago");
        assert_eq!((rev(0), rev(2), rev(RECENT_MAX)), (Some(2), Some(1), Some(1)));
    }
}
