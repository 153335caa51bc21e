//! What a sandboxed hook may use.

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    Error, ErrorKind, Result,
    options::{duration_in_range, in_range},
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The most that 32-bit WebAssembly can address.
const MEMORY: RangeInclusive<u64> = 64 * KIB..=4 * GIB;
const CALL_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(3600);
const COMPONENT: RangeInclusive<u64> = 1..=GIB;

/// What a sandboxed hook may use. They are limits, not reservations. What it answers is limited,
/// too: to the largest body of the run and 64 KiB. Its stack is 512 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookLimits {
    /// Bytes of all its linear memories together, 64 KiB to 4 GiB. Default, none: 16 MiB, and 4
    /// times the largest body of the run where that is above 1 MiB.
    pub memory_bytes: Option<u64>,
    /// Wall time of one call: 10 ms to 1 hour, kept to the next 5 ms. Default 100 ms. Starting it is
    /// a call, and configuring it another.
    pub call_timeout: Duration,
    /// Bytes of the component itself, 1 to 1 GiB, default 16 MiB: what is larger is refused before
    /// anything of it is looked at. Compiling takes about a second for each MiB of code, once:
    /// the result is kept in the user's cache folder.
    pub component_bytes: u64,
}

impl Default for HookLimits {
    fn default() -> Self {
        Self {
            memory_bytes: None,
            call_timeout: Duration::from_millis(100),
            component_bytes: 16 * MIB,
        }
    }
}

impl HookLimits {
    pub(super) fn check(&self) -> Result<()> {
        if let Some(bytes) = self.memory_bytes {
            in_range("hook_memory", bytes, MEMORY)?;
        }
        duration_in_range("hook_timeout", self.call_timeout, CALL_TIMEOUT)?;
        in_range("hook_component_bytes", self.component_bytes, COMPONENT)
    }

    pub(super) fn check_component(&self, bytes: u64) -> Result<()> {
        let limit = self.component_bytes;
        if bytes <= limit {
            return Ok(());
        }
        let message = format!("a hook of {bytes} bytes exceeds the limit of {limit}");
        Err(Error::new(ErrorKind::InvalidOptions, message))
    }

    /// The memory limit in a run with bodies of at most so many bytes.
    pub(super) fn memory_for(&self, max_body_bytes: u64) -> u64 {
        let more = if max_body_bytes > MIB { 4 * max_body_bytes } else { 0 };
        self.memory_bytes.unwrap_or(16 * MIB + more).min(*MEMORY.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_a_range() {
        let limits = HookLimits::default;
        assert!(limits().check().is_ok());
        for memory_bytes in [64 * KIB - 1, 4 * GIB + 1] {
            assert!(HookLimits { memory_bytes: Some(memory_bytes), ..limits() }.check().is_err());
        }
        for call_timeout in [Duration::from_millis(9), Duration::from_secs(3601)] {
            assert!(HookLimits { call_timeout, ..limits() }.check().is_err());
        }
        for component_bytes in [0, GIB + 1] {
            assert!(HookLimits { component_bytes, ..limits() }.check().is_err());
        }
    }

    #[test]
    fn a_component_is_kept_to_its_size_one_below_at_and_one_above() {
        let limits = HookLimits { component_bytes: 10, ..HookLimits::default() };
        assert!(limits.check_component(9).is_ok() && limits.check_component(10).is_ok());
        let error = limits.check_component(11).unwrap_err();
        assert_eq!(error.to_string(), "a hook of 11 bytes exceeds the limit of 10");
    }

    #[test]
    fn large_bodies_raise_the_default_of_memory() {
        assert_eq!(HookLimits::default().memory_for(MIB), 16 * MIB);
        assert_eq!(HookLimits::default().memory_for(8 * MIB), 48 * MIB);
        assert_eq!(HookLimits::default().memory_for(GIB), 4 * GIB);
    }
}
