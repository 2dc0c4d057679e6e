//! Is a journal sound? What a start relies on, which takes as long with a million
//! finished payments as with none.

use rusqlite::{Connection, OptionalExtension};

use super::chain::ChainKey;
use super::files::Files;
use super::keyed::Keyed;
use super::open::{OpenError, cannot_read};
use super::schema::{self, APPLICATION_ID, VERSION, WITH_KEY};
use super::sqlite::{self, RawEntry, Tip};
use super::{reader, refunds, rows};

/// So many of the newest entries are checked at every start: what a power cut or
/// a torn write could have touched.
const TAIL: i64 = 200;

/// The last entry of the payment that an entry is about, as its row says.
const PAYMENT_OF_ENTRY: &str = "SELECT p.last_seq
     FROM entries AS e JOIN payments AS p ON p.out_trade_no = e.out_trade_no WHERE e.seq = ?1";

/// The same of a refund; its payment may have others.
const REFUND_OF_ENTRY: &str = "SELECT r.last_seq
     FROM entries AS e JOIN refunds AS r
       ON r.out_trade_no = e.out_trade_no AND r.out_request_no = e.body ->> '$.request'
     WHERE e.seq = ?1";

/// Checks what a start relies on, and returns the journal's version.
pub(super) fn check(
    files: &Files,
    conn: &Connection,
    key: Option<&ChainKey>,
) -> Result<i32, OpenError> {
    let damaged = |what: String| OpenError::Damaged { file: files.journal.clone(), what };
    let sqlite = |error| cannot_read(files, error);
    let application: i32 =
        conn.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(sqlite)?;
    if application != APPLICATION_ID {
        let what = "it is the SQLite database of another program".to_owned();
        return Err(OpenError::NotAJournal { file: files.journal.clone(), what });
    }
    let version = schema::version(conn).map_err(sqlite)?;
    if version > VERSION {
        let file = files.journal.clone();
        return Err(OpenError::Newer { file, found: version, known: VERSION });
    }
    if version < 1 {
        return Err(damaged("it has no version".to_owned()));
    }
    if let Some(what) = schema::difference(conn, version).map_err(sqlite)? {
        return Err(damaged(what));
    }
    let keyed = Keyed::read(conn, key).map_err(sqlite)?;
    check_tail(files, conn, &keyed)?;
    check_open_payments(files, conn, &keyed)?;
    Ok(version)
}

fn check_tail(files: &Files, conn: &Connection, keyed: &Keyed<'_>) -> Result<(), OpenError> {
    let damaged = |what: String| OpenError::Damaged { file: files.journal.clone(), what };
    let sqlite = |error| cannot_read(files, error);
    let tip = Tip::read(conn).map_err(sqlite)?;
    let mut before = Tip::base(conn).map_err(sqlite)?;
    let from = tip.seq.saturating_sub(TAIL).max(before.seq);
    if from > before.seq {
        before = entry(files, conn, from)?.check_alone().map_err(damaged)?;
    }
    let tail = sqlite::raw_entries(conn, "seq > ?1", from).map_err(sqlite)?;
    for entry in tail {
        before = entry.check(&before).map_err(damaged)?;
        keyed.check(&entry).map_err(damaged)?;
        understand(files, &entry)?;
        let (table, last) = if entry.is_of_payment() {
            ("payments", PAYMENT_OF_ENTRY)
        } else if entry.is_of_refund() {
            ("refunds", REFUND_OF_ENTRY)
        } else {
            continue;
        };
        let last: Option<i64> = conn
            .prepare_cached(last)
            .and_then(|mut one| one.query_row([entry.seq], |row| row.get(0)).optional())
            .map_err(sqlite)?;
        if last.is_none_or(|last| last < entry.seq) {
            return Err(damaged(format!("{table} does not know of entry {}", entry.seq)));
        }
    }
    Ok(())
}

fn check_open_payments(
    files: &Files,
    conn: &Connection,
    keyed: &Keyed<'_>,
) -> Result<(), OpenError> {
    let damaged = |what: String| OpenError::Damaged { file: files.journal.clone(), what };
    let sqlite = |error| cannot_read(files, error);
    let check_ends = |first: i64, last: i64| {
        [first, last].into_iter().try_for_each(|seq| {
            let entry = entry(files, conn, seq)?;
            entry.check_alone().map_err(damaged)?;
            keyed.check(&entry).map_err(damaged)?;
            understand(files, &entry)
        })
    };
    let open: Vec<(i64, i64)> = conn
        .prepare_cached(reader::OPEN_SEQS)
        .and_then(|mut statement| {
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .map_err(sqlite)?;
    for (first, last) in open {
        check_ends(first, last)?;
        match reader::payment_at(conn, first, last) {
            Ok(payment) if !payment.is_final() => {}
            Ok(_) => return Err(damaged(format!("payments takes entry {last} for an open one"))),
            Err(error) => return Err(damaged(error.to_string())),
        }
    }
    if schema::version(conn).map_err(sqlite)? < WITH_KEY {
        return Ok(());
    }
    let open: Vec<(String, i64, i64)> = conn
        .prepare_cached(refunds::OPEN_REFUNDS)
        .and_then(|mut statement| {
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        })
        .map_err(sqlite)?;
    for (number, first, last) in open {
        check_ends(first, last)?;
        let refund = refunds::payment_of(conn, &number, last)
            .and_then(|payment| refunds::refund_at(conn, payment, first, last));
        match refund {
            Ok(refund) if !refund.is_final() => {}
            Ok(_) => return Err(damaged(format!("refunds takes entry {last} for an open one"))),
            Err(error) => return Err(damaged(error.to_string())),
        }
    }
    Ok(())
}

fn entry(files: &Files, conn: &Connection, seq: i64) -> Result<RawEntry, OpenError> {
    let found =
        sqlite::raw_entries(conn, "seq = ?1", seq).map_err(|error| cannot_read(files, error))?;
    found.into_iter().next().ok_or_else(|| OpenError::Damaged {
        file: files.journal.clone(),
        what: format!("entry {seq} is missing"),
    })
}

fn understand(files: &Files, entry: &RawEntry) -> Result<(), OpenError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let number = entry.out_trade_no.as_deref().map(text);
    rows::read(&text(&entry.kind), number.as_deref(), &text(&entry.body)).map(|_| ()).map_err(
        |error| OpenError::Unreadable {
            file: files.journal.clone(),
            seq: entry.seq.unsigned_abs(),
            what: error.to_string(),
        },
    )
}
