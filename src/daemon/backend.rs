//! The daemon as the API sees it: requests go into the loop, reads go to the
//! journal, and how the terminal is stands on a board.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot, watch};

use super::Clock;
use super::board::Board;
use crate::api::{self, About, Backend, Soon, Standing, Unanswered, Unavailable};
use crate::journal::{self, Reader};
use crate::payment::{
    Asker, AuthCode, OutRequestNo, OutTradeNo, Payment, Public, Recorded, Refund, Refunded,
    Timestamp,
};
use crate::terminal::{PayRequest, RefundAsk, Reply, Request};

/// A disk that takes longer than this is out of order: the register is told, and
/// that the request may still be carried out, unless it could be taken back.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// A request on its way into the loop, and the way back.
pub(super) struct Asked {
    pub(super) request: Request,
    asker: Option<Asker>,
    claim: Claim,
    reply: oneshot::Sender<Reply>,
}

impl Asked {
    fn new(
        request: Request,
        asker: Option<Asker>,
        under_way: &UnderWay,
    ) -> (Self, Claim, oneshot::Receiver<Reply>) {
        let (reply, told) = oneshot::channel();
        let claim = Claim(Arc::new(Held {
            state: AtomicU8::new(WAITING),
            entry: Mutex::new(Some(under_way.enter(about(&request)))),
        }));
        (Self { request, asker, claim: claim.clone(), reply }, claim, told)
    }

    /// The request, to be acted on. Nothing if it was taken back before: then
    /// nothing of it may be done.
    pub(super) fn take(self) -> Option<(Request, Option<Asker>, Replying)> {
        let Self { request, asker, claim, reply } = self;
        claim.moves(TAKEN).then(|| (request, asker, Replying { reply, _claim: claim }))
    }
}

/// The way back of a request that is being acted on.
pub(super) struct Replying {
    reply: oneshot::Sender<Reply>,
    /// Until the reply is sent, nobody is told that there is no such payment.
    _claim: Claim,
}

impl Replying {
    pub(super) fn send(self, reply: Reply) {
        // The register may have hung up.
        let _ = self.reply.send(reply);
    }
}

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const TAKEN_BACK: u8 = 2;

/// Whose a request is: the loop's, once it acts on it; or its register's, which
/// may take it back until then. Never both.
#[derive(Clone)]
struct Claim(Arc<Held>);

struct Held {
    state: AtomicU8,
    entry: Mutex<Option<Entered>>,
}

impl Claim {
    fn moves(&self, to: u8) -> bool {
        let moved = self.0.state.compare_exchange(WAITING, to, Ordering::SeqCst, Ordering::SeqCst);
        moved.is_ok()
    }

    fn is_taken(&self) -> bool {
        self.0.state.load(Ordering::SeqCst) == TAKEN
    }

    /// Whether it could be taken back: then it certainly does nothing.
    fn take_back(&self) -> bool {
        let back = self.moves(TAKEN_BACK);
        if back {
            self.0.entry.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        back
    }
}

/// What a request would begin, or is about.
fn about(request: &Request) -> Vec<About> {
    match request {
        Request::Pay(asked) => {
            let number =
                (!asked.keyed_by_sale).then(|| About::Number(asked.order.out_trade_no.clone()));
            number.into_iter().chain(asked.order.sale.clone().map(About::Sale)).collect()
        }
        Request::Code { number, .. } | Request::Stop { number } => {
            vec![About::Number(number.clone())]
        }
        // It begins no payment, and is about one that is over.
        Request::Refund(_) => Vec::new(),
    }
}

/// The numbers and sales of requests that are with the loop and have no reply
/// yet: each may become a payment that the journal does not know at the moment.
#[derive(Clone, Default)]
struct UnderWay(Arc<Mutex<Vec<About>>>);

impl UnderWay {
    fn enter(&self, about: Vec<About>) -> Entered {
        self.lock().extend(about.iter().cloned());
        Entered { all: self.clone(), about }
    }

    fn contains(&self, about: &About) -> bool {
        self.lock().contains(about)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<About>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes its own out again when it is dropped.
struct Entered {
    all: UnderWay,
    about: Vec<About>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        for about in &self.about {
            if let Some(at) = all.iter().position(|other| other == about) {
                all.swap_remove(at);
            }
        }
    }
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
        all.retain(|other| other.order().out_trade_no != payment.order().out_trade_no);
        if all.len() >= RECENT_MAX {
            all.pop_front();
        }
        all.push_back(payment);
    }

    fn get(&self, number: &OutTradeNo) -> Option<Payment> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rev().find(|payment| payment.order().out_trade_no == *number).cloned()
    }
}

