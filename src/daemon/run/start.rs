//! From the configuration to the loop, and what is let go at its end.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::{Inputs, LAST_WRITES, Lines, Loop};
use crate::api;
use crate::config::{ApiConfig, Config, RefundsConfig};
use crate::daemon::backend::{Daemon, Door, Recent};
use crate::daemon::board::Board;
use crate::daemon::calls::Calls;
use crate::daemon::check::Setup;
use crate::daemon::gate::Gate;
use crate::daemon::keys::Keys;
use crate::daemon::signer::Signer;
use crate::daemon::system::{self, Heartbeat, Watchdog};
use crate::daemon::{self, Clock, Ended};
use crate::journal::{self, OpenError};
use crate::payment::{Account, Payment};
use crate::scanner;
use crate::terminal::{Codes, RequestId, Terminal};

/// Requests waiting for the loop. It takes microseconds for each; a queue this
/// long means that it is stuck, and then registers should wait at the socket.
const REQUESTS_MAX: usize = 256;
/// Scans and news waiting for the loop: more than all scanners of a shop can
/// read before it comes round.
const SCANS_MAX: usize = 64;

/// What the service manager and people send.
pub(super) struct Signals {
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    pub(super) drain: Signal,
    pub(super) hang_up: Signal,
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
pub(in crate::daemon) async fn run(setup: Setup) -> Result<(), Ended> {
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
    let refunds = reader.open_refunds().map_err(|why| unavailable(&why))?;
    let ids = config.scanners.iter().map(|s| s.id.clone()).collect();
    let terminal = Terminal::new(config.rules, codes, ids)
        .in_account(account.clone())
        .with_tills(config.tills.clone());
    let of_refunds = refunds.iter().map(|refund| &refund.asked().payment);
    if let Some(other) = terminal.other_account(open.iter().chain(of_refunds)) {
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
    let (roles, may_refund) = rights(&config.api);
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
        writing: HashMap::new(),
        signer: Signer::new(),
        lines: Lines::default(),
        last_request: RequestId(0),
        starting: true,
    };
    let (stop_api, api_stopping) = watch::channel(false);
    let listeners = api::Listeners { unix, file: Some(file), tcp };
    let bounds = api::Settings::within(descriptors);
    let settings = api::Settings { roles, refunds: may_refund, ..bounds };
    let api = tokio::spawn(api::serve(listeners, backend, settings, api_stopping));

    let inputs = Inputs { signals, asked, scans, back: came_back, health };
    let ended = daemon.turn(open, refunds, inputs, Watchdog::new(beats)).await;
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

/// Asked about in another account the payment would not exist, and be told as
/// never charged.
fn of_other_account(config: &Config, ours: &Account, other: &Payment) -> Ended {
    let (file, number) = (config.journal.display(), &other.order().out_trade_no);
    let theirs = other.account().map(ToString::to_string).unwrap_or_default();
    // A payment that is over stands here for a refund of it that is not.
    let what = if other.is_final() { "a refund of payment" } else { "payment" };
    Ended::Config(format!(
        "in the journal {file} {what} {number} is open in another account ({theirs}) than this \
         configuration's ({ours}); start with the configuration of that account until nothing is \
         open, and change it then"
    ))
}

/// A journal that is not as it should be stays so until a person has looked: the
/// service manager need not try again.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn not_opened(why: OpenError) -> Ended {
    let text = daemon::chain(&why);
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

/// Who may do what, and who may give money back.
fn rights(config: &ApiConfig) -> (Option<api::Roles>, api::RefundRight) {
    let roles = config.roles.as_ref().map(|roles| api::Roles {
        observe: roles.observe.clone(),
        cashier: roles.cashier.clone(),
        supervisor: roles.supervisor.clone(),
    });
    let RefundsConfig { by_supervisor, cashier_limit } = config.refunds;
    let by = if by_supervisor { api::Role::Supervisor } else { api::Role::Cashier };
    (roles, api::RefundRight { by, cashier_limit })
}
