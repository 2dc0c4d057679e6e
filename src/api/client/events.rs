//! Server-sent events, read without a gap over lost connections.

use std::collections::VecDeque;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use hyper::header::HeaderName;

use super::{Client, ClientError};

/// Between two attempts to connect again; doubles up to the longest.
const RETRY_SHORTEST: Duration = Duration::from_millis(200);
/// See [`RETRY_SHORTEST`].
const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// The longest event that is read. Only something that is no terminal sends more.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The journal's sequence number, as text.
    pub id: String,
    /// What it is about: `payment`, `scan`, …
    pub name: String,
    /// JSON.
    pub data: String,
}

/// What the stream of events tells.
#[derive(Debug)]
pub enum News {
    /// Something happened.
    Event(Event),
    /// The connection is gone; the next call goes on trying where it stopped.
    Lost(ClientError),
    /// The connection is back, and nothing was missed.
    Back,
}

/// The terminal's events, connected again as often as needed.
#[derive(Debug)]
pub struct Events {
    client: Client,
    /// The last id that was handed out: where to go on.
    last: Option<String>,
    open: Option<(Incoming, Parser)>,
    ready: VecDeque<Event>,
    /// Whether the first connection was ever made.
    begun: bool,
    retry: Duration,
}

impl Events {
    pub(super) fn new(client: Client, last: Option<String>) -> Self {
        Self {
            client,
            last,
            open: None,
            ready: VecDeque::new(),
            begun: false,
            retry: RETRY_SHORTEST,
        }
    }

    /// Waits for what comes next.
    ///
    /// May be dropped while it waits: nothing is lost, the next call goes on.
    ///
    /// # Errors
    ///
    /// The first connection cannot be made, or the terminal denies the stream.
    /// Afterwards a lost connection is [`News::Lost`], and no error.
    pub async fn next(&mut self) -> Result<News, ClientError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if !event.id.is_empty() {
                    self.last = Some(event.id.clone());
                }
                return Ok(News::Event(event));
            }
            let Some((body, parser)) = &mut self.open else {
                if let Some(news) = self.connect().await? {
                    return Ok(news);
                }
                continue;
            };
            match body.frame().await {
                Some(Ok(frame)) => {
                    let bytes = frame.into_data().unwrap_or_default();
                    self.ready.extend(parser.feed(&bytes));
                    // A bare id says from where to go on, before anything happened.
                    if self.ready.is_empty() && !parser.bare_id.is_empty() {
                        self.last = Some(std::mem::take(&mut parser.bare_id));
                    }
                    if parser.held() > EVENT_BYTES_MAX {
                        self.open = None;
                        return Err(ClientError::Broken {
                            attempt: "GET /v1/events".to_owned(),
                            what: "an event without an end".to_owned(),
                        });
                    }
                    self.retry = RETRY_SHORTEST;
                }
                Some(Err(why)) => {
                    self.open = None;
                    return Ok(News::Lost(lost(Box::new(why))));
                }
                None => {
                    self.open = None;
                    return Ok(News::Lost(lost("the stream ended".into())));
                }
            }
        }
    }

    /// Opens the stream where the last one stopped; nothing while it cannot.
    async fn connect(&mut self) -> Result<Option<News>, ClientError> {
        if self.begun {
            tokio::time::sleep(self.retry).await;
            self.retry = self.retry.saturating_mul(2).min(RETRY_LONGEST);
        }
        let name = HeaderName::from_static("last-event-id");
        let headers: Vec<_> = self.last.iter().map(|id| (name.clone(), id.as_str())).collect();
        let opened = match self.client.send(Method::GET, "/v1/events", None, &headers).await {
            Ok(response) if response.status().is_success() => Ok(response.into_body()),
            Ok(response) => {
                let denied = self.client.receive("GET /v1/events", response).await;
                Err(denied.err().unwrap_or_else(|| lost("no stream".into())))
            }
            Err(why) => Err(why),
        };
        match opened {
            Ok(body) => {
                self.open = Some((body, Parser::default()));
                let again = std::mem::replace(&mut self.begun, true);
                Ok(again.then_some(News::Back))
            }
            // A daemon that is starting or stopping may say so; that passes.
            Err(ClientError::Problem { problem, .. })
                if self.begun && problem.view.status >= 500 =>
            {
                Ok(None)
            }
            Err(ClientError::DaemonAbsent { .. } | ClientError::Lost { .. }) if self.begun => {
                Ok(None)
            }
            Err(why) => Err(why),
        }
    }
}

fn lost(source: Box<dyn std::error::Error + Send + Sync>) -> ClientError {
    ClientError::Lost { attempt: "GET /v1/events".to_owned(), source }
}

/// Cuts a stream into events, by the rules of the HTML standard.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    begun: bool,
    event: Event,
    has_data: bool,
    /// The id of an event without data.
    bare_id: String,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ => self.line.push(byte),
            }
        }
        events
    }

    /// How much is kept of an event that has not ended.
    fn held(&self) -> usize {
        self.line.len() + self.event.data.len()
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let mut line = String::from_utf8_lossy(&line).into_owned();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.trim_start_matches('\u{feff}').to_owned();
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_data) {
                self.bare_id.clear();
                return Some(event);
            }
            if !event.id.is_empty() {
                self.bare_id = event.id;
            }
            return None;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => self.event.id = value.to_owned(),
            "event" => self.event.name = value.to_owned(),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments keep the stream alive; other fields are not ours.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, name: &str, data: &str) -> Event {
        Event { id: id.to_owned(), name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn cuts_the_same_events_whatever_the_line_ends_and_the_packets() {
        let story = ": alive\n\nid: 7\nevent: payment\ndata: {\"咖\":1}\n\n\
                     id:8\nevent:scan\ndata:a\ndata: b\nretry: 5\nwhat\n\nevent: empty\n\nid: 9\n";
        let expected = [event("7", "payment", "{\"咖\":1}"), event("8", "scan", "a\nb")];
        for ending in ["\n", "\r\n", "\r"] {
            let text = story.replace('\n', ending);
            for packet in [1, 2, 3, 7, text.len()] {
                let mut parser = Parser::default();
                let events: Vec<_> =
                    text.as_bytes().chunks(packet).flat_map(|part| parser.feed(part)).collect();
                assert_eq!(events, expected, "{ending:?} in packets of {packet}");
            }
        }
    }

    #[test]
    fn a_bare_id_says_from_where_to_go_on() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(b"id: 41\n\n"), []);
        assert_eq!(parser.bare_id, "41");
        assert_eq!(parser.feed(b"id: 42\ndata: x\n\n"), [event("42", "", "x")]);
        assert_eq!(parser.bare_id, "");
    }

    #[test]
    fn an_event_that_is_cut_off_is_none() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(b"\xef\xbb\xbfid: 1\ndata: half"), []);
        assert_eq!(parser.held(), "data: half".len());
    }
}
