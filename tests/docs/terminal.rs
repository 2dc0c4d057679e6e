//! A real sandbox and a real daemon, each in a process of its own, as the pages
//! tell people to start them.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything here takes on a slow machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A program that ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks again and again until it is so.
pub(super) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "waiting for {what}");
        sleep(Duration::from_millis(20));
    }
}

pub(super) struct Terminal {
    folder: tempfile::TempDir,
    tilld: Option<Program>,
    _sandbox: Program,
}

impl Terminal {
    /// Starts both; `more` is added to the sandbox's `tilld.toml`. Lengths of
    /// time are a tenth of the real ones.
    pub(super) fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let sandbox = Command::new(env!("CARGO_BIN_EXE_till"))
            .args(["sandbox", "--listen", "127.0.0.1:0", "--speed", "10", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("till sandbox starts");
        let sandbox = Program(sandbox);
        let config = folder.path().join("tilld.toml");
        // Written in one go, with the address of a socket that listens.
        let text = until("the sandbox's tilld.toml", || {
            std::fs::read_to_string(&config).ok().filter(|text| text.contains("[api]"))
        });
        std::fs::write(&config, text + more).expect("the configuration");
        let mut terminal = Self { folder, tilld: None, _sandbox: sandbox };
        terminal.start_tilld();
        terminal
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("tilld.sock")
    }

    pub(super) fn start_tilld(&mut self) {
        let tilld = Command::new(env!("CARGO_BIN_EXE_tilld"))
            .arg("--config")
            .arg(self.folder.path().join("tilld.toml"))
            .env_remove("CREDENTIALS_DIRECTORY")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tilld starts");
        self.tilld = Some(Program(tilld));
        until("the daemon", || self.get("/v1/status"));
    }

    /// SIGKILL, as a power cut would.
    pub(super) fn kill_tilld(&mut self) {
        self.tilld = None;
    }

    /// The body of the reply to a GET, when there is one.
    pub(super) fn get(&self, path: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.socket()).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: tilld\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        Some(reply.split_once("\r\n\r\n")?.1.to_owned())
    }

    /// The payment, when there is one.
    pub(super) fn payment(&self, number: &str) -> Option<Value> {
        let body = self.get(&format!("/v1/payments/{number}"))?;
        serde_json::from_str(&body).ok().filter(|view: &Value| view["state"].is_string())
    }
}
