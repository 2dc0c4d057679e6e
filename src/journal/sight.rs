//! What is seen of the files that SQLite writes, to notice when somebody else
//! moves, replaces or changes them.
//!
//! SQLite keeps writing to the files that it has opened, whatever becomes of
//! their names: entries that are on disk in a file that nobody finds again are
//! lost with the daemon. Between two of our own writes nothing may change.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::files::Files;

/// The journal and the files beside it that SQLite writes, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    journal: Option<Print>,
    log: Option<Print>,
    /// Written through a mapping, so its time says nothing.
    shared_memory: Option<(u64, u64)>,
}

/// By which a file and its content are known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    file: (u64, u64),
    length: u64,
    written: (i64, i64),
}

/// What somebody else has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The journal has another name now, or none.
    Journal,
    /// A file beside the journal was taken away or replaced.
    Beside,
    /// The files are the same, and what they hold is not.
    Content,
}

impl Sight {
    pub(super) fn of(files: &Files) -> io::Result<Self> {
        Ok(Self {
            journal: Print::of(&files.journal)?,
            log: Print::of(&files.wal())?,
            shared_memory: Print::of(&files.shared_memory())?.map(|print| print.file),
        })
    }

    /// What has happened since `before`.
    pub(super) fn since(&self, before: &Self) -> Option<Change> {
        let file = |print: Option<Print>| print.map(|print| print.file);
        if file(self.journal) != file(before.journal) {
            Some(Change::Journal)
        } else if file(self.log) != file(before.log) || self.shared_memory != before.shared_memory {
            Some(Change::Beside)
        } else if self != before {
            Some(Change::Content)
        } else {
            None
        }
    }

    /// The same, when no connection is open that would be writing to files
    /// without names: those beside may have gone, but none may have come.
    pub(super) fn since_closed(&self, before: &Self) -> Option<Change> {
        match self.since(before) {
            Some(Change::Beside) if self.log.is_none_or(|log| log.length == 0) => None,
            change => change,
        }
    }

    /// As it is when nothing stands beside the journal.
    pub(super) fn without_log(self) -> Self {
        Self { log: None, shared_memory: None, ..self }
    }
}

impl Print {
    fn of(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(data) => Ok(Some(Self {
                file: (data.dev(), data.ino()),
                length: data.len(),
                written: (data.mtime(), data.mtime_nsec()),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
