//! The measurements, one after the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tilld::journal;
use tilld::payment::{Entry, OutTradeNo, Recorded};

use crate::daemon::{Daemon, Memory, Shop};
use crate::floor::{Floor, Parts};
use crate::gateway::Gateway;
use crate::peers::{Pace, Peers, Run};
use crate::register::Register;
use crate::report::{Sample, mebibytes, micros, millis, ratio};
use crate::{history, wal};

const REGISTERS: usize = 8;

/// Of a comparison; the best of each counts.
const TURNS: usize = 3;

/// How often everything is done.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    /// Payments that are not measured, at first.
    pub(crate) warm_up: usize,
    /// Payments of a single register, each beside a floor.
    pub(crate) single: usize,
    /// Payments of all registers together, after which memory is measured.
    pub(crate) together: usize,
    /// Payments of tilld and of Node's SDK, side by side; Python's, which is much
    /// slower, makes a tenth of them.
    pub(crate) beside: usize,
    /// Payments under `strace`.
    pub(crate) counted: usize,
    pub(crate) starts: usize,
    /// Finished payments in the journals that are started with.
    pub(crate) histories: [u64; 2],
}

impl Counts {
    pub(crate) const FULL: Self = Self {
        warm_up: 100,
        single: 600,
        together: 10_000,
        beside: 5_000,
        counted: 400,
        starts: 21,
        histories: [1_000, 1_000_000],
    };
    pub(crate) const QUICK: Self = Self {
        warm_up: 10,
        single: 40,
        together: 400,
        beside: 400,
        counted: 80,
        starts: 3,
        histories: [1_000, 50_000],
    };
}

pub(crate) struct Bench<'a> {
    shop: Shop,
    cache: &'a Path,
    counts: Counts,
    /// Says what is going on.
    say: fn(&str),
}

/// The lines of the table, and the same for programs.
#[derive(Default)]
pub(crate) struct Figures {
    lines: Vec<(String, String)>,
    json: serde_json::Map<String, Value>,
}

impl Figures {
    fn line(&mut self, what: &str, figure: String) {
        self.lines.push((what.to_owned(), figure));
    }

    pub(crate) fn table(&self) -> String {
        let width = self.lines.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
        self.lines.iter().map(|(what, figure)| format!("{what:width$}  {figure}\n")).collect()
    }

    pub(crate) fn json(self) -> Value {
        Value::Object(self.json)
    }
}

impl<'a> Bench<'a> {
    pub(crate) fn new(dir: &Path, cache: &'a Path, counts: Counts, say: fn(&str)) -> Self {
        Self { shop: Shop::new(dir), cache, counts, say }
    }

    /// The parts that are wanted.
    pub(crate) fn run(&self, wanted: impl Fn(&str) -> bool) -> Figures {
        let mut figures = Figures::default();
        let (https, http) = (self.shop.gateway(true), self.shop.gateway(false));
        if wanted("single") {
            self.single("https", &https, &mut figures);
            self.single("http", &http, &mut figures);
        }
        if wanted("together") {
            self.together(&https, &mut figures);
        }
        if wanted("peers") {
            self.peers(&https, &mut figures);
        }
        if wanted("syncs") {
            self.syncs(1, &https, &mut figures);
            self.syncs(REGISTERS, &https, &mut figures);
        }
        if wanted("starts") {
            self.starts(&https, &mut figures);
        }
        figures
    }

    fn new_journal(&self, name: &str) -> PathBuf {
        let folder = self.shop.dir.join(name);
        fs::create_dir(&folder).expect("a folder for a journal");
        folder.join("journal.db")
    }

