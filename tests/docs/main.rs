//! The pages say what is true: their tables and diagrams are compared with the
//! code, their commands are run, their links lead somewhere.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may")]

use std::fs;
use std::io::Write;
use std::path::Path;

mod examples;
mod machine;
mod pages;
mod refund;
mod terminal;

/// Says what was left out also when the test passes, when the harness would
/// swallow what is printed.
fn loudly(text: &str) {
    writeln!(std::io::stderr(), "NOT CHECKED: {text}").expect("somebody listens");
}

/// A file of the project.
fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// From a heading to the next one of the same or a higher level.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = page.find(&format!("{heading}\n")).unwrap_or_else(|| panic!("no {heading:?}"));
    let level = heading.bytes().take_while(|b| *b == b'#').count();
    let body = &page[start + heading.len()..];
    let is_next = |line: &str| {
        let hashes = line.bytes().take_while(|b| *b == b'#').count();
        (1..=level).contains(&hashes) && line.as_bytes().get(hashes) == Some(&b' ')
    };
    let (mut end, mut is_code) = (0, false);
    for line in body.split_inclusive('\n') {
        is_code ^= line.starts_with("```");
        if !is_code && is_next(line) {
            break;
        }
        end += line.len();
    }
    &body[..end]
}
