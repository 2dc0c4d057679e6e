//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing to put right. Prints as one line:
/// `FILE:LINE: key: what is wrong; write …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    file: PathBuf,
    line: usize,
    key: String,
    text: String,
}

impl Fault {
    /// `key` is written as `section.key`; empty when it is about none.
    #[must_use]
    pub fn new(file: &Path, line: usize, key: &str, text: &str) -> Self {
        Self { file: file.to_owned(), line, key: key.to_owned(), text: text.to_owned() }
    }

    /// The line it is about, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The key it is about, as `section.key`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file.display(), self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        // One fault, one line, whatever a library has to say.
        let text: Vec<&str> = self.text.lines().map(str::trim).collect();
        f.write_str(text.join(" ").trim())
    }
}

/// Where a value of the configuration comes from, for whoever finds a fault in
/// it later: that a file is no key is for others to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) key: String,
}

impl Place {
    /// A fault of the value that stands here. `text` says what is wrong and
    /// what to write.
    #[must_use]
    pub fn fault(&self, text: &str) -> Fault {
        Fault::new(&self.file, self.line, &self.key, text)
    }
}