/// The way into the loop.
pub(super) struct Door {
    requests: mpsc::Sender<Asked>,
    under_way: UnderWay,
    patience: Duration,
}

impl Door {
    pub(super) fn new(requests: mpsc::Sender<Asked>) -> Self {
        Self { requests, under_way: UnderWay::default(), patience: REPLY_TIMEOUT }
    }

    async fn ask(&self, request: Request, asker: Option<Asker>) -> Result<Reply, Unanswered> {
        let (asked, claim, told) = Asked::new(request, asker, &self.under_way);
        let whole = async {
            if self.requests.send(asked).await.is_err() {
                return Err(Unanswered::Ended);
            }
            told.await.map_err(|_| {
                if claim.is_taken() {
                    let why = "the terminal ended before it was known what became of this";
                    Unanswered::InDoubt(why.to_owned())
                } else {
                    Unanswered::Ended
                }
            })
        };
        match tokio::time::timeout(self.patience, whole).await {
            Ok(replied) => replied,
            Err(_) if claim.take_back() => {
                let why = "the terminal is stuck; the request was taken back, so send it again";
                Err(Unanswered::TakenBack(why.to_owned()))
            }
            Err(_) => {
                let why = "the disk does not answer, and this may still be carried out; ask for the payment";
                Err(Unanswered::InDoubt(why.to_owned()))
            }
        }
    }
}

