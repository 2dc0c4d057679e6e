//! What one payment costs at least, whoever writes the terminal: two writes that
//! survive a power cut, one signature, one verification, one round trip.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::gateway::{ECHO, Gateway};
use crate::wire::Inbox;

/// The file goes round like SQLite's log, which is about as long.
const ROUND: u64 = 1024 * 1024;

/// The time of each part.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parts {
    pub(crate) first_sync: Duration,
    pub(crate) sign: Duration,
    pub(crate) round_trip: Duration,
    pub(crate) verify: Duration,
    pub(crate) second_sync: Duration,
}

impl Parts {
    pub(crate) fn sum(&self) -> Duration {
        self.first_sync + self.sign + self.round_trip + self.verify + self.second_sync
    }
}

pub(crate) struct Floor {
    file: File,
    at: u64,
    /// What the two transactions of a payment write.
    writes: [usize; 2],
    key: KeyPair,
    public: ParsedPublicKey,
    line: Box<dyn Line>,
    inbox: Inbox,
    count: u64,
}

trait Line: Read + Write {}
impl<T: Read + Write> Line for T {}

impl Floor {
    pub(crate) fn new(dir: &Path, writes: [usize; 2], gateway: &Gateway) -> Self {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).open(dir.join("floor"));
        let file = file.expect("a file beside the journal");
        // Whole from the start, as SQLite's log is after its first round.
        file.write_all_at(&vec![0x5a; usize::try_from(ROUND).expect("small")], 0).expect("room");
        file.sync_all().expect("fsync");
        let key = KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).expect("a key");
        let public = key.public_key().as_ref();
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).expect("its half");
        let line = connect(gateway);
        Self { file, at: 0, writes, key, public, line, inbox: Inbox::default(), count: 0 }
    }

    /// Does once what every payment must do, in its order.
    pub(crate) fn pay(&mut self, gateway: &Gateway) -> Parts {
        // As long as what is signed of a pay, and of its answer.
        let message = [b'x'; 600];
        let mut signature = vec![0; self.key.public_modulus_len()];

        let first_sync = self.sync(self.writes[0]);
        let started = Instant::now();
        let random = SystemRandom::new();
        self.key.sign(&RSA_PKCS1_SHA256, &random, &message, &mut signature).expect("a signature");
        let sign = started.elapsed();
        let round_trip = self.round_trip(gateway);
        let started = Instant::now();
        self.public.verify_sig(&message, &signature).expect("our own signature");
        let verify = started.elapsed();
        let second_sync = self.sync(self.writes[1]);
        Parts { first_sync, sign, round_trip, verify, second_sync }
    }

    fn sync(&mut self, length: usize) -> Duration {
        let bytes = vec![0xa5; length];
        if self.at + bytes.len() as u64 > ROUND {
            self.at = 0;
        }
        let started = Instant::now();
        self.file.write_all_at(&bytes, self.at).expect("room");
        self.file.sync_data().expect("fdatasync");
        let took = started.elapsed();
        self.at += bytes.len() as u64;
        took
    }

    /// On a connection that is open already; the gateway's time is taken off, as
    /// it is for a payment.
    fn round_trip(&mut self, gateway: &Gateway) -> Duration {
        self.count += 1;
        let number = format!("floor{}", self.count);
        // The number, and after it dots, up to the length of a pay.
        let length = gateway.sizes().request.saturating_sub(ECHO.len() + 26).max(number.len());
        let head = format!("{ECHO}\r\ncontent-length: {length}\r\n\r\n");
        let request = format!("{head}{number:.<length$}");
        let started = Instant::now();
        self.line.write_all(request.as_bytes()).and_then(|()| self.line.flush()).expect("sent");
        self.inbox.next(&mut self.line).expect("a reply").expect("not hung up");
        started.elapsed().saturating_sub(gateway.take_time(&number))
    }
}

fn connect(gateway: &Gateway) -> Box<dyn Line> {
    let stream = TcpStream::connect(gateway.address).expect("the gateway listens");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let Some(ca) = &gateway.ca else { return Box::new(stream) };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a TLS connection");
    Box::new(StreamOwned::new(connection, stream))
}
