//! A daemon in memory: a list of entries, and replies that a test lays ready.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tilld::api::{
    About, Backend, Clock, Filter, Gateway, Journal, KeyState, Keys, Link, Page, ScannerStatus,
    Soon, Standing, Status, Unanswered, Unavailable, Which,
};
use tilld::payment::{
    Asker, AuthCode, Call, CancelAction, Entry, EntryStep, Heard, How, Moment, Offer, Order,
    OutRequestNo, OutTradeNo, Payment, Public, Record, Recorded, Refund, RefundSum, Refunded,
    Rules, State, StepName, Timestamp,
};
use tilld::terminal::{Denied, PayRequest, RefundAsk, Reply};
use tokio::sync::watch;

/// 2026-11-20T10:00:00+08:00.
pub const NOW: Timestamp = Timestamp(1_795_140_000_000);

pub struct Fake {
    entries: Mutex<Vec<Recorded>>,
    replies: Mutex<VecDeque<Result<Reply, Unanswered>>>,
    pub requests: Mutex<Vec<PayRequest>>,
    pub refund_asks: Mutex<Vec<RefundAsk>>,
    pub codes: Mutex<Vec<AuthCode>>,
    pub stops: Mutex<Vec<OutTradeNo>>,
    /// Who sent them.
    pub askers: Mutex<Vec<Option<Asker>>>,
    pub filters: Mutex<Vec<Filter>>,
    pub unreadable: Mutex<bool>,
    /// What a request is under way for.
    pub under_way: Mutex<Vec<About>>,
    /// A payment is paid right after it was read so many times.
    pub ends_after_reads: Mutex<u32>,
    /// How often entries were read.
    pub reads_after: Mutex<u32>,
    /// Pages of lists that can be read; then the journal breaks.
    pub pages_left: Mutex<u32>,
    /// How many steps of a payment were asked for at once, the last time.
    pub last_read: Mutex<usize>,
    head: watch::Sender<u64>,
}

