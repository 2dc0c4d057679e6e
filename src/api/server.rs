//! The connections: who may come in, how many, and how long they may take.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;

use super::backend::Backend;
use super::code::Code;
use super::patient::Patient;
use super::problem::Problem;
use super::routes;
use super::state::{Api, Places};
use crate::payment::SecretText;

/// What the API listens on. Both are bound, or handed over by the service
/// manager, before.
#[derive(Debug)]
pub struct Listeners {
    /// The socket; its permissions say who may connect.
    pub unix: UnixListener,
    /// A loopback address as well, for programs without Unix sockets: whoever
    /// connects there must know the token.
    pub tcp: Option<(TcpListener, Token)>,
}

/// The bounds of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Connections at a time; more wait in the kernel's queue. Half of what a
    /// process may open by default, so that files, scanners and the gateway
    /// always find a descriptor.
    pub connections_max: usize,
    /// Requests that wait for a payment's end. Fewer than the connections, so that
    /// a cancel can always come in.
    pub waiting_max: usize,
    /// Event streams. A box has a few listeners; more are a program that forgets
    /// to close them.
    pub streams_max: usize,
    /// From the beginning of a connection, or the end of the last reply, until
    /// the next request's head has arrived.
    pub header_timeout: Duration,
    /// From a request's head until the end of its body.
    pub body_timeout: Duration,
    /// How long a client may read nothing of what it is sent.
    pub write_timeout: Duration,
    /// How often an idle event stream says that it is alive.
    pub comment_interval: Duration,
    /// How long replies under way get when the daemon ends.
    pub end_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections_max: 512,
            waiting_max: 400,
            streams_max: 64,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            comment_interval: Duration::from_secs(15),
            end_timeout: Duration::from_millis(500),
        }
    }
}

/// The secret of those who come over TCP.
#[derive(Clone)]
pub struct Token(SecretText);

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token has 16 to 512 visible ASCII characters and no spaces")]
pub struct TokenError;

impl Token {
    /// A token as it stands in its file; spaces and line ends around it do not
    /// count.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if it is too short to be a secret, or cannot be sent in a
    /// header.
    pub fn new(text: &SecretText) -> Result<Self, TokenError> {
        let token = text.reveal().trim_ascii();
        let sendable = token.bytes().all(|b| b.is_ascii_graphic());
        if sendable && (16..=512).contains(&token.len()) {
            Ok(Self(SecretText::new(token.to_owned())))
        } else {
            Err(TokenError)
        }
    }

    /// Takes the same time whatever is wrong with it.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        let (scheme, token) = given.split_at_checked(7).unwrap_or((given, b""));
        scheme.eq_ignore_ascii_case(b"bearer ")
            && aws_lc_rs::constant_time::verify_slices_are_equal(
                token.trim_ascii(),
                self.0.reveal().as_bytes(),
            )
            .is_ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Serves the API until `stopping` is true (or its sender is gone).
///
/// Then it takes no further connection; requests that wait reply with what is
/// known, streams end, and after [`Settings::end_timeout`] the rest is cut off.
/// Nothing is lost by that: what was begun is in the journal.
pub async fn serve(
    listeners: Listeners,
    backend: Arc<dyn Backend>,
    settings: Settings,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Places::new(&settings);
    let settings = Arc::new(settings);
    let api = Api {
        backend,
        settings: settings.clone(),
        stopping: stopping.clone(),
        places: places.clone(),
    };
    let local = routes::router(api);
    let (tcp, token) = listeners.tcp.map_or((None, None), |(tcp, token)| (Some(tcp), Some(token)));
    let guarded = token.map(|token| guard(local.clone(), token));

    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(&places, &listeners.unix, tcp.as_ref()) => accepted,
        };
        match accepted {
            Ok((Accepted::Unix(stream), place)) => {
                let stream = Patient::new(stream, settings.write_timeout);
                let (router, stopping) = (local.clone(), stopping.clone());
                connections.spawn(converse(stream, router, settings.clone(), stopping, place));
            }
            Ok((Accepted::Tcp(stream), place)) => {
                let Some(router) = guarded.clone() else { continue };
                let stream = Patient::new(stream, settings.write_timeout);
                let stopping = stopping.clone();
                connections.spawn(converse(stream, router, settings.clone(), stopping, place));
            }
            Err(why) => {
                // Out of descriptors, most likely: it passes when connections end.
                tracing::warn!(%why, "accepting a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop((listeners.unix, tcp));
    let all = async { while connections.join_next().await.is_some() {} };
    drop(tokio::time::timeout(settings.end_timeout, all).await);
}

enum Accepted {
    Unix(tokio::net::UnixStream),
    Tcp(tokio::net::TcpStream),
}

/// The next connection, once there is a place for it.
async fn accept(
    places: &Places,
    unix: &UnixListener,
    tcp: Option<&TcpListener>,
) -> io::Result<(Accepted, OwnedSemaphorePermit)> {
    // This is the only acceptor, so a place that is free stays free; and after
    // the accept nothing is awaited, so that no connection is dropped half-way.
    drop(places.connections.acquire().await.map_err(io::Error::other)?);
    let from_tcp = async {
        match tcp {
            Some(tcp) => tcp.accept().await,
            None => std::future::pending().await,
        }
    };
    let accepted = tokio::select! {
        accepted = unix.accept() => Accepted::Unix(accepted?.0),
        accepted = from_tcp => Accepted::Tcp(accepted?.0),
    };
    let place = places.connections.clone().try_acquire_owned().map_err(io::Error::other)?;
    Ok((accepted, place))
}

/// One connection, until the client, the time-outs or the daemon end it.
async fn converse<S>(
    stream: Patient<S>,
    router: Router,
    settings: Arc<Settings>,
    mut stopping: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = tower::service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            let reply = tower::ServiceExt::oneshot(router, request.map(Body::new)).await;
            Ok::<Response, Infallible>(reply.unwrap_or_else(|never| match never {}))
        }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.header_timeout)
            // Heads of requests are short; buffers stay small on a small box.
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
    );
    tokio::select! {
        // A client that breaks off or talks nonsense is no news.
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}

/// Asks everybody who comes over TCP for the token. The Host must be this
/// machine: a web page that had its own name resolve to it would be sending its
/// name.
fn guard(router: Router, token: Token) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| {
        let token = token.clone();
        async move {
            let headers = request.headers();
            if !is_loopback(headers) {
                let detail = "call it as 127.0.0.1, [::1] or localhost";
                return Problem::new(Code::ForeignHost, detail).into_response();
            }
            if !token.admits(headers) {
                let detail = "send Authorization: Bearer with the token of the configuration";
                return Problem::new(Code::Unauthorized, detail).into_response();
            }
            next.run(request).await
        }
    }))
}

fn is_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]"
}
