//! The only loop: one input, one entry on disk, then the call.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use super::backend::{Asked, Board, Daemon, Recent};
use super::check::Setup;
use super::system::{self, Heartbeat, Watchdog};
use super::{Clock, Ended};
use crate::alipay::Client;
use crate::api;
use crate::config::Config;
use crate::journal::{self, AppendError, Health, OpenError, Reader, Writer};
use crate::payment::{
    Answered, Call, Entry, EntryStep, Illegal, OutTradeNo, Payment, ScannerNews, Timestamp,
};
use crate::scanner;
use crate::terminal::{Input, Known, Output, Reply, Request, RequestId, Serial, Terminal, Ticket};

/// Requests waiting for the loop. It takes microseconds for each; a queue this
/// long means that it is stuck, and then registers should wait at the socket.
const REQUESTS_MAX: usize = 256;
/// Scans and news waiting for the loop: more than all scanners of a shop can
/// read before it comes round.
const SCANS_MAX: usize = 64;
/// With payments open, the loop looks at the steady clock at least this often:
/// timers stand still while the box sleeps, and deadlines do not.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long entries under way get when the daemon is told to stop.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// What comes back from the journal and the gateway. Never more than entries
/// and calls under way, so the queue needs no bound of its own.
enum Back {
    Written(Ticket, Result<u64, AppendError>),
    Answered(OutTradeNo, Serial, Box<Answered>),
}

/// Runs the daemon until it is told to stop.
pub(super) async fn run(setup: Setup) -> Result<(), Ended> {
    let Setup { config, client, token } = setup;
    system::seal();
    let clock = Arc::new(Clock::start());
    let unavailable = |why: &dyn std::fmt::Display| Ended::Unavailable(why.to_string());

    let (writer, reader) = journal::open(&config.journal).map_err(not_opened)?;
    let head_seq = reader.head().map_err(|why| unavailable(&why))?.seq;
    let open = reader.open_payments().map_err(|why| unavailable(&why))?;
    tracing::info!(journal = %config.journal.display(), head_seq, open = open.len(), "journal opened");

    let unix = system::listener(&config.api.socket, config.api.mode)?;
    let tcp = match (&config.api.listen, token) {
        (Some(listen), Some(token)) => {
            let tcp = api::bind_tcp(listen.address).await.map_err(|why| unavailable(&why))?;
            Some((tcp, token))
        }
        _ => None,
    };

    let (scan_sink, scans) = mpsc::channel(SCANS_MAX);
    let handles = start_scanners(&config, &clock, &scan_sink);

    let (head, head_seen) = watch::channel(head_seq);
    let board: Board = Arc::new(std::sync::Mutex::new(first_status(&config, &clock, head_seq)));
    let (requests, asked) = mpsc::channel(REQUESTS_MAX);
    let recent = Recent::default();
    let backend = Arc::new(Daemon {
        requests,
        reader: reader.clone(),
        recent: recent.clone(),
        head: head_seen,
        board: Arc::clone(&board),
        clock: Arc::clone(&clock),
    });

    let mut beats: Vec<(String, Heartbeat)> = Vec::new();
    let journal_beat = writer.heartbeat();
    beats.push((
        "journal".to_owned(),
        Box::new(move || journal_beat.load(std::sync::atomic::Ordering::Relaxed)),
    ));
    for handle in &handles {
        beats.push((format!("scanner {}", handle.scanner()), Box::new(handle.heartbeat())));
    }

    let ids = config.scanners.iter().map(|s| s.id.clone()).collect();
    let (back, came_back) = mpsc::unbounded_channel();
    let health = writer.health();
    let mut daemon = Loop {
        terminal: Terminal::new(config.rules, ids),
        clock,
        reader,
        writer,
        client: Arc::new(client),
        back,
        recent,
        head,
        board,
        scanners: handles.into_iter().map(|handle| (handle, false)).collect(),
        replies: HashMap::new(),
        lines: HashMap::new(),
        last_request: 0,
        said: String::new(),
        said_at: Timestamp(0),
    };
    let (stop_api, api_stopping) = watch::channel(false);
    let listeners = api::Listeners { unix, tcp };
    let api = tokio::spawn(api::serve(listeners, backend, api::Settings::default(), api_stopping));

    let ended = daemon.turn(open, asked, scans, came_back, health, Watchdog::new(beats)).await;
    system::say_stopping();
    daemon.let_go_of_scanners().await;
    let _ = stop_api.send(true);
    let _ = tokio::time::timeout(LAST_WRITES, api).await;
    ended
}

