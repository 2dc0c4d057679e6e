//! Reading the journal, on a connection that cannot write.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode, OptionalExtension, named_params};

use super::files::Files;
use super::refunds;
use super::rows::{self, Origin, Read};
use super::sqlite::{self, Tip};
use crate::payment::{CodeMark, Entry, OutTradeNo, Payment, Public, Recorded, Refunded, Timestamp};

/// Why the journal could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// SQLite or the disk.
    #[error("could not read the journal")]
    Sqlite(#[from] rusqlite::Error),
    /// Another file stands in the journal's place.
    #[error("the journal was replaced by another file, or is gone")]
    Replaced,
    /// [`Reader::end`] was called.
    #[error("the journal is closed")]
    Ended,
    /// An entry that should be there is missing or makes no sense. It is never
    /// skipped: the terminal must not guess about money.
    #[error("entry {seq} of the journal cannot be read: {what}")]
    Damaged {
        /// Which entry.
        seq: u64,
        /// Why not.
        what: String,
    },
}

/// Which payments a list is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that are not final.
    Open,
    /// Those in one state.
    State(Public),
}

/// What a list shows, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// All, unless named.
    pub which: Option<Which>,
    /// Only attempts at this sale.
    pub sale: Option<String>,
    /// Only payments asked for at this time or later (wall clock).
    pub since: Option<Timestamp>,
    /// At most so many; the API allows 1 to 500.
    pub limit: u32,
    /// Only payments before this one: [`Page::next`] of the page before.
    pub before: Option<u64>,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Newest first, each with what went back of it.
    pub payments: Vec<(Payment, Refunded)>,
    /// Where the next page begins, if there is one.
    pub next: Option<u64>,
}

/// The newest entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 when there has never been one.
    pub seq: u64,
    /// When it was written, as whoever appended it said; `None` when there is
    /// none.
    pub at: Option<Timestamp>,
}

/// Reads the journal. Clones share one connection, and each call sees everything
/// that was durable before it.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
    whose: Whose,
}

/// Whose connection it is. Who reads a long list holds up those who share the
/// connection; a payment waits for none of them.
#[derive(Clone, Copy)]
enum Whose {
    Everybodys,
    TheLoops,
}

struct Shared {
    files: Files,
    /// The file that is the journal, whatever stands under its name.
    file: (u64, u64),
    everybodys: Mutex<Option<ReadOnly>>,
    the_loops: Mutex<Option<ReadOnly>>,
    ended: AtomicBool,
}

struct ReadOnly {
    conn: Connection,
    /// Opened as a file that nobody can change, on a read-only disk.
    immutable: bool,
}

/// Nobody reads, and nobody begins to, while this is there.
pub(super) struct Held<'a> {
    _connections: [MutexGuard<'a, Option<ReadOnly>>; 2],
}

/// The first and last entries of the open payments, oldest first.
pub(super) const OPEN_SEQS: &str =
    "SELECT first_seq, last_seq FROM payments WHERE open = 1 ORDER BY first_seq";

/// The first and last entries of the payment with a number.
pub(super) const OF_NUMBER: &str =
    "SELECT first_seq, last_seq FROM payments WHERE out_trade_no = ?1";

/// The first and last entries of the payment that last took a code.
pub(super) const OF_CODE: &str =
    "SELECT first_seq, last_seq FROM payments WHERE mark = ?1 ORDER BY last_seq DESC LIMIT 1";

/// The first and last entries of the attempt at a sale that is open or paid.
pub(super) const OF_SALE: &str = "SELECT first_seq, last_seq FROM payments
     WHERE sale = ?1 AND (open = 1 OR state = 'paid')";

/// Those of the latest attempt at a sale, when none is open or paid.
pub(super) const LATEST_OF_SALE: &str = "SELECT first_seq, last_seq FROM payments
     WHERE sale = ?1 AND open = 0 AND state <> 'paid' ORDER BY first_seq DESC LIMIT 1";

