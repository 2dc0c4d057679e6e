//! `till`: the terminal, for people and for registers that start programs.
//!
//! It knows nothing of the daemon but the socket. What it says about money is
//! what the terminal says; when it has no answer it says that it does not know.
//!
//! Results go to stdout: for people one sentence or a table, with `--json` one
//! JSON value. Everything on the way goes to stderr. How a payment stands is
//! also in the exit code: see [`Exit`].

mod args;
mod argv;
mod demo;
mod doctor;
mod out;
mod patience;
mod pay;
mod refund;
mod scanners;
mod show;
mod status;
mod typed;
mod wait;
mod watch;
mod words;

use std::ffi::OsString;
use std::future::Future;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::api::client::{Client, ClientError, Problem, SecretText};
use crate::api::{Code, MoneyView as Money, PaymentView, SentenceView as Sentence};

use args::{Cli, Command};
use out::Out;
use words::{Lang, Phrase};

/// The longest line that is read as a payment code.
const CODE_LINE_BYTES_MAX: u64 = 4096;

/// How `till` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The payment's money is taken; and whatever else was asked for worked.
    Taken,
    /// Nothing was or can be charged.
    None,
    /// The money was taken and went back.
    Returned,
    /// Not final, or nobody knows: do not charge again for this sale.
    Unknown,
    /// What was typed makes no sense.
    Usage,
    /// The daemon cannot be reached.
    Absent,
    /// `doctor` found a fault; or a question about no payment has no answer, as
    /// when no scanner was learned.
    Fault,
}

impl Exit {
    /// What was asked for worked.
    const DONE: Self = Self::Taken;

    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Taken => 0,
            Self::Fault => 1,
            Self::Usage => 2,
            Self::Absent => 3,
            Self::None => 10,
            Self::Returned => 11,
            Self::Unknown => 20,
        }
    }

    fn of_money(money: Money) -> Self {
        match money {
            Money::Taken => Self::Taken,
            Money::None => Self::None,
            Money::Returned => Self::Returned,
            Money::Open | Money::Unknown => Self::Unknown,
        }
    }

    /// By the payment's money, and only once it is final.
    fn of_payment(view: &PaymentView) -> Self {
        if view.is_final { Self::of_money(view.money) } else { Self::Unknown }
    }

    /// A denied request: faults of typing are usage, else the money decides.
    fn of_problem(problem: &Problem) -> Self {
        match problem.view.status {
            // Nothing was charged for this attempt; for the sale nobody knows.
            _ if problem.view.code == Code::SaleInDoubt => Self::Unknown,
            // A faulty request for a number that has a payment is no mere typing
            // error: then the money is not `none`.
            400 | 405 | 411 | 413 | 414 | 415 | 422 | 431 if problem.view.money == Money::None => {
                Self::Usage
            }
            _ => Self::of_money(problem.view.money),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The whole program: reads the command line, does it, tells how it ended.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os().collect()).into()
}

/// What can be typed, for those who write it down: man pages, completions.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Does what `arguments` say; the first one is the program's name.
#[must_use]
pub fn run(arguments: Vec<OsString>) -> Exit {
    let json = arguments.iter().any(|argument| argument == "--json");
    let (lang, cli) = args::read(arguments);
    let Cli { global, command } = match cli {
        Ok(cli) => cli,
        Err(error) => return explain_usage(&error, lang, json),
    };
    let out = Out::new(lang, global.json);
    let client = Client::new(global.socket());
    let is_about_money = matches!(
        command,
        Command::Pay(_) | Command::Code { .. } | Command::Cancel { .. } | Command::Refund(_)
    );
    let exit = execute(command, &global, &client, &out);
    match out.lost() {
        None => exit,
        Some(why) => {
            out.say(words::STDOUT_LOST, &[&why.to_string()]);
            // Where the money is does not depend on who reads it.
            if exit == Exit::DONE && !is_about_money { Exit::Fault } else { exit }
        }
    }
}

