//! What can be typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::api::client::SecretText;
use crate::payment::{Amount, Public};

use super::words::{self, Lang, Phrase};

/// Where the daemon listens when nobody says otherwise.
const SOCKET: &str = "/run/tilld/tilld.sock";

/// The command line of the Alipay payment terminal
#[derive(Debug, Parser)]
#[command(name = "till", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// The terminal's socket [env: TILLD_SOCKET] [default: /run/tilld/tilld.sock]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// One JSON value on standard output, for programs
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// The language: zh or en [default: the locale's]
    #[arg(long, global = true, value_name = "LANG", hide_possible_values = true)]
    lang: Option<Lang>,
}

impl Global {
    /// The socket that somebody has named.
    pub(super) fn named_socket(&self) -> Option<PathBuf> {
        let set = |value: &OsString| !value.is_empty();
        let variable = || std::env::var_os("TILLD_SOCKET").filter(set).map(PathBuf::from);
        self.socket.clone().or_else(variable)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.named_socket().unwrap_or_else(usual_socket)
    }
}

/// The socket of the installation.
pub(super) fn usual_socket() -> PathBuf {
    PathBuf::from(SOCKET)
}

/// One for each thing that `till` does. Those that need no daemon are told
/// apart in [`super::run`].
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Take a payment and wait for its outcome
    Pay(PayArgs),
    /// Show a payment
    Show {
        /// The merchant order number, or how it begins; last is the newest payment
        order: String,
        /// List every step that was journaled as well
        #[arg(long)]
        steps: bool,
    },
    /// List payments, newest first
    List {
        /// Only those in this state; open are all that are not finished
        #[arg(long, value_parser = PossibleValuesParser::new(states()), hide_possible_values = true)]
        state: Option<String>,
        /// Only those since this day or time, like 2026-11-20 or "2026-11-20 10:00"
        #[arg(long, value_name = "TIME", value_parser = since)]
        since: Option<String>,
        /// At most so many, 1 to 500
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
        limit: Option<u16>,
        /// Go on where the last page ended
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Cancel a payment and wait for its outcome
    Cancel {
        /// The merchant order number
        order: String,
        /// Leave after so many seconds; the terminal goes on cancelling
        #[arg(long, value_name = "SECS")]
        wait: Option<u64>,
    },
    /// Give money of a paid payment back and wait for the outcome
    Refund(RefundArgs),
    /// Give a waiting payment its code and wait for its outcome
    Code {
        /// The merchant order number
        order: String,
        /// The payment code; - reads it from standard input, out of the shell's history
        #[arg(value_parser = secret)]
        code: SecretText,
        /// Leave after so many seconds; the terminal goes on with the payment
        #[arg(long, value_name = "SECS")]
        wait: Option<u64>,
    },
    /// Show what happens at the terminal, one line for each event
    Watch {
        /// Begin after the event with this id; 0 is everything that is kept
        #[arg(long, value_name = "ID")]
        from: Option<String>,
    },
    /// How the terminal is: scanners, gateway, journal, clock
    Status,
    /// List the scanners, and what is plugged in and could be one
    Scanners {
        /// learn: find a scanner by one scan, and print its configuration and udev rule
        #[arg(value_enum, hide_possible_values = true)]
        what: Option<Learn>,
        /// How long learn waits for a scan, in seconds
        #[arg(long, value_name = "SECS", default_value_t = 60)]
        timeout: u64,
        /// Look at the /sys and /dev below another root
        #[arg(long, value_name = "DIR", hide = true)]
        sysroot: Option<PathBuf>,
    },
    /// Examine the terminal and say how to mend each fault
    Doctor {
        /// Examine the box and the daemon of this configuration [default:
        /// /etc/tilld/tilld.toml, unless another socket is named]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// See the whole job at work on this machine; nothing to install or configure
    Demo {
        /// Keep the demo's files, and say where they are
        #[arg(long)]
        keep: bool,
    },
    /// A simulated Alipay gateway, for developing a register program
    Sandbox(crate::sandbox::cli::Args),
}

/// What `till scanners` can do beside listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Learn {
    /// Find a scanner by one scan.
    Learn,
}

/// What a payment needs.
#[derive(Debug, Args)]
pub(super) struct PayArgs {
    /// In yuan, at most two decimals, like 12.50
    pub(super) amount: String,
    /// What the customer sees on the phone
    #[arg(long)]
    pub(super) subject: String,
    /// The merchant order number, 1 to 64 of A-Z a-z 0-9 _; the same again never charges twice
    #[arg(long, value_name = "NO")]
    pub(super) order: Option<String>,
    /// The register's name for the sale; a sale is paid once at most
    #[arg(long)]
    pub(super) sale: Option<String>,
    /// The payment code; - reads it from standard input, out of the shell's history
    #[arg(long, value_parser = secret)]
    pub(super) code: Option<SecretText>,
    /// Which scanner takes the code
    #[arg(long, value_name = "ID")]
    pub(super) scanner: Option<String>,
    /// Show a QR code that the customer scans, instead of taking the customer's code
    #[arg(long, conflicts_with_all = ["code", "scanner"])]
    pub(super) qr: bool,
    /// The length of the window in seconds; after it the terminal cancels
    #[arg(long, value_name = "SECS")]
    pub(super) timeout: Option<u64>,
    /// Leave after so many seconds; the terminal goes on with the payment
    #[arg(long, value_name = "SECS")]
    pub(super) wait: Option<u64>,
}

