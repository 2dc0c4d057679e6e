//! `till doctor`: what is wrong, as far as it can be seen through the socket and
//! on the box, and how to mend it.

mod host;

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::api::client::{Client, ClientError};
use crate::api::{
    KeyState, Link, PaymentsView, ScannerStatus, SentenceView as Sentence, StatusView, Word,
};

use super::out::Out;
use super::status::CLOCK_SKEW_MAX_MS;
use super::words::{self, Lang, Phrase};
use super::{Exit, absence_text};

/// The configuration of an installation.
pub(super) const CONFIG: &str = "/etc/tilld/tilld.toml";

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grade {
    Good,
    /// Worth knowing, and no fault.
    Note,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    check: &'static str,
    grade: Grade,
    text: Sentence,
    fix: Option<Sentence>,
}

impl Finding {
    fn good(check: &'static str, text: Sentence) -> Self {
        Self { check, grade: Grade::Good, text, fix: None }
    }

    fn note(check: &'static str, text: Sentence, fix: Sentence) -> Self {
        Self { check, grade: Grade::Note, text, fix: Some(fix) }
    }

    fn bad(check: &'static str, text: Sentence, fix: Sentence) -> Self {
        Self { check, grade: Grade::Bad, text, fix: Some(fix) }
    }
}

/// Where the daemon of this configuration listens, if it says so.
pub(super) fn socket_of(config: &Path) -> Option<PathBuf> {
    let config = std::path::absolute(config).ok()?;
    host::Host::this().socket_of(&config)
}

/// Examines the terminal: 0 when there is no fault, else 1. With a configuration
/// it examines the box as well.
pub(super) async fn doctor(client: &Client, out: &Out, config: Option<&Path>) -> Exit {
    let mut findings = examine(client).await;
    if let Some(config) = config {
        let answers = findings.first().is_some_and(|first| first.grade == Grade::Good);
        let config = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
        findings.extend(host::Host::this().examine(&config, client.socket(), answers));
    }
    let faults = findings.iter().filter(|finding| finding.grade == Grade::Bad).count();
    if out.json {
        let findings: Vec<_> = findings.iter().map(as_json).collect();
        out.json(&json!({ "ok": faults == 0, "findings": findings }).to_string());
    } else {
        findings.iter().flat_map(|finding| lines(finding, out.lang)).for_each(|line| {
            out.line(&line);
        });
        out.line(&match faults {
            0 => words::DOCTOR_CLEAN.text(out.lang).to_owned(),
            faults => words::DOCTOR_FAULTS.fill(out.lang, &[&faults.to_string()]),
        });
    }
    if faults == 0 { Exit::DONE } else { Exit::Fault }
}

async fn examine(client: &Client) -> Vec<Finding> {
    let path = client.socket().display().to_string();
    let asked = async { client.get("/v1/status").await?.read::<StatusView>() };
    let view = match asked.await {
        Ok(view) => view,
        Err(error) => return vec![no_status(&path, &error)],
    };
    let mut findings = vec![Finding::good("socket", words::SOCKET_GOOD.both(&[&path]))];
    if view.stopping {
        let (text, fix) = (words::IS_STOPPING.both(&[]), words::FIX_START.both(&[]));
        findings.push(Finding::bad("stopping", text, fix));
    }
    if view.draining {
        let (text, fix) = (words::IS_DRAINING.both(&[]), words::FIX_DRAINING.both(&[]));
        findings.push(Finding::note("draining", text, fix));
    }
    findings.push(version(&view));
    findings.push(gateway(&view));
    findings.push(keys(&view));
    findings.push(journal(&view));
    findings.push(clock(&view));
    findings.extend(view.scanners.iter().map(scanner));
    if view.scanners.is_empty() {
        let (text, fix) = (words::SCANNER_NONE.both(&[]), words::FIX_SCANNER_NONE.both(&[]));
        findings.push(Finding::note("scanner", text, fix));
    }
    findings.extend(stuck(client).await);
    findings
}

fn no_status(path: &str, error: &ClientError) -> Finding {
    match error {
        ClientError::DaemonAbsent { source, .. } => {
            let say = |lang| words::SOCKET_BAD.fill(lang, &[path, &absence_text(source, lang)]);
            let text = Sentence { zh: say(Lang::Zh), en: say(Lang::En) };
            let fix = if source.kind() == std::io::ErrorKind::PermissionDenied {
                words::FIX_GROUP.both(&[path])
            } else {
                words::FIX_START.both(&[])
            };
            Finding::bad("socket", text, fix)
        }
        ClientError::Problem { problem, .. } => {
            let code = format!("{} {}", problem.view.status, problem.view.code);
            answer_bad(&code)
        }
        ClientError::Lost { source, .. } => answer_bad(&source.to_string()),
        ClientError::Broken { what, .. } => answer_bad(what),
    }
}

fn answer_bad(why: &str) -> Finding {
    Finding::bad("socket", words::ANSWER_BAD.both(&[why]), words::FIX_ANSWER.both(&[]))
}

fn version(view: &StatusView) -> Finding {
    let ours = env!("CARGO_PKG_VERSION");
    if view.version == ours {
        Finding::good("version", words::VERSION_GOOD.both(&[ours]))
    } else {
        let text = words::VERSION_DIFFERS.both(&[&view.version, ours]);
        Finding::note("version", text, words::FIX_VERSION.both(&[]))
    }
}

