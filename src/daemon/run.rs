//! The only loop: one input, one entry on disk, then the call.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::asking;
use super::backend::{Asked, Daemon, Door, Recent, Replying};
use super::board::{Board, SAY_AGAIN, Said};
use super::calls::Calls;
use super::check::Setup;
use super::gate::{Gate, Known as Time, Told};
use super::heard::Dated;
use super::keys::Keys;
use super::system::{self, Heartbeat, Watchdog};
use super::{Clock, Ended};
use crate::alipay::{Client, Probed};
use crate::api;
use crate::config::Config;
use crate::journal::{self, AppendError, Health, OpenError, Reader, Writer};
use crate::payment::{
    Account, Answered, AuthCode, Call, CodeMark, Entry, EntryStep, Illegal, Judged, OutTradeNo,
    Payment, ScannerNews, Timestamp,
};
use crate::scanner;
use crate::terminal::{
    Codes, Denied, Input, Known, Output, Reply, Request, RequestId, Serial, Terminal, Ticket,
};

/// Requests waiting for the loop. It takes microseconds for each; a queue this
/// long means that it is stuck, and then registers should wait at the socket.
const REQUESTS_MAX: usize = 256;
/// Scans and news waiting for the loop: more than all scanners of a shop can
/// read before it comes round.
const SCANS_MAX: usize = 64;
/// With payments open, the loop looks at the steady clock at least this often:
/// timers stand still while the box sleeps, and deadlines do not.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// And with none open: somebody may have set the clock, or the box slept.
const LOOK_IDLE: Duration = Duration::from_secs(5);
/// For so long no new payments are taken after somebody has asked for that. If
/// nobody has restarted the daemon by then, the upgrade has gone wrong, and the
/// shop shall not stay closed for it.
const DRAIN_MAX: Duration = Duration::from_mins(2);
/// A box's clock that is further off than this is worth a line in the log.
const SKEW_TOLD: u64 = 5_000;
/// How long entries under way get when the daemon is told to stop.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// What comes back from the journal and the gateway. Never more than entries
/// and calls under way, so the queue needs no bound of its own.
enum Back {
    Written(Ticket, Result<u64, AppendError>),
    Answered(OutTradeNo, Serial, Box<Answered>),
    /// By which clock it was dated, and with which keys it was asked.
    Probed(Box<Probed>, Dated, Arc<Client>),
}

/// A call whose entry is on disk.
struct Sending {
    serial: Serial,
    call: Call,
    payment: Payment,
    /// The buyer's, with a pay.
    code: Option<AuthCode>,
}

/// What the service manager and people send.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    drain: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Ended> {
        let on = |kind| {
            signal(kind).map_err(|why| Ended::Software(format!("listening for signals: {why}")))
        };
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            drain: on(SignalKind::user_defined1())?,
            hang_up: on(SignalKind::hangup())?,
        })
    }
}

