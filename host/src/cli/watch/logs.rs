//! The log: what the library and this program say through `tracing`, on standard error, beside the
//! progress bar. Also the one subscriber of the process, which hands spans on to be sent.

use std::{
    env,
    io::{self, IsTerminal as _},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use opentelemetry_sdk::trace::SdkTracer;
use tracing::{
    Level, Metadata,
    level_filters::LevelFilter,
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer, Registry,
    filter::{Targets, filter_fn},
    layer::{Context, SubscriberExt as _},
};

use crate::cli::{args::Format, progress::Progress};

/// What the crates of this project say has this at its beginning.
const LIBRARY: &str = "sql_batcher";
/// What this program says has this.
const PROGRAM: &str = "sql_batcher::cli";
/// What OpenTelemetry says at the end, where it had to drop spans.
const LOST_SPANS: &str = "BatchSpanProcessor.SpansDropped";

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// What is wanted of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogPlan {
    /// How often `-v` was said.
    pub(super) verbose: u8,
    /// None: not said.
    pub(super) format: Option<Format>,
    pub(super) quiet: bool,
}

/// What is logged, of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Levels {
    library: LevelFilter,
    program: LevelFilter,
}

/// Starts the log, and gives spans to the tracer, if there is one.
pub(super) fn start(plan: LogPlan, progress: &Progress, tracer: Option<(SdkTracer, OpenSpans)>) {
    let levels = plan.levels();
    let wanted = filter_fn(move |metadata| levels.want(metadata));
    // The program's own level is never below the library's.
    let wanted = wanted.with_max_level_hint(levels.program);
    let log = layer(plan.format.unwrap_or_default(), progress.clone()).with_filter(wanted);
    let layers = [Some(log.boxed()), tracer.map(spans)];
    let subscriber = Registry::default().with(layers.into_iter().flatten().collect::<Vec<_>>());
    // There is none yet: this is the program, and it does so once.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

fn layer(format: Format, progress: Progress) -> BoxedLayer {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let log = tracing_subscriber::fmt::layer()
        .with_ansi(io::stderr().is_terminal() && !no_color)
        .with_writer(move || Beside(progress.clone()));
    match format {
        Format::Text => log.with_target(false).boxed(),
        Format::Json => log.json().flatten_event(true).with_current_span(false).boxed(),
    }
}

/// The library's spans, with what is said in them. Where in the code that is, and in which thread,
/// says nothing to whoever runs the program.
fn spans((tracer, open): (SdkTracer, OpenSpans)) -> BoxedLayer {
    let library = Targets::new().with_target(LIBRARY, Level::DEBUG);
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        // What is closed was given to the tracer before.
        .and_then(open)
        .with_filter(library)
        .boxed()
}

/// How many spans are open. A driver's thread may hold one a moment longer than the run lasts.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenSpans(Arc<AtomicUsize>);

impl OpenSpans {
    /// Waits until none is, for so long at most.
    pub(super) fn end(&self, within: Duration) {
        let started = Instant::now();
        while self.0.load(Ordering::Acquire) > 0 && started.elapsed() < within {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Layer<Registry> for OpenSpans {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, Registry>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn on_close(&self, _: Id, _: Context<'_, Registry>) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl LogPlan {
    /// Without a word about a log there is none: what a run has to say it says at its end. What
    /// the program itself has to say comes even then, unless it is to be quiet.
    fn levels(self) -> Levels {
        let library = match (self.verbose, self.format, self.quiet) {
            (0, None, _) => LevelFilter::OFF,
            (0, Some(_), true) => LevelFilter::ERROR,
            (0, Some(_), false) => LevelFilter::WARN,
            (1, ..) => LevelFilter::INFO,
            (2, ..) => LevelFilter::DEBUG,
            (3.., ..) => LevelFilter::TRACE,
        };
        let least = if self.quiet { LevelFilter::ERROR } else { LevelFilter::INFO };
        Levels { library, program: library.max(least) }
    }
}

impl Levels {
    fn want(self, metadata: &Metadata<'_>) -> bool {
        self.limit(metadata.target(), metadata.name()) >= *metadata.level()
    }

    fn limit(self, target: &str, name: &str) -> LevelFilter {
        match target {
            _ if target.starts_with(PROGRAM) || name == LOST_SPANS => self.program,
            _ if target.starts_with(LIBRARY) => self.library,
            _ => LevelFilter::OFF,
        }
    }
}

/// Standard error, beside the progress bar. A line of the log comes in one piece.
struct Beside(Progress);

impl io::Write for Beside {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(verbose: u8, format: Option<Format>, quiet: bool) -> (LevelFilter, LevelFilter) {
        let Levels { library, program } = LogPlan { verbose, format, quiet }.levels();
        (library, program)
    }

    #[test]
    fn the_log_is_as_long_as_was_asked_for() {
        let json = Some(Format::Json);
        assert_eq!(levels(0, None, false), (LevelFilter::OFF, LevelFilter::INFO));
        assert_eq!(levels(0, None, true), (LevelFilter::OFF, LevelFilter::ERROR));
        assert_eq!(levels(0, json, false), (LevelFilter::WARN, LevelFilter::INFO));
        assert_eq!(levels(0, json, true), (LevelFilter::ERROR, LevelFilter::ERROR));
        assert_eq!(levels(1, None, true), (LevelFilter::INFO, LevelFilter::INFO));
        assert_eq!(levels(2, json, false), (LevelFilter::DEBUG, LevelFilter::DEBUG));
        assert_eq!(levels(9, None, false), (LevelFilter::TRACE, LevelFilter::TRACE));
    }

    #[test]
    fn what_other_crates_say_is_never_in_the_log() {
        let levels = LogPlan { verbose: 9, format: None, quiet: false }.levels();
        for target in ["sqlx::query", "hyper", "wasmtime", "opentelemetry_sdk", "sql"] {
            assert_eq!(levels.limit(target, "event"), LevelFilter::OFF, "{target}");
        }
        assert_eq!(levels.limit("sql_batcher_adapters::pool", "event"), LevelFilter::TRACE);
        assert_eq!(levels.limit("opentelemetry_sdk", LOST_SPANS), LevelFilter::TRACE);
    }

    /// The names above are those of the crates.
    #[test]
    fn this_program_says_things_under_its_own_name() {
        assert!(module_path!().starts_with(PROGRAM) && PROGRAM.starts_with(LIBRARY));
    }
}
