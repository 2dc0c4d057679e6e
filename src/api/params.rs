//! Query parameters and the number in the path. Unknown parameters are ignored;
//! a known one that cannot be understood is refused by name.

use std::time::Duration;

use axum::extract::{FromRequestParts, Path};
use axum::http::Uri;
use axum::http::request::Parts;

use super::backend::{Filter, Which};
use super::code::Code;
use super::problem::Problem;
use super::view::read_time;
use crate::payment::{OutTradeNo, Public, Timestamp};

/// The longest `?wait=`; anything above counts as this.
const WAIT_MAX_SECONDS: f64 = 300.0;

const LIMIT_DEFAULT: usize = 100;

/// The merchant order number in the path.
pub(super) struct Number(pub(super) OutTradeNo);

impl<S: Send + Sync> FromRequestParts<S> for Number {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let wrong = |detail: String| Problem::new(Code::InvalidOrderNumber, detail);
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| wrong("the path is not UTF-8".to_owned()))?;
        text.parse()
            .map(Number)
            .map_err(|why: crate::payment::InvalidNumber| wrong(why.to_string()))
    }
}

/// `?wait=`: how long the register wants to wait; nothing if it does not.
pub(super) fn wait(uri: &Uri) -> Result<Option<Duration>, Problem> {
    let Some(text) = parameter(uri, "wait") else { return Ok(None) };
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match text.parse::<f64>() {
        Ok(seconds) if plain => {
            let wait = Duration::from_secs_f64(seconds.min(WAIT_MAX_SECONDS));
            Ok(Some(wait).filter(|wait| !wait.is_zero()))
        }
        _ => Err(Problem::parameter("wait", "must be a number of seconds, 0 to 300")),
    }
}

/// The choice of payments for a list.
pub(super) fn filter(uri: &Uri) -> Result<Filter, Problem> {
    Ok(Filter {
        which: which(uri)?,
        since: since(uri)?,
        cursor: parameter(uri, "cursor").map(|text| read_cursor(&text)).transpose()?,
        limit: limit(uri)?,
    })
}

fn which(uri: &Uri) -> Result<Which, Problem> {
    let Some(text) = parameter(uri, "state") else { return Ok(Which::All) };
    if text == "open" {
        return Ok(Which::Open);
    }
    let state = Public::ALL.into_iter().find(|state| state.name() == text);
    state.map(Which::State).ok_or_else(|| {
        let names = Public::ALL.map(Public::name).join(", ");
        Problem::parameter("state", &format!("must be open, or one of {names}"))
    })
}

fn since(uri: &Uri) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = parameter(uri, "since") else { return Ok(None) };
    // A plus sign that was not escaped arrives as a space.
    let time = read_time(&text).or_else(|| read_time(&text.replace(' ', "+")));
    time.map(Some).ok_or_else(|| {
        let detail = "must be a time with an offset (RFC 3339), like 2026-11-20T10:00:00%2B08:00";
        Problem::parameter("since", detail)
    })
}

fn limit(uri: &Uri) -> Result<usize, Problem> {
    let Some(text) = parameter(uri, "limit") else { return Ok(LIMIT_DEFAULT) };
    whole_number(&text)
        .and_then(|number| usize::try_from(number).ok())
        .filter(|number| (1..=500).contains(number))
        .ok_or_else(|| Problem::parameter("limit", "must be a whole number, 1 to 500"))
}

/// Cursors look like nothing in particular, so that nobody makes them up.
pub(super) fn write_cursor(next: u64) -> String {
    format!("c{next:x}")
}

fn read_cursor(text: &str) -> Result<u64, Problem> {
    text.strip_prefix('c')
        .filter(|hex| !hex.starts_with('+'))
        .and_then(|hex| u64::from_str_radix(hex, 16).ok())
        .filter(|number| write_cursor(*number) == text)
        .ok_or_else(|| Problem::parameter("cursor", "must be the next_cursor of an earlier list"))
}

/// `?after=`: the event to go on after.
pub(super) fn after(uri: &Uri) -> Result<Option<u64>, Problem> {
    parameter(uri, "after").map(|text| read_event_id("after", &text)).transpose()
}

/// The number of an event, from the header or the parameter called `name`.
pub(super) fn read_event_id(name: &str, text: &str) -> Result<u64, Problem> {
    whole_number(text)
        .ok_or_else(|| Problem::parameter(name, "must be the id of an event, or 0 for all of them"))
}

/// Digits only: no sign, no spaces.
fn whole_number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The last of that name.
fn parameter(uri: &Uri, name: &str) -> Option<String> {
    form_urlencoded::parse(uri.query()?.as_bytes())
        .filter(|(key, _)| key == name)
        .last()
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(query: &str) -> Uri {
        format!("/v1/payments?{query}").parse().unwrap()
    }

    #[test]
    fn waits_are_clamped_and_never_guessed() {
        for (query, seconds) in [
            ("", None),
            ("wait=0", None),
            ("wait=30", Some(30.0)),
            ("wait=0.5", Some(0.5)),
            ("wait=301", Some(300.0)),
            ("wait=99999999999999999999999999", Some(300.0)),
            ("other=1&wait=2", Some(2.0)),
        ] {
            let wait = wait(&uri(query)).unwrap();
            assert_eq!(wait.map(|w| w.as_secs_f64()), seconds, "{query}");
        }
        for query in ["wait=", "wait=-1", "wait=abc", "wait=1e3", "wait=+1", "wait=.", "wait=NaN"] {
            assert!(wait(&uri(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn filters_are_understood_or_refused() {
        let given = filter(&uri("state=open&limit=500&cursor=cff&x=1")).unwrap();
        assert_eq!(
            given,
            Filter { which: Which::Open, since: None, cursor: Some(255), limit: 500 }
        );
        assert_eq!(filter(&uri("")).unwrap().limit, 100);
        for since in ["2026-11-20T10:00:00+08:00", "2026-11-20T10:00:00%2B08:00"] {
            let given = filter(&uri(&format!("since={since}"))).unwrap();
            assert_eq!(given.since, read_time("2026-11-20T02:00:00Z"), "{since}");
        }
        for query in [
            "state=PAID",
            "state=",
            "limit=0",
            "limit=501",
            "limit=-1",
            "limit=+5",
            "limit=",
            "limit=ten",
            "cursor=",
            "cursor=12",
            "cursor=c",
            "cursor=c+1",
            "cursor=cFF",
            "since=yesterday",
            "since=2026-11-20",
            "since=2026-11-20T10:00:00",
        ] {
            assert!(filter(&uri(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn cursors_come_back_as_they_went() {
        for next in [0, 1, 255, u64::MAX] {
            assert_eq!(read_cursor(&write_cursor(next)).unwrap(), next);
        }
    }
}
