//! Everything the demo needs, in one temporary folder: the sandbox in this
//! process, the real daemon in one of its own, a pseudo terminal as the scanner.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use crate::api::StatusView;
use crate::api::client::Client;
use crate::payment::SecretText;
use crate::sandbox::{Options, Running, Sandbox, SandboxError};

/// The lengths of the demo; `tilld` itself is slower by default.
const LENGTHS: &str = "\
# Shortened for the demo. The usual lengths are 5s, 60s, 120s, 10s and 120s.
poll_interval = \"1s\"
timeout = \"4s\"
expire_after = \"8s\"
late_margin = \"1s\"
code_timeout = \"60s\"
";

/// How long a daemon may take to start or to end, on a box that is busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at something that is about to happen.
const LOOK: Duration = Duration::from_millis(20);

/// Why the demo cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum StageError {
    /// The temporary folder.
    #[error("making a temporary folder: {0}")]
    Folder(io::Error),
    /// The simulated gateway.
    #[error("starting the simulated gateway: {0}")]
    Sandbox(#[from] SandboxError),
    /// The scanner.
    #[error("making a pseudo terminal for the scanner: {0}")]
    Scanner(io::Error),
    /// A file of the daemon.
    #[error("preparing the daemon: {0}")]
    Prepare(io::Error),
    /// Its process.
    #[error("starting the daemon: {0}")]
    Spawn(io::Error),
    /// It does not get ready.
    #[error("the daemon did not get ready; its last words: {0}")]
    NotReady(String),
}

/// The temporary folder; gone with this value unless it is kept.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn make() -> Result<Self, StageError> {
        let template = temporary_folders().join("tilld-demo-XXXXXX");
        let path = nix::unistd::mkdtemp(&template)
            .map_err(|why| StageError::Folder(io::Error::from(why)))?;
        Ok(Self { path, keep: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // There is nobody left to tell, and nothing of value in it.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Where temporary folders go; a socket's name has 107 bytes, so a long place
/// gives way to `/tmp`.
#[allow(
    clippy::disallowed_methods,
    reason = "the demo has no folder of its own; nothing in it outlives it"
)]
fn temporary_folders() -> PathBuf {
    let usual = std::env::temp_dir();
    if usual.is_absolute() && usual.as_os_str().len() <= 70 { usual } else { "/tmp".into() }
}

/// A scanner made of a pseudo terminal, plugged in under a name that stays.
struct Scanner {
    name: PathBuf,
    master: PtyMaster,
    device: PathBuf,
}

impl Scanner {
    /// A device that was held by a process which was killed stays held while
    /// its other end is open, so every daemon gets a device of its own.
    fn plug(name: &Path) -> io::Result<Self> {
        // No child may inherit it: a daemon that is started meanwhile would keep the
        // scanner plugged.
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let device = PathBuf::from(ptsname_r(&master)?);
        let beside = name.with_extension("new");
        let _ = fs::remove_file(&beside);
        symlink(&device, &beside)?;
        fs::rename(&beside, name)?;
        Ok(Self { name: name.to_owned(), master, device })
    }

    fn read(&mut self, code: &SecretText) -> io::Result<()> {
        let mut keys = zeroize::Zeroizing::new(code.reveal().to_owned());
        keys.push('\r');
        self.master.write_all(keys.as_bytes())
    }
}

/// The daemon's process; gone with this value.
struct Daemon(Child);

