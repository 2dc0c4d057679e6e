//! When a keyboard scanner is taken from the others who read it, and when they
//! get it back.
//!
//! ```text
//!   theirs ──(wanted, no key down, quiet)──▶ ours ──(not wanted, the same)──▶ theirs
//!                                             └── it looks like a person typing ──▶ let go
//! ```
//!
//! Nobody may see half of something. A key that others saw go down and not come
//! up repeats in their windows for ever; of a code that is cut in two each side
//! reads a wrong one; and the Enter behind the payment's code would press a
//! button of the register. So the keyboard changes hands only between scans: no
//! key is down, and none was touched for as long as silence takes to end a code.
//!
//! The events are followed all the time, but only what was typed into our hands
//! is read. This file knows no device: the nodes are behind [`Nodes`].

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use crate::payment::Timestamp;
use crate::scanner::decode::framing::{Framed, Learned, Lost};
use crate::scanner::decode::keymap::{KeyEvent, Keys, is_dropped, is_key, is_press};
use crate::scanner::decode::typist::Typist;
use crate::scanner::settings::{Mode, ScannerSettings};

/// A key that others never saw go down does them no harm when it comes up, so
/// one that hangs is not waited for longer than this.
const STUCK: Duration = Duration::from_secs(3);

/// No scanner waits as long between two keys, whatever ends its codes.
const QUIET: Duration = Duration::from_millis(100);

/// The nodes that one scanner types through, as the kernel has them.
pub(in crate::scanner) trait Nodes {
    /// Keys are down. The kernel throws away what was typed and not read yet
    /// when it is asked.
    fn any_down(&self) -> io::Result<bool>;
    /// Takes all of them from everybody else, or none.
    fn grab(&mut self) -> io::Result<()>;
    /// Gives them back.
    fn ungrab(&mut self);
    /// Reads what was typed, each key with the place of its node.
    fn read(&mut self, now: Timestamp, typed: &mut Vec<(usize, KeyEvent)>) -> io::Result<()>;
}

/// How the nodes of one scanner are held.
pub(in crate::scanner) struct Hold {
    owned: bool,
    quiet: Duration,
    /// One for each node: of a scanner with several only one types at a time.
    keys: Vec<Keys>,
    typist: Option<Typist>,
    ours: bool,
    down: BTreeSet<(usize, u16)>,
    /// Keys may be down that we know nothing of.
    unsure: bool,
    /// The last key, or when we came to know that none is down.
    last: Timestamp,
    /// Since when it is wanted and still theirs.
    wanted: Option<Timestamp>,
    /// That this takes too long was told.
    told: bool,
}

/// What a look at the keyboard came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scanner) enum Look {
    Fine,
    /// It looks like a person typing. It is to be let go of.
    Typed,
}

impl Hold {
    /// Nodes on which no key is down.
    pub(in crate::scanner) fn new(
        settings: &ScannerSettings,
        nodes: usize,
        learned: Learned,
        now: Timestamp,
    ) -> Self {
        Self {
            owned: settings.mode == Mode::Owned,
            quiet: settings.gap.max(QUIET),
            keys: (0..nodes).map(|_| Keys::knowing(settings.gap, learned)).collect(),
            typist: settings.typed_guard.then(Typist::default),
            ours: false,
            down: BTreeSet::new(),
            unsure: false,
            last: now,
            wanted: None,
            told: false,
        }
    }

    /// What is known of how the scanner ends its codes.
    pub(in crate::scanner) fn learned(&self) -> Learned {
        self.keys.iter().map(Keys::learned).max().unwrap_or(Learned::NOTHING)
    }

    /// Nobody else reads it.
    pub(in crate::scanner) fn is_ours(&self) -> bool {
        self.ours
    }

    /// Reads what was typed until `now`, and takes or gives back the keyboard
    /// when that is due.
    ///
    /// # Errors
    ///
    /// The nodes', such as that another program has grabbed them.
    pub(in crate::scanner) fn look(
        &mut self,
        nodes: &mut impl Nodes,
        waits: bool,
        now: Timestamp,
        say: &mut impl FnMut(Framed),
    ) -> io::Result<Look> {
        if self.read(nodes, now, say)? == Look::Typed {
            return Ok(Look::Typed);
        }
        if self.ours {
            for keys in &mut self.keys {
                keys.idle(now).into_iter().for_each(&mut *say);
            }
        }
        let wanted = self.owned || waits;
        if wanted != self.ours && self.is_between_scans(now) {
            if self.unsure {
                self.unsure = nodes.any_down()?;
                self.down.clear();
                // What was typed just now is thrown away by asking; if it was a
                // scan, more of it comes.
                self.last = now;
            } else if wanted {
                self.take(nodes, now)?;
            } else {
                self.give_back(nodes, now, say)?;
            }
        }
        if !wanted || self.ours {
            self.wanted = None;
            self.told = false;
        } else if now >= *self.wanted.get_or_insert(now) + STUCK && !self.told {
            self.told = true;
            say(Framed::Lost(Lost::Held));
        }
        Ok(Look::Fine)
    }