impl Fake {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            entries: Mutex::default(),
            replies: Mutex::default(),
            requests: Mutex::default(),
            refund_asks: Mutex::default(),
            codes: Mutex::default(),
            stops: Mutex::default(),
            askers: Mutex::default(),
            filters: Mutex::default(),
            unreadable: Mutex::default(),
            under_way: Mutex::default(),
            ends_after_reads: Mutex::default(),
            reads_after: Mutex::default(),
            pages_left: Mutex::new(u32::MAX),
            last_read: Mutex::default(),
            head: watch::Sender::new(0),
        })
    }

    /// Lays a reply ready for the next request.
    pub fn will_reply(&self, reply: Reply) {
        self.replies.lock().unwrap().push_back(Ok(reply));
    }

    pub fn will_not_answer(&self, why: Unanswered) {
        self.replies.lock().unwrap().push_back(Err(why));
    }

    pub fn will_deny(&self, denied: Denied) {
        self.will_reply(Reply::Denied(denied));
    }

    /// Writes an entry and tells of it.
    pub fn record(&self, entry: Entry) {
        let mut entries = self.entries.lock().unwrap();
        let seq = entries.len() as u64 + 1;
        entries.push(Recorded { seq, at: NOW, entry });
        drop(entries);
        self.head.send_replace(seq);
    }

    /// Writes how a payment stands.
    pub fn journal(&self, payment: &Payment, step: &str) {
        // A step that no test looks at is a time that had come.
        let name = StepName::ALL.into_iter().find(|name| name.name() == step);
        let step = EntryStep { name: name.unwrap_or(StepName::Due), ..EntryStep::default() };
        self.record(Entry::Payment { payment: payment.clone(), step });
    }

    pub fn journal_call(&self, payment: &Payment, call: Call, code: &str) {
        let step = EntryStep {
            name: StepName::Code,
            call: Some(call),
            code: Some(code.to_owned()),
            ..EntryStep::default()
        };
        self.record(Entry::Payment { payment: payment.clone(), step });
    }

    /// A further step of a payment.
    pub fn becomes(&self, number: &str, state: State) -> Payment {
        let payment = self.find(&number.parse().unwrap()).expect("a payment");
        let payment = altered(&payment, |record| {
            record.state = state;
            record.rev += 1;
        });
        self.journal(&payment, "test");
        payment
    }

    fn find(&self, number: &OutTradeNo) -> Option<Payment> {
        let entries = self.entries.lock().unwrap();
        entries.iter().rev().find_map(|recorded| match &recorded.entry {
            Entry::Payment { payment, .. } if payment.order().out_trade_no == *number => {
                Some(payment.clone())
            }
            _ => None,
        })
    }

    /// Writes how a refund stands.
    pub fn journal_refund(&self, refund: &Refund) {
        let step = EntryStep { name: StepName::Due, ..EntryStep::default() };
        self.record(Entry::Refund { refund: refund.clone(), step });
    }

    /// The refunds of a payment, each as it stands.
    fn refunds(&self, number: &OutTradeNo) -> Vec<Refund> {
        let mut all: Vec<Refund> = Vec::new();
        for recorded in self.entries.lock().unwrap().iter() {
            let Entry::Refund { refund, .. } = &recorded.entry else { continue };
            let same = |r: &&mut Refund| r.asked().request == refund.asked().request;
            match all.iter_mut().find(same) {
                _ if refund.of() != number => {}
                Some(found) => *found = refund.clone(),
                None => all.push(refund.clone()),
            }
        }
        all
    }

    fn sum(&self, number: &OutTradeNo) -> RefundSum {
        RefundSum::of(&self.refunds(number))
    }

    fn readable(&self) -> Result<(), Unavailable> {
        if *self.unreadable.lock().unwrap() {
            Err(Unavailable("disk I/O error".to_owned()))
        } else {
            Ok(())
        }
    }

    /// Lists are read a page at a time, while the disk lasts.
    fn take_page(&self) -> Result<(), Unavailable> {
        let mut left = self.pages_left.lock().unwrap();
        *left = left.checked_sub(1).ok_or(Unavailable("disk I/O error".to_owned()))?;
        Ok(())
    }

    fn laid_ready(&self) -> Option<Result<Reply, Unanswered>> {
        self.replies.lock().unwrap().pop_front()
    }
}

