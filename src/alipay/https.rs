//! The gateway over keep-alive TLS. Knows nothing about money, but one thing:
//! whether a request can have left the box.

mod address;

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

pub use self::address::{AddressError, Gateway, is_proxy};
use super::ask::{Ask, Expect, Method};
use super::certificate::OutOfDate;
use super::content;
use super::envelope::{self, REPLY_MAX};
use super::mask::Mask;
use super::proof::Proof;
use super::request::{self, Request, RequestError};
use super::sign::{PrivateKey, PublicKey, SignType};
use super::verdict;
use crate::payment::{
    Amount, Answer, Answered, PayAnswer, PrecreateAnswer, Till, Timestamp, Trouble, TroubleKind,
    Wire,
};

/// Where the gateway is, and who we are to it.
pub struct Settings {
    /// The gateway's address.
    pub gateway: Gateway,
    /// The application.
    pub app_id: String,
    /// How it signs.
    pub sign_type: SignType,
    /// The application's key.
    pub private_key: PrivateKey,
    /// Alipay's key.
    pub alipay_public_key: PublicKey,
    /// One more certificate authority to trust (PEM), beside Mozilla's.
    pub ca_pem: Option<Vec<u8>>,
    /// An HTTP proxy to go through. The environment's is never used.
    pub proxy: Option<String>,
    /// The longest one exchange may take.
    pub request_timeout: Duration,
    /// Which till this is.
    pub terminal_id: String,
    /// Which shop it is in.
    pub store_id: Option<String>,
    /// Who is at it, unless an order names somebody.
    pub operator_id: Option<String>,
}

