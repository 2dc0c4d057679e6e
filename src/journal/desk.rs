//! The one thread that writes: what it owns and what it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{io, mem, thread};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::watch;

use super::append::{AppendError, Health};
use super::files::{Files, Lock, NoLock};
use super::reader::Reader;
use super::reserve;
use super::rows::Draft;
use super::sqlite::{self, Tip};
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
        self.draft.summary.as_ref().is_some_and(|summary| summary.rev > 1)
    }
}

/// How a transaction failed.
enum Failure {
    /// No room. Rolled back: certainly nothing was written.
    Full,
    /// One entry contradicts the journal. Rolled back.
    Refused(usize, String),
    /// It never came to the commit: certainly nothing was written.
    NotCommitted(String),
    /// The commit failed half-way: nobody knows without looking.
    Unknown(String),
}

/// Everything the thread owns.
pub(super) struct Desk {
    files: Files,
    lock: Option<Lock>,
    /// Only to be closed when the writer cannot open the journal: all connections
    /// of a process share one view of the files beside it, and keep it for as
    /// long as one of them is open, read-only as it may have been found.
    reader: Reader,
    conn: Option<Open>,
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

/// The connection, and the file that it writes to.
struct Open {
    conn: Connection,
    file: (u64, u64),
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
        lock: Option<Lock>,
        reader: Reader,
        conn: Option<Connection>,
        telltale: Telltale,
        #[cfg(test)] switches: Arc<super::tests::Switches>,
    ) -> Self {
        let mut desk = Self {
            files,
            lock,
            reader,
            conn: None,
            tip: None,
            hoped: None,
            telltale,
            tried_at: None,
            uncheckpointed: 0,
            #[cfg(test)]
            switches,
        };
        let opened = conn.and_then(|conn| {
            let (tip, file) = (Tip::read(&conn).ok()?, desk.files.identity().ok()?);
            Some((tip, Open { conn, file }))
        });
        if let Some((tip, open)) = opened {
            desk.tip = Some(tip);
            desk.conn = Some(open);
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
                Err(RecvTimeoutError::Timeout) => {}
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
        self.checkpoint("TRUNCATE");
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
                Ok(()) => return written(batch),
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
                Err(Failure::NotCommitted(why)) => {
                    self.conn = None;
                    self.suffer(&why);
                    return not_written(batch, &why);
                }
                Err(Failure::Unknown(why)) => return self.settle(batch, &why),
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
        self.connect().map_err(Failure::NotCommitted)?;
        let conn = self.connection().map_err(Failure::NotCommitted)?;
        #[cfg(test)]
        self.switches.begin(conn);
        let begun = conn.execute_batch("BEGIN IMMEDIATE").and_then(|()| Tip::read(conn));
        let before = begun.map_err(|error| before_commit(conn, &error))?;
        let mut tip = before;
        for (index, work) in batch.iter_mut().enumerate() {
            match sqlite::insert(conn, &work.draft, work.job.at.millis(), &tip) {
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
            Ok(()) => {
                self.tip = Some(tip);
                self.uncheckpointed = self.uncheckpointed.saturating_add(1);
                Ok(())
            }
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
        conn.execute_batch("COMMIT")
    }

    // --- when nobody knows ---------------------------------------------------

    /// Finds out what the journal really holds after a commit that failed, and
    /// only then replies: all of the batch is in it, or nothing.
    fn settle(&mut self, batch: Vec<Work>, why: &str) {
        self.conn = None;
        self.hoped = batch.last().map(|work| work.placed);
        self.suffer(&format!("a write failed half-way ({why}); finding out what is on disk"));
        let mut pauses = SETTLE_PAUSES.iter();
        let mut pause = Duration::ZERO;
        loop {
            match self.look_for(&batch) {
                Ok(true) => {
                    self.tip = self.hoped.take();
                    self.tried_at = None;
                    return written(batch);
                }
                Ok(false) => {
                    self.hoped = None;
                    self.tried_at = None;
                    return not_written(batch, why);
                }
                Err(again) => {
                    self.conn = None;
                    self.suffer(&format!(
                        "a write failed half-way ({why}), and what is on disk cannot be found out: {again}"
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
        sqlite::checkpoint(conn, "TRUNCATE").map_err(|error| error.to_string())?;
        let found = Tip::read(conn).map_err(|error| error.to_string())?;
        Ok(batch.last().is_some_and(|work| work.placed == found))
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
        self.conn.as_ref().map(|open| &open.conn).ok_or_else(|| "it is not open".to_owned())
    }

    /// Makes sure of a connection to the very file that this writer has always
    /// written to.
    fn connect(&mut self) -> Result<(), String> {
        #[cfg(test)]
        self.switches.connect()?;
        if self.lock.is_none() {
            let lock = self.files.take_lock().map_err(|no| match no {
                NoLock::Taken => "it is in use by another tilld".to_owned(),
                NoLock::Io(error) => format!("its lock cannot be taken: {error}"),
            })?;
            self.lock = Some(lock);
        }
        let file = self.files.identity().map_err(|error| error.to_string())?;
        if self.conn.as_ref().is_some_and(|open| open.file != file) {
            self.conn = None;
        }
        if self.conn.is_none() {
            let conn = sqlite::open_writer(&self.files.journal).map_err(|e| e.to_string())?;
            let found = Tip::read(&conn).map_err(|e| e.to_string())?;
            if *self.tip.get_or_insert(found) != found && self.hoped != Some(found) {
                return Err("the file was replaced by another, or has lost entries".to_owned());
            }
            self.conn = Some(Open { conn, file });
        }
        Ok(())
    }

    /// Moves the log into the journal. A failure costs nothing that was promised,
    /// but the next write would meet it too.
    fn checkpoint(&mut self, mode: &str) {
        self.uncheckpointed = 0;
        let Some(open) = &self.conn else { return };
        match sqlite::checkpoint(&open.conn, mode) {
            Ok(()) => {}
            Err(error) if sqlite::code_of(&error) == Some(ErrorCode::DatabaseBusy) => {}
            Err(error) => {
                self.suffer(&error.to_string());
                self.conn = None;
            }
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
        if let Err(error) = sqlite::probe(self.connection()?) {
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
        drop(mem::take(&mut self.conn));
    }
}

/// A failure before the commit was tried: nothing can have been written.
fn before_commit(conn: &Connection, error: &rusqlite::Error) -> Failure {
    sqlite::roll_back(conn);
    if sqlite::is_full(error) { Failure::Full } else { Failure::NotCommitted(error.to_string()) }
}

fn written(batch: Vec<Work>) {
    for work in batch {
        let seq = work.placed.seq.unsigned_abs();
        work.job.reply(Ok(seq));
    }
}

fn not_written(batch: Vec<Work>, why: &str) {
    for work in batch {
        work.job.reply(Err(AppendError::NotWritten(why.to_owned())));
    }
}
