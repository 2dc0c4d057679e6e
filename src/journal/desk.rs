//! The one thread that writes: what it owns and what it does.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{io, mem, thread};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::watch;

use super::append::{AppendError, Health};
use super::chain::ChainKey;
use super::files::{Files, Lock, NoLock, create_private, sync_folder};
use super::head;
use super::keyed;
use super::reader::Reader;
use super::reserve;
use super::rows::Draft;
use super::sight::{Change, Sight};
use super::sqlite::{self, Tip};
use super::verify;
use super::writer::Job;

/// So many entries share one fsync at most, so that the first of them is not
/// held up by a stream of others without end.
const BATCH_MAX: usize = 256;

/// The log is moved into the journal after so many transactions, which keeps it
/// at about a megabyte.
const CHECKPOINT_AFTER: u32 = 40;

/// The same while the reserve is in use: a log that is moved early begins at its
/// front again, and does not grow.
const CHECKPOINT_AFTER_WHEN_FULL: u32 = 4;

/// The thread's turn is never longer than this without work, for the watchdog;
/// and a journal that cannot be written is tried this often.
const TURN: Duration = Duration::from_secs(1);

/// Between two looks at what a failed commit left behind.
const SETTLE_PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_secs(2),
];

/// An entry being written.
struct Work {
    job: Job,
    draft: Draft,
    /// Where it stands once its transaction is committed.
    placed: Tip,
}

impl Work {
    /// What cannot be put into words is refused at once.
    fn of(job: Job) -> Option<Self> {
        match Draft::of(&job.entry) {
            Ok(draft) => Some(Self { job, draft, placed: Tip::NONE }),
            Err(error) => {
                job.reply(Err(AppendError::Refused(error.to_string())));
                None
            }
        }
    }

    /// It is about a payment that is in the journal already, which has to be
    /// brought to its end.
    fn is_for_known_payment(&self) -> bool {
        self.draft.summary.as_ref().is_some_and(|summary| summary.rev() > 1)
    }
}

/// How a transaction failed.
enum Failure {
    /// No room. Rolled back: certainly nothing was written.
    Full,
    /// One entry contradicts the journal. Rolled back.
    Refused(usize, String),
    /// There is no journal to write to: certainly nothing was written.
    NotConnected(String),
    /// It never came to the commit: certainly nothing was written.
    NotCommitted(String),
    /// The commit failed half-way: nobody knows without looking.
    Unknown(String),
    /// It is on disk, in a file that has lost its name meanwhile.
    Misplaced,
}

/// Everything the thread owns.
pub(super) struct Desk {
    files: Files,
    lock: Lock,
    /// Under which entries are written.
    key: ChainKey,
    /// Only to be closed when the writer cannot open the journal: all connections
    /// of a process share one view of the files beside it, and keep it for as
    /// long as one of them is open, read-only as it may have been found.
    reader: Reader,
    conn: Option<Connection>,
    /// The files as this thread has left them.
    left: Option<Sight>,
    /// What was looked through after somebody else had changed it, and why it is
    /// of no use.
    unsound: Option<(Sight, String)>,
    /// What became of a journal that was taken away, and where it is now.
    taken_away: Option<String>,
    /// The newest entry that is known to be durable.
    tip: Option<Tip>,
    /// What the newest entry will be if a commit that failed is there after all.
    hoped: Option<Tip>,
    telltale: Telltale,
    /// When the journal was last tried, while it cannot be written.
    tried_at: Option<Instant>,
    uncheckpointed: u32,
    #[cfg(test)]
    switches: Arc<super::tests::Switches>,
}

/// What the thread shows to the outside, and what it watches.
pub(super) struct Telltale {
    pub(super) health: watch::Sender<Health>,
    pub(super) heartbeat: Arc<AtomicU64>,
    pub(super) stopping: Arc<AtomicBool>,
}

