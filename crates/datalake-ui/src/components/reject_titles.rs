//! Titles of reject and notice codes. The API's messages say how to fix each.

use datalake_core::reject::{IgnoreCode, Notice, RejectCode};

/// The title of a code in reports and URLs. An unknown code is returned unchanged.
pub(crate) fn title_of_code(code: &str) -> &str {
    let rejected = RejectCode::parse(code).map(reject_title);
    let ignored = || IgnoreCode::parse(code).map(ignored_title);
    let notice = || Notice::parse(code).map(notice_title);
    rejected.or_else(ignored).or_else(notice).unwrap_or(code)
}

fn reject_title(code: RejectCode) -> &'static str {
    match code {
        RejectCode::MultipleRows => "More than one row",
        RejectCode::Empty => "No data row",
        RejectCode::NotCsv => "Not a CSV file",
        RejectCode::MissingColumn => "Missing column",
        RejectCode::DuplicateColumn => "Duplicate column",
        RejectCode::NoHeader => "No header",
        RejectCode::Delimiter => "Another delimiter",
        RejectCode::FieldCount => "Field count differs from header",
        RejectCode::Quote => "Misplaced quote",
        RejectCode::Encoding => "Invalid encoding",
        RejectCode::ControlCharacter => "Control character in a value",
        RejectCode::ValueEmpty => "Empty value",
        RejectCode::ValueTooLong => "Value too long",
        RejectCode::TooLarge => "File too large",
        RejectCode::Type => "Value of another type",
        RejectCode::OutOfRange => "Out of range",
        RejectCode::InFuture => "In the future",
        RejectCode::Constraint => "Constraint violated",
        RejectCode::ImageNotPng => "Not a PNG",
        RejectCode::ImageDamaged => "Damaged image",
        RejectCode::ImageTooLarge => "Image too large",
        RejectCode::FileType => "File of another type",
        RejectCode::FileTooLarge => "File over its declared size",
        RejectCode::Unreadable => "Unreadable source",
        RejectCode::Unstable => "Source keeps changing",
    }
}

fn ignored_title(code: IgnoreCode) -> &'static str {
    match code {
        IgnoreCode::BadId => "File name is not a valid ID",
        IgnoreCode::Shadowed => "Two spellings of one file name",
        IgnoreCode::UnknownKind => "Neither a source nor a file of a row",
        IgnoreCode::Temporary => "Temporary or sidecar file",
        IgnoreCode::Nested => "In a subfolder",
        IgnoreCode::NotAFile => "Not a regular file",
        IgnoreCode::OrphanImage => "File without a CSV file",
    }
}

fn notice_title(notice: Notice) -> &'static str {
    match notice {
        Notice::RepeatedRow => "Repeated row, accepted once",
        Notice::Trimmed => "White space or zero-width characters around a value, removed",
        Notice::NumberFormat => "Plus sign or fraction of zero in a number, removed",
        Notice::MaybeSeconds => "Near 1970: may be in seconds",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_title() {
        let rejected = RejectCode::ALL.iter().map(|code| code.as_str());
        let ignored = IgnoreCode::ALL.iter().map(|code| code.as_str());
        let notices = Notice::ALL.iter().map(|code| code.as_str());
        let codes: Vec<_> = rejected.chain(ignored).chain(notices).collect();
        let titles: std::collections::BTreeSet<_> = codes.iter().map(|code| title_of_code(code)).collect();
        assert_eq!(titles.len(), codes.len());
        assert!(codes.iter().all(|code| title_of_code(code) != *code));
        assert_eq!(title_of_code("unknown_code"), "unknown_code");
    }
}