impl Backend for Fake {
    fn refund(&self, ask: RefundAsk, asker: Option<Asker>) -> Soon<'_, Result<Reply, Unanswered>> {
        Box::pin(async move {
            self.askers.lock().unwrap().push(asker);
            self.refund_asks.lock().unwrap().push(ask);
            self.laid_ready().unwrap_or(Ok(Reply::Denied(Denied::NotFound)))
        })
    }

    fn refunds_of(&self, number: OutTradeNo) -> Soon<'_, Result<Vec<Refund>, Unavailable>> {
        Box::pin(async move { self.readable().map(|()| self.refunds(&number)) })
    }

    fn refund_of(
        &self,
        number: OutTradeNo,
        request: OutRequestNo,
    ) -> Soon<'_, Result<Option<Refund>, Unavailable>> {
        Box::pin(async move {
            self.readable()?;
            Ok(self.refunds(&number).into_iter().find(|r| r.asked().request == request))
        })
    }

    fn refunded(&self, number: OutTradeNo) -> Soon<'_, Result<Refunded, Unavailable>> {
        Box::pin(async move { self.readable().map(|()| self.sum(&number).refunded) })
    }

    fn pay(
        &self,
        request: PayRequest,
        asker: Option<Asker>,
    ) -> Soon<'_, Result<Reply, Unanswered>> {
        Box::pin(async move {
            self.askers.lock().unwrap().push(asker);
            self.requests.lock().unwrap().push(request.clone());
            if let Some(reply) = self.laid_ready() {
                return reply;
            }
            if let Some(payment) = self.find(&request.order.out_trade_no) {
                return Ok(Reply::Stands(payment));
            }
            let payment = awaiting(request.order);
            self.journal(&payment, "requested");
            Ok(Reply::Started(payment))
        })
    }

    fn code(
        &self,
        number: OutTradeNo,
        code: AuthCode,
        asker: Option<Asker>,
    ) -> Soon<'_, Result<Reply, Unanswered>> {
        Box::pin(async move {
            self.askers.lock().unwrap().push(asker);
            self.codes.lock().unwrap().push(code);
            let payment = self.find(&number);
            let stands = || payment.map_or(Reply::Denied(Denied::NotFound), Reply::Stands);
            self.laid_ready().unwrap_or_else(|| Ok(stands()))
        })
    }

    fn stop(
        &self,
        number: OutTradeNo,
        asker: Option<Asker>,
    ) -> Soon<'_, Result<Reply, Unanswered>> {
        Box::pin(async move {
            self.askers.lock().unwrap().push(asker);
            self.stops.lock().unwrap().push(number.clone());
            let payment = self.find(&number);
            let stands = || payment.map_or(Reply::Denied(Denied::NotFound), Reply::Stands);
            self.laid_ready().unwrap_or_else(|| Ok(stands()))
        })
    }

    fn standing(&self, about: About) -> Soon<'_, Result<Standing, Unavailable>> {
        Box::pin(async move {
            self.readable()?;
            if self.under_way.lock().unwrap().contains(&about) {
                return Ok(Standing::UnderWay);
            }
            let entries = self.entries.lock().unwrap();
            let mut payments = entries.iter().rev().filter_map(|recorded| match &recorded.entry {
                Entry::Payment { payment, .. } => Some(payment),
                _ => None,
            });
            let found = payments.find(|payment| match &about {
                About::Number(number) => payment.order().out_trade_no == *number,
                About::Sale(sale) => {
                    let counts = !payment.is_final() || payment.public() == Public::Paid;
                    payment.order().sale.as_deref() == Some(sale) && counts
                }
            });
            Ok(found.cloned().map_or(Standing::Free, |p| Standing::Payment(Box::new(p))))
        })
    }

    fn payment(&self, number: OutTradeNo) -> Soon<'_, Result<Option<Payment>, Unavailable>> {
        Box::pin(async move {
            self.readable()?;
            let found = self.find(&number);
            let mut left = self.ends_after_reads.lock().unwrap();
            if *left == 1 {
                self.becomes(number.as_str(), State::Paid);
            }
            *left = left.saturating_sub(1);
            Ok(found)
        })
    }

    fn list(&self, filter: Filter) -> Soon<'_, Result<Page, Unavailable>> {
        Box::pin(async move {
            self.readable()?;
            self.take_page()?;
            self.filters.lock().unwrap().push(filter.clone());
            let entries = self.entries.lock().unwrap();
            let mut found: Vec<_> = entries
                .iter()
                .filter_map(|recorded| match &recorded.entry {
                    Entry::Payment { payment, .. } if payment.rev() == 1 => {
                        Some((recorded.seq, payment.order().out_trade_no.clone()))
                    }
                    _ => None,
                })
                .filter(|(seq, _)| filter.part.cursor.is_none_or(|cursor| *seq < cursor))
                .collect();
            drop(entries);
            found.reverse();
            let mut page = Page::default();
            let mut last = None;
            for (seq, number) in found {
                let payment = self.find(&number).expect("a payment");
                let wanted = match filter.which {
                    Which::All => true,
                    Which::Open => !payment.is_final(),
                    Which::State(state) => payment.public() == state,
                };
                let of_sale = filter.sale.is_none() || filter.sale == payment.order().sale;
                if !wanted || !of_sale {
                    continue;
                }
                if page.payments.len() == filter.part.limit {
                    page.next = last;
                    break;
                }
                let refunded = self.sum(&number).refunded;
                page.payments.push((payment, refunded));
                last = Some(seq);
            }
            Ok(page)
        })
    }

    fn steps_after(
        &self,
        number: OutTradeNo,
        seq: u64,
        limit: usize,
    ) -> Soon<'_, Result<Vec<Recorded>, Unavailable>> {
        Box::pin(async move {
            self.readable()?;
            self.take_page()?;
            *self.last_read.lock().unwrap() = limit;
            let entries = self.entries.lock().unwrap();
            let about = |recorded: &&Recorded| match &recorded.entry {
                Entry::Payment { payment, .. } => payment.order().out_trade_no == number,
                Entry::Refund { refund, .. } => *refund.of() == number,
                Entry::Scan { .. } | Entry::Scanner { .. } | Entry::Gateway { .. } => false,
            };
            Ok(entries.iter().filter(about).filter(|r| r.seq > seq).take(limit).cloned().collect())
        })
    }

    fn after(&self, seq: u64, limit: usize) -> Soon<'_, Result<Vec<Recorded>, Unavailable>> {
        Box::pin(async move {
            self.readable()?;
            *self.reads_after.lock().unwrap() += 1;
            // As a real reader is: on a thread of its own.
            tokio::task::yield_now().await;
            let entries = self.entries.lock().unwrap();
            Ok(entries.iter().filter(|r| r.seq > seq).take(limit).cloned().collect())
        })
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    fn status(&self) -> Status {
        Status {
            version: "0.1.0".to_owned(),
            started_at: NOW,
            uptime: Duration::from_secs(61),
            stopping: false,
            draining: false,
            scanners: vec![ScannerStatus {
                id: "lane-1".to_owned(),
                kind: "serial".to_owned(),
                device: "/dev/ttyACM0".to_owned(),
                present: true,
                last_news: None,
            }],
            gateway: Gateway {
                link: Link::Down,
                since: Some(NOW),
                last_answer_at: None,
                clock_skew_ms: Some(-120),
                trouble: Some("connection refused".to_owned()),
            },
            keys: Keys { state: KeyState::Proven, trouble: None },
            open_payments: 3,
            journal: Journal {
                writable: true,
                reason: None,
                path: "/var/lib/tilld/journal.db".to_owned(),
                head_seq: *self.head.borrow(),
            },
            clock: Clock { now: NOW, steady: Timestamp(61_000), wrong: None },
        }
    }

    fn fresh_number(&self) -> OutTradeNo {
        "T0000000000000000000000000000001".parse().unwrap()
    }

    fn scrape(&self, registry: &mut Registry) {
        let gauge: Gauge = Gauge::default();
        gauge.set(7);
        registry.register("daemon_figure", "One of the daemon's own", gauge);
    }
}

