//! Checking a whole journal, for `tilld verify` and for tests.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::chain::hex;
use super::files::Files;
use super::head;
use super::open::{self, OpenError};
use super::reader;
use super::rows::mark_of;
use super::schema::{self, WITH_MARKS};
use super::sqlite::{self, RAW_COLUMNS, RawEntry, Tip};
use crate::payment::CodeMark;

/// What a sound journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Entries, all of them as they were written.
    pub entries: u64,
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
/// # Errors
///
/// [`VerifyError`] with the first thing that is wrong.
pub fn verify(path: &Path) -> Result<Report, VerifyError> {
    let files = open::find(path)?;
    let read =
        |error: rusqlite::Error| OpenError::Read { file: path.to_owned(), source: error.into() };
    let (conn, _) = sqlite::open_reader(&files).map_err(|e| open::cannot_read(&files, e))?;
    // Before the entries: the daemon notes only what they already have.
    let noted = head::read(&files);
    // All of it as it stands at one moment, while the daemon goes on.
    conn.execute_batch("BEGIN").map_err(read)?;
    let tip = check_whole(&files, &conn)?;
    if let Some(noted) = noted {
        open::check_head(&files, &conn, &noted)?;
    }
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(read);
    Ok(Report {
        entries: tip.seq.unsigned_abs(),
        payments: count("SELECT count(*) FROM payments")?.unsigned_abs(),
        open: count("SELECT count(*) FROM payments WHERE open = 1")?.unsigned_abs(),
        head_hash: hex(&tip.hash),
    })
}

/// All of a journal but its note; the newest entry.
pub(super) fn check_whole(files: &Files, conn: &Connection) -> Result<Tip, VerifyError> {
    let path = files.journal.as_path();
    check_pages(path, conn)?;
    let tip = check_entries(path, conn)?;
    open::check(files, conn)?;
    check_payments(path, conn)?;
    Ok(tip)
}

fn check_pages(path: &Path, conn: &Connection) -> Result<(), VerifyError> {
    let file = path.to_owned();
    match conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(word) if word == "ok" => Ok(()),
        Ok(what) => Err(VerifyError::Pages { file, what }),
        Err(error) => Err(VerifyError::Pages { file, what: error.to_string() }),
    }
}

pub(super) fn check_entries(path: &Path, conn: &Connection) -> Result<Tip, VerifyError> {
    let broken = |seq: i64, what: String| VerifyError::Entry {
        file: path.to_owned(),
        seq: seq.unsigned_abs(),
        what,
    };
    let mut before = Tip::NONE;
    let walk = |before: &mut Tip| -> rusqlite::Result<Result<(), VerifyError>> {
        let mut statement =
            conn.prepare(&format!("SELECT {RAW_COLUMNS} FROM entries ORDER BY seq"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let entry = RawEntry::from_row(row)?;
            match entry.check(before) {
                Ok(tip) => *before = tip,
                Err(what) => return Ok(Err(broken(entry.seq, what))),
            }
        }
        Ok(Ok(()))
    };
    match walk(&mut before) {
        Ok(walked) => walked.map(|()| before),
        Err(error) => Err(broken(before.seq.saturating_add(1), error.to_string())),
    }
}

pub(super) fn check_payments(path: &Path, conn: &Connection) -> Result<(), VerifyError> {
    let wrong = |what: String| VerifyError::Payments { file: path.to_owned(), what };
    let failed = |error: rusqlite::Error| wrong(error.to_string());
    // The index hands the numbers over in order, so nothing is kept in memory.
    // The daemon is not asked to run first: an older journal is checked as it is.
    let has_marks = schema::version(conn).map_err(failed)? >= WITH_MARKS;
    let mark = if has_marks { "p.mark" } else { "NULL" };
    let mut statement = conn
        .prepare(&format!(
            "SELECT e.number, e.first, e.last, p.first_seq, p.last_seq, p.open, p.state, p.sale,
                    {mark}
             FROM (SELECT out_trade_no AS number, min(seq) AS first, max(seq) AS last
                   FROM entries WHERE out_trade_no IS NOT NULL GROUP BY out_trade_no) AS e
             LEFT JOIN payments AS p ON p.out_trade_no = e.number"
        ))
        .map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut numbers: i64 = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        numbers = numbers.saturating_add(1);
        let number: String = row.get(0).map_err(failed)?;
        let (first, last): (i64, i64) = (row.get(1).map_err(failed)?, row.get(2).map_err(failed)?);
        let payment = reader::payment_at(conn, first, last).map_err(|e| wrong(e.to_string()))?;
        let should = (
            Some(first),
            Some(last),
            Some(!payment.is_final()),
            Some(payment.public().name().to_owned()),
            payment.order.sale.clone(),
            mark_of(&payment).map(CodeMark::hex),
        );
        let stands = (|| {
            Ok((row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?))
        })()
        .map_err(failed)?;
        if should != stands {
            return Err(wrong(format!("payment {number}")));
        }
    }
    let listed: i64 =
        conn.query_row("SELECT count(*) FROM payments", [], |row| row.get(0)).map_err(failed)?;
    if listed == numbers {
        Ok(())
    } else {
        Err(wrong(format!("it lists {listed} payments, the entries tell of {numbers}")))
    }
}
