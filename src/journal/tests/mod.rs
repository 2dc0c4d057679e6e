//! Tests of the whole room.

mod archive;
mod defects;
mod history;
mod keyed;
mod moved;
mod opening;
mod reading;
mod refunds;
mod round_trip;
mod writing;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ffi};
use tempfile::TempDir;

use super::{
    AppendError, ChainKey, Health, OpenError, Pending, Reader, Report, VerifyError, Writer,
};
use crate::payment::{
    Amount, Back, CancelAction, CodeMark, Entry, EntryStep, Extras, Fen, Heard, How, Method, Offer,
    Order, OutTradeNo, Payment, Record, Refund, RefundCause, RefundHeard, RefundRecord,
    RefundRequest, RefundStage, State, StepName, Timestamp, Trade,
};

/// The key of the journals here, but for those that say otherwise.
fn key() -> ChainKey {
    ChainKey::new(b"a key for tests")
}

fn open(path: &Path) -> Result<(Writer, Reader), OpenError> {
    super::open(path, &key())
}

fn verify(path: &Path) -> Result<Report, VerifyError> {
    super::verify(path, Some(&key()))
}

// --- a journal to play with --------------------------------------------------

/// A journal in a folder of its own.
struct Bench {
    writer: Writer,
    reader: Reader,
    // The last to be dropped.
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (writer, reader) = open(&folder.path().join("journal.db")).expect("a new journal");
        Self { folder, writer, reader }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    /// Ends the writer and the reader, and keeps the folder.
    fn close(self) -> TempDir {
        self.folder
    }

    /// Ends and starts again.
    fn reopen(self) -> Self {
        let folder = self.close();
        let (writer, reader) = open(&folder.path().join("journal.db")).expect("the same journal");
        Self { folder, writer, reader }
    }

    fn append(&self, entry: Entry) -> Result<u64, AppendError> {
        wait(self.writer.append(entry, Timestamp(1_000)))
    }

    fn entries(&self) -> Vec<Entry> {
        let all = self.reader.after(0, u32::MAX).expect("readable");
        all.into_iter().map(|recorded| recorded.entry).collect()
    }

    fn sql(&self) -> Connection {
        Connection::open(self.path()).expect("a connection of the test's own")
    }
}

fn wait(pending: Pending) -> Result<u64, AppendError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(pending)
}

/// Waits until `what` holds, for as long as a slow machine may take.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_writable(writer: &Writer) -> bool {
    *writer.health().borrow() == Health::Writable
}

fn complaint(writer: &Writer) -> String {
    match &*writer.health().borrow() {
        Health::Writable => String::new(),
        Health::Unavailable(why) => why.clone(),
    }
}

fn refusal(path: &Path) -> OpenError {
    match open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => {
            let line = error.to_string();
            assert!(!line.contains('\n'), "one line: {line}");
            assert!(line.contains(&*path.to_string_lossy()), "it names the file: {line}");
            error
        }
    }
}

/// Does what the guards forbid, and puts them up again.
fn behind_the_guards(path: &Path, sql: &str) {
    let conn = Connection::open(path).expect("open");
    let guards: Vec<(String, String)> = conn
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .expect("prepared")
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("queried")
        .collect::<Result<_, _>>()
        .expect("read");
    for (name, _) in &guards {
        conn.execute_batch(&format!("DROP TRIGGER {name}")).expect("disarmed");
    }
    conn.execute_batch(sql).unwrap_or_else(|why| panic!("{sql}: {why}"));
    for (_, sql) in &guards {
        conn.execute_batch(sql).expect("armed");
    }
}

