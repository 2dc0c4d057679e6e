//! Clients that stall, flood or come in by the wrong door.

use std::time::Duration;

use tilld::api::{Listeners, Settings, Token, bind_tcp, bind_unix, serve};
use tilld::payment::SecretText;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::client::{IN_VAIN, Response, Terminal, read_response, request, until};
use crate::fake::Fake;

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
    let terminal = Terminal::start_with(Settings { connections_max: 2, ..Settings::default() });
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
        terminal.fake.becomes(&format!("A{number}"), tilld::payment::State::Paid);
    }
    for mut stream in streams {
        assert_eq!(read_response(&mut stream).await.json()["state"], "paid");
    }
}

#[tokio::test]
async fn over_tcp_the_token_and_the_host_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let unix = bind_unix(&folder.path().join("tilld.sock"), 0o600).unwrap();
    let tcp = bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let secret = "0123456789abcdef-token";
    let token = Token::new(&SecretText::new(format!("{secret}\n"))).unwrap();
    assert!(!format!("{token:?}").contains(secret));
    let (_stopping, ends) = watch::channel(false);
    let listeners = Listeners { unix, tcp: Some((tcp, token)) };
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
        let refused = bind_tcp(address.parse().unwrap()).await.unwrap_err();
        assert!(refused.to_string().contains("loopback"), "{refused}");
    }
}
