//! What SQLite really wrote for a payment, read from its write-ahead log.

use std::path::Path;

/// A frame's header and its page.
const FRAME_HEADER: usize = 24;

/// How many bytes each transaction in the log took, oldest first.
pub(crate) fn transactions(log: &Path) -> Vec<usize> {
    let bytes = std::fs::read(log).expect("the journal's log");
    let number = |at: usize| -> u32 {
        let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
        four.map_or(0, u32::from_be_bytes)
    };
    let frame = FRAME_HEADER + usize::try_from(number(8)).expect("a page's size");
    let salts = (number(16), number(20));
    let (mut at, mut since, mut all) = (32, 0, Vec::new());
    // Behind the last frame of this round are those of the round before.
    while at + frame <= bytes.len() && (number(at + 8), number(at + 12)) == salts {
        since += frame;
        // The size of the database stands in the last frame of a transaction.
        if number(at + 4) != 0 {
            all.push(since);
            since = 0;
        }
        at += frame;
    }
    all
}