fn gateway(view: &StatusView) -> Finding {
    match view.gateway.state {
        Word::Known(Link::Up) => Finding::good("gateway", words::GATEWAY_GOOD.both(&[])),
        Word::Known(Link::Down) => {
            let why = view.gateway.trouble.as_deref().unwrap_or("-");
            let text = words::GATEWAY_BAD.both(&[why]);
            Finding::bad("gateway", text, words::FIX_GATEWAY.both(&[]))
        }
        Word::Known(Link::Unknown) | Word::Other(_) => {
            let fix = words::FIX_GATEWAY_UNTOLD.both(&[]);
            Finding::note("gateway", words::GATEWAY_UNTOLD.both(&[]), fix)
        }
    }
}

fn keys(view: &StatusView) -> Finding {
    let fix = || view.keys.trouble.clone().unwrap_or_else(|| words::FIX_KEYS_UNTOLD.both(&[]));
    match view.keys.state {
        Word::Known(KeyState::Proven) => Finding::good("keys", words::KEYS_GOOD.both(&[])),
        Word::Known(KeyState::AppKeyWrong | KeyState::AlipayKeyWrong) => {
            Finding::bad("keys", words::KEYS_BAD.both(&[]), fix())
        }
        Word::Known(KeyState::Unproven) => {
            Finding::bad("keys", words::KEYS_UNPROVEN_BAD.both(&[]), fix())
        }
        Word::Other(_) => Finding::note("keys", words::KEYS_SILENT.both(&[]), fix()),
    }
}

fn journal(view: &StatusView) -> Finding {
    if view.journal.writable {
        return Finding::good("journal", words::JOURNAL_GOOD.both(&[]));
    }
    let path = Some(view.journal.path.as_str()).filter(|path| !path.is_empty());
    let fix = words::FIX_JOURNAL.both(&[path.unwrap_or("/var/lib/tilld")]);
    let why = view.journal.reason.as_deref().unwrap_or("-");
    Finding::bad("journal", words::JOURNAL_BAD.both(&[why]), fix)
}

fn clock(view: &StatusView) -> Finding {
    let fix = words::FIX_CLOCK.both(&[]);
    if let Some(why) = &view.clock.wrong {
        return Finding::bad("clock", words::CLOCK_KEEPS_OUT.both(&[why]), fix);
    }
    match view.gateway.clock_skew_ms {
        Some(skew) if skew.unsigned_abs() > CLOCK_SKEW_MAX_MS => {
            Finding::bad("clock", words::CLOCK_BAD.both(&[&(skew / 1000).to_string()]), fix)
        }
        Some(_) => Finding::good("clock", words::CLOCK_GOOD.both(&[])),
        None => Finding::note("clock", words::CLOCK_UNTOLD.both(&[]), fix),
    }
}

fn scanner(view: &ScannerStatus) -> Finding {
    if view.present {
        return Finding::good("scanner", words::SCANNER_GOOD.both(&[&view.id]));
    }
    let why = view.last_news.as_deref().unwrap_or("-");
    let device = view.device.as_str();
    let text = words::SCANNER_BAD.both(&[&view.id, why]);
    let fix = match device.starts_with('/') {
        true => words::FIX_SCANNER.both(&[device, device]),
        false => words::FIX_SCANNER_KNOWN.both(&[device]),
    };
    Finding::bad("scanner", text, fix)
}

/// Unfinished payments that a person should look at.
async fn stuck(client: &Client) -> Vec<Finding> {
    let asked =
        async { client.get("/v1/payments?state=open&limit=500").await?.read::<PaymentsView>() };
    let listed = match asked.await {
        Ok(listed) => listed,
        Err(why) => {
            let text = words::OPEN_UNTOLD.both(&[&why.to_string()]);
            return vec![Finding::bad("payments", text, words::FIX_ANSWER.both(&[]))];
        }
    };
    let mut findings: Vec<Finding> = listed
        .payments
        .iter()
        .filter_map(|view| Some((view.out_trade_no.as_str(), view.attention.as_ref()?)))
        .map(|(order, attention)| {
            let say = |lang: Lang| words::STUCK.fill(lang, &[order, lang.of(attention)]);
            let text = Sentence { zh: say(Lang::Zh), en: say(Lang::En) };
            Finding::bad("payments", text, words::FIX_STUCK.both(&[order]))
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::good("payments", words::OPEN_GOOD.both(&[])));
    }
    findings
}

fn lines(finding: &Finding, lang: Lang) -> Vec<String> {
    let grade: Phrase = match finding.grade {
        Grade::Good => words::GOOD,
        Grade::Note => words::NOTE,
        Grade::Bad => words::BAD,
    };
    let mark = format!("[{}]", grade.text(lang));
    let gap = " ".repeat(8usize.saturating_sub(super::out::width(&mark)));
    let mut lines = vec![format!("{mark}{gap}{}", lang.of(&finding.text))];
    if let Some(fix) = &finding.fix {
        lines.push(format!("        {}{}", words::FIX.text(lang), lang.of(fix)));
    }
    lines
}

fn as_json(finding: &Finding) -> serde_json::Value {
    let both = |sentence: &Sentence| json!({ "zh": sentence.zh, "en": sentence.en });
    json!({
        "check": finding.check,
        "ok": finding.grade != Grade::Bad,
        "grade": match finding.grade {
            Grade::Good => "good",
            Grade::Note => "note",
            Grade::Bad => "fault",
        },
        "text": both(&finding.text),
        "fix": finding.fix.as_ref().map(both),
    })
}
