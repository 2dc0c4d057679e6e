//! A simulated Alipay gateway, as strict as the original.
//!
//! ```text
//!  socket ─▶ server ─▶ gateway ─▶ trade ─▶ ledger ─▶ answer ─▶ socket
//!            (TLS?)    (strict?)  (what it (on disk) (how it
//!                                  means)             is spoken)
//! ```
//!
//! [`gateway`] checks a request, [`trade`] does what it asks in the [`ledger`],
//! [`answer`] speaks: truly, or with one of the ways in which it goes wrong. What
//! goes wrong is picked by amount or code from one table ([`endings`]) or asked
//! for by a test ([`faults`]).
//!
//! It is for tests, demos and people who develop a register program. The daemon
//! never links it, and nothing in it ever reaches Alipay.

mod answer;
pub mod cli;
mod clock;
mod control;
pub mod endings;
mod faults;
mod flood;
mod folder;
mod gateway;
mod habits;
mod ledger;
mod order;
mod precreate;
mod refund;
mod says;
mod server;
mod tls;
mod trade;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use answer::{Said, Voice};
pub use faults::Fault;
pub use folder::Folder;
pub use habits::{Elsewhere, Habits};
pub use ledger::{Arrived, Number, Refund, Requested, Status, Trade};
pub use precreate::Code;

use precreate::Scan;
use server::Shared;

/// How a sandbox is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; loopback only. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where it keeps keys and its ledger; made if missing.
    pub dir: PathBuf,
    /// All lengths of time are divided by this.
    pub speed: f64,
    /// Whether a cancel of a number that was never seen blocks the number for
    /// ever. Alipay's documents do not say.
    pub fence: bool,
    /// More names and addresses for its certificate, for clients that reach
    /// this machine's loopback from elsewhere: a virtual machine, a container.
    pub names: Vec<String>,
}

impl Options {
    /// A sandbox in `dir` on any free port, in real time and without a fence.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { listen, dir: dir.into(), speed: 1.0, fence: false, names: Vec::new() }
    }
}

/// Why a sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Anybody in the network could take "money" from it.
    #[error("the sandbox listens on 127.0.0.1 or [::1] only, not on {0}")]
    NotLoopback(SocketAddr),
    /// Lengths of time divided by this would make no sense.
    #[error("--speed must lie between 0.01 and 1000")]
    Speed,
    /// Another program has the port.
    #[error("{0} is in use: stop the other program, or choose another port with --listen")]
    PortInUse(SocketAddr),
    /// The port cannot be opened for another reason.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// Where it should have listened.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The folder cannot be made.
    #[error("cannot make the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file in the folder cannot be read, written or understood.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The system gave no randomness, or the crypto library no key.
    #[error("cannot make keys")]
    KeyMaking,
    /// What the person should read could not be printed.
    #[error("cannot write to the terminal: {0}")]
    Print(io::Error),
}

/// The simulated gateway.
#[derive(Debug)]
pub struct Sandbox;

impl Sandbox {
    /// Starts a sandbox on the current runtime.
    ///
    /// # Errors
    ///
    /// A [`SandboxError`] that says what to do about it.
    pub async fn start(options: Options) -> Result<Running, SandboxError> {
        let Options { listen, dir, speed, fence, names } = options;
        // The certificate names these two.
        if ![IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()].contains(&listen.ip()) {
            return Err(SandboxError::NotLoopback(listen));
        }
        if !(0.01..=1000.0).contains(&speed) {
            return Err(SandboxError::Speed);
        }
        let listener = TcpListener::bind(listen).await.map_err(|source| {
            if source.kind() == io::ErrorKind::AddrInUse {
                SandboxError::PortInUse(listen)
            } else {
                SandboxError::Listen { addr: listen, source }
            }
        })?;
        let addr = listener
            .local_addr()
            .map_err(|source| SandboxError::Listen { addr: listen, source })?;
        let (folder, secrets) = Folder::open(&dir, &names)?;
        let book = ledger::Book::open(&folder.ledger())
            .map_err(|source| SandboxError::File { path: folder.ledger(), source })?;
        let new_config = folder.write_config(&secrets.app_id, addr, speed)?;
        let world = trade::World {
            book,
            faults: faults::Faults::default(),
            habits: Habits { fence, ..Habits::default() },
            speed,
            held: BTreeMap::new(),
            answers: BTreeMap::new(),
            refused: 0,
            probes: 0,
        };
        let app_id = secrets.app_id.clone();
        let app = gateway::App { app_id: secrets.app_id, public_key: secrets.app_public_key };
        let shared = Arc::new(Shared::new(app, secrets.alipay_private_key, world));
        let task = tokio::spawn(server::serve(listener, secrets.acceptor, Arc::clone(&shared)));
        Ok(Running { addr, folder, app_id, new_config, shared, task })
    }
}

