//! What the clocks bring: what is due, a box that has slept, keys that have changed.

use std::sync::Arc;
use std::time::Duration;

use super::{Back, Loop};
use crate::daemon::Ended;
use crate::daemon::gate::Told;
use crate::daemon::heard::Dated;
use crate::payment::Answered;
use crate::terminal::Input;

/// With payments open, the loop looks at the steady clock at least this often:
/// timers stand still while the box sleeps, and deadlines do not.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// And with none open: somebody may have set the clock, or the box slept.
const LOOK_IDLE: Duration = Duration::from_secs(5);
/// For so long no new payments are taken after somebody has asked for that. If
/// nobody has restarted the daemon by then, the upgrade has gone wrong, and the
/// shop shall not stay closed for it.
const DRAIN_MAX: Duration = Duration::from_mins(2);
/// A box's clock that is further off than this is worth a line in the log.
const SKEW_TOLD: u64 = 5_000;

impl Loop {
    /// Until something is due, or until the clocks should be looked at.
    pub(super) fn wait(&self) -> Duration {
        let due = [self.terminal.due(), self.gate.due(), self.drain_until];
        let due = due.into_iter().flatten().min().map(|due| self.clock.until(due));
        let look = if self.terminal.open_count() > 0 { LOOK_AGAIN } else { LOOK_IDLE };
        due.map_or(look, |due| due.min(look))
    }

    /// Does what is due.
    pub(super) fn on_time(&mut self) -> Result<(), Ended> {
        let now = self.clock.steady();
        if self.terminal.due().is_some_and(|due| due <= now) {
            self.handle(Input::Tick)?;
        }
        if self.drain_until.is_some_and(|until| until <= now) {
            self.drain(false)?;
        }
        if let Some(by) = self.gate.ask(now) {
            let (client, back) = (Arc::clone(&self.client), self.back.clone());
            let gateway_now = self.clock.date(by);
            tokio::spawn(async move {
                let probed = client.probe(gateway_now).await;
                // Nobody listens any more: the daemon is ending.
                let _ = back.send(Back::Probed(Box::new(probed), by, client));
            });
        }
        if !self.waiting.is_empty() && !self.gate.keeps_waiting(now) {
            self.let_in()?;
        }
        Ok(())
    }

    /// A box that has slept, or whose clock was set, finds another world.
    pub(super) fn look_at_clocks(&mut self) {
        let jumps = self.clock.look();
        if let Some(by) = jumps.stepped {
            tracing::warn!(by_ms = by, "clock stepped; deadlines keep their length");
        }
        if let Some(slept) = jumps.slept {
            tracing::info!(seconds = slept.as_secs(), "the box was suspended; doing what is due");
            self.client.forget_connections();
        }
        if jumps.slept.is_some() || jumps.stepped.is_some() {
            self.gate.doubt(self.clock.steady());
        }
    }

    /// The keys of now, if their files have changed.
    pub(super) fn look_at_keys(&mut self) {
        let now = self.clock.steady();
        match self.keys.changed(now) {
            None => {}
            Some(Ok(client)) => {
                tracing::info!("the keys have changed: Alipay is asked about them");
                self.client = Arc::new(client);
                self.gate.has_other_keys(now);
            }
            Some(Err(faults)) => {
                for fault in faults {
                    tracing::error!(%fault, "a changed key is not used");
                }
            }
        }
    }

    /// Somebody says that something has changed (SIGHUP).
    pub(super) fn look_again(&mut self) {
        let now = self.clock.steady();
        tracing::info!("looking at the keys again");
        self.keys.look_now(now);
        self.gate.doubt(now);
    }

    /// Learns of the gateway's clock from an answer.
    pub(super) fn learn(&self, told: Told, dated: Dated, answered: &Answered) {
        if !matches!(told, Told::Answered | Told::DateRefused) {
            return;
        }
        let knew = self.clock.knows_gateway();
        self.clock.learn(dated, told.date(answered), answered.gateway_time);
        self.board.answered(self.clock.wall());
        let skew = self.clock.gateway_skew().unwrap_or_default();
        if !knew && skew.unsigned_abs() > SKEW_TOLD {
            tracing::warn!(
                skew_ms = skew,
                "this box's clock is off; dates for Alipay are corrected"
            );
        }
    }

    /// The gateway's word on the clock and the keys, if it has changed anything.
    pub(super) fn judge(&mut self) -> Result<(), Ended> {
        let wrong = self.gate.wrong();
        if self.board.clock(wrong) {
            let state = wrong.map_or(Ok(()), |why| Err(why.to_owned()));
            self.handle(Input::Clock(state))?;
        }
        let closed = match self.gate.door() {
            Ok(()) => None,
            Err((by, words)) => Some(self.keys.closed(*by, words)),
        };
        if self.board.keys(closed.as_ref()) {
            self.handle(Input::Keys(closed.map_or(Ok(()), Err)))?;
        }
        Ok(())
    }

    /// Takes no new payments, so that a new version can take over; or does again.
    pub(super) fn drain(&mut self, draining: bool) -> Result<(), Ended> {
        let open = self.terminal.open_count();
        if draining {
            tracing::info!(open, "draining for an upgrade: no new payments");
        } else {
            tracing::warn!(open, "nobody has restarted the daemon: payments are taken again");
        }
        self.drain_until = draining.then(|| self.clock.steady() + DRAIN_MAX);
        self.board.draining(draining);
        self.handle(Input::Drain(draining))
    }
}
