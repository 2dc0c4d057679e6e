//! What one payment costs on this machine, next to what it must cost.
//!
//! ```text
//! cargo bench                      everything; the first run makes a journal of a
//!                                  million payments, which takes minutes
//! cargo bench -- --quick           less of everything (also BENCH_QUICK=1)
//! cargo bench -- --json            one JSON object instead of the table
//! cargo bench -- single starts     only these: single, together, syncs, starts
//! cargo bench -- peers             Alipay's own SDKs beside it; installs them
//! ```
//!
//! It runs the real `tilld` against a gateway of its own, and asserts nothing
//! about time. Journals are kept in `BENCH_DIR`, or else in
//! `/var/tmp/tilld-bench`: on a disk, because memory has no fsync to wait for.
//! `docs/benchmarks.md` says how to read the figures.

// A benchmark that cannot set its scene should say so and end.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, clippy::print_stderr)]

mod daemon;
mod floor;
mod gateway;
mod history;
mod measure;
mod peers;
mod register;
mod report;
mod wal;
mod wire;

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use serde_json::json;

use crate::report::Machine;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    if given("--list") {
        return;
    }
    // `cargo test --all-targets` runs benchmarks too, without this word: then it
    // is only to be seen that they still work.
    let by_cargo_bench = given("--bench");
    let quick = !by_cargo_bench || given("--quick") || std::env::var_os("BENCH_QUICK").is_some();
    let counts = if quick { measure::Counts::QUICK } else { measure::Counts::FULL };

    let cache = std::env::var_os("BENCH_DIR");
    let cache = cache.map_or_else(|| PathBuf::from("/var/tmp/tilld-bench"), PathBuf::from);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&cache).expect("BENCH_DIR");
    let machine = Machine::of(&cache);
    if !machine.has_disk() {
        eprintln!("{} is in memory: choose a BENCH_DIR on a disk", cache.display());
    }

    let dir = tempfile::tempdir_in(&cache).expect("a folder for this run");
    let bench = measure::Bench::new(dir.path(), &cache, counts, |what| eprintln!("{what} ..."));
    let named: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|a| !a.starts_with('-')).collect();
    // What wants the network is only done when it is named.
    let by_itself = |part: &str| named.is_empty() && part != "peers";
    let figures = bench.run(|part| by_itself(part) || named.contains(&part));

    if given("--json") {
        let whole = json!({ "quick": quick, "machine": machine.json(), "figures": figures.json() });
        println!("{whole:#}");
    } else {
        println!("{}\n{}", machine.line(), figures.table());
    }
}
