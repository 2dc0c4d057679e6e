//! Figures, for people and for programs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// Many measurements of one thing.
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn of(measured: impl IntoIterator<Item = Duration>) -> Self {
        let mut all: Vec<_> = measured.into_iter().collect();
        all.sort_unstable();
        assert!(!all.is_empty(), "nothing was measured");
        Self(all)
    }

    pub(crate) fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    /// One in a hundred is slower.
    pub(crate) fn p99(&self) -> Duration {
        self.0[(self.0.len() * 99 / 100).min(self.0.len() - 1)]
    }

    pub(crate) fn least(&self) -> Duration {
        self.0[0]
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "count": self.0.len(),
            "median_us": micros(self.median()),
            "p99_us": micros(self.p99()),
            "least_us": micros(self.least()),
        })
    }
}

pub(crate) fn ratio(above: Duration, below: Duration) -> f64 {
    above.as_secs_f64() / below.as_secs_f64()
}

pub(crate) fn millis(length: Duration) -> String {
    format!("{:.2} ms", length.as_secs_f64() * 1e3)
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "for people, with one decimal")]
    let mebibytes = bytes as f64 / 1_048_576.0;
    format!("{mebibytes:.1} MiB")
}

pub(crate) fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

/// Where this runs: figures without it mean nothing.
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    load: String,
}

impl Machine {
    pub(crate) fn of(dir: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
            .map_or("unknown".to_owned(), |(_, name)| name.trim().to_owned());
        Self {
            processor,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(&read("/proc/self/mounts"), dir),
            load: load(),
        }
    }

    /// A disk that is none has no fsync to wait for.
    pub(crate) fn has_disk(&self) -> bool {
        !self.file_system.starts_with("tmpfs") && !self.file_system.starts_with("ramfs")
    }

    pub(crate) fn line(&self) -> String {
        let Self { processor, cores, kernel, file_system, load } = self;
        format!(
            "{processor}, {cores} cores; Linux {kernel}; {file_system}; \
             load {load} before, {} after",
            self::load()
        )
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "processor": self.processor, "cores": self.cores, "kernel": self.kernel,
            "file_system": self.file_system, "load_before": self.load, "load_after": load(),
        })
    }
}

/// The averages over one, five and fifteen minutes.
fn load() -> String {
    let averages = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The type of the file system that `dir` is on, and its options.
fn file_system(mounts: &str, dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let on = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind, options) = (words.next()?, words.next()?, words.next()?);
        dir.starts_with(place).then(|| (place.len(), format!("{kind} ({options})")))
    });
    on.max_by_key(|(length, _)| *length).map_or("unknown".to_owned(), |(_, kind)| kind)
}