impl Daemon {
    /// This program again, under the daemon's name.
    fn start(folder: &Path) -> Result<Self, StageError> {
        let program = std::env::current_exe().map_err(StageError::Prepare)?;
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("tilld.log"))
            .map_err(StageError::Prepare)?;
        let mut command = Command::new(program);
        command
            .arg0("tilld")
            .arg("--config")
            .arg(folder.join("tilld.toml"))
            // Nothing of a service manager or a proxy that is around.
            .env_clear()
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C is for the demo, which then ends the daemon.
            .process_group(0);
        die_with_the_demo(&mut command);
        command.spawn().map(Self).map_err(StageError::Spawn)
    }

    fn id(&self) -> u32 {
        self.0.id()
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(Some(_)) | Err(_))
    }

    /// SIGKILL: the process does nothing any more, not even say good-bye.
    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// SIGTERM, as a service manager would; whether it ended well in time.
    async fn end(mut self) -> bool {
        let id = i32::try_from(self.id()).map(Pid::from_raw);
        if id.is_ok_and(|id| kill(id, Signal::SIGTERM).is_ok()) {
            let until = Instant::now() + PATIENCE;
            while Instant::now() < until {
                if let Ok(Some(status)) = self.0.try_wait() {
                    return status.success();
                }
                sleep(LOOK).await;
            }
        }
        false
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Has the kernel kill the daemon when the demo dies without cleaning up.
#[allow(unsafe_code, reason = "what runs between fork and exec is unsafe to get wrong")]
fn die_with_the_demo(command: &mut Command) {
    let demo = nix::unistd::getpid();
    let tie = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The demo may have died in between.
        if nix::unistd::getppid() == demo { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
    };
    // SAFETY: both are plain system calls; nothing is allocated and no lock is
    // taken, which is all that a forked child may do (fork(2), signal-safety(7)).
    unsafe { command.pre_exec(tie) };
}

/// The whole of it. The fields go in this order: nobody is left without the
/// one it talks to, and the folder goes last.
pub(super) struct Stage {
    daemon: Option<Daemon>,
    scanner: Scanner,
    pub(super) sandbox: Running,
    pub(super) client: Client,
    pub(super) folder: Folder,
}

impl Stage {
    /// Sets everything up and waits until the terminal takes payments.
    pub(super) async fn set() -> Result<Self, StageError> {
        let folder = Folder::make()?;
        // Quicker than the original, as the terminal is.
        let options = Options { speed: 1.5, ..Options::new(folder.path()) };
        let sandbox = Sandbox::start(options).await?;
        let scanner = Scanner::plug(&folder.path().join("scanner")).map_err(StageError::Scanner)?;
        fs::write(folder.path().join("tilld.toml"), config(&sandbox))
            .map_err(StageError::Prepare)?;
        let client = Client::new(sandbox.folder().socket());
        let mut stage = Self { daemon: None, scanner, sandbox, client, folder };
        stage.start_daemon()?;
        stage.ready().await?;
        Ok(stage)
    }

    /// The process of the daemon; 0 while there is none.
    pub(super) fn daemon_id(&self) -> u32 {
        self.daemon.as_ref().map_or(0, Daemon::id)
    }

    /// The scanner's device.
    pub(super) fn scanner_device(&self) -> &Path {
        &self.scanner.device
    }

    /// The scanner reads a code, and sends it as a serial scanner does.
    pub(super) fn scan(&mut self, code: &SecretText) -> io::Result<()> {
        self.scanner.read(code)
    }

    /// Kills the daemon's process.
    pub(super) fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    /// Starts the daemon; it begins to work by itself.
    pub(super) fn start_daemon(&mut self) -> Result<(), StageError> {
        let name = self.scanner.name.clone();
        self.scanner = Scanner::plug(&name).map_err(StageError::Scanner)?;
        self.daemon = Some(Daemon::start(self.folder.path())?);
        Ok(())
    }

    /// Waits until the daemon answers and has its scanner.
    pub(super) async fn ready(&mut self) -> Result<(), StageError> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Ok(answer) = self.client.get("/v1/status").await
                && let Ok(status) = answer.read::<StatusView>()
                && status.scanners.iter().all(|scanner| scanner.present)
            {
                return Ok(());
            }
            let ended = self.daemon.as_mut().is_none_or(|daemon| daemon.has_ended());
            if ended || Instant::now() >= until {
                return Err(StageError::NotReady(self.last_words()));
            }
            sleep(LOOK).await;
        }
    }

    /// Ends the daemon politely; whether it did what the contract says.
    pub(super) async fn end_daemon(&mut self) -> bool {
        match self.daemon.take() {
            Some(daemon) => daemon.end().await,
            None => true,
        }
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("tilld.log")).unwrap_or_default();
        log.lines().last().unwrap_or("none").to_owned()
    }
}

/// `tilld.toml` of the demo. It stays good for `till sandbox --dir`, which
/// leads the line `gateway` to its own address.
fn config(sandbox: &Running) -> String {
    let (gateway, app_id) = (sandbox.gateway(), sandbox.app_id());
    format!(
        "# Written by `till demo`. Paths are relative to this file.\n\
         \n\
         [terminal]\n\
         id = \"DEMO_1\"\n\
         store_id = \"DEMO\"\n\
         \n\
         [alipay]\n\
         gateway = \"{gateway}\"\n\
         app_id = \"{app_id}\"\n\
         private_key_file = \"app_private_key.pem\"\n\
         alipay_public_key_file = \"alipay_public_key.pem\"\n\
         ca_file = \"ca.pem\"\n\
         \n\
         [payment]\n\
         {LENGTHS}\n\
         [journal]\n\
         path = \"journal.db\"\n\
         \n\
         [api]\n\
         socket = \"tilld.sock\"\n\
         \n\
         [[scanner]]\n\
         id = \"lane-1\"\n\
         kind = \"serial\"\n\
         device = \"scanner\"\n\
         # The machine may be slow; a carriage return ends every code anyway.\n\
         gap = \"2s\"\n"
    )
}
