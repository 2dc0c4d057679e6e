//! The client of the socket: what `till` and every other Rust program speaks.
//!
//! One connection per request, so a daemon that was restarted between two
//! requests is no special case. It ignores what it does not know, and survives
//! what is missing.

mod answer;
mod events;

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

pub use crate::payment::{SecretText, hide_codes};
pub use answer::{Answer, ClientError, Problem, Steps};
pub use events::{Event, Events, News};

/// How long an answer may take, besides the time that `?wait=` asks for. The
/// daemon syncs its journal before it answers, and old disks are slow.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest answer that is read: 500 payments or a long journal are far below.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// Speaks to one terminal.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the terminal that listens on this socket.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks for what is at `path`.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`].
    pub async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.ask(Method::GET, path, None, ANSWER_TIMEOUT).await
    }

    /// Asks for what is at `path` and lets the terminal take up to `wait`
    /// longer, for paths with `?wait=`.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`].
    pub async fn get_waiting(&self, path: &str, wait: Duration) -> Result<Answer, ClientError> {
        self.ask(Method::GET, path, None, ANSWER_TIMEOUT.saturating_add(wait)).await
    }

    /// Puts `body` at `path`. The same again is the same request.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`].
    pub async fn put<B: Serialize>(&self, path: &str, body: &B) -> Result<Answer, ClientError> {
        let body = encode("PUT", path, body)?;
        self.ask(Method::PUT, path, Some(body), ANSWER_TIMEOUT).await
    }

    /// Posts `body` to `path`.
    ///
    /// # Errors
    ///
    /// Every [`ClientError`].
    pub async fn post<B: Serialize>(&self, path: &str, body: &B) -> Result<Answer, ClientError> {
        let body = encode("POST", path, body)?;
        self.ask(Method::POST, path, Some(body), ANSWER_TIMEOUT).await
    }

    /// The terminal's events after the one with the id `last`, or from now on.
    #[must_use]
    pub fn events(&self, last: Option<String>) -> Events {
        Events::new(self.clone(), last)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        timeout: Duration,
    ) -> Result<Answer, ClientError> {
        let attempt = format!("{method} {path}");
        let whole = async {
            let response = self.send(method, path, body, &[]).await?;
            self.receive(&attempt, response).await
        };
        match tokio::time::timeout(timeout, whole).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Lost {
                source: format!("no answer within {} s", timeout.as_secs()).into(),
                attempt,
            }),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        headers: &[(HeaderName, &str)],
    ) -> Result<Response<Incoming>, ClientError> {
        let attempt = format!("{method} {path}");
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "tilld")
            .header(ACCEPT, "application/json, application/problem+json, text/event-stream");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body.unwrap_or_default())).map_err(|why| {
            ClientError::Broken { attempt: attempt.clone(), what: format!("no request: {why}") }
        })?;
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| ClientError::DaemonAbsent { path: self.socket.clone(), source })?;
        let lost = |source: hyper::Error| ClientError::Lost {
            attempt: attempt.clone(),
            source: Box::new(source),
        };
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        // It ends by itself when the answer has been read or dropped.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(lost)
    }

    async fn receive(
        &self,
        attempt: &str,
        response: Response<Incoming>,
    ) -> Result<Answer, ClientError> {
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let bytes = body
            .collect()
            .await
            .map_err(|source| ClientError::Lost { attempt: attempt.to_owned(), source })?
            .to_bytes();
        let broken = |what: String| ClientError::Broken { attempt: attempt.to_owned(), what };
        let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        match status.is_success() {
            true if is_json => Ok(Answer {
                status: status.as_u16(),
                text: text.to_owned(),
                attempt: attempt.to_owned(),
            }),
            true => Err(broken(format!("answered {status} without JSON"))),
            false => match Problem::read(status.as_u16(), text) {
                Some(problem) => Err(ClientError::Problem {
                    attempt: attempt.to_owned(),
                    problem: Box::new(problem),
                }),
                None => Err(broken(format!("answered {status} without a reason"))),
            },
        }
    }
}

/// The body may carry a payment code, so its bytes are wiped when it is dropped.
fn encode<B: Serialize>(method: &str, path: &str, body: &B) -> Result<Bytes, ClientError> {
    match serde_json::to_vec(body) {
        Ok(bytes) => Ok(Bytes::from_owner(Zeroizing::new(bytes))),
        Err(why) => Err(ClientError::Broken {
            attempt: format!("{method} {path}"),
            what: format!("the request cannot be written as JSON: {why}"),
        }),
    }
}

/// `text` as one segment of a path, whatever somebody typed.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'~') {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn whatever_is_typed_stays_one_segment() {
        assert_eq!(segment("2015_A"), "2015_A");
        assert_eq!(segment("../x?y#z 咖"), "%2E%2E%2Fx%3Fy%23z%20%E5%92%96");
    }
}