    /// When there is something to do although nothing is typed.
    pub(in crate::scanner) fn due(&self, waits: bool) -> Option<Timestamp> {
        let wanted = self.owned || waits;
        // A key that is down is waited for, not the time.
        let hangs = !self.ours && !self.down.is_empty();
        let changes = (wanted != self.ours && !hangs).then(|| self.last + self.silence());
        let tells = self.wanted.filter(|_| !self.told).map(|since| since + STUCK);
        let ends = self.keys.iter().filter_map(Keys::due).filter(|_| self.ours);
        ends.chain(changes).chain(tells).min()
    }

    /// Gives it back as soon as no scan is under way; `false` while one is.
    pub(in crate::scanner) fn finish(
        &mut self,
        nodes: &mut impl Nodes,
        now: Timestamp,
        say: &mut impl FnMut(Framed),
    ) -> io::Result<bool> {
        self.owned = false;
        self.typist = None;
        self.look(nodes, false, now, say)?;
        Ok(!self.ours)
    }

    /// Gives it back as it is.
    pub(in crate::scanner) fn let_go(&mut self, nodes: &mut impl Nodes) {
        if self.ours {
            nodes.ungrab();
            self.ours = false;
        }
    }

    fn silence(&self) -> Duration {
        if self.down.is_empty() { self.quiet } else { self.quiet.max(STUCK) }
    }

    fn is_between_scans(&self, now: Timestamp) -> bool {
        // Others would be left with the key that is down.
        let would_hang = !self.ours && !self.down.is_empty();
        now >= self.last + self.silence() && !would_hang
    }

    fn take(&mut self, nodes: &mut impl Nodes, now: Timestamp) -> io::Result<()> {
        nodes.grab()?;
        let mut typed = Vec::new();
        nodes.read(now, &mut typed)?;
        // A scan has begun in between, and others have its beginning: they get
        // the rest as well. The next silence is ours.
        if typed.iter().any(|(_, event)| is_key(*event)) {
            nodes.ungrab();
            typed.iter().for_each(|(node, event)| self.follow(*node, *event));
            return Ok(());
        }
        self.ours = true;
        self.keys.iter_mut().for_each(Keys::all_up);
        if let Some(typist) = &mut self.typist {
            *typist = Typist::default();
        }
        Ok(())
    }

    fn give_back(
        &mut self,
        nodes: &mut impl Nodes,
        now: Timestamp,
        say: &mut impl FnMut(Framed),
    ) -> io::Result<()> {
        self.let_go(nodes);
        let mut typed = Vec::new();
        nodes.read(now, &mut typed)?;
        for (node, event) in typed {
            // The others get a code without its beginning.
            if is_press(event) {
                say(Framed::Lost(Lost::Torn));
            }
            self.follow(node, event);
        }
        Ok(())
    }

    fn read(
        &mut self,
        nodes: &mut impl Nodes,
        now: Timestamp,
        say: &mut impl FnMut(Framed),
    ) -> io::Result<Look> {
        let mut typed = Vec::new();
        nodes.read(now, &mut typed)?;
        for (node, event) in typed {
            self.follow(node, event);
            if !self.ours {
                continue;
            }
            if is_press(event) {
                if self.typist.as_mut().is_some_and(|typist| typist.press(event)) {
                    self.keys.iter_mut().for_each(Keys::forget);
                    return Ok(Look::Typed);
                }
                self.mixed(node, event.at, say);
            }
            if let Some(keys) = self.keys.get_mut(node) {
                keys.push(event).into_iter().for_each(&mut *say);
            }
        }
        Ok(Look::Fine)
    }

    fn follow(&mut self, node: usize, event: KeyEvent) {
        if !is_key(event) {
            return;
        }
        self.last = self.last.max(event.at);
        if is_dropped(event) {
            self.unsure = true;
            self.down.clear();
        } else if is_press(event) {
            self.down.insert((node, event.code));
        } else {
            self.down.remove(&(node, event.code));
        }
    }

    /// Two nodes type at once: in which order is not known, so both are lost.
    fn mixed(&mut self, node: usize, at: Timestamp, say: &mut impl FnMut(Framed)) {
        let mut others = self.keys.iter().enumerate().filter(|(other, _)| *other != node);
        if !others.any(|(_, keys)| keys.has_text(at)) {
            return;
        }
        let lost: Vec<_> = self.keys.iter_mut().filter_map(|k| k.lose(Lost::Torn, at)).collect();
        lost.into_iter().take(1).for_each(say);
    }
}