/// What a refund needs.
#[derive(Debug, Args)]
pub(super) struct RefundArgs {
    /// The merchant order number of the payment
    pub(super) order: String,
    /// How much goes back, in yuan, like 5.00
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(super) amount: Option<Amount>,
    /// All that is left of the payment
    #[arg(long)]
    pub(super) all: bool,
    /// The refund's number, 1 to 64 of A-Z a-z 0-9 _; the same again never gives back twice
    #[arg(long, value_name = "NO")]
    pub(super) request: Option<String>,
    /// Why; passed on to Alipay
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Do not ask; needed where there is nobody to ask
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Leave after so many seconds; the terminal goes on with the refund
    #[arg(long, value_name = "SECS")]
    pub(super) wait: Option<u64>,
}

/// The seconds of `--wait` as a length.
pub(super) fn seconds(wait: Option<u64>) -> Option<Duration> {
    wait.map(Duration::from_secs)
}

/// What `list` can be asked for, also by a shell that completes it.
fn states() -> impl Iterator<Item = &'static str> {
    ["open"].into_iter().chain(Public::ALL.into_iter().map(Public::name))
}

/// A day or a time as people write it, as the API reads it. Without an offset it
/// is Alipay's time, in which everything is shown.
fn since(text: &str) -> Result<String, String> {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    let day = match text.split_once([' ', 'T']) {
        None => format!("{text}T00:00:00"),
        Some((day, clock)) if clock.len() == "10:00".len() => format!("{day}T{clock}:00"),
        Some((day, clock)) => format!("{day}T{clock}"),
    };
    let is_time = |text: &String| OffsetDateTime::parse(text, &Rfc3339).is_ok();
    [format!("{day}+08:00"), day].into_iter().find(is_time).ok_or_else(|| {
        "write a day like 2026-11-20, or a time like \"2026-11-20 10:00\"".to_owned()
    })
}

fn secret(text: &str) -> Result<SecretText, std::convert::Infallible> {
    Ok(SecretText::new(text.to_owned()))
}

/// Reads the command line, and the language in which to speak about it.
///
/// # Errors
///
/// What to print, and whether that is help or a complaint.
pub(super) fn read(arguments: Vec<OsString>) -> (Lang, Result<Cli, clap::Error>) {
    // The help is asked for in some language as well, so the language is found
    // before the line is understood.
    let lang =
        asked_lang(&arguments).unwrap_or_else(|| Lang::of_locale(|name| std::env::var(name).ok()));
    let command = match lang {
        Lang::Zh => in_chinese(Cli::command()),
        Lang::En => Cli::command(),
    };
    let read = command.try_get_matches_from(arguments).and_then(|m| Cli::from_arg_matches(&m));
    (lang, read)
}

fn asked_lang(arguments: &[OsString]) -> Option<Lang> {
    let mut texts = arguments.iter().filter_map(|text| text.to_str());
    while let Some(text) = texts.next() {
        let value = match text.strip_prefix("--lang") {
            Some("") => texts.next()?,
            Some(value) => value.strip_prefix('=')?,
            None => continue,
        };
        return match value {
            "zh" => Some(Lang::Zh),
            "en" => Some(Lang::En),
            _ => None,
        };
    }
    None
}

/// The same command with Chinese help.
fn in_chinese(mut command: clap::Command) -> clap::Command {
    let template =
        format!("{{about}}\n\n{}{{usage}}\n\n{{all-args}}", words::USAGE_HEAD.text(Lang::Zh));
    let of = |key: &str| words::HELP_ZH.iter().find(|(k, _)| *k == key).map(|(_, text)| *text);
    let flag = |name: &'static str, short: char, help: Phrase, action: ArgAction| {
        Arg::new(name).short(short).long(name).help(help.text(Lang::Zh)).action(action)
    };
    let translate = |command: clap::Command, name: &str| {
        let command = match of(name) {
            Some(about) => command.about(about),
            None => command,
        };
        command
            .disable_help_flag(true)
            .arg(flag("help", 'h', words::HELP_FLAG, ArgAction::Help))
            .help_template(template.clone())
            .subcommand_value_name(words::COMMANDS_HEAD.text(Lang::Zh))
            .subcommand_help_heading(words::COMMANDS_HEAD.text(Lang::Zh))
            .mut_args(|argument| {
                let heading = if argument.is_positional() {
                    words::ARGUMENTS_HEAD
                } else {
                    words::OPTIONS_HEAD
                };
                let argument = argument.help_heading(heading.text(Lang::Zh));
                match of(&format!("{name}.{}", argument.get_id())) {
                    Some(help) => argument.help(help),
                    None => argument,
                }
            })
    };
    command = command.disable_version_flag(true).arg(flag(
        "version",
        'V',
        words::VERSION_FLAG,
        ArgAction::Version,
    ));
    command = translate(command, "");
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(&name, |sub| translate(sub, &name));
    }
    command
}

