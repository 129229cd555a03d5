//! What the environment decides: the server, and how much is tested.

/// The tests run every boundary instead of a sample if this is `all`, and one boundary if it is a number.
const EXTENT: &str = "DATALAKE_DEATHS";
/// Rounds of each test with several processors.
const ROUNDS: &str = "DATALAKE_DEATHS_ROUNDS";
/// The first seed of the tests that draw random numbers.
const SEED: &str = "DATALAKE_DEATHS_SEED";

/// Rounds in CI.
const ROUNDS_DEFAULT: u64 = 20;

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
        Some(number) => {
            let index = number.parse();
            let index = index.unwrap_or_else(|_| panic!("{EXTENT} is {number:?}; set it to all, to a number, or not at all"));
            vec![index].into_iter().filter(|index| *index < count).collect()
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
