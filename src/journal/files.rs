//! The files of the journal: their names, their locks, their modes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

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
    /// It cannot be taken: there is no file to lock, and none can be made.
    Io(io::Error),
}

impl Files {
    /// Of a journal under its own name, or under a link that leads to it: SQLite
    /// names its files after the journal, not after the link. `Err` is where a
    /// link leads that leads nowhere.
    pub(super) fn of(journal: &Path) -> Result<Self, PathBuf> {
        if !journal.is_symlink() {
            return Ok(Self { journal: journal.to_owned() });
        }
        match fs::canonicalize(journal) {
            Ok(journal) => Ok(Self { journal }),
            Err(_) => Err(fs::read_link(journal).unwrap_or_default()),
        }
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

    pub(super) fn shared_memory(&self) -> PathBuf {
        self.beside("-shm")
    }

    pub(super) fn reserve(&self) -> PathBuf {
        self.beside("-reserve")
    }

    /// What a journal is saved to that would be gone with this daemon.
    pub(super) fn saved(&self) -> PathBuf {
        self.beside("-saved")
    }

    /// The note of the newest entry. Hidden, so that nobody who tidies up
    /// `journal.db-*` takes it along with the log that it watches over.
    pub(super) fn head(&self) -> PathBuf {
        let mut name = std::ffi::OsString::from(".");
        name.push(self.journal.file_name().unwrap_or_default());
        name.push("-head");
        self.folder().join(name)
    }

    /// The journal in the making.
    pub(super) fn new_journal(&self) -> Self {
        Self { journal: self.beside("-new") }
    }

    /// The journal and all that SQLite may have put beside it.
    pub(super) fn all_of_sqlite(&self) -> [PathBuf; 4] {
        [self.journal.clone(), self.wal(), self.shared_memory(), self.beside("-journal")]
    }

    pub(super) fn folder(&self) -> &Path {
        match self.journal.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Locks the file beside the journal, which is made if it is not there. It is
    /// never deleted: a lock on a deleted file keeps nobody out.
    pub(super) fn lock_beside(&self) -> Result<Flock<File>, NoLock> {
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
        lock(file)
    }
}

fn lock(file: File) -> Result<Flock<File>, NoLock> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
        if errno == Errno::EWOULDBLOCK { NoLock::Taken } else { NoLock::Io(errno.into()) }
    })
}

/// What makes the journal ours, until it is dropped.
///
/// One lock is on the journal itself: whatever name another daemon reaches it by,
/// it is the same file. (`flock` is apart from the locks of SQLite, but closing
/// *any* descriptor of the file drops those of this process; so this one is opened
/// before SQLite opens the file and closed after it.) The other is on a file
/// beside it: it holds also while the journal is not there yet, or is being
/// replaced by another file.
#[derive(Debug)]
pub(super) struct Lock {
    journal: Flock<File>,
    beside: Option<Flock<File>>,
}

impl Lock {
    /// Locks the journal, which must be there.
    pub(super) fn take(files: &Files, beside: Option<Flock<File>>) -> Result<Self, NoLock> {
        let journal = lock(File::open(&files.journal).map_err(NoLock::Io)?)?;
        Ok(Self { journal, beside })
    }

    /// A disk that takes no lock file takes no entries either: nothing is written
    /// before this has worked.
    pub(super) fn complete(&mut self, files: &Files) -> Result<(), NoLock> {
        if self.beside.is_none() {
            self.beside = Some(files.lock_beside()?);
        }
        Ok(())
    }

    /// The first bytes of the very file that is locked.
    pub(super) fn first_bytes<const N: usize>(&self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.journal.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Whether the locked file still has a name.
    pub(super) fn has_a_name(&self) -> bool {
        self.journal.metadata().is_ok_and(|data| data.nlink() > 0)
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
