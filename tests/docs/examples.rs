//! The examples for register makers do what their page says, against the real
//! daemon and the simulated gateway.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::terminal::{Terminal, until};
use super::{loudly, page};

/// Each example with the program that runs it.
const EXAMPLES: [(&str, &str); 3] = [("python3", "pay.py"), ("node", "pay.mjs"), ("sh", "pay.sh")];

/// What an example needs besides its interpreter.
fn needs(file: &str) -> Option<&str> {
    (file == "pay.sh").then_some("curl")
}

/// The examples that can run on this box.
fn runnable() -> Vec<(&'static str, PathBuf)> {
    // A shell knows no --version, and that it complains shows it is there.
    let is_here = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/register");
    let mut found = vec![];
    for (program, file) in EXAMPLES {
        match [Some(program), needs(file)].into_iter().flatten().find(|p| !is_here(p)) {
            Some(missing) => {
                loudly(&format!("{missing} is not on this box, so {file} did not run"));
            }
            None => found.push((program, folder.join(file))),
        }
    }
    found
}

/// The same example as a command, ready to be given the order.
fn command((program, file): &(&str, PathBuf), socket: &Path, code: Option<&str>) -> Command {
    let mut command = Command::new(program);
    command.arg(file).env("TILLD_SOCKET", socket).env("LANG", "zh_CN.UTF-8");
    command.env("PYTHONIOENCODING", "utf-8").stdin(Stdio::null());
    match code {
        Some(code) => command.env("AUTH_CODE", code),
        None => command.env_remove("AUTH_CODE"),
    };
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn each_example_tells_every_ending_by_sentence_and_exit_code() {
    let terminal = Terminal::start("");
    std::thread::scope(|scope| {
        for (index, example) in runnable().into_iter().enumerate() {
            let terminal = &terminal;
            scope.spawn(move || plays_every_ending(index, &example, terminal));
        }
    });
}

fn plays_every_ending(index: usize, example: &(&str, PathBuf), terminal: &Terminal) {
    let file = example.1.display();
    let run = |number: &str, amount: &str, subject: &str, code: Option<&str>| {
        let output = command(example, &terminal.socket(), code)
            .args([number, amount, subject])
            .output()
            .expect("it runs");
        let all = [output.stdout.clone(), output.stderr.clone()].concat();
        let shows = code.is_some_and(|code| String::from_utf8_lossy(&all).contains(code));
        assert!(!shows, "{file} shows the payment code");
        (output.status.code(), said(&output))
    };
    let subject = "咖啡 \"大\", 一杯";
    // The buyer confirms 77.02 on the phone, which the first query sees.
    for (ending, amount, exit, sentence) in [
        ("1", "12.50", 0, "已收款 12.50 元"),
        ("2", "77.05", 10, "未收款：买家余额不足。没有扣款，可以重新收款"),
        ("3", "77.02", 0, "已收款 77.02 元"),
        ("4", "77.31", 11, "已撤销，77.31 元已退还给顾客"),
    ] {
        let number = format!("E{index}_{ending}");
        let code = format!("28000000000{index}000{ending}");
        let expected = (Some(exit), sentence.to_owned());
        assert_eq!(run(&number, amount, subject, Some(&code)), expected, "{file}");
        let view = terminal.payment(&number).expect("a payment");
        assert_eq!(view["subject"], subject, "{file}");
        // Asked again, and the answer is the same payment's.
        assert_eq!(run(&number, amount, subject, Some(&code)), expected, "{file}, again");
        let again = terminal.payment(&number).expect("a payment");
        assert_eq!(view["rev"], again["rev"], "{file}: {number} was not left alone");
    }

    let (exit, sentence) = run(&format!("E{index}_5"), "1.234", subject, None);
    assert_eq!((exit, sentence.as_str()), (Some(2), "金额有误，没有扣款。请检查金额"), "{file}");
    // The number is that of another payment: nobody may take this for "not paid".
    let (exit, sentence) = run(&format!("E{index}_1"), "99.00", subject, None);
    assert_eq!(exit, Some(20), "{file}: {sentence}");
}

#[test]
fn an_example_without_a_daemon_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    for example in runnable() {
        let output = command(&example, &folder.path().join("none.sock"), None)
            .args(["A1", "1.00", "x"])
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(3), "{}: {}", example.1.display(), said(&output));
        let usage = command(&example, &folder.path().join("none.sock"), None)
            .args(["A/1", "1.00", "x"])
            .output()
            .expect("it runs");
        assert_eq!(usage.status.code(), Some(2), "{}: {}", example.1.display(), said(&usage));
    }
}

/// The daemon dies with SIGKILL while the example waits, and comes back.
#[test]
fn each_example_asks_again_after_a_lost_connection() {
    let mut terminal = Terminal::start("");
    for (index, example) in runnable().iter().enumerate() {
        let number = format!("L{index}");
        // The third query sees that the buyer has confirmed.
        let mut running =
            command(example, &terminal.socket(), Some(&format!("28000000000{index}0099")))
                .args([number.as_str(), "77.03", "x"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("it runs");
        until("the buyer to be asked", || {
            terminal.payment(&number).filter(|view| view["state"] == "awaiting_buyer")
        });
        terminal.kill_tilld();
        terminal.start_tilld();
        let status = until("the example to end", || running.try_wait().expect("it can be asked"));
        let output = running.wait_with_output().expect("it has ended");
        assert_eq!(said(&output), "已收款 77.03 元", "{}", example.1.display());
        assert_eq!(status.code(), Some(0), "{}", example.1.display());
    }
}

/// The piece for Free Pascal as it stands on the page, but for where `till` is.
#[test]
fn the_pascal_of_the_page_compiles_and_tells_the_money() {
    let page = page("docs/register.md");
    let mut pieces = page.split("```pascal\n").skip(1).filter_map(|rest| rest.split("```").next());
    let program = pieces.find(|piece| piece.contains("TProcess.Create")).expect("a program");
    if Command::new("fpc").arg("-iV").output().is_err() {
        loudly("fpc is not on this box, so the Pascal of docs/register.md was not compiled");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let till = env!("CARGO_BIN_EXE_till");
    assert!(program.contains("'/usr/bin/till'"), "{program}");
    std::fs::write(folder.path().join("pay.pas"), program.replace("/usr/bin/till", till))
        .expect("a file");
    let compiled = Command::new("fpc").arg("pay.pas").current_dir(&folder).output();
    let compiled = compiled.expect("fpc runs");
    if said(&compiled).contains("Can't find unit") {
        loudly("fpc is here without its units, so the Pascal of docs/register.md was not compiled");
        return;
    }
    assert!(compiled.status.success(), "{}", said(&compiled));

    let terminal = Terminal::start("");
    let pay = |socket: &Path| {
        let mut running = Command::new(folder.path().join("pay"))
            .env("TILLD_SOCKET", socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut code = running.stdin.take().expect("its input");
        writeln!(code, "280000000000000177").expect("a code");
        running.wait_with_output().expect("it ends").status.code()
    };
    assert_eq!(pay(&terminal.socket()), Some(0));
    assert_eq!(terminal.payment("A1001").expect("a payment")["amount"], "12.50");
    assert_eq!(pay(&folder.path().join("none.sock")), Some(3));
}

#[test]
fn the_page_leads_to_every_example() {
    let page = page("docs/register.md");
    for (_, file) in EXAMPLES {
        let link = format!("(../examples/register/{file})");
        assert!(page.contains(&link), "docs/register.md does not lead to {file}");
    }
}
