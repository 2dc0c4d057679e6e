//! Opening the journal: look first, and touch nothing that is refused.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::chain::ChainKey;
use super::files::{Files, Lock, NoLock, create_private, keep_private, sync_folder};
use super::head::{self, Lost};
use super::keyed;
use super::reader::Reader;
use super::schema::{self, APPLICATION_ID, VERSION};
use super::sqlite::{self, Tip};
use super::writer::Writer;
use super::{check, reserve};

/// Why the daemon cannot start with this journal. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Folders are made by the package or by systemd, never by the daemon: a
    /// typing mistake must not begin an empty journal somewhere else.
    #[error("the folder {folder} of the journal does not exist; make it, for the daemon's user alone", folder = .0.display())]
    NoFolder(PathBuf),
    /// Another daemon has it.
    #[error("the journal {file} is in use by another tilld; stop that one first", file = .0.display())]
    InUse(PathBuf),
    /// The journal is gone, its log is not.
    #[error("the journal {file} is missing, but its log {log} is there; put the journal back beside it, or move the log away to begin an empty journal", file = .file.display(), log = .log.display())]
    Missing {
        /// The journal.
        file: PathBuf,
        /// What is left of it.
        log: PathBuf,
    },
    /// A link to a journal that is not there: a disk that is not mounted, say. An
    /// empty journal in its place would know of no payment.
    #[error("the journal {file} is a link to {target}, which is not there; mount its disk, or put the journal back", file = .file.display(), target = .target.display())]
    LeadsNowhere {
        /// The link.
        file: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// It has fewer entries than it once had, each of them sound.
    #[error("the journal {file} has lost its end: it has {has} entries, and had {noted}; put back the journal as it was, with its -wal file. If it is gone for good: entries {next} to {noted} may be payments that were charged, so compare with Alipay's bill, and then say that you will go on without them: tilld accept {has} {file}", file = .file.display(), next = .has + 1)]
    LostItsEnd {
        /// The file.
        file: PathBuf,
        /// The number of its newest entry.
        has: u64,
        /// The number of the newest entry that it had.
        noted: u64,
    },
    /// It is not the journal that was here before.
    #[error("the journal {file} is another one than was here before: its entry {seq} is not the one that was noted; put back the journal as it was. If this one shall be used: compare with Alipay's bill, and then say so: tilld accept {has} {file}", file = .file.display())]
    Another {
        /// The file.
        file: PathBuf,
        /// The number of its newest entry.
        has: u64,
        /// The entry that differs.
        seq: u64,
    },
    /// It is some other kind of file.
    #[error("{file} is not a journal: {what}; journal.path must name a journal of tilld, or a file that does not exist yet", file = .file.display())]
    NotAJournal {
        /// The file.
        file: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// A newer program wrote it.
    #[error("the journal {file} is of version {found}, and this tilld knows up to {known}; install the tilld that wrote it, or a newer one", file = .file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// Something in it is not as it was written.
    #[error("the journal {file} is damaged: {what}; keep the file, put back a sound copy, and compare with Alipay's bill", file = .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// An entry is as it was written, but this program does not understand it.
    #[error("the journal {file} holds an entry that this tilld cannot read: entry {seq}: {what}; install the tilld that wrote it", file = .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Which entry.
        seq: u64,
        /// Why not.
        what: String,
    },
    /// The disk or the rights stand in the way of reading it.
    #[error("the journal {file} cannot be read; check the disk and who owns the file", file = .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk has no room for the first journal, or for one that has to be
    /// brought up to this version.
    #[error("the disk is full: there is no room for the journal {file}; make room for some megabytes and start again", file = .0.display())]
    NoRoom(PathBuf),
    /// The disk or the rights stand in the way of the first journal, or of one
    /// that has to be brought up to this version.
    #[error("the journal {file} cannot be made ready; check the disk and who owns the folder", file = .file.display())]
    Prepare {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Opens the journal, or makes an empty one, and starts its writer.
///
/// The cost does not grow with the payments that are over: what is checked is
/// the header, the schema, the newest entries and the open payments.
/// [`verify`](super::verify) checks everything.
///
/// A journal that can be read but not written is no error: the reader works, and
/// the writer's health is [`Unavailable`](super::Health::Unavailable) until a
/// write succeeds.
///
/// # Errors
///
/// [`OpenError`]: one line that names the file and says what to do. The file and
/// its neighbours are as they were.
pub fn open(path: &Path, key: &ChainKey) -> Result<(Writer, Reader), OpenError> {
    let files = find(path)?;
    let lock = lock(&files)?;
    start(&files, lock, key)
}

/// Where the journal really is.
pub(super) fn find(path: &Path) -> Result<Files, OpenError> {
    Files::of(path).map_err(|target| OpenError::LeadsNowhere { file: path.to_owned(), target })
}

/// Makes the journal ours, and makes an empty one if there is none.
pub(super) fn lock(files: &Files) -> Result<Lock, OpenError> {
    let path = &files.journal;
    if !files.folder().is_dir() {
        return Err(OpenError::NoFolder(files.folder().to_owned()));
    }
    // Without a lock file nobody has ever opened it as a journal, so a look
    // disturbs nobody, and what is refused gets no lock file beside it.
    if path.exists() && !files.lock().exists() {
        look_at_header(files)?;
    }
    let beside = match files.lock_beside() {
        Ok(lock) => Some(lock),
        Err(NoLock::Taken) => return Err(OpenError::InUse(path.clone())),
        // A disk that takes no lock file takes no entries either. The writer
        // begins nothing before it has the lock.
        Err(NoLock::Io(_)) if path.exists() => None,
        Err(NoLock::Io(error)) => return Err(cannot_prepare(files)(error.into())),
    };
    if path.exists() {
        look_at_header(files)?;
    } else if files.wal().exists() {
        return Err(OpenError::Missing { file: path.clone(), log: files.wal() });
    } else {
        create(files).map_err(cannot_prepare(files))?;
    }
    Lock::take(files, beside).map_err(|no| match no {
        NoLock::Taken => OpenError::InUse(path.clone()),
        NoLock::Io(error) => OpenError::Read { file: path.clone(), source: error.into() },
    })
}

fn start(files: &Files, lock: Lock, key: &ChainKey) -> Result<(Writer, Reader), OpenError> {
    // With nothing in its log the journal can be judged without SQLite's putting
    // files beside one that is then refused. Nobody else writes: the lock is ours.
    let judged = match sqlite::open_unchanging(files) {
        Some(conn) => Some(judge(files, &conn.map_err(|error| cannot_read(files, error))?, key)?),
        None => None,
    };
    let mut opened = sqlite::open_reader(files);
    // Even reading takes a little room beside the journal.
    if opened.as_ref().is_err_and(sqlite::is_full) && reserve::give_up(files).unwrap_or(false) {
        opened = sqlite::open_reader(files);
    }
    let (conn, immutable) = opened.map_err(|error| cannot_read(files, error))?;
    let version = match judged {
        Some(version) => version,
        None => judge(files, &conn, key)?,
    };
    let writer = match sqlite::open_writer(&files.journal) {
        Ok(writer) => Some(writer),
        // It can be read, which is enough to start with.
        Err(_) if version == VERSION => None,
        Err(error) => return Err(cannot_prepare(files)(error.into())),
    };
    if let Some(writer) = &writer {
        let mut migrated = schema::migrate(writer);
        // An upgrade on a full disk must not keep open payments from their end.
        if migrated.as_ref().is_err_and(sqlite::is_full) && reserve::give_up(files).unwrap_or(false)
        {
            migrated = schema::migrate(writer);
        }
        migrated
            .and_then(|()| keyed::begin(writer, key))
            .map_err(|e| cannot_prepare(files)(e.into()))?;
        for path in files.all_of_sqlite().iter().filter(|path| path.exists()) {
            keep_private(path).map_err(|e| cannot_prepare(files)(e.into()))?;
        }
    }
    let reader = Reader::new(files.clone(), conn, immutable)
        .map_err(|error| cannot_prepare(files)(error.into()))?;
    let writer = Writer::start(files.clone(), lock, key.clone(), writer, reader.clone())
        .map_err(|error| cannot_prepare(files)(error.into()))?;
    Ok((writer, reader))
}

/// Whether a daemon may start with this journal; its version.
fn judge(files: &Files, conn: &Connection, key: &ChainKey) -> Result<i32, OpenError> {
    let version = check::check(files, conn, Some(key))?;
    if let Some(noted) = head::read(files) {
        check_head(files, conn, &noted)?;
    }
    Ok(version)
}

/// Whether the journal still has all that was noted.
pub(super) fn check_head(files: &Files, conn: &Connection, noted: &Tip) -> Result<(), OpenError> {
    let file = files.journal.clone();
    let lost = head::lost(conn, noted).map_err(|error| cannot_read(files, error))?;
    match lost {
        None => Ok(()),
        Some(Lost::End { has, noted }) => Err(OpenError::LostItsEnd {
            file,
            has: has.unsigned_abs(),
            noted: noted.unsigned_abs(),
        }),
        Some(Lost::Other { seq }) => {
            let has = Tip::read(conn).map_err(|error| cannot_read(files, error))?.seq;
            Err(OpenError::Another { file, has: has.unsigned_abs(), seq: seq.unsigned_abs() })
        }
    }
}

/// Takes a journal whose end is missing for the whole, because a person says so:
/// who says which entry is its newest has looked.
///
/// # Errors
///
/// [`AcceptError`]: the note is as it was, and so is the journal.
pub fn accept(path: &Path, newest: u64) -> Result<(), AcceptError> {
    let files = find(path)?;
    if !files.journal.exists() {
        let what = "it is not there".to_owned();
        return Err(OpenError::NotAJournal { file: files.journal, what }.into());
    }
    let _lock = lock(&files)?;
    let (conn, _) = sqlite::open_reader(&files).map_err(|error| cannot_read(&files, error))?;
    check::check(&files, &conn, None)?;
    let tip = Tip::read(&conn).map_err(|error| cannot_read(&files, error))?;
    // Before the lock: that of SQLite would go with it.
    drop(conn);
    if tip.seq.unsigned_abs() != newest {
        return Err(AcceptError::Other {
            file: files.journal,
            has: tip.seq.unsigned_abs(),
            newest,
        });
    }
    head::write_for_good(&files, &tip)
        .map_err(|source| AcceptError::Note { file: files.head(), source })
}

/// Why a journal was not accepted as it is.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It is not sound, or is in use.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It ends elsewhere.
    #[error("the newest entry of the journal {file} is {has}, not {newest}", file = .file.display())]
    Other {
        /// The file.
        file: PathBuf,
        /// The number of its newest entry.
        has: u64,
        /// What was said.
        newest: u64,
    },
    /// The note cannot be written.
    #[error("the note {file} cannot be written; check the disk and who owns the folder", file = .file.display())]
    Note {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

pub(super) fn cannot_read(files: &Files, error: rusqlite::Error) -> OpenError {
    let file = files.journal.clone();
    match sqlite::code_of(&error) {
        Some(ErrorCode::NotADatabase) => {
            OpenError::NotAJournal { file, what: "it is no SQLite database".to_owned() }
        }
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { file, what: error.to_string() },
        _ => OpenError::Read { file, source: error.into() },
    }
}

fn cannot_prepare(
    files: &Files,
) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> OpenError {
    let file = files.journal.clone();
    move |source| {
        let by_sqlite = source.downcast_ref::<rusqlite::Error>().is_some_and(sqlite::is_full);
        let by_system = source.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        });
        if by_sqlite || by_system {
            OpenError::NoRoom(file)
        } else {
            OpenError::Prepare { file, source }
        }
    }
}

// --- the first journal -------------------------------------------------------

/// Makes an empty journal under another name and moves it into place, so that
/// under its own name there is a whole journal or nothing.
fn create(files: &Files) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let new = files.new_journal();
    // Left by an attempt that was cut off; it never held an entry.
    for path in new.all_of_sqlite() {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    create_private(&new.journal)?;
    let made = fill(&new);
    if made.is_err() {
        for path in new.all_of_sqlite() {
            let _ = fs::remove_file(path);
        }
        return made;
    }
    fs::rename(&new.journal, &files.journal)?;
    sync_folder(files.folder())?;
    Ok(())
}

fn fill(new: &Files) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let conn = sqlite::open_writer(&new.journal)?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    schema::migrate(&conn)?;
    sqlite::checkpoint(&conn, "TRUNCATE")?;
    sqlite::close_tidily(conn)?;
    File::open(&new.journal)?.sync_all()?;
    Ok(())
}

