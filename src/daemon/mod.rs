//! The daemon: the only loop, and the only room that knows all the others.
//!
//! ```text
//!   api ───────┐
//!   scanner ───┤            ┌──▶ journal ──┐ on disk
//!   clock ─────┼──▶ loop ───┤              ▼
//!   answers ───┘   (one     └──▶ gateway, replies: only after that
//!                  input)
//! ```

mod archive;
mod asking;
mod backend;
mod board;
mod calls;
mod check;
mod clock;
mod gate;
mod heard;
mod keys;
mod log;
mod run;
mod signer;
mod system;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use clock::Clock;

/// The configuration is at fault (`EX_CONFIG` of sysexits.h); the unit does not
/// restart on it.
const EXIT_CONFIG: u8 = 78;
/// The daemon has lost track, or a part of it has died (`EX_SOFTWARE`).
const EXIT_SOFTWARE: u8 = 70;
/// Something outside is not there: the journal, the socket (`EX_UNAVAILABLE`).
const EXIT_UNAVAILABLE: u8 = 69;

/// The command line of `tilld`.
#[derive(Debug, Parser)]
#[command(name = "tilld", version, about = "Alipay barcode payment terminal, the daemon")]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The configuration.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the configuration and the keys, say what is wrong with them, and
    /// change nothing.
    Check,
    /// Read a whole journal and check all of it: SQLite's pages, the hash of
    /// every entry, and that the payments follow from the entries. With --config
    /// also that every entry was written by a holder of the private key. Changes
    /// nothing; the daemon may be running.
    Verify {
        /// The journal, like /var/lib/tilld/journal.db; with --config, that of the
        /// configuration unless it is named.
        #[arg(value_name = "JOURNAL")]
        journal: Option<PathBuf>,
    },
    /// Move the entries of finished payments that are old to a journal of their own,
    /// while no daemon runs. The journal keeps their numbers, their sales and how
    /// they ended.
    Archive {
        /// How many days ago the last entry about a payment must have been written.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
        older_than: u32,
        /// The folder for the archive, when it is another than that of the journal.
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
    },
    /// Take a journal that has lost its newest entries for the whole. The daemon
    /// refuses to start with one, and says what is missing and how to go on.
    Accept {
        /// The number of the newest entry that is still there.
        #[arg(value_name = "NEWEST")]
        newest: u64,
        /// The journal, like /var/lib/tilld/journal.db.
        #[arg(value_name = "JOURNAL")]
        journal: PathBuf,
    },
}

/// Why the daemon ended, or did not start.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Config(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Software(String),
}

impl Ended {
    fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Config(_) => EXIT_CONFIG,
            Self::Unavailable(_) => EXIT_UNAVAILABLE,
            Self::Software(_) => EXIT_SOFTWARE,
        })
    }
}

/// What can be typed, for those who write it down: man pages, completions.
#[must_use]
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

/// The main of `tilld`.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(usage) => {
            // To stdout for --help and --version, to stderr for faults.
            let _ = usage.print();
            return ExitCode::from(if usage.use_stderr() { 2 } else { 0 });
        }
    };
    match &args.command {
        Some(Command::Verify { journal }) => {
            return verify::main(journal.as_deref(), args.config.as_deref());
        }
        Some(Command::Accept { newest, journal }) => return verify::accept(journal, *newest),
        Some(Command::Check | Command::Archive { .. }) | None => {}
    }
    let Some(config) = args.config else {
        say("tilld: --config FILE is missing, like --config /etc/tilld/tilld.toml");
        return ExitCode::from(2);
    };
    match args.command {
        Some(Command::Check) => return check::main(&config),
        Some(Command::Archive { older_than, to }) => {
            return archive::main(&config, older_than, to.as_deref());
        }
        Some(Command::Verify { .. } | Command::Accept { .. }) | None => {}
    }
    log::start();
    let ended = check::load(&config).map_err(Ended::Config).and_then(|setup| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(4)
            .build()
            .map_err(|why| Ended::Software(format!("starting the runtime: {why}")))?;
        runtime.block_on(run::run(setup))
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(ended) => {
            for line in ended.to_string().lines() {
                tracing::error!("{line}");
            }
            system::say_failed(&ended.to_string());
            ended.code()
        }
    }
}

/// What was attempted, and why it failed, down to the first cause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(why) = cause {
        text = format!("{text}: {why}");
        cause = why.source();
    }
    text
}

/// One line for the person at the console.
#[allow(clippy::print_stderr, reason = "the one place of this program that does")]
fn say(line: &str) {
    eprintln!("{line}");
}
