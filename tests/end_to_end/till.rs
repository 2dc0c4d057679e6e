//! A shop: a folder, a gateway in this process, and daemons that are started,
//! asked, stopped and killed.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tilld::sandbox::{Options, Running, Sandbox};

use crate::http::{self, Events, Reply};

/// Far more than anything here needs, also on a slow and busy box.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until there is something.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came to be: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Says what was left out also when the test passes, when the harness would
/// swallow what is printed.
pub(crate) fn loudly(text: &str) {
    use io::Write as _;
    writeln!(io::stderr(), "NOT CHECKED: {text}").expect("somebody listens");
}

// --- the gateway ---------------------------------------------------------------

/// The sandbox, on a thread of its own.
pub(crate) struct Gateway {
    running: Option<Running>,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    pub(crate) fn open(options: Options) -> Self {
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let deadline = Instant::now() + PATIENCE;
                let running = loop {
                    match Sandbox::start(options.clone()).await {
                        Ok(running) => break running,
                        // The port of an earlier one, for a moment somebody else's.
                        Err(why) => assert!(Instant::now() < deadline, "{why}"),
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                };
                tell.send(running).ok();
                ended.await.ok();
            });
        });
        let running = told.recv().expect("the sandbox starts");
        Self { running: Some(running), end: Some(end), thread: Some(thread) }
    }
}

impl std::ops::Deref for Gateway {
    type Target = Running;

    fn deref(&self) -> &Running {
        self.running.as_ref().expect("it runs until it is dropped")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.running.take());
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

// --- the shop ------------------------------------------------------------------

/// What a shop's configuration says that tests care for.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) speed: f64,
    pub(crate) listen: SocketAddr,
    pub(crate) request_timeout: &'static str,
    pub(crate) poll_interval: &'static str,
    pub(crate) timeout: &'static str,
    pub(crate) expire_after: &'static str,
    pub(crate) late_margin: &'static str,
    pub(crate) code_timeout: &'static str,
    /// Relative to the folder, or absolute.
    pub(crate) journal: String,
    /// More lines of `[api]`.
    pub(crate) api: String,
    /// Names of scanners; each is a link of that name in the folder.
    pub(crate) scanners: Vec<String>,
}

impl Default for Setup {
    /// Times for a machine that is slow, and a test that is not.
    fn default() -> Self {
        Self {
            speed: 10.0,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            request_timeout: "10s",
            poll_interval: "200ms",
            timeout: "60s",
            expire_after: "60s",
            late_margin: "0s",
            code_timeout: "10m",
            journal: "journal.db".to_owned(),
            api: String::new(),
            scanners: Vec::new(),
        }
    }
}

