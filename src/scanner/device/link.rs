//! Between a device's reader and the daemon: what it says, and how it is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use crate::payment::{ScannerNews, Timestamp};
use crate::scanner::decode::framing::{Framed, Learned, Lost};
use crate::scanner::device::pace::Pace;
use crate::scanner::input::{Clock, Input};
use crate::scanner::shut::Shut;

const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// How long a keyboard is left alone that looked like a person typing: at first,
/// as one slow scan is easily taken for one, and at most.
const REST_MIN: Duration = Duration::from_secs(10);
const REST_MAX: Duration = Duration::from_secs(300);

/// A device that was there for less than this is not trusted to stay.
const STEADY_AFTER: Duration = Duration::from_secs(2);

/// Why a device cannot be opened is told when it has lasted so long.
const DOUBT_TIMEOUT: Duration = Duration::from_secs(1);

/// The same loss is told once in this time: noise on a line loses a scan with
/// every byte, and each telling is written to the journal.
const LOST_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// The reader's end: says what happened, and never waits.
pub(in crate::scanner) struct Link {
    id: String,
    clock: Clock,
    sink: Sender<Input>,
    beats: Arc<AtomicU64>,
    /// How the device stands, told as soon as there is room.
    untold: Option<ScannerNews>,
    told: Option<ScannerNews>,
    lost: Vec<(Lost, Timestamp)>,
    pace: Pace,
    /// A code had no room, and that could not be told either.
    busy: bool,
    backoff: Duration,
    opened_at: Option<Timestamp>,
    rest: Duration,
    /// What the scanner was seen to do, kept while it is unplugged: a pause in
    /// the first code behind that would make two of it.
    pub(in crate::scanner) learned: Learned,
    /// It went away, and this was told.
    went: bool,
    /// Why it could not be opened since then, not told yet.
    doubt: Option<(Shut, Timestamp)>,
}

impl Link {
    pub(in crate::scanner) fn new(id: String, clock: Clock, sink: Sender<Input>) -> Self {
        Self {
            id,
            clock,
            sink,
            beats: Arc::default(),
            untold: None,
            told: None,
            lost: Vec::new(),
            pace: Pace::default(),
            busy: false,
            backoff: BACKOFF_MIN,
            opened_at: None,
            rest: REST_MIN,
            learned: Learned::NOTHING,
            went: false,
            doubt: None,
        }
    }

