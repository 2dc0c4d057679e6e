//! The journal as SQLite sees it: connections, single entries, transactions.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{
    Connection, Error, ErrorCode, OpenFlags, OptionalExtension, Row, ffi, named_params,
};

use super::chain::{ChainKey, GENESIS, Hash, Link};
use super::files::Files;
use super::rows::{Draft, PAYMENT, PaymentSummary, REFUND, RefundSummary, Summary};
use super::schema::{self, WITH_KEY};

/// The newest entry, as the next one has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    pub(super) seq: i64,
    pub(super) hash: Hash,
}

/// One row of `entries`, as bytes.
pub(super) struct RawEntry {
    pub(super) seq: i64,
    pub(super) at_ms: i64,
    pub(super) kind: Vec<u8>,
    pub(super) out_trade_no: Option<Vec<u8>>,
    pub(super) body: Vec<u8>,
    pub(super) prev: Vec<u8>,
    pub(super) hash: Vec<u8>,
    /// Under the key of its time; none before version 3.
    pub(super) tag: Option<Vec<u8>>,
}

/// What a row of `entries` looks like when all of it is wanted.
pub(super) fn raw_columns(conn: &Connection) -> rusqlite::Result<&'static str> {
    Ok(if schema::version(conn)? >= WITH_KEY {
        "seq, at_ms, kind, out_trade_no, body, prev, hash, tag"
    } else {
        "seq, at_ms, kind, out_trade_no, body, prev, hash, NULL"
    })
}

impl RawEntry {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        // As bytes, because a damaged text may not be UTF-8.
        let bytes = |column: usize| -> rusqlite::Result<Vec<u8>> {
            Ok(row.get_ref(column)?.as_bytes()?.to_vec())
        };
        let out_trade_no = row.get_ref(3)?.as_bytes_or_null()?.map(<[u8]>::to_vec);
        Ok(Self {
            seq: row.get(0)?,
            at_ms: row.get(1)?,
            kind: bytes(2)?,
            out_trade_no,
            body: bytes(4)?,
            prev: bytes(5)?,
            hash: bytes(6)?,
            tag: row.get_ref(7)?.as_bytes_or_null()?.map(<[u8]>::to_vec),
        })
    }

    pub(super) fn is_of_payment(&self) -> bool {
        self.kind == PAYMENT.as_bytes()
    }

    pub(super) fn is_of_refund(&self) -> bool {
        self.kind == REFUND.as_bytes()
    }

    /// Whether the entry is what was once written, and follows `before`.
    pub(super) fn check(&self, before: &Tip) -> Result<Tip, String> {
        if Some(self.seq) != before.seq.checked_add(1) {
            return Err(format!("entry {} follows entry {}", self.seq, before.seq));
        }
        if self.prev != before.hash {
            return Err(format!("entry {} is not tied to the one before it", self.seq));
        }
        self.check_alone()
    }

    /// Whether the entry is what was once written.
    pub(super) fn check_alone(&self) -> Result<Tip, String> {
        let hash = Link {
            prev: &self.prev,
            seq: self.seq,
            at_ms: self.at_ms,
            kind: &self.kind,
            out_trade_no: self.out_trade_no.as_deref(),
            body: &self.body,
        }
        .hash();
        if self.hash == hash {
            Ok(Tip { seq: self.seq, hash })
        } else {
            Err(format!("entry {} is not what was once written", self.seq))
        }
    }
}

impl Tip {
    /// Before the first entry.
    pub(super) const NONE: Self = Self { seq: 0, hash: GENESIS };

    /// The newest entry's.
    pub(super) fn read(conn: &Connection) -> rusqlite::Result<Self> {
        conn.prepare_cached("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1")?
            .query_row([], |row| Ok(Self { seq: row.get(0)?, hash: row.get(1)? }))
            .optional()?
            .map_or_else(|| Self::base(conn), Ok)
    }

