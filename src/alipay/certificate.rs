//! Why TLS finds that the gateway's certificate is not valid today.
//!
//! Either the certificate is at fault, or the box's clock. A certificate that is
//! valid only later tells on the clock: nobody serves one of the future. One that
//! has expired may be what it seems.

use std::time::Duration;

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use super::request;
use crate::payment::Timestamp;

/// For how long after its end a gateway might go on with a certificate. Nobody
/// keeps a shop closed for a year.
const FORGOTTEN_MAX: Duration = Duration::from_hours(365 * 24);

/// What is out of date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OutOfDate {
    /// This box's clock.
    Clock,
    /// The gateway's certificate, for all that is known; says so.
    Certificate(String),
}

impl OutOfDate {
    /// By what TLS has against a certificate; nothing if it is no matter of
    /// dates. `dated` is the best guess at the gateway's clock.
    pub(super) fn by(error: &CertificateError, dated: Timestamp) -> Option<Self> {
        use CertificateError as E;
        if matches!(error, E::NotValidYet | E::NotValidYetContext { .. }) {
            return Some(Self::Clock);
        }
        if matches!(error, E::Expired) {
            return Some(Self::Certificate("the gateway's certificate has expired".to_owned()));
        }
        let E::ExpiredContext { time, not_after } = error else { return None };
        let (box_says, end) = (millis(*time), millis(*not_after));
        let clock_differs = dated <= end;
        let long_ago = box_says > end + FORGOTTEN_MAX;
        Some(if clock_differs || long_ago {
            Self::Clock
        } else {
            Self::Certificate(sentence(end, box_says))
        })
    }
}

fn sentence(end: Timestamp, box_says: Timestamp) -> String {
    let date = |at| request::beijing(at).unwrap_or_else(|_| "an impossible date".to_owned());
    format!(
        "the gateway's certificate expired at {} in Beijing, and this box says that it is {} there: if that is right, the gateway needs a new certificate; if not, set this box's clock",
        date(end),
        date(box_says)
    )
}

fn millis(time: UnixTime) -> Timestamp {
    let millis = i64::try_from(time.as_secs()).ok().and_then(|s| s.checked_mul(1000));
    Timestamp(millis.unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600 * 1000;
    /// 2026-01-02 03:04:05 at +08:00.
    const END: i64 = 1_767_294_245_000;

    fn at(millis: i64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_millis(millis.unsigned_abs()))
    }

    /// By a box that says so many days after the end, and knows the gateway's
    /// clock to say so many.
    fn expired(box_days: i64, gateway_days: i64) -> OutOfDate {
        let error =
            CertificateError::ExpiredContext { time: at(END + box_days * DAY), not_after: at(END) };
        OutOfDate::by(&error, Timestamp(END + gateway_days * DAY)).expect("a matter of dates")
    }

    #[test]
    fn an_expired_certificate_is_told_from_a_wrong_clock() {
        let OutOfDate::Certificate(says) = expired(1, 1) else { panic!("not the clock") };
        assert!(says.contains("expired at 2026-01-02 03:04:05 in Beijing"), "{says}");
        assert!(says.contains("this box says that it is 2026-01-03 03:04:05"), "{says}");
        assert!(matches!(expired(300, 300), OutOfDate::Certificate(_)));
        // The gateway's own clock has been heard, and is before the end.
        assert_eq!(expired(1, -1), OutOfDate::Clock);
        // Nobody goes on for so long.
        assert_eq!(expired(400, 400), OutOfDate::Clock);

        let early =
            CertificateError::NotValidYetContext { time: at(END - DAY), not_before: at(END) };
        assert_eq!(OutOfDate::by(&early, Timestamp(END - DAY)), Some(OutOfDate::Clock));
        assert_eq!(OutOfDate::by(&CertificateError::UnknownIssuer, Timestamp(END)), None);
    }
}
