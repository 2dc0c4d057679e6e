//! `tilld archive`: old entries, taken out of the journal.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use super::{Clock, check};
use crate::journal;
use crate::payment::Timestamp;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// 0 and one line about what was archived, or 1 and why nothing was.
pub(super) fn main(config: &Path, older_than: u32, to: Option<&Path>) -> ExitCode {
    let setup = match check::setup(config) {
        Ok(setup) => setup,
        Err(faults) => {
            faults.iter().for_each(|fault| super::say(&fault.to_string()));
            return ExitCode::FAILURE;
        }
    };
    let age = DAY_MS.saturating_mul(older_than.into());
    let before = Timestamp(Clock::start().wall().millis().saturating_sub(age));
    let line = match journal::archive(&setup.config.journal, &setup.chain_key, before, to) {
        Ok(Some(journal::Archived { file, entries: (first, last), payments })) => {
            format!(
                "archived: entries {first} to {last}, {payments} payments, in {}",
                file.display()
            )
        }
        Ok(None) => "nothing to archive".to_owned(),
        Err(why) => {
            super::say(&super::chain(&why));
            return ExitCode::FAILURE;
        }
    };
    // Nobody reading undoes nothing.
    let _ = writeln!(io::stdout(), "{line}");
    ExitCode::SUCCESS
}