    /// One register: what a payment takes besides the gateway's time, and what it
    /// would have to take, in turns.
    fn single(&self, scheme: &str, gateway: &Gateway, figures: &mut Figures) {
        (self.say)(&format!("one register, {scheme}"));
        let journal = self.new_journal(scheme);
        let daemon = self.shop.open(gateway, &journal);
        let mut register = Register::at(&daemon.socket);
        let mut overhead = || {
            let (number, took) = register.pay();
            took.saturating_sub(gateway.take_time(&number))
        };
        for _ in 0..self.counts.warm_up {
            overhead();
        }
        // The log begins anew every forty transactions.
        let writes = loop {
            overhead();
            if let Some(writes) = writes(&journal) {
                break writes;
            }
        };
        let mut floor = Floor::new(&self.shop.dir, writes, gateway);
        let (mut payments, mut floors): (Vec<Duration>, Vec<Parts>) = (Vec::new(), Vec::new());
        for _ in 0..self.counts.single {
            payments.push(overhead());
            floors.push(floor.pay(gateway));
        }
        daemon.stop();

        let payment = Sample::of(payments);
        let part = |part: fn(&Parts) -> Duration| Sample::of(floors.iter().map(part));
        let whole = part(Parts::sum);
        let times = ratio(payment.median(), whole.median());
        let both = |sample: &Sample| {
            let [least, median, p99] = [sample.least(), sample.median(), sample.p99()].map(millis);
            format!("{median}  (least {least}, p99 {p99})")
        };
        figures.line(&format!("one payment over {scheme}, without the gateway"), both(&payment));
        figures.line("  its floor", both(&whole));
        let above = payment.median().saturating_sub(whole.median());
        figures
            .line("  that is", format!("{times:.2} times the floor, {} above it", millis(above)));
        let parts = [
            ("first write", part(|parts| parts.first_sync)),
            ("signature", part(|parts| parts.sign)),
            ("round trip", part(|parts| parts.round_trip)),
            ("verification", part(|parts| parts.verify)),
            ("second write", part(|parts| parts.second_sync)),
        ];
        let mut json_parts = serde_json::Map::new();
        for (name, sample) in &parts {
            figures.line(&format!("    {name}"), both(sample));
            json_parts.insert(name.replace(' ', "_"), sample.json());
        }
        let json = json!({
            "payment": payment.json(), "floor": whole.json(), "times": times,
            "floor_parts": json_parts, "bytes_written": writes,
        });
        figures.json.insert(format!("single_{scheme}"), json);
    }

    /// All registers at once, and what that leaves in memory.
    fn together(&self, gateway: &Gateway, figures: &mut Figures) {
        (self.say)(&format!("{REGISTERS} registers, {} payments", self.counts.together));
        let journal = self.new_journal("together");
        let daemon = self.shop.open(gateway, &journal);
        // Whatever it does after READY is done by then.
        thread::sleep(Duration::from_secs(2));
        let idle = daemon.memory();
        pay(&daemon, REGISTERS, self.counts.warm_up);
        let (begun, cpu) = (Instant::now(), daemon.processor_time());
        let paid = pay(&daemon, REGISTERS, self.counts.together);
        let took = begun.elapsed();
        let cpu = daemon.processor_time().saturating_sub(cpu);
        let after = daemon.memory();
        daemon.stop();

        #[allow(clippy::cast_precision_loss, reason = "some thousands")]
        let paid = paid as f64;
        let rate = paid / took.as_secs_f64();
        let cpu = cpu.div_f64(paid);
        figures.line(&format!("{REGISTERS} registers"), format!("{rate:.0} payments per second"));
        figures.line("  processor time of the daemon", format!("{} a payment", millis(cpu)));
        let memory = |at: Memory| {
            format!("{}  ({} of it anonymous)", mebibytes(at.all), mebibytes(at.anonymous))
        };
        figures.line("resident memory, idle", memory(idle));
        figures.line(&format!("  after {paid} payments"), memory(after));
        let bytes = |at: Memory| json!({ "bytes": at.all, "anonymous_bytes": at.anonymous });
        let json = json!({
            "registers": REGISTERS, "payments": paid, "payments_per_second": rate,
            "processor_us_per_payment": micros(cpu),
            "memory": { "idle": bytes(idle), "after": bytes(after) },
        });
        figures.json.insert("together".to_owned(), json);
    }