impl Desk {
    /// Takes over the connection that was opened at the start, if there is one,
    /// and finds out whether it can write.
    pub(super) fn new(
        files: Files,
        lock: Lock,
        key: ChainKey,
        reader: Reader,
        conn: Option<Connection>,
        telltale: Telltale,
        #[cfg(test)] switches: Arc<super::tests::Switches>,
    ) -> Self {
        let mut desk = Self {
            files,
            lock,
            key,
            reader,
            conn: None,
            left: None,
            unsound: None,
            taken_away: None,
            tip: None,
            hoped: None,
            telltale,
            tried_at: None,
            uncheckpointed: 0,
            #[cfg(test)]
            switches,
        };
        if let Some((tip, conn)) = conn.and_then(|conn| Some((Tip::read(&conn).ok()?, conn))) {
            desk.tip = Some(tip);
            if desk.keep(conn).is_ok() {
                desk.note(&tip);
            }
        }
        desk.try_to_recover();
        desk
    }

    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            self.telltale.heartbeat.fetch_add(1, Ordering::Relaxed);
            match jobs.recv_timeout(TURN) {
                Ok(first) => {
                    let company = jobs.try_iter().take(BATCH_MAX - 1);
                    let batch = std::iter::once(first).chain(company);
                    let batch = batch.filter_map(Work::of).collect();
                    self.write(batch);
                }
                Err(RecvTimeoutError::Timeout) => self.watch(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.trouble().is_some() && self.tried_at.is_none_or(|at| at.elapsed() >= TURN) {
                self.try_to_recover();
            }
            let is_full = self.trouble().is_some() && !reserve::is_there(&self.files);
            let after = if is_full { CHECKPOINT_AFTER_WHEN_FULL } else { CHECKPOINT_AFTER };
            if self.uncheckpointed >= after {
                self.checkpoint("PASSIVE");
            }
        }
        self.leave();
    }

    // --- writing -------------------------------------------------------------

    /// Writes what can be written of `batch`, and replies to all of it.
    fn write(&mut self, mut batch: Vec<Work>) {
        if let Some(why) = self.trouble() {
            // Whatever room and luck there is belongs to what is open.
            batch = self.turn_away_new(batch, &why);
        }
        let mut reserve_is_tried = false;
        while !batch.is_empty() {
            match self.transaction(&mut batch) {
                Ok(()) => return self.written(batch),
                Err(Failure::Refused(index, why)) => {
                    batch.remove(index).job.reply(Err(AppendError::Refused(why)));
                }
                Err(Failure::Full) => {
                    let why = "the disk is full";
                    let had_company = batch.iter().any(|work| !work.is_for_known_payment());
                    self.suffer(why);
                    batch = self.turn_away_new(batch, why);
                    if had_company {
                        // Without the others it may fit.
                        continue;
                    }
                    let given_up = !reserve_is_tried
                        && !batch.is_empty()
                        && reserve::give_up(&self.files).unwrap_or(false);
                    reserve_is_tried = true;
                    if !given_up {
                        return not_written(batch, why);
                    }
                    self.suffer("the disk is full; the reserve is in use to finish open payments");
                }
                Err(Failure::NotConnected(why)) => {
                    self.suffer(&why);
                    return not_written(batch, &why);
                }
                Err(Failure::NotCommitted(why)) => {
                    self.conn = None;
                    self.suffer(&why);
                    return not_written(batch, &why);
                }
                Err(Failure::Unknown(why)) => {
                    self.conn = None;
                    return self.settle(batch, &format!("a write failed half-way ({why})"));
                }
                // Only the connection that is open still reaches it.
                Err(Failure::Misplaced) => {
                    return self.settle(batch, "the files of the journal were taken away");
                }
            }
        }
    }

    fn turn_away_new(&self, batch: Vec<Work>, why: &str) -> Vec<Work> {
        let (known, new): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(Work::is_for_known_payment);
        not_written(new, why);
        known
    }

    /// Writes the whole batch, or nothing of it.
    fn transaction(&mut self, batch: &mut [Work]) -> Result<(), Failure> {
        self.connect().map_err(Failure::NotConnected)?;
        let written = self.insert_all(batch);
        let is_in_place = self.look_after_write();
        let tip = written?;
        if !is_in_place {
            return Err(Failure::Misplaced);
        }
        self.tip = Some(tip);
        self.uncheckpointed = self.uncheckpointed.saturating_add(1);
        Ok(())
    }