    pub(in crate::scanner) fn beats(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.beats)
    }

    pub(in crate::scanner) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// A sign of life; also tells what there was no room for before.
    pub(in crate::scanner) fn beat(&mut self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
        if let Some(news) = self.untold.take() {
            self.tell(news);
        }
        if self.busy {
            self.busy = false;
            self.lost(Lost::Busy);
        }
        self.hand_on();
        if let Some(count) = self.pace.left_out(self.now())
            && self.send(ScannerNews::ScanLost(flooded(count))).is_ok()
        {
            self.pace.told();
        }
    }

    /// Hands on the codes that it is time for.
    fn hand_on(&mut self) {
        while let Some(frame) = self.pace.next(self.now()) {
            let scan = Input::Scan {
                scanner: self.id.clone(),
                text: frame.text,
                aim: frame.aim,
                started_at: frame.started_at,
            };
            if let Err(TrySendError::Full(_)) = self.sink.try_send(scan) {
                self.busy = true;
            }
        }
    }

    /// Nobody listens any more.
    pub(in crate::scanner) fn is_closed(&self) -> bool {
        self.sink.is_closed()
    }

    pub(in crate::scanner) fn framed(&mut self, framed: Option<Framed>) {
        match framed {
            Some(Framed::Code(frame)) => {
                self.rest = REST_MIN;
                let now = self.now();
                self.pace.take(frame, now);
                self.hand_on();
            }
            Some(Framed::Lost(why)) => self.lost(why),
            None => {}
        }
    }

    pub(in crate::scanner) fn plugged(&mut self) {
        self.opened_at = Some(self.now());
        self.went = false;
        self.doubt = None;
        self.stands(ScannerNews::Plugged);
    }

    /// The device is gone.
    pub(in crate::scanner) fn unplugged(&mut self, why: String) {
        self.went = true;
        self.doubt = None;
        self.stands(ScannerNews::Unplugged(why));
    }

    /// The device cannot be opened. The same reason again is no news.
    ///
    /// Of one that just went away it is none that it is not there. And while it
    /// comes the system is still about to give it to us (udev sets group and
    /// mode after the node is there), so only what lasts is told.
    pub(in crate::scanner) fn shut(&mut self, shut: Shut) {
        if self.went && shut.absent {
            self.doubt = None;
            return;
        }
        let now = self.now();
        let is_first = self.told.is_none() && self.untold.is_none();
        let is_same = matches!(&self.told, Some(ScannerNews::Unplugged(why)) if *why == shut.why);
        let lasts = match &self.doubt {
            Some((doubt, since)) if *doubt == shut => now >= *since + DOUBT_TIMEOUT,
            _ => false,
        };
        if is_same || lasts || (is_first && shut.absent) {
            self.went = false;
            self.doubt = None;
            self.stands(ScannerNews::Unplugged(shut.why));
        } else if self.doubt.as_ref().is_none_or(|(doubt, _)| *doubt != shut) {
            self.doubt = Some((shut, now));
        }
    }

    /// Something was plugged in: it is worth looking again soon.
    pub(in crate::scanner) fn hurry(&mut self) {
        self.backoff = BACKOFF_MIN;
    }

    /// How long to wait before the device is tried again.
    pub(in crate::scanner) fn backoff(&mut self) -> Duration {
        let steady = self.opened_at.take().is_some_and(|at| self.now() >= at + STEADY_AFTER);
        if steady {
            self.backoff = BACKOFF_MIN;
        }
        let wait = self.backoff;
        self.backoff = (wait * 2).min(BACKOFF_MAX);
        wait
    }

    /// How long a keyboard is left alone that looks like a person typing. Longer
    /// each time, until a code comes.
    pub(in crate::scanner) fn rest(&mut self) -> Duration {
        let rest = self.rest;
        self.rest = (rest * 2).min(REST_MAX);
        rest
    }

    fn stands(&mut self, news: ScannerNews) {
        if self.told.as_ref() != Some(&news) {
            self.untold = None;
            self.tell(news);
        }
    }

    fn tell(&mut self, news: ScannerNews) {
        match self.send(news.clone()) {
            Ok(()) => self.told = Some(news),
            Err(()) => self.untold = Some(news),
        }
    }

    fn lost(&mut self, why: Lost) {
        let now = self.now();
        self.lost.retain(|(_, at)| now < *at + LOST_AGAIN_AFTER);
        if self.lost.iter().any(|(last, _)| *last == why) || !self.pace.may_tell(now) {
            return;
        }
        match self.send(ScannerNews::ScanLost(why.to_string())) {
            Ok(()) => self.lost.push((why, now)),
            Err(()) => self.busy = true,
        }
    }

    fn send(&self, news: ScannerNews) -> Result<(), ()> {
        let news = Input::News { scanner: self.id.clone(), news };
        match self.sink.try_send(news) {
            Err(TrySendError::Full(_)) => Err(()),
            // Without a listener there is nobody to miss it.
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
        }
    }
}

