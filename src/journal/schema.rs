//! The tables of the journal, version by version.

use rusqlite::Connection;

/// "till" in ASCII, in the header of every journal.
pub(super) const APPLICATION_ID: i32 = 0x7469_6c6c;

/// What each version adds to the one before. Released steps are frozen; a change
/// is a further step.
const LADDER: &[&str] = &[VERSION_1, VERSION_2, VERSION_3];

/// The version that this program writes.
pub(super) const VERSION: i32 = 3;

/// From this version on `payments` has the marks of payment codes.
pub(super) const WITH_MARKS: i32 = 2;

/// From this version on entries are under a key, `payments` has amounts, and a
/// journal may begin after an archive.
pub(super) const WITH_KEY: i32 = 3;

/// `entries` has no UNIQUE besides its key: a REPLACE that collides there would
/// delete a row without asking any trigger. `entries_next` runs before a REPLACE
/// could, and lets nothing through but the next number tied to the last hash.
///
/// `payments` can be rebuilt from `entries`. Its two guards are the second line
/// of defence for what the core decides: nothing final ever changes, and at most
/// one attempt of a sale is open or paid. `clock_ms` is the largest
/// `created_at_ms` so far, so that it never falls as `first_seq` grows, and a
/// list that begins at some time can begin at some row.
const VERSION_1: &str = "
CREATE TABLE entries(
  seq          INTEGER PRIMARY KEY,
  at_ms        INTEGER NOT NULL,
  kind         TEXT NOT NULL,
  out_trade_no TEXT,
  body         TEXT NOT NULL CHECK(json_valid(body)),
  prev         BLOB NOT NULL CHECK(length(prev) = 32),
  hash         BLOB NOT NULL CHECK(length(hash) = 32)
) STRICT;

CREATE INDEX entries_of_payment ON entries(out_trade_no) WHERE out_trade_no IS NOT NULL;

CREATE TRIGGER entries_next BEFORE INSERT ON entries
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM entries)
  OR NEW.prev IS NOT coalesce(
       (SELECT hash FROM entries ORDER BY seq DESC LIMIT 1), zeroblob(32))
BEGIN SELECT RAISE(ABORT, 'entries are numbered and chained without gaps'); END;

CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;

CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END;

CREATE TABLE payments(
  first_seq     INTEGER PRIMARY KEY,
  out_trade_no  TEXT NOT NULL UNIQUE,
  last_seq      INTEGER NOT NULL,
  rev           INTEGER NOT NULL CHECK(rev > 0),
  state         TEXT NOT NULL,
  open          INTEGER NOT NULL CHECK(open IN (0, 1)),
  sale          TEXT,
  created_at_ms INTEGER NOT NULL,
  clock_ms      INTEGER NOT NULL
) STRICT;

CREATE INDEX payments_open ON payments(open) WHERE open = 1;
CREATE INDEX payments_by_state ON payments(state);
CREATE INDEX payments_by_clock ON payments(clock_ms);
CREATE INDEX payments_of_sale ON payments(sale) WHERE sale IS NOT NULL;
CREATE UNIQUE INDEX payments_one_per_sale ON payments(sale)
WHERE sale IS NOT NULL AND (open = 1 OR state = 'paid');

CREATE TRIGGER payments_final BEFORE UPDATE ON payments
WHEN OLD.open = 0 AND (NEW.open IS NOT OLD.open OR NEW.state IS NOT OLD.state)
BEGIN SELECT RAISE(ABORT, 'a final payment never changes'); END;

CREATE TABLE probe(
  id     INTEGER PRIMARY KEY CHECK(id = 1),
  times  INTEGER NOT NULL,
  filler BLOB
) STRICT;
INSERT INTO probe(id, times) VALUES(1, 0);
";

/// Payments are found by the mark of their code, so that a code that is shown
/// again is not charged again. Nothing that was there is touched: payments of
/// version 1 have no mark, and their codes have long expired.
///
/// The same code may stand at several payments, of which all but the last never
/// left this box; so the index is not UNIQUE.
const VERSION_2: &str = "
ALTER TABLE payments ADD COLUMN mark TEXT CHECK(mark IS NULL OR length(mark) = 32);
CREATE INDEX payments_of_mark ON payments(mark, last_seq) WHERE mark IS NOT NULL;
";

/// Entries get tags, and a journal may begin after entries that were archived
/// (`base`); of payments that were, `kept` has the last word.
///
/// There are fewer indexes: most payments are paid, so only the others are found
/// by their state; of a sale, the attempts that count and the others stand in an
/// index each; a time is found by halving, because `clock_ms` never falls. An
/// entry that changes neither state nor mark touches no index of `payments`.
///
/// `refunds` and what comes after it can be rebuilt from `entries` as `payments`
/// can. One refund of a payment is open at a time, what was asked for never
/// changes, and all that are not refused never exceed what was paid.
const VERSION_3: &str = "
ALTER TABLE entries ADD COLUMN tag BLOB CHECK(tag IS NULL OR length(tag) = 16);