/// Every attempt at a sale: there are few.
pub(super) const ALL_OF_SALE: &str =
    "SELECT first_seq, last_seq, state, open, created_at_ms FROM payments
     WHERE sale = ?1 AND (open = 1 OR state = 'paid')
     UNION ALL
     SELECT first_seq, last_seq, state, open, created_at_ms FROM payments
     WHERE sale = ?1 AND open = 0 AND state <> 'paid'";

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("journal", &self.shared.files.journal)
            .finish_non_exhaustive()
    }
}

impl Reader {
    pub(super) fn new(files: Files, conn: Connection, immutable: bool) -> io::Result<Self> {
        let shared = Shared {
            file: identity(&files)?,
            files,
            everybodys: Mutex::new(Some(ReadOnly { conn, immutable })),
            the_loops: Mutex::new(None),
            ended: AtomicBool::new(false),
        };
        Ok(Self { shared: Arc::new(shared), whose: Whose::Everybodys })
    }

    /// The same journal over a connection of its own, for the loop: its look-ups
    /// wait for nobody who reads a long list.
    #[must_use]
    pub fn for_the_loop(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), whose: Whose::TheLoops }
    }

    /// The payment with this number.
    ///
    /// # Errors
    ///
    /// [`ReadError`]
    pub fn payment(&self, number: &OutTradeNo) -> Result<Option<Payment>, ReadError> {
        self.read(|conn| one_payment(conn, OF_NUMBER, number.as_str()))
    }

    /// The attempt at a sale that counts: the one that is open or paid, of which
    /// there is at most one; else the latest.
    ///
    /// # Errors
    ///
    /// [`ReadError`]
    pub fn attempt_for_sale(&self, sale: &str) -> Result<Option<Payment>, ReadError> {
        self.read(|conn| match one_payment(conn, OF_SALE, sale)? {
            Some(payment) => Ok(Some(payment)),
            None => one_payment(conn, LATEST_OF_SALE, sale),
        })
    }

    /// The payment that last took the code with this mark, however it ended.
    ///
    /// # Errors
    ///
    /// [`ReadError`]
    pub fn payment_of_code(&self, mark: CodeMark) -> Result<Option<Payment>, ReadError> {
        self.read(|conn| one_payment(conn, OF_CODE, &mark.hex()))
    }

    /// All payments that are not final, oldest first. Takes as long with a
    /// million finished ones as with none.
    ///
    /// # Errors
    ///
    /// [`ReadError`]
    pub fn open_payments(&self) -> Result<Vec<Payment>, ReadError> {
        self.read(|conn| {
            let seqs: Vec<(i64, i64)> = conn
                .prepare_cached(OPEN_SEQS)?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            seqs.into_iter().map(|(first, last)| payment_at(conn, first, last)).collect()
        })
    }

    /// Payments, newest first.
    ///
    /// # Errors
    ///
    /// [`ReadError`]
    pub fn list(&self, filter: &Filter) -> Result<Page, ReadError> {
        self.read(|conn| list(conn, filter))
    }

    /// What was written about one payment after entry `seq`, oldest first, at most
    /// `limit` entries.
    ///
    /// # Errors
    ///
    /// [`ReadError`]
    pub fn steps_after(
        &self,
        number: &OutTradeNo,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<Recorded>, ReadError> {
        self.read(|conn| {
            let sql = "SELECT seq, at_ms, kind, out_trade_no, body FROM entries
                       WHERE out_trade_no = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
            let seq = i64::try_from(seq).unwrap_or(i64::MAX);
            recorded(conn, conn.prepare_cached(sql)?.query((number.as_str(), seq, limit))?)
        })
    }

    /// The entries after number `seq`, oldest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`ReadError`]
    pub fn after(&self, seq: u64, limit: u32) -> Result<Vec<Recorded>, ReadError> {
        self.read(|conn| {
            let sql = "SELECT seq, at_ms, kind, out_trade_no, body FROM entries
                       WHERE seq > ?1 ORDER BY seq LIMIT ?2";
            let seq = i64::try_from(seq).unwrap_or(i64::MAX);
            recorded(conn, conn.prepare_cached(sql)?.query((seq, limit))?)
        })
    }

    /// The newest entry.
    ///
    /// # Errors
    ///
    /// [`ReadError`]
    pub fn head(&self) -> Result<Head, ReadError> {
        self.read(|conn| {
            let sql = "SELECT seq, at_ms FROM entries ORDER BY seq DESC LIMIT 1";
            let head: Option<(i64, i64)> = conn
                .prepare_cached(sql)?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            Ok(match head {
                Some((seq, at)) => Head { seq: seq.unsigned_abs(), at: Some(Timestamp(at)) },
                // All of it may be archived.
                None => Head { seq: Tip::base(conn)?.seq.unsigned_abs(), at: None },
            })
        })
    }

    pub(super) fn read<T>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let mut slot = self.lock();
        if self.shared.ended.load(Ordering::Relaxed) {
            return Err(ReadError::Ended);
        }
        // As soon as the disk is no longer read-only, the file may change again.
        let reopen = slot.as_ref().is_none_or(|read_only| read_only.immutable);
        if reopen {
            if identity(&self.shared.files).is_ok_and(|file| file != self.shared.file) {
                return Err(ReadError::Replaced);
            }
            let (conn, immutable) = sqlite::open_reader(&self.shared.files)?;
            *slot = Some(ReadOnly { conn, immutable });
        }
        let Some(read_only) = slot.as_ref() else {
            return Err(rusqlite::Error::InvalidQuery.into());
        };
        let answer = question(&read_only.conn);
        if let Err(ReadError::Sqlite(error)) = &answer {
            let code = sqlite::code_of(error);
            if matches!(code, Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen)) {
                *slot = None;
            }
        }
        answer
    }

    fn lock(&self) -> MutexGuard<'_, Option<ReadOnly>> {
        lock(match self.whose {
            Whose::Everybodys => &self.shared.everybodys,
            Whose::TheLoops => &self.shared.the_loops,
        })
    }

    /// Answers no further question. While a connection is open, the writer
    /// cannot tidy up behind itself when it ends.
    pub fn end(&self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.close();
    }

    /// Closes the connections; the next question opens another.
    pub(super) fn close(&self) {
        drop(self.hold());
    }

    /// Closes the connections, and lets nobody open another for now.
    pub(super) fn hold(&self) -> Held<'_> {
        let mut connections = [lock(&self.shared.everybodys), lock(&self.shared.the_loops)];
        connections.iter_mut().for_each(|slot| **slot = None);
        Held { _connections: connections }
    }

    #[cfg(test)]
    pub(super) fn with_connection<T>(&self, look: impl FnOnce(&Connection) -> T) -> T {
        look(&self.lock().as_ref().expect("open").conn)
    }
}

