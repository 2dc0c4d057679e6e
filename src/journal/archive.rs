//! Taking old entries out of the journal, into a journal of their own.
//!
//! ```text
//!   1 ─────────── cut ─────── newest      the journal
//!   1 ─────────── cut                     the archive: sound by itself
//!                 base ────── newest      the new journal: begins after the cut
//! ```
//!
//! Only a person does this, while no daemon runs. Nothing is lost at any moment:
//! the archive is whole, checked and durable before the new journal takes the
//! old one's name, which happens at once or not at all.
//!
//! Of what was archived the journal keeps each payment's row, so that no number
//! and no sale is ever taken for a new one, and its last word (`kept`), so that
//! whoever asks for it is answered; and the same of each refund, so that money is
//! not given back twice. The steps are in the archive alone.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::chain::ChainKey;
use super::files::{Files, create_private, sync_folder};
use super::open::{self, OpenError};
use super::schema::{self, APPLICATION_ID};
use super::sqlite::{self, Tip};
use super::verify::{self, VerifyError};
use crate::payment::Timestamp;

/// What was archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// Where it is now.
    pub file: PathBuf,
    /// The first entry and the last.
    pub entries: (u64, u64),
    /// How many payments.
    pub payments: u64,
}

/// Why nothing was archived. The journal is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is not sound, or is in use.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal, the archive or the new journal is not sound.
    #[error(transparent)]
    Unsound(#[from] VerifyError),
    /// Something else has the archive's name.
    #[error("{file} is there already and is not this archive; move it away", file = .0.display())]
    Exists(PathBuf),
    /// The disk or the rights stand in the way.
    #[error("the journal {file} cannot be archived; check the disk and who owns the folder", file = .file.display())]
    Write {
        /// The journal.
        file: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Moves the entries before a time to an archive in `folder`, as far as the
/// payments that they are about are finished before it. `None` if there are none.
///
/// # Errors
///
/// [`ArchiveError`]: nothing has changed but what is left to be made anew.
pub fn archive(
    path: &Path,
    key: &ChainKey,
    before: Timestamp,
    folder: Option<&Path>,
) -> Result<Option<Archived>, ArchiveError> {
    let files = open::find(path)?;
    if !files.journal.exists() {
        let what = "it is not there".to_owned();
        return Err(OpenError::NotAJournal { file: files.journal, what }.into());
    }
    let owner = fs::metadata(&files.journal)
        .map_err(|error| OpenError::Read { file: files.journal.clone(), source: error.into() })?;
    // As a daemon would find it: of this version, with nothing in its log.
    drop(open::open(path, key)?);
    let _lock = open::lock(&files)?;
    let mut work = Work { files, key, cut: Tip::NONE, base: Tip::NONE };
    let failed = |file: &Path| {
        let file = file.to_owned();
        move |source: Failed| ArchiveError::Write { file, source }
    };
    let journal = work.files.journal.clone();
    if !work.find_cut(before).map_err(failed(&journal))? {
        return Ok(None);
    }
    let target = work.archive_in(folder);
    work.write_archive(&target)?;
    let new = work.write_new()?;
    // Whoever may read the key is not whom the journal belongs to.
    [&new.journal, &target, &work.files.lock(), &work.files.reserve(), &work.files.head()]
        .into_iter()
        .filter(|path| path.exists())
        .try_for_each(|path| chown(path, Some(owner.uid()), Some(owner.gid())))
        .map_err(|error| failed(&journal)(error.into()))?;
    fs::rename(&new.journal, &work.files.journal)
        .and_then(|()| sync_folder(work.files.folder()))
        .map_err(|error| failed(&journal)(error.into()))?;
    let payments = work.count_archived(&target).map_err(failed(&journal))?;
    let entries = (work.base.seq.unsigned_abs() + 1, work.cut.seq.unsigned_abs());
    Ok(Some(Archived { file: target, entries, payments }))
}

/// An archiving under way.
pub(super) struct Work<'a> {
    pub(super) files: Files,
    pub(super) key: &'a ChainKey,
    /// What was archived before.
    pub(super) base: Tip,
    /// The last entry to be archived.
    pub(super) cut: Tip,
}

impl Work<'_> {
    /// False if there is nothing to archive.
    pub(super) fn find_cut(&mut self, before: Timestamp) -> Result<bool, Failed> {
        let conn = look(&self.files)?;
        self.base = Tip::base(&conn)?;
        let young: Option<i64> = conn.query_row(
            "SELECT min(seq) FROM entries WHERE at_ms >= ?1",
            [before.millis()],
            |row| row.get(0),
        )?;
        let tip = Tip::read(&conn)?;
        let mut cut = young.map_or(tip.seq, |young| young.saturating_sub(1));
        // No payment and no refund may be cut in two, and none that is open may go.
        while let Some(first) = conn.query_row(
            "SELECT min(first_seq) FROM (
               SELECT first_seq, last_seq, open FROM payments
               UNION ALL SELECT first_seq, last_seq, open FROM refunds)
             WHERE first_seq <= ?1 AND (last_seq > ?1 OR open = 1)",
            [cut],
            |row| row.get::<_, Option<i64>>(0),
        )? {
            cut = first.saturating_sub(1);
        }
        if cut <= self.base.seq {
            return Ok(false);
        }
        let hash =
            conn.query_row("SELECT hash FROM entries WHERE seq = ?1", [cut], |row| row.get(0))?;
        self.cut = Tip { seq: cut, hash };
        Ok(true)
    }

    pub(super) fn archive_in(&self, folder: Option<&Path>) -> PathBuf {
        let name = self.name(&format!("-archive-{}-{}", self.base.seq + 1, self.cut.seq));
        folder.unwrap_or_else(|| self.files.folder()).join(name)
    }

    fn name(&self, suffix: &str) -> OsString {
        let mut name = self.files.journal.file_name().unwrap_or_default().to_owned();
        name.push(suffix);
        name
    }

    /// The archive, whole, checked and durable under its name.
    pub(super) fn write_archive(&self, target: &Path) -> Result<(), ArchiveError> {
        // The same whatever is archived, so that what is left of an attempt is found.
        let unfinished = Files { journal: target.with_file_name(self.name("-archive-new")) };
        clear(&unfinished).map_err(|error| self.failed(error.into()))?;
        if target.exists() {
            // From an attempt that came no further.
            return match self.check(&Files { journal: target.to_owned() }, &self.cut) {
                Ok(()) => Ok(()),
                Err(_) => Err(ArchiveError::Exists(target.to_owned())),
            };
        }
        // A refund is of a payment that may have gone before: that one comes along
        // as it is kept, so that the archive is sound by itself.
        self.write(
            &unfinished,
            "INSERT INTO keyed SELECT * FROM old.keyed WHERE from_seq <= :cut;
             INSERT INTO base SELECT * FROM old.base;
             INSERT INTO entries SELECT * FROM old.entries WHERE seq <= :cut ORDER BY seq;
             INSERT INTO payments SELECT * FROM old.payments
               WHERE (first_seq > :base AND last_seq <= :cut)
                  OR out_trade_no IN (SELECT out_trade_no FROM old.refunds
                                      WHERE first_seq > :base AND last_seq <= :cut)
               ORDER BY first_seq;
             INSERT INTO kept SELECT * FROM old.kept
               WHERE first_seq IN (SELECT first_seq FROM payments);
             INSERT INTO refunds SELECT * FROM old.refunds
               WHERE first_seq > :base AND last_seq <= :cut;",
        )?;
        self.check(&unfinished, &self.cut)?;
        fs::rename(&unfinished.journal, target)
            .and_then(|()| sync_folder(unfinished.folder()))
            .map_err(|error| self.failed(error.into()))
    }

    /// The journal as it will be, whole, checked and durable, under another name.
    pub(super) fn write_new(&self) -> Result<Files, ArchiveError> {
        let new = self.files.new_journal();
        // In `kept`, the last entry of a payment with what its first one says.
        self.write(
            &new,
            "INSERT INTO keyed SELECT * FROM old.keyed;
             INSERT INTO base VALUES(1, :cut, (SELECT hash FROM old.entries WHERE seq = :cut),
                                     zeroblob(8), zeroblob(16));
             INSERT INTO payments SELECT * FROM old.payments;
             INSERT INTO refunds SELECT * FROM old.refunds;
             INSERT INTO notifications SELECT * FROM old.notifications;
             INSERT INTO bills SELECT * FROM old.bills;
             INSERT INTO differences SELECT * FROM old.differences;
             INSERT INTO kept SELECT * FROM old.kept;
             INSERT INTO kept
               SELECT p.first_seq,
                      json_set(l.body, '$.requested', json(f.body -> '$.requested')),
                      zeroblob(16)
               FROM old.payments AS p
               JOIN old.entries AS f ON f.seq = p.first_seq
               JOIN old.entries AS l ON l.seq = p.last_seq
               WHERE p.last_seq <= :cut;
             INSERT INTO kept
               SELECT r.first_seq,
                      json_set(l.body, '$.requested', json(f.body -> '$.requested')),
                      zeroblob(16)
               FROM old.refunds AS r
               JOIN old.entries AS f ON f.seq = r.first_seq
               JOIN old.entries AS l ON l.seq = r.last_seq
               WHERE r.last_seq <= :cut;
             INSERT INTO entries SELECT * FROM old.entries WHERE seq > :cut ORDER BY seq;",
        )?;
        let tip = look(&self.files)
            .and_then(|conn| Tip::read(&conn))
            .map_err(|error| self.failed(error.into()))?;
        self.check(&new, &tip)?;
        Ok(new)
    }

    /// Fills a journal that is made anew, with the old one at hand as `old`.
    fn write(&self, new: &Files, sql: &str) -> Result<(), ArchiveError> {
        let written = self.try_to_write(new, sql);
        if written.is_err() {
            // Half of it only takes up room; it was never the only copy.
            clear(new).map_err(|error| self.failed(error.into()))?;
        }
        written.map_err(|error| self.failed(error))
    }

    fn try_to_write(&self, new: &Files, sql: &str) -> Result<(), Failed> {
        clear(new)?;
        create_private(&new.journal)?;
        let conn = sqlite::open_writer(&new.journal)?;
        conn.pragma_update(None, "application_id", APPLICATION_ID)?;
        schema::migrate(&conn)?;
        let old = self.files.journal.to_str().ok_or("its name is not UTF-8")?;
        conn.execute("ATTACH ?1 AS old", [old])?;
        sqlite::begin(&conn)?;
        for statement in sql.split_inclusive(';') {
            let mut statement = conn.prepare(statement)?;
            for (name, value) in [(":cut", self.cut.seq), (":base", self.base.seq)] {
                if let Some(at) = statement.parameter_index(name)? {
                    statement.raw_bind_parameter(at, value)?;
                }
            }
            statement.raw_execute()?;
        }
        self.tag(&conn)?;
        sqlite::commit(&conn)?;
        conn.execute_batch("DETACH old")?;
        sqlite::checkpoint(&conn, "TRUNCATE")?;
        sqlite::close_tidily(conn)?;
        File::open(&new.journal)?.sync_all()?;
        Ok(())
    }

    /// All that is said of what was archived is under the present key.
    fn tag(&self, conn: &Connection) -> rusqlite::Result<()> {
        let base = Tip::base(conn)?;
        if base.seq == 0 {
            return Ok(());
        }
        conn.execute(
            "UPDATE main.base SET key = ?1, tag = ?2",
            (self.key.id(), self.key.of_base(base.seq, &base.hash)),
        )?;
        let mut kept = conn.prepare("SELECT first_seq, body FROM main.kept")?;
        let mut rows = kept.query([])?;
        let mut tag = conn.prepare("UPDATE main.kept SET tag = ?1 WHERE first_seq = ?2")?;
        while let Some(row) = rows.next()? {
            let (first, body): (i64, String) = (row.get(0)?, row.get(1)?);
            tag.execute((self.key.of_kept(first, &body), first))?;
        }
        Ok(())
    }

    /// Whether a journal is sound and ends where it should.
    fn check(&self, files: &Files, tip: &Tip) -> Result<(), ArchiveError> {
        let conn = look(files).map_err(|error| open::cannot_read(files, error))?;
        let walked = verify::check_whole(files, &conn, Some(self.key))?;
        if walked.tip == *tip {
            return Ok(());
        }
        let what = format!("it ends at entry {}, not {}", walked.tip.seq, tip.seq);
        Err(OpenError::Damaged { file: files.journal.clone(), what }.into())
    }

    fn count_archived(&self, target: &Path) -> Result<u64, Failed> {
        let conn = look(&Files { journal: target.to_owned() })?;
        let sql = "SELECT count(*) FROM payments WHERE first_seq > ?1";
        let count: i64 = conn.query_row(sql, [self.base.seq], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    fn failed(&self, source: Failed) -> ArchiveError {
        ArchiveError::Write { file: self.files.journal.clone(), source }
    }
}

/// Opens a journal that nobody writes to, without leaving files beside it.
fn look(files: &Files) -> rusqlite::Result<Connection> {
    match sqlite::open_unchanging(files) {
        Some(opened) => opened,
        None => sqlite::open_reader(files).map(|(conn, _)| conn),
    }
}

/// Removes what an attempt that was cut off has left; it was never the only copy.
fn clear(unfinished: &Files) -> io::Result<()> {
    for path in unfinished.all_of_sqlite() {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
