//! The only loop: one input, one entry on disk, then the call.

mod act;
mod inputs;
mod line;
mod ready;
mod start;
mod time;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use self::line::{Line, Lines};
use self::ready::Ready;
use self::start::Signals;
pub(super) use self::start::run;
use super::backend::{Asked, Recent, Replying};
use super::board::{Board, SAY_AGAIN, Said};
use super::calls::Calls;
use super::gate::Gate;
use super::heard::Dated;
use super::keys::Keys;
use super::signer::Signer;
use super::system::Watchdog;
use super::{Clock, Ended};
use crate::alipay::{Client, Probed};
use crate::journal::{AppendError, Health, Reader, Writer};
use crate::payment::{Answered, AuthCode, Call, Payment, Refund, Timestamp};
use crate::scanner;
use crate::terminal::{Input, LostTrack, Matter, RequestId, Serial, Subject, Terminal, Ticket};

/// How long entries under way get when the daemon is told to stop.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// What comes back from the journal and the gateway. Never more than entries
/// and calls under way, so the queue needs no bound of its own.
enum Back {
    Written(Ticket, Result<u64, AppendError>),
    Answered(Subject, Serial, Box<Answered>),
    /// By which clock it was dated, and with which keys it was asked.
    Probed(Box<Probed>, Dated, Arc<Client>),
}

/// A call whose entry is on disk.
struct Sending {
    serial: Serial,
    call: Call,
    about: Matter,
    /// The buyer's, with a pay.
    code: Option<AuthCode>,
    /// It was made ready while that was written.
    ready: Option<Ready>,
}

/// An entry on its way to the disk.
struct Writing {
    line: Line,
    /// The call that follows.
    ready: Option<Ready>,
}

/// Everything that the loop waits for.
struct Inputs {
    signals: Signals,
    asked: mpsc::Receiver<Asked>,
    scans: mpsc::Receiver<scanner::Input>,
    back: mpsc::UnboundedReceiver<Back>,
    health: watch::Receiver<Health>,
}

struct Loop {
    terminal: Terminal,
    gate: Gate,
    keys: Keys,
    /// Requests that wait for the gateway's word on the clock and the keys.
    waiting: Vec<Asked>,
    /// No new payments until then (steady clock).
    drain_until: Option<Timestamp>,
    clock: Arc<Clock>,
    reader: Reader,
    writer: Writer,
    client: Arc<Client>,
    back: mpsc::UnboundedSender<Back>,
    recent: Recent,
    head: watch::Sender<u64>,
    board: Board,
    /// Each scanner, and whether it was told that a payment waits for its code.
    scanners: Vec<(scanner::Handle, bool)>,
    /// What is to be sent to the gateway.
    calls: Calls<Sending>,
    replies: HashMap<RequestId, Replying>,
    writing: HashMap<Ticket, Writing>,
    signer: Signer,
    /// What is still to be logged.
    lines: Lines,
    last_request: RequestId,
    /// The first question to the gateway is still open.
    starting: bool,
}

impl Loop {
    async fn turn(
        &mut self,
        open: Vec<Payment>,
        refunds: Vec<Refund>,
        inputs: Inputs,
        mut watchdog: Watchdog,
    ) -> Result<(), Ended> {
        let Inputs { mut signals, mut asked, mut scans, mut back, mut health } = inputs;
        let mut feeding = watchdog.interval().map(tokio::time::interval);

        self.health(&health.borrow_and_update().clone())?;
        self.judge()?;
        let recovered =
            self.terminal.recover(open, refunds, self.clock.now()).map_err(lost_track)?;
        self.act(recovered, None);
        self.tell_scanners();
        self.board.open_payments(self.terminal.open_count());
        let mut said = Said::ready(&self.board, self.clock.steady());

        loop {
            self.look_at_clocks();
            self.look_at_keys();
            // Also when there is always something else to do.
            self.on_time()?;
            let mut wait = self.wait();
            if said.lately(self.clock.steady()) {
                // What has changed since then is still to be said.
                wait = wait.min(SAY_AGAIN);
            }
            tokio::select! {
                // What the world did comes before what somebody wants; and rarely, but
                // whatever else there is, the watchdog.
                biased;
                () = feed(&mut feeding) => watchdog.feed(),
                Some(back) = back.recv() => self.came_back(back)?,
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv() => break,
                _ = signals.drain.recv() => self.drain(true)?,
                _ = signals.hang_up.recv() => self.look_again(),
                Ok(()) = health.changed() => {
                    let now = health.borrow_and_update().clone();
                    self.health(&now)?;
                }
                Some(input) = scans.recv() => self.scanned(input)?,
                Some(request) = asked.recv() => self.asked(request)?,
                () = self.lines.have_time() => self.lines.log(),
                () = tokio::time::sleep(wait) => {}
            }
            self.board.open_payments(self.terminal.open_count());
            said.again(&self.board, self.clock.steady());
        }
        self.lines.log();
        tracing::info!(
            open = self.terminal.open_count(),
            "stopping; what is open goes on at the next start"
        );
        self.board.stopping();
        self.handle(Input::Stop)?;
        self.last_writes(&mut asked, &mut back).await
    }

    /// What is being written gets its reply; nothing new begins.
    async fn last_writes(
        &mut self,
        asked: &mut mpsc::Receiver<Asked>,
        back: &mut mpsc::UnboundedReceiver<Back>,
    ) -> Result<(), Ended> {
        asked.close();
        let end = tokio::time::Instant::now() + LAST_WRITES;
        self.let_in()?;
        while let Ok(request) = asked.try_recv() {
            self.decide(request)?;
        }
        while !self.writing.is_empty() {
            match tokio::time::timeout_at(end, back.recv()).await {
                Ok(Some(back)) => self.came_back(back)?,
                Ok(None) | Err(_) => break,
            }
        }
        Ok(())
    }

    /// The one place where a decision is made and carried out.
    fn handle(&mut self, input: Input) -> Result<(), Ended> {
        self.handle_with(input, None)
    }

    /// The same, with the call made ready that is due if the terminal says so.
    fn handle_with(&mut self, input: Input, ready: Option<Ready>) -> Result<(), Ended> {
        let out = self.terminal.handle(input, self.clock.now()).map_err(lost_track)?;
        self.act(out, ready);
        self.tell_scanners();
        Ok(())
    }
}

async fn feed(interval: &mut Option<tokio::time::Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn lost_track(illegal: LostTrack) -> Ended {
    Ended::Software(format!(
        "{illegal}; stopping, because a terminal that lost track must not guess"
    ))
}
