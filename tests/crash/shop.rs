//! What stands in the shop: the simulated gateway, and terminals with a folder
//! each.

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tilld::sandbox::{Folder, Ledger, Options, Sandbox};
use tokio::sync::oneshot;

use crate::killer::{Killer, Since};
use crate::register;

/// Slow answers take 3 s and late pays are 0.3 s late.
const SPEED: f64 = 10.0;

/// A daemon that is not ready by then will never be.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Between two looks at something that is waited for.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The simulated gateway, in a thread of its own.
pub(crate) struct Shop {
    dir: TempDir,
    gateway: String,
    plain_gateway: String,
    folder: Folder,
    app_id: String,
    ledger: Ledger,
    codes: AtomicU64,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Shop {
    pub(crate) fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let options = Options { speed: SPEED, ..Options::new(dir.path().join("sandbox")) };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let running = Sandbox::start(options).await.expect("the sandbox starts");
                let app_id = running.app_id().to_owned();
                let gateways = (running.gateway(), running.plain_gateway());
                let known = (gateways, running.folder().clone(), app_id, running.ledger());
                tell.send(known).unwrap();
                let _ = stopped.await;
                running.stop().await;
            });
        });
        let ((gateway, plain_gateway), folder, app_id, ledger) = told.recv().unwrap();
        Self {
            dir,
            gateway,
            plain_gateway,
            folder,
            app_id,
            ledger,
            codes: AtomicU64::new(1),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A payment code that was never used; the amount picks the ending.
    pub(crate) fn code(&self) -> String {
        let number = self.codes.fetch_add(1, Ordering::Relaxed);
        format!("2899{number:014}")
    }

    /// A terminal with nothing in its journal yet.
    pub(crate) fn terminal(&self, tls: bool) -> Terminal {
        let dir = tempfile::Builder::new().prefix("lane").tempdir_in(self.dir.path()).unwrap();
        let terminal = Terminal { dir };
        let gateway = if tls { &self.gateway } else { &self.plain_gateway };
        let (app_id, sandbox) = (&self.app_id, &self.folder);
        // One payment is over within seconds, and a query finds a waiting trade
        // still waiting after a restart.
        let text = format!(
            "[terminal]\nid = \"CRASH\"\n\
             [alipay]\ngateway = \"{gateway}\"\napp_id = \"{app_id}\"\n\
             private_key_file = \"{}\"\nalipay_public_key_file = \"{}\"\nca_file = \"{}\"\n\
             request_timeout = \"1s\"\n\
             [payment]\npoll_interval = \"400ms\"\ntimeout = \"1s\"\nexpire_after = \"2s\"\n\
             late_margin = \"100ms\"\n\
             [journal]\npath = \"journal.db\"\n[api]\nsocket = \"tilld.sock\"\n",
            sandbox.app_private_key().display(),
            sandbox.alipay_public_key().display(),
            sandbox.ca().display(),
        );
        fs::write(terminal.path("tilld.toml"), text).unwrap();
        terminal
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The folder of one terminal. It outlives the daemons that are killed in it.
pub(crate) struct Terminal {
    dir: TempDir,
}

impl Terminal {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("tilld.sock")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path("journal.db")
    }

    /// A killer whose list of points is in this folder.
    pub(crate) fn killer(&self, name: &str, at: u64, from: Since) -> Killer {
        Killer { at, from, slow: 0, stall: None, log: self.path(name) }
    }

    /// Starts the daemon; it need not be ready yet.
    pub(crate) fn start(&self, killer: Option<&Killer>) -> Daemon {
        let log = OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tilld"));
        command.arg("--config").arg(self.path("tilld.toml"));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        if let Some(killer) = killer {
            killer.load_into(&mut command, self.dir.path());
        }
        Daemon { child: command.spawn().unwrap(), socket: self.socket() }
    }

    /// Starts the daemon and waits until it takes requests.
    pub(crate) fn start_ready(&self, killer: Option<&Killer>) -> Result<Daemon, String> {
        let mut daemon = self.start(killer);
        if daemon.is_ready()? { Ok(daemon) } else { Err("it was killed by somebody".to_owned()) }
    }

    /// What the daemons have said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// What went wrong, with the log, and where all the rest is kept.
    pub(crate) fn with_log(self, why: &str) -> String {
        let log = self.log();
        format!("{why}\nlog:\n{log}kept in {}", self.keep().display())
    }

    /// Keeps the folder, for whoever looks into a failure.
    pub(crate) fn keep(self) -> PathBuf {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash-failures");
        fs::create_dir_all(&kept).unwrap();
        let kept = kept.join(self.dir.path().file_name().unwrap());
        fs::create_dir_all(&kept).unwrap();
        for entry in fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            // Not the socket.
            if path.is_file() {
                let _ = fs::copy(&path, kept.join(path.file_name().unwrap()));
            }
        }
        kept
    }

    /// The file that holds this text, of those in which no payment code may ever
    /// be.
    pub(crate) fn holds(&self, secret: &str) -> Option<&'static str> {
        let names = ["journal.db", "journal.db-wal", "log"];
        let holds = |name: &&&str| {
            let bytes = fs::read(self.path(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(secret)
        };
        names.iter().find(holds).copied()
    }
}

/// One life of the daemon. Dropped, it is killed.
pub(crate) struct Daemon {
    child: Child,
    socket: PathBuf,
}

impl Daemon {
    /// Waits until it says that a payment may begin: true. Or until it is killed:
    /// false.
    pub(crate) fn is_ready(&mut self) -> Result<bool, String> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if self.is_killed()? {
                return Ok(false);
            }
            let ready = register::get(&self.socket, "/v1/ready");
            if ready.is_ok_and(|reply| reply.status == 200) {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Err("the daemon is not ready".to_owned());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Whether it was killed. An end of its own making is an error.
    pub(crate) fn is_killed(&mut self) -> Result<bool, String> {
        match self.child.try_wait().unwrap() {
            None => Ok(false),
            Some(status) if status.signal() == Some(9) => Ok(true),
            Some(status) => Err(format!("the daemon ended by itself: {status}")),
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ended, if it did before the deadline.
    pub(crate) fn terminate(mut self, within: Duration) -> Option<ExitStatus> {
        use nix::sys::signal::{Signal, kill};
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(id, Signal::SIGTERM).unwrap();
        let deadline = Instant::now() + within;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return Some(status),
                None if Instant::now() > deadline => return None,
                None => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