    /// All registers at once, and as many lanes of each SDK: in turns, so that all
    /// meet the same machine.
    fn peers(&self, gateway: &Gateway, figures: &mut Figures) {
        let peers = match Peers::install() {
            Ok(peers) => peers,
            Err(why) => return figures.line("Alipay's SDKs", format!("NOT RUN: {why}")),
        };
        let (mut own, mut node, mut python) = (Vec::new(), Vec::new(), Vec::new());
        let count = self.counts.beside;
        let warm = self.counts.warm_up;
        for turn in 0..TURNS {
            (self.say)(&format!("beside Alipay's SDKs, {} of {TURNS}", turn + 1));
            let daemon = self.shop.open(gateway, &self.new_journal(&format!("beside-{turn}")));
            pay(&daemon, REGISTERS, warm);
            let (begun, cpu) = (Instant::now(), daemon.processor_time());
            let paid = pay(&daemon, REGISTERS, count);
            own.push(Pace {
                payments: u32::try_from(paid).expect("some thousands"),
                seconds: begun.elapsed().as_secs_f64(),
                cpu_seconds: daemon.processor_time().saturating_sub(cpu).as_secs_f64(),
            });
            daemon.stop();
            let (gateway, dir, lanes) = (gateway.url(), self.shop.dir.as_path(), REGISTERS);
            let run = Run { gateway, dir, lanes, warm, count };
            node.push(peers.node(&run));
            python.push(peers.python(&Run { warm: warm / 10, count: count / 10, ..run }));
        }
        let best = |paces: &[Pace]| -> Pace {
            let fastest = paces.iter().copied().max_by(|a, b| a.rate().total_cmp(&b.rate()));
            fastest.expect("at least one turn")
        };
        let own = best(&own);
        for (name, pace) in [("tilld", own), ("node", best(&node)), ("python", best(&python))] {
            let (times, cpu) = (own.rate() / pace.rate(), pace.cpu_ms() / own.cpu_ms());
            let (rate, cpu_ms) = (pace.rate(), pace.cpu_ms());
            let beside = format!("tilld: {times:.2} times the rate, 1/{cpu:.2} of the processor");
            let figure = format!("{rate:.0} payments per second, {cpu_ms:.2} ms of processor each");
            let beside = if name == "tilld" { String::new() } else { format!("  ({beside})") };
            figures.line(&format!("{REGISTERS} lanes of {name}"), format!("{figure}{beside}"));
            let json = json!({
                "payments": pace.payments, "payments_per_second": rate,
                "processor_ms_per_payment": cpu_ms, "tilld_times_as_many": times,
                "its_processor_times_tillds": cpu,
            });
            figures.json.insert(format!("peer_{name}"), json);
        }
    }

    /// How often the disk is waited for, counted by `strace`, which stops the
    /// daemon at no other call.
    fn syncs(&self, registers: usize, gateway: &Gateway, figures: &mut Figures) {
        (self.say)(&format!("fsyncs of {registers} registers"));
        let counted = self.shop.dir.join("strace");
        let name = counted.to_str().expect("UTF-8");
        let what = format!("fsyncs per payment, {registers} register(s)");
        let strace: Vec<&str> =
            // -D: the daemon stays our own child.
            "strace -D -f --seccomp-bpf -c -e trace=fsync,fdatasync -o".split(' ').chain([name]).collect();
        let works = std::process::Command::new(strace[0]).args(&strace[1..]).arg("true").output();
        if !works.is_ok_and(|output| output.status.success()) {
            figures.line(&what, "not counted: strace does not work here".to_owned());
            return;
        }
        let count = |payments: usize| {
            let journal = self.new_journal(&format!("syncs-{registers}-{payments}"));
            let daemon = self.shop.open_under(&strace, gateway, &journal);
            let paid = pay(&daemon, registers, payments);
            daemon.stop();
            let counted = summary(&counted);
            (counted, paid)
        };
        // Making the journal and closing it is not the payments'.
        let ((with, paid), (without, _)) = (count(self.counts.counted), count(0));
        let syncs = with.saturating_sub(without);
        #[allow(clippy::cast_precision_loss, reason = "some hundreds")]
        let each = syncs as f64 / paid as f64;
        figures.line(&what, format!("{each:.2}"));
        figures.json.insert(format!("fsyncs_per_payment_{registers}"), json!(each));
    }