fn execute(command: Command, global: &args::Global, client: &Client, out: &Out) -> Exit {
    match command {
        Command::Pay(mut args) => {
            if let Some(exit) = args.code.as_mut().and_then(|code| take_code(out, code)) {
                return exit;
            }
            block_on(out, pay::pay(client, out, &args))
        }
        Command::Code { order, mut code, wait } => {
            if let Some(exit) = take_code(out, &mut code) {
                return exit;
            }
            block_on(out, pay::code(client, out, &order, &code, args::seconds(wait)))
        }
        Command::Cancel { order, wait } => {
            block_on(out, pay::cancel(client, out, &order, args::seconds(wait)))
        }
        Command::Refund(args) => block_on(out, refund::refund(client, out, &args)),
        Command::Show { order, steps } => block_on(out, show::show(client, out, &order, steps)),
        Command::List { state, since, limit, cursor } => {
            let filter = show::Filter { state, since, limit, cursor };
            block_on(out, show::list(client, out, &filter))
        }
        Command::Demo { keep } => block_on(out, demo::demo(out, keep)),
        Command::Sandbox(args) => block_on(out, sandbox(args)),
        Command::Watch { from } => block_on(out, watch::watch(client, out, from)),
        Command::Status => block_on(out, status::status(client, out)),
        Command::Scanners { what, timeout, sysroot } => {
            let root = sysroot.as_deref();
            match what {
                None => block_on(out, scanners::list(client, out, root)),
                Some(args::Learn::Learn) => {
                    let timeout = std::time::Duration::from_secs(timeout);
                    block_on(out, scanners::learn(client, out, root, timeout))
                }
            }
        }
        Command::Doctor { config } => {
            let named = global.named_socket();
            let is_usual = named.as_ref().is_none_or(|socket| *socket == args::usual_socket());
            let usual = || is_usual.then(|| PathBuf::from(doctor::CONFIG));
            let config = config.or_else(usual);
            // Whose configuration is given, that daemon is meant.
            let socket = named
                .or_else(|| doctor::socket_of(config.as_deref()?))
                .unwrap_or_else(args::usual_socket);
            let client = &Client::new(socket);
            block_on(out, doctor::doctor(client, out, config.as_deref()))
        }
    }
}

async fn sandbox(args: crate::sandbox::cli::Args) -> Exit {
    match crate::sandbox::cli::run(args).await {
        Ok(()) => Exit::DONE,
        Err(why) => {
            out::complain(&why.to_string());
            Exit::Fault
        }
    }
}

fn block_on(out: &Out, command: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command),
        Err(why) => {
            out.say(words::NO_RUNTIME, &[&why.to_string()]);
            Exit::Fault
        }
    }
}

/// Prints the help that was asked for, or what is wrong with the command line.
fn explain_usage(error: &clap::Error, lang: Lang, json: bool) -> Exit {
    if !error.use_stderr() {
        return match error.print() {
            Err(why) if why.kind() != io::ErrorKind::BrokenPipe => {
                out::complain(&words::STDOUT_LOST.fill(lang, &[&why.to_string()]));
                Exit::Fault
            }
            Ok(()) | Err(_) => Exit::DONE,
        };
    }
    let text = args::complaint(error, lang).unwrap_or_else(|| error.render().to_string());
    out::complain(&text);
    if json {
        let what = crate::api::client::hide_codes(text.lines().next().unwrap_or_default());
        let _ = writeln!(
            io::stdout(),
            "{}",
            json!({
                "type": "about:blank", "title": "Usage", "code": "usage", "detail": what,
                "money": "none", "retry": "after_fix",
            })
        );
    }
    Exit::Usage
}