    /// What the first entry follows: nothing, or what was archived.
    pub(super) fn base(conn: &Connection) -> rusqlite::Result<Self> {
        if schema::version(conn)? < WITH_KEY {
            return Ok(Self::NONE);
        }
        conn.prepare_cached("SELECT seq, hash FROM base")?
            .query_row([], |row| Ok(Self { seq: row.get(0)?, hash: row.get(1)? }))
            .optional()
            .map(|tip| tip.unwrap_or(Self::NONE))
    }
}

/// Opens the one connection that writes. It creates nothing.
pub(super) fn open_writer(journal: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(journal, flags)?;
    if conn.is_readonly("main")? {
        return Err(failure(ffi::SQLITE_READONLY, "the file is read-only"));
    }
    common(&conn)?;
    // Closing moves nothing and deletes nothing: the file under the log's name
    // may not be the log by then.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.execute_batch(
        "PRAGMA recursive_triggers = ON;
         -- A log that is cut after each checkpoint has to get its room anew, which
         -- an fsync waits for. It only grows while somebody reads for long.
         PRAGMA journal_size_limit = 16777216;
         -- A payment touches some ten pages; the kernel keeps the others.
         PRAGMA cache_size = -256;
         PRAGMA temp_store = MEMORY;
         -- The writer does it itself, once everybody has had an answer.
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA synchronous = FULL;",
    )?;
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    let synchronous: i64 = conn.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
    // What is promised about power cuts hangs on these two.
    if mode != "wal" || synchronous != 2 {
        let what = format!("SQLite insists on journal_mode {mode}, synchronous {synchronous}");
        return Err(failure(ffi::SQLITE_MISUSE, &what));
    }
    Ok(conn)
}

/// Closes the connection that writes, and leaves no empty files of SQLite's behind
/// if nobody else has the journal open. The log must have been moved, and the
/// files be the journal's.
pub(super) fn close_tidily(conn: Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    conn.close().map_err(|(_, error)| error)
}

/// Opens a connection that only reads; true if it reads the file as something
/// that nobody can change, which is the only way on a read-only disk.
pub(super) fn open_reader(files: &Files) -> rusqlite::Result<(Connection, bool)> {
    match Connection::open_with_flags(&files.journal, READ_ONLY).and_then(ready_to_read) {
        Err(error) if code_of(&error) == Some(ErrorCode::CannotOpen) => {
            match open_unchanging(files) {
                Some(opened) => opened.map(|conn| (conn, true)),
                None => Err(error),
            }
        }
        other => other.map(|conn| (conn, false)),
    }
}

/// Opens the file as something that nobody changes, without any file beside it.
/// Nothing where there is more to be read than the file itself.
pub(super) fn open_unchanging(files: &Files) -> Option<rusqlite::Result<Connection>> {
    let is_empty = |path: &Path| std::fs::metadata(path).map_or(true, |data| data.len() == 0);
    let [_, log, _, old_log] = files.all_of_sqlite();
    let flags = READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    (is_empty(&log) && is_empty(&old_log)).then(|| {
        let uri = immutable_uri(&files.journal);
        Connection::open_with_flags(uri, flags).and_then(ready_to_read)
    })
}

const READ_ONLY: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

fn ready_to_read(conn: Connection) -> rusqlite::Result<Connection> {
    common(&conn)?;
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -256;")?;
    // SQLite opens files when it first needs them.
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(conn)
}

fn common(conn: &Connection) -> rusqlite::Result<()> {
    // The plan of a statement does not hang on its values: without this SQLite
    // makes some of them anew at each use.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.execute_batch(
        "PRAGMA busy_timeout = 5000;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA mmap_size = 0;",
    )
}

fn immutable_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => uri.push(byte.into()),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + "?immutable=1"
}

/// Moves the log into the journal itself, and makes that durable.
pub(super) fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<()> {
    let busy: bool =
        conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(0))?;
    if busy { Err(failure(ffi::SQLITE_BUSY, "somebody is reading the journal")) } else { Ok(()) }
}

