//! The journal: what this terminal remembers, in one SQLite file.
//!
//! ```text
//!   append(entry) ──▶ queue ──▶ one thread ──▶ one transaction, one fsync ──▶ all replies
//!                               (the only writer)
//!   payment(), list(), after() ──▶ a read-only connection, another for the loop
//! ```
//!
//! **`entries` is the journal.** It only ever grows: triggers refuse every other
//! change, the numbers have no gaps, and each entry carries the SHA-256 of the
//! one before it, so that a change behind SQLite's back is noticed. Under each hash
//! stands a tag that only a holder of the key can make, so that a change by
//! somebody who works out all the hashes anew is noticed too.
//!
//! **`payments` is a convenience.** One row a payment, for finding things
//! quickly. It is written in the transaction of the entry it follows from, and
//! could be deleted and rebuilt from the entries at any time.
//!
//! What this room does not do: it decides nothing about money, reads no clock
//! (times come with the entries), and never deletes, renames or repairs a file
//! that holds entries.
//!
//! Files beside the journal: `-wal` and `-shm` are SQLite's own, `-lock` keeps a
//! second daemon out (as does a lock on the journal itself), `-reserve` is a
//! megabyte that can be given up when the disk is full, and `-new` exists for a
//! moment while the journal is first made. The hidden `.…-head` is the note of the
//! newest entry. `-saved` is written when the journal is deleted under a daemon.

mod append;
mod archive;
mod chain;
mod check;
mod desk;
mod files;
mod head;
mod keyed;
mod open;
mod reader;
mod refunds;
mod reserve;
mod rows;
mod schema;
mod sight;
mod sqlite;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use append::{AppendError, Health, Pending};
pub use archive::{ArchiveError, Archived, archive};
pub use chain::ChainKey;
pub use open::{AcceptError, OpenError, accept, open};
pub use reader::{Filter, Head, Page, ReadError, Reader, Which};
pub use verify::{Report, VerifyError, verify};
pub use writer::Writer;