pub(super) struct Daemon {
    pub(super) door: Door,
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
    fn pay(
        &self,
        request: PayRequest,
        asker: Option<Asker>,
    ) -> Soon<'_, Result<Reply, Unanswered>> {
        Box::pin(self.door.ask(Request::Pay(Box::new(request)), asker))
    }

    fn code(
        &self,
        number: OutTradeNo,
        code: AuthCode,
        asker: Option<Asker>,
    ) -> Soon<'_, Result<Reply, Unanswered>> {
        Box::pin(self.door.ask(Request::Code { number, code }, asker))
    }

    fn stop(
        &self,
        number: OutTradeNo,
        asker: Option<Asker>,
    ) -> Soon<'_, Result<Reply, Unanswered>> {
        Box::pin(self.door.ask(Request::Stop { number }, asker))
    }

    fn refund(&self, ask: RefundAsk, asker: Option<Asker>) -> Soon<'_, Result<Reply, Unanswered>> {
        Box::pin(self.door.ask(Request::Refund(Box::new(ask)), asker))
    }

    fn refunds_of(&self, number: OutTradeNo) -> Soon<'_, Result<Vec<Refund>, Unavailable>> {
        Box::pin(self.read(move |reader| reader.refunds_of(&number)))
    }

    fn refund_of(
        &self,
        number: OutTradeNo,
        request: OutRequestNo,
    ) -> Soon<'_, Result<Option<Refund>, Unavailable>> {
        let read = self.lookups.refund(&number, &request);
        Box::pin(std::future::ready(read.map_err(|why| Unavailable(why.to_string()))))
    }

    fn refunded(&self, number: OutTradeNo) -> Soon<'_, Result<Refunded, Unavailable>> {
        let read = self.lookups.refunded(&number);
        Box::pin(std::future::ready(read.map_err(|why| Unavailable(why.to_string()))))
    }

    fn standing(&self, about: About) -> Soon<'_, Result<Standing, Unavailable>> {
        // In this order: what has got its reply since is in the journal.
        if self.door.under_way.contains(&about) {
            return Box::pin(std::future::ready(Ok(Standing::UnderWay)));
        }
        let found = match &about {
            About::Number(number) => self.lookups.payment(number),
            About::Sale(sale) => self
                .reader
                .attempt_for_sale(sale)
                .map(|attempt| attempt.filter(|a| !a.is_final() || a.public() == Public::Paid)),
        };
        let standing = match found {
            Ok(Some(payment)) => Ok(Standing::Payment(Box::new(payment))),
            Ok(None) => Ok(Standing::Free),
            Err(why) => Err(Unavailable(why.to_string())),
        };
        Box::pin(std::future::ready(standing))
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
            sale: filter.sale,
            since: filter.since,
            before: filter.part.cursor,
            limit: u32::try_from(filter.part.limit).unwrap_or(u32::MAX),
        };
        Box::pin(async move {
            let page = self.read(move |reader| reader.list(&filter)).await?;
            Ok(api::Page { payments: page.payments, next: page.next })
        })
    }

    fn steps_after(
        &self,
        number: OutTradeNo,
        seq: u64,
        limit: usize,
    ) -> Soon<'_, Result<Vec<Recorded>, Unavailable>> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        Box::pin(self.read(move |reader| reader.steps_after(&number, seq, limit)))
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
    use crate::payment::{Amount, Moment, Order, Record, Rules};

    fn payment(count: usize, rev: u64) -> Payment {
        let order = Order::new(
            number(count),
            Amount::from_fen(8888).expect("an amount"),
            "咖啡".to_owned(),
        );
        let start = Timestamp(0);
        let start = Moment::undisputed(start, start, start);
        let payment = Payment::requested(order, start, &Rules::default());
        Payment::try_from(Record { rev, ..payment.record() }).expect("possible")
    }

    fn number(count: usize) -> OutTradeNo {
        format!("N{count}").parse().expect("a number")
    }

    /// A door into a loop that nobody runs, and what comes in by it.
    fn door(patience: u64) -> (Arc<Door>, mpsc::Receiver<Asked>) {
        let (requests, asked) = mpsc::channel(2);
        let door = Door { patience: Duration::from_millis(patience), ..Door::new(requests) };
        (Arc::new(door), asked)
    }

    fn stop(count: usize) -> Request {
        Request::Stop { number: number(count) }
    }

    fn is_under_way(door: &Door, count: usize) -> bool {
        door.under_way.contains(&About::Number(number(count)))
    }

    #[tokio::test]
    async fn a_request_that_nobody_takes_in_time_is_taken_back_for_certain() {
        let (door, mut asked) = door(20);
        let told = door.ask(stop(1), None).await;
        assert!(matches!(told, Err(Unanswered::TakenBack(_))), "{told:?}");
        assert!(!is_under_way(&door, 1), "nothing of it will be done");
        let late = asked.try_recv().expect("it is still in the queue");
        assert!(late.take().is_none(), "and the loop may not act on it");
    }

    #[tokio::test]
    async fn a_request_that_finds_no_room_is_taken_back_as_well() {
        let (door, asked) = door(20);
        for count in 1..=3 {
            let told = door.ask(stop(count), None).await;
            assert!(matches!(told, Err(Unanswered::TakenBack(_))), "{count}: {told:?}");
        }
        drop(asked);
        assert_eq!(door.ask(stop(4), None).await, Err(Unanswered::Ended));
    }

    /// Bug to plant: let `take_back` be true whatever the state is.
    #[tokio::test]
    async fn a_request_that_is_acted_on_is_in_doubt_until_its_reply() {
        let (door, mut asked) = door(200);
        let (asker, stop) = (Asker { uid: 7, pid: Some(8) }, stop(1));
        let into = Arc::clone(&door);
        let asking = tokio::spawn(async move { into.ask(stop, Some(asker)).await });
        let (_, told, replying) = asked.recv().await.and_then(Asked::take).expect("a request");
        assert_eq!(told, Some(asker), "who asks is told along");
        let told = asking.await.expect("an end");
        assert!(matches!(told, Err(Unanswered::InDoubt(_))), "{told:?}");
        assert!(is_under_way(&door, 1), "it may yet become a payment");
        replying.send(Reply::Stands(payment(1, 1)));
        assert!(!is_under_way(&door, 1), "the journal knows it");
    }

    #[tokio::test]
    async fn a_loop_that_ends_leaves_in_doubt_only_what_it_acted_on() {
        for taken in [true, false] {
            let (door, mut asked) = door(10_000);
            let (into, stop) = (Arc::clone(&door), stop(1));
            let asking = tokio::spawn(async move { into.ask(stop, None).await });
            let request = asked.recv().await.expect("a request");
            let acting = if taken { request.take() } else { None };
            drop((acting, asked));
            let told = asking.await.expect("an end");
            let in_doubt = matches!(told, Err(Unanswered::InDoubt(_)));
            assert!(in_doubt == taken && told.is_err(), "{told:?}");
        }
    }

    #[test]
    fn the_last_payments_are_remembered_as_they_were_last_written() {
        let recent = Recent::default();
        for count in 0..RECENT_MAX {
            recent.put(payment(count, 1));
        }
        recent.put(payment(0, 2));
        let rev = |count| recent.get(&number(count)).map(|payment| payment.rev());
        assert_eq!((rev(0), rev(1)), (Some(2), Some(1)), "both have room");
        recent.put(payment(RECENT_MAX, 1));
        assert_eq!(rev(1), None, "nobody was written longer ago");
        assert_eq!((rev(0), rev(2), rev(RECENT_MAX)), (Some(2), Some(1), Some(1)));
    }
}