fn start_scanners(
    config: &Config,
    clock: &Arc<Clock>,
    sink: &mpsc::Sender<scanner::Input>,
) -> Vec<scanner::Handle> {
    let start = |settings: &scanner::ScannerSettings| {
        let clock = Arc::clone(clock);
        scanner::start(settings.clone(), Arc::new(move || clock.steady()), sink.clone())
    };
    config.scanners.iter().map(start).collect()
}

fn first_status(config: &Config, clock: &Clock, head_seq: u64) -> api::Status {
    let now = clock.now();
    let scanner = |settings: &scanner::ScannerSettings| api::ScannerStatus {
        id: settings.id.clone(),
        kind: settings.kind.name().to_owned(),
        device: settings.place.to_string(),
        present: false,
        last_news: None,
    };
    api::Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: now.wall,
        uptime: Duration::ZERO,
        stopping: false,
        scanners: config.scanners.iter().map(scanner).collect(),
        gateway: api::Gateway {
            link: api::Link::Unknown,
            since: None,
            last_answer_at: None,
            clock_skew_ms: None,
            trouble: None,
        },
        open_payments: 0,
        journal: api::Journal {
            writable: true,
            reason: None,
            path: config.journal.display().to_string(),
            head_seq,
        },
        // Until it is asked for: when the daemon started, from which `status`
        // works out how long it is up.
        clock: api::Clock { now: now.wall, steady: now.steady },
    }
}

struct Loop {
    terminal: Terminal,
    clock: Arc<Clock>,
    reader: Reader,
    writer: Writer,
    client: Arc<Client>,
    back: mpsc::UnboundedSender<Back>,
    recent: Recent,
    head: watch::Sender<u64>,
    board: Board,
    /// Each scanner, and whether it was told that a payment waits for its code.
    scanners: Vec<(scanner::Handle, bool)>,
    replies: HashMap<RequestId, oneshot::Sender<Reply>>,
    lines: HashMap<Ticket, Line>,
    last_request: RequestId,
    /// The line that the service manager shows, and when it was told.
    said: String,
    said_at: Timestamp,
}

