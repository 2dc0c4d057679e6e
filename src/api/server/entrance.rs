//! The connections: who may come in, how many, and how long they may take.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::doors;
use super::line::{Line, Patient};
use super::peer::Peer;
use super::places::{Place, Room};
use super::settings::Settings;
use super::watched::{Port, Watched};

/// What connections come in by.
pub(super) enum Listener {
    Unix(UnixListener, Option<Watched>),
    Tcp(Port),
}

/// One way in. They share nothing that one could use up for the other.
pub(super) struct Entrance {
    pub(super) listener: Listener,
    pub(super) router: Router,
    pub(super) room: Arc<Room>,
    /// Until when a connection must have sent a request, if not by the head's own
    /// time-out.
    pub(super) first_head: Option<Duration>,
    pub(super) settings: Arc<Settings>,
    pub(super) stopping: watch::Receiver<bool>,
}

impl Entrance {
    /// Lets connections in until the daemon ends, and waits a little for theirs.
    pub(super) async fn keep(mut self) {
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
