//! The connections: who may come in, how many, and how long they may take.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::backend::Backend;
use super::bind::{bind_tcp, bind_unix};
use super::line::{Line, Patient};
use super::peer::{Peer, Roles};
use super::places::{Bound, Place, Places, Room};
use super::state::Api;
use super::{doors, routes};
use crate::payment::SecretText;

/// What the API listens on. Both are bound, or handed over by the service
/// manager, before.
#[derive(Debug)]
pub struct Listeners {
    /// The socket; its permissions say who may connect.
    pub unix: UnixListener,
    /// Its file, to see when it is gone.
    pub file: Option<SocketFile>,
    /// A loopback address as well, for programs without Unix sockets: whoever
    /// connects there must know the token.
    pub tcp: Option<Loopback>,
}

/// The way in for programs without Unix sockets.
#[derive(Debug)]
pub struct Loopback {
    /// A loopback address.
    pub address: SocketAddr,
    /// Its listener, if there is one already. If not it is bound; and if that
    /// cannot be done, because somebody else has the port, again and again. That
    /// keeps nobody from the socket.
    pub listener: Option<TcpListener>,
    /// What whoever connects must know.
    pub token: Token,
}

/// The file of the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketFile {
    /// Where it is.
    pub path: PathBuf,
    /// With which mode to make it again. None if the service manager has made it:
    /// then only the service manager can.
    pub mode: Option<u32>,
}

/// The bounds of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Connections to the socket at a time; more wait in the kernel's queue.
    pub connections: Bound,
    /// Connections to the loopback address: these have places of their own, and
    /// take none of the socket's.
    pub loopback: Bound,
    /// Requests that wait for a payment's end. Fewer than the connections, so that
    /// the next request can always come in.
    pub waiting: Bound,
    /// Event streams. A box has a few listeners; more are a program that forgets
    /// to close them.
    pub streams: Bound,
    /// Lists and journals that are being read.
    pub lists: Bound,
    /// Who may do what; without it, whoever may connect may do everything.
    pub roles: Option<Roles>,
    /// From the beginning of a connection, or the end of the last reply, until
    /// the next request's head has arrived.
    pub header_timeout: Duration,
    /// From the beginning of a connection to the loopback address, which anybody
    /// can open, until the first request's head has arrived.
    pub loopback_timeout: Duration,
    /// From a request's head until the end of its body.
    pub body_timeout: Duration,
    /// How long a client may read nothing of what it is sent.
    pub write_timeout: Duration,
    /// How often an idle event stream says that it is alive.
    pub comment_interval: Duration,
    /// How often the socket's file is looked at.
    pub file_interval: Duration,
    /// How long replies under way get when the daemon ends.
    pub end_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: Bound::of(512),
            loopback: Bound::shared(64),
            waiting: Bound::of(400),
            streams: Bound::of(64),
            lists: Bound::of(32),
            roles: None,
            header_timeout: Duration::from_secs(10),
            loopback_timeout: Duration::from_secs(2),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            comment_interval: Duration::from_secs(15),
            file_interval: Duration::from_secs(5),
            end_timeout: Duration::from_millis(500),
        }
    }
}

/// Descriptors that are left to the journal, scanners and the gateway.
const DESCRIPTORS_KEPT: usize = 64;

