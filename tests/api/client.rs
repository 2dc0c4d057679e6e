//! The other end of the socket: plain bytes, so that nothing is done for us.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tilld::api::{Listeners, Settings, bind_unix, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::fake::Fake;

/// Nothing here takes long; whoever waits so long waits in vain.
pub const IN_VAIN: Duration = Duration::from_secs(20);

pub struct Terminal {
    pub fake: Arc<Fake>,
    pub path: PathBuf,
    pub stopping: watch::Sender<bool>,
    pub server: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
    /// It did not break off.
    pub whole: bool,
}

impl Terminal {
    pub fn start() -> Self {
        Self::start_with(Settings::default())
    }

    pub fn start_with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tilld.sock");
        let unix = bind_unix(&path, 0o660).unwrap();
        let fake = Fake::new();
        let (stopping, ends) = watch::channel(false);
        let listeners = Listeners { unix, file: None, tcp: None };
        let server = tokio::spawn(serve(listeners, fake.clone(), settings, ends));
        Self { fake, path, stopping, server, _folder: folder }
    }

    pub async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.path).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Response {
        self.ask("GET", path, &[], "").await
    }

    pub async fn put(&self, path: &str, body: &str) -> Response {
        self.ask("PUT", path, &["content-type: application/json"], body).await
    }

    pub async fn post(&self, path: &str, body: &str) -> Response {
        self.ask("POST", path, &["content-type: application/json"], body).await
    }

    pub async fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Response {
        let mut stream = self.connect().await;
        stream.write_all(request(method, path, headers, body).as_bytes()).await.unwrap();
        read_response(&mut stream).await
    }
}

pub fn request(method: &str, path: &str, headers: &[&str], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    if method != "GET" {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text
}

/// Everything until the server ends the connection.
pub async fn read_response(stream: &mut (impl AsyncReadExt + Unpin)) -> Response {
    let mut bytes = Vec::new();
    // A reset after the reply is the server's right when it did not read it all.
    let _ = tokio::time::timeout(IN_VAIN, stream.read_to_end(&mut bytes)).await.expect("a reply");
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no reply: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let head = head.to_ascii_lowercase();
    let (body, whole) = match head.contains("transfer-encoding: chunked") {
        true => unchunked(body),
        false => (body.to_owned(), true),
    };
    Response { status, head, body, whole }
}

/// The chunks in one, and whether the last one came.
fn unchunked(mut text: &str) -> (String, bool) {
    let mut whole = String::new();
    while let Some((length, rest)) = text.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return (whole, true);
        }
        whole.push_str(&rest[..length]);
        text = rest[length..].strip_prefix("\r\n").unwrap();
    }
    (whole, false)
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The problem it is, with everything a problem has.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let json = self.json();
        assert_eq!(json["code"], code);
        assert_eq!(json["status"], status);
        assert_eq!(json["type"], format!("urn:tilld:problem:{code}"));
        for member in ["title", "detail", "money", "retry"] {
            assert!(json[member].as_str().is_some_and(|text| !text.is_empty()), "{json}");
        }
        for language in ["zh", "en"] {
            assert!(json["cashier"][language].as_str().is_some_and(|s| !s.is_empty()), "{json}");
        }
        json
    }
}

/// Looks again and again until it is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let all = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(IN_VAIN, all).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}
