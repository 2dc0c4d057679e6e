//! A register: one connection, one blocking payment after the other.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::wire::Inbox;

/// Numbers are used once in a run, and a journal is of one run.
static LAST: AtomicU64 = AtomicU64::new(0);

pub(crate) struct Register {
    stream: UnixStream,
    inbox: Inbox,
}

impl Register {
    pub(crate) fn at(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the daemon listens");
        stream.set_read_timeout(Some(Duration::from_secs(90))).expect("a time-out");
        Self { stream, inbox: Inbox::default() }
    }

    /// Pays and waits for the end; the number, and how long it took.
    pub(crate) fn pay(&mut self) -> (String, Duration) {
        let count = LAST.fetch_add(1, Ordering::Relaxed);
        let number = format!("20261120{count:016}");
        let body = format!(
            "{{\"amount\":\"88.88\",\"subject\":\"咖啡\",\"auth_code\":\"28{count:016}\"}}"
        );
        let request = format!(
            "PUT /v1/payments/{number}?wait=60 HTTP/1.1\r\nHost: tilld\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let started = Instant::now();
        self.stream.write_all(request.as_bytes()).expect("a request");
        let reply = self.inbox.next(&mut self.stream).expect("a reply").expect("not hung up");
        let took = started.elapsed();
        let text = String::from_utf8_lossy(&reply.body);
        assert!(text.contains("\"state\":\"paid\""), "{}: {text}", reply.start);
        (number, took)
    }
}
