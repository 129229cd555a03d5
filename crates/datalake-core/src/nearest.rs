//! Names that a slip of the pen is near to, for messages.

/// Over this many edits a name is another name, not a slip.
const EDITS_MAX: usize = 4;

/// The nearest of the known names, if one is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().filter_map(|known| Some((edits(name, known)?, known)));
    near.min_by_key(|(edits, _)| *edits).map(|(_, known)| known)
}

/// How many edits make a known name of this one, upper case aside; none where they are too many for a slip.
pub fn edits(name: &str, known: &str) -> Option<usize> {
    let length = name.chars().count();
    // Of a short name, half as many letters make another one.
    let edits_max = EDITS_MAX.min(length / 2);
    // A longer name needs as many edits at least, and would cost its length for each of the known ones.
    if known.chars().count().abs_diff(length) > edits_max {
        return None;
    }
    let edits = strsim::damerau_levenshtein(&name.to_lowercase(), known);
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
    fn slips_of_the_pen() {
        check("mod", Some("mode"));
        check("MODE", Some("mode"));
        check("ful", Some("full"));
        check("incermental", Some("incremental"));
        check("more", Some("mode"));
        check("m", None);
        check("", None);
        check("frobnicate", None);
        check(&"x".repeat(100_000), None);
    }
}