/// Runs the daemon until it is told to stop.
pub(super) async fn run(setup: Setup) -> Result<(), Ended> {
    let Setup { config, client, code_key, chain_key, account, token } = setup;
    let codes = Codes { key: code_key, labels: config.scale_labels.clone() };
    system::seal();
    let clock = Arc::new(Clock::start());
    let unavailable = |why: &dyn std::fmt::Display| Ended::Unavailable(why.to_string());

    // Before anything takes long: nobody's signal shall end a daemon that starts.
    let signals = Signals::listen()?;

    // The sockets come first: a second daemon gives up here, and has not begun
    // a journal by then.
    let descriptors = system::descriptors();
    let system::Ways { unix, file, tcp } = system::ways(&config.api)?;
    let own_socket = file.mode.is_some().then(|| file.path.clone());
    let tcp = match (&config.api.listen, token) {
        (Some(listen), Some(token)) => {
            Some(api::Loopback { address: listen.address, listener: tcp, token })
        }
        _ => None,
    };

    // Nobody shall wait there for an answer.
    let give_up = |ended| {
        if let Some(path) = &own_socket {
            let _ = std::fs::remove_file(path);
        }
        ended
    };
    let (writer, reader) =
        journal::open(&config.journal, &chain_key).map_err(|why| give_up(not_opened(why)))?;
    let head_seq = reader.head().map_err(|why| unavailable(&why))?.seq;
    let open = reader.open_payments().map_err(|why| unavailable(&why))?;
    let ids = config.scanners.iter().map(|s| s.id.clone()).collect();
    let terminal = Terminal::new(config.rules, codes, ids).in_account(account.clone());
    if let Some(other) = terminal.other_account(&open) {
        return Err(give_up(of_other_account(&config, &account, other)));
    }
    tracing::info!(journal = %config.journal.display(), head_seq, open = open.len(), "journal opened");

    let (scan_sink, scans) = mpsc::channel(SCANS_MAX);
    let handles = start_scanners(&config, &clock, &scan_sink);

    let (head, head_seen) = watch::channel(head_seq);
    let board = Board::first(&config, &clock, head_seq);
    let (requests, asked) = mpsc::channel(REQUESTS_MAX);
    let recent = Recent::default();
    let backend = Arc::new(Daemon {
        door: Door::new(requests),
        reader: reader.clone(),
        lookups: reader.for_the_loop(),
        recent: recent.clone(),
        head: head_seen,
        board: board.clone(),
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

    let (back, came_back) = mpsc::unbounded_channel();
    let health = writer.health();
    let now = clock.steady();
    let roles = config.api.roles.as_ref().map(|roles| api::Roles {
        observe: roles.observe.clone(),
        cashier: roles.cashier.clone(),
        supervisor: roles.supervisor.clone(),
    });
    let mut daemon = Loop {
        terminal,
        gate: Gate::new(now),
        keys: Keys::of(config, now),
        waiting: Vec::new(),
        drain_until: None,
        clock,
        reader: reader.for_the_loop(),
        writer,
        client: Arc::new(client),
        back,
        recent,
        head,
        board,
        scanners: handles.into_iter().map(|handle| (handle, false)).collect(),
        calls: Calls::new(),
        replies: HashMap::new(),
        lines: HashMap::new(),
        last_request: RequestId(0),
    };
    let (stop_api, api_stopping) = watch::channel(false);
    let listeners = api::Listeners { unix, file: Some(file), tcp };
    let settings = api::Settings { roles, ..api::Settings::within(descriptors) };
    let api = tokio::spawn(api::serve(listeners, backend, settings, api_stopping));

    let inputs = Inputs { signals, asked, scans, back: came_back, health };
    let ended = daemon.turn(open, inputs, Watchdog::new(beats)).await;
    system::say_stopping();
    daemon.let_go_of_scanners().await;
    let _ = stop_api.send(true);
    let _ = tokio::time::timeout(LAST_WRITES, api).await;
    // Before the writer, which then leaves a journal without files beside it.
    reader.end();
    drop(daemon);
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

/// Everything that the loop waits for.
struct Inputs {
    signals: Signals,
    asked: mpsc::Receiver<Asked>,
    scans: mpsc::Receiver<scanner::Input>,
    back: mpsc::UnboundedReceiver<Back>,
    health: watch::Receiver<Health>,
}

struct Loop {
    terminal: Terminal,
    gate: Gate,
    keys: Keys,
    /// Requests that wait for the gateway's word on the clock and the keys.
    waiting: Vec<Asked>,
    /// No new payments until then (steady clock).
    drain_until: Option<Timestamp>,
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
    /// What is to be sent to the gateway.
    calls: Calls<Sending>,
    replies: HashMap<RequestId, Replying>,
    lines: HashMap<Ticket, Line>,
    last_request: RequestId,
}

impl Loop {
    async fn turn(
        &mut self,
        open: Vec<Payment>,
        inputs: Inputs,
        mut watchdog: Watchdog,
    ) -> Result<(), Ended> {
        let Inputs { mut signals, mut asked, mut scans, mut back, mut health } = inputs;
        let mut feeding = watchdog.interval().map(tokio::time::interval);

        self.health(&health.borrow_and_update().clone())?;
        self.judge()?;
        let recovered = self.terminal.recover(open, self.clock.now()).map_err(lost_track)?;
        self.act(recovered);
        self.tell_scanners();
        self.board.open_payments(self.terminal.open_count());
        let mut said = Said::ready(&self.board, self.clock.steady());

        loop {
            self.look_at_clocks();
            self.look_at_keys();
            // Also when there is always something else to do.
            self.on_time()?;
            let mut wait = self.wait();
            if said.lately(self.clock.steady()) {
                // What has changed since then is still to be said.
                wait = wait.min(SAY_AGAIN);
            }
            tokio::select! {
                // What the world did comes before what somebody wants; and rarely, but
                // whatever else there is, the watchdog.
                biased;
                () = feed(&mut feeding) => watchdog.feed(),
                Some(back) = back.recv() => self.came_back(back)?,
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv() => break,
                _ = signals.drain.recv() => self.drain(true)?,
                _ = signals.hang_up.recv() => self.look_again(),
                Ok(()) = health.changed() => {
                    let now = health.borrow_and_update().clone();
                    self.health(&now)?;
                }
                Some(input) = scans.recv() => self.scanned(input)?,
                Some(request) = asked.recv() => self.asked(request)?,
                () = tokio::time::sleep(wait) => {}
            }
            self.board.open_payments(self.terminal.open_count());
            said.again(&self.board, self.clock.steady());
        }
        tracing::info!(
            open = self.terminal.open_count(),
            "stopping; what is open goes on at the next start"
        );
        self.board.stopping();
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
        self.let_in()?;
        while let Ok(request) = asked.try_recv() {
            self.decide(request)?;
        }
        while !self.lines.is_empty() {
            match tokio::time::timeout_at(end, back.recv()).await {
                Ok(Some(back)) => self.came_back(back)?,
                Ok(None) | Err(_) => break,
            }
        }
        Ok(())
    }

    // --- time ----------------------------------------------------------------

    /// Until something is due, or until the clocks should be looked at.
    fn wait(&self) -> Duration {
        let due = [self.terminal.due(), self.gate.due(), self.drain_until];
        let due = due.into_iter().flatten().min().map(|due| self.clock.until(due));
        let look = if self.terminal.open_count() > 0 { LOOK_AGAIN } else { LOOK_IDLE };
        due.map_or(look, |due| due.min(look))
    }

    /// Does what is due.
    fn on_time(&mut self) -> Result<(), Ended> {
        let now = self.clock.steady();
        if self.terminal.due().is_some_and(|due| due <= now) {
            self.handle(Input::Tick)?;
        }
        if self.drain_until.is_some_and(|until| until <= now) {
            self.drain(false)?;
        }
        if let Some(by) = self.gate.ask(now) {
            let (client, back) = (Arc::clone(&self.client), self.back.clone());
            let gateway_now = self.clock.date(by);
            tokio::spawn(async move {
                let probed = client.probe(gateway_now).await;
                // Nobody listens any more: the daemon is ending.
                let _ = back.send(Back::Probed(Box::new(probed), by, client));
            });
        }
        if !self.waiting.is_empty() && !self.gate.keeps_waiting(now) {
            self.let_in()?;
        }
        Ok(())
    }

    /// A box that has slept, or whose clock was set, finds another world.
    fn look_at_clocks(&mut self) {
        let jumps = self.clock.look();
        if let Some(by) = jumps.stepped {
            tracing::warn!(by_ms = by, "clock stepped; deadlines keep their length");
        }
        if let Some(slept) = jumps.slept {
            tracing::info!(seconds = slept.as_secs(), "the box was suspended; doing what is due");
            self.client.forget_connections();
        }
        if jumps.slept.is_some() || jumps.stepped.is_some() {
            self.gate.doubt(self.clock.steady());
        }
    }

    /// The keys of now, if their files have changed.
    fn look_at_keys(&mut self) {
        let now = self.clock.steady();
        match self.keys.changed(now) {
            None => {}
            Some(Ok(client)) => {
                tracing::info!("the keys have changed: Alipay is asked about them");
                self.client = Arc::new(client);
                self.gate.has_other_keys(now);
            }
            Some(Err(faults)) => {
                for fault in faults {
                    tracing::error!(%fault, "a changed key is not used");
                }
            }
        }
    }

    /// Somebody says that something has changed (SIGHUP).
    fn look_again(&mut self) {
        let now = self.clock.steady();
        tracing::info!("looking at the keys again");
        self.keys.look_now(now);
        self.gate.doubt(now);
    }

    /// Learns of the gateway's clock from an answer.
    fn learn(&self, told: Told, dated: Dated, answered: &Answered) {
        if !matches!(told, Told::Answered | Told::DateRefused) {
            return;
        }
        let knew = self.clock.knows_gateway();
        self.clock.learn(dated, told.date(answered), answered.gateway_time);
        self.board.answered(self.clock.wall());
        let skew = self.clock.gateway_skew().unwrap_or_default();
        if !knew && skew.unsigned_abs() > SKEW_TOLD {
            tracing::warn!(
                skew_ms = skew,
                "this box's clock is off; dates for Alipay are corrected"
            );
        }
    }

    /// The gateway's word on the clock and the keys, if it has changed anything.
    fn judge(&mut self) -> Result<(), Ended> {
        let wrong = self.gate.wrong();
        if self.board.clock(wrong) {
            let state = wrong.map_or(Ok(()), |why| Err(why.to_owned()));
            self.handle(Input::Clock(state))?;
        }
        let closed = match self.gate.door() {
            Ok(()) => None,
            Err((by, words)) => Some(self.keys.closed(*by, words)),
        };
        if self.board.keys(closed.as_ref()) {
            self.handle(Input::Keys(closed.map_or(Ok(()), Err)))?;
        }
        Ok(())
    }

    /// Takes no new payments, so that a new version can take over; or does again.
    fn drain(&mut self, draining: bool) -> Result<(), Ended> {
        let open = self.terminal.open_count();
        if draining {
            tracing::info!(open, "draining for an upgrade: no new payments");
        } else {
            tracing::warn!(open, "nobody has restarted the daemon: payments are taken again");
        }
        self.drain_until = draining.then(|| self.clock.steady() + DRAIN_MAX);
        self.board.draining(draining);
        self.handle(Input::Drain(draining))
    }

    // --- what comes in -------------------------------------------------------

    fn asked(&mut self, asked: Asked) -> Result<(), Ended> {
        if self.gate.keeps_waiting(self.clock.steady()) {
            match &asked.request {
                Request::Pay(_) | Request::Code { .. } if !self.has_begun(&asked.request) => {
                    self.waiting.push(asked);
                    return Ok(());
                }
                Request::Stop { number } => self.withdraw(&number.clone()),
                Request::Pay(_) | Request::Code { .. } => {}
            }
        }
        self.decide(asked)
    }

    /// A repeated request of a payment that the journal knows: it begins nothing.
    fn has_begun(&self, request: &Request) -> bool {
        let Request::Pay(asked) = request else { return false };
        self.reader.payment(&asked.order.out_trade_no).is_ok_and(|known| known.is_some())
    }

    /// Nobody wants the payment any more that waits here to begin: it never will.
    fn withdraw(&mut self, number: &OutTradeNo) {
        let Err((by, words)) = self.gate.door() else { return };
        let closed = self.keys.closed(*by, words);
        let is_meant = |asked: &mut Asked| match &asked.request {
            Request::Pay(request) => request.order.out_trade_no == *number,
            Request::Code { .. } | Request::Stop { .. } => false,
        };
        for (.., reply) in self.waiting.extract_if(.., is_meant).filter_map(Asked::take) {
            reply.send(Reply::Denied(Denied::KeysWrong(closed.clone())));
        }
    }

    /// Those that waited for the gateway's clock.
    fn let_in(&mut self) -> Result<(), Ended> {
        std::mem::take(&mut self.waiting).into_iter().try_for_each(|asked| self.decide(asked))
    }

    fn decide(&mut self, asked: Asked) -> Result<(), Ended> {
        // Its register was told that nothing of it will be done.
        let Some((request, asker, reply)) = asked.take() else { return Ok(()) };
        let known = match self.known(&request) {
            Ok(known) => Box::new(known),
            Err(why) => {
                let denied = Denied::JournalUnavailable(why.to_string());
                reply.send(Reply::Denied(denied));
                return Ok(());
            }
        };
        self.last_request.0 += 1;
        let id = self.last_request;
        self.replies.insert(id, reply);
        self.handle(Input::Request { id, request, known, asker })
    }

    /// Read here and now: between this and the decision nothing else happens.
    fn known(&self, request: &Request) -> Result<Known, journal::ReadError> {
        match request {
            Request::Pay(asked) => Ok(Known {
                number: self.reader.payment(&asked.order.out_trade_no)?,
                sale: match &asked.order.sale {
                    Some(sale) => self.reader.attempt_for_sale(sale)?,
                    None => None,
                },
                code: self.used_for(self.terminal.mark_of(request))?,
            }),
            Request::Code { number, .. } | Request::Stop { number } => Ok(Known {
                number: self.reader.payment(number)?,
                sale: None,
                code: self.used_for(self.terminal.mark_of(request))?,
            }),
        }
    }

    /// The payment that has taken the code with this mark.
    fn used_for(&self, mark: Option<CodeMark>) -> Result<Option<Payment>, journal::ReadError> {
        match mark {
            Some(mark) => self.reader.payment_of_code(mark),
            None => Ok(None),
        }
    }

    fn scanned(&mut self, input: scanner::Input) -> Result<(), Ended> {
        match input {
            scanner::Input::Scan { scanner, text, aim, started_at } => {
                let mark = self.terminal.mark_of_scan(&scanner, &text, aim.as_deref());
                match self.used_for(mark) {
                    Ok(known) => {
                        let known = known.map(Box::new);
                        self.handle(Input::Scan { scanner, text, aim, started_at, known })
                    }
                    // Nobody can say whether this code was used before.
                    Err(why) => {
                        let news = ScannerNews::ScanLost(format!("the journal: {why}"));
                        self.board.scanner(&scanner, &news);
                        self.handle(Input::News { scanner, news })
                    }
                }
            }
            scanner::Input::News { scanner, news } => {
                self.board.scanner(&scanner, &news);
                self.handle(Input::News { scanner, news })
            }
        }
    }

    fn came_back(&mut self, back: Back) -> Result<(), Ended> {
        match back {
            Back::Answered(number, serial, answered) => {
                self.calls.came_back();
                let told = Told::by_call(&answered);
                self.learn(told, Dated::Guess, &answered);
                self.gate.called(told, self.clock.steady());
                if told == Told::KeysDoubted {
                    self.keys.look_now(self.clock.steady());
                }
                self.judge()?;
                self.handle(Input::Answered { number, serial, answered })
            }
            Back::Probed(probed, dated, client) => {
                // Asked with other keys than those of now, it is not the verdict.
                if Arc::ptr_eq(&client, &self.client) {
                    self.probed(*probed, dated)
                } else {
                    self.gate.came_to_nothing();
                    Ok(())
                }
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

    fn probed(&mut self, probed: Probed, dated: Dated) -> Result<(), Ended> {
        let told = Told::by_probe(&probed);
        let Probed { answered, proof, .. } = probed;
        self.learn(told, dated, &answered);
        let trouble = answered.answer.trouble().map_or("", |trouble| trouble.text.as_str());
        let clock =
            Time { knows_gateway: self.clock.knows_gateway(), has_other: self.clock.has_other() };
        self.gate.probed(told, &proof, trouble, clock, self.clock.now());
        self.judge()?;
        self.handle(Input::Heard(Box::new(answered.answer)))?;
        if self.gate.keeps_waiting(self.clock.steady()) { Ok(()) } else { self.let_in() }
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
        self.board.journal(health);
        self.handle(Input::Journal(match health {
            Health::Writable => Ok(()),
            Health::Unavailable(why) => Err(why.clone()),
        }))
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
                Output::Write { ticket, entry, .. } => self.write(ticket, entry),
                Output::Send { serial, call, payment, code } => {
                    self.calls.add(call == Call::Pay, Sending { serial, call, payment, code });
                }
                Output::Reply { id, reply } => {
                    if let Some(asked) = self.replies.remove(&id) {
                        asked.send(reply);
                    }
                }
            }
        }
        self.send();
    }

    /// Sends what may be sent now.
    fn send(&mut self) {
        while let Some(Sending { serial, call, payment, code }) = self.calls.next() {
            let (client, back) = (Arc::clone(&self.client), self.back.clone());
            let now = self.clock.now().gateway;
            let number = payment.order().out_trade_no.clone();
            let asked = asking::ask(call, &payment, code);
            tokio::spawn(async move {
                let answered = match asked {
                    Ok(ask) => Box::new(client.send(client.prepare(ask, now)).await),
                    Err(not_sent) => not_sent,
                };
                // Nobody listens any more: the daemon is ending.
                let _ = back.send(Back::Answered(number, serial, answered));
            });
        }
    }

    fn write(&mut self, ticket: Ticket, entry: Entry) {
        self.lines.insert(ticket, Line::of(&entry));
        if let Entry::Gateway { up, text } = &entry {
            self.board.gateway(*up, text, self.clock.wall());
        }
        let pending = self.writer.append(entry, self.clock.wall());
        let back = self.back.clone();
        tokio::spawn(async move {
            let written = pending.await;
            let _ = back.send(Back::Written(ticket, written));
        });
    }
}

/// Asked about in another account the payment would not exist, and be told as
/// never charged.
fn of_other_account(config: &Config, ours: &Account, other: &Payment) -> Ended {
    let (file, number) = (config.journal.display(), &other.order().out_trade_no);
    let theirs = other.account().map(ToString::to_string).unwrap_or_default();
    Ended::Config(format!(
        "in the journal {file} payment {number} is open in another account ({theirs}) than this \
         configuration's ({ours}); start with the configuration of that account until no payment \
         is open, and change it then"
    ))
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
        | OpenError::LeadsNowhere { .. }
        | OpenError::LostItsEnd { .. }
        | OpenError::Another { .. }
        | OpenError::NotAJournal { .. }
        | OpenError::Newer { .. }
        | OpenError::Damaged { .. }
        | OpenError::Unreadable { .. } => Ended::Config(text),
        OpenError::InUse(_)
        | OpenError::NoRoom(_)
        | OpenError::Read { .. }
        | OpenError::Prepare { .. } => Ended::Unavailable(text),
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
        self.0.as_ref().is_some_and(|(payment, _)| payment.rev() == 1)
    }

    /// Logs the entry under its number, and gives the payment that it is about.
    fn log(self, seq: u64) -> Option<Payment> {
        let (payment, step) = self.0?;
        let (number, rev) = (&payment.order().out_trade_no, payment.rev());
        let state = payment.public().name();
        let verdict = step.judged.map(Judged::name).unwrap_or_default();
        let call = step.call.map(Call::name).unwrap_or_default();
        let sub_code = step.wire.and_then(|wire| wire.sub_code).unwrap_or_default();
        let step = step.name.name();
        if payment.attention().is_some() {
            tracing::warn!(%number, seq, rev, state, step, verdict, sub_code, call, "needs attention");
        } else {
            tracing::info!(%number, seq, rev, state, step, verdict, sub_code, call, "payment");
        }
        Some(payment)
    }
}
