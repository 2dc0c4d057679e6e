//! Who may read and change the files that decide about money.
//!
//! What is found here is a warning: the daemon works all the same, or says by
//! itself that it does not. But it is found before anybody stands in the shop.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, getegid, geteuid};

use super::Loader;
use super::fault::Place;
use super::read::Item;

/// The user that the shipped unit runs the daemon as, and with what.
const UNIT_USER: &str = "tilld";
const UNIT_CONFIG: &str = "/etc/tilld/tilld.toml";

/// As whom the daemon reads its files.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Who {
    /// This user; but root looks at the unit's configuration for the unit's user,
    /// if this box has it.
    pub(super) fn reads(config: &Path) -> Self {
        let is_units = std::path::absolute(config).is_ok_and(|path| path == Path::new(UNIT_CONFIG));
        let user = match geteuid() {
            root if root.is_root() && is_units => User::from_name(UNIT_USER),
            other => User::from_uid(other),
        };
        match user {
            Ok(Some(user)) => {
                Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }
            }
            Ok(None) | Err(_) => Self {
                name: geteuid().to_string(),
                uid: geteuid().as_raw(),
                gid: getegid().as_raw(),
            },
        }
    }

    fn is_root(&self) -> bool {
        Uid::from_raw(self.uid).is_root()
    }

    /// Whether one of `bits` (as they stand for everybody) is this user's.
    fn may(&self, meta: &Metadata, bits: u32) -> bool {
        let mode = meta.permissions().mode();
        let own = if meta.uid() == self.uid {
            mode >> 6
        } else if meta.gid() == self.gid {
            mode >> 3
        } else {
            mode
        };
        self.is_root() || own & bits != 0
    }
}

impl Loader<'_> {
    /// The user who runs the daemon cannot read this file. Whoever checks may be
    /// root, and would not notice.
    pub(super) fn warn_if_the_daemon_cannot_read(
        &mut self,
        Item { value: path, place }: &Item<PathBuf>,
        is_secret: bool,
    ) {
        let Ok(meta) = std::fs::metadata(path) else { return };
        let name = self.who.name.clone();
        let closed =
            |folder: &&Path| std::fs::metadata(folder).is_ok_and(|meta| !self.who.may(&meta, 0o1));
        let text = if let Some(folder) = path.ancestors().skip(1).find(closed) {
            let folder = folder.display();
            format!(
                "{folder} cannot be entered by the user {name} who runs the daemon; write chmod a+x {folder}, or the path of a file elsewhere"
            )
        } else if !self.who.may(&meta, 0o4) {
            let path = path.display();
            let remedy = self.remedy(&path.to_string(), is_secret);
            format!("{path} cannot be read by the user {name} who runs the daemon; write {remedy}")
        } else {
            return;
        };
        self.reader.warnings.push(place.fault(&text));
    }

    pub(super) fn warn_if_others_can_read(&mut self, path: &Path, place: &Place) {
        let Ok(meta) = std::fs::metadata(path) else { return };
        // The daemon's own group is nobody else.
        let others = match !self.who.is_root() && meta.gid() == self.who.gid {
            true => 0o037,
            false => 0o077,
        };
        if meta.permissions().mode() & others != 0 {
            let path = path.display().to_string();
            // The private key is handed over by systemd, which is root.
            let remedy = match place.key.ends_with("private_key_file") {
                true => format!("chmod 600 {path}"),
                false => self.remedy(&path, true),
            };
            let text = format!("{path} can be read by other users of this box; write {remedy}");
            self.reader.warnings.push(place.fault(&text));
        }
    }

    /// How the daemon, and nobody else where it is a secret, can read a file.
    fn remedy(&self, path: &str, is_secret: bool) -> String {
        if !is_secret {
            format!("chmod 644 {path}")
        } else if self.who.name == UNIT_USER {
            format!("chown root:{UNIT_USER} {path} && chmod 640 {path}")
        } else {
            format!("chmod 600 {path}")
        }
    }

    /// Who can change this file, or put another in its place, decides whose
    /// answers are believed and where they come from.
    pub(super) fn warn_if_all_can_change(&mut self, path: &Path, place: &Place) {
        let mode =
            |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
        let folder = path.parent().unwrap_or(Path::new("/"));
        // In a folder like /tmp nobody replaces what is somebody else's.
        let is_folder_open = mode(folder) & 0o1002 == 0o0002;
        let open = if mode(path) & 0o002 != 0 {
            path
        } else if is_folder_open {
            folder
        } else {
            return;
        };
        let open = open.display();
        let text =
            format!("{open} can be changed by every user of this box; write chmod o-w {open}");
        self.reader.warnings.push(place.fault(&text));
    }

    /// Nobody else may put files where the journal is, or take some away.
    pub(super) fn warn_if_all_can_write_into(&mut self, folder: &Path, place: &Place) {
        let mode = std::fs::metadata(folder).map_or(0, |meta| meta.permissions().mode());
        if mode & 0o002 != 0 {
            let folder = folder.display();
            let text = format!(
                "{folder} can be changed by every user of this box, and the journal is in it; write chmod o-w {folder}"
            );
            self.reader.warnings.push(place.fault(&text));
        }
    }
}
