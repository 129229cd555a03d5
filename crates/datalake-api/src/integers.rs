//! Integer conversions. Lints forbid casts. On 64-bit platforms the conversion is exact; elsewhere it saturates.

pub(crate) fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