CREATE TABLE keyed(
  from_seq INTEGER PRIMARY KEY,
  key      BLOB NOT NULL CHECK(length(key) = 8),
  tag      BLOB NOT NULL CHECK(length(tag) = 16)
) STRICT;

CREATE TABLE base(
  id   INTEGER PRIMARY KEY CHECK(id = 1),
  seq  INTEGER NOT NULL CHECK(seq > 0),
  hash BLOB NOT NULL CHECK(length(hash) = 32),
  key  BLOB NOT NULL CHECK(length(key) = 8),
  tag  BLOB NOT NULL CHECK(length(tag) = 16)
) STRICT;

CREATE TABLE kept(
  first_seq INTEGER PRIMARY KEY,
  body      TEXT NOT NULL CHECK(json_valid(body)),
  tag       BLOB NOT NULL CHECK(length(tag) = 16)
) STRICT;

DROP TRIGGER entries_next;
CREATE TRIGGER entries_next BEFORE INSERT ON entries
WHEN NEW.seq IS NOT coalesce(
       (SELECT max(seq) FROM entries), (SELECT seq FROM base), 0) + 1
  OR NEW.prev IS NOT coalesce(
       (SELECT hash FROM entries ORDER BY seq DESC LIMIT 1), (SELECT hash FROM base),
       zeroblob(32))
  OR NEW.tag IS NULL
BEGIN SELECT RAISE(ABORT, 'entries are numbered, chained and tagged without gaps'); END;

ALTER TABLE payments ADD COLUMN amount_fen INTEGER CHECK(amount_fen > 0);
UPDATE payments SET amount_fen =
  (SELECT body ->> '$.requested.amount_fen' FROM entries WHERE seq = first_seq);

DROP INDEX payments_by_state;
DROP INDEX payments_by_clock;
DROP INDEX payments_of_sale;
DROP INDEX payments_of_mark;
CREATE INDEX payments_unpaid ON payments(state) WHERE open = 0 AND state <> 'paid';
CREATE INDEX payments_unpaid_of_sale ON payments(sale)
WHERE sale IS NOT NULL AND open = 0 AND state <> 'paid';
CREATE INDEX payments_of_mark ON payments(mark) WHERE mark IS NOT NULL;

CREATE TABLE refunds(
  first_seq      INTEGER PRIMARY KEY,
  out_trade_no   TEXT NOT NULL,
  out_request_no TEXT NOT NULL,
  last_seq       INTEGER NOT NULL,
  rev            INTEGER NOT NULL CHECK(rev > 0),
  state          TEXT NOT NULL,
  open           INTEGER NOT NULL CHECK(open IN (0, 1)),
  cause          TEXT NOT NULL,
  amount_fen     INTEGER NOT NULL CHECK(amount_fen > 0),
  UNIQUE(out_trade_no, out_request_no)
) STRICT;

CREATE UNIQUE INDEX refunds_one_open ON refunds(out_trade_no) WHERE open = 1;

CREATE TRIGGER refunds_sum BEFORE INSERT ON refunds
WHEN NEW.amount_fen
   + (SELECT coalesce(sum(amount_fen), 0) FROM refunds
      WHERE out_trade_no = NEW.out_trade_no AND state <> 'refused')
   > coalesce((SELECT amount_fen FROM payments WHERE out_trade_no = NEW.out_trade_no), 0)
BEGIN SELECT RAISE(ABORT, 'no more is given back than was paid'); END;

CREATE TRIGGER refunds_fixed BEFORE UPDATE ON refunds
WHEN NEW.out_trade_no IS NOT OLD.out_trade_no OR NEW.out_request_no IS NOT OLD.out_request_no
  OR NEW.amount_fen IS NOT OLD.amount_fen OR NEW.cause IS NOT OLD.cause
BEGIN SELECT RAISE(ABORT, 'what a refund is about never changes'); END;

CREATE TRIGGER refunds_final BEFORE UPDATE ON refunds
WHEN OLD.open = 0 AND (NEW.open IS NOT OLD.open OR NEW.state IS NOT OLD.state)
BEGIN SELECT RAISE(ABORT, 'a final refund never changes'); END;

CREATE TABLE notifications(
  first_seq    INTEGER PRIMARY KEY,
  notify_id    TEXT NOT NULL UNIQUE,
  out_trade_no TEXT NOT NULL
) STRICT;

