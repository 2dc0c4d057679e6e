//! tilld.toml: read once at the door, into values that cannot be wrong.
//!
//! All faults are found in one go, each with file, line, key and what to write,
//! because the person who reads them stands in a shop. Nothing is created, and
//! nothing but the files it names is read.
//!
//! What is in the keys' files is for the alipay room to judge; each comes with
//! its [`Place`], so that a mistaken key can be named as well as a missing one.

mod fault;
mod files;
mod read;
mod rights;
mod scanner;
mod values;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

pub use self::fault::{Fault, Place};
pub use self::files::KeyFile;
use self::read::{Item, Reader, Section};
use self::rights::Who;
use self::scanner::TillOfScanner;
use crate::alipay::Gateway;
use crate::alipay::sign::SignType;
use crate::payment::{Amount, Rules, ScaleLabels, SecretText, Till, Tills};
use crate::scanner::ScannerSettings;

/// The whole configuration.
#[derive(Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// Who this terminal is at Alipay.
    pub terminal: TerminalConfig,
    /// The gateway and the keys.
    pub alipay: AlipayConfig,
    /// The lengths of a payment's life.
    pub rules: Rules,
    /// How the labels of the shop's scales begin (`payment.scale_prefixes`).
    pub scale_labels: ScaleLabels,
    /// Where the journal is (`journal.path`).
    pub journal: PathBuf,
    /// Where registers come in.
    pub api: ApiConfig,
    /// The scanners, none or more.
    pub scanners: Vec<ScannerSettings>,
    /// The till of each payment: this terminal, or its scanner's own.
    pub tills: Tills,
    /// What works and should be looked at all the same.
    pub warnings: Vec<Fault>,
}

/// `[terminal]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalConfig {
    /// `terminal_id` of every payment.
    pub id: String,
    /// `store_id` of every payment.
    pub store_id: Option<String>,
    /// `operator_id` of a payment that names none.
    pub operator_id: Option<String>,
}

/// `[alipay]`
#[derive(Debug)]
pub struct AlipayConfig {
    /// The gateway's address.
    pub gateway: Gateway,
    /// The application's number.
    pub app_id: String,
    /// The application's private key, from the file or from systemd.
    pub private_key: KeyFile,
    /// Alipay's public key.
    pub alipay_public_key: KeyFile,
    /// How requests and answers are signed.
    pub sign_type: SignType,
    /// An extra trusted CA for the gateway's TLS.
    pub ca: Option<KeyFile>,
    /// One HTTP exchange.
    pub request_timeout: Duration,
    /// The way to the gateway; may hold a password.
    pub proxy: Option<SecretText>,
}

/// `[api]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// The Unix socket.
    pub socket: PathBuf,
    /// Its mode.
    pub mode: u32,
    /// For programs without Unix sockets.
    pub listen: Option<Listen>,
    /// Who may do what (`[api.roles]`); without it whoever may connect may do
    /// everything.
    pub roles: Option<Roles>,
    /// Who may give money back.
    pub refunds: RefundsConfig,
}

/// `[api.refunds]`: who may give money back, of those that may take payments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefundsConfig {
    /// Supervisors only.
    pub by_supervisor: bool,
    /// More than that is for supervisors only.
    pub cashier_limit: Option<Amount>,
}

/// `[api.roles]`: the groups of the system, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Those who may look.
    pub observe: Vec<u32>,
    /// Those who may take payments as well.
    pub cashier: Vec<u32>,
    /// Those who may do everything.
    pub supervisor: Vec<u32>,
}

/// Where programs without Unix sockets come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// A loopback address.
    pub address: SocketAddr,
    /// What they have to present.
    pub token: SecretText,
    /// The key of the configuration that names the token's file, to name faults
    /// in it.
    pub token_place: Place,
}

/// Reads the configuration, all of it, and the keys that it names.
///
/// # Errors
///
/// Every fault that was found, in the order of the lines.
pub fn load(file: &Path) -> Result<Config, Vec<Fault>> {
    load_with(file, credentials_directory().as_deref())
}

/// The same with the folder in which systemd hands over secrets. A file
/// `alipay-app-key` in it takes the place of `private_key_file`, unless all it
/// says is `none`.
///
/// # Errors
///
/// As [`load`].
pub fn load_with(file: &Path, credentials: Option<&Path>) -> Result<Config, Vec<Fault>> {
    load_as(file, credentials, Who::reads(file))
}