/// Why there can be no client, in a sentence for the person who configures it.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Nothing to be known by.
    #[error("app_id is empty: write the application's id, like \"2014072300007148\"")]
    AppId,
    /// Not a proxy's URL.
    #[error("write the proxy as a URL, like \"http://192.0.2.1:3128\"")]
    Proxy,
    /// No usable certificate.
    #[error("the extra CA is not a PEM file with certificates")]
    Ca,
    /// An exchange needs some time.
    #[error("request_timeout must be longer than nothing")]
    Timeout,
    /// The classic mistake.
    #[error(transparent)]
    Key(#[from] super::sign::KeyError),
    /// The TLS or HTTP library would not start.
    #[error("the HTTPS client could not be made")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Speaks to the gateway.
pub struct Client {
    /// The connections; replaced when those there are have become worthless.
    http: RwLock<reqwest::Client>,
    plan: Plan,
    gateway: Url,
    app_id: String,
    sign_type: SignType,
    private_key: PrivateKey,
    alipay_public_key: PublicKey,
    till: Till,
}

/// How connections are made.
struct Plan {
    tls: rustls::ClientConfig,
    proxy: Option<Url>,
    request_timeout: Duration,
}

impl Plan {
    fn http(&self) -> reqwest::Result<reqwest::Client> {
        let mut http = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            // An answer comes from where it was asked for, or it is none.
            .redirect(reqwest::redirect::Policy::none())
            // One call is one request: a pay is never sent twice.
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(self.request_timeout.min(CONNECT_TIMEOUT_MAX))
            .timeout(self.request_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("tilld/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = &self.proxy {
            http = http.proxy(reqwest::Proxy::all(proxy.clone())?);
        }
        http.build()
    }
}

/// A call that is signed and can be sent, once.
///
/// That of a pay holds the buyer's code; all of it is wiped when it is dropped.
pub struct Prepared {
    ask: Ask,
    dated: Timestamp,
    request: Result<Request, RequestError>,
}

/// What came of a question that concerns no payment.
#[derive(Debug)]
pub struct Probed {
    /// The answer to a query about a number that nobody has paid with.
    pub answered: Answered,
    /// What it proves of the keys.
    pub proof: Proof,
    /// TLS refused the gateway's certificate by its dates, and it is the box's
    /// clock that is to blame.
    pub certificate_out_of_date: bool,
}

/// Connecting is quick or hopeless.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// Shorter than what servers and firewalls usually keep an idle connection: a
/// connection that dies under a pay costs the buyer a round of doubt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

impl Client {
    /// A client of the gateway. Nothing is sent.
    ///
    /// # Errors
    ///
    /// Which setting is wrong.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        if settings.app_id.is_empty() {
            return Err(SetupError::AppId);
        }
        if settings.request_timeout.is_zero() {
            return Err(SetupError::Timeout);
        }
        super::sign::self_test(
            &settings.private_key,
            &settings.alipay_public_key,
            settings.sign_type,
        )?;
        let proxy = match &settings.proxy {
            None => None,
            Some(proxy) => {
                let url = address::proxy(proxy).ok_or(SetupError::Proxy)?;
                reqwest::Proxy::all(url.clone()).map_err(|_| SetupError::Proxy)?;
                Some(url)
            }
        };
        let tls = tls(settings.ca_pem.as_deref())?;
        let plan = Plan { tls, proxy, request_timeout: settings.request_timeout };
        Ok(Self {
            http: RwLock::new(plan.http().map_err(|error| SetupError::Client(error.into()))?),
            plan,
            gateway: settings.gateway.url(),
            app_id: settings.app_id,
            sign_type: settings.sign_type,
            private_key: settings.private_key,
            alipay_public_key: settings.alipay_public_key,
            till: Till {
                terminal_id: settings.terminal_id,
                store_id: settings.store_id,
                operator_id: settings.operator_id,
            },
        })
    }

    /// Makes a call ready to be sent: signs it, and puts the date on it, for
    /// which `gateway_now` is the best guess at the gateway's clock. Takes
    /// processor time and nothing else, so that it can be done while it is still
    /// being written down that the call is going to be made. What is never sent
    /// is just dropped.
    #[must_use]
    pub fn prepare(&self, ask: Ask, gateway_now: Timestamp) -> Prepared {
        let request = self.request(&ask, gateway_now);
        Prepared { ask, dated: gateway_now, request }
    }

    /// Sends a call and judges what comes back.
    ///
    /// Sends at most one request, and never a second one, whatever happens to
    /// the first.
    pub async fn send(&self, prepared: Prepared) -> Answered {
        self.exchange(prepared).await.answered
    }

    /// Asks about a number that nobody has paid with, to learn whether the
    /// gateway answers, and what its clock says. Nothing comes of it there.
    pub async fn probe(&self, gateway_now: Timestamp) -> Probed {
        self.exchange(self.prepare(Ask::Query(nobody()), gateway_now)).await
    }

    /// Uses none of the connections that are open now for a further call: after
    /// the box was suspended the other side has forgotten them, and a pay that
    /// goes into one of them costs the buyer a round of doubt. Calls under way
    /// keep theirs.
    pub fn forget_connections(&self) {
        // What could be built at the start can be built now; if not, the old
        // connections fail one by one.
        if let Ok(fresh) = self.plan.http() {
            *self.http.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }

    fn request(&self, ask: &Ask, gateway_now: Timestamp) -> Result<Request, RequestError> {
        let biz_content = match ask {
            Ask::Pay(pay) => content::pay(pay, self.till(pay.till.as_deref()))?,
            Ask::Query(expect) | Ask::Cancel(expect) => content::by_number(expect),
            Ask::Refund(refund) => content::refund(refund, self.till(refund.till.as_deref()))?,
            Ask::RefundQuery(query) => content::refund_query(query)?,
            Ask::Precreate(precreate) => {
                content::precreate(precreate, self.till(precreate.till.as_deref()))?
            }
        };
        let mut common =
            request::common(&self.app_id, ask.method().name(), self.sign_type, gateway_now)?;
        common.extend(ask.notify_url().map(|url| ("notify_url", url.to_owned())));
        request::build(&common, &biz_content, self.sign_type, &self.private_key)
    }

    /// Payments of earlier versions do not say where they were taken.
    fn till<'a>(&'a self, of_payment: Option<&'a Till>) -> &'a Till {
        of_payment.unwrap_or(&self.till)
    }

    async fn exchange(&self, Prepared { ask, dated, request }: Prepared) -> Probed {
        let started = Instant::now();
        let mask = Mask::new(ask.code());
        let mut probed = match request {
            Ok(request) => self.post(&ask, dated, request, mask).await,
            Err(error) => unanswered(not_sent(ask.method(), mask.sentence(&error.to_string()))),
        };
        let millis = started.elapsed().as_millis();
        probed.answered.wire.millis = u64::try_from(millis).unwrap_or(u64::MAX);
        probed
    }

    async fn post(&self, ask: &Ask, dated: Timestamp, request: Request, mask: Mask<'_>) -> Probed {
        let method = ask.method();
        let mut url = self.gateway.clone();
        url.set_query(Some(&request.query));
        let (body, sent) = OneUse::new(request.body);
        let http = self.http.read().unwrap_or_else(PoisonError::into_inner).clone();
        let reply = http
            .post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded;charset=utf-8")
            .body(reqwest::Body::wrap(body))
            .send()
            .await;
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) if sent.take_back() => {
                let (certificate_out_of_date, why) = match out_of_date(&error, dated) {
                    Some(OutOfDate::Certificate(says)) => (false, says),
                    Some(OutOfDate::Clock) => (true, why(error)),
                    None => (false, why(error)),
                };
                let text = mask.sentence(&format!("not sent: {why}"));
                return Probed { certificate_out_of_date, ..unanswered(not_sent(method, text)) };
            }
            Err(error) => {
                let text = mask.sentence(&format!("sent, but no answer: {}", why(error)));
                return unanswered(lost(method, TroubleKind::NoAnswer, text));
            }
        };
        let mut wire = Wire {
            http_status: Some(reply.status().as_u16()),
            trace_id: header(reply.headers(), "trace_id").map(|id| mask.word(id)),
            ..Wire::default()
        };
        let date = header(reply.headers(), DATE.as_str()).and_then(http_date);
        let (mut gateway_time, mut proof) = (None, Proof::Nothing);
        let answer = if reply.status() != reqwest::StatusCode::OK {
            let text = format!("HTTP {} is not an answer", reply.status());
            lost(method, TroubleKind::Unverified, mask.sentence(&text))
        } else {
            match read(reply).await {
                Err(Unread::TooLarge) => {
                    let text = envelope::EnvelopeError::TooLarge.to_string();
                    lost(method, TroubleKind::Unverified, text)
                }
                Err(Unread::Broken(error)) => {
                    let text = mask.sentence(&format!("the answer broke off: {}", why(error)));
                    lost(method, TroubleKind::NoAnswer, text)
                }
                Ok(bytes) => {
                    let (name, key) = (method.name(), &self.alipay_public_key);
                    match envelope::open(&bytes, name, self.sign_type, key) {
                        Err(error) => {
                            proof = Proof::by_error(&error);
                            let text = mask.sentence(&error.to_string());
                            lost(method, TroubleKind::Unverified, text)
                        }
                        Ok(content) => {
                            gateway_time = date;
                            let (answer, said) =
                                verdict::judge(method, &content, &ask.expect(), mask);
                            proof = Proof::by_answer(&answer, &said);
                            wire = Wire {
                                http_status: wire.http_status,
                                trace_id: wire.trace_id,
                                ..said
                            };
                            answer
                        }
                    }
                }
            }
        };
        let answered = Answered { answer, gateway_time, wire };
        Probed { answered, proof, certificate_out_of_date: false }
    }
}

