//! Birth timestamps: accepted numbers, other texts, and the range.

use jiff::Timestamp;
use rstest::rstest;

use super::{BORN, NAMES, check_accepted, check_message, check_rejected, with_row};
use crate::{
    dataset::Dataset,
    reject::{Notice, Reject, RejectCode},
    source::RowParser,
};

#[rstest]
#[case::integer("612302400000", BORN, &[])]
#[case::quoted("\"612302400000\"", BORN, &[])]
#[case::negative("-612302400000", -BORN, &[])]
#[case::leading_zeros("000612302400000", BORN, &[])]
#[case::fraction_of_zero("612302400000.0", BORN, &[Notice::NumberFormat])]
#[case::long_fraction_of_zero("-612302400000.000", -BORN, &[Notice::NumberFormat])]
#[case::plus("+612302400000", BORN, &[Notice::NumberFormat])]
#[case::trimmed_and_plus("\" +612302400000\"", BORN, &[Notice::Trimmed, Notice::NumberFormat])]
#[case::maybe_seconds_zero("0", 0, &[Notice::MaybeSeconds])]
#[case::maybe_seconds("612302400", 612_302_400, &[Notice::MaybeSeconds])]
#[case::maybe_seconds_negative("-9999999999", -9_999_999_999, &[Notice::MaybeSeconds])]
#[case::not_seconds("10000000000", 10_000_000_000, &[])]
#[case::earliest("-3786825600000", -3_786_825_600_000, &[])]
#[case::tomorrow("1795564800000", 1_795_564_800_000, &[])]
fn numbers_of_milliseconds_are_accepted(#[case] written: &str, #[case] birthts_ms: i64, #[case] notices: &[Notice]) {
    check_accepted(&with_row(&format!("Susan,Lee,{written}")), NAMES, birthts_ms, notices);
}

#[rstest]
#[case::empty("", "birthts is empty")]
#[case::blank("\" \"", "birthts is empty")]
#[case::text("soon", "birthts is \"soon\", which is not a number")]
#[case::iso_date("1989-05-27", "a date")]
#[case::iso_time("1989-05-27T00:00:00Z", "a date")]
#[case::other_date("27/05/1989", "a date")]
#[case::german_date("27.05.1989", "a date")]
#[case::points("612.302.400.000", "a number with separators: \".\"")]
#[case::exponent("6.123e11", "a number with an exponent")]
#[case::exponent_of_a_spreadsheet("6.12E+11", "a number with an exponent")]
#[case::fraction("612302400000.5", "a number with a fraction")]
#[case::bare_point("612302400000.", "a number with separators: \".\"")]
#[case::bare_fraction(".0", "a number with separators")]
#[case::thousands("\"612,302,400,000\"", "separators: \",\"")]
#[case::apostrophes("612'302'400'000", "separators: \"'\"")]
#[case::spaces("612 302 400 000", "separators: U+0020 (SPACE)")]
#[case::no_break_spaces("612\u{a0}302\u{a0}400\u{a0}000", "separators: U+00A0 (NO-BREAK SPACE)")]
#[case::underscores("612_302_400_000", "separators: \"_\"")]
#[case::beyond_i64("9223372036854775808", "beyond 64 bits")]
#[case::far_beyond_i64("99999999999999999999999999", "beyond 64 bits")]
#[case::two_signs("+-5", "not a number")]
#[case::sign_alone("-", "not a number")]
#[case::arabic_digits("٦١٢", "contains U+0666")]
#[case::full_width_digits("６１２", "contains U+FF16")]
#[case::minus_sign("\u{2212}612302400000", "contains U+2212 (MINUS SIGN)")]
#[case::zero_width_within("6123\u{200b}02400000", "contains U+200B (ZERO WIDTH SPACE)")]
#[case::nul_within("6123\u{0}02400000", "contains U+0000 (NULL)")]
#[case::null("NULL", "not a number")]
#[case::not_a_number("NaN", "not a number")]
#[case::hexadecimal("0x8E90", "not a number")]
#[case::apostrophe_of_a_spreadsheet("'612302400000", "separators: \"'\"")]
#[case::error_of_a_spreadsheet("#VALUE!", "\"#VALUE!\"")]
fn other_texts_are_rejected_as_type(#[case] written: &str, #[case] cause: &str) {
    check_message(
        &with_row(&format!("Susan,Lee,{written}")),
        RejectCode::Type,
        Some("birthts"),
        &[cause, "expected a whole number of milliseconds since 1970-01-01 UTC"],
    );
}

#[rstest]
#[case::before_1850("-3786825600001", RejectCode::OutOfRange, "1849-12-31")]
#[case::least("-9223372036854775808", RejectCode::OutOfRange, "-9223372036854775808")]
#[case::after_tomorrow("1795564800001", RejectCode::InFuture, "2026-11-25")]
#[case::greatest("9223372036854775807", RejectCode::InFuture, "9223372036854775807")]
#[case::nanoseconds("612302400000000000", RejectCode::InFuture, "milliseconds")]
fn births_outside_the_range_are_rejected(#[case] written: &str, #[case] code: RejectCode, #[case] cause: &str) {
    check_message(&with_row(&format!("Susan,Lee,{written}")), code, Some("birthts"), &[cause]);
}

#[test]
fn birth_in_the_future_is_evaluated_again_once_it_is_valid() {
    let reject = check_rejected(&with_row("Susan,Lee,1795651200000"), RejectCode::InFuture);
    let at = |ms| Timestamp::from_millisecond(ms).unwrap();
    assert!(!reject.may_change_by(at(1_795_564_799_999)));
    assert!(reject.may_change_by(at(1_795_564_800_000)));
    assert!(
        RowParser::new(Dataset::users())
            .parse(&with_row("Susan,Lee,1795651200000"), at(1_795_564_800_000))
            .is_ok()
    );
    // The reject does not depend on the run; otherwise a full run would record a change.
    let later = RowParser::new(Dataset::users()).parse(&with_row("Susan,Lee,1795651200000"), at(1_795_478_400_001));
    assert_eq!(later, Err(reject));
    // A year outside the calendar is never accepted.
    let reject = check_rejected(&with_row("Susan,Lee,9223372036854775807"), RejectCode::InFuture);
    assert!(!reject.may_change_by(Timestamp::MAX));
    let reject = check_rejected(&with_row("Susan,Lee,soon"), RejectCode::Type);
    assert!(!reject.may_change_by(Timestamp::MAX));
    // A cause that a listing does not show may disappear at any time.
    assert!(Reject::unreadable("access denied").may_change_by(at(0)) && Reject::unstable(4).may_change_by(at(0)));
}
