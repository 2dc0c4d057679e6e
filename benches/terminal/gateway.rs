//! A gateway that does nothing but charge: it signs each answer as Alipay does,
//! and keeps the time that this took it, so that it can be taken off again.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tilld::alipay::request::PROBE;
use tilld::alipay::sign::{PrivateKey, SignType};

use crate::wire::{Inbox, Message};

/// The request of the floor's round trip: replied to with as many bytes as the
/// last pay, and without a signature.
pub(crate) const ECHO: &str = "POST /echo HTTP/1.1";

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    /// The authority to trust, when it speaks TLS.
    pub(crate) ca: Option<String>,
    kept: Arc<Kept>,
}

struct Kept {
    key: PrivateKey,
    /// From a request fully read to its answer ready to be written.
    took: Mutex<HashMap<String, Duration>>,
    sizes: Mutex<Sizes>,
}

/// Bytes of the last pay and of its reply, heads included, before TLS.
#[derive(Clone, Default)]
pub(crate) struct Sizes {
    pub(crate) request: usize,
    pub(crate) reply: usize,
}

impl Gateway {
    /// Opens a port of its own and answers there until the process ends.
    pub(crate) fn start(key: PrivateKey, with_tls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (tls, ca) = match with_tls.then(tls) {
            Some((tls, ca)) => (Some(Arc::new(tls)), Some(ca)),
            None => (None, None),
        };
        let kept = Arc::new(Kept { key, took: Mutex::default(), sizes: Mutex::default() });
        let for_all = Arc::clone(&kept);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, tls) = (Arc::clone(&for_all), tls.clone());
                thread::spawn(move || converse(stream.expect("a connection"), tls, &kept));
            }
        });
        Self { address, ca, kept }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/gateway.do", self.address)
    }

    /// What this number took, once.
    pub(crate) fn take_time(&self, number: &str) -> Duration {
        let taken = self.kept.took.lock().expect("nobody panics").remove(number);
        taken.unwrap_or_else(|| panic!("the gateway was never asked about {number}"))
    }

    pub(crate) fn sizes(&self) -> Sizes {
        self.kept.sizes.lock().expect("nobody panics").clone()
    }
}

fn converse(stream: TcpStream, tls: Option<Arc<ServerConfig>>, kept: &Kept) {
    stream.set_nodelay(true).expect("TCP_NODELAY");
    match tls {
        None => answer_all(stream, kept),
        Some(tls) => {
            let connection = ServerConnection::new(tls).expect("a TLS connection");
            answer_all(StreamOwned::new(connection, stream), kept);
        }
    }
}

fn answer_all(mut stream: impl Read + Write, kept: &Kept) {
    let mut inbox = Inbox::default();
    // A daemon that is stopped breaks off; that is no news here.
    while let Ok(Some(request)) = inbox.next(&mut stream) {
        let started = Instant::now();
        let reply = if request.start == ECHO { echo(&request, kept) } else { pay(&request, kept) };
        let took = started.elapsed();
        kept.took.lock().expect("nobody panics").insert(reply.number, took);
        if stream.write_all(&reply.bytes).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

struct Reply {
    number: String,
    bytes: Vec<u8>,
}

fn pay(request: &Message, kept: &Kept) -> Reply {
    let content = form_urlencoded::parse(&request.body)
        .find(|(name, _)| name == "biz_content")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_else(|| panic!("{} without biz_content", request.start));
    let asked: serde_json::Value = serde_json::from_str(&content).expect("JSON");
    let number = text(&asked, "out_trade_no");
    if number == PROBE {
        return nobody(number, kept);
    }
    assert!(asked["auth_code"].is_string(), "only pays are expected: {}", request.start);
    let amount = text(&asked, "total_amount");
    // Paid when it was asked for: what was paid earlier would be another sale's.
    let query = request.start.split(['?', ' ']).nth(2).unwrap_or_default();
    let paid_at = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "timestamp")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_else(|| panic!("{} without timestamp", request.start));
    let answer = format!(
        "{{\"code\":\"10000\",\"msg\":\"Success\",\"buyer_logon_id\":\"159****5620\",\
         \"buyer_pay_amount\":\"{amount}\",\"buyer_user_id\":\"2088101117955611\",\
         \"fund_bill_list\":[{{\"amount\":\"{amount}\",\"fund_channel\":\"ALIPAYACCOUNT\"}}],\
         \"gmt_payment\":\"{paid_at}\",\"invoice_amount\":\"{amount}\",\
         \"out_trade_no\":\"{number}\",\"point_amount\":\"0.00\",\"receipt_amount\":\"{amount}\",\
         \"total_amount\":\"{amount}\",\"trade_no\":\"2026112022001455610500000001\"}}"
    );
    let signature = kept.key.sign(SignType::Rsa2, answer.as_bytes());
    let body = format!("{{\"alipay_trade_pay_response\":{answer},\"sign\":\"{signature}\"}}");
    let bytes = framed(body.as_bytes());
    let sizes = Sizes { request: request.length, reply: bytes.len() };
    *kept.sizes.lock().expect("nobody panics") = sizes;
    Reply { number: number.to_owned(), bytes }
}

/// What a real gateway says of a number that nobody has used: the daemon asks, to
/// learn the time and to see that both keys are right.
fn nobody(number: &str, kept: &Kept) -> Reply {
    let answer = format!(
        "{{\"code\":\"40004\",\"msg\":\"Business Failed\",\"sub_code\":\"ACQ.TRADE_NOT_EXIST\",\
         \"sub_msg\":\"交易不存在\",\"out_trade_no\":\"{number}\"}}"
    );
    let signature = kept.key.sign(SignType::Rsa2, answer.as_bytes());
    let body = format!("{{\"alipay_trade_query_response\":{answer},\"sign\":\"{signature}\"}}");
    Reply { number: number.to_owned(), bytes: framed(body.as_bytes()) }
}

fn echo(request: &Message, kept: &Kept) -> Reply {
    let number = String::from_utf8_lossy(&request.body).trim_end_matches('.').to_owned();
    let wanted = kept.sizes.lock().expect("nobody panics").reply;
    let head = framed(b"").len();
    Reply { number, bytes: framed(&b".".repeat(wanted.saturating_sub(head + 2))) }
}

fn text<'a>(asked: &'a serde_json::Value, name: &str) -> &'a str {
    asked[name].as_str().unwrap_or_else(|| panic!("a pay without {name}"))
}

/// With the headers of a real gateway, so that the sizes are about right.
fn framed(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: {}\r\n\
         Content-Type: text/html;charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: keep-alive\r\ntrace_id: 0bb0c1d217000000000000000e2fca\r\n\r\n",
        now(),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn now() -> String {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    time::OffsetDateTime::now_utc().format(&format).expect("a date")
}

/// A self-made authority, which is the server's certificate as well.
fn tls() -> (ServerConfig, String) {
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("they belong together");
    (config, certificate.pem())
}
