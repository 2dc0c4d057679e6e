//! Query parameters. One that is unknown, occurs twice or cannot be understood is
//! refused by name: whoever asks for the payments of one sale, misspelt, must not
//! be shown those of all.

use std::time::Duration;

use super::Problem;
use super::time::read_time;
use crate::payment::{Public, Timestamp, hide_codes};

/// The longest `?wait=`; anything above counts as this.
const WAIT_MAX_SECONDS: f64 = 300.0;

const LIMIT_DEFAULT: usize = 100;

/// Which payments to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// By state.
    pub which: Which,
    /// Attempts at this sale only.
    pub sale: Option<String>,
    /// Created at this time or after it (wall clock).
    pub since: Option<Timestamp>,
    /// Which part of the list.
    pub part: Part,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From the part before: what its `Page::next` said.
    pub cursor: Option<u64>,
    /// At most so many, 1 to 500.
    pub limit: usize,
}

/// A choice of payments by state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those that are not final.
    Open,
    /// Those in this state.
    State(Public),
}

/// `?wait=`: how long the register wants to wait; nothing if it does not.
pub(in crate::api) fn wait(query: &str) -> Result<Option<Duration>, Problem> {
    only(query, &["wait"])?;
    let Some(text) = parameter(query, "wait") else { return Ok(None) };
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
pub(in crate::api) fn filter(query: &str) -> Result<Filter, Problem> {
    only(query, &["state", "since", "limit", "sale", "cursor"])?;
    Ok(Filter {
        sale: sale(query)?,
        which: which(query)?,
        since: since(query)?,
        part: part_of(query)?,
    })
}

/// The part of a list that is nothing but one.
pub(in crate::api) fn part(query: &str) -> Result<Part, Problem> {
    only(query, &["limit", "cursor"])?;
    part_of(query)
}

fn part_of(query: &str) -> Result<Part, Problem> {
    let cursor = parameter(query, "cursor").map(|text| read_cursor(&text)).transpose()?;
    Ok(Part { cursor, limit: limit(query)? })
}

fn sale(query: &str) -> Result<Option<String>, Problem> {
    let Some(text) = parameter(query, "sale") else { return Ok(None) };
    if text.is_empty() || text.chars().count() > 64 {
        return Err(Problem::parameter("sale", "must have 1 to 64 characters"));
    }
    Ok(Some(text))
}

fn which(query: &str) -> Result<Which, Problem> {
    let Some(text) = parameter(query, "state") else { return Ok(Which::All) };
    if text == "open" {
        return Ok(Which::Open);
    }
    let state = Public::ALL.into_iter().find(|state| state.name() == text);
    state.map(Which::State).ok_or_else(|| {
        let names = Public::ALL.map(Public::name).join(", ");
        Problem::parameter("state", &format!("must be open, or one of {names}"))
    })
}

fn since(query: &str) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = parameter(query, "since") else { return Ok(None) };
    // A plus sign that was not escaped arrives as a space.
    let time = read_time(&text).or_else(|| read_time(&text.replace(' ', "+")));
    time.map(Some).ok_or_else(|| {
        let detail = "must be a time with an offset (RFC 3339), like 2026-11-20T10:00:00%2B08:00";
        Problem::parameter("since", detail)
    })
}

fn limit(query: &str) -> Result<usize, Problem> {
    let Some(text) = parameter(query, "limit") else { return Ok(LIMIT_DEFAULT) };
    whole_number(&text)
        .and_then(|number| usize::try_from(number).ok())
        .filter(|number| (1..=500).contains(number))
        .ok_or_else(|| Problem::parameter("limit", "must be a whole number, 1 to 500"))
}

/// Cursors look like nothing in particular, so that nobody makes them up.
pub(in crate::api) fn write_cursor(next: u64) -> String {
    format!("c{next:x}")
}

