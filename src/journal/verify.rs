//! Checking a whole journal, for `tilld verify` and for tests.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::chain::{ChainKey, hex};
use super::check;
use super::files::Files;
use super::head;
use super::keyed::{Keyed, Proof};
use super::open::{self, OpenError};
use super::schema::{self, WITH_KEY, WITH_MARKS};
use super::sqlite::{self, RawEntry, Tip};
use super::{reader, refunds};
use crate::payment::CodeMark;

/// What a sound journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Entries, all of them as they were written.
    pub entries: u64,
    /// Entries before the first of them, which were archived.
    pub archived: u64,
    /// Entries that were proven to be written by a holder of the key.
    pub proven: u64,
    /// Entries that are under a key that is not at hand.
    pub other_key: u64,
    /// Payments.
    pub payments: u64,
    /// Payments that are not final.
    pub open: u64,
    /// The hash of the newest entry, which stands for all of them: written down
    /// elsewhere, it proves later that none was taken away.
    pub head_hash: String,
}

/// What is wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Already the daemon would refuse it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite's own check of its pages and indexes.
    #[error("the journal {file} fails SQLite's check: {what}", file = .file.display())]
    Pages {
        /// The file.
        file: PathBuf,
        /// The first thing that SQLite found.
        what: String,
    },
    /// An entry is not as it was written, or not where it was.
    #[error("the journal {file} is broken at entry {seq}: {what}", file = .file.display())]
    Entry {
        /// The file.
        file: PathBuf,
        /// The first entry that is wrong.
        seq: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The entries are sound, but the list of refunds does not follow from them.
    #[error("in the journal {file}, refunds does not follow from the entries: {what}", file = .file.display())]
    Refunds {
        /// The file.
        file: PathBuf,
        /// The first difference.
        what: String,
    },
    /// The entries are sound, but the list of payments does not follow from
    /// them.
    #[error("in the journal {file}, payments does not follow from the entries: {what}", file = .file.display())]
    Payments {
        /// The file.
        file: PathBuf,
        /// The first difference.
        what: String,
    },
}

/// Reads a whole journal and checks everything that can be checked: SQLite's
/// pages, every entry's hash, and that `payments` follows from the entries.
///
/// It changes nothing, and the daemon may be running meanwhile. It takes time
/// with the number of entries.
///
/// Without the key nothing is said of whoever wrote them: who can write the file
/// can work out every hash anew.
///
/// # Errors
///
/// [`VerifyError`] with the first thing that is wrong.
pub fn verify(path: &Path, key: Option<&ChainKey>) -> Result<Report, VerifyError> {
    let files = open::find(path)?;
    let read =
        |error: rusqlite::Error| OpenError::Read { file: path.to_owned(), source: error.into() };
    let (conn, _) = sqlite::open_reader(&files).map_err(|e| open::cannot_read(&files, e))?;
    // Before the entries: the daemon notes only what they already have.
    let noted = head::read(&files);
    // All of it as it stands at one moment, while the daemon goes on.
    conn.execute_batch("BEGIN").map_err(read)?;
    let walked = check_whole(&files, &conn, key)?;
    if let Some(noted) = noted {
        open::check_head(&files, &conn, &noted)?;
    }
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(read);
    Ok(Report {
        entries: (walked.tip.seq - walked.base).unsigned_abs(),
        archived: walked.base.unsigned_abs(),
        proven: walked.proven,
        other_key: walked.other_key,
        payments: count("SELECT count(*) FROM payments")?.unsigned_abs(),
        open: count("SELECT count(*) FROM payments WHERE open = 1")?.unsigned_abs(),
        head_hash: hex(&walked.tip.hash),
    })
}

/// What was seen of the entries.
#[derive(Debug)]
pub(super) struct Walked {
    /// The number of the entry before the first, which was archived.
    pub(super) base: i64,
    pub(super) tip: Tip,
    pub(super) proven: u64,
    pub(super) other_key: u64,
}

/// All of a journal but its note.
pub(super) fn check_whole(
    files: &Files,
    conn: &Connection,
    key: Option<&ChainKey>,
) -> Result<Walked, VerifyError> {
    let path = files.journal.as_path();
    check_pages(path, conn)?;
    let walked = check_entries(path, conn, key)?;
    check::check(files, conn, key)?;
    check_payments(path, conn)?;
    check_refunds(path, conn)?;
    Ok(walked)
}

