//! Server-sent events: from the journal, without a gap.

use std::time::Duration;

use serde_json::{Value, json};
use tilld::api::{Bound, Settings};
use tilld::payment::{Entry, OtherCode, ScanKind, ScannerNews, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::client::{IN_VAIN, Terminal, request, until};
use crate::fake::payment;

struct Stream {
    stream: UnixStream,
    text: String,
}

impl Stream {
    async fn open(terminal: &Terminal, path: &str, headers: &[&str]) -> Self {
        let mut stream = terminal.connect().await;
        stream.write_all(request("GET", path, headers, "").as_bytes()).await.unwrap();
        let mut stream = Self { stream, text: String::new() };
        stream.until("retry: 1000\n\n").await;
        assert!(stream.text.contains("200 OK"), "{}", stream.text);
        assert!(stream.text.contains("content-type: text/event-stream"), "{}", stream.text);
        // A proxy that collects would keep them back.
        assert!(stream.text.contains("x-accel-buffering: no"), "{}", stream.text);
        stream
    }

    /// Reads until that was said.
    async fn until(&mut self, what: &str) {
        let reading = async {
            while !self.text.contains(what) {
                let mut bytes = [0; 8192];
                let length = self.stream.read(&mut bytes).await.unwrap();
                assert!(length > 0, "ended without {what:?}: {}", self.text);
                self.text.push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        };
        tokio::time::timeout(IN_VAIN, reading).await.unwrap_or_else(|_| panic!("no {what:?}"));
    }

    /// Everything told so far: id, name and data.
    fn told(&self) -> Vec<(u64, String, Value)> {
        let mut told = Vec::new();
        for block in self.text.split("\n\n") {
            let after = |name: &str| {
                block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
            };
            if let (Some(id), Some(name), Some(data)) =
                (after("id: "), after("event: "), after("data: "))
            {
                told.push((id.parse().unwrap(), name, serde_json::from_str(&data).unwrap()));
            }
        }
        told
    }

    fn ids(&self) -> Vec<u64> {
        self.told().into_iter().map(|(id, _, _)| id).collect()
    }
}

#[tokio::test]
async fn a_stream_starts_at_the_present_and_tells_what_comes() {
    let terminal = Terminal::start();
    terminal.fake.journal(&payment("OLD", State::Paid), "test");
    let mut stream = Stream::open(&terminal, "/v1/events", &[]).await;
    terminal.fake.journal(&payment("A1", State::Paying), "requested");
    terminal.fake.becomes("A1", State::Paid);
    terminal.fake.record(Entry::Scan {
        scanner: "lane-1".to_owned(),
        kind: ScanKind::Other(OtherCode::Goods),
        text: "line\nend".to_owned(),
        aim: Some("]E0".to_owned()),
    });
    terminal.fake.record(Entry::Scanner {
        scanner: "lane-1".to_owned(),
        news: ScannerNews::Unplugged("gone".to_owned()),
    });
    terminal.fake.record(Entry::Gateway { up: true, text: String::new() });
    stream.until("id: 6\n").await;
    stream.until("\"up\":true").await;
    let told = stream.told();
    let names: Vec<_> = told.iter().map(|(id, name, _)| (*id, name.as_str())).collect();
    assert_eq!(
        names,
        [(2, "payment"), (3, "payment"), (4, "scan"), (5, "scanner"), (6, "gateway")]
    );
    assert_eq!(told[1].2, terminal.get("/v1/payments/A1").await.json());
    let at = "2026-11-20T10:00:00+08:00";
    assert_eq!(
        told[2].2,
        json!({ "at": at, "scanner": "lane-1", "kind": "goods", "text": "line\nend", "aim": "]E0" })
    );
    assert_eq!(
        told[3].2,
        json!({ "at": at, "scanner": "lane-1", "news": "unplugged", "reason": "gone" })
    );
    assert_eq!(told[4].2, json!({ "at": at, "up": true, "reason": null }));
}

#[tokio::test]
async fn a_stream_goes_on_where_the_last_one_ended() {
    let terminal = Terminal::start();
    for number in 1..=100 {
        terminal.fake.journal(&payment(&format!("A{number}"), State::Paid), "test");
    }
    for (path, headers) in [
        ("/v1/events", &["last-event-id: 40"][..]),
        ("/v1/events?after=40", &[]),
        ("/v1/events?lastEventId=40", &[]),
        ("/v1/events?after=40&lastEventId=40", &[]),
        ("/v1/events?after=99", &["Last-Event-ID: 40"]),
    ] {
        let mut stream = Stream::open(&terminal, path, headers).await;
        stream.until("id: 100\n").await;
        stream.until("\"A100\"").await;
        assert_eq!(stream.ids(), (41..=100).collect::<Vec<_>>());
    }
    let mut all = Stream::open(&terminal, "/v1/events", &["last-event-id: 0"]).await;
    all.until("id: 100\n").await;
    terminal.fake.journal(&payment("LAST", State::Paid), "test");
    all.until("\"LAST\"").await;
    all.until("id: 101\n").await;
    assert_eq!(all.ids(), (1..=101).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_place_in_another_journal_is_refused() {
    let terminal = Terminal::start();
    terminal.fake.journal(&payment("A1", State::Paid), "test");
    for header in ["last-event-id: 2", "last-event-id: x", "last-event-id: -1", "last-event-id: "] {
        let told = terminal.ask("GET", "/v1/events", &[header], "").await;
        told.problem(422, "invalid_parameter");
    }
    for query in ["after=x", "lastEventId=x", "lastEventId=1&after=0", "last-event-id=1", "a=1"] {
        let told = terminal.get(&format!("/v1/events?{query}")).await;
        told.problem(422, "invalid_parameter");
    }
}

#[tokio::test]
async fn an_idle_stream_says_that_it_is_alive() {
    let settings = Settings { comment_interval: Duration::from_millis(10), ..Settings::default() };
    let terminal = Terminal::start_with(settings);
    let mut stream = Stream::open(&terminal, "/v1/events", &[]).await;
    stream.until(":\n\n").await;
    terminal.fake.journal(&payment("A1", State::Paid), "test");
    stream.until("id: 1\n").await;
}

/// Bug to plant: let every stream read for itself.
#[tokio::test]
async fn what_all_streams_are_told_is_read_once() {
    let terminal = Terminal::start();
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(Stream::open(&terminal, "/v1/events", &[]).await);
    }
    let before = *terminal.fake.reads_after.lock().unwrap();
    for number in 1..=5 {
        terminal.fake.journal(&payment(&format!("A{number}"), State::Paid), "test");
        for stream in &mut streams {
            stream.until(&format!("id: {number}\n")).await;
        }
    }
    for stream in &mut streams {
        stream.until("\"A5\"").await;
        assert_eq!(stream.ids(), [1, 2, 3, 4, 5]);
    }
    assert_eq!(*terminal.fake.reads_after.lock().unwrap() - before, 5);
}

/// What was sent behind the request is never read, and hides the end.
#[tokio::test]
async fn a_listener_that_goes_frees_its_place_also_with_more_behind_its_request() {
    // No comment is sent that would find out.
    let comment_interval = Duration::from_mins(10);
    let settings = Settings { streams: Bound::shared(1), comment_interval, ..Settings::default() };
    let terminal = Terminal::start_with(settings);
    let stream = Stream::open(&terminal, "/v1/events", &[]).await;
    // As much as goes in: nobody reads it.
    let behind = "GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2000);
    let _ = stream.stream.try_write(behind.as_bytes());
    drop(stream);
    until("the place is free", async || {
        terminal.get("/metrics").await.body.contains("tilld_api_streams 0")
    })
    .await;
}

#[tokio::test]
async fn streams_are_counted_and_freed_when_the_reader_goes() {
    let terminal =
        Terminal::start_with(Settings { streams: Bound::shared(1), ..Settings::default() });
    let first = Stream::open(&terminal, "/v1/events", &[]).await;
    terminal.get("/v1/events").await.problem(503, "too_many_streams");
    drop(first);
    until("the place is free", async || {
        terminal.get("/metrics").await.body.contains("tilld_api_streams 0")
    })
    .await;
    Stream::open(&terminal, "/v1/events", &[]).await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_holds_up_nobody_and_is_ended() {
    let settings = Settings { write_timeout: Duration::from_millis(200), ..Settings::default() };
    let terminal = Terminal::start_with(settings);
    let mut unread = terminal.connect().await;
    let open = request("GET", "/v1/events", &["last-event-id: 0"], "");
    unread.write_all(open.as_bytes()).await.unwrap();
    until("the stream is open", async || {
        terminal.get("/metrics").await.body.contains("tilld_api_streams 1")
    })
    .await;
    for number in 1..=3000 {
        terminal.fake.journal(&payment(&format!("A{number}"), State::Paid), "test");
    }
    assert_eq!(terminal.get("/v1/payments/A3000").await.status, 200);
    until("it is ended", async || {
        terminal.get("/metrics").await.body.contains("tilld_api_streams 0")
    })
    .await;
}

#[tokio::test]
async fn a_refund_is_told_as_it_happens() {
    let terminal = Terminal::start();
    let payment = payment("A1", State::Paid);
    terminal.fake.journal(&payment, "test");
    let refund = crate::refunds::sent(&payment, "R1", "5.00");
    let mut stream = Stream::open(&terminal, "/v1/events?after=0", &[]).await;
    terminal.fake.journal_refund(&refund);
    terminal.fake.journal_refund(&crate::refunds::done(&refund));
    stream.until("\"refunded\",\"final\"").await;
    let told = stream.told();
    let refunds: Vec<_> = told.iter().filter(|(_, name, _)| name == "refund").collect();
    assert_eq!(refunds.len(), 2);
    assert_eq!(refunds[1].2["out_request_no"], "R1");
}
