//! The real daemon as a child process, with a folder of its own.

use std::fs;
use std::io::Read as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tilld::alipay::sign::{PrivateKey, SignType};

use crate::gateway::Gateway;

/// So long a daemon may take for anything before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Keys, and the folder that everything is in.
pub(crate) struct Shop {
    pub(crate) dir: PathBuf,
    /// PKCS#8 PEM, both halves of both sides.
    app_private: String,
    alipay_private: String,
    pub(crate) alipay_public: String,
}

impl Shop {
    pub(crate) fn new(dir: &Path) -> Self {
        let app = PrivateKey::generate().expect("the application's keys");
        let alipay = PrivateKey::generate().expect("Alipay's keys");
        let shop = Self {
            dir: dir.to_owned(),
            app_private: app.private.to_string(),
            alipay_private: alipay.private.to_string(),
            alipay_public: alipay.public,
        };
        shop.write("app_private_key.pem", &shop.app_private);
        shop.write("alipay_public_key.pem", &shop.alipay_public);
        shop
    }

    pub(crate) fn gateway(&self, with_tls: bool) -> Gateway {
        let key = PrivateKey::read(self.alipay_private.as_bytes(), SignType::Rsa2);
        let gateway = Gateway::start(key.expect("just made"), with_tls);
        if let Some(ca) = &gateway.ca {
            self.write("ca.pem", ca);
        }
        gateway
    }

    /// Starts the daemon on this journal and waits until it says READY.
    pub(crate) fn open(&self, gateway: &Gateway, journal: &Path) -> Daemon {
        self.open_under(&[], gateway, journal)
    }

    /// The same, as the argument of another program.
    pub(crate) fn open_under(&self, under: &[&str], gateway: &Gateway, journal: &Path) -> Daemon {
        let ca = if gateway.ca.is_some() { "ca_file = \"ca.pem\"\n" } else { "" };
        let config = format!(
            "[terminal]\nid = \"BENCH_1\"\nstore_id = \"BENCH\"\n\
             [alipay]\ngateway = \"{}\"\napp_id = \"2014072300007148\"\n\
             private_key_file = \"app_private_key.pem\"\n\
             alipay_public_key_file = \"alipay_public_key.pem\"\n{ca}\
             [journal]\npath = \"{}\"\n[api]\nsocket = \"tilld.sock\"\n",
            gateway.url(),
            journal.display()
        );
        self.write("tilld.toml", &config);
        let (notify, socket) = (self.dir.join("notify.sock"), self.dir.join("tilld.sock"));
        let _ = fs::remove_file(&notify);
        let listener = UnixDatagram::bind(&notify).expect("a socket for READY");
        listener.set_read_timeout(Some(PATIENCE)).expect("a time-out");

        let daemon = [env!("CARGO_BIN_EXE_tilld"), "--config"];
        let mut words = under.iter().chain(&daemon);
        let started = Instant::now();
        let child = Command::new(words.next().expect("a program"))
            .args(words)
            .arg(self.dir.join("tilld.toml"))
            .env("NOTIFY_SOCKET", &notify)
            .env_remove("WATCHDOG_USEC")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // What it logs goes to the service manager's pipe in real life.
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon");
        let mut daemon = Daemon { child, socket, ready_after: Duration::ZERO };
        daemon.drain_log();
        let mut said = [0; 4096];
        loop {
            let Ok(length) = listener.recv(&mut said) else {
                panic!("the daemon did not get ready: {}", self.dir.display());
            };
            if String::from_utf8_lossy(&said[..length]).lines().any(|line| line == "READY=1") {
                break;
            }
        }
        daemon.ready_after = started.elapsed();
        // Whatever it says later is read, as a service manager would.
        std::thread::spawn(move || while listener.recv(&mut said).is_ok() {});
        daemon
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.join(name);
        fs::write(&path, text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    }
}

/// One running `tilld`, killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) socket: PathBuf,
    /// From the start of the program to its READY.
    pub(crate) ready_after: Duration,
}

/// Resident memory, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) all: u64,
    /// The part that belongs to no file: heap and stacks.
    pub(crate) anonymous: u64,
}

impl Daemon {
    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the daemon's status");
        let value = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).unwrap_or_default();
            kib.parse::<u64>().unwrap_or_else(|_| panic!("no {name} in {status}")) * 1024
        };
        Memory { all: value("VmRSS:"), anonymous: value("RssAnon:") }
    }

    /// Of all its threads, in their own code and in the kernel.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("the daemon's stat");
        // The name before the last parenthesis may hold anything; of what
        // follows, utime and stime are the 12th and 13th, in hundredths (proc(5)).
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let fields = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.map(|field| field.parse::<u64>().expect("ticks")).sum();
        Duration::from_millis(10 * ticks)
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("SIGTERM");
        let status = self.child.wait().expect("the daemon's end");
        assert!(status.success(), "the daemon ended with {status}");
    }

    fn drain_log(&mut self) {
        let mut log = self.child.stderr.take().expect("its stderr");
        std::thread::spawn(move || {
            let mut chunk = [0; 64 * 1024];
            while log.read(&mut chunk).is_ok_and(|count| count > 0) {}
        });
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // In vain after `stop`, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
