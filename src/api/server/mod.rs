//! The server: one task for each connection, and one function for each request.

mod answer;
mod backend;
mod bind;
mod doors;
mod entrance;
mod events;
mod feed;
mod line;
mod list;
mod metrics;
mod money;
mod openapi;
mod pages;
mod peer;
mod places;
mod routes;
mod settings;
mod state;
mod token;
mod watched;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use entrance::{Entrance, Listener};
use places::Places;
use state::Api;
use watched::{Port, Watched};

pub use backend::{About, Backend, Page, Soon, Standing, Unanswered, Unavailable};
pub use bind::{BindError, bind_tcp, bind_unix};
pub use openapi::description;
pub use peer::{Role, Roles, Who};
pub use places::Bound;
pub use settings::{RefundRight, Settings};
pub use token::{Token, TokenError};

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
        listener: Listener::Tcp(Port::new(address, listener)),
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