impl Loop {
    async fn turn(
        &mut self,
        open: Vec<Payment>,
        mut asked: mpsc::Receiver<Asked>,
        mut scans: mpsc::Receiver<scanner::Input>,
        mut back: mpsc::UnboundedReceiver<Back>,
        mut health: watch::Receiver<Health>,
        mut watchdog: Watchdog,
    ) -> Result<(), Ended> {
        let no_signals = |why| Ended::Software(format!("listening for signals: {why}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
        let mut feeding = watchdog.interval().map(tokio::time::interval);

        self.health(&health.borrow_and_update().clone())?;
        let recovered = self.terminal.recover(open, self.clock.now()).map_err(lost_track)?;
        self.act(recovered);
        self.tell_scanners();
        self.post_status();
        system::say_ready(&self.said);

        loop {
            // Also when there is always something else to do.
            if self.wait().is_zero() {
                self.handle(Input::Tick)?;
            }
            let wait = self.wait();
            tokio::select! {
                // What the world did comes before what somebody wants.
                biased;
                Some(back) = back.recv() => self.came_back(back)?,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                Ok(()) = health.changed() => {
                    let now = health.borrow_and_update().clone();
                    self.health(&now)?;
                }
                Some(input) = scans.recv() => self.scanned(input)?,
                Some(request) = asked.recv() => self.asked(request)?,
                () = feed(&mut feeding) => watchdog.feed(),
                () = tokio::time::sleep(wait) => self.handle(Input::Tick)?,
            }
            self.post_status();
        }
        tracing::info!(
            open = self.terminal.open_count(),
            "stopping; what is open goes on at the next start"
        );
        self.board().stopping = true;
        self.handle(Input::Stop)?;
        self.last_writes(&mut asked, &mut back).await
    }

    /// What is being written gets its reply; nothing new begins.
    async fn last_writes(
        &mut self,
        asked: &mut mpsc::Receiver<Asked>,
        back: &mut mpsc::UnboundedReceiver<Back>,
    ) -> Result<(), Ended> {
        asked.close();
        let end = tokio::time::Instant::now() + LAST_WRITES;
        while let Ok(request) = asked.try_recv() {
            self.asked(request)?;
        }
        while !self.lines.is_empty() {
            match tokio::time::timeout_at(end, back.recv()).await {
                Ok(Some(back)) => self.came_back(back)?,
                Ok(None) | Err(_) => break,
            }
        }
        Ok(())
    }

    /// Until something is due, or until the steady clock should be looked at.
    fn wait(&self) -> Duration {
        let due = self.terminal.due().map(|due| self.clock.until(due));
        match due {
            Some(due) => due.min(LOOK_AGAIN),
            // What has changed since then is still to be said.
            None if self.terminal.open_count() > 0 || self.said_lately() => LOOK_AGAIN,
            None => Duration::from_hours(1),
        }
    }

    fn asked(&mut self, Asked { request, reply }: Asked) -> Result<(), Ended> {
        let known = match self.known(&request) {
            Ok(known) => Box::new(known),
            Err(why) => {
                let denied = crate::terminal::Denied::JournalUnavailable(why.to_string());
                let _ = reply.send(Reply::Denied(denied));
                return Ok(());
            }
        };
        self.last_request += 1;
        let id = self.last_request;
        self.replies.insert(id, reply);
        self.handle(Input::Request { id, request, known })
    }

    /// Read here and now: between this and the decision nothing else happens.
    fn known(&self, request: &Request) -> Result<Known, journal::ReadError> {
        match request {
            Request::Pay(request) => Ok(Known {
                number: self.reader.payment(&request.order.out_trade_no)?,
                sale: match &request.order.sale {
                    Some(sale) => self.reader.attempt_for_sale(sale)?,
                    None => None,
                },
            }),
            Request::Code { number, .. } | Request::Stop { number } => {
                Ok(Known { number: self.reader.payment(number)?, sale: None })
            }
        }
    }

    fn scanned(&mut self, input: scanner::Input) -> Result<(), Ended> {
        match input {
            scanner::Input::Scan { scanner, text, aim, started_at } => {
                self.handle(Input::Scan { scanner, text, aim, started_at })
            }
            scanner::Input::News { scanner, news } => {
                self.post_news(&scanner, &news);
                self.handle(Input::News { scanner, news })
            }
        }
    }

    fn came_back(&mut self, back: Back) -> Result<(), Ended> {
        match back {
            Back::Answered(number, serial, answered) => {
                if let Some(time) = answered.gateway_time {
                    self.clock.learn(time);
                    let wall = self.clock.wall();
                    self.board().gateway.last_answer_at = Some(wall);
                }
                self.handle(Input::Answered { number, serial, answered })
            }
            Back::Written(ticket, Ok(seq)) => {
                let line = self.lines.remove(&ticket);
                if let Some(payment) = line.and_then(|line| line.log(seq)) {
                    self.recent.put(payment);
                }
                self.head.send_if_modified(|head| {
                    let moved = seq > *head;
                    *head = seq.max(*head);
                    moved
                });
                self.handle(Input::Written(ticket))
            }
            Back::Written(ticket, Err(why)) => self.not_written(ticket, &why),
        }
    }

    fn not_written(&mut self, ticket: Ticket, why: &AppendError) -> Result<(), Ended> {
        let line = self.lines.remove(&ticket);
        match why {
            AppendError::NotWritten(reason) => {
                tracing::warn!(reason, "an entry could not be written");
                self.handle(Input::NotWritten(ticket, reason.clone()))
            }
            // The journal knows better. A new payment is denied; about an old one
            // the loop must not guess.
            AppendError::Refused(reason) if line.as_ref().is_some_and(Line::is_new) => {
                tracing::error!(reason, "the journal refused a new payment");
                self.handle(Input::NotWritten(ticket, reason.clone()))
            }
            AppendError::Refused(_) | AppendError::Unknown => {
                Err(Ended::Software(format!("{why}; the next start reads what is true")))
            }
        }
    }

    fn health(&mut self, health: &Health) -> Result<(), Ended> {
        let (state, writable) = match health {
            Health::Writable => (Ok(()), true),
            Health::Unavailable(why) => (Err(why.clone()), false),
        };
        {
            let mut board = self.board();
            if board.journal.writable != writable {
                match &state {
                    Ok(()) => tracing::info!("the journal can be written again"),
                    Err(why) => {
                        tracing::error!(why, "the journal cannot be written: no new payments");
                    }
                }
            }
            board.journal.writable = writable;
            board.journal.reason = state.clone().err();
        }
        self.handle(Input::Journal(state))
    }

    /// The one place where a decision is made and carried out.
    fn handle(&mut self, input: Input) -> Result<(), Ended> {
        let out = self.terminal.handle(input, self.clock.now()).map_err(lost_track)?;
        self.act(out);
        self.tell_scanners();
        Ok(())
    }

    /// Tells each scanner when a payment begins or ceases to wait for its code.
    fn tell_scanners(&mut self) {
        for (handle, told) in &mut self.scanners {
            let waits = self.terminal.waits_on(handle.scanner());
            if waits != *told {
                handle.arm(waits);
                *told = waits;
            }
        }
    }

    /// All at once, so that the slowest is all that is waited for.
    async fn let_go_of_scanners(&mut self) {
        let stopped: Vec<_> =
            self.scanners.drain(..).map(|(handle, _)| tokio::spawn(handle.stop())).collect();
        for stopped in stopped {
            // It only ends in this way or by a panic of its own.
            let _ = stopped.await;
        }
    }

    fn act(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Write { ticket, entry } => self.write(ticket, entry),
                Output::Send { serial, call, payment, code } => {
                    let (client, back) = (Arc::clone(&self.client), self.back.clone());
                    let now = self.clock.now().gateway;
                    tokio::spawn(async move {
                        let answered = client.call(call, &payment, code.as_ref(), now).await;
                        let number = payment.order.out_trade_no.clone();
                        // Nobody listens any more: the daemon is ending.
                        let _ = back.send(Back::Answered(number, serial, Box::new(answered)));
                    });
                }
                Output::Reply { id, reply } => {
                    if let Some(asked) = self.replies.remove(&id) {
                        // The register may have hung up.
                        let _ = asked.send(reply);
                    }
                }
            }
        }
    }

