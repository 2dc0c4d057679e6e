//! A megabyte that is kept so that open payments can be brought to their end
//! when the disk is full.

use std::fs;
use std::io::{self, Write};

use nix::sys::statvfs::statvfs;

use super::files::{Files, create_private, sync_folder};

/// Some thirty entries: each takes about nine pages of the write-ahead log. While
/// it is in use the log is written back early, so that its room is used again.
const SIZE: usize = 1024 * 1024;

/// With less room than this beside the reserve nothing new is begun. It covers
/// the write-ahead log between two checkpoints.
const MARGIN: u64 = 1024 * 1024;

/// What fills it is not all zeros: a file system that compresses would
/// keep no room for that.
const PATTERN: &[u8; 16] = b"tilld\x9e\x37\x79\xb9\x7f\x4a\x7c\x15\xf3\x9c\xc0";

/// Whether the reserve is in its place.
pub(super) fn is_there(files: &Files) -> bool {
    fs::metadata(files.reserve()).is_ok_and(|data| data.len() == SIZE as u64)
}

/// Makes the reserve if it is not there, provided that there is room for it and
/// some more; `Err` says why there is not.
pub(super) fn ensure(files: &Files) -> io::Result<()> {
    look_for_room(files)?;
    if is_there(files) {
        return Ok(());
    }
    give_up(files)?;
    let made = fill(files);
    if made.is_err() {
        // Half a reserve only takes up room.
        give_up(files)?;
    }
    made
}

/// Whether there is room for the reserve and some more, without writing a byte.
pub(super) fn look_for_room(files: &Files) -> io::Result<()> {
    let needed = if is_there(files) { MARGIN } else { MARGIN + SIZE as u64 };
    if room(files)? < needed {
        return Err(io::Error::new(
            io::ErrorKind::StorageFull,
            "too little room on the disk beside the reserve for open payments",
        ));
    }
    Ok(())
}

/// What is left on the disk for us, in bytes.
#[allow(clippy::useless_conversion, reason = "these are 32 bits wide on some machines")]
fn room(files: &Files) -> io::Result<u64> {
    let disk = statvfs(files.folder())?;
    Ok(u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size())))
}

fn fill(files: &Files) -> io::Result<()> {
    let mut file = create_private(&files.reserve())?;
    file.write_all(&PATTERN.repeat(SIZE / PATTERN.len()))?;
    file.sync_all()?;
    sync_folder(files.folder())
}

/// Deletes the reserve; true if there was one.
pub(super) fn give_up(files: &Files) -> io::Result<bool> {
    match fs::remove_file(files.reserve()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
