//! Who is on the other end of a connection, as the kernel tells it: nobody can
//! pretend to be another process, user or group.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use nix::libc;

use super::line::Line;
use crate::payment::Asker;

/// How soon it is seen that whoever waits has gone.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) who: Who,
    pub(super) role: Option<Role>,
    pub(super) line: Weak<Line>,
}

/// A process of this box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// It came by the Unix socket.
    Process {
        /// Its user.
        uid: u32,
        /// Its number; 0 if the kernel does not tell.
        pid: u32,
    },
    /// It came by the loopback address, where the kernel does not say whose it is.
    Loopback,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Observe,
    /// Look, take payments and give them up.
    Cashier,
    /// All of it.
    Supervisor,
}

/// Which groups of the system have which role. Root and the daemon's own user
/// may do everything; who comes by the loopback address, and so knows the token,
/// is a cashier; and who is in none of the groups may do nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Groups that may look.
    pub observe: Vec<u32>,
    /// Groups of registers.
    pub cashier: Vec<u32>,
    /// Groups that may do everything.
    pub supervisor: Vec<u32>,
}

impl Roles {
    fn of(&self, uid: u32, groups: &[u32]) -> Option<Role> {
        let own = nix::unistd::geteuid().as_raw();
        let in_any = |of: &[u32]| of.iter().any(|group| groups.contains(group));
        if uid == 0 || uid == own || in_any(&self.supervisor) {
            Some(Role::Supervisor)
        } else if in_any(&self.cashier) {
            Some(Role::Cashier)
        } else {
            in_any(&self.observe).then_some(Role::Observe)
        }
    }
}

impl Peer {
    /// Who it is, for the journal.
    pub(super) fn asker(&self) -> Option<Asker> {
        match self.who {
            Who::Process { uid, pid } => Some(Asker { uid, pid: Some(pid).filter(|pid| *pid > 0) }),
            Who::Loopback => None,
        }
    }

    /// Who is at the other end of a line. Without roles everybody may do
    /// everything: the socket's mode says who may connect.
    pub(super) fn of(line: &Arc<Line>, roles: Option<&Roles>) -> io::Result<Self> {
        let (who, role) = match line.as_ref() {
            Line::Unix(stream) => {
                let them = stream.peer_cred()?;
                let pid = them.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
                let role = match roles {
                    None => Some(Role::Supervisor),
                    Some(roles) => {
                        let mut groups = groups_of(line.fd())?;
                        groups.push(them.gid());
                        roles.of(them.uid(), &groups)
                    }
                };
                (Who::Process { uid: them.uid(), pid }, role)
            }
            Line::Tcp(_) => {
                let role = if roles.is_some() { Role::Cashier } else { Role::Supervisor };
                (Who::Loopback, Some(role))
            }
        };
        Ok(Self { who, role, line: Arc::downgrade(line) })
    }

    /// Ends when nobody is there any more to be told anything. Looked at from time
    /// to time and not waited for: what was sent behind the request stays unread,
    /// and a line with something to read never falls silent.
    ///
    /// Who has only finished sending is still there, on a Unix socket. Over TCP
    /// nobody can tell the two apart, so there the wait is over.
    pub(super) async fn gone(&self) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            let Some(line) = self.line.upgrade() else { return };
            if has_hung_up(&line) {
                return;
            }
        }
    }
}

/// The groups that the peer was in when it connected, beside its own.
#[allow(unsafe_code, reason = "no library asks the kernel for this")]
fn groups_of(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 32];
    loop {
        let size = groups.len() * size_of::<libc::gid_t>();
        let mut length = libc::socklen_t::try_from(size).map_err(io::Error::other)?;
        // SAFETY: the descriptor is borrowed, so open; the kernel writes at most
        // `length` bytes, which is what `groups` has, and then the length it wrote
        // or would need (SO_PEERGROUPS, socket(7)).
        let told = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = usize::try_from(length).map_err(io::Error::other)? / size_of::<libc::gid_t>();
        if told == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let why = io::Error::last_os_error();
        if why.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(why);
        }
        groups.resize(count, 0);
    }
}

#[allow(unsafe_code, reason = "nix knows no POLLRDHUP")]
fn has_hung_up(line: &Line) -> bool {
    let events = match line {
        Line::Unix(_) => 0,
        Line::Tcp(_) => libc::POLLRDHUP,
    };
    let mut look = libc::pollfd { fd: line.fd().as_raw_fd(), events, revents: 0 };
    // SAFETY: one pollfd, of a descriptor that `line` holds open; nothing is
    // waited for (poll(2)).
    let told = unsafe { libc::poll(&raw mut look, 1, 0) };
    let gone = libc::POLLHUP | libc::POLLERR | libc::POLLNVAL | libc::POLLRDHUP;
    told > 0 && look.revents & gone != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_role_counts_and_strangers_have_none() {
        let roles = Roles { observe: vec![10, 11], cashier: vec![20], supervisor: vec![30] };
        let own = nix::unistd::geteuid().as_raw();
        let stranger = own.wrapping_add(12345);
        for (uid, groups, role) in [
            (stranger, &[][..], None),
            (stranger, &[9, 12], None),
            (stranger, &[11], Some(Role::Observe)),
            (stranger, &[20, 10], Some(Role::Cashier)),
            (stranger, &[10, 20, 30], Some(Role::Supervisor)),
            (own, &[], Some(Role::Supervisor)),
            (0, &[10], Some(Role::Supervisor)),
        ] {
            assert_eq!(roles.of(uid, groups), role, "{groups:?}");
        }
    }

    #[tokio::test]
    async fn the_kernel_says_who_it_is() {
        let (ours, _theirs) = tokio::net::UnixStream::pair().unwrap();
        let line = Arc::new(Line::Unix(ours));
        let own = nix::unistd::geteuid().as_raw();
        let peer = Peer::of(&line, Some(&Roles::default())).unwrap();
        assert_eq!(peer.who, Who::Process { uid: own, pid: std::process::id() });
        assert_eq!(peer.role, Some(Role::Supervisor));
        let mut told = groups_of(line.fd()).unwrap();
        let mut real: Vec<u32> =
            nix::unistd::getgroups().unwrap().iter().map(|group| group.as_raw()).collect();
        told.sort_unstable();
        real.sort_unstable();
        assert_eq!(told, real);
    }

    #[tokio::test]
    async fn who_has_only_finished_sending_is_still_there() {
        use std::io::Write;
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        let line = Arc::new(Line::Unix(ours));
        let mut theirs = theirs.into_std().unwrap();
        theirs.write_all(b"more than is read").unwrap();
        assert!(!has_hung_up(&line));
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(!has_hung_up(&line), "it waits for its answer");
        drop(theirs);
        assert!(has_hung_up(&line));
    }
}