/// What is wrong with the line, in one sentence; clap's own words for what has
/// none of ours.
pub(super) fn complaint(error: &clap::Error, lang: Lang) -> Option<String> {
    let context = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" "),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let (phrase, values) = match (lang, error.kind()) {
        (Lang::Zh, ErrorKind::UnknownArgument) => {
            (words::UNKNOWN_ARGUMENT, vec![context(ContextKind::InvalidArg)])
        }
        (Lang::Zh, ErrorKind::MissingRequiredArgument) => {
            (words::MISSING_ARGUMENT, vec![context(ContextKind::InvalidArg)])
        }
        (Lang::Zh, ErrorKind::InvalidSubcommand) => {
            (words::UNKNOWN_COMMAND, vec![context(ContextKind::InvalidSubcommand)])
        }
        (Lang::Zh, ErrorKind::InvalidValue | ErrorKind::ValueValidation) => (
            words::WRONG_VALUE,
            vec![context(ContextKind::InvalidArg), context(ContextKind::InvalidValue)],
        ),
        _ => return None,
    };
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    Some(format!("{}\n{}", phrase.fill(lang, &values), words::SEE_HELP.text(lang)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_fault() {
        Cli::command().debug_assert();
        in_chinese(Cli::command()).debug_assert();
    }

    #[test]
    fn the_chinese_help_speaks_of_everything() {
        let has = |key: &str| words::HELP_ZH.iter().any(|(k, _)| *k == key);
        let command = Cli::command();
        let mut keys = vec![];
        for (name, command) in
            command.get_subcommands().map(|sub| (sub.get_name(), sub)).chain([("", &command)])
        {
            keys.push(name.to_owned());
            keys.extend(command.get_arguments().map(|a| format!("{name}.{}", a.get_id())));
        }
        for key in &keys {
            assert!(has(key), "{key} has no Chinese help");
        }
        for (key, _) in words::HELP_ZH {
            assert!(keys.iter().any(|k| k == key), "{key} is no command or argument");
        }
    }

    #[test]
    fn the_language_is_known_before_the_line_is_understood() {
        for (line, lang) in [
            ("till --lang zh --help", Some(Lang::Zh)),
            ("till pay --lang=en", Some(Lang::En)),
            ("till pay --lang", None),
            ("till --lang fr", None),
            ("till status", None),
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(asked_lang(&arguments), lang, "{line}");
        }
    }

    #[test]
    fn every_state_can_be_asked_for_and_completed() {
        for state in ["open", "awaiting_code", "paid", "cancelled"] {
            let line = ["till", "list", "--state", state].map(OsString::from);
            assert!(read(line.to_vec()).1.is_ok(), "{state}");
        }
        let line = ["till", "list", "--state", "opne"].map(OsString::from);
        assert!(read(line.to_vec()).1.is_err());
        let command = Cli::command();
        let list = command.find_subcommand("list").expect("list");
        let state = list.get_arguments().find(|argument| argument.get_id() == "state");
        let offered = state.expect("state").get_possible_values();
        assert_eq!(offered.len(), 1 + Public::ALL.len());
    }

    #[test]
    fn a_day_is_a_time_too() {
        for (text, read) in [
            ("2026-11-27", "2026-11-27T00:00:00+08:00"),
            ("2026-11-27 09:30", "2026-11-27T09:30:00+08:00"),
            ("2026-11-27T09:30:15", "2026-11-27T09:30:15+08:00"),
            ("2026-11-27T09:30:15.5Z", "2026-11-27T09:30:15.5Z"),
            ("2026-11-27T10:00:00+09:00", "2026-11-27T10:00:00+09:00"),
        ] {
            assert_eq!(since(text).as_deref(), Ok(read), "{text}");
        }
        for text in ["yesterday", "2026-11-31", "27.11.2026", "", "2026-11-27 9h"] {
            assert!(since(text).expect_err(text).contains("2026-11-20"), "{text}");
        }
    }

    #[test]
    fn a_code_does_not_show_in_what_was_read() {
        let (_, read) = read(
            ["till", "pay", "1", "--subject", "x", "--code", "281234567890123494"]
                .map(OsString::from)
                .to_vec(),
        );
        assert!(!format!("{read:?}").contains("281234567890123494"));
    }
}
