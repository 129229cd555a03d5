//! Settings from the environment: the server, and the extent of the tests.

/// `all` tests every boundary instead of a sample, `1/n` every n-th one, and a number only that boundary.
const EXTENT: &str = "DATALAKE_DEATHS";
/// Rounds of each test with several processors.
const ROUNDS: &str = "DATALAKE_DEATHS_ROUNDS";
/// The first seed of the tests that draw random numbers.
const SEED: &str = "DATALAKE_DEATHS_SEED";

/// Rounds in CI.
const ROUNDS_DEFAULT: u64 = 8;

/// A variable that has to be set.
pub(super) fn required(name: &str, meaning: &str) -> String {
    variable(name).unwrap_or_else(|| panic!("{name} is not set; set it to {meaning}"))
}

/// The boundaries of `count` that are tested: all of them, or at most `sample_max` that are spread evenly.
pub(super) fn sampled(count: usize, sample_max: usize) -> Vec<usize> {
    match variable(EXTENT).as_deref() {
        Some("all") => (0..count).collect(),
        None => {
            let sample = sample_max.min(count);
            (0..sample).map(|index| index * count / sample).collect()
        }
        Some(text) => {
            let number = |text: &str| {
                let number = text.parse::<usize>();
                number.unwrap_or_else(|_| panic!("{EXTENT} is {text:?}; set it to all, to 1/4, to a number, or not at all"))
            };
            let chosen: Vec<_> = match text.strip_prefix("1/") {
                Some(step) => (0..count).step_by(number(step).max(1)).collect(),
                None => vec![number(text)],
            };
            assert!(
                chosen.iter().all(|index| *index < count),
                "{EXTENT} is {text:?}; there are {count} boundaries, counted from 0"
            );
            chosen
        }
    }
}

/// Rounds of a test with several processors.
pub(super) fn rounds() -> u64 {
    number(ROUNDS).unwrap_or(ROUNDS_DEFAULT)
}

/// The first seed.
pub(super) fn seed() -> u64 {
    number(SEED).unwrap_or(1)
}

fn number(name: &str) -> Option<u64> {
    variable(name).map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; set it to a number")))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the executable's arguments own its environment; this is the environment of the tests"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