CREATE TABLE bills(
  first_seq INTEGER PRIMARY KEY,
  day       TEXT NOT NULL,
  last_seq  INTEGER NOT NULL
) STRICT;
CREATE INDEX bills_of_day ON bills(day);

CREATE TABLE differences(
  first_seq    INTEGER PRIMARY KEY,
  day          TEXT NOT NULL,
  out_trade_no TEXT NOT NULL,
  last_seq     INTEGER NOT NULL,
  kind         TEXT NOT NULL,
  open         INTEGER NOT NULL CHECK(open IN (0, 1))
) STRICT;
CREATE INDEX differences_of_day ON differences(day);
CREATE INDEX differences_open ON differences(open) WHERE open = 1;
";

/// Brings the journal up to [`VERSION`], one transaction a step.
pub(super) fn migrate(conn: &Connection) -> rusqlite::Result<()> {
    let started = version(conn)?;
    for (from, step) in (0..).zip(LADDER).filter(|(from, _)| *from >= started) {
        conn.execute_batch("BEGIN IMMEDIATE")?;
        let done = version(conn).and_then(|at| {
            if at == from {
                conn.execute_batch(step)?;
                conn.pragma_update(None, "user_version", from + 1)?;
            }
            conn.execute_batch("COMMIT")
        });
        if let Err(error) = done {
            if !conn.is_autocommit() {
                conn.execute_batch("ROLLBACK")?;
            }
            return Err(error);
        }
    }
    Ok(())
}

/// The version of the journal.
pub(super) fn version(conn: &Connection) -> rusqlite::Result<i32> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Compares tables, indexes and triggers with what they must be at `version`,
/// and names the first that is missing or different. What is not ours counts too:
/// a trigger could do anything behind an insert, a view or an index could lead
/// whoever reads astray.
pub(super) fn difference(conn: &Connection, version: i32) -> rusqlite::Result<Option<String>> {
    let model = Connection::open_in_memory()?;
    for (_, step) in (0..version).zip(LADDER) {
        model.execute_batch(step)?;
    }
    let objects = |conn: &Connection| -> rusqlite::Result<Vec<(String, String, Option<String>)>> {
        conn.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY name")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect()
    };
    let (wanted, found) = (objects(&model)?, objects(conn)?);
    let missing = wanted.iter().find(|object| !found.contains(object));
    let foreign = found.iter().find(|object| !wanted.contains(object));
    Ok(missing
        .map(|(kind, name, _)| format!("{kind} {name} is missing or altered"))
        .or_else(|| foreign.map(|(kind, name, _)| format!("{kind} {name} does not belong here"))))
}

/// Fills `payments` anew from `entries`. Proof that it holds nothing of its own,
/// and the tool for a later version that wants other columns.
#[cfg(test)]
pub(super) const REBUILD_PAYMENTS: &str = "
DELETE FROM payments;
INSERT INTO payments(first_seq, out_trade_no, last_seq, rev, state, open, sale,
                     created_at_ms, clock_ms, mark, amount_fen)
SELECT f.seq, f.out_trade_no, l.seq, l.body ->> '$.rev', l.body ->> '$.public',
       (l.body ->> '$.public') NOT IN ('paid', 'declined', 'cancelled'),
       f.body ->> '$.requested.sale', f.body ->> '$.requested.created_at',
       max(f.body ->> '$.requested.created_at') OVER (ORDER BY f.seq), l.body ->> '$.pay.mark',
       f.body ->> '$.requested.amount_fen'
FROM (SELECT min(seq) AS first, max(seq) AS last FROM entries
      WHERE out_trade_no IS NOT NULL AND kind = 'payment' GROUP BY out_trade_no)
JOIN entries f ON f.seq = first JOIN entries l ON l.seq = last
ORDER BY f.seq;
";

/// The same for `refunds`.
#[cfg(test)]
pub(super) const REBUILD_REFUNDS: &str = "
DELETE FROM refunds;
INSERT INTO refunds(first_seq, out_trade_no, out_request_no, last_seq, rev, state, open, cause,
                    amount_fen)
SELECT f.seq, f.out_trade_no, f.body ->> '$.request', l.seq, l.body ->> '$.rev',
       l.body ->> '$.public', (l.body ->> '$.public') NOT IN ('refunded', 'refused'),
       f.body ->> '$.requested.cause', f.body ->> '$.requested.amount_fen'
FROM (SELECT min(seq) AS first, max(seq) AS last FROM entries
      WHERE out_trade_no IS NOT NULL AND kind = 'refund'
      GROUP BY out_trade_no, body ->> '$.request')
JOIN entries f ON f.seq = first JOIN entries l ON l.seq = last
ORDER BY f.seq;
";