/// A small disk of its own, for what a folder cannot do: being full, being
/// read-only. Only root can make one.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tilld-test"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|out| out.status.success()) {
            return Some(Self { folder });
        }
        eprintln!("SKIPPED: this test needs a small disk of its own, which only root can mount");
        None
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    fn remount(&self, mode: &str) {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,{mode}")])
            .arg(self.folder.path())
            .status();
        assert!(done.is_ok_and(|status| status.success()), "remount {mode}");
    }

    /// Takes all the room there is.
    fn fill(&self) -> PathBuf {
        use std::io::Write;
        let path = self.folder.path().join("filler");
        let mut file = std::fs::File::create(&path).expect("a file");
        while file.write_all(&[7; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

// --- payments to write down --------------------------------------------------

fn number(text: &str) -> OutTradeNo {
    text.parse().expect("a number")
}

fn order(name: &str, sale: Option<&str>) -> Order {
    Order {
        out_trade_no: number(name),
        amount: Amount::from_fen(8888).expect("an amount"),
        method: Method::Code,
        subject: "咖啡".to_owned(),
        sale: sale.map(str::to_owned),
        scanner: Some("lane-1".to_owned()),
        body: None,
        operator_id: None,
        goods_detail: Some(r#"[{"goods_id":"apple-01"}]"#.to_owned()),
        timeout: None,
        extras: Extras::default(),
    }
}

/// A payment that was just asked for. (`v1.db` holds such ones, so this does not
/// follow what the core makes of a request.)
fn requested(name: &str, sale: Option<&str>) -> Payment {
    requested_at(name, sale, 1_000)
}

fn requested_at(name: &str, sale: Option<&str>, at: i64) -> Payment {
    let record = Record {
        order: order(name, sale).into(),
        account: None,
        till: None,
        state: State::AwaitingCode { until: Timestamp(at + 120_000) },
        rev: 1,
        created_at: Timestamp(at),
        updated_at: Timestamp(at),
        offer: None,
        undo: None,
        trade: Trade::default(),
        reason: None,
        attention: None,
        trouble: None,
        hint: None,
    };
    record.try_into().expect("possible")
}

/// The same payment, but for what `change` does to it.
fn altered(payment: &Payment, change: impl FnOnce(&mut Record)) -> Payment {
    let mut record = payment.record();
    change(&mut record);
    record.try_into().expect("possible")
}

/// What is out after a code with this mark was taken.
fn offer(mark: Option<CodeMark>) -> Offer {
    Offer {
        how: How::Code { mark, fresh_until: Timestamp(60_000) },
        tag: None,
        // As they are read from journals that do not tell.
        tried_since: Timestamp(60_000),
        sent_at: Timestamp(-10_000),
        deadline: Timestamp(60_000),
        time_expire: Timestamp(120_000),
        horizon: Timestamp(120_000),
        hold: Duration::from_secs(130),
        hold_until: Timestamp(130_000),
        heard: Heard::default(),
    }
}

/// The payment has taken the code with this mark.
fn paying_by_code(payment: &Payment, mark: CodeMark) -> Payment {
    altered(&changed(payment, State::Paying), |record| record.offer = Some(offer(Some(mark))))
}

/// The same payment after its next change, now in `state`.
fn changed(payment: &Payment, state: State) -> Payment {
    altered(payment, |record| {
        record.rev += 1;
        record.state = state;
        if matches!(state, State::AwaitingCode { .. } | State::Cancelled(_)) {
            return;
        }
        record.offer.get_or_insert_with(|| offer(None));
    })
}

fn paid(payment: &Payment) -> Payment {
    changed(payment, State::Paid)
}

fn cancelled(payment: &Payment) -> Payment {
    changed(payment, State::Cancelled(CancelAction::None))
}

fn entry(payment: &Payment) -> Entry {
    let name = if payment.rev() == 1 { StepName::Requested } else { StepName::Due };
    let step = EntryStep { name, ..EntryStep::default() };
    Entry::Payment { payment: payment.clone(), step }
}

fn news(text: &str) -> Entry {
    Entry::Gateway { up: false, text: text.to_owned() }
}

/// An entry about a payment that was asked for and is over at once.
fn finished(name: &str) -> Entry {
    entry(&altered(&requested(name, None), |record| record.state = State::Paid))
}

// --- refunds to write down ---------------------------------------------------

/// A refund of this payment that was just asked for.
fn refund(payment: &Payment, request: &str, fen: u64) -> Refund {
    let asked = RefundRequest {
        payment: payment.clone(),
        request: request.parse().expect("a number"),
        amount: Amount::from_fen(fen).expect("an amount"),
        reason: Some("凉了".to_owned()),
        operator_id: None,
        cause: RefundCause::Register,
        before: Fen(0),
        created_at: Timestamp(5_000),
    };
    RefundRecord {
        asked: asked.into(),
        rev: 1,
        updated_at: Timestamp(5_000),
        back: Back::default(),
        // What only a life counts is not read back.
        heard: RefundHeard {
            refusal: None,
            on_its_way_until: None,
            trouble: None,
            since: Timestamp(0),
            rounds: 0,
        },
        attention: None,
        stage: RefundStage::Refunding,
    }
    .into()
}

/// The same refund after its next change.
fn moved_to(refund: &Refund, stage: RefundStage) -> Refund {
    let record = refund.record();
    RefundRecord { rev: record.rev + 1, stage, ..record }.into()
}

fn refund_entry(refund: &Refund) -> Entry {
    let name = if refund.rev() == 1 { StepName::Requested } else { StepName::RefundAnswered };
    let step = EntryStep { name, ..EntryStep::default() };
    Entry::Refund { refund: refund.clone(), step }
}

// --- failures ----------------------------------------------------------------

/// Failures that are hard to come by on a healthy machine, for one writer.
#[derive(Default)]
pub(super) struct Switches {
    /// What becomes of the next commits, first to last.
    pub(super) commits: Mutex<VecDeque<Commit>>,
    /// While it is set, no connection can be had.
    pub(super) disk_is_gone: AtomicBool,
    /// It is set with the next commit.
    pub(super) gone_after_commit: AtomicBool,
    /// To how many pages the journal may grow; 0 for as many as it likes.
    pub(super) max_pages: AtomicU64,
    /// How many commits were asked for.
    pub(super) commit_count: AtomicU64,
    /// What somebody else does just before the next commit.
    pub(super) meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Switches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Switches")
    }
}

/// What becomes of a commit.
#[derive(Debug)]
pub(super) enum Commit {
    /// It reaches the disk, and an I/O error is reported.
    LostAfter,
    /// It does not reach the disk, and an I/O error is reported.
    LostBefore,
    /// There is no room for it.
    Full,
}

impl Switches {
    pub(super) fn begin(&self, conn: &Connection) {
        let pages = self.max_pages.load(SeqCst);
        if pages > 0 {
            conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
                .expect("a limit");
        }
    }

    fn at_next_commit(&self, meanwhile: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock().expect("not poisoned") = Some(Box::new(meanwhile));
    }

    pub(super) fn commit(&self, conn: &Connection) -> Option<rusqlite::Result<()>> {
        self.commit_count.fetch_add(1, SeqCst);
        if let Some(meanwhile) = self.meanwhile.lock().expect("not poisoned").take() {
            meanwhile();
        }
        let fault = self.commits.lock().expect("not poisoned").pop_front()?;
        if self.gone_after_commit.swap(false, SeqCst) {
            self.disk_is_gone.store(true, SeqCst);
        }
        let code = match fault {
            Commit::LostAfter => {
                conn.execute_batch("COMMIT").expect("a sound commit");
                ffi::SQLITE_IOERR_FSYNC
            }
            Commit::LostBefore => ffi::SQLITE_IOERR_WRITE,
            Commit::Full => ffi::SQLITE_FULL,
        };
        Some(Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)))
    }

    pub(super) fn connect(&self) -> Result<(), String> {
        if self.disk_is_gone.load(SeqCst) {
            return Err("the disk is gone".to_owned());
        }
        Ok(())
    }
}
