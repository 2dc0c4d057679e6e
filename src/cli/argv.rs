//! The command line as other users of the box see it (`ps`).
//!
//! A payment code that was typed as an argument would stand there for as long as
//! `till` waits for the buyer. So it is written over, in the place where the
//! kernel reads the command line of this process.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

/// The field of `/proc/self/stat` with the address of the first argument, and
/// the number of the first field behind the program's name.
const ARG_START: usize = 48;
const AFTER_NAME: usize = 3;

/// Writes over every place of the command line in which `secret` stands. What
/// was seen before cannot be called back: it was there for the milliseconds
/// that a program takes to start.
///
/// # Errors
///
/// It could not be done, and `secret` can still be seen there.
pub(super) fn hide(secret: &str) -> io::Result<()> {
    let line = fs::read("/proc/self/cmdline")?;
    let places = places(&line, secret.as_bytes());
    if places.is_empty() {
        return Ok(());
    }
    let start = arguments_begin()?;
    let memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
    let stars = vec![b'*'; secret.len()];
    for place in places {
        memory.write_all_at(&stars, start.saturating_add(place as u64))?;
    }
    match places_left(secret)? {
        0 => Ok(()),
        _ => Err(io::Error::other("it is still there")),
    }
}

fn places_left(secret: &str) -> io::Result<usize> {
    Ok(places(&fs::read("/proc/self/cmdline")?, secret.as_bytes()).len())
}

/// Where `secret` stands in `line`.
fn places(line: &[u8], secret: &[u8]) -> Vec<usize> {
    if secret.is_empty() {
        return Vec::new();
    }
    let windows = line.windows(secret.len()).enumerate();
    windows.filter(|(_, window)| *window == secret).map(|(place, _)| place).collect()
}

fn arguments_begin() -> io::Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name is in brackets and may hold any.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let field = fields.split_whitespace().nth(ARG_START - AFTER_NAME);
    let start = field.and_then(|field| field.parse().ok()).filter(|start| *start != 0);
    start.ok_or_else(|| io::Error::other("the kernel does not tell where the arguments are"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_wherever_it_stands() {
        let line = b"till\0pay\0--code=281234567890123494\0x\x00281234567890123494\0";
        assert_eq!(places(line, b"281234567890123494"), [16, 37]);
        assert!(places(line, b"").is_empty());
        assert!(places(line, b"29").is_empty());
    }
}
