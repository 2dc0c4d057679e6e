//! Alipay's own SDKs, in the languages that registers are written in, paying at
//! the same gateway: warm, over TLS, as many at a time as there are registers.
//!
//! They keep no journal, so they do less than a terminal.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// What a program needed for so many payments.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Pace {
    pub(crate) payments: u32,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
}

impl Pace {
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.payments) / self.seconds
    }

    /// Milliseconds of processor time for one.
    pub(crate) fn cpu_ms(&self) -> f64 {
        1e3 * self.cpu_seconds / f64::from(self.payments)
    }
}

/// The SDKs, installed.
pub(crate) struct Peers {
    cache: PathBuf,
}

impl Peers {
    /// Installs them where they are not, which needs the network the first time.
    pub(crate) fn install() -> Result<Self, String> {
        let script = repository().join("tests/conformance_sdk/install.sh");
        let done = Command::new(&script).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let done = done.map_err(|why| format!("{}: {why}", script.display()))?;
        if !done.status.success() {
            return Err("the SDKs cannot be installed".to_owned());
        }
        let said = String::from_utf8_lossy(&done.stdout);
        Ok(Self { cache: PathBuf::from(said.trim()) })
    }

    pub(crate) fn node(&self, run: &Run<'_>) -> Pace {
        let mut node = Command::new("node");
        node.env("NODE_PATH", self.cache.join("node/node_modules"));
        node.env("NODE_EXTRA_CA_CERTS", run.dir.join("ca.pem"));
        run.with(node, "pay.cjs")
    }

    pub(crate) fn python(&self, run: &Run<'_>) -> Pace {
        run.with(Command::new(self.cache.join("venv/bin/python")), "pay.py")
    }
}

/// How much is paid, and where.
pub(crate) struct Run<'a> {
    pub(crate) gateway: String,
    /// Where the keys are.
    pub(crate) dir: &'a Path,
    pub(crate) lanes: usize,
    pub(crate) warm: usize,
    pub(crate) count: usize,
}

impl Run<'_> {
    fn with(&self, mut program: Command, script: &str) -> Pace {
        let counts = [self.lanes, self.warm, self.count].map(|count| count.to_string());
        let done = program
            .arg(repository().join("benches/terminal/peers").join(script))
            .args([self.gateway.as_str(), self.dir.to_str().expect("UTF-8")])
            .args(counts)
            // Both write the timestamp in the zone of the machine.
            .env("TZ", "CST-8")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("the SDK's program");
        assert!(done.status.success(), "{script} ended with {}", done.status);
        serde_json::from_slice(&done.stdout).expect("a pace")
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