    fn insert_all(&self, batch: &mut [Work]) -> Result<Tip, Failure> {
        let conn = self.connection().map_err(Failure::NotConnected)?;
        #[cfg(test)]
        self.switches.begin(conn);
        let begun = sqlite::begin(conn).and_then(|()| Tip::read(conn));
        let before = begun.map_err(|error| before_commit(conn, &error))?;
        let mut tip = before;
        for (index, work) in batch.iter_mut().enumerate() {
            match sqlite::insert(conn, &work.draft, work.job.at.millis(), &tip, &self.key) {
                Ok(placed) => tip = placed,
                Err(error) if sqlite::code_of(&error) == Some(ErrorCode::ConstraintViolation) => {
                    sqlite::roll_back(conn);
                    return Err(Failure::Refused(index, error.to_string()));
                }
                Err(error) => return Err(before_commit(conn, &error)),
            }
            work.placed = tip;
        }
        match self.commit(conn) {
            Ok(()) => Ok(tip),
            // The log had no room for the commit mark, so there should be none.
            Err(error) if sqlite::is_full(&error) => {
                sqlite::roll_back(conn);
                match Tip::read(conn) {
                    Ok(found) if found == before => Err(Failure::Full),
                    Ok(_) | Err(_) => Err(Failure::Unknown(error.to_string())),
                }
            }
            Err(error) => Err(Failure::Unknown(error.to_string())),
        }
    }

    fn commit(&self, conn: &Connection) -> rusqlite::Result<()> {
        #[cfg(test)]
        if let Some(outcome) = self.switches.commit(conn) {
            return outcome;
        }
        sqlite::commit(conn)
    }

    /// The batch is durable: notes that, and tells everybody.
    fn written(&self, batch: Vec<Work>) {
        if let Some(last) = batch.last() {
            self.note(&last.placed);
        }
        for work in batch {
            let seq = work.placed.seq.unsigned_abs();
            work.job.reply(Ok(seq));
        }
    }

    /// A note that cannot be written stays behind the journal, where it says
    /// less and nothing wrong.
    fn note(&self, tip: &Tip) {
        let _ = head::write(&self.files, tip);
    }

    // --- when nobody knows ---------------------------------------------------

    /// Finds out what the journal really holds after a commit that failed, and
    /// only then replies: all of the batch is in it, or nothing.
    fn settle(&mut self, batch: Vec<Work>, why: &str) {
        self.hoped = batch.last().map(|work| work.placed);
        self.suffer(&format!("{why}; finding out what is on disk"));
        let mut pauses = SETTLE_PAUSES.iter();
        let mut pause = Duration::ZERO;
        loop {
            match self.look_for(&batch) {
                Ok(true) => {
                    self.tip = self.hoped.take();
                    self.tried_at = None;
                    return self.written(batch);
                }
                Ok(false) => {
                    self.hoped = None;
                    self.tried_at = None;
                    return not_written(batch, why);
                }
                Err(again) => {
                    self.suffer(&format!(
                        "{why}, and what is on disk cannot be found out: {again}"
                    ));
                }
            }
            // Dropping the batch tells everybody that nothing is known.
            if self.telltale.stopping.load(Ordering::Relaxed) {
                return;
            }
            pause = pauses.next().copied().unwrap_or(pause);
            self.wait(pause);
        }
    }

    /// Whether the batch is in the journal, and durable.
    fn look_for(&mut self, batch: &[Work]) -> Result<bool, String> {
        self.connect()?;
        let conn = self.connection()?;
        // What can be read may only be in memory, after an fsync that failed.
        // This writes it once more, to another file, and asks for that.
        let found = sqlite::checkpoint(conn, "TRUNCATE").and_then(|()| Tip::read(conn));
        self.look_after_write();
        match found {
            Ok(found) => Ok(batch.last().is_some_and(|work| work.placed == found)),
            Err(error) => {
                self.conn = None;
                Err(error.to_string())
            }
        }
    }

