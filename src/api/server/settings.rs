//! The bounds of the API.

use std::time::Duration;

use super::peer::{Role, Roles};
use super::places::Bound;
use crate::payment::Amount;

/// The bounds of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Connections to the socket at a time; more wait in the kernel's queue.
    pub connections: Bound,
    /// Connections to the loopback address: these have places of their own, and
    /// take none of the socket's.
    pub loopback: Bound,
    /// Requests that wait for a payment's end. Fewer than the connections, so that
    /// the next request can always come in.
    pub waiting: Bound,
    /// Event streams. A box has a few listeners; more are a program that forgets
    /// to close them.
    pub streams: Bound,
    /// Lists and journals that are being read.
    pub lists: Bound,
    /// Who may do what; without it, whoever may connect may do everything.
    pub roles: Option<Roles>,
    /// Who may give money back.
    pub refunds: RefundRight,
    /// From the beginning of a connection, or the end of the last reply, until
    /// the next request's head has arrived.
    pub header_timeout: Duration,
    /// From the beginning of a connection to the loopback address, which anybody
    /// can open, until the first request's head has arrived.
    pub loopback_timeout: Duration,
    /// From a request's head until the end of its body.
    pub body_timeout: Duration,
    /// How long a client may read nothing of what it is sent.
    pub write_timeout: Duration,
    /// How often an idle event stream says that it is alive.
    pub comment_interval: Duration,
    /// How often the socket's file is looked at.
    pub file_interval: Duration,
    /// How long replies under way get when the daemon ends.
    pub end_timeout: Duration,
}

/// Who may give money back, where there are roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundRight {
    /// Everybody from this role on.
    pub by: Role,
    /// A cashier's refund is at most of so much.
    pub cashier_limit: Option<Amount>,
}

impl Default for RefundRight {
    fn default() -> Self {
        Self { by: Role::Cashier, cashier_limit: None }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: Bound::of(512),
            loopback: Bound::shared(64),
            waiting: Bound::of(400),
            streams: Bound::of(64),
            lists: Bound::of(32),
            roles: None,
            refunds: RefundRight::default(),
            header_timeout: Duration::from_secs(10),
            loopback_timeout: Duration::from_secs(2),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            comment_interval: Duration::from_secs(15),
            file_interval: Duration::from_secs(5),
            end_timeout: Duration::from_millis(500),
        }
    }
}

/// Descriptors that are left to the journal, scanners and the gateway.
const DESCRIPTORS_KEPT: usize = 64;

impl Settings {
    /// The bounds for a process that may have so many descriptors open: at most
    /// half of them are the API's, so that files, scanners and the gateway always
    /// find one.
    #[must_use]
    pub fn within(descriptors: usize) -> Self {
        let room = descriptors.saturating_sub(DESCRIPTORS_KEPT).max(16) / 2;
        let usual = Self::default();
        let of = |most: usize, usual: Bound| if most < usual.all { Bound::of(most) } else { usual };
        Self {
            connections: of(room, usual.connections),
            loopback: Bound::shared(usual.loopback.all.min(room / 4).max(1)),
            waiting: of(room * 3 / 4, usual.waiting),
            streams: of(room / 2, usual.streams),
            ..usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_follow_what_may_be_opened() {
        assert_eq!(Settings::within(1_048_576), Settings::default());
        assert_eq!(Settings::within(2048), Settings::default());
        for descriptors in [0, 64, 100, 256, 512, 1024] {
            let Settings { connections, loopback, waiting, streams, .. } =
                Settings::within(descriptors);
            let used = connections.all + loopback.all;
            assert!(connections.all >= 8 && loopback.all >= 1, "{descriptors}");
            assert!(waiting.all < connections.all && streams.all < connections.all);
            if descriptors >= 128 {
                assert!(used + DESCRIPTORS_KEPT <= descriptors, "{descriptors}: {used}");
            }
            assert!(connections.process < connections.user && connections.user < connections.all);
        }
    }
}