fn flooded(count: u64) -> String {
    let scans = if count == 1 { "1 scan was" } else { &format!("{count} scans were") };
    format!(
        "{scans} left out, because more than 5 came in a second; take away what lies before the scanner, and set it to read a code once only"
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use super::*;
    use crate::payment::SecretText;
    use crate::scanner::decode::framing::Frame;

    fn link(room: usize) -> (Link, tokio::sync::mpsc::Receiver<Input>, Arc<AtomicI64>) {
        let (sink, source) = tokio::sync::mpsc::channel(room);
        let now = Arc::new(AtomicI64::new(0));
        let clock = Arc::clone(&now);
        let clock: Clock = Arc::new(move || Timestamp(clock.load(Ordering::Relaxed)));
        (Link::new("lane-1".to_owned(), clock, sink), source, now)
    }

    fn code() -> Option<Framed> {
        let text = SecretText::new("281234567890123494".to_owned());
        Some(Framed::Code(Frame { text, aim: None, started_at: Timestamp(0) }))
    }

    fn heard(source: &mut tokio::sync::mpsc::Receiver<Input>) -> Vec<String> {
        std::iter::from_fn(|| source.try_recv().ok())
            .map(|input| match input {
                Input::Scan { .. } => "scan".to_owned(),
                Input::News { news: ScannerNews::Plugged, .. } => "plugged".to_owned(),
                Input::News { news: ScannerNews::Unplugged(why), .. } => format!("gone {why}"),
                Input::News { news: ScannerNews::ScanLost(why), .. } => format!("lost {why}"),
            })
            .collect()
    }

    #[test]
    fn news_waits_for_room_and_codes_do_not() {
        let (mut link, mut source, _) = link(1);
        link.plugged();
        link.framed(code());
        link.unplugged("pulled".to_owned());
        link.beat();
        assert_eq!(heard(&mut source), ["plugged"]);
        link.beat();
        assert_eq!(heard(&mut source), ["gone pulled"]);
        link.beat();
        assert_eq!(heard(&mut source), [format!("lost {}", Lost::Busy)]);
        link.beat();
        assert_eq!(heard(&mut source), [""; 0]);
    }

    #[test]
    fn only_the_last_standing_is_told_late() {
        let (mut link, mut source, _) = link(1);
        link.framed(code());
        link.unplugged("pulled".to_owned());
        link.plugged();
        assert_eq!(heard(&mut source), ["scan"]);
        link.beat();
        assert_eq!(heard(&mut source), ["plugged"]);
    }

    #[test]
    fn the_same_again_is_no_news() {
        let (mut link, mut source, now) = link(9);
        for why in ["not there", "not there", "may not"] {
            // What lasts is told, once.
            for _ in 0..2 {
                link.shut(why.to_owned().into());
                now.fetch_add(1000, Ordering::Relaxed);
            }
        }
        link.framed(Some(Framed::Lost(Lost::Garbled)));
        link.framed(Some(Framed::Lost(Lost::Garbled)));
        now.fetch_add(2000, Ordering::Relaxed);
        link.framed(Some(Framed::Lost(Lost::Garbled)));
        let garbled = format!("lost {}", Lost::Garbled);
        assert_eq!(heard(&mut source), ["gone not there", "gone may not", &garbled, &garbled]);
    }

    #[test]
    fn what_comes_too_fast_is_a_number() {
        let (mut link, mut source, now) = link(64);
        let code = |n: i64| {
            let text = SecretText::new(format!("2812345678901234{n:02}"));
            Some(Framed::Code(Frame { text, aim: None, started_at: Timestamp(n) }))
        };
        for n in 0..90 {
            link.framed(code(n));
            link.framed(Some(Framed::Lost(Lost::Garbled)));
        }
        let garbled = format!("lost {}", Lost::Garbled);
        assert_eq!(heard(&mut source), ["scan", &garbled, "scan", "scan", "scan"]);
        // The newest have waited for their turn.
        now.store(1000, Ordering::Relaxed);
        link.beat();
        for newest in 85..90 {
            let Ok(Input::Scan { started_at, .. }) = source.try_recv() else { panic!("{newest}") };
            assert_eq!(started_at, Timestamp(newest));
        }
        assert_eq!(heard(&mut source), [format!("lost {}", flooded(81))]);
        link.beat();
        assert_eq!(heard(&mut source), [""; 0]);
    }

    #[test]
    fn a_keyboard_is_left_alone_ever_longer_until_a_code_comes() {
        let (mut link, _source, _) = link(9);
        let mut rests = |n: usize| -> Vec<_> { (0..n).map(|_| link.rest().as_secs()).collect() };
        assert_eq!(rests(7), [10, 20, 40, 80, 160, 300, 300]);
        link.framed(code());
        assert_eq!(link.rest().as_secs(), 10);
    }

    #[test]
    fn one_unplugging_is_one_piece_of_news() {
        let (mut link, mut source, now) = link(9);
        let absent = || Shut { why: "not there".to_owned(), absent: true };
        let not_yet = || Shut::from("may not".to_owned());
        link.shut(absent());
        link.shut(absent());
        // The first time it is plugged in.
        link.shut(not_yet());
        link.shut(not_yet());
        for _ in 0..2 {
            link.plugged();
            link.unplugged("pulled".to_owned());
            link.shut(absent());
            link.shut(absent());
            // While it comes back.
            link.shut(not_yet());
            now.fetch_add(999, Ordering::Relaxed);
            link.shut(not_yet());
        }
        link.plugged();
        let once = ["plugged", "gone pulled"];
        assert_eq!(
            heard(&mut source),
            [&["gone not there"], &once[..], &once, &["plugged"]].concat()
        );
        // What lasts is told.
        link.unplugged("pulled".to_owned());
        for _ in 0..3 {
            link.shut(not_yet());
            now.fetch_add(500, Ordering::Relaxed);
        }
        link.shut(not_yet());
        assert_eq!(heard(&mut source), ["gone pulled", "gone may not"]);
        link.shut(absent());
        now.fetch_add(1000, Ordering::Relaxed);
        link.shut(absent());
        assert_eq!(heard(&mut source), ["gone not there"]);
    }

    #[test]
    fn a_device_is_tried_again_ever_more_slowly_until_it_stays() {
        let (mut link, _source, now) = link(9);
        let mut waits =
            |n: usize| -> Vec<_> { (0..n).map(|_| link.backoff().as_millis()).collect() };
        assert_eq!(waits(6), [500, 1000, 2000, 4000, 5000, 5000]);
        link.plugged();
        assert_eq!(link.backoff().as_millis(), 5000);
        link.plugged();
        now.store(2000, Ordering::Relaxed);
        assert_eq!(link.backoff().as_millis(), 500);
    }
}