    fn write(&mut self, ticket: Ticket, entry: Entry) {
        self.lines.insert(ticket, Line::of(&entry));
        if let Entry::Gateway { up, text } = &entry {
            self.post_gateway(*up, text);
        }
        let pending = self.writer.append(entry, self.clock.wall());
        let back = self.back.clone();
        tokio::spawn(async move {
            let written = pending.await;
            let _ = back.send(Back::Written(ticket, written));
        });
    }

    fn board(&self) -> MutexGuard<'_, api::Status> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- the board -------------------------------------------------------------

    fn post_status(&mut self) {
        let open = self.terminal.open_count();
        self.board().open_payments = open;
        if self.said_lately() {
            return;
        }
        let line = self.status_line();
        if line != self.said {
            system::say_status(&line);
            (self.said, self.said_at) = (line, self.clock.steady());
        }
    }

    /// The service manager is told how things stand once in a while, not twice a
    /// payment: it has to wake up for that, and the payment would wait.
    fn said_lately(&self) -> bool {
        let since = self.clock.steady().millis().saturating_sub(self.said_at.millis());
        Duration::from_millis(u64::try_from(since).unwrap_or(0)) < LOOK_AGAIN
    }

    fn status_line(&self) -> String {
        let board = self.board();
        match &board.journal.reason {
            Some(why) => format!("takes no new payments: {why}"),
            None => format!("ready; {} open payments", self.terminal.open_count()),
        }
    }

