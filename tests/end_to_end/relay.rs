//! A relay between the till and the gateway, that has a clock of its own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Passes one request at a time on to the gateway, and writes this `Date` on its
/// answers, or none. Ends with the test.
pub(crate) fn relay(gateway: SocketAddr, date: Option<String>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let date = date.clone();
            thread::spawn(move || pass_on(stream, gateway, date.as_deref()));
        }
    });
    address
}

fn pass_on(mut till: TcpStream, gateway: SocketAddr, date: Option<&str>) -> Option<()> {
    let (head, body) = message(&mut till)?;
    let mut upstream = TcpStream::connect(gateway).ok()?;
    upstream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).ok()?;
    upstream.write_all(&body).ok()?;
    let (head, body) = message(&mut upstream)?;
    let mut lines: Vec<&str> = head.lines().collect();
    lines.retain(|line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !["date", "connection"].contains(&name.as_str())
    });
    let mut answer = lines.join("\r\n");
    if let Some(date) = date {
        answer += &format!("\r\nDate: {date}");
    }
    answer += "\r\nConnection: close\r\n\r\n";
    till.write_all(answer.as_bytes()).ok()?;
    till.write_all(&body).ok()
}

/// One message: its head with the end of its last line, and its body.
fn message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut some) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end + 2].to_vec()).ok()?;
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
            });
            let length: usize = length.unwrap_or(0);
            while bytes.len() < end + 4 + length {
                let read = stream.read(&mut some).ok().filter(|read| *read > 0)?;
                bytes.extend_from_slice(&some[..read]);
            }
            return Some((head, bytes.split_off(end + 4)));
        }
        let read = stream.read(&mut some).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&some[..read]);
    }
}
