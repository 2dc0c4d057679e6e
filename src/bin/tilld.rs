//! The daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    tilld::daemon::main()
}