impl Settings {
    /// The bounds for a process that may have so many descriptors open: at most
    /// half of them are the API's, so that files, scanners and the gateway always
    /// find one.
    #[must_use]
    pub fn within(descriptors: usize) -> Self {
        let room = descriptors.saturating_sub(DESCRIPTORS_KEPT).max(16) / 2;
        let usual = Self::default();
        let of = |most: usize, usual: Bound| if most < usual.all { Bound::of(most) } else { usual };
        Self {
            connections: of(room, usual.connections),
            loopback: Bound::shared(usual.loopback.all.min(room / 4).max(1)),
            waiting: of(room * 3 / 4, usual.waiting),
            streams: of(room / 2, usual.streams),
            ..usual
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
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
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
    stopping: watch::Receiver<bool>,
) {
    let places = Places::new(&settings);
    let settings = Arc::new(settings);
    let api = Api::new(backend, settings.clone(), stopping.clone(), places.clone());
    let plain = routes::router(api.clone());
    let Listeners { unix, file, tcp } = listeners;

    let local = Entrance {
        listener: Listener::Unix(unix, file.map(Watched::new)),
        router: doors::open(plain.clone(), &api, None),
        room: places.connections,
        first_head: None,
        settings: settings.clone(),
        stopping: stopping.clone(),
    };
    let loopback = tcp.map(|Loopback { address, listener, token }| Entrance {
        listener: Listener::Tcp(Port { address, listener, told: None }),
        router: doors::open(plain, &api, Some(token)),
        room: places.loopback,
        first_head: Some(settings.loopback_timeout),
        settings,
        stopping,
    });
    match loopback {
        Some(loopback) => {
            tokio::join!(local.keep(), loopback.keep());
        }
        None => local.keep().await,
    }
}

enum Listener {
    Unix(UnixListener, Option<Watched>),
    Tcp(Port),
}

/// One way in. They share nothing that one could use up for the other.
struct Entrance {
    listener: Listener,
    router: Router,
    room: Arc<Room>,
    /// Until when a connection must have sent a request, if not by the head's own
    /// time-out.
    first_head: Option<Duration>,
    settings: Arc<Settings>,
    stopping: watch::Receiver<bool>,
}

impl Entrance {
    async fn keep(mut self) {
        let mut connections = JoinSet::new();
        let mut stopping = self.stopping.clone();
        let mut look = tokio::time::interval(self.settings.file_interval);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let accepted = tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                _ = look.tick() => {
                    self.look();
                    continue;
                }
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok(line) => {
                    if let Some((line, peer, place)) = self.admit(line) {
                        connections.spawn(self.converse(line, peer, place));
                    }
                }
                Err(why) => {
                    // Out of descriptors, most likely: it passes when connections end.
                    tracing::warn!(%why, "accepting a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(self.listener);
        let all = async { while connections.join_next().await.is_some() {} };
        drop(tokio::time::timeout(self.settings.end_timeout, all).await);
    }

    /// The next connection, once there is a place for it. After the accept nothing
    /// is awaited, so that no connection is dropped half-way.
    async fn accept(&self) -> io::Result<Line> {
        self.room.has_space().await;
        Ok(match &self.listener {
            Listener::Unix(unix, _) => Line::Unix(unix.accept().await?.0),
            Listener::Tcp(Port { listener: Some(tcp), .. }) => Line::Tcp(tcp.accept().await?.0),
            Listener::Tcp(Port { listener: None, .. }) => std::future::pending().await,
        })
    }

    /// A place for it; whoever has too many already is told so, and let go.
    fn admit(&self, line: Line) -> Option<(Arc<Line>, Peer, Place)> {
        let line = Arc::new(line);
        let peer = match Peer::of(&line, self.settings.roles.as_ref()) {
            Ok(peer) => peer,
            Err(why) => {
                tracing::warn!(%why, "asking who has connected");
                return None;
            }
        };
        match self.room.take(peer.who) {
            Ok(place) => Some((line, peer, place)),
            Err(full) => {
                let told = doors::no_place(full);
                // It is small: it fits, or nobody reads.
                let _ = line.try_write(&[io::IoSlice::new(told.as_bytes())]);
                None
            }
        }
    }

    /// Whether registers can still come in, and again if not.
    fn look(&mut self) {
        match &mut self.listener {
            Listener::Unix(listener, Some(watched)) => {
                if let Some(again) = watched.look() {
                    *listener = again;
                }
            }
            Listener::Unix(_, None) => {}
            Listener::Tcp(port) => port.look(),
        }
    }

    /// One connection, until the client, the time-outs or the daemon end it.
    fn converse(
        &self,
        line: Arc<Line>,
        peer: Peer,
        place: Place,
    ) -> impl Future<Output = ()> + Send + 'static {
        let stream = Patient::new(line, self.settings.write_timeout);
        let (router, first_head) = (self.router.clone(), self.first_head);
        let header_timeout = self.settings.header_timeout;
        let mut stopping = self.stopping.clone();
        async move {
            let _place = place;
            let begun = Arc::new(AtomicBool::new(false));
            let service = tower::service_fn({
                let begun = begun.clone();
                move |request: hyper::Request<Incoming>| {
                    begun.store(true, Ordering::Relaxed);
                    let router = router.clone();
                    let mut request = request.map(Body::new);
                    request.extensions_mut().insert(peer.clone());
                    async move {
                        let reply = tower::ServiceExt::oneshot(router, request).await;
                        Ok::<Response, Infallible>(reply.unwrap_or_else(|never| match never {}))
                    }
                }
            });
            let mut connection = std::pin::pin!(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(header_timeout)
                    // Who says no more may still wait for the answer.
                    .half_close(true)
                    // Heads of requests are short; buffers stay small on a small box.
                    .max_buf_size(16 * 1024)
                    .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            );
            let silent = async {
                match first_head {
                    Some(length) => tokio::time::sleep(length).await,
                    None => std::future::pending().await,
                }
                if begun.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                // A client that breaks off or talks nonsense is no news.
                _ = connection.as_mut() => return,
                () = silent => return,
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}

/// The port, or what keeps us from it.
struct Port {
    address: SocketAddr,
    listener: Option<TcpListener>,
    told: Option<String>,
}

impl Port {
    fn look(&mut self) {
        if self.listener.is_some() {
            return;
        }
        match bind_tcp(self.address) {
            Ok(listener) => {
                tracing::info!(address = %self.address, "listening for registers");
                self.listener = Some(listener);
            }
            Err(why) => {
                let cause = why.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                let what = format!(
                    "{why}{cause}. If another program has the port, registers hand it tokens and payment codes: find it with ss -ltnp, and let systemd open the port (tilld-tcp.socket). The Unix socket goes on"
                );
                if self.told.as_ref() != Some(&what) {
                    tracing::error!("{what}");
                    self.told = Some(what);
                }
            }
        }
    }
}

/// The file that registers connect to. Somebody who tidies up /run takes the
/// daemon away from them, and neither side hears of it.
struct Watched {
    file: SocketFile,
    /// Device and inode of our own.
    own: Option<(u64, u64)>,
    /// What was said last is not said again.
    told: Option<String>,
}

impl Watched {
    fn new(file: SocketFile) -> Self {
        let own = Self::found(&file);
        Self { file, own, told: None }
    }

    fn found(file: &SocketFile) -> Option<(u64, u64)> {
        let found = std::fs::symlink_metadata(&file.path).ok()?;
        Some((found.dev(), found.ino()))
    }

    /// Another listener, if the file is gone and could be made again.
    fn look(&mut self) -> Option<UnixListener> {
        let found = Self::found(&self.file);
        if found.is_some() && found == self.own {
            self.told = None;
            return None;
        }
        let path = self.file.path.display();
        let Some(mode) = self.file.mode else {
            self.tell(format!(
                "registers cannot reach the socket {path}: its file is gone; systemctl restart tilld.socket"
            ));
            return None;
        };
        match bind_unix(&self.file.path, mode) {
            Ok(listener) => {
                self.own = Self::found(&self.file);
                tracing::warn!(path = %path, "the socket's file was gone; it is made again");
                Some(listener)
            }
            Err(why) => {
                let why = format!("registers cannot reach the socket: {why}");
                self.tell(why);
                None
            }
        }
    }

    fn tell(&mut self, what: String) {
        if self.told.as_ref() != Some(&what) {
            tracing::error!("{what}");
            self.told = Some(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_follow_what_may_be_opened() {
        assert_eq!(Settings::within(1_048_576), Settings::default());
        assert_eq!(Settings::within(2048), Settings::default());
        for descriptors in [0, 64, 100, 256, 512, 1024] {
            let Settings { connections, loopback, waiting, streams, .. } =
                Settings::within(descriptors);
            let used = connections.all + loopback.all;
            assert!(connections.all >= 8 && loopback.all >= 1, "{descriptors}");
            assert!(waiting.all < connections.all && streams.all < connections.all);
            if descriptors >= 128 {
                assert!(used + DESCRIPTORS_KEPT <= descriptors, "{descriptors}: {used}");
            }
            assert!(connections.process < connections.user && connections.user < connections.all);
        }
    }
}