    fn starts(&self, gateway: &Gateway, figures: &mut Figures) {
        let model = self.model(gateway);
        for payments in self.counts.histories {
            (self.say)(&format!("starts with {payments} finished payments"));
            let journal = history::of(self.cache, payments, &model);
            let starts = (0..self.counts.starts).map(|_| {
                let daemon = self.shop.open(gateway, &journal);
                let ready_after = daemon.ready_after;
                daemon.stop();
                ready_after
            });
            let starts = Sample::of(starts);
            let size = fs::metadata(&journal).expect("the journal").len();
            let figure = format!(
                "{}  (slowest {}; journal {})",
                millis(starts.median()),
                millis(starts.p99()),
                mebibytes(size)
            );
            figures.line(&format!("start to READY, {payments} finished payments"), figure);
            let json = json!({ "ready": starts.json(), "journal_bytes": size });
            figures.json.insert(format!("start_{payments}"), json);
        }
    }

    /// The entries of one real payment.
    fn model(&self, gateway: &Gateway) -> Vec<Recorded> {
        let journal = self.new_journal("model");
        let daemon = self.shop.open(gateway, &journal);
        let (number, _) = Register::at(&daemon.socket).pay();
        daemon.stop();
        let number: OutTradeNo = number.parse().expect("a number");
        let (_writer, reader) = journal::open(&journal, &history::key()).expect("the journal");
        let steps = reader.steps_after(&number, 0, u32::MAX).expect("its steps");
        assert!(steps.iter().all(|step| matches!(step.entry, Entry::Payment { .. })));
        steps
    }
}

/// Lets so many registers pay until there are `count` payments together.
fn pay(daemon: &Daemon, registers: usize, count: usize) -> usize {
    let each = count.div_ceil(registers);
    thread::scope(|scope| {
        for _ in 0..registers {
            scope.spawn(|| {
                let mut register = Register::at(&daemon.socket);
                for _ in 0..each {
                    register.pay();
                }
            });
        }
    });
    each * registers
}

/// What the first and the second transaction of a payment write: they take turns
/// in the log, and the first has more to write. Nothing while there are too few.
fn writes(journal: &Path) -> Option<[usize; 2]> {
    let mut log = journal.as_os_str().to_owned();
    log.push("-wal");
    let all = wal::transactions(Path::new(&log));
    if all.len() < 10 {
        return None;
    }
    let mut medians = [0, 1].map(|turn| {
        let mut sizes: Vec<_> = all.iter().skip(turn).step_by(2).copied().collect();
        sizes.sort_unstable();
        sizes[sizes.len() / 2]
    });
    medians.sort_unstable_by(|one, other| other.cmp(one));
    Some(medians)
}

/// All calls in the table that `strace -c` writes when the daemon has ended.
fn summary(file: &Path) -> u64 {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let table = fs::read_to_string(file).unwrap_or_default();
        if table.lines().any(|line| line.ends_with(" total")) {
            fs::remove_file(file).expect("strace's table");
            let calls = table.lines().filter(|line| line.ends_with("sync"));
            let counts = calls.filter_map(|line| line.split_whitespace().nth(3));
            return counts.map(|count| count.parse::<u64>().expect("a count of calls")).sum();
        }
        assert!(Instant::now() < end, "strace has not written its table");
        thread::sleep(Duration::from_millis(20));
    }
}