/// Reads the code from standard input when it was typed as `-`, and sees to it
/// that it is never repeated.
fn take_code(out: &Out, code: &mut SecretText) -> Option<Exit> {
    if code.reveal() == "-" {
        let stdin = io::stdin();
        let silence = typed::Silence::begin();
        if stdin.is_terminal() {
            out.ask(words::CODE_PROMPT, &[]);
        }
        let mut line = String::new();
        let read = stdin.lock().take(CODE_LINE_BYTES_MAX).read_line(&mut line);
        // What ended the line was not shown either.
        if silence.is_some() {
            let _ = writeln!(io::stderr());
        }
        drop(silence);
        let line = zeroize::Zeroizing::new(line);
        let trouble = match read {
            Ok(_) if !line.trim().is_empty() => None,
            Ok(_) => Some("empty".to_owned()),
            Err(why) => Some(why.to_string()),
        };
        if let Some(trouble) = trouble {
            let sentence = words::STDIN_UNREADABLE.both(&[&trouble]);
            refuse(out, "usage", Money::None, &sentence, Concerns::default());
            return Some(Exit::Usage);
        }
        *code = SecretText::new(line.trim().to_owned());
    } else if let Err(why) = argv::hide(code.reveal()) {
        out.say(words::CODE_VISIBLE, &[&why.to_string()]);
    }
    out.keep_secret(code);
    None
}

/// What a problem is about.
#[derive(Clone, Copy, Debug, Default)]
struct Concerns<'a> {
    order: Option<&'a str>,
    request: Option<&'a str>,
}

impl<'a> Concerns<'a> {
    fn order(order: &'a str) -> Self {
        Self { order: Some(order), request: None }
    }
}

/// Tells of something that this program found out by itself: in JSON as a
/// problem of the same shape as the terminal's.
fn refuse(out: &Out, code: &str, money: Money, sentence: &Sentence, about: Concerns<'_>) {
    let (money, retry) = match money {
        Money::None => ("none", "after_fix"),
        Money::Taken => ("taken", "never"),
        Money::Returned => ("returned", "never"),
        Money::Open => ("open", "same_request"),
        Money::Unknown => ("unknown", "same_request"),
    };
    if out.json {
        let mut problem = json!({
            "type": "about:blank", "title": code, "code": code, "detail": sentence.en,
            "money": money, "retry": retry, "out_trade_no": about.order,
            "cashier": { "zh": sentence.zh, "en": sentence.en },
        });
        if let (Some(problem), Some(request)) = (problem.as_object_mut(), about.request) {
            problem.insert("out_request_no".to_owned(), request.into());
        }
        out.json(&problem.to_string());
    } else {
        out.note(out.lang.of(sentence));
    }
}

/// Why there is no connection, for people.
fn absence(source: &io::Error) -> Option<Phrase> {
    use io::ErrorKind as Kind;
    [
        (Kind::NotFound, words::NO_SUCH_SOCKET),
        (Kind::ConnectionRefused, words::NOBODY_LISTENS),
        (Kind::PermissionDenied, words::NO_PERMISSION),
    ]
    .into_iter()
    .find_map(|(kind, phrase)| (source.kind() == kind).then_some(phrase))
}

/// [`absence`] as text in one language, with the system's words for the rest.
fn absence_text(source: &io::Error, lang: Lang) -> String {
    absence(source).map_or_else(|| source.to_string(), |phrase| phrase.text(lang).to_owned())
}

/// Tells that a question has no answer, and how `till` ends with it: `lost` is
/// for the case that the answer itself is missing or makes no sense.
fn give_up(out: &Out, error: &ClientError, phrase: Phrase, money: Money, lost: Exit) -> Exit {
    match error {
        ClientError::DaemonAbsent { path, source } => {
            let path = path.display().to_string();
            let sentence = Sentence {
                zh: phrase.fill(Lang::Zh, &[&path, &absence_text(source, Lang::Zh)]),
                en: phrase.fill(Lang::En, &[&path, &absence_text(source, Lang::En)]),
            };
            refuse(out, "daemon_absent", money, &sentence, Concerns::default());
            Exit::Absent
        }
        ClientError::Problem { problem, .. } => {
            tell_problem(out, problem);
            Exit::of_problem(problem)
        }
        ClientError::Lost { source, .. } => {
            let sentence = words::LOST.both(&[&source.to_string()]);
            refuse(out, "connection_lost", Money::Unknown, &sentence, Concerns::default());
            lost
        }
        ClientError::Broken { what, .. } => {
            let sentence = words::BROKEN.both(&[what]);
            refuse(out, "not_understood", Money::Unknown, &sentence, Concerns::default());
            lost
        }
    }
}

