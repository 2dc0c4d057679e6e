//! The client of the socket, for people.

use std::process::ExitCode;

fn main() -> ExitCode {
    tilld::cli::main()
}
