//! `tilld verify` and `tilld accept`: a whole journal, checked; one that is not whole,
//! taken for it.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use super::check;
use crate::journal;

/// 0 and one line about a sound journal, or 1 and what is wrong with it.
pub(super) fn main(file: Option<&Path>, config: Option<&Path>) -> ExitCode {
    let setup = match config.map(check::setup).transpose() {
        Ok(setup) => setup,
        Err(faults) => {
            faults.iter().for_each(|fault| super::say(&fault.to_string()));
            return ExitCode::FAILURE;
        }
    };
    let key = setup.as_ref().map(|setup| &setup.chain_key);
    let Some(file) = file.or(setup.as_ref().map(|setup| setup.config.journal.as_path())) else {
        super::say("tilld verify: name a journal, or --config FILE");
        return ExitCode::from(2);
    };
    match journal::verify(file, key) {
        Ok(report) => {
            let line = line(&report, key.is_some());
            // Nobody reading is no reason to call a sound journal unsound.
            let _ = writeln!(io::stdout(), "{line}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            super::say(&super::chain(&why));
            ExitCode::FAILURE
        }
    }
}

fn line(report: &journal::Report, with_key: bool) -> String {
    let journal::Report { entries, archived, proven, other_key, payments, open, head_hash } =
        report;
    let mut line =
        format!("sound: {entries} entries, {payments} payments, {open} open, head {head_hash}");
    if *archived > 0 {
        line += &format!("; begins after {archived} archived entries");
    }
    if with_key {
        line += &format!("; {proven} entries proven by the key");
        if *other_key > 0 {
            line += &format!(", {other_key} under another key and not proven");
        }
        let unkeyed = entries.saturating_sub(*proven).saturating_sub(*other_key);
        if unkeyed > 0 {
            line += &format!(", {unkeyed} older than the keyed chain and not proven");
        }
    } else if *entries > 0 {
        line += "; who wrote the entries was not proven, which takes the key: --config FILE";
    }
    line
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
