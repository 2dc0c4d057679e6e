//! `till status`: how the terminal is.

use crate::api::client::Client;
use crate::api::{KeyState, Link, MoneyView as Money, ScannerStatus, StatusView, Word};

use super::out::{Out, Side, table};
use super::show::labelled;
use super::words::{self, Lang};
use super::{Exit, give_up};

/// A clock that is further away than this from Alipay's is worth a word: at ten
/// minutes Alipay refuses requests.
pub(super) const CLOCK_SKEW_MAX_MS: u64 = 5000;

/// Shows how the terminal is.
pub(super) async fn status(client: &Client, out: &Out) -> Exit {
    let asked = async {
        let answer = client.get("/v1/status").await?;
        let view: StatusView = answer.read()?;
        Ok((answer.text, view))
    };
    match asked.await {
        Err(error) => give_up(out, &error, words::ABSENT, Money::Unknown, Exit::Fault),
        Ok((text, _)) if out.json => {
            out.json(&text);
            Exit::DONE
        }
        Ok((_, view)) => {
            status_lines(&view, out.lang).iter().for_each(|line| {
                out.line(line);
            });
            Exit::DONE
        }
    }
}

fn status_lines(view: &StatusView, lang: Lang) -> Vec<String> {
    let because = |text: String, detail: Option<&str>| match detail {
        Some(detail) if !detail.is_empty() => format!("{text} ({detail})"),
        _ => text,
    };
    let word = |phrase: words::Phrase| phrase.text(lang).to_owned();
    let gateway = match view.gateway.state {
        Word::Known(Link::Up) => word(words::REACHABLE),
        Word::Known(Link::Down) => {
            because(word(words::UNREACHABLE), view.gateway.trouble.as_deref())
        }
        Word::Known(Link::Unknown) | Word::Other(_) => word(words::NOT_TRIED),
    };
    let keys = match view.keys.state {
        Word::Known(KeyState::Proven) => word(words::KEYS_PROVEN),
        Word::Known(KeyState::AppKeyWrong | KeyState::AlipayKeyWrong) => word(words::KEYS_WRONG),
        Word::Known(KeyState::Unproven) => word(words::KEYS_UNPROVEN),
        Word::Other(_) => word(words::UNTOLD),
    };
    let keys = because(keys, view.keys.trouble.as_ref().map(|text| lang.of(text)));
    let journal = match view.journal.writable {
        true => because(word(words::WRITABLE), Some(&view.journal.path)),
        false => because(word(words::UNWRITABLE), view.journal.reason.as_deref()),
    };
    let clock = match view.gateway.clock_skew_ms {
        _ if view.clock.wrong.is_some() => {
            words::CLOCK_WRONG.fill(lang, &[view.clock.wrong.as_deref().unwrap_or_default()])
        }
        Some(skew) if skew.unsigned_abs() > CLOCK_SKEW_MAX_MS => {
            words::CLOCK_OFF.fill(lang, &[&(skew / 1000).to_string()])
        }
        Some(_) => word(words::CLOCK_EVEN),
        None => word(words::UNTOLD),
    };
    let leaving = match (view.stopping, view.draining) {
        (true, _) => Some(word(words::STOPPING)),
        (false, true) => Some(word(words::DRAINING)),
        (false, false) => None,
    };
    let terminal = because(format!("tilld {}", view.version), leaving.as_deref());
    let open = view.open_payments.to_string();
    let uptime = length(view.uptime, lang);
    let mut lines = labelled(
        [
            (words::LABEL_TERMINAL, terminal),
            (words::LABEL_UPTIME, uptime),
            (words::LABEL_GATEWAY, gateway),
            (words::LABEL_KEYS, keys),
            (words::LABEL_JOURNAL, journal),
            (words::LABEL_CLOCK, clock),
            (words::LABEL_OPEN, open),
        ]
        .into_iter(),
        lang,
    );
    lines.push(String::new());
    if view.scanners.is_empty() {
        lines.push(word(words::NO_SCANNERS));
    } else {
        lines.extend(scanner_lines(&view.scanners, lang));
    }
    lines
}

/// The configured scanners as a table.
pub(super) fn scanner_lines(scanners: &[ScannerStatus], lang: Lang) -> Vec<String> {
    let head = [words::HEAD_SCANNER, words::HEAD_KIND, words::HEAD_STATE, words::HEAD_DEVICE];
    let mut rows = vec![head.map(|phrase| phrase.text(lang).to_owned()).to_vec()];
    rows.extend(scanners.iter().map(|scanner| {
        let state = if scanner.present { words::PRESENT } else { words::MISSING };
        let state = state.text(lang).to_owned();
        vec![scanner.id.clone(), scanner.kind.clone(), state, scanner.device.clone()]
    }));
    table(&[Side::Left, Side::Left, Side::Left, Side::Left], &rows)
}

/// A number of seconds as people say it.
fn length(seconds: u64, lang: Lang) -> String {
    let minutes = seconds / 60;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    words::LENGTH.fill(lang, &[&days.to_string(), &hours.to_string(), &minutes.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_people_say_them() {
        assert_eq!(length(93_784, Lang::En), "1 d 2 h 3 min");
        assert_eq!(length(59, Lang::Zh), "0 天 0 小时 0 分");
    }
}
