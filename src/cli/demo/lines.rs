//! What happens, line by line: heard from the daemon's events and seen in the
//! sandbox's ledger, put in the order in which it happened.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::api::client::{Client, Event, News};
use crate::api::{CancelActionView, PaymentView, RefundView, SentenceView as Sentence};
use crate::cli::out::{Out, folded, width};
use crate::cli::words::{self as common, Phrase};
use crate::sandbox::{Arrived, Ledger, Number};

use super::words;

/// The column in which it says what somebody did.
const WHAT_AT: usize = 22;
/// Between two looks at the ledger.
const TICK: Duration = Duration::from_millis(20);
/// How long a line is held back, so that one that happened before it and is
/// heard of later can still go in front.
const HELD_BACK_MS: i64 = 150;

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Register,
    Cashier,
    Scanner,
    Buyer,
    Network,
    Terminal,
    Gateway,
}

impl Who {
    /// The stable name, for programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Cashier => "cashier",
            Self::Scanner => "scanner",
            Self::Buyer => "buyer",
            Self::Network => "network",
            Self::Terminal => "terminal",
            Self::Gateway => "gateway",
        }
    }

    pub(super) fn phrase(self) -> Phrase {
        match self {
            Self::Register => words::WHO_REGISTER,
            Self::Cashier => words::WHO_CASHIER,
            Self::Scanner => words::WHO_SCANNER,
            Self::Buyer => words::WHO_BUYER,
            Self::Network => words::WHO_NETWORK,
            Self::Terminal => words::WHO_TERMINAL,
            Self::Gateway => words::WHO_GATEWAY,
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(super) struct Line {
    at_ms: i64,
    /// What goes first when two things have the same millisecond.
    rank: u8,
    /// Since the scene began.
    pub(super) seconds: f64,
    pub(super) who: Who,
    pub(super) what: Sentence,
}

/// Listens to the daemon, looks into the ledger, and prints as it goes.
pub(super) struct Lines<'a> {
    out: &'a Out,
    ledger: Ledger,
    heard: mpsc::UnboundedReceiver<Event>,
    listener: JoinHandle<()>,
    /// The last event that was heard.
    last_id: String,
    began_ms: i64,
    began: Instant,
    /// Whose lines belong to the scene, and how each was last seen: the state,
    /// and how many requests had arrived.
    numbers: BTreeMap<String, (String, usize)>,
    waiting: Vec<Line>,
    told: Vec<Line>,
    /// Kinds of the scans that no payment took.
    scans: Vec<String>,
    /// The refunds of the scene, by their numbers, each as it was last heard of.
    refunds: BTreeMap<String, String>,
    /// Nobody reads any more.
    pub(super) unread: bool,
}

impl Drop for Lines<'_> {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl<'a> Lines<'a> {
    pub(super) fn new(out: &'a Out, client: &Client, ledger: Ledger) -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let listener = listen(client, "0", tell);
        Self {
            out,
            ledger,
            heard,
            listener,
            last_id: "0".to_owned(),
            began_ms: now_ms(),
            began: Instant::now(),
            numbers: BTreeMap::new(),
            waiting: Vec::new(),
            told: Vec::new(),
            scans: Vec::new(),
            refunds: BTreeMap::new(),
            unread: false,
        }
    }

    /// Listens to a daemon that was started again, where the last one stopped. The
    /// stream would come back by itself, but takes its time.
    pub(super) fn listen(&mut self, client: &Client) {
        self.listener.abort();
        while let Ok(event) = self.heard.try_recv() {
            self.hear(&event);
        }
        let (tell, heard) = mpsc::unbounded_channel();
        self.heard = heard;
        self.listener = listen(client, &self.last_id, tell);
    }

    /// Whether an event has told that the payment is in this state.
    pub(super) fn has_heard(&self, number: &str, state: &str) -> bool {
        self.numbers.get(number).is_some_and(|(heard, _)| heard == state)
    }

    /// A new scene, about these payments.
    pub(super) fn begin(&mut self, numbers: &[&str]) {
        self.numbers =
            numbers.iter().map(|number| ((*number).to_owned(), Default::default())).collect();
        self.began_ms = now_ms();
        self.began = Instant::now();
        self.waiting.clear();
        self.told.clear();
        self.scans.clear();
        self.refunds.clear();
    }

    /// All that was left to tell; then the lines of the scene, in their order.
    pub(super) async fn end(&mut self) -> Vec<Line> {
        let rest = u64::try_from(HELD_BACK_MS).unwrap_or_default();
        self.during(sleep(Duration::from_millis(rest))).await;
        self.flush(i64::MAX);
        std::mem::take(&mut self.told)
    }

    /// How long the scene has gone on.
    pub(super) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Somebody of the play does something now.
    pub(super) fn say(&mut self, who: Who, what: Sentence) {
        self.push(now_ms(), 0, who, what);
    }

    /// Whether a scan of this kind was heard of in this scene.
    pub(super) fn has_scan(&self, kind: &str) -> bool {
        self.scans.iter().any(|scan| scan == kind)
    }

    /// Whether an event has told that the money of this refund is back.
    pub(super) fn has_refunded(&self, request: &str) -> bool {
        self.refunds.get(request).is_some_and(|state| state == "refunded")
    }

    /// Listens while `work` is done.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let done = tokio::select! {
                done = &mut work => Some(done),
                Some(event) = self.heard.recv() => {
                    self.hear(&event);
                    None
                }
                () = sleep(TICK) => None,
            };
            self.look();
            self.flush(now_ms().saturating_sub(HELD_BACK_MS));
            if let Some(done) = done {
                return done;
            }
        }
    }

    fn push(&mut self, at_ms: i64, rank: u8, who: Who, what: Sentence) {
        #[allow(clippy::cast_precision_loss, reason = "some seconds")]
        let seconds = at_ms.saturating_sub(self.began_ms).max(0) as f64 / 1000.0;
        self.waiting.push(Line { at_ms, rank, seconds, who, what });
    }

    /// Prints what happened up to then.
    fn flush(&mut self, until_ms: i64) {
        self.waiting.sort_by_key(|line| (line.at_ms, line.rank));
        let ready = self.waiting.partition_point(|line| line.at_ms <= until_ms);
        for line in self.waiting.drain(..ready) {
            if !self.out.json {
                let who = pad(line.who.phrase().text(self.out.lang), 10);
                let what = self.out.lang.of(&line.what);
                let text = format!("  {:6.2} s  {who}{what}", line.seconds);
                for line in folded(&text, WHAT_AT) {
                    self.unread |= !self.out.line(&line);
                }
            }
            self.told.push(line);
        }
    }

    // --- the daemon ------------------------------------------------------------

    fn hear(&mut self, event: &Event) {
        self.last_id.clone_from(&event.id);
        let Ok(data) = serde_json::from_str::<serde_json::Value>(&event.data) else { return };
        let at = |member: &str| data.get(member).and_then(|at| at.as_str()).map_or(0, millis);
        let text = |member: &str| data.get(member).and_then(|text| text.as_str());
        match event.name.as_str() {
            "payment" => {
                if let Ok(view) = serde_json::from_str::<PaymentView>(&event.data) {
                    self.payment(at("updated_at"), &view);
                }
            }
            "refund" => {
                if let Ok(view) = serde_json::from_str::<RefundView>(&event.data) {
                    self.refund(at("updated_at"), &view);
                }
            }
            "scan" if at("at") >= self.began_ms => {
                let kind = text("kind").unwrap_or_default();
                self.scans.push(kind.to_owned());
                let name = |lang| common::name(kind, lang);
                let text = text("text").unwrap_or_default();
                let what = Sentence {
                    zh: words::SCAN.fill(common::Lang::Zh, &[text, &name(common::Lang::Zh)]),
                    en: words::SCAN.fill(common::Lang::En, &[text, &name(common::Lang::En)]),
                };
                self.push(at("at"), 1, Who::Terminal, what);
            }
            "gateway" if at("at") >= self.began_ms && data.get("up") == Some(&false.into()) => {
                self.push(at("at"), 2, Who::Terminal, words::SILENCE.both(&[]));
            }
            _ => {}
        }
    }

    fn payment(&mut self, at_ms: i64, view: &PaymentView) {
        let Some((state, _)) = self.numbers.get_mut(&view.out_trade_no) else { return };
        let told = view.state.to_string();
        if *state == told {
            return;
        }
        state.clone_from(&told);
        let reason = view.reason.as_ref().map(|reason| &reason.message);
        let refunded =
            view.cancel_action.as_ref().is_some_and(|action| *action == CancelActionView::Refund);
        let (rank, what) = match (told.as_str(), reason, refunded) {
            ("awaiting_code", ..) => (0, words::AWAITS_CODE.both(&[])),
            ("processing", ..) => (1, words::SENDS_PAY.both(&[])),
            ("awaiting_buyer", ..) => (3, words::AWAITS_BUYER.both(&[])),
            ("cancelling", Some(why), _) => (3, words::CLOSES_BEHIND.both(&[why])),
            ("cancelling", ..) => (5, words::GIVES_UP.both(&[])),
            ("paid", ..) => (7, words::IS_PAID.both(&[])),
            ("declined", ..) => (7, words::IS_DECLINED.both(&[])),
            ("cancelled", _, true) => (7, words::IS_RETURNED.both(&[])),
            ("cancelled", ..) => (7, words::IS_CANCELLED.both(&[])),
            (other, ..) => (7, Sentence { zh: other.to_owned(), en: other.to_owned() }),
        };
        self.push(at_ms, rank, Who::Terminal, what);
    }

    fn refund(&mut self, at_ms: i64, view: &RefundView) {
        if !self.numbers.contains_key(&view.out_trade_no) {
            return;
        }
        let told = view.state.to_string();
        if self.refunds.insert(view.out_request_no.clone(), told.clone()).as_ref() == Some(&told) {
            return;
        }
        let (rank, phrase) = match told.as_str() {
            "processing" => (7, words::SENDS_REFUND),
            "refunded" => (9, words::IS_REFUNDED),
            _ => (9, words::IS_REFUSED),
        };
        self.push(at_ms, rank, Who::Terminal, phrase.both(&[&view.amount]));
    }

    // --- the gateway -----------------------------------------------------------

    /// Tells of the requests that have arrived since the last look.
    fn look(&mut self) {
        let mut news = Vec::new();
        for (name, (_, seen)) in &mut self.numbers {
            let Some(number) = self.ledger.number(name) else { continue };
            for (index, arrived) in number.history.iter().enumerate().skip(*seen) {
                news.push((arrived.at_ms, arrival(&number, index, arrived)));
            }
            *seen = number.history.len();
        }
        for (at_ms, (rank, who, what)) in news {
            self.push(at_ms, rank, who, what);
        }
    }
}

