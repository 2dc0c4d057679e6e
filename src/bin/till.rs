//! The client of the daemon, for people.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    // `till demo` runs the daemon in a process of its own, and `cargo run --bin
    // till` builds this program only: under the daemon's name it is the daemon.
    let called = std::env::args_os().next();
    if called.as_deref().and_then(|name| Path::new(name).file_name()) == Some("tilld".as_ref()) {
        return tilld::daemon::main();
    }
    tilld::cli::main()
}
