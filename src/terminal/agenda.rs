//! Who is due when, so that the timer need not ask all of them.

use std::collections::BTreeSet;

use super::Subject;
use crate::payment::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Agenda(BTreeSet<(Timestamp, Subject)>);

impl Agenda {
    /// The first that is due, and when (steady clock).
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.0.first().map(|(due, _)| *due)
    }

    /// Those that are due.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Subject> {
        let due = self.0.iter().take_while(|(due, _)| *due <= now);
        due.map(|(_, subject)| subject.clone()).collect()
    }

    /// Lists a subject under its deadline, or not at all. `listed` is where it
    /// stands.
    pub(super) fn list(
        &mut self,
        subject: &Subject,
        listed: &mut Option<Timestamp>,
        due: Option<Timestamp>,
    ) {
        if *listed == due {
            return;
        }
        if let Some(before) = std::mem::replace(listed, due) {
            self.0.remove(&(before, subject.clone()));
        }
        if let Some(due) = due {
            self.0.insert((due, subject.clone()));
        }
    }
}
