//! `till watch`: what happens at the terminal, one line for each event.

use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::api::client::{Client, Event, News};
use crate::api::{MoneyView as Money, PaymentView, RefundView};

use super::out::Out;
use super::show::{moment, plain};
use super::words::{self, Lang};
use super::{Exit, give_up, refund, sentence};

/// Shows events until somebody ends it; connects again as often as needed.
pub(super) async fn watch(client: &Client, out: &Out, from: Option<String>) -> Exit {
    let mut interrupts = match signal(SignalKind::interrupt()) {
        Ok(interrupts) => interrupts,
        Err(why) => {
            out.say(words::NO_RUNTIME, &[&why.to_string()]);
            return Exit::Fault;
        }
    };
    let mut events = client.events(from);
    if out.is_live() {
        out.say(words::WATCHING, &[]);
    }
    loop {
        let news = tokio::select! {
            news = events.next() => news,
            _ = interrupts.recv() => return Exit::DONE,
        };
        match news {
            Ok(News::Event(event)) => {
                let told = match out.json {
                    true => out.json(&json_line(&event)),
                    false => line(&event, out.lang).is_none_or(|line| out.line(&line)),
                };
                // Nobody reads any more.
                if !told {
                    return Exit::DONE;
                }
            }
            Ok(News::Lost(_)) => out.say(words::STREAM_LOST, &[]),
            Ok(News::Back) => out.say(words::STREAM_BACK, &[]),
            Err(error) => {
                return give_up(out, &error, words::ABSENT, Money::Unknown, Exit::Fault);
            }
        }
    }
}

/// An event as one object on one line, whatever it is about.
fn json_line(event: &Event) -> String {
    // Line breaks between the members of JSON mean nothing; inside of texts
    // there are none.
    let data = event.data.replace(['\n', '\r'], " ");
    let data = match serde_json::from_str::<serde::de::IgnoredAny>(&data) {
        Ok(_) => data,
        Err(_) => Value::String(data).to_string(),
    };
    let text = |text: &str| Value::String(text.to_owned()).to_string();
    format!("{{\"id\":{},\"event\":{},\"data\":{data}}}", text(&event.id), text(&event.name))
}

/// An event for people; nothing for events that this program does not know.
fn line(event: &Event, lang: Lang) -> Option<String> {
    let value: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let text = |name: &str| value.get(name).filter(|v| !v.is_null()).map(plain).unwrap_or_default();
    let named = |name: &str| words::name(&text(name), lang);
    let (phrase, at, what) = match event.name.as_str() {
        "payment" => {
            let view: PaymentView = serde_json::from_str(&event.data).unwrap_or_default();
            let what = [view.out_trade_no.clone(), named("state"), sentence(&view, lang)];
            (words::EVENT_PAYMENT, view.updated_at, what)
        }
        "refund" => {
            let view: RefundView = serde_json::from_str(&event.data).unwrap_or_default();
            let state = words::refund_state(&view.state.to_string(), lang);
            let what = [view.out_trade_no.clone(), state, refund::said(&view, lang)];
            (words::EVENT_REFUND, view.updated_at, what)
        }
        "scan" => {
            let what = [text("scanner"), named("kind"), text("text")];
            (words::EVENT_SCAN, text("at"), what)
        }
        "scanner" => {
            let what = [text("scanner"), named("news"), text("reason")];
            (words::EVENT_SCANNER, text("at"), what)
        }
        "gateway" => {
            let up = value.get("up").and_then(Value::as_bool).unwrap_or_default();
            let up = if up { words::REACHABLE } else { words::UNREACHABLE };
            let what = [up.text(lang).to_owned(), text("reason"), String::new()];
            (words::EVENT_GATEWAY, text("at"), what)
        }
        _ => return None,
    };
    let parts = [moment(&at), phrase.text(lang).to_owned()].into_iter().chain(what);
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    Some(parts.join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event { id: "7".to_owned(), name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn an_unknown_event_is_no_line_for_people_and_one_for_programs() {
        let event = event("from_the_future", "{\"a\":\n1}");
        assert_eq!(line(&event, Lang::En), None);
        assert_eq!(
            json_line(&event),
            "{\"id\":\"7\",\"event\":\"from_the_future\",\"data\":{\"a\": 1}}"
        );
    }

    #[test]
    fn what_is_no_json_is_still_one_json_line() {
        assert_eq!(
            json_line(&event("x", "say \"hi\"\nyou")),
            "{\"id\":\"7\",\"event\":\"x\",\"data\":\"say \\\"hi\\\" you\"}"
        );
    }
}
