//! `till scanners`: what is configured, what is plugged in, and what that would
//! be in tilld.toml; `till scanners learn`: which of it a scan comes from.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::termios::{self, FlushArg, LocalFlags, SetArg, Termios};
use serde_json::{Map, Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::api::client::{Client, ClientError};
use crate::api::{MoneyView as Money, ScannerStatus, SentenceView as Sentence, StatusView};
use crate::scanner::found::Bus;
use crate::scanner::learn::{Listener, Sound, masked};
use crate::scanner::suggest::{Way, ways};
use crate::scanner::sysfs::System;
use crate::scanner::{Kind, Refusal};

use super::out::Out;
use super::status::scanner_lines;
use super::words::{self, Lang, Phrase};
use super::{Concerns, Exit, absence_text, refuse};

/// How long one look at the devices lasts, between two at Ctrl-C.
const LISTEN_TIMEOUT: Duration = Duration::from_millis(100);
/// What a scanner that types still sends after its code, and what the desktop
/// still hands on.
const TAIL_TIMEOUT: Duration = Duration::from_millis(300);

/// Where the devices are.
fn system(root: Option<&Path>) -> System {
    root.map_or_else(System::default, System::below)
}

/// What the daemon says of its scanners, if it is there to say it.
struct Told {
    /// Its whole answer.
    members: Map<String, Value>,
    scanners: Vec<ScannerStatus>,
    /// Why there is no answer.
    silence: Option<Sentence>,
}

async fn ask(client: &Client) -> Told {
    let asked = async {
        let answer = client.get("/v1/status").await?;
        let members: Map<String, Value> = answer.read()?;
        let view: StatusView = answer.read()?;
        Ok((members, view.scanners))
    };
    match asked.await {
        Ok((members, scanners)) => Told { members, scanners, silence: None },
        Err(error) => {
            Told { members: Map::new(), scanners: Vec::new(), silence: Some(silence(&error)) }
        }
    }
}

fn silence(error: &ClientError) -> Sentence {
    match error {
        ClientError::DaemonAbsent { path, source } => {
            let path = path.display().to_string();
            let say =
                |lang| words::SCANNERS_ALONE.fill(lang, &[&path, &absence_text(source, lang)]);
            Sentence { zh: say(Lang::Zh), en: say(Lang::En) }
        }
        other @ (ClientError::Problem { .. }
        | ClientError::Lost { .. }
        | ClientError::Broken { .. }) => words::SCANNERS_UNTOLD.both(&[&other.to_string()]),
    }
}

/// Lists what is configured and what is there. Works without the daemon.
pub(super) async fn list(client: &Client, out: &Out, root: Option<&Path>) -> Exit {
    let told = ask(client).await;
    let devices = system(root).devices();
    let ways = ways(&devices);
    let ids = ids(&ways, &told.scanners);
    if out.json {
        let views = ways.iter().zip(&ids).map(|(way, id)| as_json(way, id, &told.scanners));
        let mut members = told.members;
        members.insert("devices".to_owned(), views.collect());
        out.json(&Value::Object(members).to_string());
        return Exit::DONE;
    }
    match &told.silence {
        Some(sentence) => out.note(out.lang.of(sentence)),
        None if told.scanners.is_empty() => out.note(words::NO_SCANNERS.text(out.lang)),
        None => scanner_lines(&told.scanners, out.lang).iter().for_each(|line| {
            out.line(line);
        }),
    }
    if ways.is_empty() {
        out.note(words::NO_DEVICES.text(out.lang));
    }
    for (way, id) in ways.iter().zip(&ids) {
        out.line("");
        about(way, id, &told.scanners, out.lang).iter().for_each(|line| {
            out.line(line);
        });
    }
    Exit::DONE
}

/// The name of each way in the configuration, or a free one.
fn ids(ways: &[Way<'_>], scanners: &[ScannerStatus]) -> Vec<String> {
    let taken: BTreeSet<&str> = scanners.iter().map(|scanner| scanner.id.as_str()).collect();
    let mut free = (1..).map(|n| format!("lane-{n}")).filter(|id| !taken.contains(id.as_str()));
    ways.iter()
        .map(|way| match configured(way, scanners) {
            Some(scanner) => scanner.id.clone(),
            None => free.next().unwrap_or_default(),
        })
        .collect()
}

/// The scanner of the configuration that this is.
fn configured<'s>(way: &Way<'_>, scanners: &'s [ScannerStatus]) -> Option<&'s ScannerStatus> {
    scanners.iter().find(|scanner| scanner.kind == way.kind.name() && way.is_at(&scanner.device))
}

fn about(way: &Way<'_>, id: &str, scanners: &[ScannerStatus], lang: Lang) -> Vec<String> {
    let mut marks = vec![name_of(way)];
    if let Some(serial) = &way.device.serial {
        marks.push(words::WAY_SERIAL.fill(lang, &[serial]));
    }
    if !way.device.phys.is_empty() {
        marks.push(way.device.phys.clone());
    }
    let nodes: Vec<String> = way.nodes.iter().map(|node| node.path.display().to_string()).collect();
    let mut lines = vec![marks.join(", "), format!("{}: {}", way.kind.name(), nodes.join(" "))];
    let state = configured(way, scanners).map(|scanner| {
        let phrase = if scanner.present { words::WAY_READ } else { words::WAY_NOT_READ };
        phrase.fill(lang, &[&scanner.id])
    });
    let right = if way.may_open() { words::WAY_OPENS } else { words::WAY_SHUT };
    lines.extend(state);
    lines.push(right.text(lang).to_owned());
    if let Some(refusal) = way.refusal {
        lines.push(words::WAY_REFUSED.fill(lang, &[&why_refused(refusal, lang)]));
    }
    lines.extend(way.toml(id).lines().map(|line| format!("    {line}")));
    lines
}

fn name_of(way: &Way<'_>) -> String {
    way.device.to_string()
}

fn why_refused(refusal: Refusal, lang: Lang) -> String {
    let phrase: Phrase = match refusal {
        Refusal::OfTheBox => words::REFUSED_OF_THE_BOX,
        Refusal::Virtual => words::REFUSED_VIRTUAL,
        Refusal::Pointer => words::REFUSED_POINTER,
        Refusal::ManyNodes(_) => words::REFUSED_MANY_NODES,
        Refusal::OnlyKeyboard => words::REFUSED_ONLY_KEYBOARD,
    };
    phrase.text(lang).to_owned()
}

fn as_json(way: &Way<'_>, id: &str, scanners: &[ScannerStatus]) -> Value {
    let device = way.device;
    let bus = match device.bus {
        Bus::Usb => "usb",
        Bus::Bluetooth => "bluetooth",
        Bus::I8042 => "i8042",
        Bus::Virtual => "virtual",
        Bus::Other => "other",
    };
    let nodes: Vec<String> = way.nodes.iter().map(|node| node.path.display().to_string()).collect();
    let scanner = configured(way, scanners);
    json!({
        "kind": way.kind.name(),
        "vendor": format!("{:04x}", device.vendor),
        "product": format!("{:04x}", device.product),
        "name": device.name,
        "serial": device.serial,
        "bus": bus,
        "phys": device.phys,
        "nodes": nodes,
        "may_open": way.may_open(),
        "refused": way.refusal.map(|refusal| refusal.to_string()),
        "scanner": scanner.map(|scanner| scanner.id.as_str()),
        "present": scanner.map(|scanner| scanner.present),
        "toml": way.toml(id),
        "udev_rule": way.rule(),
        "udev_rule_shipped": way.is_ruled(),
    })
}

/// Waits for one scan, and tells what the scanner that it came from would be.
pub(super) async fn learn(
    client: &Client,
    out: &Out,
    root: Option<&Path>,
    timeout: Duration,
) -> Exit {
    let (mut interrupt, mut terminate) =
        match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
            (Err(why), _) | (_, Err(why)) => {
                out.say(words::NO_RUNTIME, &[&why.to_string()]);
                return Exit::Fault;
            }
        };
    let told = ask(client).await;
    // A grabbed keyboard and an open line are the daemon's alone.
    for scanner in told.scanners.iter().filter(|scanner| scanner.present) {
        out.say(words::LEARN_IN_USE, &[&scanner.id]);
    }
    let system = system(root);
    let mut listener = Listener::new(system.clone());
    let mut silent = SilentTerminal::begin();
    let began = Instant::now();
    let mut listening_to = None;
    let heard = loop {
        match listener.listen(LISTEN_TIMEOUT) {
            Some(Sound::Scan { node, kind, text }) => break Some((node, kind, text)),
            Some(Sound::Lost { node, why }) => {
                out.say(words::LEARN_LOST, &[&node.display().to_string(), &why.to_string()]);
            }
            None => {}
        }
        let counts = (listener.open_count(), listener.shut().count());
        if listening_to != Some(counts) {
            listening_to = Some(counts);
            say_listening(out, &listener);
        }
        if began.elapsed() >= timeout || is_over(&mut interrupt, &mut terminate).await {
            break None;
        }
    };
    let Some((node, kind, text)) = heard else {
        silent.end();
        let why = listener.shut().next().map(|(_, why)| why.to_owned());
        let sentence = match (listener.open_count(), why) {
            (0, Some(why)) => words::LEARN_SHUT.both(&[&why]),
            _ => words::LEARN_NOTHING.both(&[]),
        };
        refuse(out, "no_scan", Money::None, &sentence, Concerns::default());
        return Exit::Fault;
    };
    // Its Enter would be one for the shell.
    tokio::time::sleep(TAIL_TIMEOUT).await;
    silent.end();
    drop(listener);
    tell_learned(out, &system, &told.scanners, (&node, kind), &masked(&text))
}

fn tell_learned(
    out: &Out,
    system: &System,
    scanners: &[ScannerStatus],
    (node, kind): (&PathBuf, Kind),
    masked: &str,
) -> Exit {
    let devices = system.devices();
    let ways = ways(&devices);
    let is_it = |way: &&Way<'_>| {
        way.kind.name() == kind.name() && way.nodes.iter().any(|n| n.path == *node)
    };
    let Some(way) = ways.iter().find(is_it) else {
        let sentence = words::LEARN_GONE.both(&[&node.display().to_string()]);
        refuse(out, "no_scan", Money::None, &sentence, Concerns::default());
        return Exit::Fault;
    };
    // The first free name, whatever else is plugged in.
    let id = ids(std::slice::from_ref(way), scanners).pop().unwrap_or_default();
    if out.json {
        let mut view = as_json(way, &id, scanners);
        if let Some(members) = view.as_object_mut() {
            members.insert("scanned".to_owned(), json!(masked));
        }
        out.json(&view.to_string());
        return Exit::DONE;
    }
    let length = masked.chars().count().to_string();
    out.say(words::LEARNED, &[masked, &length, &name_of(way), &node.display().to_string()]);
    if let Some(refusal) = way.refusal {
        out.say(words::LEARNED_FORCE, &[&why_refused(refusal, out.lang)]);
    }
    for line in way.toml(&id).lines() {
        out.line(line);
    }
    if let Some(rule) = way.rule() {
        let place = if way.is_ruled() { words::RULE_SHIPPED } else { words::RULE_NEEDED };
        out.line("");
        out.line(&format!("# {}", place.text(out.lang)));
        out.line(&rule);
        if kind == Kind::Evdev {
            out.line(&format!("# {}", words::RULE_ARMED.text(out.lang)));
        }
    }
    Exit::DONE
}

