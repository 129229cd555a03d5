//! Codes in a few words, for people. What to do about each is in its message, which is the API's.

use datalake_core::reject::{Exclusion, IgnoreCode, Notice, RejectCode};

/// Why a source is refused.
pub(crate) fn title(refusal: &Exclusion) -> &'static str {
    match refusal {
        Exclusion::Rejected(reject) => of_reject(reject.code),
        Exclusion::Ignored(code) => of_ignored(*code),
    }
}

/// The same of a stable text; the text itself where no code has it.
pub(crate) fn title_of_code(code: &str) -> &str {
    let rejected = RejectCode::parse(code).map(of_reject);
    let ignored = || IgnoreCode::parse(code).map(of_ignored);
    let notice = || Notice::parse(code).map(of_notice);
    rejected.or_else(ignored).or_else(notice).unwrap_or(code)
}

fn of_reject(code: RejectCode) -> &'static str {
    match code {
        RejectCode::MultipleRows => "More than one row",
        RejectCode::Empty => "No row",
        RejectCode::NotCsv => "A file of another format than CSV",
        RejectCode::MissingColumn => "A column is missing",
        RejectCode::DuplicateColumn => "A column is named twice",
        RejectCode::NoHeader => "No header",
        RejectCode::Delimiter => "Not separated by commas",
        RejectCode::FieldCount => "Another number of fields than the header",
        RejectCode::Quote => "A misplaced quote",
        RejectCode::Encoding => "Not UTF-8",
        RejectCode::ControlCharacter => "A control character in a name",
        RejectCode::ValueEmpty => "An empty name",
        RejectCode::ValueTooLong => "A name that is too long",
        RejectCode::TooLarge => "A file that is too large",
        RejectCode::Type => "A value of another type",
        RejectCode::OutOfRange => "A birth before 1850",
        RejectCode::InFuture => "A birth in the future",
        RejectCode::ImageNotPng => "An image of another format than PNG",
        RejectCode::ImageDamaged => "A damaged image",
        RejectCode::ImageTooLarge => "An image that is too large",
        RejectCode::Unreadable => "A source that cannot be read",
        RejectCode::Unstable => "A source that keeps changing",
    }
}

fn of_ignored(code: IgnoreCode) -> &'static str {
    match code {
        IgnoreCode::BadId => "A name that is not a user ID",
        IgnoreCode::Shadowed => "Two spellings of one name",
        IgnoreCode::UnknownKind => "Neither CSV nor PNG",
        IgnoreCode::Temporary => "A temporary or sidecar file",
        IgnoreCode::Nested => "In a folder below the sources",
        IgnoreCode::NotAFile => "Not a regular file",
        IgnoreCode::OrphanImage => "An image without a CSV",
    }
}

fn of_notice(notice: Notice) -> &'static str {
    match notice {
        Notice::RepeatedRow => "The same row more than once; accepted once",
        Notice::Trimmed => "White space or zero-width characters around a value; accepted without",
        Notice::NumberFormat => "A number with a plus sign or a fraction of zero; accepted without",
        Notice::MaybeSeconds => "A birth near 1970, perhaps in seconds; accepted as milliseconds",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_words_of_its_own() {
        let rejected = RejectCode::ALL.iter().map(|code| code.as_str());
        let ignored = IgnoreCode::ALL.iter().map(|code| code.as_str());
        let notices = Notice::ALL.iter().map(|code| code.as_str());
        let codes: Vec<_> = rejected.chain(ignored).chain(notices).collect();
        let titles: std::collections::BTreeSet<_> = codes.iter().map(|code| title_of_code(code)).collect();
        assert_eq!(titles.len(), codes.len());
        assert!(codes.iter().all(|code| title_of_code(code) != *code));
        assert_eq!(title_of_code("of_another_release"), "of_another_release");
    }
}