/// The same for a daemon that is run by this user.
fn load_as(file: &Path, credentials: Option<&Path>, who: Who) -> Result<Config, Vec<Fault>> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            let text =
                format!("cannot be read: {error}; write --config with the path of tilld.toml");
            return Err(vec![Fault::new(file, 1, "", &text)]);
        }
    };
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = 1 + good.iter().filter(|b| **b == b'\n').count();
            let text = "is not UTF-8; save the file as UTF-8";
            return Err(vec![Fault::new(file, line, "", text)]);
        }
    };
    let mut reader = Reader::new(file, &text);
    let (document, errors) = DeTable::parse_recoverable(&text);
    for error in &errors {
        reader.syntax(&text, error);
    }
    // What a broken file seems to lack is not what its writer forgot.
    let config = if errors.is_empty() {
        let base = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let base = base.parent().map(Path::to_owned).unwrap_or_default();
        let place = Place { file: file.to_owned(), line: 1, key: String::new() };
        let mut loader = Loader { reader: &mut reader, file, base, credentials, who };
        loader.warn_if_all_can_change(file, &place);
        loader.config(document.get_ref())
    } else {
        None
    };
    reader.faults.sort_by_key(Fault::line);
    match config {
        Some(config) if reader.faults.is_empty() => {
            Ok(Config { warnings: reader.warnings, ..config })
        }
        _ => Err(reader.faults),
    }
}

/// The one place that reads the environment.
fn credentials_directory() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty()).map(PathBuf::from)
}

struct Loader<'r> {
    reader: &'r mut Reader,
    file: &'r Path,
    base: PathBuf,
    credentials: Option<&'r Path>,
    who: Who,
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

