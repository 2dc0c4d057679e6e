//! The shim that kills, and the points that it counts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// What happens around a point. A test that has not seen all of them has not
/// looked: the daemon may have found a way past the shim.
pub(crate) const KINDS: [&str; 5] = ["asked", "journal", "call", "answer", "tell"];

/// When the shim kills, and where it writes the points down.
#[derive(Clone, Debug)]
pub(crate) struct Killer {
    /// Which point ends the process; 0 for none.
    pub(crate) at: u64,
    /// From when on points count.
    pub(crate) from: Since,
    /// How many milliseconds an entry takes longer than it must.
    pub(crate) slow: u64,
    /// Nobody is killed, but the disk hangs.
    pub(crate) stall: Option<Stall>,
    /// The list of points.
    pub(crate) log: PathBuf,
}

/// From when on points count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    Start,
    /// The register's first request for a payment.
    Pay,
    /// Its first request for a refund.
    Refund,
}

/// A disk that hangs in a sync.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stall {
    /// Once, at the killer's point.
    Once(Duration),
    /// In each.
    Always(Duration),
}

impl Killer {
    /// Makes `command` die as planned. Syncs below `folder` are points.
    pub(crate) fn load_into(&self, command: &mut Command, folder: &Path) {
        let (at, stall) = match self.stall {
            None => (self.at.to_string(), Duration::ZERO),
            Some(Stall::Once(length)) => (self.at.to_string(), length),
            Some(Stall::Always(length)) => ("-1".to_owned(), length),
        };
        let from = match self.from {
            Since::Start => "start",
            Since::Pay => "PUT /v1/payments/",
            Since::Refund => "/refunds/",
        };
        command
            .env("LD_PRELOAD", shim())
            .env("KILL_AT", at)
            .env("KILL_STALL", stall.as_millis().to_string())
            .env("KILL_FROM", from)
            .env("KILL_FOLDER", folder)
            .env("KILL_SLOW", self.slow.to_string())
            .env("KILL_LOG", &self.log);
    }

    /// The points so far, in order.
    pub(crate) fn points(&self) -> Vec<Point> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut points: Vec<Point> = text.lines().map(Point::read).collect();
        points.sort_by_key(|point| point.number);
        points
    }

    /// The point that killed, if it was reached.
    pub(crate) fn killed_at(&self) -> Option<Point> {
        self.points().into_iter().find(|point| point.number == self.at)
    }
}

/// One line of the shim's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) number: u64,
    /// One of [`KINDS`].
    pub(crate) kind: String,
    /// `before` or `after`; `begin` when an entry is about to be written.
    pub(crate) phase: String,
    /// The file that was synced, or the method that was called.
    pub(crate) what: String,
}

impl Point {
    fn read(line: &str) -> Self {
        let mut words = line.split(' ').map(str::to_owned);
        let mut word = || words.next().expect("a line of the shim has four words");
        Self {
            number: word().parse().expect("a number"),
            kind: word(),
            phase: word(),
            what: word(),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, kind, phase, what } = self;
        write!(f, "point {number}: {phase} {kind} {what}")
    }
}

/// The compiled shim; made once.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| crate::shim::compile("tests/crash/killer.c"))
}

/// The numbers of those at which the journal is about to be synced.
pub(crate) fn syncs(points: &[Point]) -> Vec<u64> {
    let syncs = points.iter().filter(|p| p.kind == "journal" && p.phase == "before");
    syncs.map(|point| point.number).collect()
}