fn lock(slot: &Mutex<Option<ReadOnly>>) -> MutexGuard<'_, Option<ReadOnly>> {
    // Nothing that is read can be left half done by a panic elsewhere.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which file stands under the journal's name.
fn identity(files: &Files) -> io::Result<(u64, u64)> {
    let data = std::fs::metadata(&files.journal)?;
    Ok((data.dev(), data.ino()))
}

fn list(conn: &Connection, filter: &Filter) -> Result<Page, ReadError> {
    let state = match filter.which {
        Some(Which::State(state)) => Some(state.name()),
        Some(Which::Open) | None => None,
    };
    let (since, since_seq) = match filter.since {
        Some(since) => (since.millis(), first_since(conn, since)?),
        None => (i64::MIN, Some(0)),
    };
    let Some(since_seq) = since_seq else {
        return Ok(Page { payments: Vec::new(), next: None });
    };
    let before = filter.before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let mut found: Vec<(i64, i64)> = match &filter.sale {
        Some(sale) => list_of_sale(conn, filter, sale, before)?,
        None => conn
            .prepare_cached(list_sql(filter.which))?
            .query_map(
                named_params! {
                    ":state": state, ":from": since_seq, ":before": before, ":since": since,
                    // One more, to know whether there is a next page.
                    ":limit": i64::from(filter.limit) + 1,
                },
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?
            .collect::<Result<_, _>>()?,
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|(first, _)| first.unsigned_abs());
    let payments = found
        .into_iter()
        .map(|(first, last)| {
            let payment = payment_at(conn, first, last)?;
            let refunded = refunds::refunded(conn, &payment.order().out_trade_no)?;
            Ok((payment, refunded))
        })
        .collect::<Result<_, ReadError>>()?;
    Ok(Page { payments, next: last.filter(|_| more) })
}

/// The attempts at a sale, newest first.
fn list_of_sale(
    conn: &Connection,
    filter: &Filter,
    sale: &str,
    before: i64,
) -> rusqlite::Result<Vec<(i64, i64)>> {
    let since = filter.since.map_or(i64::MIN, Timestamp::millis);
    let mut found = Vec::new();
    let mut statement = conn.prepare_cached(ALL_OF_SALE)?;
    let mut rows = statement.query([sale])?;
    while let Some(row) = rows.next()? {
        let (first, last, state): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (open, created_at): (bool, i64) = (row.get(3)?, row.get(4)?);
        let wanted = match filter.which {
            None => true,
            Some(Which::Open) => open,
            Some(Which::State(wanted)) => state == wanted.name(),
        };
        if wanted && first < before && created_at >= since {
            found.push((first, last));
        }
    }
    found.sort_unstable_by_key(|(first, _)| std::cmp::Reverse(*first));
    Ok(found)
}

/// The lists, each in the order of an index. (`:state IS NULL` keeps the
/// parameters of all of them the same.)
pub(super) fn list_sql(which: Option<Which>) -> &'static str {
    match which {
        None => {
            "SELECT first_seq, last_seq FROM payments
             WHERE first_seq >= :from AND first_seq < :before AND created_at_ms >= :since
               AND :state IS NULL
             ORDER BY first_seq DESC LIMIT :limit"
        }
        Some(Which::Open) => {
            "SELECT first_seq, last_seq FROM payments
             WHERE open = 1
               AND first_seq >= :from AND first_seq < :before AND created_at_ms >= :since
               AND :state IS NULL
             ORDER BY first_seq DESC LIMIT :limit"
        }
        // Nearly all are paid: those that are not are passed over.
        Some(Which::State(Public::Paid)) => {
            "SELECT first_seq, last_seq FROM payments
             WHERE state = :state
               AND first_seq >= :from AND first_seq < :before AND created_at_ms >= :since
             ORDER BY first_seq DESC LIMIT :limit"
        }
        Some(Which::State(state)) if state.is_final() => {
            "SELECT first_seq, last_seq FROM payments
             WHERE open = 0 AND state <> 'paid' AND state = :state
               AND first_seq >= :from AND first_seq < :before AND created_at_ms >= :since
             ORDER BY first_seq DESC LIMIT :limit"
        }
        Some(Which::State(_)) => {
            "SELECT first_seq, last_seq FROM payments
             WHERE open = 1 AND state = :state
               AND first_seq >= :from AND first_seq < :before AND created_at_ms >= :since
             ORDER BY first_seq DESC LIMIT :limit"
        }
    }
}