impl Loader<'_> {
    /// Every section is read even when an earlier one is at fault.
    fn config(&mut self, table: &DeTable<'_>) -> Option<Config> {
        let mut root = self.reader.root(table);
        let terminal = self.terminal(&mut root);
        let alipay = self.alipay(&mut root);
        let (rules, scale_labels) = self.payment(&mut root);
        let journal = self.journal(&mut root);
        let api = self.api(&mut root);
        let (scanners, own) = self.scanners(&mut root);
        self.reader.finish(&root);
        let terminal = terminal?;
        let mut tills = Tills::new(Till {
            terminal_id: terminal.id.clone(),
            store_id: terminal.store_id.clone(),
            operator_id: terminal.operator_id.clone(),
        });
        for TillOfScanner { scanner, terminal_id, store_id } in own {
            tills.add(&scanner, terminal_id, store_id);
        }
        Some(Config {
            file: self.file.to_owned(),
            terminal,
            alipay: alipay?,
            rules,
            scale_labels,
            journal,
            api,
            scanners,
            tills,
            warnings: Vec::new(),
        })
    }

    fn terminal(&mut self, root: &mut Section<'_>) -> Option<TerminalConfig> {
        let mut section = self.reader.section(root, "terminal");
        let mut optional = |key, example, length_max| {
            let item =
                self.reader.text(&mut section, key, example, |t| values::name(t, length_max));
            item.map(|item| item.value)
        };
        // The longest lengths are those of Alipay's fields.
        let store_id = optional("store_id", "NJ_001", 32);
        let operator_id = optional("operator_id", "yx_001", 28);
        let id = self.reader.required(&mut section, "id", "T_001", |text| values::name(text, 32));
        self.reader.finish(&section);
        Some(TerminalConfig { id: id?.value, store_id, operator_id })
    }

    fn alipay(&mut self, root: &mut Section<'_>) -> Option<AlipayConfig> {
        let mut section = self.reader.section(root, "alipay");
        let s = &mut section;
        let gateway = self.gateway(s);
        let app_id = self.reader.required(s, "app_id", "2014072300007148", values::app_id);
        let private_key = self.private_key(s);
        let alipay_public_key = {
            let example = "/etc/tilld/alipay_public_key.pem";
            let path = self.required_path(s, "alipay_public_key_file", example);
            path.and_then(|path| self.trusted_file(path))
        };
        let sign_type = self.reader.text(s, "sign_type", "RSA2", |text| {
            SignType::from_name(text).ok_or_else(|| {
                format!("`{}` is no sign type; write \"RSA2\" (or \"RSA\")", values::shown(text))
            })
        });
        let ca = self.path(s, "ca_file", "/etc/tilld/ca.pem");
        let ca = ca.and_then(|path| self.trusted_file(path));
        let request_timeout = self.duration(
            s,
            "request_timeout",
            10 * SECOND,
            (Duration::from_millis(100), 30 * SECOND),
        );
        let proxy = self.reader.text(s, "proxy", "http://HOST:PORT", values::proxy);
        self.reader.finish(&section);
        Some(AlipayConfig {
            gateway: gateway?,
            app_id: app_id?.value,
            private_key: private_key?,
            alipay_public_key: alipay_public_key?,
            sign_type: sign_type.map_or(SignType::Rsa2, |item| item.value),
            ca,
            request_timeout: request_timeout.value,
            proxy: proxy.map(|item| SecretText::new(item.value)),
        })
    }

    /// Alipay's, unless another is named. What is unusual about that is said.
    fn gateway(&mut self, section: &mut Section<'_>) -> Option<Gateway> {
        let read = |text: &str| Gateway::read(text).map_err(|why| why.to_string());
        match self.reader.text(section, "gateway", Gateway::ALIPAY, read) {
            Some(item) => {
                if let Some(doubt) = item.value.doubt() {
                    self.reader.warnings.push(item.place.fault(&doubt));
                }
                Some(item.value)
            }
            None => Gateway::read(Gateway::ALIPAY).ok(),
        }
    }

    fn payment(&mut self, root: &mut Section<'_>) -> (Rules, ScaleLabels) {
        let mut section = self.reader.section(root, "payment");
        let s = &mut section;
        let usual = Rules::default();
        let tenth = Duration::from_millis(100);
        let poll_interval = self.duration(s, "poll_interval", usual.poll_interval, (tenth, HOUR));
        let timeout = self.duration(s, "timeout", usual.timeout, (SECOND, HOUR));
        // Not less than the timeout, whatever that is.
        let expire_after = usual.expire_after.max(timeout.value);
        let expire_after = self.duration(s, "expire_after", expire_after, (SECOND, 12 * HOUR));
        let late_margin =
            self.duration(s, "late_margin", usual.late_margin, (Duration::ZERO, HOUR));
        let unsent_for = self.duration(s, "unsent_for", usual.unsent_for, (Duration::ZERO, HOUR));
        let code_timeout = self.duration(s, "code_timeout", usual.code_timeout, (tenth, 24 * HOUR));
        if expire_after.value < timeout.value {
            let text = format!(
                "is shorter than timeout, so the gateway would refuse payments that are still waited for; write \"{}\" or more",
                values::in_units(timeout.value)
            );
            self.reader.faults.push(expire_after.place.fault(&text));
        }
        let prefixes = self.reader.texts(s, "scale_prefixes", "26", values::scale_prefix);
        self.reader.finish(&section);
        let rules = Rules {
            poll_interval: poll_interval.value,
            timeout: timeout.value,
            expire_after: expire_after.value,
            late_margin: late_margin.value,
            unsent_for: unsent_for.value,
            code_timeout: code_timeout.value,
        };
        (rules, ScaleLabels::new(prefixes))
    }

    fn journal(&mut self, root: &mut Section<'_>) -> PathBuf {
        let mut section = self.reader.section(root, "journal");
        let usual = "/var/lib/tilld/journal.db";
        let path = self.path(&mut section, "path", usual);
        self.reader.finish(&section);
        let path = path.unwrap_or_else(|| Item {
            value: PathBuf::from(usual),
            place: section.place(self.file, "path"),
        });
        let folder = path.value.parent().unwrap_or(Path::new("/"));
        self.warn_if_all_can_write_into(folder, &path.place);
        path.value
    }

    fn api(&mut self, root: &mut Section<'_>) -> ApiConfig {
        let mut section = self.reader.section(root, "api");
        let s = &mut section;
        let usual = "/run/tilld/tilld.sock";
        let socket = self.path(s, "socket", usual);
        // The kernel's limit on the names of sockets.
        if let Some(item) = socket.as_ref().filter(|item| item.value.as_os_str().len() > 107) {
            let text =
                format!("is too long for a socket; write a shorter path, such as \"{usual}\"");
            self.reader.faults.push(item.place.fault(&text));
        }
        let mode = self.reader.text(s, "mode", "0660", values::mode);
        if let Some(item) = mode.as_ref().filter(|item| item.value & 0o007 != 0) {
            let text = "lets every user of this box take payments; write \"0660\" and add the register's user to the group tilld-clients";
            self.reader.warnings.push(item.place.fault(text));
        }
        let listen = self.reader.text(s, "listen", "127.0.0.1:7580", values::listen);
        let asked = s.has("listen");
        let token = self.path(s, "token_file", "/etc/tilld/api.token");
        let listen = match (listen, token) {
            (listen, Some(path)) => {
                let token_place = path.place.clone();
                self.warn_if_the_daemon_cannot_read(&path, true);
                let token = self.key_file(path).and_then(|file| self.token(&file));
                if !asked {
                    let text = "is of no use without listen; write listen = \"127.0.0.1:7580\", or leave it out";
                    self.reader.warnings.push(token_place.fault(text));
                }
                listen.zip(token).map(|(item, token)| Listen {
                    address: item.value,
                    token,
                    token_place,
                })
            }
            (Some(listen), None) => {
                if !s.has("token_file") {
                    let text = "is open to every user of this box without a token; write token_file = \"/etc/tilld/api.token\" as well";
                    self.reader.faults.push(listen.place.fault(text));
                }
                None
            }
            (None, None) => None,
        };
        let roles = self.roles(&mut section);
        let refunds = self.refunds(&mut section, roles.as_ref());
        self.reader.finish(&section);
        ApiConfig {
            roles,
            refunds,
            socket: socket.map_or_else(|| PathBuf::from(usual), |item| item.value),
            mode: mode.map_or(0o660, |item| item.value),
            listen,
        }
    }

    fn roles(&mut self, api: &mut Section<'_>) -> Option<Roles> {
        if !api.has("roles") {
            return None;
        }
        let mut section = self.reader.part(api, "roles", "api.roles");
        let observe = self.groups(&mut section, "observe", "tilld-observers");
        let cashier = self.groups(&mut section, "cashier", "tilld-clients");
        let supervisor = self.groups(&mut section, "supervisor", "tilld-supervisors");
        self.reader.finish(&section);
        Some(Roles { observe, cashier, supervisor })
    }

    fn refunds(&mut self, api: &mut Section<'_>, roles: Option<&Roles>) -> RefundsConfig {
        let place = self.reader.place_of(api, "refunds");
        let mut section = self.reader.part(api, "refunds", "api.refunds");
        let by = self.reader.text(&mut section, "by", "cashier", values::refunds_by);
        let limit = self.reader.text(&mut section, "cashier_limit", "200.00", values::refund_limit);
        self.reader.finish(&section);
        let by_supervisor = by.is_some_and(|item| item.value);
        // Without roles everybody is a supervisor, and nothing would be kept out.
        if let (Some(place), None) = (place, roles)
            && (by_supervisor || limit.is_some())
        {
            let text = "keeps nobody out while everybody may do everything; write api.roles as well, so that there are cashiers";
            self.reader.faults.push(place.fault(text));
        }
        if let (true, Some(limit)) = (by_supervisor, &limit) {
            let text = "is of no use where by = \"supervisor\"; leave one of the two out";
            self.reader.warnings.push(limit.place.fault(text));
        }
        RefundsConfig { by_supervisor, cashier_limit: limit.map(|item| item.value) }
    }

    /// Groups of the system. One that there is not lets nobody in, which is safe
    /// and surely not what was meant.
    fn groups(&mut self, section: &mut Section<'_>, key: &'static str, example: &str) -> Vec<u32> {
        let place = self.reader.place_of(section, key);
        let named = self.reader.texts(section, key, example, values::group);
        let mut groups = Vec::new();
        for (name, number) in named {
            match (number, &place) {
                (Some(number), _) => groups.push(number),
                (None, Some(place)) => {
                    let text = format!(
                        "`{name}` is no group of this box, so it lets nobody in; make it with groupadd --system {name}"
                    );
                    self.reader.warnings.push(place.fault(&text));
                }
                (None, None) => {}
            }
        }
        groups
    }

    /// A length of time, or the usual one.
    fn duration(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        usual: Duration,
        (least, most): (Duration, Duration),
    ) -> Item<Duration> {
        let example = values::in_units(usual);
        let read = |text: &str| values::duration(text, least, most);
        let item = self.reader.text(section, key, &example, read);
        item.unwrap_or_else(|| Item { value: usual, place: section.place(self.file, key) })
    }
}
