//! The known name that is most similar to a mistyped one, for messages.

/// Maximum number of edits between a mistyped name and the known name.
const EDITS_MAX: usize = 4;

/// The most similar of the known names, if one is similar enough.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().filter_map(|known| Some((edits(name, known)?, known)));
    near.min_by_key(|(edits, _)| *edits).map(|(_, known)| known)
}

/// The number of edits from a name to a known one, ignoring case; none if there are too many for a typing error.
pub fn edits(name: &str, known: &str) -> Option<usize> {
    let length = name.chars().count();
    // In a short name, fewer edits already give a different name.
    let edits_max = EDITS_MAX.min(length / 2);
    // The difference in length is a lower bound of the edits. The check also bounds the work for long names.
    if known.chars().count().abs_diff(length) > edits_max {
        return None;
    }
    let edits = strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase());
    (edits <= edits_max).then_some(edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        assert_eq!(nearest(name, ["mode", "incremental", "full"]), expected, "{name}");
    }

    #[test]
    fn mistyped_name_gets_the_most_similar_known_name() {
        check("mod", Some("mode"));
        check("MODE", Some("mode"));
        check("ful", Some("full"));
        check("incermental", Some("incremental"));
        check("more", Some("mode"));
        check("m", None);
        check("", None);
        check("frobnicate", None);
        check(&"x".repeat(100_000), None);
        assert_eq!(nearest("berlin", ["BERLIN"]), Some("BERLIN"));
    }
}
