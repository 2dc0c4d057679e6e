//! What goes out, once the terminal has decided.

use std::sync::Arc;

use super::{Back, Line, Loop, Sending};
use crate::daemon::asking;
use crate::payment::{Call, Entry};
use crate::terminal::{Output, Ticket};

impl Loop {
    pub(super) fn act(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Write { ticket, entry, .. } => self.write(ticket, entry),
                Output::Send { serial, call, payment, code } => {
                    self.calls.add(call == Call::Pay, Sending { serial, call, payment, code });
                }
                Output::Reply { id, reply } => {
                    if let Some(asked) = self.replies.remove(&id) {
                        asked.send(reply);
                    }
                }
            }
        }
        self.send();
    }

    /// Sends what may be sent now.
    fn send(&mut self) {
        while let Some(Sending { serial, call, payment, code }) = self.calls.next() {
            let (client, back) = (Arc::clone(&self.client), self.back.clone());
            let now = self.clock.now().gateway;
            let number = payment.order().out_trade_no.clone();
            let asked = asking::ask(call, &payment, code);
            tokio::spawn(async move {
                let answered = match asked {
                    Ok(ask) => Box::new(client.send(client.prepare(ask, now)).await),
                    Err(not_sent) => not_sent,
                };
                // Nobody listens any more: the daemon is ending.
                let _ = back.send(Back::Answered(number, serial, answered));
            });
        }
    }

    fn write(&mut self, ticket: Ticket, entry: Entry) {
        self.lines.insert(ticket, Line::of(&entry));
        if let Entry::Gateway { up, text } = &entry {
            self.board.gateway(*up, text, self.clock.wall());
        }
        let pending = self.writer.append(entry, self.clock.wall());
        let back = self.back.clone();
        tokio::spawn(async move {
            let written = pending.await;
            let _ = back.send(Back::Written(ticket, written));
        });
    }

    /// Tells each scanner when a payment begins or ceases to wait for its code.
    pub(super) fn tell_scanners(&mut self) {
        for (handle, told) in &mut self.scanners {
            let waits = self.terminal.waits_on(handle.scanner());
            if waits != *told {
                handle.arm(waits);
                *told = waits;
            }
        }
    }

    /// All at once, so that the slowest is all that is waited for.
    pub(super) async fn let_go_of_scanners(&mut self) {
        let stopped: Vec<_> =
            self.scanners.drain(..).map(|(handle, _)| tokio::spawn(handle.stop())).collect();
        for stopped in stopped {
            // It only ends in this way or by a panic of its own.
            let _ = stopped.await;
        }
    }
}
