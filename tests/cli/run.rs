//! Runs the real `till`, and keeps what people see in golden files.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::fake::Fake;

/// What a run of `till` left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output as the one JSON value that it must be.
    pub(crate) fn json(&self) -> serde_json::Value {
        let values: Vec<serde_json::Value> = serde_json::Deserializer::from_str(&self.out)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap_or_else(|why| panic!("{why}: {self:?}"));
        assert_eq!(values.len(), 1, "{self:?}");
        values.into_iter().next().expect("one")
    }
}

/// `till` with these arguments, in an empty environment.
pub(crate) fn command(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_till"));
    command.env_clear().env("TILLD_SOCKET", socket).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn start(socket: &Path, arguments: &[&str]) -> Child {
    command(socket, arguments).spawn().expect("till starts")
}

pub(crate) fn end(child: Child) -> Ran {
    let output = child.wait_with_output().expect("till ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran {
        code: output.status.code().expect("till is not killed"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

pub(crate) fn till(socket: &Path, arguments: &[&str]) -> Ran {
    end(start(socket, arguments))
}

pub(crate) fn till_with_input(socket: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut child = start(socket, arguments);
    child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("written");
    end(child)
}

/// Compares what people see with the golden file; `UPDATE_GOLDEN=1` writes it.
pub(crate) fn golden(name: &str, shown: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, shown).expect("the golden file is written");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == shown,
        "{name} has changed; if that is meant, run with UPDATE_GOLDEN=1.\n--- kept\n{kept}\n--- shown\n{shown}"
    );
}

/// A run as a person sees it in a terminal, both streams apart.
pub(crate) fn shown(arguments: &[&str], ran: &Ran, socket: &Path) -> String {
    let mut text = format!("$ till {}\n", arguments.join(" "));
    for line in ran.err.lines() {
        text.push_str(&format!("err| {line}\n"));
    }
    for line in ran.out.lines() {
        text.push_str(&format!("out| {line}\n"));
    }
    text.push_str(&format!("exit {}\n\n", ran.code));
    let text = text.replace(&socket.display().to_string(), "SOCKET");
    hide_numbers(&text.replace(env!("CARGO_PKG_VERSION"), "VERSION"))
}

/// Runs the same story in both languages and compares with the golden file.
pub(crate) fn both_languages(name: &str, arguments: &[&str], fake: impl Fn() -> Fake) -> Vec<Ran> {
    let mut text = String::new();
    let mut runs = vec![];
    for lang in ["zh", "en"] {
        let arguments = [arguments, &["--lang", lang]].concat();
        let fake = fake();
        let ran = till(&fake.socket(), &arguments);
        text.push_str(&shown(&arguments, &ran, &fake.socket()));
        runs.push(ran);
    }
    golden(name, &text);
    runs
}

pub(crate) fn interrupt(child: &std::process::Child) {
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).expect("the signal is sent");
}

/// Order numbers that `till` made are different each time.
fn hide_numbers(text: &str) -> String {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let mut hidden = text.to_owned();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
        if word.len() == 32 && word.chars().all(is_hex) {
            hidden = hidden.replace(word, "NUMBER");
        }
    }
    hidden
}
