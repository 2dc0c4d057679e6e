//! What a wait for the terminal goes through: Ctrl-C and other signals, the
//! clock, and a terminal that is away for a while.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::Exit;
use super::out::Out;
use super::words::{self, Phrase};

/// How long a terminal may be away while something is under way, before this
/// program leaves. A restart of the daemon takes a few seconds.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// Between two attempts to reach a terminal that is away.
const AWAY_INTERVAL: Duration = Duration::from_millis(300);

/// One question to the terminal waits so long for the end; the live line moves
/// with every answer.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// A terminal that answers at once is not asked more often than this.
pub(super) const TICK_SHORTEST: Duration = Duration::from_millis(200);

/// What is said when a wait is disturbed; it depends on what is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comfort {
    /// The terminal does not answer.
    pub(super) away: Phrase,
    /// This program was told to end.
    pub(super) sent_away: Phrase,
}

/// What came instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Somebody has pressed Ctrl-C.
    Interrupt,
    /// It is time to leave.
    Leave,
}

/// Waits with an ear for the signals and the clock.
pub(super) struct Patience<'a> {
    out: &'a Out,
    comfort: Comfort,
    interrupts: Signal,
    /// Told to end, and the window of the terminal closed: both mean to leave.
    ends: [Signal; 2],
    /// When to leave at the latest.
    pub(super) until: Option<Instant>,
    /// Since when the terminal does not answer.
    away_since: Option<Instant>,
}

impl<'a> Patience<'a> {
    pub(super) fn new(
        out: &'a Out,
        length: Option<Duration>,
        comfort: Comfort,
    ) -> Result<Self, Exit> {
        let on = |kind| {
            signal(kind).map_err(|why| {
                out.say(words::NO_RUNTIME, &[&why.to_string()]);
                Exit::None
            })
        };
        Ok(Self {
            out,
            comfort,
            interrupts: on(SignalKind::interrupt())?,
            ends: [on(SignalKind::terminate())?, on(SignalKind::hangup())?],
            until: length.and_then(|length| Instant::now().checked_add(length)),
            away_since: None,
        })
    }

    /// Waits for `request` until then. It may be dropped and called again with the
    /// same request.
    pub(super) async fn attend<T>(
        &mut self,
        until: Option<Instant>,
        request: impl Future<Output = T>,
    ) -> Result<T, Cut> {
        let [terminate, hang_up] = &mut self.ends;
        tokio::select! {
            answer = request => Ok(answer),
            _ = self.interrupts.recv() => Err(Cut::Interrupt),
            _ = terminate.recv() => Err(self.sent_away()),
            _ = hang_up.recv() => Err(self.sent_away()),
            () = reached(until) => Err(Cut::Leave),
        }
    }

    /// Nobody will see how it ends: says so, and that the terminal goes on.
    fn sent_away(&self) -> Cut {
        self.out.say(self.comfort.sent_away, &[]);
        Cut::Leave
    }

    /// Whether the terminal did not answer when it was last asked.
    pub(super) fn is_away(&self) -> bool {
        self.away_since.is_some()
    }

    /// The terminal does not answer: says so once. How long to rest until it is
    /// asked again; nothing when it has been away for too long.
    pub(super) fn missed(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let since = *self.away_since.get_or_insert_with(|| {
            self.out.say(self.comfort.away, &[]);
            now
        });
        (now.duration_since(since) <= AWAY_MAX).then_some(AWAY_INTERVAL)
    }

    /// The terminal has answered; if it was away, that is said.
    pub(super) fn answered(&mut self) {
        if self.away_since.take().is_some() {
            self.out.say(words::BACK, &[]);
        }
    }
}

/// Waits for a moment that may never come.
async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
