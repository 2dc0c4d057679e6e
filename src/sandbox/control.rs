//! `/sandbox/`: what tests and people ask of the sandbox itself.

use hyper::{Method as Verb, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::Fault;
use super::habits::Elsewhere;
use super::precreate::Scan;
use super::refund::RefundElsewhere;
use super::server::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Skew {
    skew_ms: i64,
}

/// Answers a request for `/sandbox/…`.
pub(super) fn handle(shared: &Shared, verb: &Verb, path: &str, body: &[u8]) -> (StatusCode, Value) {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match (verb.as_str(), parts.as_slice()) {
        ("GET", ["ledger"]) => {
            let all = shared.world().book.all(shared.clock.now());
            ok(json!({ "trades": all }))
        }
        ("GET", ["ledger", name]) => one(shared, name),
        ("GET", ["requests"]) => ok(requests(shared)),
        ("GET", ["endings"]) => {
            let all: Vec<Value> = super::endings::ENDINGS
                .iter()
                .map(|e| json!({ "number": e.number, "amount": format!("77.{:02}", e.number),
                    "code_prefix": format!("2877{:02}", e.number), "what": e.en, "ends": e.ends.name() }))
                .collect();
            let refunds: Vec<Value> = super::endings::REFUND_ENDINGS
                .iter()
                .map(|e| {
                    json!({ "number": e.number, "amount": format!("66.{:02}", e.number),
                    "what": e.en, "ends": e.ends.name() })
                })
                .collect();
            ok(json!({ "endings": all, "refunds": refunds }))
        }
        ("GET", ["faults"]) => ok(json!({ "faults": shared.world().faults.all() })),
        ("DELETE", ["faults"]) => {
            shared.world().faults.clear();
            ok(json!({ "faults": [] }))
        }
        ("POST", ["faults"]) => match read::<Value>(body).and_then(faults) {
            Ok(faults) => {
                let mut world = shared.world();
                faults.into_iter().for_each(|fault| world.faults.add(fault));
                ok(json!({ "faults": world.faults.all() }))
            }
            Err(reason) => bad(&reason),
        },
        ("POST", ["trades", name, "confirm"]) => buyer(shared, name, true),
        ("POST", ["trades", name, "giveup"]) => buyer(shared, name, false),
        ("POST", ["trades", name, "refund"]) => {
            let wanted = if body.is_empty() { Ok(RefundElsewhere::default()) } else { read(body) };
            match wanted {
                Ok(wanted) => {
                    let (mut world, now) = (shared.world(), shared.clock.now());
                    match world.refund_elsewhere(name, &wanted, now) {
                        Ok(()) => ok(json!(world.book.number(name, now))),
                        Err(reason) => (StatusCode::CONFLICT, json!({ "error": reason })),
                    }
                }
                Err(reason) => bad(&reason),
            }
        }
        ("POST", ["scan"]) => match read::<Scan>(body) {
            Ok(scan) => {
                let (mut world, now) = (shared.world(), shared.clock.now());
                match world.scan(&scan, now) {
                    Ok(name) => ok(json!(world.book.number(&name, now))),
                    Err(reason) => (StatusCode::CONFLICT, json!({ "error": reason })),
                }
            }
            Err(reason) => bad(&reason),
        },
        ("POST", ["clock"]) => match read::<Skew>(body) {
            Ok(Skew { skew_ms }) => {
                shared.clock.set_skew(skew_ms);
                ok(json!({ "skew_ms": skew_ms }))
            }
            Err(reason) => bad(&reason),
        },
        ("POST", ["settings"]) => {
            let mut world = shared.world();
            match read(body).and_then(|named| world.habits.change(named)) {
                Ok(()) => ok(json!(world.habits)),
                Err(reason) => bad(&reason),
            }
        }
        ("POST", ["trades"]) => match read::<Elsewhere>(body) {
            Ok(other) => {
                let (mut world, now) = (shared.world(), shared.clock.now());
                match world.elsewhere(&other, now) {
                    Ok(()) => ok(json!(world.book.number(&other.out_trade_no, now))),
                    Err(reason) => (StatusCode::CONFLICT, json!({ "error": reason })),
                }
            }
            Err(reason) => bad(&reason),
        },
        ("POST", ["reset"]) => {
            let mut world = shared.world();
            world.faults.clear();
            world.held.clear();
            world.answers.clear();
            (world.refused, world.probes) = (0, 0);
            match world.book.reset() {
                Ok(()) => ok(json!({ "trades": [] })),
                Err(error) => {
                    (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": error.to_string() }))
                }
            }
        }
        _ => (
            StatusCode::NOT_FOUND,
            json!({ "error": "no such request; see docs/sandbox.md", "requests": [
                "GET /sandbox/ledger", "GET /sandbox/ledger/{out_trade_no}",
                "GET /sandbox/requests", "GET /sandbox/endings",
                "GET, POST, DELETE /sandbox/faults",
                "POST /sandbox/trades", "POST /sandbox/trades/{out_trade_no}/confirm",
                "POST /sandbox/trades/{out_trade_no}/giveup",
                "POST /sandbox/trades/{out_trade_no}/refund", "POST /sandbox/scan",
                "POST /sandbox/clock", "POST /sandbox/settings", "POST /sandbox/reset",
            ]}),
        ),
    }
}

fn ok(json: Value) -> (StatusCode, Value) {
    (StatusCode::OK, json)
}

fn bad(reason: &str) -> (StatusCode, Value) {
    (StatusCode::BAD_REQUEST, json!({ "error": reason }))
}

fn unknown(name: &str) -> (StatusCode, Value) {
    (StatusCode::NOT_FOUND, json!({ "error": format!("never seen: {name}") }))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// Reads faults, each with its own complaint.
fn faults(json: Value) -> Result<Vec<Fault>, String> {
    let entries = if let Value::Array(entries) = json { entries } else { vec![json] };
    entries
        .into_iter()
        .map(|entry| {
            let fault: Fault = serde_json::from_value(entry).map_err(|e| e.to_string())?;
            fault.check()?;
            Ok(fault)
        })
        .collect()
}

fn one(shared: &Shared, name: &str) -> (StatusCode, Value) {
    let mut world = shared.world();
    if !world.book.knows(name) {
        return unknown(name);
    }
    ok(json!(world.book.number(name, shared.clock.now())))
}

fn requests(shared: &Shared) -> Value {
    let mut world = shared.world();
    let (mut methods, mut numbers) = (serde_json::Map::new(), serde_json::Map::new());
    let mut total = 0u64;
    let count = |map: &mut serde_json::Map<String, Value>, key: &str| {
        let before = map.get(key).and_then(Value::as_u64).unwrap_or_default();
        map.insert(key.to_owned(), Value::from(before + 1));
    };
    for number in world.book.all(shared.clock.now()) {
        let mut own = serde_json::Map::new();
        for arrived in &number.history {
            count(&mut methods, &arrived.method);
            count(&mut own, &arrived.method);
            total += 1;
        }
        numbers.insert(number.out_trade_no, Value::Object(own));
    }
    let (refused, probes) = (world.refused, world.probes);
    json!({ "total": total, "refused": refused, "probes": probes, "methods": methods, "numbers": numbers })
}

/// The buyer confirms a trade, or gives it up.
fn buyer(shared: &Shared, name: &str, confirms: bool) -> (StatusCode, Value) {
    let now = shared.clock.now();
    let mut world = shared.world();
    if !world.book.knows(name) {
        return unknown(name);
    }
    let Some(trade) = &mut world.book.number(name, now).trade else {
        return (StatusCode::CONFLICT, json!({ "error": "there is no trade" }));
    };
    let done = if confirms { trade.confirm(now) } else { trade.close() };
    if !done {
        let status = trade.status.name();
        let reason = format!("the trade does not wait for the buyer: {status}");
        return (StatusCode::CONFLICT, json!({ "error": reason }));
    }
    match world.book.save(name) {
        Ok(()) => ok(json!(world.book.number(name, now))),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": error.to_string() })),
    }
}