/// A sandbox that runs until it is stopped or dropped.
pub struct Running {
    addr: SocketAddr,
    folder: Folder,
    app_id: String,
    new_config: bool,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The gateway's address over TLS.
    #[must_use]
    pub fn gateway(&self) -> String {
        format!("https://{}/gateway.do", self.addr)
    }

    /// The gateway's address without TLS.
    #[must_use]
    pub fn plain_gateway(&self) -> String {
        format!("http://{}/gateway.do", self.addr)
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The application it knows.
    #[must_use]
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// Whether this start wrote `tilld.toml`.
    #[must_use]
    pub fn wrote_config(&self) -> bool {
        self.new_config
    }

    /// Its ledger.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger(Arc::clone(&self.shared))
    }

    /// Makes something go wrong with the next requests.
    ///
    /// # Errors
    ///
    /// A sentence, if the fault makes no sense.
    pub fn fault(&self, fault: Fault) -> Result<(), String> {
        fault.check()?;
        self.shared.world().faults.add(fault);
        Ok(())
    }

    /// Nothing goes wrong any more, but what the endings pick.
    pub fn clear_faults(&self) {
        self.shared.world().faults.clear();
    }

    /// Moves its clock so far from the truth.
    pub fn set_skew_ms(&self, skew_ms: i64) {
        self.shared.clock.set_skew(skew_ms);
    }

    /// Changes what a cancel of a never-seen number does.
    pub fn set_fence(&self, fence: bool) {
        self.shared.world().habits.fence = fence;
    }

    /// Changes how all answers are from now on.
    pub fn set_habits(&self, habits: Habits) {
        self.shared.world().habits = habits;
    }

    /// Another till of the merchant makes a trade.
    ///
    /// # Errors
    ///
    /// A sentence, if there is one under that number, or it makes no sense.
    pub fn elsewhere(&self, other: &Elsewhere) -> Result<(), String> {
        let now = self.shared.clock.now();
        self.shared.world().elsewhere(other, now)
    }

    /// A buyer scans a code that was made, and confirms at once or not.
    ///
    /// # Errors
    ///
    /// A sentence, if there is no such code, or nobody can scan it any more.
    pub fn scan(&self, qr_code: &str, confirm: bool) -> Result<(), String> {
        let now = self.shared.clock.now();
        let scan = Scan { qr_code: qr_code.to_owned(), confirm };
        self.shared.world().scan(&scan, now).map(|_| ())
    }

    /// Stops it: no connection survives, the folder stays.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.shared.world().book.close();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.world().book.close();
    }
}

/// Looks into the ledger of a running sandbox.
#[derive(Clone)]
pub struct Ledger(Arc<Shared>);

impl Ledger {
    /// All about one merchant order number, if it was ever seen.
    #[must_use]
    pub fn number(&self, out_trade_no: &str) -> Option<Number> {
        let now = self.0.clock.now();
        let mut world = self.0.world();
        world.book.knows(out_trade_no).then(|| world.book.number(out_trade_no, now).clone())
    }

    /// The trade of a merchant order number, if one was ever made.
    #[must_use]
    pub fn trade(&self, out_trade_no: &str) -> Option<Trade> {
        self.number(out_trade_no).and_then(|number| number.trade)
    }

    /// Everything.
    #[must_use]
    pub fn all(&self) -> Vec<Number> {
        let now = self.0.clock.now();
        self.0.world().book.all(now)
    }

    /// The buyer confirms a waiting trade; false if none waits.
    #[must_use]
    pub fn confirm(&self, out_trade_no: &str) -> bool {
        let now = self.0.clock.now();
        let mut world = self.0.world();
        let known = world.book.knows(out_trade_no);
        let trade = known.then(|| world.book.number(out_trade_no, now).trade.as_mut()).flatten();
        trade.is_some_and(|trade| trade.confirm(now)) && world.book.save(out_trade_no).is_ok()
    }
}
