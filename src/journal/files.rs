//! The files of the journal: their names, their lock, their modes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// Held for as long as the journal is ours.
pub(super) type Lock = Flock<File>;

/// Where everything is.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) journal: PathBuf,
}

/// Why there is no lock.
#[derive(Debug)]
pub(super) enum NoLock {
    /// Somebody else has it.
    Taken,
    /// There is no lock file and none can be made.
    Io(io::Error),
}

impl Files {
    pub(super) fn of(journal: &Path) -> Self {
        Self { journal: journal.to_owned() }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.journal.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.beside("-lock")
    }

    pub(super) fn wal(&self) -> PathBuf {
        self.beside("-wal")
    }

    pub(super) fn reserve(&self) -> PathBuf {
        self.beside("-reserve")
    }

    /// The journal in the making.
    pub(super) fn new_journal(&self) -> Self {
        Self { journal: self.beside("-new") }
    }

    /// The journal and all that SQLite may have put beside it.
    pub(super) fn all_of_sqlite(&self) -> [PathBuf; 4] {
        [self.journal.clone(), self.wal(), self.beside("-shm"), self.beside("-journal")]
    }

    pub(super) fn folder(&self) -> &Path {
        match self.journal.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Makes the journal ours until the lock is dropped.
    ///
    /// The lock has a file of its own because opening and closing the journal
    /// itself would drop the locks that SQLite holds on it. The file is never
    /// deleted: a lock on a deleted file keeps nobody out.
    pub(super) fn take_lock(&self) -> Result<Lock, NoLock> {
        let path = self.lock();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            // A lock file on a read-only disk can still be locked.
            .or_else(|error| File::open(&path).map_err(|_| error))
            .map_err(NoLock::Io)?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
            if errno == Errno::EWOULDBLOCK { NoLock::Taken } else { NoLock::Io(errno.into()) }
        })
    }

    /// Which file the path leads to at present, to notice when the journal is
    /// moved away or replaced underneath.
    pub(super) fn identity(&self) -> io::Result<(u64, u64)> {
        let data = fs::metadata(&self.journal)?;
        Ok((data.dev(), data.ino()))
    }
}

/// Takes rights away from everybody but the owner, if anybody has any.
pub(super) fn keep_private(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, PermissionsExt::from_mode(mode & 0o700))?;
    }
    Ok(())
}

/// Makes an empty file that only its owner may read, whatever the umask.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    file.set_permissions(PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
