//! Integer conversions. Lints forbid casts. On 64-bit platforms the conversions are exact; elsewhere they saturate.

pub(crate) fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

pub(crate) fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