    fn wait(&self, length: Duration) {
        let end = Instant::now() + length;
        while Instant::now() < end && !self.telltale.stopping.load(Ordering::Relaxed) {
            self.telltale.heartbeat.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(20));
        }
    }

    // --- the connection ------------------------------------------------------

    fn connection(&self) -> Result<&Connection, String> {
        self.conn.as_ref().ok_or_else(|| "it is not open".to_owned())
    }

    /// Makes sure of a connection to the very files that this writer has always
    /// written to, with nothing in them that is not its own.
    fn connect(&mut self) -> Result<(), String> {
        #[cfg(test)]
        self.switches.connect()?;
        self.lock.complete(&self.files).map_err(|no| match no {
            NoLock::Taken => "it is in use by another tilld".to_owned(),
            NoLock::Io(error) => format!("its lock cannot be taken: {error}"),
        })?;
        let now = Sight::of(&self.files).map_err(|error| error.to_string())?;
        let change = match (&self.left, &self.conn) {
            (None, _) => None,
            (Some(left), Some(_)) => now.since(left),
            (Some(left), None) => now.since_closed(left),
        };
        match change {
            None if self.conn.is_some() => Ok(()),
            None => self.open(),
            Some(Change::Journal) => Err(self.save()),
            Some(Change::Beside) => self.bring_home(),
            Some(Change::Content) => self.examine(&now),
        }
    }

    fn open(&mut self) -> Result<(), String> {
        // SQLite would delete the log that stands beside an empty file.
        let header = self.lock.first_bytes::<16>().map_err(|error| error.to_string())?;
        if header != *b"SQLite format 3\0" {
            return Err("the file was emptied or overwritten".to_owned());
        }
        let conn = sqlite::open_writer(&self.files.journal).map_err(|e| e.to_string())?;
        let found = Tip::read(&conn).map_err(|e| e.to_string())?;
        if *self.tip.get_or_insert(found) != found && self.hoped != Some(found) {
            return Err("the file was replaced by another, or has lost entries".to_owned());
        }
        keyed::begin(&conn, &self.key).map_err(|e| e.to_string())?;
        self.keep(conn).map_err(|error| format!("the names in its folder are not durable: {error}"))
    }

    /// SQLite syncs data alone, also of the folder when it has made a log there,
    /// which by that need not keep its name through a power cut.
    fn keep(&mut self, conn: Connection) -> io::Result<()> {
        sync_folder(self.files.folder())?;
        self.left = Sight::of(&self.files).ok();
        self.conn = Some(conn);
        (self.unsound, self.taken_away) = (None, None);
        Ok(())
    }

    /// After each of our own writes, whatever became of it; false if the files
    /// have lost their names meanwhile.
    fn look_after_write(&mut self) -> bool {
        let Ok(now) = Sight::of(&self.files) else { return false };
        let change = self.left.and_then(|left| now.since(&left));
        match change {
            Some(Change::Journal | Change::Beside) => false,
            Some(Change::Content) | None => {
                self.left = Some(now);
                true
            }
        }
    }

    /// While there is nothing to do: what somebody else does to the files shall
    /// be known before the next payment.
    fn watch(&mut self) {
        if self.trouble().is_none()
            && let Err(why) = self.connect()
        {
            self.suffer(&why);
        }
    }

    /// A file beside the journal was taken away. The open connection still has
    /// what was in it: moves that into the journal itself, and begins new files.
    fn bring_home(&mut self) -> Result<(), String> {
        let foreign = "another file stands in place of its log: move it away, do not delete it";
        let Some(conn) = &self.conn else { return Err(foreign.to_owned()) };
        let reader = self.reader.clone();
        let _nobody_reads = reader.hold();
        sqlite::checkpoint(conn, "TRUNCATE").map_err(|error| {
            format!("its log was taken away, and cannot be moved home: {error}")
        })?;
        self.conn = None;
        let home = Sight::of(&self.files).map_err(|error| error.to_string())?.without_log();
        self.left = Some(home);
        let now = Sight::of(&self.files).map_err(|error| error.to_string())?;
        match now.since_closed(&home) {
            None => self.open(),
            Some(_) => Err(foreign.to_owned()),
        }
    }

    /// Another file has the journal's name, or none has. What the open connection
    /// has goes into its own file; and to another, if nobody finds that one again.
    fn save(&mut self) -> String {
        if let Some(told) = &self.taken_away {
            return told.clone();
        }
        let gone = "the file was replaced by another, or is gone";
        let Some(conn) = &self.conn else { return gone.to_owned() };
        let told = match sqlite::checkpoint(conn, "TRUNCATE") {
            Err(error) => return format!("{gone}, and its log cannot be moved into it: {error}"),
            Ok(()) if self.lock.has_a_name() => {
                format!("{gone}; put it back from where it was moved to")
            }
            Ok(()) => {
                let saved = self.files.saved();
                match save_to(conn, &saved) {
                    Err(error) => return format!("{gone}, and cannot be saved: {error}"),
                    Ok(()) => format!(
                        "{gone}; what it held was saved: stop tilld, and put {} in its place",
                        saved.display()
                    ),
                }
            }
        };
        self.taken_away = Some(told.clone());
        told
    }

    /// The files are the same, but somebody else has written to them: all of them
    /// is read before anything is written to them again.
    fn examine(&mut self, now: &Sight) -> Result<(), String> {
        if let Some((_, why)) = self.unsound.as_ref().filter(|(seen, _)| seen == now) {
            return Err(why.clone());
        }
        let reader = self.reader.clone();
        let _nobody_reads = reader.hold();
        self.conn = None;
        let left = self.left;
        let found = self.open().and_then(|()| {
            let conn = self.connection()?;
            verify::check_whole(&self.files, conn, Some(&self.key))
                .map_err(|error| error.to_string())
        });
        found.map(|_| ()).map_err(|why| {
            let why = format!("another program has changed it: {why}");
            (self.conn, self.left) = (None, left);
            self.unsound = Some((*now, why.clone()));
            why
        })
    }

    /// Moves the log into the journal. A failure costs nothing that was promised,
    /// but the next write would meet it too.
    fn checkpoint(&mut self, mode: &str) {
        self.uncheckpointed = 0;
        let Some(conn) = &self.conn else { return };
        let done = sqlite::checkpoint(conn, mode);
        self.look_after_write();
        match done {
            Ok(()) => {}
            Err(error) if sqlite::code_of(&error) == Some(ErrorCode::DatabaseBusy) => {}
            Err(error) => {
                self.suffer(&error.to_string());
                self.conn = None;
            }
        }
    }

    /// Leaves a journal without files of SQLite's beside it, if all is as it
    /// should be.
    fn leave(&mut self) {
        if self.conn.is_none() || self.connect().is_err() {
            return;
        }
        let Some(conn) = self.conn.take() else { return };
        if sqlite::checkpoint(&conn, "TRUNCATE").is_ok() {
            self.reader.close();
            // It is closed in every case.
            let _ = sqlite::close_tidily(conn);
        }
    }

    // --- health --------------------------------------------------------------

    fn trouble(&self) -> Option<String> {
        match &*self.telltale.health.borrow() {
            Health::Writable => None,
            Health::Unavailable(why) => Some(why.clone()),
        }
    }

    fn suffer(&self, why: &str) {
        self.become_(Health::Unavailable(why.to_owned()));
    }

    fn become_(&self, health: Health) {
        self.telltale.health.send_if_modified(|known| {
            let is_news = *known != health;
            *known = health;
            is_news
        });
    }

    /// Tries a real write and the room for more; all is well again if both work.
    fn try_to_recover(&mut self) {
        self.tried_at = Some(Instant::now());
        match self.is_writable() {
            Ok(()) => self.become_(Health::Writable),
            Err(why) => self.suffer(&why),
        }
    }

    fn is_writable(&mut self) -> Result<(), String> {
        self.connect().inspect_err(|_| self.reader.close())?;
        // First a look: a probe writes, and what the reserve gave is for the
        // payments that are open.
        reserve::look_for_room(&self.files).map_err(|error| no_reserve(&error))?;
        let probed = sqlite::probe(self.connection()?);
        self.look_after_write();
        if let Err(error) = probed {
            if sqlite::is_full(&error) {
                return Err("the disk is full".to_owned());
            }
            self.conn = None;
            self.reader.close();
            return Err(error.to_string());
        }
        self.uncheckpointed = self.uncheckpointed.saturating_add(1);
        reserve::ensure(&self.files).map_err(|error| no_reserve(&error))
    }
}

fn no_reserve(error: &io::Error) -> String {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        format!("the disk is full: {error}")
    } else {
        format!("the reserve beside it cannot be made: {error}")
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.suffer("the journal's writer has ended");
        // Before the lock, so that the next daemon finds a closed journal.
        self.reader.close();
        drop(mem::take(&mut self.conn));
    }
}

/// A failure before the commit was tried: nothing can have been written.
fn before_commit(conn: &Connection, error: &rusqlite::Error) -> Failure {
    sqlite::roll_back(conn);
    if sqlite::is_full(error) { Failure::Full } else { Failure::NotCommitted(error.to_string()) }
}

/// Copies all that a connection has to a file that is not there yet.
fn save_to(conn: &Connection, path: &Path) -> Result<(), String> {
    let text = |error: io::Error| format!("{}: {error}", path.display());
    drop(create_private(path).map_err(text)?);
    conn.execute("VACUUM INTO ?1", [path.to_string_lossy()]).map_err(|error| error.to_string())?;
    File::open(path).and_then(|file| file.sync_all()).map_err(text)
}

fn not_written(batch: Vec<Work>, why: &str) {
    for work in batch {
        work.job.reply(Err(AppendError::NotWritten(why.to_owned())));
    }
}
