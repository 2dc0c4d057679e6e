//! Calls on their way to the gateway. Only so many are under way at once: each
//! takes a descriptor, and a shop that starts with a thousand open payments asks
//! about all of them. Those that wait go in their order, but a pay goes first,
//! because its buyer stands there, and keeps some places to itself.

use std::collections::VecDeque;

/// So many at once: far more than a shop with lanes has, far fewer than descriptors.
const CALLS_MAX: usize = 128;

/// So many of them are kept for pays.
const FOR_PAYS: usize = 32;

/// What waits to be sent, and how much is under way.
pub(super) struct Calls<T> {
    under_way: usize,
    pays: VecDeque<T>,
    others: VecDeque<T>,
}

impl<T> Calls<T> {
    pub(super) fn new() -> Self {
        Self { under_way: 0, pays: VecDeque::new(), others: VecDeque::new() }
    }

    pub(super) fn add(&mut self, is_pay: bool, call: T) {
        let queue = if is_pay { &mut self.pays } else { &mut self.others };
        queue.push_back(call);
    }

    /// The next one that may be sent now; it is under way from then on.
    pub(super) fn next(&mut self) -> Option<T> {
        let next = if self.under_way >= CALLS_MAX {
            None
        } else if let Some(pay) = self.pays.pop_front() {
            Some(pay)
        } else if self.under_way < CALLS_MAX - FOR_PAYS {
            self.others.pop_front()
        } else {
            None
        };
        self.under_way += usize::from(next.is_some());
        next
    }

    /// One of those under way has come back.
    pub(super) fn came_back(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(calls: &mut Calls<usize>) -> Vec<usize> {
        std::iter::from_fn(|| calls.next()).collect()
    }

    #[test]
    fn a_start_with_a_thousand_open_payments_leaves_places_for_pays() {
        let mut calls = Calls::new();
        for query in 0..1_000 {
            calls.add(false, query);
        }
        let first = CALLS_MAX - FOR_PAYS;
        assert_eq!(sent(&mut calls), (0..first).collect::<Vec<_>>());
        for pay in 2_000..2_000 + FOR_PAYS + 1 {
            calls.add(true, pay);
        }
        assert_eq!(sent(&mut calls), (2_000..2_000 + FOR_PAYS).collect::<Vec<_>>());
        // What comes back makes room for the last pay, and not for a query.
        calls.came_back();
        assert_eq!(sent(&mut calls), [2_000 + FOR_PAYS]);
        for _ in 0..FOR_PAYS {
            calls.came_back();
            assert_eq!(sent(&mut calls), [0; 0]);
        }
        calls.came_back();
        assert_eq!(sent(&mut calls), [first], "in their order");
        // All of them in the end.
        let mut last = first;
        while last < 999 {
            calls.came_back();
            last = sent(&mut calls).pop().expect("the next");
        }
        assert_eq!(calls.under_way, first);
    }
}