/// The terminal's own words for a denied request: the sentence for the cashier
/// to stdout, what else helps to stderr.
fn tell_problem(out: &Out, problem: &Problem) {
    if out.json {
        out.json(&problem.text);
        return;
    }
    let sentence = out.lang.of(&problem.view.cashier);
    let status = format!("HTTP {}", problem.view.status);
    let code = problem.view.code.to_string();
    let reason = [&problem.view.detail, &problem.view.title, &code, &status]
        .into_iter()
        .find(|text| !text.is_empty())
        .map(String::as_str)
        .unwrap_or_default();
    if !sentence.is_empty() {
        out.line(sentence);
        if !reason.is_empty() && reason != sentence {
            out.note(reason);
        }
    } else if problem.view.status == 404 {
        out.line(words::NOT_FOUND.text(out.lang));
    } else {
        out.line(&words::DENIED.fill(out.lang, &[reason]));
    }
    if let Some(order) = &problem.view.out_trade_no {
        out.say(words::IN_THE_WAY, &[order]);
    }
}

/// The truth about a payment's money in one sentence: the terminal's, or one of
/// ours when it sent none.
fn sentence(view: &PaymentView, lang: Lang) -> String {
    let sentence = lang.of(&view.cashier);
    if !sentence.is_empty() {
        return sentence.to_owned();
    }
    let phrase = match (view.is_final, view.money) {
        (true, Money::Taken) => words::PLAIN_TAKEN,
        (true, Money::None) => words::PLAIN_NONE,
        (true, Money::Returned) => words::PLAIN_RETURNED,
        (true, Money::Open | Money::Unknown) | (false, _) => words::PLAIN_UNKNOWN,
    };
    phrase.fill(lang, &[&view.amount])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ProblemView;

    #[test]
    fn only_a_final_payment_ends_with_certainty() {
        use Money::{None, Open, Returned, Taken, Unknown};
        for (is_final, money, code) in [
            (true, Taken, 0),
            (true, None, 10),
            (true, Returned, 11),
            (true, Unknown, 20),
            (true, Open, 20),
            (false, Open, 20),
            (false, Taken, 20),
            (false, None, 20),
            (false, Returned, 20),
            (false, Unknown, 20),
        ] {
            let view = PaymentView { is_final, money, ..PaymentView::default() };
            assert_eq!(Exit::of_payment(&view).code(), code, "final {is_final}, {money:?}");
        }
    }

    #[test]
    fn a_denied_request_ends_by_its_money() {
        for (status, code, money, exit) in [
            (422, "invalid_amount", Money::None, 2),
            (400, "bad_request", Money::None, 2),
            (422, "invalid_request", Money::Unknown, 20),
            (409, "scanner_busy", Money::None, 10),
            (409, "sale_in_doubt", Money::Unknown, 20),
            (409, "sale_in_doubt", Money::None, 20),
            (409, "sale_already_paid", Money::Taken, 0),
            (409, "already_paid", Money::Taken, 0),
            (409, "order_conflict", Money::Unknown, 20),
            (404, "not_found", Money::None, 10),
            (503, "journal_unavailable", Money::None, 10),
            (500, "", Money::Unknown, 20),
        ] {
            let code = serde_json::from_value(code.into()).expect("a word");
            let view = ProblemView { status, code, money, ..ProblemView::default() };
            let problem = Problem { view, ..Problem::default() };
            assert_eq!(Exit::of_problem(&problem).code(), exit, "{:?}", problem.view);
        }
    }
}
