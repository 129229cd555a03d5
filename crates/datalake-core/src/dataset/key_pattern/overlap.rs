//! Keys that two patterns match. An object has one meaning, so declarations with such patterns are rejected.

use super::{KeyPattern, rule};

impl KeyPattern {
    /// A key of this pattern that is one of another pattern, too. Sample values decide, so a key that only values of a special rule have may
    /// be overlooked.
    pub(in crate::dataset) fn shared_key(&self, other: &Self) -> Option<String> {
        self.sample_of(other).or_else(|| other.sample_of(self))
    }

    /// The literal before the first placeholder, and all others.
    fn affixes(&self) -> [String; 2] {
        let (before, after) = self.literals.split_at(1);
        [before, after].map(<[_]>::concat)
    }

    /// A key of samples that another pattern matches.
    fn sample_of(&self, other: &Self) -> Option<String> {
        let ([before, after], [other_before, other_after]) = (self.affixes(), other.affixes());
        // A value can contain what the other pattern has beyond the literals of this one.
        let before = other_before.strip_prefix(&*before).unwrap_or_default();
        let after = other_after.strip_suffix(&*after).unwrap_or_default();
        let samples: Vec<_> = self
            .placeholders
            .iter()
            .map(|placeholder| rule::samples(&placeholder.rule))
            .collect();
        let longest = samples.iter().map(Vec::len).max().unwrap_or_default();
        (0..longest).find_map(|index| {
            let values = samples.iter().filter_map(|samples| samples.get(index % samples.len().max(1)));
            [("", ""), (before, ""), ("", after), (before, after)]
                .into_iter()
                .find_map(|(before, after)| {
                    let values: Vec<_> = values.clone().map(|value| [before, value.as_str(), after].concat()).collect();
                    let key = self.key(&values.iter().map(String::as_str).collect::<Vec<_>>())?;
                    other.match_key(&key).is_ok().then_some(key)
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, file: &str, expected: Option<&str>) {
        let source = KeyPattern::parse(source).unwrap();
        let file = KeyPattern::parse_file(file, &source).unwrap();
        assert_eq!(file.shared_key(&source).as_deref(), expected, "{source:?} {file:?}");
        assert_eq!(source.shared_key(&file).is_some(), expected.is_some(), "{source:?} {file:?}");
    }

    #[test]
    fn shared_keys_are_found() {
        check("s/{id}.csv", "s/{id}.png", None);
        check("s/{id}.csv", "f/{id}.csv", None);
        check("s/{id}", "s/{id}.pdf", Some("s/a.pdf"));
        check("s/{id:[0-9]+}", "s/{id}.pdf", None);
        check("s/{id}.csv", "s/{id}_x.csv", Some("s/a_x.csv"));
        check("s/{id}.csv", "s/x_{id}.csv", Some("s/x_a.csv"));
        check("s/{id:[0-9]{4}}.csv", "s/{id}_x.csv", None);
        check("s/{id:[0-9]+(?:_x)?}.csv", "s/{id}_x.csv", Some("s/0_x.csv"));
        check("s/q{id}", "s/{id}b", Some("s/qab"));
        check("s/{id}.csv", "s/{id}.CSV", Some("s/a.CSV"));
        check("s/{a}/{b}.csv", "s/{a}/{b}.pdf", None);
        check("s/{a}/{b}.csv", "s/{b}/{a}.csv", Some("s/a/a.csv"));
    }
}
