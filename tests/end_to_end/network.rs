//! Programs without Unix sockets.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use crate::http;
use crate::till::{Setup, Shop, is, outcome, with_code};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn who_comes_over_tcp_knows_the_token() {
    // An address of its own, so that nobody takes the port in between.
    let free = TcpListener::bind("127.75.80.1:0").and_then(|free| free.local_addr());
    let address: SocketAddr = free.expect("a port");
    let api = format!("listen = \"{address}\"\ntoken_file = \"api.token\"");
    let shop = Shop::open(Setup { api, ..Setup::default() });
    fs::write(shop.path("api.token"), format!("{TOKEN}\n")).unwrap();
    let daemon = shop.start();
    let ask = |verb: &str, path: &str, headers: &str, body: &str| {
        let mut stream = http::tcp(address).expect("a connection");
        http::send(&mut stream, verb, path, headers, body).expect("sent");
        http::receive(&mut stream).expect("a reply")
    };
    let good = format!("Host: localhost:7580\r\nAuthorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask("GET", "/v1/status", &good, "").status, 200);
    let body = with_code("1.00").to_string();
    let paid = ask("PUT", "/v1/payments/TCP?wait=60", &good, &body).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));

    for (headers, status, code) in [
        ("Host: localhost\r\n".to_owned(), 401, "unauthorized"),
        (format!("Host: 127.0.0.1\r\nAuthorization: Bearer x{TOKEN}\r\n"), 401, "unauthorized"),
        (format!("Host: 127.0.0.1\r\nAuthorization: Basic {TOKEN}\r\n"), 401, "unauthorized"),
        ("Host: 127.0.0.1\r\nAuthorization: Bearer \r\n".to_owned(), 401, "unauthorized"),
        (format!("Host: evil.example\r\nAuthorization: Bearer {TOKEN}\r\n"), 403, "foreign_host"),
        (
            format!("Host: 127.0.0.1.evil.example\r\nAuthorization: Bearer {TOKEN}\r\n"),
            403,
            "foreign_host",
        ),
    ] {
        for path in
            ["/v1/payments/TCP2", "/v1/status", "/v1/events", "/metrics", "/v1/openapi.json"]
        {
            let verb = if path.contains("TCP2") { "PUT" } else { "GET" };
            let reply = ask(verb, path, &headers, if verb == "PUT" { &body } else { "" });
            assert_eq!(reply.expect(status)["code"], code, "{headers}");
            assert!(!reply.text.contains(TOKEN));
        }
    }
    assert_eq!(daemon.get("/v1/payments/TCP2").status, 404, "on the socket nobody asks");
    assert!(!daemon.log().contains(TOKEN));
}
