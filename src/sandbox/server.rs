//! The sockets: HTTP and HTTPS on one port, the gateway and its control.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Method as Verb, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use super::answer::{Delivery, Spoken, refuse, speak};
use super::clock::{Clock, http_date};
use super::control;
use super::flood::Floodable;
use super::gateway::{self, App, Call};
use super::trade::{Late, World};
use crate::alipay::sign::PrivateKey;

/// What all connections share.
pub(super) struct Shared {
    pub(super) app: App,
    pub(super) key: PrivateKey,
    pub(super) clock: Clock,
    world: Mutex<World>,
}

/// A request body larger than this is refused.
const BODY_MAX: usize = 1 << 20;

impl Shared {
    pub(super) fn new(app: App, key: PrivateKey, world: World) -> Self {
        Self { app, key, clock: Clock::default(), world: Mutex::new(world) }
    }

    /// The world. It is never left half changed, so a panic elsewhere does not
    /// poison it.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts connections for ever.
pub(super) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    // Dropped with this future, and all connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                    connections.spawn(connection(stream, acceptor, shared));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The first byte of a TLS connection: a handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) if first == [TLS_HANDSHAKE] => match acceptor.accept(stream).await {
            Ok(stream) => speak_http(stream, shared).await,
            Err(error) => info!(%error, "a TLS handshake failed"),
        },
        Ok(1) => speak_http(stream, shared).await,
        _ => {}
    }
}

async fn speak_http(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let stream = Floodable::new(stream);
    let floods = stream.floods();
    let service = service_fn(move |request| {
        let (shared, floods) = (Arc::clone(&shared), Arc::clone(&floods));
        async move {
            let response = route(&shared, request).await?;
            if response.extensions().get::<Flooded>().is_some() {
                floods.store(true, Ordering::Relaxed);
            }
            Ok::<_, Dropped>(response)
        }
    });
    // Ends in an error whenever an answer is dropped or cut, which is the point.
    let _ = hyper::server::conn::http1::Builder::new()
        // Some gateways have none.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Marks an answer that interim answers without end go before.
#[derive(Clone)]
struct Flooded;

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer is dropped")]
struct Dropped;

async fn route(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Dropped> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_MAX).collect().await else {
        return Ok(page(shared, StatusCode::PAYLOAD_TOO_LARGE, "the request is too large\n"));
    };
    let body = body.to_bytes();
    match (head.uri.path(), &head.method) {
        ("/gateway.do", verb) if *verb == Verb::POST || *verb == Verb::GET => {
            let is_form = head
                .headers
                .get(hyper::header::CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .is_some_and(|kind| {
                    kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
                });
            let request = gateway::Request {
                query: head.uri.query().unwrap_or_default(),
                form: if is_form { &body } else { &[] },
            };
            answer(shared, &request).await
        }
        ("/gateway.do", _) => Ok(page(shared, StatusCode::METHOD_NOT_ALLOWED, "POST only\n")),
        (path, verb) => match path.strip_prefix("/sandbox/") {
            Some(path) => {
                let (status, json) = control::handle(shared, verb, path, &body);
                let mut text = serde_json::to_string_pretty(&json).unwrap_or_default();
                text.push('\n');
                let mut response = page(shared, status, &text);
                let kind = hyper::header::HeaderValue::from_static("application/json");
                response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
                Ok(response)
            }
            None => Ok(page(
                shared,
                StatusCode::NOT_FOUND,
                "simulated Alipay gateway: POST /gateway.do, GET /sandbox/ledger\n",
            )),
        },
    }
}

async fn answer(
    shared: &Arc<Shared>,
    request: &gateway::Request<'_>,
) -> Result<Response<Answer>, Dropped> {
    let now = shared.clock.now();
    match gateway::front_door(&shared.app, request, now) {
        Ok(call) => act(shared, &call, now).await,
        Err(refusal) => {
            shared.world().refused += 1;
            let said = &refusal.said;
            info!(code = %said.code, sub_code = %said.sub_code, "refused at the front door");
            let body = refuse(&shared.key, refusal.sign_type, &refusal.member, said);
            Ok(says(shared, StatusCode::OK, body.into_bytes(), None))
        }
    }
}

async fn act(shared: &Arc<Shared>, call: &Call, now: i64) -> Result<Response<Answer>, Dropped> {
    let acted = match shared.world().act(call, now) {
        Ok(acted) => acted,
        Err(error) => {
            warn!(%error, "cannot write the ledger");
            let text = format!("sandbox: cannot write the ledger: {error}\n");
            return Ok(page(shared, StatusCode::INTERNAL_SERVER_ERROR, &text));
        }
    };
    let spoken = speak(
        &shared.key,
        call.sign_type,
        &call.method.member(),
        &acted.content,
        acted.forged.as_ref(),
        &acted.voice,
    );
    let Spoken { status, body, delivery } = shared.world().replayed(call.method, &acted, spoken);
    info!(
        method = call.method.name(),
        out_trade_no = acted.recorded.as_ref().map(|(name, _)| name.as_str()),
        ending = acted.ending,
        code = acted.said().0,
        sub_code = acted.said().1,
        spoken = acted.voice.name(),
        "answering"
    );
    if let Some((after, what)) = acted.late {
        tokio::spawn(late(Arc::downgrade(shared), after, what));
    }
    if acted.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(acted.delay_ms)).await;
        if let Some((name, seq)) = &acted.recorded
            && delivery == Delivery::Whole
            && let Err(error) = shared.world().book.answered(name, *seq)
        {
            warn!(%error, "cannot write the ledger");
        }
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    match delivery {
        Delivery::Nothing => Err(Dropped),
        Delivery::Whole => Ok(says(shared, status, body, acted.date)),
        Delivery::Half => {
            let mut response = says(shared, status, body, acted.date);
            response.body_mut().cut = true;
            Ok(response)
        }
        Delivery::Flood => {
            let mut response = says(shared, status, body, acted.date);
            response.extensions_mut().insert(Flooded);
            Ok(response)
        }
    }
}

