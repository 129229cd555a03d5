//! Valid sources, in every accepted form.

use rstest::rstest;

use super::{BORN, NAMES, check_accepted, with_row};
use crate::reject::Notice;

#[rstest]
#[case::sample(b"first_name, last_name, birthts\nSusan, Lee, 612302400000\n")]
#[case::spaces(b"  first_name ,last_name   , birthts\n   Susan ,  Lee ,612302400000   \n")]
#[case::byte_order_mark(b"\xef\xbb\xbffirst_name,last_name,birthts\nSusan,Lee,612302400000\n")]
#[case::lf(b"first_name,last_name,birthts\nSusan,Lee,612302400000\n")]
#[case::crlf(b"first_name,last_name,birthts\r\nSusan,Lee,612302400000\r\n")]
#[case::lone_cr(b"first_name,last_name,birthts\rSusan,Lee,612302400000\r")]
#[case::cr_cr_lf(b"first_name,last_name,birthts\r\r\nSusan,Lee,612302400000\r\r\n")]
#[case::mixed_line_ends(b"first_name,last_name,birthts\r\nSusan,Lee,612302400000\n\r")]
#[case::no_final_newline(b"first_name,last_name,birthts\nSusan,Lee,612302400000")]
#[case::reordered(b"birthts,last_name,first_name\n612302400000,Lee,Susan\n")]
#[case::header_in_another_case(b"First_Name,LAST_NAME,BirthTS\nSusan,Lee,612302400000\n")]
#[case::quoted(b"\"first_name\",last_name,birthts\n\"Susan\", \"Lee\" ,\"612302400000\"\n")]
#[case::additional_columns(b"id,first_name,note,last_name,birthts,\n7,Susan,,Lee,612302400000,x\n")]
#[case::additional_columns_of_one_name(b"x,x,first_name,last_name,birthts\n1,2,Susan,Lee,612302400000\n")]
#[case::blank_lines(b"\n  \nfirst_name,last_name,birthts\n\n \nSusan,Lee,612302400000\n\n   \n\n")]
#[case::lines_of_separators(b",,\nfirst_name,last_name,birthts\n,,\nSusan,Lee,612302400000\n,,\n,,,,\n , ,\r\n,\n")]
#[case::invisible_lines(b"first_name,last_name,birthts\n\t\nSusan,Lee,612302400000\n\xc2\xa0\n\xef\xbb\xbf\n\xe2\x80\x8b,\xc2\xa0,\t\n")]
fn valid_source_is_accepted_without_notices(#[case] source: &[u8]) {
    check_accepted(source, NAMES, BORN, &[]);
}

#[rstest]
#[case::quoted_comma("\"Lee, Jr\"", "Lee, Jr")]
#[case::quoted_newline("\"Lee\nSmith\"", "Lee\nSmith")]
#[case::quoted_crlf("\"Lee\r\nSmith\"", "Lee\r\nSmith")]
#[case::doubled_quotes("\"Lee \"\"the Bee\"\"\"", "Lee \"the Bee\"")]
#[case::only_doubled_quotes("\"\"\"\"", "\"")]
#[case::formula("=cmd()", "=cmd()")]
#[case::plus("+1", "+1")]
#[case::minus("-1", "-1")]
#[case::at("@x", "@x")]
#[case::any_script("李 小龙", "李 小龙")]
#[case::zero_width_joiner_within("क\u{94d}\u{200d}ष", "क\u{94d}\u{200d}ष")]
#[case::no_break_space_within("van\u{a0}Lee", "van\u{a0}Lee")]
#[case::soft_hyphen_within("Lee\u{ad}Smith", "Lee\u{ad}Smith")]
#[case::byte_order_mark_within("L\u{feff}ee", "L\u{feff}ee")]
#[case::line_separator_within("Lee\u{2028}Smith", "Lee\u{2028}Smith")]
#[case::emoji_with_its_selector("Lee ❤\u{fe0f}", "Lee ❤\u{fe0f}")]
#[case::typographic_quotes("“Lee”", "“Lee”")]
#[case::apostrophe("O'Lee", "O'Lee")]
#[case::full_width_comma("Lee，Jr", "Lee，Jr")]
fn names_are_accepted_as_written(#[case] written: &str, #[case] read: &str) {
    check_accepted(&with_row(&format!("Susan,{written},612302400000")), ["Susan", read], BORN, &[]);
}

#[rstest]
#[case::no_break_space("Susan,\u{a0}Lee\u{a0},612302400000")]
#[case::ideographic_space("Susan,Lee\u{3000},612302400000")]
#[case::zero_width_space("\u{200b}Susan,Lee,612302400000")]
#[case::byte_order_mark("\u{feff}Susan,Lee,612302400000")]
#[case::tab("Susan,\tLee,612302400000")]
#[case::line_separator("Susan,Lee\u{2028},612302400000")]
#[case::next_line("Susan,Lee\u{85},612302400000")]
#[case::soft_hyphen("Susan,Lee\u{ad},612302400000")]
#[case::direction_marks("\u{202a}Susan\u{202c},\u{200e}Lee,612302400000")]
#[case::word_joiner("Susan,\u{2060}Lee,612302400000")]
#[case::several("Susan, \u{a0}\u{200b} Lee,612302400000")]
#[case::before_a_quote("Susan,\u{a0}\"Lee\",612302400000")]
#[case::after_a_quote("Susan,\"Lee\"\u{200b},612302400000")]
#[case::within_quotes("Susan,\" Lee \",612302400000")]
#[case::newline_within_quotes("Susan,\"Lee\r\n\",612302400000")]
#[case::space_within_the_quotes_of_the_number("Susan,Lee,\" 612302400000\"")]
#[case::no_break_space_at_the_number("Susan,Lee,612302400000\u{a0}")]
#[case::tab_within_the_quotes_of_the_number("Susan,Lee,\"612302400000\t\"")]
fn blanks_around_values_are_trimmed(#[case] row: &str) {
    check_accepted(&with_row(row), NAMES, BORN, &[Notice::Trimmed]);
}
