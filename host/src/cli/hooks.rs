//! What can be said about hooks, and the audit log.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, builder::BoolishValueParser};
use serde::Deserialize;
use sql_batcher::{
    Builder, Options,
    hooks::{AuditLog, HookLimits, HookPolicy, SandboxedHook},
};

use super::{
    Usage,
    config::Config,
    units::{ByteSize, TimeSpan},
};

/// Hooks, and the audit log, which is one.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Hooks")]
pub(super) struct HookArgs {
    /// A hook: a WebAssembly component of the world `hook`, which looks at every batch in a sandbox
    /// of its own, and the text it is configured with. May be given several times; in the
    /// environment, one a line
    #[arg(long, value_name = "FILE[=CONFIG]", env = "SQL_BATCHER_HOOK", hide_env_values = true)]
    #[arg(value_delimiter = '\n')]
    hook: Vec<String>,

    /// What happens when a hook fails: the run ends, or goes on without it [default: abort]
    #[arg(long, value_name = "WHAT", env = "SQL_BATCHER_HOOK_POLICY")]
    hook_policy: Option<HookPolicyArg>,

    /// How long one call of a hook may take [default: 100ms]
    #[arg(long, value_name = "TIME", env = "SQL_BATCHER_HOOK_TIMEOUT")]
    hook_timeout: Option<TimeSpan>,

    /// Most memory of a hook [default: 16MiB, and 4 times --max-bytes if that is above 1MiB]
    #[arg(long, value_name = "SIZE", env = "SQL_BATCHER_HOOK_MEMORY")]
    hook_memory: Option<ByteSize>,

    /// Largest file that is taken as a hook [default: 16MiB]
    #[arg(long, value_name = "SIZE", env = "SQL_BATCHER_HOOK_COMPONENT_BYTES")]
    hook_component_bytes: Option<ByteSize>,

    /// Bytes of each batch that are left free for what hooks add [default: 1KiB, or half of
    /// --max-bytes if that is less]
    #[arg(long, value_name = "SIZE", env = "SQL_BATCHER_HOOK_ROOM")]
    hook_room: Option<ByteSize>,

    /// File that gets one line of JSON for each batch that was sent: when, from where, how many
    /// statements and bytes, its SHA-256, and how it ended
    #[arg(long, value_name = "FILE", env = "SQL_BATCHER_AUDIT_LOG")]
    audit_log: Option<PathBuf>,

    /// With --audit-log: write the SQL text, too
    #[arg(long, env = "SQL_BATCHER_AUDIT_SQL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true)]
    #[arg(value_name = "true|false", value_parser = BoolishValueParser::new())]
    audit_sql: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum HookPolicyArg {
    /// The run ends
    #[default]
    Abort,
    /// The run goes on without the hook for this batch; the report counts it
    Ignore,
}

/// One hook in the configuration file, or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum HookList {
    One(String),
    Several(Vec<String>),
}

/// Which hooks there are to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HooksPlan {
    hooks: Vec<HookPlan>,
    policy: HookPolicy,
    limits: HookLimits,
    audit_log: Option<PathBuf>,
    audit_sql: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct HookPlan {
    path: PathBuf,
    config: String,
}

/// Hooks that can be used.
pub(super) struct Loaded {
    hooks: Vec<(String, SandboxedHook)>,
    policy: HookPolicy,
    audit_log: Option<AuditLog>,
}

impl HookArgs {
    /// What is left free for hooks; what was not said is left as it is.
    pub(super) fn with_room(&self, options: Options, config: &Config) -> Options {
        match self.hook_room.or(config.hook_room) {
            Some(ByteSize(bytes)) => options.hook_room(bytes),
            None => options,
        }
    }

    /// What was asked for.
    ///
    /// # Errors
    /// Where what was said does not go together.
    pub(super) fn settle(self, config: &Config) -> Result<HooksPlan, Usage> {
        let said = match (self.hook.is_empty(), &config.hook) {
            (false, _) => self.hook,
            (true, Some(HookList::One(hook))) => vec![hook.clone()],
            (true, Some(HookList::Several(hooks))) => hooks.clone(),
            (true, None) => Vec::new(),
        };
        let audit_log = self.audit_log.or_else(|| config.audit_log.clone());
        let audit_sql = self.audit_sql.or(config.audit_sql).unwrap_or_default();
        if audit_sql && audit_log.is_none() {
            return Err(Usage("audit-sql needs audit-log, a file".into()));
        }
        let mut limits = HookLimits::default();
        if let Some(TimeSpan(time)) = self.hook_timeout.or(config.hook_timeout) {
            limits.call_timeout = time;
        }
        if let Some(ByteSize(bytes)) = self.hook_component_bytes.or(config.hook_component_bytes) {
            limits.component_bytes = bytes;
        }
        limits.memory_bytes = self.hook_memory.or(config.hook_memory).map(|ByteSize(bytes)| bytes);
        let policy = match self.hook_policy.or(config.hook_policy).unwrap_or_default() {
            HookPolicyArg::Abort => HookPolicy::Abort,
            HookPolicyArg::Ignore => HookPolicy::Ignore,
        };
        let hooks = said.iter().map(|hook| HookPlan::of(hook)).collect();
        Ok(HooksPlan { hooks, policy, limits, audit_log, audit_sql })
    }
}

