//! Clients that stall, flood or come in by the wrong door.

use std::sync::Arc;
use std::time::Duration;

use tilld::api::{
    Bound, Listeners, Loopback, Roles, Settings, SocketFile, Token, bind_tcp, bind_unix, serve,
};
use tilld::payment::{Order, SecretText, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::client::{IN_VAIN, Response, Terminal, read_response, request, until};
use crate::fake::{Fake, altered, payment};

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let header_timeout = Duration::from_millis(100);
    let terminal = Terminal::start_with(Settings { header_timeout, ..Settings::default() });
    let mut stream = terminal.connect().await;
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut ended = Vec::new();
    let trickle = async {
        while stream.write_all(b"a: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(IN_VAIN, trickle).await.expect("the connection ends");
    let _ = stream.read_to_end(&mut ended).await;
    assert!(!String::from_utf8_lossy(&ended).contains("200 OK"));
}

#[tokio::test]
async fn a_body_that_never_ends_is_answered() {
    let body_timeout = Duration::from_millis(50);
    let terminal = Terminal::start_with(Settings { body_timeout, ..Settings::default() });
    let mut stream = terminal.connect().await;
    let head = "PUT /v1/payments/A1 HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let told = read_response(&mut stream).await.problem(408, "request_timeout");
    assert_eq!((&told["money"], &told["retry"]), (&"none".into(), &"same_request".into()));
    assert!(terminal.fake.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn connections_are_bounded_and_the_next_one_waits_its_turn() {
    let terminal =
        Terminal::start_with(Settings { connections: Bound::shared(2), ..Settings::default() });
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = terminal.connect().await;
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        stream.readable().await.unwrap();
        held.push(stream);
    }
    let mut third = terminal.connect().await;
    third.write_all(request("GET", "/v1/status", &[], "").as_bytes()).await.unwrap();
    let mut byte = [0; 1];
    let early = tokio::time::timeout(Duration::from_millis(100), third.read(&mut byte)).await;
    assert!(early.is_err(), "there was no place for it");
    held.pop();
    assert_eq!(read_response(&mut third).await.status, 200);
}

#[tokio::test]
async fn two_hundred_registers_at_once_are_all_served() {
    let terminal = Terminal::start();
    let mut streams = Vec::new();
    for number in 0..200 {
        let mut stream = terminal.connect().await;
        let body = r#"{"amount":"1","subject":"x"}"#;
        let put = request("PUT", &format!("/v1/payments/A{number}?wait=300"), &[], body);
        stream.write_all(put.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    until("all have begun", async || terminal.fake.requests.lock().unwrap().len() == 200).await;
    for number in 0..200 {
        terminal.fake.becomes(&format!("A{number}"), State::Paid);
    }
    for mut stream in streams {
        assert_eq!(read_response(&mut stream).await.json()["state"], "paid");
    }
}

#[tokio::test]
async fn over_tcp_the_token_and_the_host_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let unix = bind_unix(&folder.path().join("tilld.sock"), 0o600).unwrap();
    let tcp = bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = tcp.local_addr().unwrap();
    let port = address.port();
    let secret = "0123456789abcdef-token";
    let token = Token::new(&SecretText::new(format!("{secret}\n"))).unwrap();
    assert!(!format!("{token:?}").contains(secret));
    let (_stopping, ends) = watch::channel(false);
    let tcp = Some(Loopback { address, listener: Some(tcp), token });
    let listeners = Listeners { unix, file: None, tcp };
    tokio::spawn(serve(listeners, Fake::new(), Settings::default(), ends));

    let ask = async |host: &str, header: &str| -> Response {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let text = format!(
            "GET /v1/status HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{header}\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        read_response(&mut stream).await
    };
    let right = format!("authorization: Bearer {secret}");
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), "[::1]".to_owned()] {
        assert_eq!(ask(&host, &right).await.status, 200, "{host}");
    }
    // A page of this machine may call it, one of another may not.
    for (origin, status) in [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1", 200),
        ("https://evil.example", 403),
        ("https://localhost.evil.example", 403),
        ("null", 403),
    ] {
        let told = ask("localhost", &format!("{right}\r\norigin: {origin}")).await;
        assert_eq!(told.status, status, "{origin}");
    }
    for twice in [format!("{right}\r\n{right}"), format!("{right}\r\nhost: localhost")] {
        ask("localhost", &twice).await.problem(400, "repeated_header");
    }
    for host in ["evil.example", "127.0.0.1.evil.example:80", "", "127.0.0.1:x"] {
        ask(host, &right).await.problem(403, "foreign_host");
    }
    for header in [
        "x: y".to_owned(),
        "authorization: Bearer".to_owned(),
        "authorization: Bearer ".to_owned(),
        format!("authorization: Basic {secret}"),
        format!("authorization: Bearer {secret}x"),
        format!("authorization: Bearer {}", &secret[1..]),
    ] {
        let told = ask("localhost", &header).await;
        assert!(told.head.contains("www-authenticate: bearer"), "{told:?}");
        told.problem(401, "unauthorized");
    }
    let told = ask("localhost", &right).await;
    assert!(!told.head.contains("access-control"), "{told:?}");
}

#[test]
fn tokens_are_long_enough_to_be_secrets() {
    for text in ["", "short", "with a space in the middle", "zeichen-für-zeichen"] {
        assert!(Token::new(&SecretText::new(text.to_owned())).is_err(), "{text}");
    }
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        let refused = bind_tcp(address.parse().unwrap()).unwrap_err();
        assert!(refused.to_string().contains("loopback"), "{refused}");
    }
}

/// Bug to plant: answer before the body is read.
#[tokio::test]
async fn whoever_sends_the_body_after_the_head_hears_why_it_is_refused() {
    let terminal = Terminal::start();
    for (path, status) in
        [("PUT /nowhere", 404), ("DELETE /v1/payments/A1", 405), ("PUT /v1/payments/A-1", 422)]
    {
        let body = "x".repeat(20_000);
        let mut stream = terminal.connect().await;
        let head = format!("{path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        // The refusal could be here by now.
        let early = tokio::time::timeout(Duration::from_millis(50), stream.readable()).await;
        assert!(early.is_err(), "{path}: answered before it had heard everything");
        stream.write_all(body.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(read_response(&mut stream).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn who_asks_before_a_large_body_is_told_not_to_send_it() {
    let terminal = Terminal::start();
    let mut stream = terminal.connect().await;
    let head = "PUT /v1/payments/A1 HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    read_response(&mut stream).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_kept_connection_is_told_how_long() {
    let terminal = Terminal::start();
    let told = terminal.get("/v1/status").await;
    let line = told.head.lines().find(|line| line.starts_with("keep-alive:")).expect("the header");
    let seconds: u64 = line.trim_start_matches("keep-alive: timeout=").parse().unwrap();
    assert!((1..Settings::default().header_timeout.as_secs()).contains(&seconds), "{line}");
}

/// This test is one process: its share is half.
#[tokio::test]
async fn one_program_cannot_take_all_connections_and_is_told_so() {
    let terminal =
        Terminal::start_with(Settings { connections: Bound::of(4), ..Settings::default() });
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = terminal.connect().await;
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        stream.readable().await.unwrap();
        held.push(stream);
    }
    let mut third = terminal.connect().await;
    let told = read_response(&mut third).await.problem(503, "too_many_connections");
    assert!(told["detail"].as_str().unwrap().contains("this program has 2"), "{told}");
    held.pop();
    until("there is a place again", async || terminal.get("/v1/status").await.status == 200).await;
}

#[tokio::test]
async fn lists_that_nobody_reads_are_few_and_end() {
    let settings = Settings {
        lists: Bound::shared(2),
        write_timeout: Duration::from_millis(300),
        ..Settings::default()
    };
    let terminal = Terminal::start_with(settings);
    // More than fits into the socket.
    for number in 1..=500 {
        let long = altered(&payment(&format!("A{number}"), State::Paid), |record| {
            let order = Order { subject: "咖".repeat(256), ..(*record.order).clone() };
            record.order = order.into();
        });
        terminal.fake.journal(&long, "test");
    }
    let lists = async || {
        let figures = terminal.get("/metrics").await.body;
        let line = figures.lines().find(|l| l.starts_with("tilld_api_lists ")).expect("the figure");
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let mut unread = Vec::new();
    for _ in 0..2 {
        let mut stream = terminal.connect().await;
        stream
            .write_all(request("GET", "/v1/payments?limit=500", &[], "").as_bytes())
            .await
            .unwrap();
        unread.push(stream);
    }
    until("two are being sent", async || lists().await == 2).await;
    terminal.get("/v1/payments").await.problem(503, "too_many_lists");
    terminal.get("/v1/payments/A1/journal").await.problem(503, "too_many_lists");
    until("they are given up", async || lists().await == 0).await;
    assert_eq!(terminal.get("/v1/payments").await.status, 200);
}

/// A list that ends in the middle must not look whole.
#[tokio::test]
async fn a_journal_that_breaks_under_a_list_breaks_the_list_off() {
    let terminal = Terminal::start();
    for number in 1..=100 {
        terminal.fake.journal(&payment(&format!("A{number}"), State::Paid), "test");
    }
    *terminal.fake.pages_left.lock().unwrap() = 2;
    let told = terminal.get("/v1/payments?limit=100").await;
    assert_eq!(told.status, 200);
    assert!(!told.whole && !told.body.contains("next_cursor"), "it looks like a whole list");
    for _ in 0..100 {
        terminal.fake.journal(&payment("A1", State::Paid), "test");
    }
    *terminal.fake.pages_left.lock().unwrap() = 2;
    let told = terminal.get("/v1/payments/A1/journal").await;
    assert!(!told.whole && !told.body.contains("next_cursor"), "it looks like a whole journal");
    *terminal.fake.pages_left.lock().unwrap() = 0;
    terminal.get("/v1/payments/A1/journal").await.problem(503, "journal_unavailable");
    terminal.get("/v1/payments").await.problem(503, "journal_unavailable");
}

/// A daemon with a port of its own, and its address.
type WithPort = (std::net::SocketAddr, std::path::PathBuf, tempfile::TempDir, watch::Sender<bool>);

fn with_port(settings: Settings) -> WithPort {
    with_port_to(Fake::new(), settings)
}

pub fn with_port_to(fake: Arc<Fake>, settings: Settings) -> WithPort {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tilld.sock");
    let unix = bind_unix(&path, 0o600).unwrap();
    let tcp = bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = tcp.local_addr().unwrap();
    let token = Token::new(&SecretText::new("0123456789abcdef".to_owned())).unwrap();
    let tcp = Some(Loopback { address, listener: Some(tcp), token });
    let (stopping, ends) = watch::channel(false);
    tokio::spawn(serve(Listeners { unix, file: None, tcp }, fake, settings, ends));
    (address, path, folder, stopping)
}

async fn ask_unix(path: &std::path::Path, method: &str, target: &str) -> Response {
    let mut stream = tokio::net::UnixStream::connect(path).await.unwrap();
    stream.write_all(request(method, target, &[], "").as_bytes()).await.unwrap();
    read_response(&mut stream).await
}

#[tokio::test]
async fn silent_connections_to_the_port_end_soon_and_hold_up_nobody() {
    let settings = Settings {
        loopback: Bound::shared(2),
        loopback_timeout: Duration::from_millis(300),
        header_timeout: Duration::from_mins(10),
        ..Settings::default()
    };
    let (address, path, _folder, _stopping) = with_port(settings);
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(ask_unix(&path, "GET", "/v1/status").await.status, 200);
    // Also the ones that had to wait for a place.
    for mut stream in silent {
        let mut ended = Vec::new();
        let end = tokio::time::timeout(IN_VAIN, stream.read_to_end(&mut ended)).await;
        assert!(end.is_ok() && ended.is_empty(), "{ended:?}");
    }
}

#[tokio::test]
async fn a_port_that_somebody_else_has_is_taken_when_it_is_free_and_the_socket_goes_on() {
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = stranger.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tilld.sock");
    let unix = bind_unix(&path, 0o600).unwrap();
    let token = Token::new(&SecretText::new("0123456789abcdef".to_owned())).unwrap();
    let tcp = Some(Loopback { address, listener: None, token });
    let settings = Settings { file_interval: Duration::from_millis(20), ..Settings::default() };
    let (_stopping, ends) = watch::channel(false);
    tokio::spawn(serve(Listeners { unix, file: None, tcp }, Fake::new(), settings, ends));
    assert_eq!(ask_unix(&path, "GET", "/v1/status").await.status, 200);
    drop(stranger);
    until("the port is served", async || {
        let Ok(mut stream) = TcpStream::connect(address).await else { return false };
        stream.write_all(request("GET", "/v1/status", &[], "").as_bytes()).await.unwrap();
        read_response(&mut stream).await.status == 401
    })
    .await;
}

#[tokio::test]
async fn a_socket_whose_file_is_gone_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tilld.sock");
    let unix = bind_unix(&path, 0o600).unwrap();
    let file = Some(SocketFile { path: path.clone(), mode: Some(0o600) });
    let settings = Settings { file_interval: Duration::from_millis(20), ..Settings::default() };
    let (_stopping, ends) = watch::channel(false);
    tokio::spawn(serve(Listeners { unix, file, tcp: None }, Fake::new(), settings, ends));
    for _ in 0..2 {
        assert_eq!(ask_unix(&path, "GET", "/v1/status").await.status, 200);
        std::fs::remove_file(&path).unwrap();
        until("the file is there again", async || path.exists()).await;
    }
    assert_eq!(ask_unix(&path, "GET", "/v1/status").await.status, 200);
}

#[tokio::test]
async fn where_there_are_roles_the_port_is_a_cashier_and_the_own_user_everything() {
    let settings = Settings { roles: Some(Roles::default()), ..Settings::default() };
    let (address, path, _folder, _stopping) = with_port(settings);
    assert_eq!(ask_unix(&path, "GET", "/v1/status").await.status, 200);
    ask_unix(&path, "POST", "/v1/payments/A1/cancel").await.problem(404, "not_found");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let header = "authorization: Bearer 0123456789abcdef";
    let cancel = request("POST", "/v1/payments/A1/cancel", &[header], "");
    stream.write_all(cancel.as_bytes()).await.unwrap();
    read_response(&mut stream).await.problem(404, "not_found");
}
