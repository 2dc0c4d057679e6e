//! Writes what the package ships beside the programs, from what the project
//! says already: man pages and completions from the commands' definitions,
//! tilld.toml(5) from the commented configuration, Debian's changelog from
//! CHANGELOG.md.
//!
//! `package-pages OUTDIR VERSION DATE`, with the package's version and a date as
//! RFC 2822 writes it.

mod changelog;
mod commands;
mod configuration;

use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, version, date] = arguments.as_slice() else {
        return fault("usage: package-pages OUTDIR VERSION DATE");
    };
    match write(Path::new(out), version, date) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fault(&format!("{out}: {why}")),
    }
}

fn write(out: &Path, version: &str, date: &str) -> io::Result<()> {
    let man = out.join("man");
    fs::create_dir_all(&man)?;
    commands::pages(&man)?;
    commands::completions(out)?;
    fs::write(man.join("tilld.toml.5"), configuration::page())?;
    fs::write(out.join("changelog.Debian"), changelog::debian(version, date))
}

#[allow(clippy::print_stderr, reason = "a command line program")]
fn fault(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::FAILURE
}
