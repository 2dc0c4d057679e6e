//! A client of the API as small as can be, so that nothing of the daemon's own
//! client is between the test and the wire.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::till::PATIENCE;

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    /// The body, provided that the status is this one.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &&str| {
            line.split_once(':').is_some_and(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        self.head.lines().find(line)?.split_once(':').map(|(_, value)| value.trim())
    }
}

pub(crate) fn unix(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

pub(crate) fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends one request, and does not wait for its reply.
pub(crate) fn send(
    stream: &mut impl Write,
    verb: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> io::Result<()> {
    let host = if headers.contains("Host:") { "" } else { "Host: till\r\n" };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = body.len();
    let request = format!(
        "{verb} {path} HTTP/1.1\r\n{host}{headers}{kind}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())
}

/// Reads one reply to its end.
pub(crate) fn receive(stream: &mut impl Read) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    let reply = Reply { status, head: head.to_owned(), text: body.to_owned() };
    let length = reply.header("content-length").and_then(|length| length.parse().ok());
    if length.is_some_and(|length: usize| length != reply.text.len()) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(reply)
}

pub(crate) fn exchange(socket: &Path, verb: &str, path: &str, body: &str) -> io::Result<Reply> {
    let mut stream = unix(socket)?;
    send(&mut stream, verb, path, "", body)?;
    receive(&mut stream)
}

/// One event of the stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) data: Value,
    pub(crate) raw: String,
}

impl Event {
    /// Whether its members are these.
    pub(crate) fn is(&self, name: &str, members: &[(&str, &str)]) -> bool {
        self.name == name && members.iter().all(|(member, value)| self.data[member] == *value)
    }
}

/// An event stream.
pub(crate) struct Events {
    stream: UnixStream,
    /// What came, without the frames of the transfer, from the first event that
    /// was not given out yet.
    text: String,
    raw: Vec<u8>,
    is_past_head: bool,
}

impl Events {
    pub(crate) fn open(socket: &Path, after: Option<u64>) -> Self {
        let mut stream = unix(socket).expect("a connection");
        let header = after.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        send(&mut stream, "GET", "/v1/events", &header, "").expect("sent");
        let mut events = Self { stream, text: String::new(), raw: Vec::new(), is_past_head: false };
        // The stream begins with what the API says at once; from then on nothing
        // is missed.
        let deadline = Instant::now() + PATIENCE;
        while !events.text.contains("retry:") {
            assert!(events.more(), "the stream ended before it began");
            assert!(Instant::now() < deadline, "no event stream: {:?}", events.text);
        }
        events
    }

    /// The next event; nothing when the stream has ended.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Comments keep an idle stream alive, but not this test.
            assert!(Instant::now() < deadline, "no event came");
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = read_event(block);
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// All events up to the first that is so, and that one.
    pub(crate) fn until(&mut self, mut so: impl FnMut(&Event) -> bool) -> Vec<Event> {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            assert!(Instant::now() < deadline, "it never came to be: {seen:#?}");
            let event = self.next().unwrap_or_else(|| panic!("the stream ended: {seen:#?}"));
            let is_so = so(&event);
            seen.push(event);
            if is_so {
                return seen;
            }
        }
    }

    /// Reads some more; false at the end.
    fn more(&mut self) -> bool {
        let mut some = [0; 16 * 1024];
        let read = match self.stream.read(&mut some) {
            Ok(read) => read,
            Err(why) if why.kind() == io::ErrorKind::ConnectionReset => 0,
            Err(why) => panic!("no event came: {why}"),
        };
        self.raw.extend_from_slice(&some[..read]);
        if !self.is_past_head
            && let Some(end) = self.raw.windows(4).position(|w| w == b"\r\n\r\n")
        {
            let head = String::from_utf8(self.raw.drain(..end + 4).collect()).unwrap();
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert!(head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{head}");
            self.is_past_head = true;
        }
        while self.is_past_head
            && let Some(end) = self.raw.windows(2).position(|w| w == b"\r\n")
        {
            let size = std::str::from_utf8(&self.raw[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
            if self.raw.len() < end + 2 + size + 2 {
                break;
            }
            let chunk = self.raw[end + 2..end + 2 + size].to_vec();
            self.text.push_str(std::str::from_utf8(&chunk).expect("whole characters"));
            self.raw.drain(..end + 2 + size + 2);
        }
        read > 0
    }
}

fn read_event(block: &str) -> Option<Event> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    let data = field("data: ")?;
    Some(Event {
        id: field("id: ")?.parse().expect("a number"),
        name: field("event: ")?.to_owned(),
        data: serde_json::from_str(data).expect("JSON"),
        raw: block.to_owned(),
    })
}