/// What comes through when nobody waits for it any more.
async fn late(shared: std::sync::Weak<Shared>, after_ms: u64, what: Late) {
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
    let Some(shared) = shared.upgrade() else { return };
    let now = shared.clock.now();
    let done = shared.world().execute_late(&what, now);
    match done {
        Ok(said) => info!(said, "what was late came through"),
        Err(error) => warn!(%error, "cannot write the ledger"),
    }
}

/// An answer of the gateway, with the date that it is to have.
fn says(
    shared: &Shared,
    status: StatusCode,
    body: Vec<u8>,
    date: Option<String>,
) -> Response<Answer> {
    let habits = shared.world().habits;
    let date = date
        .or_else(|| habits.no_date.then(String::new))
        .unwrap_or_else(|| http_date(shared.clock.now().saturating_add(habits.date_skew_ms)));
    dressed(status, body, &date)
}

/// A page for people and tests.
fn page(shared: &Shared, status: StatusCode, text: &str) -> Response<Answer> {
    dressed(status, text.as_bytes().to_vec(), &http_date(shared.clock.now()))
}

/// An answer with the headers that the original sends, but for those that are
/// empty.
fn dressed(status: StatusCode, body: Vec<u8>, date: &str) -> Response<Answer> {
    let mut random = [0; 16];
    let _ = getrandom::fill(&mut random);
    let trace = random.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let length = body.len().to_string();
    let body = Answer::whole(Bytes::from(body));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = [
        ("content-type", "text/html;charset=utf-8"),
        ("date", date),
        ("content-length", length.as_str()),
        ("trace_id", trace.as_str()),
    ];
    for (name, value) in headers.into_iter().filter(|(_, value)| !value.is_empty()) {
        if let Ok(value) = hyper::header::HeaderValue::from_str(value) {
            response.headers_mut().insert(hyper::header::HeaderName::from_static(name), value);
        }
    }
    response
}

/// A body that is sent whole, or only half before the connection breaks.
struct Answer {
    bytes: Bytes,
    cut: bool,
    /// Gives the first half time to get out before the connection breaks.
    breaking: Option<Pin<Box<Sleep>>>,
}

impl Answer {
    fn whole(bytes: Bytes) -> Self {
        Self { bytes, cut: false, breaking: None }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(sleep) = &mut self.breaking {
            return sleep.as_mut().poll(context).map(|()| {
                Some(Err(io::Error::new(io::ErrorKind::BrokenPipe, "cut in the middle")))
            });
        }
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        if self.cut {
            bytes.truncate(bytes.len() / 2);
            self.breaking = Some(Box::pin(tokio::time::sleep(Duration::from_millis(20))));
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.breaking.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.bytes.len()).unwrap_or_default())
    }
}
