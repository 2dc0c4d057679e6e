//! What there is a bounded number of, and who has how much of it.
//!
//! No process gets more than half of anything and no user more than three
//! quarters, so that one register that runs wild, or one member of the group that
//! means harm, leaves room for all the others.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::peer::Who;
use super::settings::Settings;

/// How many there are of something, and how many of them one may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// For all together.
    pub all: usize,
    /// For one user.
    pub user: usize,
    /// For one process.
    pub process: usize,
}

impl Bound {
    /// So many, of which a user gets three quarters and a process half.
    #[must_use]
    pub const fn of(all: usize) -> Self {
        let (user, process) = (all - all / 4, all - all / 2);
        Self { all, user, process }
    }

    /// So many, for whoever comes first.
    #[must_use]
    pub const fn shared(all: usize) -> Self {
        Self { all, user: all, process: all }
    }
}

/// Everything that clients can use up.
#[derive(Clone)]
pub(super) struct Places {
    pub(super) connections: Arc<Room>,
    pub(super) loopback: Arc<Room>,
    pub(super) waiting: Arc<Room>,
    pub(super) streams: Arc<Room>,
    pub(super) lists: Arc<Room>,
}

impl Places {
    pub(super) fn new(settings: &Settings) -> Self {
        let room = |bound| Arc::new(Room::new(bound));
        Self {
            connections: room(settings.connections),
            loopback: room(settings.loopback),
            waiting: room(settings.waiting),
            streams: room(settings.streams),
            lists: room(settings.lists),
        }
    }
}

/// A bounded number of places.
pub(super) struct Room {
    bound: Bound,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    all: usize,
    users: HashMap<Option<u32>, usize>,
    processes: HashMap<u32, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    All(usize),
    User(usize),
    Process(usize),
}

impl Full {
    /// Who has how many of what, for the register's programmer.
    pub(super) fn detail(self, what: &str) -> String {
        match self {
            Self::All(count) => format!("there are {count} {what} already"),
            Self::User(count) => format!("this user has {count} {what} already"),
            Self::Process(count) => format!("this program has {count} {what} already"),
        }
    }
}

/// A place, until it is dropped.
pub(super) struct Place {
    room: Arc<Room>,
    who: Who,
}

impl Room {
    fn new(bound: Bound) -> Self {
        Self { bound, taken: Mutex::default(), freed: Notify::new() }
    }

    pub(super) fn take(self: &Arc<Self>, who: Who) -> Result<Place, Full> {
        let Bound { all, user, process } = self.bound;
        let mut taken = self.lock();
        if taken.all >= all {
            return Err(Full::All(all));
        }
        let (uid, pid) = keys(who);
        if taken.users.get(&uid).is_some_and(|count| *count >= user) {
            return Err(Full::User(user));
        }
        if pid.is_some_and(|pid| taken.processes.get(&pid).is_some_and(|count| *count >= process)) {
            return Err(Full::Process(process));
        }
        taken.all += 1;
        *taken.users.entry(uid).or_default() += 1;
        if let Some(pid) = pid {
            *taken.processes.entry(pid).or_default() += 1;
        }
        drop(taken);
        Ok(Place { room: Arc::clone(self), who })
    }

    /// Until there is a place for somebody. One asks this at a time.
    pub(super) async fn has_space(&self) {
        while self.lock().all >= self.bound.all {
            self.freed.notified().await;
        }
    }

    pub(super) fn used(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (uid, pid) = keys(self.who);
        let mut taken = self.room.lock();
        taken.all = taken.all.saturating_sub(1);
        one_less(&mut taken.users, &uid);
        if let Some(pid) = pid {
            one_less(&mut taken.processes, &pid);
        }
        drop(taken);
        self.room.freed.notify_one();
    }
}

fn keys(who: Who) -> (Option<u32>, Option<u32>) {
    match who {
        Who::Process { uid, pid } => (Some(uid), Some(pid)),
        Who::Loopback => (None, None),
    }
}

/// Nobody is remembered who has none.
fn one_less<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(uid: u32, pid: u32) -> Who {
        Who::Process { uid, pid }
    }

    #[test]
    fn one_process_leaves_room_for_its_user_and_one_user_for_the_others() {
        let room = Arc::new(Room::new(Bound::of(8)));
        let mut held = Vec::new();
        let mut take = |who: Who, times: usize| -> Option<Full> {
            for _ in 0..times {
                match room.take(who) {
                    Ok(place) => held.push(place),
                    Err(full) => return Some(full),
                }
            }
            None
        };
        assert_eq!(take(who(1, 10), 4), None);
        assert_eq!(take(who(1, 10), 1), Some(Full::Process(4)));
        // A fork is another process, and the same user.
        assert_eq!(take(who(1, 11), 2), None);
        assert_eq!(take(who(1, 12), 1), Some(Full::User(6)));
        assert_eq!(take(who(2, 20), 1), None);
        assert_eq!(take(Who::Loopback, 1), None);
        assert_eq!(take(who(3, 30), 1), Some(Full::All(8)));
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_it_is_dropped() {
        let room = Arc::new(Room::new(Bound::of(1)));
        let place = room.take(who(1, 10)).map_err(|_| "full").unwrap();
        assert_eq!(room.take(who(2, 20)).err(), Some(Full::All(1)));
        let mut waits = std::pin::pin!(room.has_space());
        let early = tokio::time::timeout(std::time::Duration::ZERO, waits.as_mut()).await;
        assert!(early.is_err(), "there is none");
        drop(place);
        waits.await;
        assert_eq!(room.used(), 0);
        let taken = room.lock();
        assert!(taken.users.is_empty() && taken.processes.is_empty(), "nobody is remembered");
    }
}