fn say_listening(out: &Out, listener: &Listener) {
    if let Some((_, why)) = listener.shut().next() {
        let count = listener.shut().count().to_string();
        out.say(words::LEARN_SOME_SHUT, &[&count, why]);
    }
    match listener.open_count() {
        0 => out.say(words::LEARN_PLUG_IN, &[]),
        count => out.say(words::LEARN_SCAN, &[&count.to_string()]),
    }
}

/// Somebody ended it.
async fn is_over(interrupt: &mut Signal, terminate: &mut Signal) -> bool {
    let over = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::time::timeout(Duration::from_millis(1), over).await.is_ok()
}

/// A keyboard scanner types into the window in front, and that is this one: what
/// it types is neither shown nor left for the shell.
struct SilentTerminal {
    before: Option<Termios>,
}

impl SilentTerminal {
    fn begin() -> Self {
        let stdin = io::stdin();
        let before = stdin.is_terminal().then(|| termios::tcgetattr(&stdin).ok()).flatten();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_flags.remove(LocalFlags::ECHO);
            // Who cannot have it silent has it as it is.
            let _ = termios::tcsetattr(&stdin, SetArg::TCSANOW, &silent);
        }
        Self { before }
    }

    fn end(&mut self) {
        if let Some(before) = self.before.take() {
            let stdin = io::stdin();
            let _ = termios::tcflush(&stdin, FlushArg::TCIFLUSH);
            let _ = termios::tcsetattr(&stdin, SetArg::TCSANOW, &before);
        }
    }
}

impl Drop for SilentTerminal {
    fn drop(&mut self) {
        self.end();
    }
}