fn check_pages(path: &Path, conn: &Connection) -> Result<(), VerifyError> {
    let file = path.to_owned();
    match conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(word) if word == "ok" => Ok(()),
        Ok(what) => Err(VerifyError::Pages { file, what }),
        Err(error) => Err(VerifyError::Pages { file, what: error.to_string() }),
    }
}

pub(super) fn check_entries(
    path: &Path,
    conn: &Connection,
    key: Option<&ChainKey>,
) -> Result<Walked, VerifyError> {
    let broken = |seq: i64, what: String| VerifyError::Entry {
        file: path.to_owned(),
        seq: seq.unsigned_abs(),
        what,
    };
    let base = Tip::base(conn).map_err(|error| broken(0, error.to_string()))?;
    let mut walked = Walked { base: base.seq, tip: base, proven: 0, other_key: 0 };
    let walk = |walked: &mut Walked| -> rusqlite::Result<Result<(), VerifyError>> {
        let keyed = Keyed::read(conn, key)?;
        if let Err(what) = keyed.check_archived(conn)? {
            return Ok(Err(broken(walked.base, what)));
        }
        let columns = sqlite::raw_columns(conn)?;
        let mut statement = conn.prepare(&format!("SELECT {columns} FROM entries ORDER BY seq"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let entry = RawEntry::from_row(row)?;
            let checked = entry
                .check(&walked.tip)
                .and_then(|tip| keyed.check(&entry).map(|proof| (tip, proof)));
            match checked {
                Ok((tip, proof)) => {
                    walked.tip = tip;
                    walked.proven += u64::from(proof == Proof::Proven);
                    walked.other_key += u64::from(proof == Proof::OtherKey);
                }
                Err(what) => return Ok(Err(broken(entry.seq, what))),
            }
        }
        Ok(Ok(()))
    };
    match walk(&mut walked) {
        Ok(done) => done.map(|()| walked),
        Err(error) => Err(broken(walked.tip.seq.saturating_add(1), error.to_string())),
    }
}

pub(super) fn check_payments(path: &Path, conn: &Connection) -> Result<(), VerifyError> {
    let wrong = |what: String| VerifyError::Payments { file: path.to_owned(), what };
    let failed = |error: rusqlite::Error| wrong(error.to_string());
    // The index hands the numbers over in order, so nothing is kept in memory.
    // The daemon is not asked to run first: an older journal is checked as it is.
    let version = schema::version(conn).map_err(failed)?;
    let mark = if version >= WITH_MARKS { "p.mark" } else { "NULL" };
    let (amount, archived) = if version >= WITH_KEY {
        (
            "p.amount_fen",
            "UNION ALL SELECT p.out_trade_no, p.first_seq, p.last_seq
             FROM payments AS p WHERE p.last_seq <= (SELECT seq FROM base)",
        )
    } else {
        ("NULL", "")
    };
    let sql = format!(
        "SELECT e.number, e.first, e.last, p.first_seq, p.last_seq, p.rev, p.open, p.state,
                p.sale, p.created_at_ms, {mark}, {amount}
         FROM (SELECT out_trade_no AS number, min(seq) AS first, max(seq) AS last
               FROM entries WHERE out_trade_no IS NOT NULL AND kind = 'payment'
               GROUP BY out_trade_no {archived}) AS e
         LEFT JOIN payments AS p ON p.out_trade_no = e.number"
    );
    let mut statement = conn.prepare(&sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut numbers: i64 = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        numbers = numbers.saturating_add(1);
        let number: String = row.get(0).map_err(failed)?;
        let (first, last): (i64, i64) = (row.get(1).map_err(failed)?, row.get(2).map_err(failed)?);
        let payment = reader::payment_at(conn, first, last).map_err(|e| wrong(e.to_string()))?;
        let amount = i64::try_from(payment.order().amount.fen()).ok();
        let should = (
            (Some(first), Some(last), i64::try_from(payment.rev()).ok()),
            (Some(!payment.is_final()), Some(payment.public().name().to_owned())),
            (payment.order().sale.clone(), Some(payment.created_at().millis())),
            (payment.mark().map(CodeMark::hex), amount.filter(|_| version >= WITH_KEY)),
        );
        let stands = (|| {
            Ok((
                (row.get(3)?, row.get(4)?, row.get(5)?),
                (row.get(6)?, row.get(7)?),
                (row.get(8)?, row.get(9)?),
                (row.get(10)?, row.get(11)?),
            ))
        })()
        .map_err(failed)?;
        if should != stands || payment.order().out_trade_no.as_str() != number {
            return Err(wrong(format!("payment {number}")));
        }
    }
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed);
    let listed = count("SELECT count(*) FROM payments")?;
    if listed != numbers {
        return Err(wrong(format!("it lists {listed} payments, the entries tell of {numbers}")));
    }
    // An archive does not have the payments of the one before it, of which one
    // may be of a later time.
    let off = if Tip::base(conn).map_err(failed)?.seq > 0 { "<" } else { "IS NOT" };
    let off_the_clock = count(&format!(
        "SELECT count(*) FROM (SELECT clock_ms {off} max(created_at_ms) OVER (ORDER BY first_seq)
                                      AS off FROM payments) WHERE off"
    ))?;
    if off_the_clock > 0 {
        return Err(wrong("the times of payments are not in their order".to_owned()));
    }
    Ok(())
}