impl HookPlan {
    /// What is before the first `=` is the file.
    fn of(said: &str) -> Self {
        let (path, config) = said.split_once('=').unwrap_or((said, ""));
        Self { path: PathBuf::from(path), config: config.to_owned() }
    }

    fn load(&self, limits: HookLimits) -> Result<(String, SandboxedHook), Usage> {
        let hook = SandboxedHook::open(&self.path, limits)
            .map_err(|error| Usage(format!("cannot use the hook: {error}")))?;
        Ok((name_of(&self.path), hook.config(self.config.as_str())))
    }
}

/// A hook is called after its file.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    stem.chars().take(64).collect()
}

impl HooksPlan {
    /// Reads and compiles the hooks, and opens the audit log.
    ///
    /// # Errors
    /// Where one cannot be used.
    pub(super) fn load(&self) -> Result<Loaded, Usage> {
        let hooks =
            self.hooks.iter().map(|hook| hook.load(self.limits)).collect::<Result<_, _>>()?;
        let open = |path: &PathBuf| {
            let opened = AuditLog::open(path);
            let log = opened.map_err(|error| {
                Usage(format!("cannot write the audit log {}: {error}", path.display()))
            })?;
            Ok(log.with_sql(self.audit_sql))
        };
        let audit_log = self.audit_log.as_ref().map(open).transpose()?;
        Ok(Loaded { hooks, policy: self.policy, audit_log })
    }

    /// What a dry run leaves out.
    pub(super) fn note_for_dry_run(&self) -> Option<String> {
        let some = !self.hooks.is_empty() || self.audit_log.is_some();
        some.then(|| "dry run: no hook was asked".to_owned())
    }
}

impl Loaded {
    /// Registers the hooks; the audit log last, so that it sees what is sent.
    pub(super) fn register(self, builder: Builder) -> Builder {
        let Self { hooks, policy, audit_log } = self;
        let builder = hooks
            .into_iter()
            .fold(builder, |builder, (name, hook)| builder.sandboxed_hook(name, policy, hook));
        match audit_log {
            Some(log) => builder.hook("audit-log", policy, log),
            None => builder,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_behind_the_first_equals_sign_configures_the_hook() {
        let args = HookArgs {
            hook: vec!["a/guard.wasm=deny=drop".into(), "b.wasm".into()],
            ..HookArgs::default()
        };
        let plan = args.settle(&Config::default()).unwrap();
        let expected = [("a/guard.wasm", "deny=drop"), ("b.wasm", "")]
            .map(|(path, config)| HookPlan { path: path.into(), config: config.into() });
        assert_eq!(plan.hooks, expected);
        assert_eq!(name_of(&plan.hooks[0].path), "guard");
        assert_eq!(plan.limits, HookLimits::default());
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let config = Config {
            hook: Some(HookList::Several(vec!["file.wasm".into()])),
            hook_policy: Some(HookPolicyArg::Ignore),
            hook_timeout: Some(TimeSpan(Duration::from_secs(1))),
            ..Config::default()
        };
        let plan = HookArgs::default().settle(&config).unwrap();
        assert_eq!(plan.hooks[0].path, Path::new("file.wasm"));
        assert_eq!(plan.policy, HookPolicy::Ignore);
        assert_eq!(plan.limits.call_timeout, Duration::from_secs(1));
        let args = HookArgs {
            hook: vec!["said.wasm".into()],
            hook_policy: Some(HookPolicyArg::Abort),
            ..HookArgs::default()
        };
        let plan = args.settle(&config).unwrap();
        assert_eq!((plan.hooks.len(), plan.policy), (1, HookPolicy::Abort));
        assert_eq!(plan.hooks[0].path, Path::new("said.wasm"));
    }

    #[test]
    fn sql_is_written_only_where_there_is_a_file_for_it() {
        let args = HookArgs { audit_sql: Some(true), ..HookArgs::default() };
        assert!(args.settle(&Config::default()).is_err());
    }
}
