//! The two keys while the daemon runs: their files may change, and when one is
//! wrong somebody has to be told which, and what to do.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::check;
use crate::alipay::Client;
use crate::config::{Config, Fault, KeyFile};
use crate::payment::{Sentence, Timestamp};
use crate::terminal::{Closed, ClosedBy};

/// Between two looks at the files.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What changes of a file when somebody writes it, or puts another in its place.
type Stamp = Option<(u64, u64, u64, i64, i64, i64, i64)>;

/// The files of the keys, and what was last seen of them.
pub(super) struct Keys {
    config: Config,
    seen: [Stamp; 2],
    look_at: Timestamp,
}

impl Keys {
    /// Those that the daemon has started with.
    pub(super) fn of(config: Config, now: Timestamp) -> Self {
        let seen = stamps(&config);
        Self { config, seen, look_at: now + LOOK_AGAIN }
    }

    /// A client with the keys of now, if their files have changed since the last
    /// look. A file that is half written, or no key, is told, and changes
    /// nothing: it is looked at again when it changes again.
    pub(super) fn changed(&mut self, now: Timestamp) -> Option<Result<Client, Vec<Fault>>> {
        if now < self.look_at {
            return None;
        }
        self.look_at = now + LOOK_AGAIN;
        let seen = stamps(&self.config);
        if seen == self.seen {
            return None;
        }
        self.seen = seen;
        Some(self.read())
    }

    /// Looks at the files at the next opportunity.
    pub(super) fn look_now(&mut self, now: Timestamp) {
        self.look_at = now;
    }

    fn read(&mut self) -> Result<Client, Vec<Fault>> {
        let alipay = &mut self.config.alipay;
        let again = |file: &KeyFile| file.again().map_err(|fault| vec![fault]);
        let (private, public) = (again(&alipay.private_key)?, again(&alipay.alipay_public_key)?);
        (alipay.private_key, alipay.alipay_public_key) = (private, public);
        let mut faults = Vec::new();
        match check::client(&self.config, &mut faults) {
            Some((client, ..)) => Ok(client),
            None => Err(faults),
        }
    }

    /// Which key is wrong and what to do, for the technician. `words` are the
    /// gateway's, or say why there are none.
    pub(super) fn closed(&self, by: ClosedBy, words: &str) -> Closed {
        let alipay = &self.config.alipay;
        let (app, app_id) = (alipay.private_key.path().display(), &alipay.app_id);
        let theirs = alipay.alipay_public_key.path().display();
        let text = match by {
            ClosedBy::KeysUnproven => Sentence::new(
                "支付宝还没有验证本机的密钥，验证通过之前不能收款；终端会自动重试。请检查网络",
                format!(
                    "the keys are not proven yet: {words}. Until they are, no payment begins; the terminal goes on asking by itself"
                ),
            ),
            ClosedBy::AppKeyWrong => Sentence::new(
                format!(
                    "支付宝不接受本机的签名（{words}）。请核对应用 {app_id} 的 app_id，并确认 {app} 里的私钥与开放平台该应用“接口加签方式”中的应用公钥是一对"
                ),
                format!(
                    "Alipay does not take this box's signature ({words}): see that app_id {app_id} is right, and that the key in {app} belongs to the application's public key on the open platform"
                ),
            ),
            ClosedBy::AlipayKeyWrong => Sentence::new(
                format!(
                    "支付宝的应答无法用 {theirs} 验签。该文件必须是开放平台上应用 {app_id} 的“支付宝公钥”，不是应用公钥"
                ),
                format!(
                    "what Alipay answers does not verify with {theirs}: it must be the key that the open platform shows as \"Alipay public key\" of application {app_id}, not the application's own"
                ),
            ),
        };
        Closed { by, text }
    }
}

fn stamps(config: &Config) -> [Stamp; 2] {
    let alipay = &config.alipay;
    [alipay.private_key.path(), alipay.alipay_public_key.path()].map(stamp)
}

fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    let (dev, ino, size) = (meta.dev(), meta.ino(), meta.size());
    Some((dev, ino, size, meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()))
}
