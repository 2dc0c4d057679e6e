//! A terminal that plays a script on a real Unix socket.
//!
//! It speaks HTTP by hand, so it can also do what no server library would:
//! cut the line at any point.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Lower case, `name: value`.
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What the terminal does with a request.
pub(crate) enum Act {
    /// Answers.
    Say(u16, String),
    /// Reads it, and cuts the line.
    Cut,
    /// Begins to answer, and cuts the line.
    CutMidway,
    /// Sends these pieces of an event stream, then cuts the line.
    Stream(Vec<String>),
    /// Sends these pieces of an event stream, then holds the line.
    StreamAndHold(Vec<String>),
}

pub(crate) struct Fake {
    folder: tempfile::TempDir,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    /// A terminal that plays `script`.
    pub(crate) fn new(script: impl FnMut(&Seen) -> Act + Send + 'static) -> Self {
        let fake = Self::absent();
        fake.listen(script);
        fake
    }

    /// A terminal that is not there yet.
    pub(crate) fn absent() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, seen: Arc::default() }
    }

    pub(crate) fn listen(&self, script: impl FnMut(&Seen) -> Act + Send + 'static) {
        let listener = UnixListener::bind(self.socket()).expect("bind");
        let script = Arc::new(Mutex::new(script));
        let seen = Arc::clone(&self.seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    while let Some(request) = read(&mut reader) {
                        seen.lock().expect("seen").push(request.clone());
                        let act = (script.lock().expect("script"))(&request);
                        if !play(reader.get_mut(), act) {
                            return;
                        }
                    }
                });
            }
        });
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("seen").clone()
    }

    /// The requests so far, one line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }

    /// Waits until a request that begins like this has arrived.
    pub(crate) fn wait_for(&self, beginning: &str) {
        let arrived = || self.lines().iter().any(|line| line.starts_with(beginning));
        until(&format!("{beginning}, but: {:?}", self.lines()), arrived);
    }
}

/// Looks again and again, with a deadline.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The daemon is gone: nobody listens on the path.
pub(crate) fn remove(socket: &Path) {
    std::fs::remove_file(socket).expect("the socket's file");
}

fn read(reader: &mut BufReader<UnixStream>) -> Option<Seen> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = vec![];
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        headers.push(line);
    }
    let length = headers.iter().find_map(|h| h.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { method, path, headers, body: String::from_utf8(body).expect("UTF-8") })
}

/// Whether the connection goes on.
fn play(stream: &mut UnixStream, act: Act) -> bool {
    let mut send = |text: &str| stream.write_all(text.as_bytes()).is_ok();
    let stream_head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    match act {
        Act::Say(status, body) => send(&format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )),
        Act::Cut => false,
        Act::CutMidway => {
            send(
                "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"state\":\"paid\",\"final\":true,",
            );
            false
        }
        Act::Stream(pieces) => {
            send(stream_head);
            pieces.iter().for_each(|piece| {
                send(piece);
            });
            false
        }
        Act::StreamAndHold(pieces) => {
            send(stream_head);
            pieces.iter().for_each(|piece| {
                send(piece);
            });
            hold(stream)
        }
    }
}

/// Waits until the other side goes away.
fn hold(stream: &mut UnixStream) -> bool {
    let _ = stream.read(&mut [0; 64]);
    false
}
