//! What a scanner says, and by which clock.

use std::sync::Arc;

use crate::payment::{ScannerNews, SecretText, Timestamp};

/// What a scanner tells the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// It read a code.
    Scan {
        /// Which scanner.
        scanner: String,
        /// What it read, without terminators and AIM identifier.
        text: SecretText,
        /// The AIM symbology identifier it came with, such as `]Q1`.
        aim: Option<String>,
        /// When the first character came, on the clock given to [`start`].
        started_at: Timestamp,
    },
    /// It came, went, or lost a scan.
    News {
        /// Which scanner.
        scanner: String,
        /// What happened.
        news: ScannerNews,
    },
}

/// Reads the time for [`start`].
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
