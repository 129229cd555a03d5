//! Measures CPU time in tests of bounded work.

use std::time::Duration;

/// The longest CPU time that any input may take.
pub(crate) const LONGEST: Duration = Duration::from_millis(100);

/// The CPU time of the fastest of three attempts: other processes may interrupt some of them.
pub(crate) fn fastest(mut work: impl FnMut()) -> Duration {
    let attempt = |_| {
        let start = cpu_time();
        work();
        cpu_time().saturating_sub(start)
    };
    (0..3).map(attempt).min().unwrap_or_default()
}

/// The time that this thread has used.
fn cpu_time() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the tests run on Linux");
    let used = statistics.split(' ').next().and_then(|used| used.parse().ok());
    Duration::from_nanos(used.expect("the first number is the time used, in nanoseconds"))
}

#[test]
fn fastest_measures_cpu_time() {
    let mut sum = 0_u64;
    let elapsed = fastest(|| sum = (0..20_000_000).fold(sum, |sum, number| std::hint::black_box(sum ^ number)));
    assert!(elapsed > Duration::from_micros(100), "{elapsed:?}");
}
