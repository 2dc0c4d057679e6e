//! A gateway that plays what it is told to, over raw sockets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::alipay_private;
use crate::alipay::ask::Method;

/// What the gateway does with the next request.
pub(super) enum Play {
    /// Sends these bytes and keeps the connection.
    Reply(String),
    /// Sends these bytes and closes the connection.
    ReplyAndClose(String),
    /// Reads the request and closes the connection.
    Close,
    /// Reads the request and resets the connection.
    Reset,
    /// Reads the request and says nothing until the end of the test.
    Silence,
    /// Sends these bytes and then says nothing, as if there were more to come.
    Unfinished(String),
    /// Sends these bytes over and over, until nobody takes them any more.
    Flood(String),
}

pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    /// The requests, as they came.
    requests: Arc<Mutex<Vec<String>>>,
    pub(super) connections: Arc<AtomicUsize>,
    /// A flood is over.
    pub(super) over: Arc<Notify>,
}

impl Gateway {
    pub(super) async fn plays(plays: impl IntoIterator<Item = Play>) -> Self {
        Self::listen(plays, None).await
    }

    pub(super) async fn listen(
        plays: impl IntoIterator<Item = Play>,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            connections: Arc::default(),
            over: Arc::default(),
        };
        let mut plays: Vec<Play> = plays.into_iter().collect();
        plays.reverse();
        let plays = Arc::new(Mutex::new(plays));
        let (requests, connections) = (gateway.requests.clone(), gateway.connections.clone());
        let over = gateway.over.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (plays, requests, tls) = (plays.clone(), requests.clone(), tls.clone());
                let over = over.clone();
                tokio::spawn(async move {
                    // With this, closing is resetting.
                    let reset = matches!(plays.lock().unwrap().last(), Some(Play::Reset));
                    if reset {
                        socket.set_zero_linger().unwrap();
                    }
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(socket).await {
                                serve(stream, &plays, &requests, &over).await;
                            }
                        }
                        None => serve(socket, &plays, &requests, &over).await,
                    }
                });
            }
        });
        gateway
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/gateway.do", self.address)
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    plays: &Mutex<Vec<Play>>,
    requests: &Mutex<Vec<String>>,
    over: &Notify,
) {
    while let Some(request) = read_request(&mut stream).await {
        requests.lock().unwrap().push(request);
        let play = plays.lock().unwrap().pop();
        match play {
            Some(Play::Reply(reply)) => {
                let _ = stream.write_all(reply.as_bytes()).await;
                let _ = stream.flush().await;
            }
            Some(Play::ReplyAndClose(reply)) => {
                let _ = stream.write_all(reply.as_bytes()).await;
                let _ = stream.shutdown().await;
                return;
            }
            Some(Play::Close | Play::Reset) => return,
            Some(Play::Silence) => std::future::pending().await,
            Some(Play::Unfinished(reply)) => {
                let _ = stream.write_all(reply.as_bytes()).await;
                std::future::pending::<()>().await;
            }
            Some(Play::Flood(reply)) => {
                while stream.write_all(reply.as_bytes()).await.is_ok() {}
                over.notify_one();
                return;
            }
            None => panic!("a request too many"),
        }
    }
}

/// One request with its body, or nothing when the connection is over.
pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Some(text);
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

pub(super) fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

pub(super) const DATE: &str = "date: Thu, 01 Jan 2026 19:04:07 GMT\r\n";

/// A good reply to a call, signed by Alipay's side.
pub(super) fn signed(method: Method, content: &str) -> String {
    let member = format!("{}_response", method.name().replace('.', "_"));
    http("200 OK", DATE, &super::signed_by(&alipay_private(), &member, content))
}