/// Begins a transaction that writes.
pub(super) fn begin(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(|_| ())
}

/// Ends it; what it has written is durable.
pub(super) fn commit(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("COMMIT")?.execute([]).map(|_| ())
}

/// Proves that the journal can be written, and has room to grow by some entries.
pub(super) fn probe(conn: &Connection) -> rusqlite::Result<()> {
    begin(conn)?;
    let done = conn.execute_batch(
        "UPDATE probe SET times = times + 1, filler = zeroblob(65536);
         UPDATE probe SET filler = NULL;
         COMMIT",
    );
    if done.is_err() {
        roll_back(conn);
    }
    done
}

/// Ends a transaction without effect. If even that fails, the connection is of
/// no more use, which the next statement will show.
pub(super) fn roll_back(conn: &Connection) {
    if !conn.is_autocommit() {
        let _ = conn.execute_batch("ROLLBACK");
    }
}

pub(super) const ADD_ENTRY: &str = "
INSERT INTO entries(seq, at_ms, kind, out_trade_no, body, prev, hash, tag)
VALUES(:seq, :at_ms, :kind, :number, :body, :prev, :hash, :tag)";

/// The last row has the largest `clock_ms`.
pub(super) const BEGIN_PAYMENT: &str = "
INSERT INTO payments(first_seq, out_trade_no, last_seq, rev, state, open, sale, created_at_ms,
                     clock_ms, mark, amount_fen)
VALUES(:seq, :number, :seq, 1, :state, :open, :sale, :at,
       max(:at, coalesce((SELECT clock_ms FROM payments ORDER BY first_seq DESC LIMIT 1), :at)),
       :mark, :amount)";

/// Every change of a payment but its first; the first of these that fits. SQLite
/// writes the page of each index that a statement names a column of, changed or
/// not: what no index is about changes with every entry, the state with some, the
/// mark rarely.
pub(super) const CHANGES: [&str; 3] = [
    "UPDATE payments SET last_seq = :seq, rev = :rev
     WHERE out_trade_no = :number AND rev = :rev - 1
       AND state = :state AND open = :open AND mark IS :mark",
    "UPDATE payments SET last_seq = :seq, rev = :rev, state = :state, open = :open
     WHERE out_trade_no = :number AND rev = :rev - 1 AND mark IS :mark",
    "UPDATE payments SET last_seq = :seq, rev = :rev, state = :state, open = :open, mark = :mark
     WHERE out_trade_no = :number AND rev = :rev - 1",
];

pub(super) const BEGIN_REFUND: &str = "
INSERT INTO refunds(first_seq, out_trade_no, out_request_no, last_seq, rev, state, open, cause,
                    amount_fen)
VALUES(:seq, :number, :request, :seq, 1, :state, :open, :cause, :amount)";

pub(super) const CHANGE_REFUND: &str = "
UPDATE refunds SET last_seq = :seq, rev = :rev, state = :state, open = :open
WHERE out_trade_no = :number AND out_request_no = :request AND rev = :rev - 1";

/// Adds one entry, within a transaction, and brings `payments` up to it.
pub(super) fn insert(
    conn: &Connection,
    draft: &Draft,
    at_ms: i64,
    before: &Tip,
    key: &ChainKey,
) -> rusqlite::Result<Tip> {
    let seq = before.seq.saturating_add(1);
    let number = draft.summary.as_ref().map(Summary::number);
    let hash = Link {
        prev: &before.hash,
        seq,
        at_ms,
        kind: draft.kind.as_bytes(),
        out_trade_no: number.map(str::as_bytes),
        body: draft.body.as_bytes(),
    }
    .hash();
    conn.prepare_cached(ADD_ENTRY)?.execute(named_params! {
        ":seq": seq,
        ":at_ms": at_ms,
        ":kind": draft.kind,
        ":number": number,
        ":body": draft.body,
        ":prev": before.hash,
        ":hash": hash,
        ":tag": key.of_entry(&hash),
    })?;
    match &draft.summary {
        Some(Summary::Payment(summary)) => summarize(conn, summary, seq)?,
        Some(Summary::Refund(summary)) => summarize_refund(conn, summary, seq)?,
        None => {}
    }
    Ok(Tip { seq, hash })
}

