//! `run`: scripts into a database.

use std::{future::pending, io, pin::pin};

use sql_batcher::{Batcher, Error, RejectsFile, Result};
use tokio::{runtime::Runtime, sync::watch};

use super::{
    Usage,
    args::RunArgs,
    dry_run,
    ending::{Ended, Exit, conclude},
    hooks::Loaded,
    inputs::{Input, Inputs},
    plan::Plan,
    progress::Progress,
    recovery::RejectsPlan,
    say,
    signals::Signals,
    watch::Watch,
};

/// Runs the scripts, and says how it went.
///
/// # Errors
/// What cannot be done, before anything is.
pub(super) fn run(args: RunArgs) -> Result<Exit, Usage> {
    let plan = Plan::of(args)?;
    let prompt = plan.inputs.waits_for_keyboard();
    if let Some(text) = prompt.filter(|_| !plan.quiet) {
        say(text);
    }
    // A bar would get in the way of what is typed.
    let progress = Progress::new(plan.progress && prompt.is_none(), plan.inputs.total_bytes);
    let watch = Watch::start(&plan.watch, &progress)?;
    let ended = match plan.dry_run {
        true => dry_run::count(&plan, &progress),
        false => run_watched(&plan, &progress),
    };
    let has_totals = ended.as_ref().is_ok_and(|ended| !ended.interrupted) && !plan.dry_run;
    let exit = ended.map(|ended| conclude(&plan, ended));
    watch.end(has_totals);
    exit
}

fn run_watched(plan: &Plan, progress: &Progress) -> Result<Ended, Usage> {
    let cannot_start = |error: io::Error| Usage(format!("cannot start: {error}"));
    let runtime = Runtime::new().map_err(cannot_start)?;
    let hooks = plan.hooks.load()?;
    let rejects = plan.rejects.as_ref().map(RejectsPlan::open).transpose()?;
    let beside = Beside { rejects, hooks };
    let ended = runtime.block_on(apply(plan, progress, beside)).map_err(cannot_start);
    // A read from a terminal that nobody answers is left alone.
    runtime.shutdown_background();
    progress.clear();
    ended
}

/// What a run has besides its options.
struct Beside {
    rejects: Option<RejectsFile>,
    hooks: Loaded,
}

/// Connects and runs, until the end or the second signal.
async fn apply(plan: &Plan, progress: &Progress, beside: Beside) -> io::Result<Ended> {
    let mut signals = Signals::listen()?;
    let connected = tokio::select! {
        connected = connect(plan, progress, beside) => connected,
        () = signals.next() => {
            let error = Some(Error::cancelled("interrupted before anything was sent"));
            return Ok(Ended { error, interrupted: true, ..Ended::default() });
        }
    };
    let batcher = match connected {
        Ok(batcher) => batcher,
        Err(error) => return Ok(error.into()),
    };
    let canceller = batcher.canceller();
    let (stop, stopped) = watch::channel(false);
    let mut feeding = pin!(feed(batcher, &plan.inputs, stopped));
    tokio::select! {
        ended = &mut feeding => return Ok(ended),
        () = signals.next() => {}
    }
    canceller.cancel();
    stop.send_replace(true);
    progress.say("stopping after the batch that is under way; once more aborts it");
    tokio::select! {
        ended = &mut feeding => return Ok(Ended { interrupted: true, ..ended }),
        () = signals.next() => {}
    }
    canceller.abort();
    Ok(Ended { interrupted: true, ..feeding.await })
}

async fn connect(plan: &Plan, progress: &Progress, beside: Beside) -> Result<Batcher> {
    let adapter = sql_batcher::connect(plan.database.url(), &plan.pool, &plan.retries).await?;
    let mut builder = Batcher::builder_boxed(adapter).options(plan.options.clone());
    let Beside { rejects, hooks } = beside;
    builder = hooks.register(builder);
    if let Some(rejects) = rejects {
        let most = plan.rejects.as_ref().and_then(|rejects| rejects.max);
        builder = builder.skip_bad(rejects, most);
    }
    let progress = progress.clone();
    builder.observer(move |so_far| progress.show(so_far)).build().await
}

async fn feed(mut batcher: Batcher, inputs: &Inputs, mut stopped: watch::Receiver<bool>) -> Ended {
    for input in &inputs.list {
        let read = tokio::select! {
            read = read(&mut batcher, input) => read,
            // Then it is not the input that says how the run ends.
            () = stop_wanted(&mut stopped) => break,
        };
        let Err(error) = read else { continue };
        if error.report().is_some() {
            return error.into();
        }
        // The input has failed, not the run: what is under way may end.
        batcher.cancel();
        let ended = Ended::from(batcher.finish().await);
        return Ended { error: Some(error), ..ended };
    }
    batcher.finish().await.into()
}

async fn read(batcher: &mut Batcher, input: &Input) -> Result<()> {
    match input {
        Input::Stdin => batcher.read_from(input.name(), tokio::io::stdin()).await,
        Input::File(path) => batcher.read_file(path).await,
    }
}

async fn stop_wanted(stopped: &mut watch::Receiver<bool>) {
    if stopped.wait_for(|stop| *stop).await.is_err() {
        pending::<()>().await;
    }
}