fn unanswered(answer: Answer) -> Probed {
    let answered = Answered { answer, gateway_time: None, wire: Wire::default() };
    Probed { answered, proof: Proof::Nothing, certificate_out_of_date: false }
}

/// What a probe asks about.
fn nobody() -> Expect {
    Expect {
        number: request::PROBE.parse().unwrap_or_else(|_| unreachable!("letters are a number")),
        amount: Amount::from_fen(1).unwrap_or_else(|_| unreachable!("a fen is an amount")),
        refund: None,
    }
}

/// What is out of date, if TLS refused a certificate for that.
fn out_of_date(error: &reqwest::Error, dated: Timestamp) -> Option<OutOfDate> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
            return OutOfDate::by(why, dated);
        }
        // What an I/O error wraps is not what it names as its source.
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn not_sent(method: Method, text: String) -> Answer {
    let trouble = Trouble { kind: TroubleKind::Unreachable, text };
    match method {
        Method::Pay => Answer::Pay(PayAnswer::NotSent(trouble)),
        Method::Precreate => Answer::Precreate(PrecreateAnswer::NotSent(trouble)),
        Method::Query | Method::Cancel | Method::Refund | Method::RefundQuery => {
            verdict::unknown(method, trouble)
        }
    }
}

fn lost(method: Method, kind: TroubleKind, text: String) -> Answer {
    verdict::unknown(method, Trouble { kind, text })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A date in one of HTTP's three forms (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp(i64::try_from(since.as_millis()).ok()?))
}