fn signed(rev: u64) -> rusqlite::Result<i64> {
    i64::try_from(rev).map_err(|_| failure(ffi::SQLITE_CONSTRAINT, "the revision is out of range"))
}

/// The same for a refund: its triggers guard the sum, and that one is open at a
/// time.
fn summarize_refund(conn: &Connection, summary: &RefundSummary, seq: i64) -> rusqlite::Result<()> {
    let rev = signed(summary.rev)?;
    if rev == 1 {
        conn.prepare_cached(BEGIN_REFUND)?.execute(named_params! {
            ":seq": seq,
            ":number": summary.out_trade_no,
            ":request": summary.out_request_no,
            ":state": summary.state,
            ":open": summary.open,
            ":cause": summary.cause,
            ":amount": i64::try_from(summary.amount.fen()).unwrap_or(i64::MAX),
        })?;
        return Ok(());
    }
    let changed = conn.prepare_cached(CHANGE_REFUND)?.execute(named_params! {
        ":seq": seq,
        ":rev": rev,
        ":state": summary.state,
        ":open": summary.open,
        ":number": summary.out_trade_no,
        ":request": summary.out_request_no,
    })?;
    if changed == 1 {
        return Ok(());
    }
    let RefundSummary { out_trade_no, out_request_no, .. } = summary;
    let what = format!("change {rev} of refund {out_request_no} of {out_trade_no} is not the next");
    Err(failure(ffi::SQLITE_CONSTRAINT, &what))
}

/// The first entry of a number makes its row, and every further one must be the
/// very next change: two histories of one payment can never mix.
fn summarize(conn: &Connection, summary: &PaymentSummary, seq: i64) -> rusqlite::Result<()> {
    let rev = signed(summary.rev)?;
    if rev == 1 {
        conn.prepare_cached(BEGIN_PAYMENT)?.execute(named_params! {
            ":seq": seq,
            ":number": summary.out_trade_no,
            ":state": summary.state,
            ":open": summary.open,
            ":sale": summary.sale,
            ":at": summary.created_at.millis(),
            ":mark": summary.mark,
            ":amount": i64::try_from(summary.amount.fen()).unwrap_or(i64::MAX),
        })?;
        return Ok(());
    }
    for change in CHANGES {
        let changed = conn.prepare_cached(change)?.execute(named_params! {
            ":seq": seq,
            ":rev": rev,
            ":state": summary.state,
            ":open": summary.open,
            ":mark": summary.mark,
            ":number": summary.out_trade_no,
        })?;
        if changed == 1 {
            return Ok(());
        }
    }
    let what = format!("change {rev} of {} is not the next one", summary.out_trade_no);
    Err(failure(ffi::SQLITE_CONSTRAINT, &what))
}

/// The entries for which `what` holds of one number, in their order.
pub(super) fn raw_entries(
    conn: &Connection,
    what: &str,
    number: i64,
) -> rusqlite::Result<Vec<RawEntry>> {
    let columns = raw_columns(conn)?;
    conn.prepare_cached(&format!("SELECT {columns} FROM entries WHERE {what} ORDER BY seq"))?
        .query_map([number], RawEntry::from_row)?
        .collect()
}

pub(super) fn failure(code: i32, what: &str) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), Some(what.to_owned()))
}

pub(super) fn code_of(error: &Error) -> Option<ErrorCode> {
    error.sqlite_error_code()
}

/// There is no room, on the disk or in what the file may grow to.
pub(super) fn is_full(error: &Error) -> bool {
    // The shared memory file beside the journal has an error of its own.
    code_of(error) == Some(ErrorCode::DiskFull)
        || error.sqlite_error().is_some_and(|e| e.extended_code == ffi::SQLITE_IOERR_SHMSIZE)
}
