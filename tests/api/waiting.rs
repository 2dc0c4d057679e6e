//! `?wait=`: one blocking request until the payment is final.

use std::time::Duration;

use tilld::api::{Bound, Settings};
use tilld::payment::State;
use tokio::io::AsyncWriteExt;

use crate::client::{Terminal, read_response, request, until};
use crate::fake::{NOW, payment};

const BODY: &str = r#"{"amount":"88.88","subject":"咖啡"}"#;

fn few(waiting: usize) -> Settings {
    Settings { waiting: Bound::shared(waiting), ..Settings::default() }
}

async fn waiting(terminal: &Terminal) -> i64 {
    let figures = terminal.get("/metrics").await.body;
    let line = figures.lines().find(|l| l.starts_with("tilld_api_waiting ")).expect("the figure");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn everybody_who_waits_is_told_when_the_payment_is_final() {
    let terminal = Terminal::start();
    terminal.fake.journal(&payment("A1", State::Paying), "requested");
    let mut streams = Vec::new();
    for (method, path) in [
        ("PUT", "/v1/payments/A1?wait=300"),
        ("GET", "/v1/payments/A1?wait=300"),
        ("GET", "/v1/payments/A1?wait=99999"),
        ("POST", "/v1/payments/A1/cancel?wait=300"),
    ] {
        let mut stream = terminal.connect().await;
        stream.write_all(request(method, path, &[], BODY).as_bytes()).await.unwrap();
        streams.push((method, stream));
    }
    until("four wait", async || waiting(&terminal).await == 4).await;
    // A change that is not the end, and one of another payment, wake nobody.
    terminal.fake.becomes("A1", State::Querying);
    terminal.fake.journal(&payment("B1", State::Paid), "test");
    assert_eq!(waiting(&terminal).await, 4);
    terminal.fake.becomes("A1", State::Paid);
    for (method, mut stream) in streams {
        let told = read_response(&mut stream).await;
        if method == "POST" {
            // It turned out to be paid on the way.
            assert_eq!(told.problem(409, "already_paid")["payment"]["rev"], 3);
        } else {
            assert_eq!((told.status, &told.json()["state"]), (200, &"paid".into()));
        }
    }
    until("nobody waits", async || waiting(&terminal).await == 0).await;
}

#[tokio::test]
async fn when_the_time_is_over_the_payment_is_told_as_it_stands() {
    let terminal = Terminal::start();
    let told = terminal.put("/v1/payments/A1?wait=0.05", BODY).await;
    assert_eq!((told.status, &told.json()["state"]), (201, &"awaiting_code".into()));
    let told = terminal.get("/v1/payments/A1?wait=0.05").await;
    assert_eq!((told.status, &told.json()["final"]), (200, &false.into()));
    // Somebody waited, so this is as it stands; without, it is going on.
    let told = terminal.post("/v1/payments/A1/cancel?wait=0.05", "").await;
    assert_eq!(told.status, 200);
    assert_eq!(terminal.post("/v1/payments/A1/cancel?wait=0", "").await.status, 202);
    assert_eq!(terminal.post("/v1/payments/A1/cancel", "").await.status, 202);
}

/// The payment ends right after it was read as open, whichever read that is.
/// Bug to plant: `mark_unchanged` after the read in place of before it.
#[tokio::test]
async fn no_end_is_missed_however_it_falls() {
    for reads in 1..=3 {
        let terminal = Terminal::start();
        terminal.fake.journal(&payment("A1", State::Paying), "requested");
        *terminal.fake.ends_after_reads.lock().unwrap() = reads;
        if reads == 3 {
            // The third read takes a change that is not the end.
            let fake = terminal.fake.clone();
            tokio::spawn(async move {
                while *fake.ends_after_reads.lock().unwrap() != 1 {
                    tokio::task::yield_now().await;
                }
                fake.becomes("A1", State::Querying);
            });
        }
        let told = terminal.get("/v1/payments/A1?wait=300").await;
        assert_eq!(told.json()["state"], "paid", "{reads}");
    }
}

/// Bug to plant: ask for the place before the stop, as the others do.
#[tokio::test]
async fn a_stop_needs_no_place_to_wait_in() {
    let terminal = Terminal::start_with(few(1));
    terminal.fake.journal(&payment("A1", State::Paying), "requested");
    let mut first = terminal.connect().await;
    let get = request("GET", "/v1/payments/A1?wait=300", &[], "");
    first.write_all(get.as_bytes()).await.unwrap();
    until("it waits", async || waiting(&terminal).await == 1).await;
    let told = terminal.post("/v1/payments/A1/cancel?wait=300", "").await;
    assert_eq!((told.status, &told.json()["out_trade_no"]), (202, &"A1".into()));
    assert_eq!(*terminal.fake.stops.lock().unwrap(), ["A1".parse().unwrap()]);
    drop(first);
}

#[tokio::test]
async fn a_register_that_hangs_up_frees_its_place() {
    let terminal = Terminal::start_with(few(1));
    terminal.fake.journal(&payment("A1", State::Paying), "requested");
    let get = request("GET", "/v1/payments/A1?wait=300", &[], "");
    let mut first = terminal.connect().await;
    first.write_all(get.as_bytes()).await.unwrap();
    until("it waits", async || waiting(&terminal).await == 1).await;

    for (response, money) in [
        (terminal.get("/v1/payments/A1?wait=300").await, "unknown"),
        (terminal.put("/v1/payments/A1?wait=300", BODY).await, "unknown"),
        (terminal.put("/v1/payments/NEW?wait=300", BODY).await, "none"),
    ] {
        let told = response.problem(503, "too_many_waiting");
        assert_eq!(told["money"], money);
        assert_eq!(told["retry"], "same_request");
    }
    assert!(terminal.fake.requests.lock().unwrap().is_empty(), "nothing was begun");
    assert_eq!(terminal.get("/v1/payments/A1").await.status, 200, "who does not wait is served");

    drop(first);
    until("the place is free", async || waiting(&terminal).await == 0).await;
    let mut second = terminal.connect().await;
    second.write_all(get.as_bytes()).await.unwrap();
    until("it waits", async || waiting(&terminal).await == 1).await;
    terminal.fake.becomes("A1", State::Paid);
    assert_eq!(read_response(&mut second).await.json()["state"], "paid");
}

/// Bug to plant: wait for the line to fall silent in place of looking at it.
#[tokio::test]
async fn a_register_that_hangs_up_is_missed_also_with_more_behind_its_request() {
    let terminal = Terminal::start_with(few(3));
    terminal.fake.journal(&payment("A1", State::Paying), "requested");
    let get = "GET /v1/payments/A1?wait=300 HTTP/1.1\r\nhost: x\r\n\r\n";
    for behind in [get.to_owned(), "x".to_owned(), get.repeat(2000)] {
        let mut stream = terminal.connect().await;
        stream.write_all(get.as_bytes()).await.unwrap();
        until("it waits", async || waiting(&terminal).await == 1).await;
        // As much as goes in: nobody reads it.
        let _ = stream.try_write(behind.as_bytes());
        drop(stream);
        until("the place is free", async || waiting(&terminal).await == 0).await;
    }
}

/// As `nc -N` and socat do: they have said all they have to say, and listen.
#[tokio::test]
async fn who_has_finished_sending_is_answered_all_the_same() {
    let terminal = Terminal::start();
    terminal.fake.journal(&payment("A1", State::Paying), "requested");
    for (method, path, body, status) in [
        ("PUT", "/v1/payments/B1", BODY, 201),
        ("POST", "/v1/payments/A1/cancel", "", 202),
        ("GET", "/v1/payments/A1", "", 200),
        ("GET", "/v1/payments/A1?wait=0.2", "", 200),
    ] {
        let mut stream = terminal.connect().await;
        stream.write_all(request(method, path, &[], body).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(read_response(&mut stream).await.status, status, "{method} {path}");
    }
    assert_eq!(terminal.fake.stops.lock().unwrap().len(), 1, "the cancel was carried out");
    // And it is told the end, if it waits for that.
    let mut stream = terminal.connect().await;
    let get = request("GET", "/v1/payments/A1?wait=300", &[], "");
    stream.write_all(get.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    until("it waits", async || waiting(&terminal).await == 1).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    terminal.fake.becomes("A1", State::Paid);
    assert_eq!(read_response(&mut stream).await.json()["state"], "paid");
}

#[tokio::test]
async fn when_the_daemon_ends_whoever_waits_is_told_how_it_stands() {
    let settings = Settings { end_timeout: Duration::from_secs(10), ..Settings::default() };
    let terminal = Terminal::start_with(settings);
    terminal.fake.journal(&payment("A1", State::AwaitingCode { until: NOW }), "requested");
    let mut waits = terminal.connect().await;
    let get = request("GET", "/v1/payments/A1?wait=300", &[], "");
    waits.write_all(get.as_bytes()).await.unwrap();
    until("it waits", async || waiting(&terminal).await == 1).await;
    let _idle = terminal.connect().await;
    let mut stream = terminal.connect().await;
    stream.write_all(request("GET", "/v1/events", &[], "").as_bytes()).await.unwrap();

    terminal.stopping.send_replace(true);
    let told = read_response(&mut waits).await;
    assert_eq!((told.status, &told.json()["state"]), (200, &"awaiting_code".into()));
    tokio::time::timeout(crate::client::IN_VAIN, terminal.server).await.unwrap().unwrap();
    assert!(tokio::net::UnixStream::connect(&terminal.path).await.is_err());
}
