//! `tilld verify` and `tilld accept`: a whole journal, checked; one that is not whole,
//! taken for it.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use crate::journal;

/// 0 and one line about a sound journal, or 1 and what is wrong with it.
pub(super) fn main(file: &Path) -> ExitCode {
    match journal::verify(file) {
        Ok(report) => {
            let journal::Report { entries, payments, open, head_hash } = report;
            // Nobody reading is no reason to call a sound journal unsound.
            let _ = writeln!(
                io::stdout(),
                "sound: {entries} entries, {payments} payments, {open} open, head {head_hash}"
            );
            ExitCode::SUCCESS
        }
        Err(why) => {
            super::say(&super::chain(&why));
            ExitCode::FAILURE
        }
    }
}

/// 0 when the journal will be used as it is from now on, or 1 and why not.
pub(super) fn accept(file: &Path, newest: u64) -> ExitCode {
    match journal::accept(file, newest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            super::say(&super::chain(&why));
            ExitCode::FAILURE
        }
    }
}
