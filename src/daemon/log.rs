//! Lines for people: to stderr, and with priorities when the service manager
//! reads them.

use std::fmt;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts to log. `TILLD_LOG` says from which level on, `error` to `trace`; unset
/// it is `info`. Other crates are kept to warnings whatever it says, because what
/// they would tell may hold requests.
pub(super) fn start() {
    let ours = match std::env::var("TILLD_LOG").unwrap_or_default().as_str() {
        "error" => Level::ERROR,
        "warn" => Level::WARN,
        "debug" => Level::DEBUG,
        "trace" => Level::TRACE,
        _ => Level::INFO,
    };
    let filter = Targets::new().with_default(Level::WARN).with_target("tilld", ours);
    let by_systemd = std::env::var_os("JOURNAL_STREAM").is_some();
    let builder =
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(LevelFilter::TRACE);
    // A second start (tests in one process) changes nothing.
    let _ = if by_systemd {
        builder
            .event_format(Prioritized(Format::default().without_time().with_level(false)))
            .finish()
            .with(filter)
            .try_init()
    } else {
        builder.with_ansi(false).with_target(false).finish().with(filter).try_init()
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
