//! What the service manager and the kernel want of a daemon.

use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::ops::Range;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::time::Duration;

use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::net::{TcpListener, UnixListener};

use super::Ended;
use crate::api::{SocketFile, bind_unix};
use crate::config::ApiConfig;

/// Keeps other processes of the same user out of this one's memory, where the
/// private key and payment codes are; a crash then leaves no core file either.
pub(super) fn seal() {
    if let Err(why) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%why, "keeping core dumps off");
    }
}

/// Gives back the pages of our own code once it is up: the start touches most of
/// it, and the loop comes back to little. The kernel keeps them in its cache and
/// maps anew what is needed after all.
pub(super) fn let_go_of_code() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    maps.lines().filter_map(code_of_file).for_each(let_go);
}

/// Where a line of `/proc/self/maps` tells of code out of a file (`proc_pid_maps(5)`).
fn code_of_file(line: &str) -> Option<Range<usize>> {
    // range, rights, offset, device, inode, path
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let is_code = fields.next()? == "r-xp";
    let is_of_file = fields.nth(3)?.starts_with('/');
    let address = |text| usize::from_str_radix(text, 16).ok();
    (is_code && is_of_file).then_some(address(start)?..address(end)?)
}

#[allow(unsafe_code, reason = "advice about memory is unsafe wherever that is written to")]
fn let_go(code: Range<usize>) {
    // SAFETY: a file's pages that nobody may write to are the same when they are
    // mapped again.
    unsafe {
        let start = std::ptr::with_exposed_provenance_mut(code.start);
        libc::madvise(start, code.len(), libc::MADV_DONTNEED);
    }
}

/// How many descriptors this process may have open: as many as it is allowed to
/// ask for. Most systems give 1024 to begin with, and 64 are not unheard of.
pub(super) fn descriptors() -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let allowed = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        // The unit may forbid it; then it sets the limit itself.
        Err(_) => soft,
    };
    usize::try_from(allowed).unwrap_or(usize::MAX)
}

/// The ways in for registers.
pub(super) struct Ways {
    pub(super) unix: UnixListener,
    pub(super) file: SocketFile,
    /// Handed over by the service manager, which has opened it before anybody
    /// else could.
    pub(super) tcp: Option<TcpListener>,
}

/// The sockets: those that the service manager hands over, or one of our own.
pub(super) fn ways(config: &ApiConfig) -> Result<Ways, Ended> {
    let passed = sd_notify::listen_fds_with_names()
        .map_err(|why| Ended::Unavailable(format!("reading LISTEN_FDS: {why}")))?;
    let (mut unix, mut tcp) = (None, None);
    for (fd, name) in passed {
        match adopt(fd)? {
            Adopted::Unix(listener) if unix.is_none() => unix = Some(listener),
            Adopted::Tcp(listener, address) if tcp.is_none() => {
                let configured = config.listen.as_ref().map(|listen| listen.address);
                may_listen(configured, &name, address)?;
                tcp = Some(listener);
            }
            Adopted::Unix(_) | Adopted::Tcp(..) => {
                return Err(Ended::Config(format!(
                    "systemd hands over a second socket of the same kind ({name}); leave one ListenStream= of each"
                )));
            }
        }
    }
    let (unix, file) = match unix {
        Some(listener) => {
            let path = listener.local_addr().ok();
            let path = path.and_then(|address| address.as_pathname().map(Path::to_owned));
            let path = path.unwrap_or_else(|| config.socket.clone());
            (listener, SocketFile { path, mode: None })
        }
        None => match bind_unix(&config.socket, config.mode) {
            Ok(listener) => {
                let (path, mode) = (config.socket.clone(), Some(config.mode));
                (listener, SocketFile { path, mode })
            }
            Err(why) => return Err(Ended::Unavailable(super::chain(&why))),
        },
    };
    Ok(Ways { unix, file, tcp })
}

/// A port is served only if the configuration knows of it, because only then is
/// there a token.
fn may_listen(configured: Option<SocketAddr>, name: &str, passed: SocketAddr) -> Result<(), Ended> {
    let remedy = match configured {
        Some(configured) if configured == passed => return Ok(()),
        Some(configured) => format!("api.listen is {configured}; write the same in both"),
        None => format!(
            "api.listen is not set; write listen = \"{passed}\" and token_file, or disable {name}"
        ),
    };
    Err(Ended::Config(format!("systemd hands over the port {passed} ({name}), and {remedy}")))
}

enum Adopted {
    Unix(UnixListener),
    Tcp(TcpListener, SocketAddr),
}

#[allow(unsafe_code, reason = "a descriptor that the service manager has opened for us")]
fn adopt(fd: RawFd) -> Result<Adopted, Ended> {
    // SAFETY: LISTEN_FDS names descriptors that are open and that nobody else in
    // this process owns (sd_listen_fds(3)); this is called once for each.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    let bad = |why| Ended::Unavailable(format!("using the socket from systemd: {why}"));
    let listener = StdUnixListener::from(owned);
    if listener.local_addr().is_ok() {
        listener.set_nonblocking(true).map_err(bad)?;
        return Ok(Adopted::Unix(UnixListener::from_std(listener).map_err(bad)?));
    }
    let listener = StdTcpListener::from(OwnedFd::from(listener));
    let address = listener.local_addr().map_err(bad)?;
    listener.set_nonblocking(true).map_err(bad)?;
    Ok(Adopted::Tcp(TcpListener::from_std(listener).map_err(bad)?, address))
}

