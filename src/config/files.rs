//! The files that a configuration names.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Loader;
use super::fault::{Fault, Place};
use super::read::{Item, Section};
use crate::payment::SecretText;

/// Keys and certificates are a few thousand bytes.
const LENGTH_MAX: u64 = 64 * 1024;

/// The names under which systemd hands over the private key, by what it is
/// taken from: the credentials folder; or the place that installations by hand
/// use.
const CREDENTIALS: [&str; 2] = ["alipay-app-key", "alipay-app-key-beside"];

/// What the unit hands over for a key that is not there, because systemd's own
/// complaint about a missing one helps nobody.
const NO_KEY: &[u8] = b"none";

/// A file with a key in it, as bytes: what they mean is not judged here. It is
/// wiped when dropped and cannot be printed.
pub struct KeyFile {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    place: Place,
}

impl KeyFile {
    /// The file it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it; never empty.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same file as it is now.
    ///
    /// # Errors
    ///
    /// Why it cannot be read, with the key of the configuration that names it.
    pub fn again(&self) -> Result<Self, Fault> {
        let Self { path, place, .. } = self;
        match read_file(path) {
            Ok(bytes) => Ok(Self { path: path.clone(), bytes, place: place.clone() }),
            Err(why) => Err(place.fault(&format!("{} {why}", path.display()))),
        }
    }

    /// The key of the configuration that names it, to name faults in it.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.path.display(), self.bytes.len())
    }
}

impl Loader<'_> {
    pub(super) fn path(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<Item<PathBuf>> {
        let base = self.base.clone();
        self.reader.text(section, key, example, |text| read_path(&base, text))
    }

    pub(super) fn required_path(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<Item<PathBuf>> {
        let base = self.base.clone();
        self.reader.required(section, key, example, |text| read_path(&base, text))
    }

    /// The private key: systemd's copy when there is one, because then the file
    /// itself need not be readable for us.
    pub(super) fn private_key(&mut self, section: &mut Section<'_>) -> Option<KeyFile> {
        let (key, example) = ("private_key_file", "/etc/tilld/credentials/alipay-app-key.pem");
        let folder = self.credentials;
        let mut handed_over: Vec<PathBuf> = CREDENTIALS
            .iter()
            .filter_map(|name| Some(folder?.join(name)))
            .filter(|path| path.exists())
            .collect();
        let by_our_unit = !handed_over.is_empty();
        handed_over.retain(|path| !holds_no_key(path));
        if let Some(value) = handed_over.first().cloned() {
            let named = self.path(section, key, example);
            let place = named.map_or_else(|| section.place(self.file, key), |item| item.place);
            if handed_over.len() > 1 {
                let text = format!(
                    "there is a key in {example} and one in /etc/tilld/app_private_key.pem, and the first is used; remove the other"
                );
                self.reader.warnings.push(place.fault(&text));
            }
            return self.key_file(Item { value, place });
        }
        let path = self.required_path(section, key, example)?;
        let place = path.place.clone();
        if by_our_unit && read_file(&path.value).is_err() {
            let text = format!(
                "there is no private key; write it to {example}, as root and with chmod 600, and start tilld again"
            );
            self.reader.faults.push(place.fault(&text));
            return None;
        }
        let file = self.key_file(path)?;
        self.warn_if_others_can_read(&file.path, &place);
        Some(file)
    }

    pub(super) fn key_file(&mut self, item: Item<PathBuf>) -> Option<KeyFile> {
        let Item { value: path, place } = item;
        match read_file(&path) {
            Ok(bytes) => Some(KeyFile { path, bytes, place }),
            Err(why) => {
                let text = format!("{} {why}", path.display());
                self.reader.faults.push(place.fault(&text));
                None
            }
        }
    }

    /// A file that decides whose answers are believed.
    pub(super) fn trusted_file(&mut self, item: Item<PathBuf>) -> Option<KeyFile> {
        self.warn_if_all_can_change(&item.value, &item.place);
        self.warn_if_the_daemon_cannot_read(&item, false);
        self.key_file(item)
    }

    pub(super) fn token(&mut self, file: &KeyFile) -> Option<SecretText> {
        self.warn_if_others_can_read(&file.path, &file.place);
        let text = str::from_utf8(&file.bytes).map(str::trim).unwrap_or_default();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            let text = format!(
                "{} is no token; write one line of letters and digits into it, such as from `openssl rand -hex 32`",
                file.path.display()
            );
            self.reader.faults.push(file.place.fault(&text));
            return None;
        }
        Some(SecretText::new(text.to_owned()))
    }
}

fn read_path(base: &Path, text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err("is empty; write the path of a file".to_owned());
    }
    Ok(base.join(text))
}

/// The unit's own word for a key that is not there.
fn holds_no_key(path: &Path) -> bool {
    read_file(path).is_ok_and(|bytes| bytes.trim_ascii() == NO_KEY)
}

/// Reads a file of which nothing must be left behind in memory.
fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    use std::io::ErrorKind::{NotFound, PermissionDenied};

    let unreadable = |error: std::io::Error| {
        if error.kind() == NotFound {
            "does not exist; write the path of an existing file".to_owned()
        } else if error.kind() == PermissionDenied {
            "may not be read by this user; write a path that it may read, or give it the right to"
                .to_owned()
        } else {
            format!("cannot be read: {error}; write the path of a readable file")
        }
    };
    // Asked first: opening a named pipe would wait for a writer.
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() {
        return Err("is no file; write the path of a file".to_owned());
    }
    let mut bytes =
        Zeroizing::new(Vec::with_capacity(usize::try_from(LENGTH_MAX).unwrap_or(0) + 1));
    let file = File::open(path).map_err(unreadable)?;
    let length = file.take(LENGTH_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if length as u64 > LENGTH_MAX {
        return Err("is far too large for a key; write the path of the right file".to_owned());
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("is empty; write the path of the right file".to_owned());
    }
    Ok(bytes)
}
