//! Tells the readers that something was plugged in or out.
//!
//! One thread watches the folders of `/dev` for the whole process. It does not
//! say what came: a reader that waits for its device looks again, which is the
//! same whatever the reason. Where this fails (there are no more watches to be
//! had), readers look every few seconds as ever.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::scanner::device::wake::Wake;

/// Where nodes and the links to them come and go. A folder may come later: it is
/// seen in the one above it.
const FOLDERS: [&str; 8] = [
    "",
    "input",
    "input/by-id",
    "input/by-path",
    "serial",
    "serial/by-id",
    "serial/by-path",
    "tilld",
];

/// A device comes as a node, then gets its group and mode, then its links: that
/// is over when nothing has happened for this long.
const QUIET: Duration = Duration::from_millis(100);
/// Something that never falls quiet must not hide what else comes.
const NOISE_MAX: Duration = Duration::from_secs(1);

type Readers = Mutex<Vec<Weak<Wake>>>;

/// From here on the reader is told, until it is dropped.
pub(in crate::scanner) fn tell(reader: &Arc<Wake>) {
    static READERS: OnceLock<Arc<Readers>> = OnceLock::new();
    let readers = READERS.get_or_init(|| {
        let readers = Arc::new(Readers::default());
        // Without it there is the slow poll.
        let _ = watch(Path::new("/dev"), Arc::clone(&readers));
        readers
    });
    add(readers, reader);
}

fn add(readers: &Readers, reader: &Arc<Wake>) {
    let mut readers = readers.lock().unwrap_or_else(PoisonError::into_inner);
    readers.retain(|reader| reader.strong_count() > 0);
    readers.push(Arc::downgrade(reader));
}

fn watch(dev: &Path, readers: Arc<Readers>) -> std::io::Result<()> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let dev = dev.to_owned();
    watch_folders(&inotify, &dev);
    std::thread::Builder::new()
        .name("hotplug".to_owned())
        .spawn(move || keep_watching(&inotify, &dev, &readers))?;
    Ok(())
}

fn keep_watching(inotify: &Inotify, dev: &Path, readers: &Readers) {
    while happened(inotify, PollTimeout::NONE).is_ok() {
        let quiet = PollTimeout::try_from(QUIET).unwrap_or(PollTimeout::ZERO);
        let began = Instant::now();
        while happened(inotify, quiet) == Ok(true) && began.elapsed() < NOISE_MAX {}
        // Before the readers look, so that nothing comes in between unseen.
        watch_folders(inotify, dev);
        let readers = readers.lock().unwrap_or_else(PoisonError::into_inner);
        for reader in readers.iter().filter_map(Weak::upgrade) {
            reader.plug();
        }
    }
}

/// Folders that are watched already stay so, and those that are not there are
/// tried again with the next change.
fn watch_folders(inotify: &Inotify, dev: &Path) {
    // A change of attributes: udev gives the node to its group.
    let changes = AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_ONLYDIR;
    for folder in FOLDERS {
        let _ = inotify.add_watch(&dev.join(folder), changes);
    }
}

/// Waits for a change, and takes all that have come.
fn happened(inotify: &Inotify, wait: PollTimeout) -> nix::Result<bool> {
    match poll(&mut [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)], wait) {
        Ok(0) => return Ok(false),
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error),
    }
    let mut seen = false;
    loop {
        match inotify.read_events() {
            Ok(events) => seen |= !events.is_empty(),
            Err(Errno::EAGAIN) => return Ok(seen),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Box {
        dev: tempfile::TempDir,
        reader: Arc<Wake>,
    }

    fn a_box() -> Box {
        let dev = tempfile::tempdir().expect("a folder");
        let readers = Arc::new(Readers::default());
        let reader = Arc::new(Wake::new().expect("an event"));
        add(&readers, &reader);
        watch(dev.path(), readers).expect("watched");
        Box { dev, reader }
    }

    impl Box {
        /// Does something below `/dev`, and waits until the reader has heard of it.
        fn check(&self, what: &str, act: impl FnOnce(&Path)) {
            let before = self.reader.plugs();
            act(self.dev.path());
            for _ in 0..600 {
                let _ = self.reader.poll(&[], Duration::from_millis(50));
                if self.reader.plugs() != before {
                    return;
                }
            }
            panic!("{what}: nobody was told");
        }
    }

    #[test]
    fn a_reader_hears_of_all_that_comes_and_goes() {
        let of = a_box();
        of.check("a node", |dev| fs::write(dev.join("hidraw0"), "").expect("made"));
        of.check("its mode", |dev| {
            fs::set_permissions(dev.join("hidraw0"), Permissions::from_mode(0o660)).expect("set");
        });
        of.check("a folder", |dev| fs::create_dir(dev.join("input")).expect("made"));
        of.check("a node in it", |dev| fs::write(dev.join("input/event0"), "").expect("made"));
        of.check("folders", |dev| fs::create_dir_all(dev.join("serial/by-id")).expect("made"));
        of.check("a link in it", |dev| {
            symlink("../ttyACM0", dev.join("serial/by-id/.tmp")).expect("made");
        });
        of.check("its name", |dev| {
            let at = dev.join("serial/by-id");
            fs::rename(at.join(".tmp"), at.join("usb-x")).expect("named");
        });
        of.check("a node that went", |dev| fs::remove_file(dev.join("hidraw0")).expect("gone"));
        of.check("folders that went", |dev| {
            fs::remove_dir_all(dev.join("serial")).expect("gone");
        });
        of.check("folders that came back", |dev| {
            fs::create_dir_all(dev.join("serial/by-id")).expect("made");
        });
        of.check("a link in them", |dev| {
            symlink("../ttyACM1", dev.join("serial/by-id/usb-x")).expect("made");
        });
    }

    /// Whatever comes in one go is told once.
    #[test]
    fn a_device_with_many_nodes_is_told_once() {
        let of = a_box();
        of.check("many", |dev| {
            for node in 0..50 {
                fs::write(dev.join(format!("hidraw{node}")), "").expect("made");
            }
        });
        assert!(of.reader.plugs() <= 3, "{}", of.reader.plugs());
    }

    #[test]
    fn a_reader_that_is_gone_is_forgotten() {
        let readers = Readers::default();
        let stays = Arc::new(Wake::new().expect("an event"));
        add(&readers, &stays);
        for _ in 0..100 {
            add(&readers, &Arc::new(Wake::new().expect("an event")));
        }
        assert!(readers.lock().expect("whole").len() <= 2);
    }
}
