//! A daemon in another world: `world.c` is loaded into it, and a test sets its
//! clocks and makes its disk hang.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::till::Shop;

/// The numbers that the shim looks at.
pub(crate) struct World {
    file: File,
    path: PathBuf,
}

impl World {
    pub(crate) fn of(shop: &Shop) -> Self {
        let path = shop.path("world");
        fs::write(&path, [0; 24]).expect("a file");
        let file = File::options().write(true).open(&path).expect("the file");
        Self { file, path }
    }

    fn set(&self, place: u64, value: i64) {
        self.file.write_all_at(&value.to_ne_bytes(), 8 * place).expect("written");
    }

    /// The wall clock is so far from the truth.
    pub(crate) fn wall_off_by(&self, ms: i64) {
        self.set(0, ms);
    }

    /// The box has slept for so long in all.
    pub(crate) fn has_slept(&self, ms: i64) {
        self.set(1, ms);
    }

    /// Nothing reaches the disk any more.
    pub(crate) fn disk_hangs(&self, hangs: bool) {
        self.set(2, hangs.into());
    }

    /// The command, with this world around it.
    pub(crate) fn around(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", shim()).env("WORLD_FILE", &self.path);
        command
    }
}

fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| crate::shim::compile("tests/end_to_end/world.c"))
}