pub(crate) struct Shop {
    setup: Setup,
    gateway: Option<Gateway>,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Shop {
    pub(crate) fn open(setup: Setup) -> Self {
        let folder = tempfile::Builder::new().prefix("till").tempdir().expect("a folder");
        let mut shop = Self { address: setup.listen, setup, gateway: None, folder };
        shop.open_gateway();
        shop.address = shop.gateway().addr();
        fs::write(shop.config(), shop.config_text()).expect("the configuration");
        shop
    }

    pub(crate) fn usual() -> Self {
        Self::open(Setup::default())
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("the gateway is open")
    }

    /// Opens the gateway, at the address where it was before.
    pub(crate) fn open_gateway(&mut self) {
        let listen = self.address;
        let dir = self.path("sandbox");
        self.gateway =
            Some(Gateway::open(Options { listen, speed: self.setup.speed, ..Options::new(dir) }));
    }

    /// Nobody listens at its address any more.
    pub(crate) fn close_gateway(&mut self) {
        self.gateway = None;
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("tilld.toml")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("tilld.sock")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path(&self.setup.journal)
    }

    pub(crate) fn config_text(&self) -> String {
        let Setup { request_timeout, poll_interval, timeout, expire_after, .. } = &self.setup;
        let Setup { late_margin, code_timeout, journal, api, scanners, .. } = &self.setup;
        let app_id = self.gateway().app_id();
        let gateway = self.gateway().gateway();
        let mut text = format!(
            r#"[terminal]
id = "T_001"
store_id = "NJ_001"

[alipay]
gateway = "{gateway}"
app_id = "{app_id}"
private_key_file = "sandbox/app_private_key.pem"
alipay_public_key_file = "sandbox/alipay_public_key.pem"
sign_type = "RSA2"
ca_file = "sandbox/ca.pem"
request_timeout = "{request_timeout}"

[payment]
poll_interval = "{poll_interval}"
timeout = "{timeout}"
expire_after = "{expire_after}"
late_margin = "{late_margin}"
code_timeout = "{code_timeout}"

[journal]
path = "{journal}"

[api]
socket = "tilld.sock"
mode = "0600"
{api}
"#
        );
        for id in scanners {
            text += &format!(
                "\n[[scanner]]\nid = \"{id}\"\nkind = \"serial\"\ndevice = \"{id}\"\nbaud = 9600\n"
            );
        }
        text
    }

    /// The command that starts a daemon of this shop.
    pub(crate) fn command(&self) -> Command {
        self.command_with(&self.config())
    }

    pub(crate) fn command_with(&self, config: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tilld"));
        command.arg("--config").arg(config);
        clean(&mut command);
        command
    }

    /// A daemon that answers.
    pub(crate) fn start(&self) -> Daemon {
        self.start_with(self.command())
    }

    pub(crate) fn start_with(&self, command: Command) -> Daemon {
        let mut daemon = self.spawn(command);
        daemon.until_it_answers();
        daemon
    }

    /// A daemon that may be about to end.
    pub(crate) fn spawn(&self, mut command: Command) -> Daemon {
        let (log, file) = self.open_log();
        command.stdout(file.try_clone().expect("the log twice"));
        self.spawn_with_log(command, log, file)
    }

    /// The same where the standard output is something that the daemon needs.
    pub(crate) fn spawn_with_output(&self, mut command: Command, output: OwnedFd) -> Daemon {
        let (log, file) = self.open_log();
        command.stdout(output);
        self.spawn_with_log(command, log, file)
    }

    fn open_log(&self) -> (PathBuf, File) {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let log = self.path(format!("{}.log", STARTED.fetch_add(1, Ordering::Relaxed)));
        let file = File::create(&log).expect("a log");
        (log, file)
    }

    fn spawn_with_log(&self, mut command: Command, log: PathBuf, file: File) -> Daemon {
        let child = command.stderr(file).spawn().expect("tilld starts");
        Daemon { child, socket: self.socket(), log }
    }

    /// What the sandbox's ledger says about the money of a number, in fen:
    /// charged and given back.
    pub(crate) fn money(&self, number: &str) -> (u64, u64) {
        let trade = self.gateway().ledger().trade(number);
        trade.map_or((0, 0), |trade| (trade.charged_fen, trade.refunded_fen))
    }

    /// The refunds in the sandbox's ledger: number and fen, in their order.
    pub(crate) fn given_back(&self, number: &str) -> Vec<(String, u64)> {
        let trade = self.gateway().ledger().trade(number);
        let refunds = trade.map(|trade| trade.refunds).unwrap_or_default();
        refunds.into_iter().map(|refund| (refund.out_request_no, refund.fen)).collect()
    }

    /// How many requests of a kind the gateway has had about a number.
    pub(crate) fn requests(&self, number: &str, method: &str) -> usize {
        let known = self.gateway().ledger().number(number);
        let history = known.map(|known| known.history).unwrap_or_default();
        let method = format!("alipay.trade.{method}");
        history.iter().filter(|one| one.method == method).count()
    }
}

/// Nothing of this test's own surroundings reaches the daemon.
pub(crate) fn clean(command: &mut Command) {
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"] {
        command.env_remove(name);
    }
    command.env_remove("JOURNAL_STREAM").env_remove("CREDENTIALS_DIRECTORY");
    command.env("TILLD_LOG", "trace").stdin(Stdio::null());
}

// --- the daemon ----------------------------------------------------------------

