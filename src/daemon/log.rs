//! Lines for people: to stderr, and with priorities when the service manager
//! reads them.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::registry::LookupSpan;

/// Starts to log. `TILLD_LOG` chooses what, in the words of tracing's
/// `EnvFilter`; unset it is `info`. Other crates are kept to warnings whatever
/// it says, because what they would tell may hold requests.
pub(super) fn start() {
    let level = std::env::var("TILLD_LOG").unwrap_or_else(|_| "info".to_owned());
    let ours = match level.as_str() {
        "error" | "warn" | "info" | "debug" | "trace" => level,
        _ => "info".to_owned(),
    };
    let filter = EnvFilter::new(format!("warn,tilld={ours}"));
    let by_systemd = std::env::var_os("JOURNAL_STREAM").is_some();
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    // A second start (tests in one process) changes nothing.
    let _ = if by_systemd {
        builder
            .event_format(Prioritized(Format::default().without_time().with_level(false)))
            .try_init()
    } else {
        builder.with_ansi(false).with_target(false).try_init()
    };
}

/// The prefix `<N>` by which the service manager knows a line's priority
/// (sd-daemon(3)).
struct Prioritized(Format<tracing_subscriber::fmt::format::Full, ()>);

impl<S> FormatEvent<S, DefaultFields> for Prioritized
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}
