//! Points in time, as text.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::payment::Timestamp;

/// A point in time as RFC 3339 text in China's time, whatever the box's zone:
/// so it reads the same here, on the receipt and in the merchant's account.
#[must_use]
pub fn time_text(time: Timestamp) -> String {
    const CHINA: UtcOffset = time::macros::offset!(+8);
    let nanos = i128::from(time.millis()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .checked_to_offset(CHINA)
        .and_then(|there| there.format(&Rfc3339).ok())
        .unwrap_or_else(|| "1970-01-01T08:00:00+08:00".to_owned())
}

/// Reads RFC 3339 text with any offset.
pub(super) fn read_time(text: &str) -> Option<Timestamp> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_chinas_and_survive_the_round_trip() {
        for (millis, text) in [
            (1_795_140_000_000, "2026-11-20T10:00:00+08:00"),
            (1_795_140_000_250, "2026-11-20T10:00:00.25+08:00"),
            (0, "1970-01-01T08:00:00+08:00"),
        ] {
            assert_eq!(time_text(Timestamp(millis)), text);
            assert_eq!(read_time(text), Some(Timestamp(millis)));
        }
        assert_eq!(read_time("2026-11-20T02:00:00Z"), Some(Timestamp(1_795_140_000_000)));
        assert_eq!(read_time("2026-11-20T10:00:00"), None);
        assert!(!time_text(Timestamp(i64::MAX)).is_empty());
    }
}
