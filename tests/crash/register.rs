//! A register program, written by hand: what it asks, and everything it is told.
//!
//! It shares no code with the daemon, so that both would have to be wrong in the
//! same way.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

/// The longest silence on a connection; the daemon of a test never needs it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

pub(crate) fn get(socket: &Path, path: &str) -> io::Result<Reply> {
    ask(socket, "GET", path, "")
}

pub(crate) fn put(socket: &Path, path: &str, body: &Value) -> io::Result<Reply> {
    ask(socket, "PUT", path, &body.to_string())
}

pub(crate) fn post(socket: &Path, path: &str) -> io::Result<Reply> {
    ask(socket, "POST", path, "")
}

/// One request on a connection of its own. An answer that is not whole is none.
fn ask(socket: &Path, verb: &str, path: &str, body: &str) -> io::Result<Reply> {
    let mut stream = connect(socket)?;
    let length = body.len();
    let request = format!(
        "{verb} {path} HTTP/1.1\r\nhost: tilld\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    read(&bytes).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn read(bytes: &[u8]) -> Option<Reply> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    Some(Reply { status, body: serde_json::from_str(body.get(..length)?).ok()? })
}

/// One event of `GET /v1/events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) data: String,
}

impl Event {
    pub(crate) fn payment(&self) -> Option<Value> {
        self.of("payment")
    }

    pub(crate) fn refund(&self) -> Option<Value> {
        self.of("refund")
    }

    fn of(&self, name: &str) -> Option<Value> {
        (self.name == name).then(|| serde_json::from_str(&self.data).expect("JSON"))
    }
}

/// Listens to the events until the daemon is gone.
pub(crate) struct Listener {
    told: Arc<Mutex<Vec<Event>>>,
    stream: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens from now on, or to what came after the event `last`. Once this
    /// returns, nothing is missed.
    pub(crate) fn start(socket: &Path, last: Option<u64>) -> io::Result<Self> {
        let mut stream = connect(socket)?;
        let last = last.map_or_else(String::new, |id| format!("last-event-id: {id}\r\n"));
        let request = format!("GET /v1/events HTTP/1.1\r\nhost: tilld\r\n{last}\r\n");
        stream.write_all(request.as_bytes())?;
        let mut text = Vec::new();
        while !String::from_utf8_lossy(&text).contains("retry: ") {
            more(&mut stream, &mut text)?;
        }
        let told = Arc::new(Mutex::new(Vec::new()));
        let (own, mut reading) = (Arc::clone(&told), stream.try_clone()?);
        let thread = std::thread::spawn(move || {
            let mut parser = Parser::default();
            loop {
                let mut new = parser.read(&mut text);
                own.lock().unwrap().append(&mut new);
                if more(&mut reading, &mut text).is_err() {
                    return;
                }
            }
        });
        Ok(Self { told, stream, thread: Some(thread) })
    }

    /// How many events were told so far.
    pub(crate) fn count(&self) -> usize {
        self.told.lock().unwrap().len()
    }

    /// What was told so far.
    pub(crate) fn told(&self) -> Vec<Event> {
        self.told.lock().unwrap().clone()
    }

    /// Everything that was told, now that the daemon is dead: what it had handed
    /// to the kernel still arrives.
    pub(crate) fn all(mut self) -> Vec<Event> {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.told()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn more(stream: &mut UnixStream, text: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 8192];
    let size = stream.read(&mut piece)?;
    if size == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    text.extend_from_slice(&piece[..size]);
    Ok(())
}

/// Takes whole events out of a body. The sizes of its chunks are lines without a
/// name.
#[derive(Default)]
struct Parser {
    id: Option<u64>,
    name: String,
}

impl Parser {
    fn read(&mut self, body: &mut Vec<u8>) -> Vec<Event> {
        let mut events = Vec::new();
        let whole = body.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = body.drain(..whole).collect();
        for line in String::from_utf8_lossy(&lines).lines() {
            match line.split_once(": ") {
                Some(("id", value)) => self.id = value.parse().ok(),
                Some(("event", value)) => value.clone_into(&mut self.name),
                Some(("data", value)) => {
                    if let Some(id) = self.id.take() {
                        let (name, data) = (self.name.clone(), value.to_owned());
                        events.push(Event { id, name, data });
                    }
                }
                _ => {}
            }
        }
        events
    }
}