/// A daemon; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    #[track_caller]
    pub(crate) fn until_it_answers(&mut self) {
        until("the daemon answers", || {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("the daemon ended with {status}: {}", self.log());
            }
            let reply = http::exchange(&self.socket, "GET", "/v1/status", "").ok()?;
            (reply.status == 200).then_some(())
        });
    }

    /// All that it has said to stderr and stdout.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log")
    }

    /// The most memory that it has ever held.
    pub(crate) fn memory_peak_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("a signal");
    }

    /// How it ended, once it has.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        until("the daemon ends", || self.child.try_wait().expect("a child"))
    }

    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// Stops it as a service manager does.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    /// Power is cut.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("dead");
    }

    pub(crate) fn ask(&self, verb: &str, path: &str, body: &str) -> io::Result<Reply> {
        http::exchange(&self.socket, verb, path, body)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "").unwrap_or_else(|why| panic!("GET {path}: {why}: {}", self.log()))
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.ask("POST", path, &body);
        reply.unwrap_or_else(|why| panic!("POST {path}: {why}: {}", self.log()))
    }

    #[track_caller]
    pub(crate) fn put(&self, number: &str, body: &Value) -> Reply {
        let reply = self.ask("PUT", &format!("/v1/payments/{number}"), &body.to_string());
        reply.unwrap_or_else(|why| panic!("PUT {number}: {why}: {}", self.log()))
    }

    /// Pays with one blocking request.
    #[track_caller]
    pub(crate) fn pay(&self, number: &str, body: &Value) -> Reply {
        self.put(&format!("{number}?wait=60"), body)
    }

    #[track_caller]
    pub(crate) fn payment(&self, number: &str) -> Value {
        self.get(&format!("/v1/payments/{number}")).expect(200)
    }

    /// Asks for a refund, and waits for its end.
    #[track_caller]
    pub(crate) fn give_back(&self, number: &str, request: &str, body: &Value) -> Reply {
        self.put(&format!("{number}/refunds/{request}?wait=60"), body)
    }

    #[track_caller]
    pub(crate) fn refund(&self, number: &str, request: &str) -> Value {
        self.get(&format!("/v1/payments/{number}/refunds/{request}")).expect(200)
    }

    /// The refund, once it is final.
    #[track_caller]
    pub(crate) fn refund_settled(&self, number: &str, request: &str) -> Value {
        let path = format!("/v1/payments/{number}/refunds/{request}?wait=60");
        let refund = self.get(&path).expect(200);
        assert_eq!(refund["final"], true, "{refund}\n{}", self.log());
        refund
    }

    /// The payment, once it is final.
    #[track_caller]
    pub(crate) fn settled(&self, number: &str) -> Value {
        let payment = self.get(&format!("/v1/payments/{number}?wait=60")).expect(200);
        assert_eq!(payment["final"], true, "{payment}\n{}", self.log());
        payment
    }

    /// The payment, once it is in this state.
    #[track_caller]
    pub(crate) fn until_state(&self, number: &str, state: &str) -> Value {
        until(state, || {
            let payment = self.payment(number);
            (payment["state"] == state).then_some(payment)
        })
    }

    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.get("/v1/status").expect(200)
    }

    /// Waits until a payment may begin.
    pub(crate) fn until_ready(&self) {
        until("it is ready", || (self.get("/v1/ready").status == 200).then_some(()));
    }

    /// Waits until all scanners of the configuration are being read.
    pub(crate) fn until_plugged(&self) {
        until("all scanners are there", || {
            let status = self.status();
            let mut scanners = status["scanners"].as_array().expect("scanners").iter();
            scanners.all(|scanner| scanner["present"] == true).then_some(())
        });
    }

    pub(crate) fn events(&self, after: Option<u64>) -> Events {
        Events::open(&self.socket, after)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

// --- what is asked for ---------------------------------------------------------

/// A payment code that nobody has used yet. It picks no ending.
pub(crate) fn code() -> String {
    static USED: AtomicU64 = AtomicU64::new(0);
    format!("2600{:014}", USED.fetch_add(1, Ordering::Relaxed) + 40_000_000_000)
}

/// A payment whose code the register has scanned.
pub(crate) fn with_code(amount: &str) -> Value {
    json!({ "amount": amount, "subject": "咖啡", "auth_code": code() })
}

/// A payment that waits for a scanner.
pub(crate) fn without_code(amount: &str) -> Value {
    json!({ "amount": amount, "subject": "咖啡" })
}

/// What a payment comes to, for comparing.
pub(crate) fn outcome(payment: &Value) -> (String, String, Value) {
    let word = |name: &str| payment[name].as_str().unwrap_or("?").to_owned();
    (word("state"), word("money"), payment["cancel_action"].clone())
}

/// An outcome to compare with.
pub(crate) fn is(state: &str, money: &str, cancel_action: &str) -> (String, String, Value) {
    let action = if cancel_action.is_empty() { Value::Null } else { json!(cancel_action) };
    (state.to_owned(), money.to_owned(), action)
}
