//! Devices are read on a thread of their own, with `poll(2)`.
//!
//! The kernel keeps about ten characters of a keyboard for a slow reader, and a
//! silence on a serial line ends a code, so nothing here waits for anything else
//! the daemon does.

use std::sync::Arc;

use crate::scanner::device::handle::Handle;
use crate::scanner::device::hotplug;
use crate::scanner::device::link::Link;
use crate::scanner::device::wake::BEAT;
use crate::scanner::device::wake::Wake;
use crate::scanner::shut::Shut;

/// Why reading ended.
pub(in crate::scanner) enum End {
    Stopped,
    /// The device is gone; in words.
    Gone(String),
    /// The same; there is nothing new to tell about it.
    Known,
}

/// Opens a device, reads it until it is gone, and again when it is back.
pub(in crate::scanner) fn start<D: 'static>(
    id: String,
    mut link: Link,
    open: impl Fn(&Wake, &mut Link) -> Result<D, Shut> + Send + 'static,
    read: impl Fn(&mut D, &Wake, &mut Link) -> End + Send + 'static,
) -> Handle {
    let beats = link.beats();
    let name: String = format!("scan-{id}").chars().filter(|c| *c != '\0').take(15).collect();
    let begun = Wake::new().map_err(std::io::Error::from).and_then(|wake| {
        let wake = Arc::new(wake);
        hotplug::tell(&wake);
        let of_thread = Arc::clone(&wake);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || keep_reading(&of_thread, &mut link, open, read))?;
        Ok((wake, thread))
    });
    Handle::new(id, beats, begun.ok())
}

fn keep_reading<D>(
    wake: &Wake,
    link: &mut Link,
    open: impl Fn(&Wake, &mut Link) -> Result<D, Shut>,
    read: impl Fn(&mut D, &Wake, &mut Link) -> End,
) {
    while !wake.is_stopped() && !link.is_closed() {
        // What is plugged in from here on is looked at anew.
        let plugs = wake.plugs();
        match open(wake, link) {
            Ok(mut device) => {
                link.plugged();
                match read(&mut device, wake, link) {
                    End::Stopped => return,
                    End::Gone(why) => link.unplugged(why),
                    End::Known => {}
                }
            }
            Err(_) if wake.is_stopped() => return,
            Err(shut) => link.shut(shut),
        }
        let mut rest = link.backoff();
        while !rest.is_zero() && wake.plugs() == plugs {
            link.beat();
            let nap = rest.min(BEAT);
            if wake.sleep(nap) {
                return;
            }
            rest = rest.saturating_sub(nap);
        }
        if wake.plugs() != plugs {
            link.hurry();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    /// The pause after a failure is long, and what is plugged in ends it.
    #[test]
    fn what_is_plugged_in_is_looked_at_at_once() {
        let (sink, _source) = tokio::sync::mpsc::channel(9);
        let clock: crate::scanner::input::Clock = Arc::new(|| crate::payment::Timestamp(0));
        let mut link = Link::new("lane-1".to_owned(), clock, sink);
        // It has been away for long.
        while link.backoff() < Duration::from_secs(5) {}
        let wake = Wake::new().expect("an event");
        let tries = AtomicU32::new(0);
        let open = |wake: &Wake, _: &mut Link| {
            let tried = tries.fetch_add(1, Ordering::Relaxed);
            match tried {
                0..=2 => wake.plug(),
                3 => return Ok(()),
                _ => wake.stop(),
            }
            Err::<(), _>(Shut { why: "not there".to_owned(), absent: true })
        };
        keep_reading(&wake, &mut link, open, |(), wake, _| {
            wake.stop();
            End::Stopped
        });
        assert_eq!(tries.load(Ordering::Relaxed), 4);
        // Each second of a pause is a beat.
        assert_eq!(link.beats().load(Ordering::Relaxed), 0);
    }
}
