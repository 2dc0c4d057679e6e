//! The note of the newest entry, in a file of its own.
//!
//! A journal whose log was cut or taken away is as sound as one that has never
//! had more entries: every hash is right, only the end is missing. So the number
//! and the hash of the newest entry stand in a second place, and a journal that
//! has less is refused.
//!
//! The note is written after the entry is durable and is not synced itself. After
//! a power cut it may be older than the journal, which says nothing; it is never
//! newer, unless entries were lost.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use super::chain::{Hash, hex};
use super::files::Files;
use super::sqlite::Tip;

const TITLE: &str = "tilld head 1";

/// Writes down the newest entry, over what stood there.
pub(super) fn write(files: &Files, tip: &Tip) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(files.head())?;
    file.write_all_at(text(tip).as_bytes(), 0)
}

/// The same, durable.
pub(super) fn write_for_good(files: &Files, tip: &Tip) -> io::Result<()> {
    write(files, tip)?;
    OpenOptions::new().write(true).open(files.head())?.sync_all()
}

/// What was noted. A note that is missing, or that a power cut has left half
/// written, says nothing.
pub(super) fn read(files: &Files) -> Option<Tip> {
    let text = std::fs::read_to_string(files.head()).ok()?;
    let rest = text.strip_prefix(TITLE)?;
    let mut words = rest.split_whitespace();
    let tip = Tip { seq: words.next()?.parse().ok()?, hash: from_hex(words.next()?)? };
    (self::text(&tip) == text).then_some(tip)
}

/// Of the same length for every entry, so that nothing of an earlier note is left.
fn text(tip: &Tip) -> String {
    let line = format!("{TITLE} {:020} {}", tip.seq, hex(&tip.hash));
    let sum: Hash = Sha256::digest(line.as_bytes()).into();
    format!("{line} {}\n", hex(&sum).split_at(8).0)
}

fn from_hex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(hash)
}

/// How a journal differs from what was noted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Its last entries are missing.
    End { has: i64, noted: i64 },
    /// It has an entry with the noted number that is another one.
    Other { seq: i64 },
}

/// Compares a journal with its note.
pub(super) fn lost(conn: &Connection, noted: &Tip) -> rusqlite::Result<Option<Lost>> {
    let tip = Tip::read(conn)?;
    if tip.seq < noted.seq {
        return Ok(Some(Lost::End { has: tip.seq, noted: noted.seq }));
    }
    let found: Option<Hash> = conn
        .prepare_cached("SELECT hash FROM entries WHERE seq = ?1")?
        .query_row([noted.seq], |row| row.get(0))
        .optional()?;
    Ok(match found {
        Some(hash) if hash != noted.hash => Some(Lost::Other { seq: noted.seq }),
        // One that is there no more was there, or the hashes would not fit.
        Some(_) | None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_half_a_note_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Files::of(&folder.path().join("journal.db")).expect("no link");
        assert_eq!(read(&files), None);
        for seq in [7, i64::MAX, 0] {
            let tip = Tip { seq, hash: [0xab; 32] };
            write(&files, &tip).expect("written");
            assert_eq!(read(&files), Some(tip));
        }
        let whole = std::fs::read(files.head()).expect("read");
        for length in 0..whole.len() {
            std::fs::write(files.head(), &whole[..length]).expect("written");
            assert_eq!(read(&files), None, "{length} bytes");
        }
        for at in 0..whole.len() {
            let mut torn = whole.clone();
            torn[at] ^= 1;
            std::fs::write(files.head(), &torn).expect("written");
            assert_eq!(read(&files), None, "byte {at}");
        }
    }
}