fn read_cursor(text: &str) -> Result<u64, Problem> {
    text.strip_prefix('c')
        .filter(|hex| !hex.starts_with('+'))
        .and_then(|hex| u64::from_str_radix(hex, 16).ok())
        .filter(|number| write_cursor(*number) == text)
        .ok_or_else(|| Problem::parameter("cursor", "must be the next_cursor of an earlier list"))
}

/// `?after=`, or as polyfills of `EventSource` call it: the event to go on after.
pub(in crate::api) fn after(query: &str) -> Result<Option<u64>, Problem> {
    let names = ["after", "lastEventId"];
    only(query, &names)?;
    let given = names.into_iter().filter_map(|name| Some((name, parameter(query, name)?)));
    let ids: Result<Vec<u64>, Problem> =
        given.map(|(name, text)| read_event_id(name, &text)).collect();
    match ids?.as_slice() {
        [first, second] if first != second => {
            Err(Problem::parameter("lastEventId", "says something else than after"))
        }
        ids => Ok(ids.first().copied()),
    }
}

/// Refuses every parameter but these, and these twice.
pub(in crate::api) fn only(query: &str, known: &[&str]) -> Result<(), Problem> {
    let mut seen: Vec<String> = Vec::new();
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        let shown: String = hide_codes(&name).chars().take(64).collect();
        if !known.contains(&name.as_ref()) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let detail = format!("is unknown here; known are: {known}");
            return Err(Problem::parameter(&shown, &detail));
        }
        if seen.iter().any(|earlier| *earlier == name) {
            return Err(Problem::parameter(&shown, "occurs twice"));
        }
        seen.push(name.into_owned());
    }
    Ok(())
}

/// The number of an event, from the header or the parameter called `name`.
pub(in crate::api) fn read_event_id(name: &str, text: &str) -> Result<u64, Problem> {
    whole_number(text)
        .ok_or_else(|| Problem::parameter(name, "must be the id of an event, or 0 for all of them"))
}

/// Digits only: no sign, no spaces.
fn whole_number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_clamped_and_never_guessed() {
        for (query, seconds) in [
            ("", None),
            ("wait=0", None),
            ("wait=30", Some(30.0)),
            ("wait=0.5", Some(0.5)),
            ("wait=301", Some(300.0)),
            ("wait=99999999999999999999999999", Some(300.0)),
            ("wait=2", Some(2.0)),
        ] {
            let wait = wait(query).unwrap();
            assert_eq!(wait.map(|w| w.as_secs_f64()), seconds, "{query}");
        }
        for query in [
            "wait=",
            "wait=-1",
            "wait=abc",
            "wait=1e3",
            "wait=+1",
            "wait=.",
            "wait=NaN",
            "wait=1&wait=1",
            "wait=1&x=2",
        ] {
            assert!(wait(query).is_err(), "{query}");
        }
    }

    #[test]
    fn filters_are_understood_or_refused() {
        let given = filter("state=open&limit=500&cursor=cff&sale=S%201").unwrap();
        assert_eq!(
            given,
            Filter {
                which: Which::Open,
                sale: Some("S 1".to_owned()),
                since: None,
                part: Part { cursor: Some(255), limit: 500 },
            }
        );
        assert_eq!(filter("").unwrap().part, Part { cursor: None, limit: 100 });
        for since in ["2026-11-20T10:00:00+08:00", "2026-11-20T10:00:00%2B08:00"] {
            let given = filter(&format!("since={since}")).unwrap();
            assert_eq!(given.since, read_time("2026-11-20T02:00:00Z"), "{since}");
        }
        for query in [
            "stat=open",
            "page=2",
            "state=open&state=open",
            "sale=",
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
            assert!(filter(query).is_err(), "{query}");
        }
    }

    #[test]
    fn cursors_come_back_as_they_went() {
        for next in [0, 1, 255, u64::MAX] {
            assert_eq!(read_cursor(&write_cursor(next)).unwrap(), next);
        }
    }
}
