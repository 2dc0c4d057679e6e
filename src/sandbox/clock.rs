//! The sandbox's clock, and dates as Alipay writes them.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::UNIX_EPOCH;

use time::format_description::BorrowedFormatItem;
use time::macros::{format_description, offset};
use time::{OffsetDateTime, PrimitiveDateTime};

/// True time, moved by what a test asks for.
#[derive(Debug, Default)]
pub(super) struct Clock {
    skew_ms: AtomicI64,
}

impl Clock {
    /// Milliseconds since 1970, as the sandbox sees it.
    #[allow(
        clippy::disallowed_methods,
        reason = "a gateway has a clock of its own; read only here"
    )]
    pub(super) fn now(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let truth = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        truth.saturating_add(self.skew_ms.load(Ordering::Relaxed))
    }

    /// Moves the clock so far from the truth.
    pub(super) fn set_skew(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
    }
}

const DATE: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
const DATE_WITHOUT_SECONDS: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]");
const HTTP_DATE: &[BorrowedFormatItem<'static>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

fn moment(ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A date in Beijing, without a zone, as all of Alipay's are.
pub(super) fn beijing(ms: i64) -> String {
    moment(ms).to_offset(offset!(+8)).format(DATE).unwrap_or_default()
}

/// Reads such a date; the seconds only if `seconds`.
pub(super) fn read_beijing(text: &str, seconds: bool) -> Option<i64> {
    let exact = text.len() == if seconds { 19 } else { 16 };
    let shape = if seconds { DATE } else { DATE_WITHOUT_SECONDS };
    let date = PrimitiveDateTime::parse(text, shape).ok().filter(|_| exact)?;
    Some(date.assume_offset(offset!(+8)).unix_timestamp().saturating_mul(1000))
}

/// The value of a `Date` header.
pub(super) fn http_date(ms: i64) -> String {
    moment(ms).format(HTTP_DATE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_beijing_time() {
        assert_eq!(beijing(0), "1970-01-01 08:00:00");
        assert_eq!(read_beijing("1970-01-01 08:00:01", true), Some(1000));
        assert_eq!(read_beijing("1970-01-01 08:01", false), Some(60_000));
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        for bad in ["", "1970-01-01T08:00:00", "1970-13-01 08:00:00", "1970-1-1 8:0:0", "x"] {
            assert_eq!(read_beijing(bad, true), None, "{bad}");
        }
    }
}