/// The first payment that can be of this time or later: `clock_ms` never falls,
/// so all before it are earlier, however the wall clock was set. Found by
/// halving.
fn first_since(conn: &Connection, since: Timestamp) -> rusqlite::Result<Option<i64>> {
    let mut after = conn.prepare_cached(
        "SELECT first_seq, clock_ms FROM payments WHERE first_seq >= ?1 ORDER BY first_seq LIMIT 1",
    )?;
    let (mut low, mut high): (i64, i64) = conn.query_row(
        "SELECT coalesce((SELECT min(first_seq) FROM payments), 1),
                coalesce((SELECT max(first_seq) FROM payments), 0)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let mut found = None;
    while low <= high {
        let middle = low.midpoint(high);
        let (seq, clock): (i64, i64) =
            after.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if clock >= since.millis() {
            (found, high) = (Some(seq), middle.saturating_sub(1));
        } else {
            low = seq.saturating_add(1);
        }
    }
    Ok(found)
}

pub(super) fn one_payment(
    conn: &Connection,
    sql: &str,
    key: &str,
) -> Result<Option<Payment>, ReadError> {
    let seqs: Option<(i64, i64)> = conn
        .prepare_cached(sql)?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    seqs.map(|(first, last)| payment_at(conn, first, last)).transpose()
}

/// The payment whose first and last entries are these.
pub(super) fn payment_at(conn: &Connection, first: i64, last: i64) -> Result<Payment, ReadError> {
    let entry = match body_at(conn, last)? {
        Some(entry) => entry,
        None if last <= Tip::base(conn)?.seq => kept(conn, first)?,
        None => return Err(damaged(last)("it is missing")),
    };
    let origin = match entry.origin {
        Some(origin) => origin,
        None => origin_at(conn, first)?,
    };
    let (payment, _) = entry.changing.into_payment(&origin).map_err(damaged(last))?;
    Ok(payment)
}

struct PaymentBody {
    changing: Box<rows::PaymentRow>,
    origin: Option<Origin>,
}

fn body_at(conn: &Connection, seq: i64) -> Result<Option<PaymentBody>, ReadError> {
    let found: Option<(String, Option<String>, String)> = conn
        .prepare_cached("SELECT kind, out_trade_no, body FROM entries WHERE seq = ?1")?
        .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    found.map(|(kind, number, body)| read_body(seq, &kind, number.as_deref(), &body)).transpose()
}

fn read_body(
    seq: i64,
    kind: &str,
    number: Option<&str>,
    body: &str,
) -> Result<PaymentBody, ReadError> {
    match rows::read(kind, number, body).map_err(damaged(seq))? {
        Read::Payment { changing, origin } => Ok(PaymentBody { changing, origin }),
        Read::Refund(_) | Read::Other(_) => Err(damaged(seq)("it is not about a payment")),
    }
}

/// The last word on a payment whose entries were archived, with what was asked
/// for.
fn kept(conn: &Connection, first: i64) -> Result<PaymentBody, ReadError> {
    let found: Option<(String, String)> = conn
        .prepare_cached(
            "SELECT p.out_trade_no, k.body FROM kept k JOIN payments p USING(first_seq)
             WHERE k.first_seq = ?1",
        )?
        .query_row([first], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (number, body) = found.ok_or_else(|| damaged(first)("it was archived and not kept"))?;
    read_body(first, rows::PAYMENT, Some(&number), &body)
}

fn origin_at(conn: &Connection, seq: i64) -> Result<Origin, ReadError> {
    body_at(conn, seq)?
        .ok_or_else(|| damaged(seq)("it is missing"))?
        .origin
        .ok_or_else(|| damaged(seq)("it does not say what was asked for"))
}

/// Entries with all they say; the orders of their payments are looked up, once
/// each.
fn recorded(conn: &Connection, mut rows: rusqlite::Rows<'_>) -> Result<Vec<Recorded>, ReadError> {
    let mut origins: HashMap<String, Origin> = HashMap::new();
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (kind, number, body): (String, Option<String>, String) =
            (row.get(2)?, row.get(3)?, row.get(4)?);
        let entry = match rows::read(&kind, number.as_deref(), &body).map_err(damaged(seq))? {
            Read::Other(entry) => *entry,
            Read::Refund(row) => {
                let number = number.unwrap_or_default();
                let (refund, step) = refunds::recorded(conn, &number, seq, *row)?;
                Entry::Refund { refund, step }
            }
            Read::Payment { changing, origin } => {
                let number = number.unwrap_or_default();
                let origin = match (origin, origins.get(&number)) {
                    (Some(origin), _) => origin,
                    (None, Some(origin)) => origin.clone(),
                    (None, None) => origin_of(conn, &number)?,
                };
                let (payment, step) = changing.into_payment(&origin).map_err(damaged(seq))?;
                origins.insert(number, origin);
                Entry::Payment { payment, step }
            }
        };
        all.push(Recorded { seq: seq.unsigned_abs(), at: Timestamp(at), entry });
    }
    Ok(all)
}

fn origin_of(conn: &Connection, number: &str) -> Result<Origin, ReadError> {
    let first: Option<i64> = conn
        .prepare_cached(
            "SELECT min(seq) FROM entries WHERE out_trade_no = ?1 AND kind = 'payment'",
        )?
        .query_row([number], |row| row.get(0))?;
    origin_at(conn, first.unwrap_or_default())
}

pub(super) fn damaged<E: ToString>(seq: i64) -> impl FnOnce(E) -> ReadError {
    move |what| ReadError::Damaged { seq: seq.unsigned_abs(), what: what.to_string() }
}
