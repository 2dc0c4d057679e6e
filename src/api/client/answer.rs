//! What comes back: an answer, or why there is none.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::api::wire::ProblemView;

/// Why there is no answer to a request.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens: the request certainly never left this process.
    #[error("connect to the terminal at {}", path.display())]
    DaemonAbsent {
        /// The socket.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The terminal answered that it will not do it.
    #[error("{attempt}: denied ({})", problem.view.code)]
    Problem {
        /// What was asked.
        attempt: String,
        /// Its reasons.
        problem: Box<Problem>,
    },
    /// The connection broke before the answer was complete. The terminal may
    /// have got the request, or not.
    #[error("{attempt}: the connection was lost before the answer")]
    Lost {
        /// What was asked.
        attempt: String,
        /// How it broke.
        source: Box<dyn Error + Send + Sync>,
    },
    /// What answered does not speak the terminal's language.
    #[error("{attempt}: {what}")]
    Broken {
        /// What was asked.
        attempt: String,
        /// What is wrong with the answer.
        what: String,
    },
}

/// An answer that went well.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status, 200 to 299.
    pub status: u16,
    /// The JSON as it was sent, members this client does not know included.
    pub text: String,
    pub(super) attempt: String,
}

impl Answer {
    /// The answer as a value.
    ///
    /// # Errors
    ///
    /// [`ClientError::Broken`] when it has another shape.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_str(&self.text).map_err(|why| ClientError::Broken {
            attempt: self.attempt.clone(),
            what: format!("the answer has an unexpected shape: {why}"),
        })
    }
}

/// A request that the terminal will not do.
#[derive(Clone, Debug, Default)]
pub struct Problem {
    /// Its reasons.
    pub view: ProblemView,
    /// The JSON as it was sent, members this client does not know included.
    pub text: String,
}

impl Problem {
    /// Reads a problem; nothing when the text is no JSON object. The status is
    /// the reply's own.
    pub(super) fn read(status: u16, text: &str) -> Option<Self> {
        let view = serde_json::from_str(text).ok()?;
        Some(Self { view: ProblemView { status, ..view }, text: text.to_owned() })
    }
}

/// The steps of a payment, each with whatever members it has: what one answered
/// is for people to read, also where this client knows no word of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Steps {
    /// Oldest first.
    pub entries: Vec<serde_json::Map<String, serde_json::Value>>,
    /// Where the next part begins, if this is not all.
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::MoneyView;

    #[test]
    fn a_problem_without_members_is_unknown_money() {
        let problem = Problem::read(409, "{}").expect("an object");
        assert_eq!((problem.view.status, problem.view.money), (409, MoneyView::Unknown));
        assert!(Problem::read(502, "<html>").is_none());
    }
}
