//! What is typed while a payment waits, what `ps` shows, and what is said when
//! nobody can read the end.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::fake::{Act, Fake, Seen, until};
use crate::run::{Ran, command, end, start, till};
use crate::says::*;
use crate::{CANARY, PAY};

const GOODS: &str = "6901234567892";

/// A terminal's window: the side of the person, and that of the shell.
pub(crate) struct Window {
    person: PtyMaster,
    shell: File,
}

impl Window {
    pub(crate) fn open() -> Self {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let person = posix_openpt(flags).expect("a terminal");
        grantpt(&person).expect("granted");
        unlockpt(&person).expect("unlocked");
        let name = ptsname_r(&person).expect("its name");
        let shell = File::options()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(name)
            .expect("the shell's side");
        Self { person, shell }
    }

    /// Starts `till` in the foreground of the window; what it says is read apart.
    pub(crate) fn start(&self, fake: &Fake, arguments: &[&str]) -> Child {
        let mut command = Command::new("/usr/bin/setsid");
        command.arg("--ctty").arg(env!("CARGO_BIN_EXE_till")).args(arguments);
        command.env_clear().env("TILLD_SOCKET", fake.socket());
        command.stdin(self.shell.try_clone().expect("the shell's side"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("till starts in a window")
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.person.write_all(text.as_bytes()).expect("typed");
    }

    fn echoes(&self) -> bool {
        let now = tcgetattr(&self.shell).expect("a terminal");
        now.local_flags.contains(LocalFlags::ECHO)
    }

    /// What was shown in the window.
    fn shown(&mut self) -> String {
        let mut shown = vec![];
        while has_something(&self.person) {
            let mut some = [0; 256];
            let read = self.person.read(&mut some).expect("read");
            shown.extend_from_slice(&some[..read]);
        }
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// What the shell would find to read, lines that are not finished too.
    fn left_for_the_shell(&mut self) -> String {
        let mut raw = tcgetattr(&self.shell).expect("a terminal");
        raw.local_flags.remove(LocalFlags::ICANON);
        tcsetattr(&self.shell, SetArg::TCSANOW, &raw).expect("raw");
        let mut left = vec![];
        while has_something(&self.shell) {
            let mut some = [0; 256];
            let read = self.shell.read(&mut some).expect("read");
            left.extend_from_slice(&some[..read]);
        }
        String::from_utf8_lossy(&left).into_owned()
    }
}

fn has_something(side: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(side.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).expect("polled") > 0
}

/// A terminal that waits for a code, and takes any but goods.
fn waiting_for_a_code() -> Fake {
    let mut is_paid = false;
    Fake::new(move |request| {
        if request.path.ends_with("/code") && request.body.contains(GOODS) {
            return problem(422, "not_a_payment_code", "none", None, "这是商品", "These are goods");
        }
        is_paid |= request.path.ends_with("/code");
        say(&if is_paid { paid("A1") } else { awaiting_code("A1") })
    })
}

fn codes(fake: &Fake) -> Vec<String> {
    let is_code = |seen: &Seen| seen.path.ends_with("/code");
    fake.seen().into_iter().filter(is_code).map(|seen| seen.body).collect()
}

#[test]
fn a_code_that_is_typed_while_the_payment_waits_pays_it_and_is_never_shown() {
    // By hand; by a scanner that ends with a tabulator; goods first.
    for typed in [
        vec![format!("{CANARY}\n")],
        vec![format!("{CANARY}\t")],
        vec![format!("{GOODS}\n"), format!("{CANARY}\n")],
    ] {
        let mut window = Window::open();
        let fake = waiting_for_a_code();
        let child = window.start(&fake, PAY);
        fake.wait_for("GET /v1/payments/A1");
        assert!(!window.echoes());
        for (before, line) in typed.iter().enumerate() {
            let is_last = before + 1 == typed.len();
            // What follows has no end, so nobody can take it for a code.
            window.types(&format!("{line}{}", if is_last { "rm" } else { "" }));
            until("the code to be brought", || codes(&fake).len() > before);
        }
        let ran = end(child);
        assert_eq!(ran.code, 0, "{ran:?}");
        let expected = typed.iter().map(|line| format!("{{\"auth_code\":\"{}\"}}", line.trim()));
        assert_eq!(codes(&fake), expected.collect::<Vec<_>>());
        assert_eq!(ran.err.contains("These are goods"), typed.len() > 1, "{ran:?}");
        assert!(window.echoes(), "as it was before");
        assert_eq!(window.shown(), "", "what is typed is not shown");
        assert_eq!(window.left_for_the_shell(), "");
        assert!(!format!("{ran:?}").contains(CANARY), "{ran:?}");
    }
}

#[test]
fn a_code_that_is_asked_for_is_read_without_being_shown() {
    let mut window = Window::open();
    let fake = waiting_for_a_code();
    let child = window.start(&fake, &["code", "A1", "-"]);
    until("it asks", || !window.echoes());
    window.types(&format!("{CANARY}\n"));
    let ran = end(child);
    assert_eq!((ran.code, codes(&fake).len()), (0, 1), "{ran:?}");
    assert_eq!(window.shown(), "");
    assert!(window.echoes());
}

/// Whoever puts `till` into the background keeps the terminal.
#[test]
fn in_the_background_the_terminal_is_left_alone() {
    let mut window = Window::open();
    let fake = waiting_for_a_code();
    let mut command = command(&fake.socket(), &[PAY, &["--wait", "1"]].concat());
    let child = command
        .stdin(window.shell.try_clone().expect("the shell's side"))
        .spawn()
        .expect("till starts");
    fake.wait_for("GET /v1/payments/A1");
    assert!(window.echoes());
    window.types("ls\n");
    let ran = end(child);
    assert_eq!(ran.code, 20, "{ran:?}");
    assert_eq!(window.left_for_the_shell(), "ls\n");
    assert!(codes(&fake).is_empty());
}

#[test]
fn a_code_on_the_command_line_is_not_in_the_list_of_processes() {
    let with_equals = format!("--code={CANARY}");
    for arguments in [
        [PAY, &["--code", CANARY]].concat(),
        [PAY, &[with_equals.as_str()]].concat(),
        vec!["code", "A1", CANARY],
    ] {
        let fake = Fake::new(|_| say(&awaiting_buyer("A1")));
        let child = start(&fake.socket(), &arguments);
        fake.wait_for(if arguments[0] == "pay" { "PUT" } else { "POST" });
        let line = std::fs::read(format!("/proc/{}/cmdline", child.id())).expect("it runs");
        let line = String::from_utf8_lossy(&line).into_owned();
        assert!(!line.contains(CANARY), "{line:?}");
        assert!(line.contains(&"*".repeat(CANARY.len())) && line.contains("A1"), "{line:?}");
        let sent = &fake.seen()[0].body;
        assert!(sent.contains(CANARY), "it still pays: {sent}");
        send_away(child, Signal::SIGTERM);
    }
}

fn send_away(child: Child, how: Signal) -> Ran {
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id")), how).expect("sent");
    end(child)
}

#[test]
fn whoever_is_sent_away_says_that_the_payment_goes_on() {
    for how in [Signal::SIGTERM, Signal::SIGHUP] {
        let fake = Fake::new(|_| say(&awaiting_buyer("A1")));
        let child = start(&fake.socket(), PAY);
        fake.wait_for("GET /v1/payments/A1");
        let ran = send_away(child, how);
        assert_eq!(ran.code, 20, "{ran:?}");
        assert!(ran.err.contains("the terminal goes on with the payment"), "{ran:?}");
        assert!(ran.out.contains("till show A1"), "{ran:?}");
        assert!(fake.lines().iter().all(|line| !line.contains("cancel")), "nothing is cancelled");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_told() {
    let list = || Fake::new(|_| say(&json!({"payments": [paid("A1")], "next_cursor": null})));
    let pay = || Fake::new(|_| say(&paid("A1")));
    let declines = || Fake::new(|_| say(&declined("A1")));
    type Story = fn() -> Fake;
    let stories: [(&[&str], i32, Story); 5] = [
        (&["list"], 1, list),
        (&["list", "--json"], 1, list),
        (&["--help"], 1, list),
        // Where the money is does not depend on who reads it.
        (PAY, 0, pay),
        (PAY, 10, declines),
    ];
    for (arguments, code, story) in stories {
        let fake = story();
        let full = File::options().write(true).open("/dev/full").expect("a full disk");
        let child = command(&fake.socket(), arguments).stdout(full).spawn().expect("till starts");
        let ran = end(child);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains("The result could not be written"), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn an_event_cannot_rewrite_the_screen_of_whoever_watches_in_json() {
    let hostile = "\u{9b}31m\u{85}\u{202e}\u{2066}\u{200f}\u{7f}咖啡";
    let data = json!({ "scanner": "lane-1", "kind": "goods", "text": hostile });
    let event = format!("id: 7\nevent: scan\ndata: {data}\n\n");
    let fake = Fake::new(move |_| Act::StreamAndHold(vec![event.clone()]));
    let mut child = start(&fake.socket(), &["watch", "--json"]);
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().expect("stdout"));
    std::io::BufRead::read_line(&mut out, &mut line).expect("an event");
    send_away(child, Signal::SIGINT);
    assert!(line.contains("咖啡") && line.contains("\\u009b31m"), "{line:?}");
    let obeyed = |c: char| c != '\n' && (c.is_control() || ('\u{200e}'..='\u{2069}').contains(&c));
    assert!(!line.contains(obeyed), "{line:?}");
    let value: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(value["data"], data);
}

#[test]
fn the_doctor_asks_the_daemon_of_the_configuration_that_it_was_given() {
    let fake = Fake::new(|_| say(&json!({"version": env!("CARGO_PKG_VERSION"), "scanners": []})));
    let config = fake.socket().with_file_name("tilld.toml");
    std::fs::write(&config, "[api]\nsocket = \"s\"\n").expect("a configuration");
    let config = config.to_str().expect("a path");
    let ask = |command: &mut Command| end(command.spawn().expect("till starts"));
    let mut plain = command(&fake.socket(), &["doctor", "--config", config]);
    let ran = ask(plain.env_remove("TILLD_SOCKET"));
    assert!(fake.lines().contains(&"GET /v1/status".to_owned()), "{ran:?}");
    // What is named on the command line counts more.
    let ran = till(&fake.socket(), &["doctor", "--config", config, "--socket", "/nowhere"]);
    assert!(ran.out.contains("/nowhere"), "{ran:?}");
}