    fn post_news(&self, scanner: &str, news: &ScannerNews) {
        match news {
            ScannerNews::Plugged => tracing::info!(scanner, "scanner is there"),
            ScannerNews::Unplugged(why) => tracing::warn!(scanner, why, "scanner is gone"),
            ScannerNews::ScanLost(why) => tracing::warn!(scanner, why, "a scan was lost"),
        }
        let mut board = self.board();
        let Some(status) = board.scanners.iter_mut().find(|s| s.id == scanner) else { return };
        status.last_news = match news {
            ScannerNews::Plugged => None,
            ScannerNews::Unplugged(why) | ScannerNews::ScanLost(why) => Some(why.clone()),
        };
        match news {
            ScannerNews::Plugged => status.present = true,
            ScannerNews::Unplugged(_) => status.present = false,
            ScannerNews::ScanLost(_) => {}
        }
    }

    fn post_gateway(&self, up: bool, text: &str) {
        if up {
            tracing::info!("the gateway answers");
        } else {
            tracing::warn!(why = text, "the gateway does not answer");
        }
        let mut board = self.board();
        board.gateway.link = if up { api::Link::Up } else { api::Link::Down };
        board.gateway.since = Some(self.clock.wall());
        board.gateway.trouble = (!up).then(|| text.to_owned());
    }
}

async fn feed(interval: &mut Option<tokio::time::Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// A journal that is not as it should be stays so until a person has looked: the
/// service manager need not try again.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn not_opened(why: OpenError) -> Ended {
    let text = super::chain(&why);
    match why {
        OpenError::NoFolder(_)
        | OpenError::Missing { .. }
        | OpenError::NotAJournal { .. }
        | OpenError::Newer { .. }
        | OpenError::Damaged { .. }
        | OpenError::Unreadable { .. } => Ended::Config(text),
        OpenError::InUse(_) | OpenError::Read { .. } | OpenError::Prepare { .. } => {
            Ended::Unavailable(text)
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn lost_track(illegal: Illegal) -> Ended {
    Ended::Software(format!(
        "{illegal}; stopping, because a terminal that lost track must not guess"
    ))
}

/// An entry about a payment that is being written: once it is on disk it is
/// logged in one line, and remembered.
struct Line(Option<(Payment, EntryStep)>);

impl Line {
    fn of(entry: &Entry) -> Self {
        Self(match entry {
            Entry::Payment { payment, step } => Some((payment.clone(), step.clone())),
            Entry::Scan { .. } | Entry::Scanner { .. } | Entry::Gateway { .. } => None,
        })
    }

    fn is_new(&self) -> bool {
        self.0.as_ref().is_some_and(|(payment, _)| payment.rev == 1)
    }

    /// Logs the entry under its number, and gives the payment that it is about.
    fn log(self, seq: u64) -> Option<Payment> {
        let (payment, step) = self.0?;
        let (number, rev) = (&payment.order.out_trade_no, payment.rev);
        let state = payment.public().name();
        let verdict = step.verdict.unwrap_or_default();
        let call = step.call.map(Call::name).unwrap_or_default();
        let sub_code = step.wire.and_then(|wire| wire.sub_code).unwrap_or_default();
        let step = step.name;
        if payment.attention.is_some() {
            tracing::warn!(%number, seq, rev, state, step, verdict, sub_code, call, "needs attention");
        } else {
            tracing::info!(%number, seq, rev, state, step, verdict, sub_code, call, "payment");
        }
        Some(payment)
    }
}