pub fn order(number: &str) -> Order {
    let order = Order::new(number.parse().unwrap(), "88.88".parse().unwrap(), "咖啡".to_owned());
    Order { scanner: Some("lane-1".to_owned()), ..order }
}

/// A payment that waits for its code.
pub fn awaiting(order: Order) -> Payment {
    let now = Moment::undisputed(NOW, NOW, NOW);
    altered(&Payment::requested(order, now, &Rules::default()), |record| record.rev = 1)
}

/// The same payment, but for what `change` does to it; with an offer that is out
/// if its state has one.
pub fn altered(payment: &Payment, change: impl FnOnce(&mut Record)) -> Payment {
    let mut record = payment.record();
    change(&mut record);
    let sent =
        !matches!(record.state, State::AwaitingCode { .. } | State::Cancelled(CancelAction::None));
    if sent {
        record.offer.get_or_insert(Offer {
            how: How::Code { mark: None, fresh_until: NOW },
            tag: None,
            tried_since: NOW,
            sent_at: NOW,
            deadline: NOW,
            time_expire: NOW,
            horizon: NOW,
            hold: Duration::ZERO,
            hold_until: NOW,
            heard: Heard::default(),
        });
    }
    record.try_into().expect("possible")
}

/// A payment in that state, with an offer if the state has one.
pub fn payment(number: &str, state: State) -> Payment {
    altered(&awaiting(order(number)), |record| record.state = state)
}