/// Hands on the daemon's events after that one, for as long as anybody takes them.
fn listen(client: &Client, after: &str, tell: mpsc::UnboundedSender<Event>) -> JoinHandle<()> {
    let mut events = client.events(Some(after.to_owned()));
    tokio::spawn(async move {
        loop {
            match events.next().await {
                Ok(News::Event(event)) => {
                    if tell.send(event).is_err() {
                        return;
                    }
                }
                Ok(News::Lost(_) | News::Back) => {}
                Err(_) => sleep(TICK).await,
            }
        }
    })
}

/// A request in plain words.
fn arrival(number: &Number, index: usize, arrived: &Arrived) -> (u8, Who, Sentence) {
    let Arrived { at_ms, method, executed, answered, code, sub_code, .. } = arrived;
    let trade = number.trade.as_ref().filter(|trade| trade.created_ms <= *at_ms);
    let sum = trade.map(|trade| yuan(trade.total_fen)).unwrap_or_default();
    let is_paid = trade.and_then(|trade| trade.paid_ms).is_some_and(|paid| paid <= *at_ms);
    // An earlier cancel that found a trade has closed it.
    let before = number.history.get(..index).unwrap_or_default();
    let is_undone = before.iter().any(|earlier| {
        earlier.method.ends_with("cancel")
            && earlier.code == "10000"
            && trade.is_some_and(|trade| trade.created_ms <= earlier.at_ms)
    });
    let given_back = trade.and_then(|t| t.refunds.iter().rfind(|refund| refund.at_ms <= *at_ms));
    let back = given_back.map(|refund| yuan(refund.fen));
    if method.ends_with("refund.query") {
        let what = match &back {
            Some(back) => words::REFUND_ASKED_DONE.both(&[back]),
            None => words::REFUND_ASKED_NOT_DONE.both(&[]),
        };
        return (8, Who::Gateway, what);
    }
    let refusal = if sub_code.is_empty() { code } else { sub_code };
    let (rank, what) = match (method.rsplit('.').next(), code.as_str()) {
        (Some("pay"), _) if !executed => return (2, Who::Network, words::PAY_STUCK.both(&[])),
        (Some("pay"), "10000") if method.starts_with("late") => (2, words::PAY_LATE.both(&[&sum])),
        (Some("pay"), "10000") => (2, words::PAY_CHARGED.both(&[&sum])),
        (Some("pay"), "10003") => (2, words::PAY_WAITS.both(&[])),
        (Some("pay"), _) => (2, words::PAY_REFUSED.both(&[refusal])),
        (Some("query"), "10000") if is_undone && is_paid => (4, words::QUERY_RETURNED.both(&[])),
        (Some("query"), "10000") if is_undone => (4, words::QUERY_CLOSED.both(&[])),
        (Some("query"), "10000") if is_paid => (4, words::QUERY_PAID.both(&[&sum])),
        (Some("query"), "10000") => (4, words::QUERY_WAITS.both(&[])),
        (Some("query"), _) if sub_code == "ACQ.TRADE_NOT_EXIST" => {
            (4, words::QUERY_NEVER_SEEN.both(&[]))
        }
        (Some("cancel"), "10000") if trade.is_none() => (6, words::CANCEL_NEVER_SEEN.both(&[])),
        (Some("cancel"), "10000") if is_paid => (6, words::CANCEL_RETURNS.both(&[&sum])),
        (Some("cancel"), "10000") => (6, words::CANCEL_CLOSES.both(&[])),
        (Some("refund"), "10000") => (8, words::REFUND_RETURNS.both(&[&back.unwrap_or_default()])),
        (what, _) => (6, words::OTHER_ANSWER.both(&[what.unwrap_or_default(), refusal])),
    };
    if *answered || method.starts_with("late") {
        return (rank, Who::Gateway, what);
    }
    let lost = words::ANSWER_LOST.both(&[]);
    let what = Sentence { zh: what.zh + &lost.zh, en: what.en + &lost.en };
    (rank, Who::Gateway, what)
}

/// `text`, and spaces up to so many columns.
pub(super) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Fen as yuan, with two decimals.
pub(super) fn yuan(fen: u64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}

fn millis(text: &str) -> i64 {
    let at = OffsetDateTime::parse(text, &Rfc3339).map(OffsetDateTime::unix_timestamp_nanos);
    at.ok().and_then(|nanos| i64::try_from(nanos.div_euclid(1_000_000)).ok()).unwrap_or_default()
}

/// Only to put what this program does between what the daemon and the sandbox
/// say they did.
#[allow(clippy::disallowed_methods, reason = "the times it is compared with are the wall clock's")]
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
