//! Binding the API's sockets.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{Mode, fchmod};
use tokio::net::{TcpListener, UnixListener, UnixSocket};

/// What `sun_path` has room for, without its closing zero.
const PATH_MAX: usize = 107;

/// Connections that the kernel keeps for us until they are accepted: a rush of
/// registers at the opening of a shop finds room.
const BACKLOG: u32 = 256;

/// Why a socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The path does not fit into a socket address.
    #[error("binding the socket {path}: the path has {length} bytes, at most {PATH_MAX} fit")]
    TooLong {
        /// The path.
        path: PathBuf,
        /// How long it is.
        length: usize,
    },
    /// The folder is not there.
    #[error("binding the socket {path}: its folder does not exist; make it first")]
    NoFolder {
        /// The path.
        path: PathBuf,
    },
    /// Somebody listens there.
    #[error("binding the socket {path}: another daemon is listening on it")]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Something that is no socket is there; it is not touched.
    #[error("binding the socket {path}: there is something that is not a socket; move it away")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Anyone in the network could reach it.
    #[error("listening on {address}: only loopback addresses are allowed")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The system said no.
    #[error("binding the socket {place}: {doing}")]
    Io {
        /// The path or the address.
        place: String,
        /// What was attempted.
        doing: &'static str,
        /// What it said.
        source: io::Error,
    },
}

/// Binds the Unix socket and listens on it, with exactly these permissions.
///
/// A socket that a dead daemon left behind is taken away; a living one is not,
/// and neither is anything that is no socket. Two daemons that start at the same
/// time take turns by a lock on `<path>.lock`, an empty file that stays.
///
/// Must be called within a tokio runtime.
///
/// # Errors
///
/// [`BindError`], in words for the technician.
pub fn bind_unix(path: &Path, mode: u32) -> Result<UnixListener, BindError> {
    let io_error =
        |doing| move |source| BindError::Io { place: path.display().to_string(), doing, source };
    let length = path.as_os_str().len();
    if length > PATH_MAX {
        return Err(BindError::TooLong { path: path.to_owned(), length });
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if !folder.unwrap_or(Path::new(".")).is_dir() {
        return Err(BindError::NoFolder { path: path.to_owned() });
    }

    let _turn = take_turns(path).map_err(io_error("locking it"))?;
    remove_stale(path)?;
    let socket = UnixSocket::new_stream().map_err(io_error("making a socket"))?;
    // Linux gives the file the mode of the unbound socket less the umask, so it
    // is never more open than asked for ...
    fchmod(socket.as_raw_fd(), Mode::from_bits_truncate(mode))
        .map_err(|errno| io_error("setting its mode")(errno.into()))?;
    socket.bind(path).map_err(io_error("creating it"))?;
    // ... and is exactly so before anybody can connect, which takes a listener.
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(io_error("setting its mode"))?;
    socket.listen(BACKLOG).map_err(io_error("listening"))
}

/// Between the look at what is there and the bind, nobody else does the same.
fn take_turns(path: &Path) -> io::Result<Flock<File>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(name)?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
}

fn remove_stale(path: &Path) -> Result<(), BindError> {
    let io_error =
        |doing| move |source| BindError::Io { place: path.display().to_string(), doing, source };
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(io_error("looking at what is there")(why)),
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NotASocket { path: path.to_owned() });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse { path: path.to_owned() }),
        Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(io_error("removing a dead daemon's socket"))
        }
        Err(why) => Err(io_error("asking whether a daemon is listening")(why)),
    }
}

/// Listens on a loopback address, for programs without Unix sockets. Must be called
/// within a tokio runtime.
///
/// # Errors
///
/// [`BindError`], in words for the technician.
pub fn bind_tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    if !address.ip().is_loopback() {
        return Err(BindError::NotLoopback { address });
    }
    let io_error =
        |source| BindError::Io { place: address.to_string(), doing: "listening", source };
    let listener = std::net::TcpListener::bind(address).map_err(io_error)?;
    listener.set_nonblocking(true).map_err(io_error)?;
    TcpListener::from_std(listener).map_err(io_error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::{UnixListener as StdListener, UnixStream};

    use super::*;

    #[tokio::test]
    async fn a_dead_daemons_socket_is_taken_over_and_a_living_ones_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tilld.sock");
        drop(StdListener::bind(&path).unwrap());
        let living = bind_unix(&path, 0o660).unwrap();
        UnixStream::connect(&path).unwrap();

        let refused = bind_unix(&path, 0o660).unwrap_err();
        assert!(matches!(refused, BindError::InUse { .. }), "{refused}");
        UnixStream::connect(&path).unwrap();

        drop(living);
        bind_unix(&path, 0o660).unwrap();
    }

    #[tokio::test]
    async fn the_socket_has_exactly_the_mode_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o660, 0o666] {
            let path = folder.path().join(format!("{mode:o}.sock"));
            let _listener = bind_unix(&path, mode).unwrap();
            let found = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, mode);
        }
    }

    #[tokio::test]
    async fn what_is_no_socket_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        let link = folder.path().join("link");
        symlink(&file, &link).unwrap();
        let dangling = folder.path().join("dangling");
        symlink(folder.path().join("nothing"), &dangling).unwrap();
        for path in [&file, &link, &dangling, &folder.path().join(".")] {
            let refused = bind_unix(path, 0o660).unwrap_err();
            assert!(matches!(refused, BindError::NotASocket { .. }), "{refused}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
        assert!(link.is_symlink() && dangling.is_symlink());
    }

    #[tokio::test]
    async fn paths_that_cannot_be_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = bind_unix(&folder.path().join("no/tilld.sock"), 0o660).unwrap_err();
        assert!(matches!(refused, BindError::NoFolder { .. }), "{refused}");
        let refused = bind_unix(&folder.path().join("x".repeat(100)), 0o660).unwrap_err();
        assert!(matches!(refused, BindError::TooLong { .. }), "{refused}");
        assert!(refused.to_string().contains("107"), "{refused}");
    }

    #[tokio::test]
    async fn of_many_daemons_that_start_at_once_one_gets_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tilld.sock");
        for _ in 0..20 {
            drop(StdListener::bind(&path).unwrap());
            let runtime = tokio::runtime::Handle::current();
            let bind = || {
                let _inside = runtime.enter();
                bind_unix(&path, 0o660)
            };
            let bound: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(bind)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(bound.iter().filter(|bound| bound.is_ok()).count(), 1, "{bound:?}");
            std::fs::remove_file(&path).unwrap();
        }
    }
}
