//! `GET /metrics`: the terminal's figures as Prometheus (OpenMetrics) text.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::places::Room;
use super::state::Api;
use crate::api::wire::{Code, Link, NotReady, Problem};

/// The registry is made for each scrape: what is told is what is, and nothing
/// has to be kept in step.
pub(super) fn scrape(api: &Api) -> Result<Response, Problem> {
    let mut registry = Registry::with_prefix("tilld");
    add_status(&mut registry, api);
    add_places(&mut registry, api);
    api.backend.scrape(&mut registry);

    let mut text = String::new();
    encode(&mut text, &registry)
        .map_err(|_| Problem::new(Code::Internal, "the figures could not be written"))?;
    let mut response = text.into_response();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

fn add_status(registry: &mut Registry, api: &Api) {
    let status = api.backend.status();
    registry.register("build", "The program.", Info::new([("version", status.version.clone())]));
    let mut gauge = |name: &str, help: &str, value: i64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    };
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    gauge("uptime_seconds", "How long the daemon has run", whole(status.uptime.as_secs()));
    gauge(
        "start_time_seconds",
        "When the daemon started (Unix time)",
        status.started_at.millis().div_euclid(1000),
    );
    gauge(
        "open_payments",
        "Payments that are not final",
        i64::try_from(status.open_payments).unwrap_or(i64::MAX),
    );
    gauge("journal_writable", "Payments can be taken", status.journal.writable.into());
    gauge("clock_wrong", "The box's clock keeps payments out", status.clock.wrong.is_some().into());
    gauge("draining", "New payments wait for a new version", status.draining.into());
    gauge("journal_head", "Number of the journal's last entry", whole(status.journal.head_seq));
    gauge(
        "gateway_up",
        "The gateway answered the last call, or was not called yet",
        i64::from(status.gateway.link != Link::Down),
    );
    if let Some(skew) = status.gateway.clock_skew_ms {
        gauge("gateway_clock_skew_ms", "How far the gateway's clock is ahead, in ms", skew);
    }
    if let Some(at) = status.gateway.last_answer_at {
        let seconds = at.millis().div_euclid(1000);
        gauge("gateway_last_answer_time_seconds", "When it last answered (Unix time)", seconds);
    }

    let not_ready = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    for reason in NotReady::ALL {
        let is_so = reason.told(&status).is_some();
        not_ready.get_or_create(&[("reason", reason.code())]).set(is_so.into());
    }
    let why = "1 while a payment may not begin, or not reach Alipay, for this reason";
    registry.register("not_ready", why, not_ready);

    let present = Family::<[(&'static str, String); 1], Gauge>::default();
    for scanner in status.scanners {
        present.get_or_create(&[("scanner", scanner.id)]).set(scanner.present.into());
    }
    registry.register("scanner_present", "The scanner is there and is being read", present);
}

fn add_places(registry: &mut Registry, api: &Api) {
    let places = &api.places;
    let mut used = |name: &str, help: &str, rooms: &[&Room]| {
        let gauge: Gauge = Gauge::default();
        let used: usize = rooms.iter().map(|room| room.used()).sum();
        gauge.set(i64::try_from(used).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    used("api_connections", "Connections to the API", &[&places.connections, &places.loopback]);
    used("api_waiting", "Requests that wait", &[&places.waiting]);
    used("api_streams", "Event streams", &[&places.streams]);
    used("api_lists", "Lists that are being read", &[&places.lists]);
}