// --- is it ours? -------------------------------------------------------------

/// Reads the first hundred bytes without SQLite, which would put files of its
/// own beside a database that is none of ours.
fn look_at_header(files: &Files) -> Result<(), OpenError> {
    let file = files.journal.clone();
    if file.is_dir() {
        return Err(OpenError::NotAJournal { file, what: "it is a folder".to_owned() });
    }
    let mut header = Vec::new();
    let read = File::open(&file).and_then(|open| open.take(100).read_to_end(&mut header));
    if let Err(error) = read {
        return Err(OpenError::Read { file, source: error.into() });
    }
    let number = |at: usize| -> Option<i32> {
        let bytes = header.get(at..at.saturating_add(4))?;
        Some(i32::from_be_bytes(bytes.try_into().ok()?))
    };
    let what = match (header.len(), number(60), number(68)) {
        (0, ..) => "it is empty".to_owned(),
        (_, Some(version), Some(application)) if header.starts_with(b"SQLite format 3\0") => {
            if application != APPLICATION_ID {
                "it is the SQLite database of another program".to_owned()
            } else if version > VERSION {
                return Err(OpenError::Newer { file, found: version, known: VERSION });
            } else {
                return Ok(());
            }
        }
        _ => "it is no SQLite database".to_owned(),
    };
    Err(OpenError::NotAJournal { file, what })
}
