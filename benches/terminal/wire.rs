//! The little of HTTP/1.1 that both ends of this benchmark speak: one message at
//! a time, each with its length, on a connection that stays open.

use std::io::{self, Read};

/// One request or reply, whole.
pub(crate) struct Message {
    /// The first line.
    pub(crate) start: String,
    pub(crate) body: Vec<u8>,
    /// Bytes on the wire, before TLS.
    pub(crate) length: usize,
}

/// What has been read of a connection and not been looked at yet.
#[derive(Default)]
pub(crate) struct Inbox(Vec<u8>);

impl Inbox {
    /// The next message; `None` when the other end has hung up between two.
    pub(crate) fn next(&mut self, stream: &mut impl Read) -> io::Result<Option<Message>> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            let mut chunk = [0; 16 * 1024];
            let count = match stream.read(&mut chunk) {
                // A TLS client that just closes the connection has said enough.
                Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => 0,
                other => other?,
            };
            if count == 0 {
                return if self.0.is_empty() { Ok(None) } else { Err(broken("it broke off")) };
            }
            self.0.extend_from_slice(&chunk[..count]);
        }
    }

    fn take(&mut self) -> io::Result<Option<Message>> {
        let Some(end) = self.0.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&self.0[..end]).map_err(|_| broken("a head in UTF-8"))?;
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let length = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(Ok(0), |(_, value)| value.trim().parse::<usize>())
            .map_err(|_| broken("a content-length"))?;
        let whole = end + 4 + length;
        if self.0.len() < whole {
            return Ok(None);
        }
        let body = self.0[end + 4..whole].to_vec();
        self.0.drain(..whole);
        Ok(Some(Message { start, body, length: whole }))
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("reading a message: {what}"))
}