pub(super) fn say_ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub(super) fn say_status(status: &str) {
    notify(&[NotifyState::Status(status)]);
}

pub(super) fn say_stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The last word, so that `systemctl status` shows why.
pub(super) fn say_failed(why: &str) {
    notify(&[NotifyState::Status(why.lines().next().unwrap_or_default())]);
}

fn notify(states: &[NotifyState<'_>]) {
    // Without a service manager this does nothing.
    if let Err(why) = sd_notify::notify(states) {
        tracing::debug!(%why, "telling the service manager");
    }
}

/// Tells how often a part has come round.
pub(super) type Heartbeat = Box<dyn Fn() -> u64 + Send>;

/// Feeds the service manager's watchdog, but only while every part made
/// progress: the loop by calling it, the others by their heartbeats.
pub(super) struct Watchdog {
    interval: Option<Duration>,
    beats: Vec<(String, Heartbeat, Option<u64>)>,
}

impl Watchdog {
    pub(super) fn new(beats: Vec<(String, Heartbeat)>) -> Self {
        let beats = beats.into_iter().map(|(name, beat)| (name, beat, None)).collect();
        // Half of what the manager waits, as sd_watchdog_enabled(3) advises.
        Self { interval: sd_notify::watchdog_enabled().map(|whole| whole / 2), beats }
    }

    pub(super) fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// Called by the loop, which is how the loop's own progress shows.
    pub(super) fn feed(&mut self) {
        match self.stuck() {
            None => notify(&[NotifyState::Watchdog]),
            Some(part) => tracing::error!(part, "made no progress; the watchdog is not fed"),
        }
    }

    /// The part that has not come round since the last look, if there is one.
    fn stuck(&mut self) -> Option<String> {
        let mut stuck = None;
        for (name, beat, last) in &mut self.beats {
            let now = beat();
            if *last == Some(now) {
                stuck = Some(name.clone());
            }
            *last = Some(now);
        }
        stuck
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_port_without_a_token_or_with_another_address_is_refused_by_name() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let passed = address("127.0.0.1:7580");
        for (listen, refused) in [
            (Some("127.0.0.1:7580"), None),
            (Some("127.0.0.1:7581"), Some("api.listen is 127.0.0.1:7581")),
            (None, Some("api.listen is not set")),
        ] {
            match (may_listen(listen.map(address), "tilld-tcp.socket", passed), refused) {
                (Ok(()), None) => {}
                (Err(Ended::Config(why)), Some(said)) => {
                    assert!(why.contains(said) && why.contains("tilld-tcp.socket"), "{why}");
                }
                (told, _) => panic!("{listen:?}: {told:?}"),
            }
        }
    }

    #[test]
    fn only_code_out_of_files_is_let_go() {
        let maps = [
            ("55d0c0000000-55d0c0241000 r--p 00000000 fe:00 7 /usr/bin/tilld", None),
            ("55d0c0241000-55d0c08a2000 r-xp 00240000 fe:00 7 /usr/bin/tilld", Some(0x66_1000)),
            ("55d0c08a3000-55d0c08cd000 r--p 008a1000 fe:00 7 /usr/bin/tilld", None),
            ("55d0c08cd000-55d0c08d4000 rw-p 008cb000 fe:00 7 /usr/bin/tilld", None),
            ("7ffd30000000-7ffd30002000 r-xp 00000000 00:00 0 [vdso]", None),
            ("7f0000000000-7f0000001000 r-xp 00000000 00:00 0", None),
            ("", None),
        ];
        for (line, length) in maps {
            assert_eq!(code_of_file(line).map(|code| code.len()), length, "{line}");
        }
        // And it still runs.
        let_go_of_code();
    }

    #[test]
    fn one_part_that_stands_still_is_enough_to_starve_the_watchdog() {
        let counts: [Arc<AtomicU64>; 3] = Default::default();
        let names = ["journal", "scanner lane-1", "scanner lane-2"];
        let beats = names.iter().zip(&counts).map(|(name, count)| {
            let count = Arc::clone(count);
            let beat: Heartbeat = Box::new(move || count.load(Ordering::Relaxed));
            ((*name).to_owned(), beat)
        });
        let mut watchdog = Watchdog::new(beats.collect());
        assert_eq!(watchdog.stuck(), None, "nothing is known before the first look");
        let beat = |which: &[usize]| {
            which.iter().for_each(|&i| {
                counts[i].fetch_add(1, Ordering::Relaxed);
            });
        };
        beat(&[0, 1, 2]);
        assert_eq!(watchdog.stuck(), None);
        for (alive, stuck) in [([0, 1], 2), ([0, 2], 1), ([1, 2], 0)] {
            beat(&alive);
            assert_eq!(watchdog.stuck().as_deref(), Some(names[stuck]));
            // It has come round after all.
            beat(&[0, 1, 2]);
            assert_eq!(watchdog.stuck(), None);
        }
        assert!(watchdog.stuck().is_some(), "all of them stand still");
    }
}
