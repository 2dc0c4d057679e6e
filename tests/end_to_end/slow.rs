//! Clients that read nothing, or write nothing to an end.

use std::io::Write;
use std::thread;

use crate::http;
use crate::till::{Shop, is, outcome, until, with_code};

/// More than the API lets stay open at a time.
const STREAMS: usize = 100;

#[test]
fn slow_clients_hold_up_no_payment() {
    let shop = Shop::usual();
    let daemon = shop.start();
    // More to tell than fits between the daemon and a client that does not read.
    thread::scope(|scope| {
        for round in 0..60 {
            let daemon = &daemon;
            let number = format!("BEFORE{round}");
            scope.spawn(move || daemon.pay(&number, &with_code("77.03")).expect(201));
        }
    });
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = http::unix(&daemon.socket).expect("a connection");
        let header = "Last-Event-ID: 0\r\n";
        http::send(&mut stream, "GET", "/v1/events", header, "").expect("sent");
        streams.push(stream);
    }
    // Requests that never come to their end.
    let beginnings = [
        "P",
        "PUT /v1/payments/SLOW HTTP/1.1\r\nHo",
        "PUT /v1/payments/SLOW HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{\"amount\"",
    ];
    for beginning in beginnings.iter().cycle().take(30) {
        let mut stream = http::unix(&daemon.socket).expect("a connection");
        stream.write_all(beginning.as_bytes()).expect("sent");
        streams.push(stream);
    }
    for round in 0..10 {
        let paid = daemon.pay(&format!("PAID{round}"), &with_code("77.02")).expect(201);
        assert_eq!(outcome(&paid), is("paid", "taken", ""));
    }
    assert_eq!(daemon.get("/v1/payments/SLOW").status, 404);
    // A place is free for somebody who reads as soon as one of them is gone.
    streams.clear();
    until("there is room for a stream", || {
        let mut stream = http::unix(&daemon.socket).ok()?;
        http::send(&mut stream, "GET", "/v1/events", "", "").ok()?;
        let mut head = [0; 12];
        std::io::Read::read_exact(&mut stream, &mut head).ok()?;
        (&head == b"HTTP/1.1 200").then_some(())
    });
    let head = daemon.status()["journal"]["head_seq"].as_u64().unwrap();
    let all = daemon.events(Some(0)).until(|event| event.id >= head);
    assert_eq!(all.len() as u64, head);
}
