//! The folder of a sandbox: keys, certificates, and a ready `tilld.toml`.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{SandboxError, tls};
use crate::alipay::sign::{PrivateKey, PublicKey, SignType};

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
}

/// What a running sandbox needs from its folder.
pub(super) struct Secrets {
    pub(super) app_id: String,
    pub(super) app_public_key: PublicKey,
    pub(super) alipay_private_key: PrivateKey,
    pub(super) acceptor: tokio_rustls::TlsAcceptor,
}

impl Folder {
    /// The folder itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The configuration for `tilld --config`.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.join("tilld.toml")
    }

    /// The application's private key, as PKCS#8 PEM.
    #[must_use]
    pub fn app_private_key(&self) -> PathBuf {
        self.dir.join("app_private_key.pem")
    }

    /// The key with which answers are checked.
    #[must_use]
    pub fn alipay_public_key(&self) -> PathBuf {
        self.dir.join("alipay_public_key.pem")
    }

    /// The authority of the sandbox's TLS certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// The ledger, a line a request.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.dir.join("ledger.jsonl")
    }

    /// The number of the application that the sandbox knows.
    #[must_use]
    pub fn app_id_file(&self) -> PathBuf {
        self.dir.join("app_id")
    }

    /// The socket that a daemon started with [`config`](Self::config) opens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.join("tilld.sock")
    }

    /// Opens the folder, and makes in it what is missing.
    pub(super) fn open(dir: &Path, names: &[String]) -> Result<(Self, Secrets), SandboxError> {
        fs::create_dir_all(dir)
            .map_err(|source| SandboxError::Folder { path: dir.to_owned(), source })?;
        let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let folder = Self { dir };

        folder.key_pair("app")?;
        folder.key_pair("alipay")?;
        let (app, alipay) = ("app_public_key.pem", "alipay_private_key.pem");
        let app_public_key = PublicKey::read(folder.read(app)?.as_bytes(), SignType::Rsa2)
            .map_err(|e| folder.broken(app, &e.to_string()))?;
        let alipay_private_key = PrivateKey::read(folder.read(alipay)?.as_bytes(), SignType::Rsa2)
            .map_err(|e| folder.broken(alipay, &e.to_string()))?;
        let app_id = folder.text("app_id", 0o644, || {
            // Sixteen digits, as today's applications have.
            let random = getrandom::u64().map_err(|_| SandboxError::KeyMaking)?;
            Ok(format!("9021{:012}\n", random % 1_000_000_000_000))
        })?;
        // A name that is new takes a new certificate, and so a new authority: the
        // key of the old one is gone. Names that were given once stay.
        let named = folder.dir.join("tls_names");
        let mut known: Vec<String> = match fs::read_to_string(&named) {
            Ok(text) => text.lines().map(str::to_owned).collect(),
            Err(_) => Vec::new(),
        };
        let before = known.len();
        for name in names {
            if !known.contains(name) {
                known.push(name.clone());
            }
        }
        let missing = !folder.dir.join("tls_key.pem").exists() || !folder.ca().exists();
        if missing || known.len() > before {
            let made = tls::make(&known).map_err(|_| SandboxError::KeyMaking)?;
            folder.write("ca.pem", 0o644, &made.ca)?;
            folder.write("tls_cert.pem", 0o644, &made.leaf)?;
            folder.write("tls_key.pem", 0o600, &made.leaf_key)?;
            let lines: String = known.iter().map(|name| format!("{name}\n")).collect();
            folder.write("tls_names", 0o644, &lines)?;
        }
        let acceptor = tls::acceptor(&folder.read("tls_cert.pem")?, &folder.read("tls_key.pem")?)
            .map_err(|reason| folder.broken("tls_cert.pem", &reason))?;
        let secrets = Secrets {
            app_id: app_id.trim().to_owned(),
            app_public_key,
            alipay_private_key,
            acceptor,
        };
        Ok((folder, secrets))
    }

    /// Writes `tilld.toml`, or leads the one that is there to this address.
    /// Returns whether the file is new.
    pub(super) fn write_config(
        &self,
        app_id: &str,
        addr: SocketAddr,
        speed: f64,
    ) -> Result<bool, SandboxError> {
        let gateway = format!("gateway = \"https://{addr}/gateway.do\"");
        if !self.config().exists() {
            self.write("tilld.toml", 0o644, &config_text(app_id, &gateway, speed))?;
            return Ok(true);
        }
        let before = self.read("tilld.toml")?;
        let lines = before.lines().map(|line| {
            let ours = line.starts_with("gateway = \"https://127.0.0.1:")
                || line.starts_with("gateway = \"https://[::1]:");
            if ours { gateway.as_str() } else { line }
        });
        let after = lines.collect::<Vec<_>>().join("\n") + "\n";
        if after != before {
            self.write("tilld.toml", 0o644, &after)?;
        }
        Ok(false)
    }

    /// The key pair of that name, made if it is not there. The private half is
    /// written last: where it is, both are.
    fn key_pair(&self, name: &str) -> Result<(), SandboxError> {
        let private = format!("{name}_private_key.pem");
        if !self.dir.join(&private).exists() {
            let pair = PrivateKey::generate().map_err(|_| SandboxError::KeyMaking)?;
            self.write(&format!("{name}_public_key.pem"), 0o644, &pair.public)?;
            self.write(&private, 0o600, &pair.private)?;
        }
        Ok(())
    }

    fn text(
        &self,
        name: &str,
        mode: u32,
        make: impl FnOnce() -> Result<String, SandboxError>,
    ) -> Result<String, SandboxError> {
        if !self.dir.join(name).exists() {
            self.write(name, mode, &make()?)?;
        }
        self.read(name)
    }

    fn read(&self, name: &str) -> Result<String, SandboxError> {
        let path = self.dir.join(name);
        fs::read_to_string(&path).map_err(|source| SandboxError::File { path, source })
    }

    /// Writes beside and renames, so that a killed first start leaves no halves.
    fn write(&self, name: &str, mode: u32, text: &str) -> Result<(), SandboxError> {
        let (path, beside) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        let write = || -> io::Result<()> {
            let _ = fs::remove_file(&beside);
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(mode).open(&beside)?;
            file.write_all(text.as_bytes())?;
            fs::rename(&beside, &path)
        };
        write().map_err(|source| SandboxError::File { path: path.clone(), source })
    }

    fn broken(&self, name: &str, reason: &str) -> SandboxError {
        let source = io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
        SandboxError::File { path: self.dir.join(name), source }
    }
}