/// The same for `refunds`, and that no payment has given back more than it has.
pub(super) fn check_refunds(path: &Path, conn: &Connection) -> Result<(), VerifyError> {
    let wrong = |what: String| VerifyError::Refunds { file: path.to_owned(), what };
    let failed = |error: rusqlite::Error| wrong(error.to_string());
    if schema::version(conn).map_err(failed)? < WITH_KEY {
        return Ok(());
    }
    let mut statement = conn
        .prepare(
            "SELECT e.number, e.request, e.first, e.last, r.first_seq, r.last_seq, r.rev, r.open,
                    r.state, r.cause, r.amount_fen
             FROM (SELECT out_trade_no AS number, body ->> '$.request' AS request,
                          min(seq) AS first, max(seq) AS last
                   FROM entries WHERE out_trade_no IS NOT NULL AND kind = 'refund'
                   GROUP BY number, request
                   UNION ALL SELECT out_trade_no, out_request_no, first_seq, last_seq
                   FROM refunds WHERE last_seq <= (SELECT seq FROM base)) AS e
             LEFT JOIN refunds AS r
               ON r.out_trade_no = e.number AND r.out_request_no = e.request",
        )
        .map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut told: i64 = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        told = told.saturating_add(1);
        let (number, request): (String, String) =
            (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
        let (first, last): (i64, i64) = (row.get(2).map_err(failed)?, row.get(3).map_err(failed)?);
        let refund = refunds::payment_of(conn, &number, last)
            .and_then(|payment| refunds::refund_at(conn, payment, first, last))
            .map_err(|error| wrong(error.to_string()))?;
        let should = (
            (Some(first), Some(last), i64::try_from(refund.rev()).ok()),
            (Some(!refund.is_final()), Some(refund.public().name().to_owned())),
            (
                Some(refund.asked().cause.name().to_owned()),
                i64::try_from(refund.asked().amount.fen()).ok(),
            ),
        );
        let stands = (|| {
            Ok((
                (row.get(4)?, row.get(5)?, row.get(6)?),
                (row.get(7)?, row.get(8)?),
                (row.get(9)?, row.get(10)?),
            ))
        })()
        .map_err(failed)?;
        if should != stands || refund.asked().request.as_str() != request {
            return Err(wrong(format!("refund {request} of payment {number}")));
        }
    }
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed);
    let listed = count("SELECT count(*) FROM refunds")?;
    if listed != told {
        return Err(wrong(format!("it lists {listed} refunds, the entries tell of {told}")));
    }
    let too_much = count(
        "SELECT count(*) FROM payments AS p
         WHERE amount_fen < (SELECT sum(amount_fen) FROM refunds AS r
                             WHERE r.out_trade_no = p.out_trade_no AND r.state <> 'refused')",
    )?;
    if too_much > 0 {
        return Err(wrong(format!("{too_much} payments gave back more than they have")));
    }
    Ok(())
}