/// The chain of causes in one line. The URL stays out: it holds the signature.
fn why(error: reqwest::Error) -> String {
    let timed_out = error.is_timeout();
    let error = error.without_url();
    let mut text = if timed_out { "timed out: ".to_owned() } else { String::new() };
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(if text.is_empty() || text.ends_with(' ') { "" } else { ": " });
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

enum Unread {
    TooLarge,
    Broken(reqwest::Error),
}

async fn read(mut reply: reqwest::Response) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    while let Some(chunk) = reply.chunk().await.map_err(Unread::Broken)? {
        if bytes.len() + chunk.len() > REPLY_MAX {
            return Err(Unread::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn tls(extra_ca: Option<&[u8]>) -> Result<rustls::ClientConfig, SetupError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(pem) = extra_ca {
        let mut found = false;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| SetupError::Ca)?;
            roots.add(certificate).map_err(|_| SetupError::Ca)?;
            found = true;
        }
        if !found {
            return Err(SetupError::Ca);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| SetupError::Client(error.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// A request's body that can be handed out once, or taken back before that.
///
/// The HTTP library asks for the body before it writes the first byte, and
/// `biz_content` is in the body alone. So as long as the body was not asked
/// for, the gateway has nothing that it could execute. Taking it back settles
/// the race with a connection that is just about to ask.
struct OneUse {
    bytes: Bytes,
    state: Arc<AtomicU8>,
}

/// The other end of [`OneUse`].
struct Sent(Arc<AtomicU8>);

const WAITING: u8 = 0;
const HANDED_OUT: u8 = 1;
const TAKEN_BACK: u8 = 2;

impl OneUse {
    fn new(bytes: Zeroizing<Vec<u8>>) -> (Self, Sent) {
        let state = Arc::new(AtomicU8::new(WAITING));
        // `from_owner` wipes the buffer when the last user drops it.
        (Self { bytes: Bytes::from_owner(bytes), state: state.clone() }, Sent(state))
    }
}

impl Sent {
    /// Whether the request certainly never left, and certainly never will.
    fn take_back(&self) -> bool {
        self.0.compare_exchange(WAITING, TAKEN_BACK, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// The body was taken back.
#[derive(Debug)]
struct TakenBack;

impl fmt::Display for TakenBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was taken back")
    }
}

impl std::error::Error for TakenBack {}

impl Body for OneUse {
    type Data = Bytes;
    type Error = TakenBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TakenBack>>> {
        let asked =
            self.state.compare_exchange(WAITING, HANDED_OUT, Ordering::SeqCst, Ordering::SeqCst);
        Poll::Ready(match asked {
            Ok(_) => Some(Ok(Frame::data(std::mem::take(&mut self.bytes)))),
            Err(HANDED_OUT) => None,
            Err(_) => Some(Err(TakenBack)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        // Known, so that the length is sent in front and a proxy has nothing to
        // reassemble.
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: &mut OneUse) -> String {
        let polled = Pin::new(body).poll_frame(&mut Context::from_waker(std::task::Waker::noop()));
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
            }
            Poll::Ready(Some(Err(error))) => error.to_string(),
            Poll::Ready(None) => "nothing".to_owned(),
            Poll::Pending => "pending".to_owned(),
        }
    }

    #[test]
    fn a_body_is_handed_out_once_or_taken_back_and_never_both() {
        let (mut body, sent) = OneUse::new(Zeroizing::new(b"pay".to_vec()));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert!(!body.is_end_stream());
        assert_eq!(ask(&mut body), "pay");
        assert!(body.is_end_stream());
        assert_eq!(ask(&mut body), "nothing");
        assert!(!sent.take_back(), "it may have left");

        let (mut body, sent) = OneUse::new(Zeroizing::new(b"pay".to_vec()));
        assert!(sent.take_back());
        assert_eq!(ask(&mut body), "the request was taken back");
        assert!(!sent.take_back(), "whoever asks twice is told the careful thing");
    }

    #[test]
    fn a_date_is_read_in_all_three_forms_of_http_or_not_at_all() {
        for date in [
            "Thu, 01 Jan 2026 19:04:07 GMT",
            "Thursday, 01-Jan-26 19:04:07 GMT",
            "Thu Jan  1 19:04:07 2026",
        ] {
            assert_eq!(http_date(date), Some(Timestamp(1_767_294_247_000)), "{date}");
        }
        let last = "Fri, 31 Dec 9999 23:59:59 GMT";
        assert_eq!(http_date(last), Some(Timestamp(253_402_300_799_000)));
        for other in [
            "",
            "Thu, 01 Jan 2026 19:04:07 +0800",
            "2026-01-01T19:04:07Z",
            "Thu, 01 Jan 1969 19:04:07 GMT",
            "soon",
        ] {
            assert_eq!(http_date(other), None, "{other}");
        }
    }
}