fn config_text(app_id: &str, gateway: &str, speed: f64) -> String {
    let mut text = format!(
        "# Written by `till sandbox`: a terminal that talks to the simulated gateway.\n\
         # Paths are relative to this file.\n\
         \n\
         [terminal]\n\
         id = \"SANDBOX_1\"\n\
         store_id = \"SANDBOX\"\n\
         \n\
         [alipay]\n\
         {gateway}\n\
         app_id = \"{app_id}\"\n\
         private_key_file = \"app_private_key.pem\"\n\
         alipay_public_key_file = \"alipay_public_key.pem\"\n\
         ca_file = \"ca.pem\"\n"
    );
    let scaled = |ms: f64| Duration::from_secs_f64(ms / 1000.0 / speed).as_millis().max(1);
    if (speed - 1.0).abs() > f64::EPSILON {
        let lines = [
            ("request_timeout", 10_000.0),
            ("[payment]", 0.0),
            ("poll_interval", 5_000.0),
            ("timeout", 60_000.0),
            ("expire_after", 120_000.0),
            ("late_margin", 10_000.0),
        ];
        for (name, ms) in lines {
            if name.starts_with('[') {
                text += &format!("\n# --speed {speed}: everything in less time.\n{name}\n");
            } else {
                text += &format!("{name} = \"{}ms\"\n", scaled(ms));
            }
        }
    }
    text + "\n\
         [journal]\n\
         path = \"journal.db\"\n\
         \n\
         [api]\n\
         socket = \"tilld.sock\"\n\
         \n\
         # A scanner, if one is plugged in:\n\
         # [[scanner]]\n\
         # id = \"lane-1\"\n\
         # kind = \"serial\"\n\
         # device = \"/dev/ttyACM0\"\n\
         # baud = 9600\n"
}
