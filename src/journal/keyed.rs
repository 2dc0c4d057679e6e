//! Which entries are under which key.
//!
//! The key comes from the application's private key, which a shop may change:
//! from then on the entries are under another. Entries of versions 1 and 2 are
//! under none; the first that has a tag ties them to the key as they stand.

use rusqlite::{Connection, OptionalExtension};

use super::chain::{ChainKey, is_same};
use super::schema::{self, WITH_KEY};
use super::sqlite::{self, RawEntry, Tip};

/// From this entry on, all are under this key.
struct Span {
    from: i64,
    key: Vec<u8>,
    tag: Vec<u8>,
}

/// All of a journal.
pub(super) struct Keyed<'a> {
    spans: Vec<Span>,
    key: Option<&'a ChainKey>,
}

/// What could be said of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It was written by a holder of the key.
    Proven,
    /// It is under a key that is not at hand.
    OtherKey,
    /// It is older than the key's chain.
    Unkeyed,
}

/// Makes sure that entries from here on are under this key, which the journal
/// says of itself.
pub(super) fn begin(conn: &Connection, key: &ChainKey) -> rusqlite::Result<()> {
    let last: Option<Vec<u8>> = conn
        .query_row("SELECT key FROM keyed ORDER BY from_seq DESC LIMIT 1", [], |row| row.get(0))
        .optional()?;
    if last.is_some_and(|last| last == key.id()) {
        return Ok(());
    }
    sqlite::begin(conn)?;
    let begun = Tip::read(conn).and_then(|tip| {
        let from = tip.seq.saturating_add(1);
        // Under a key that was changed twice there is nothing.
        conn.execute(
            "INSERT OR REPLACE INTO keyed(from_seq, key, tag) VALUES(?1, ?2, ?3)",
            (from, key.id(), key.of_beginning(from, &tip.hash)),
        )?;
        sqlite::commit(conn)
    });
    if begun.is_err() {
        sqlite::roll_back(conn);
    }
    begun
}

impl<'a> Keyed<'a> {
    pub(super) fn read(conn: &Connection, key: Option<&'a ChainKey>) -> rusqlite::Result<Self> {
        let mut spans = Vec::new();
        if schema::version(conn)? >= WITH_KEY {
            let mut statement =
                conn.prepare("SELECT from_seq, key, tag FROM keyed ORDER BY from_seq")?;
            spans = statement
                .query_map([], |row| {
                    Ok(Span { from: row.get(0)?, key: row.get(1)?, tag: row.get(2)? })
                })?
                .collect::<rusqlite::Result<_>>()?;
        }
        Ok(Self { spans, key })
    }

    /// Whether what is said of archived entries was said by the holder of the key.
    /// Each archiving says it anew, so it is under one key.
    pub(super) fn check_archived(&self, conn: &Connection) -> rusqlite::Result<Result<(), String>> {
        let base = Tip::base(conn)?;
        let Some(key) = self.key.filter(|_| base.seq > 0) else { return Ok(Ok(())) };
        let (whose, tag): (Vec<u8>, Vec<u8>) =
            conn.query_row("SELECT key, tag FROM base", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if whose != key.id() {
            return Ok(Ok(()));
        }
        if !is_same(&tag, &key.of_base(base.seq, &base.hash)) {
            return Ok(Err("what was archived was not said by this terminal".to_owned()));
        }
        let mut kept = conn.prepare("SELECT first_seq, body, tag FROM kept ORDER BY first_seq")?;
        let mut rows = kept.query([])?;
        while let Some(row) = rows.next()? {
            let (first, body, tag): (i64, String, Vec<u8>) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            if !is_same(&tag, &key.of_kept(first, &body)) {
                let what = format!("what is kept of payment {first} was not said by this terminal");
                return Ok(Err(what));
            }
        }
        Ok(Ok(()))
    }

    /// Whether an entry is under the key that it should be under.
    pub(super) fn check(&self, entry: &RawEntry) -> Result<Proof, String> {
        let wrong = || format!("entry {} was not written by this terminal", entry.seq);
        let span = self.spans.iter().rev().find(|span| span.from <= entry.seq);
        let (span, tag) = match (span, &entry.tag) {
            (None, None) => return Ok(Proof::Unkeyed),
            (Some(span), Some(tag)) => (span, tag),
            (Some(_), None) | (None, Some(_)) => return Err(wrong()),
        };
        let Some(key) = self.key.filter(|key| span.key == key.id()) else {
            return Ok(Proof::OtherKey);
        };
        let hash = entry.hash.as_slice().try_into().map_err(|_| wrong())?;
        let begins_here =
            span.from != entry.seq || is_same(&span.tag, &key.of_beginning(span.from, &entry.prev));
        if begins_here && is_same(tag, &key.of_entry(&hash)) {
            Ok(Proof::Proven)
        } else {
            Err(wrong())
        }
    }
}
