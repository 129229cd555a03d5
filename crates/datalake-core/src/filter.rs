//! The query semantics, without a table: what the parameters of `/data` and `/stats` mean.

use std::ops::RangeInclusive;

use jiff::civil::Date;

use crate::user::{Day, age_on, last_birth_day};

/// `min_age` and `min_age=30` are different questions, so they are different variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeBound {
    /// Without a value: the youngest (for `min_age`) or the oldest (for `max_age`) among the rows that all else leaves.
    Extreme,
    /// So many completed years, inclusive.
    Years(u16),
}

/// Which rows by their picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFilter {
    /// Those with a picture.
    With,
    /// Those without.
    Without,
}

impl ImageFilter {
    /// Whether a row belongs to those asked for.
    pub fn takes(self, has_image: bool) -> bool {
        has_image == (self == Self::With)
    }
}

/// Which rows are asked for. The default is all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `is_image_exists`
    pub image: Option<ImageFilter>,
    /// `min_age`
    pub min_age: Option<AgeBound>,
    /// `max_age`
    pub max_age: Option<AgeBound>,
}

/// What `/data` and `/stats` are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Which rows.
    pub filter: Filter,
    /// The day on which ages are counted; none is today.
    pub on: Option<Day>,
}

/// A parameter that is not known or not well formed: never an unfiltered answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}, parameter={parameter}", .nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
pub struct QueryError {
    /// The parameter's name as it was given.
    pub parameter: String,
    /// What is wrong and what is accepted.
    pub reason: String,
    /// The nearest known name, where the name is not known and one is near.
    pub nearest: Option<&'static str>,
}

impl QueryError {
    fn value(parameter: &str, reason: &str) -> Self {
        Self {
            parameter: parameter.to_owned(),
            reason: reason.to_owned(),
            nearest: None,
        }
    }

    /// The refusal of a name that is none of `known`.
    pub fn unknown(parameter: &str, known: &[&'static str]) -> Self {
        /// Over this many edits a name is another name, not a slip.
        const EDITS_MAX: usize = 4;
        let edits = |name: &&&'static str| strsim::damerau_levenshtein(&parameter.to_lowercase(), name);
        let nearest = known.iter().min_by_key(edits).filter(|name| edits(name) <= EDITS_MAX).copied();
        let reason = match known {
            [] => "unknown parameter; none is taken here".to_owned(),
            _ => format!("unknown parameter; known are {}", known.join(", ")),
        };
        Self {
            parameter: parameter.to_owned(),
            reason,
            nearest,
        }
    }
}

/// The parameters that a [`Question`] is made of.
pub const QUESTION_PARAMETERS: &[&str] = &["is_image_exists", "min_age", "max_age", "on"];

impl Question {
    /// Takes the decoded pairs of a query string in their order. A name given twice is refused: which one counts would be a guess.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, QueryError> {
        let mut question = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in pairs {
            if seen.contains(&name) {
                return Err(QueryError::value(name, "given more than once"));
            }
            seen.push(name);
            match name {
                "is_image_exists" => question.filter.image = Some(parse_image(name, value)?),
                "min_age" => question.filter.min_age = Some(parse_age(name, value)?),
                "max_age" => question.filter.max_age = Some(parse_age(name, value)?),
                "on" => question.on = Some(parse_day(name, value)?),
                _ => return Err(QueryError::unknown(name, QUESTION_PARAMETERS)),
            }
        }
        Ok(question)
    }
}

fn parse_image(name: &str, value: &str) -> Result<ImageFilter, QueryError> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(ImageFilter::With),
        "false" => Ok(ImageFilter::Without),
        _ => Err(QueryError::value(name, "must be True or False")),
    }
}

fn parse_age(name: &str, value: &str) -> Result<AgeBound, QueryError> {
    let refusal = || QueryError::value(name, "must be a whole number of years from 0 to 65535, or have no value");
    match value {
        "" => Ok(AgeBound::Extreme),
        _ if value.bytes().all(|byte| byte.is_ascii_digit()) => value.parse().map(AgeBound::Years).map_err(|_| refusal()),
        _ => Err(refusal()),
    }
}

fn parse_day(name: &str, value: &str) -> Result<Day, QueryError> {
    let refusal = || QueryError::value(name, "must be a day as YYYY-MM-DD, like 2026-11-24");
    let shape_is_right = value.len() == 10
        && value
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
    if !shape_is_right {
        return Err(refusal());
    }
    value.parse::<Date>().ok().and_then(Day::from_date).ok_or_else(refusal)
}

/// The births that a selection takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Births {
    /// Every birth, also after the day on which ages are counted.
    Any,
    /// None, one or two ranges of days, ascending and apart.
    Days(Vec<RangeInclusive<Day>>),
}

/// A filter with its extremes found: a row is taken by its own values alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Which rows by their picture.
    pub image: Option<ImageFilter>,
    /// Which rows by their day of birth.
    pub births: Births,
}

impl Selection {
    /// Whether a row is taken.
    pub fn takes(&self, birth: Day, has_image: bool) -> bool {
        let by_birth = match &self.births {
            Births::Any => true,
            Births::Days(ranges) => ranges.iter().any(|range| range.contains(&birth)),
        };
        by_birth && self.image.is_none_or(|image| image.takes(has_image))
    }
}

impl Filter {
    /// Turns ages on the day `on` into days of birth.
    ///
    /// `extremes` gives the earliest and the latest day of birth among the rows with that picture filter and a birth in that range. One
    /// born after `on` has no age yet, and no parameter about ages takes them.
    pub fn resolve(&self, on: Day, extremes: impl FnOnce(Option<ImageFilter>, RangeInclusive<Day>) -> Option<(Day, Day)>) -> Selection {
        let births = match (self.min_age, self.max_age) {
            (None, None) => Births::Any,
            (min_age, max_age) => Births::Days(self.birth_ranges(min_age, max_age, on, extremes)),
        };
        Selection { image: self.image, births }
    }

    fn birth_ranges(
        &self,
        min_age: Option<AgeBound>,
        max_age: Option<AgeBound>,
        on: Day,
        extremes: impl FnOnce(Option<ImageFilter>, RangeInclusive<Day>) -> Option<(Day, Day)>,
    ) -> Vec<RangeInclusive<Day>> {
        let years = |bound| match bound {
            Some(AgeBound::Years(years)) => Some(years),
            Some(AgeBound::Extreme) | None => None,
        };
        let Some(left) = births_aged(years(min_age).unwrap_or(0), years(max_age), on) else {
            return Vec::new();
        };
        let (youngest, oldest) = (min_age == Some(AgeBound::Extreme), max_age == Some(AgeBound::Extreme));
        if !youngest && !oldest {
            return vec![left];
        }
        let Some((earliest, latest)) = extremes(self.image, left.clone()) else {
            return Vec::new();
        };
        // Ties are by age, not by day: all who have completed the same number of years.
        let as_old_as = |birth| {
            let age = age_on(birth, on)?.years();
            births_aged(age, Some(age), on)
        };
        let mut ranges: Vec<_> = [oldest.then_some(earliest), youngest.then_some(latest)]
            .into_iter()
            .flatten()
            .filter_map(as_old_as)
            .collect();
        ranges.dedup();
        ranges
    }
}

/// The days of birth of those who have completed at least and at most so many years on a day; none where there is no such day.
fn births_aged(at_least: u16, at_most: Option<u16>, on: Day) -> Option<RangeInclusive<Day>> {
    let last = last_birth_day(at_least, on)?;
    let too_old = at_most
        .and_then(|years| years.checked_add(1))
        .and_then(|years| last_birth_day(years, on));
    let first = match too_old {
        Some(day) => day.next()?,
        None => Day::FIRST,
    };
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::user::Age;

    #[track_caller]
    fn check_parse(pairs: &[(&str, &str)], expected: Question) {
        assert_eq!(Question::parse(pairs.iter().copied()), Ok(expected), "pairs: {pairs:?}");
    }

    #[track_caller]
    fn check_refused(pairs: &[(&str, &str)], parameter: &str, nearest: Option<&'static str>) {
        let error = Question::parse(pairs.iter().copied()).expect_err("must be refused");
        assert_eq!((error.parameter.as_str(), error.nearest), (parameter, nearest), "pairs: {pairs:?}");
    }

    #[test]
    fn parameters() {
        let filter = |filter| Question { filter, on: None };
        check_parse(&[], Question::default());
        check_parse(
            &[("is_image_exists", "True")],
            filter(Filter {
                image: Some(ImageFilter::With),
                ..Filter::default()
            }),
        );
        check_parse(
            &[("is_image_exists", "fALSE")],
            filter(Filter {
                image: Some(ImageFilter::Without),
                ..Filter::default()
            }),
        );
        check_parse(
            &[("min_age", "")],
            filter(Filter {
                min_age: Some(AgeBound::Extreme),
                ..Filter::default()
            }),
        );
        check_parse(
            &[("max_age", "007")],
            filter(Filter {
                max_age: Some(AgeBound::Years(7)),
                ..Filter::default()
            }),
        );
        let on = Day::from_date(date(2026, 2, 28));
        check_parse(&[("on", "2026-02-28")], Question { on, ..Question::default() });

        check_refused(&[("is_image_exists", "yes")], "is_image_exists", None);
        check_refused(&[("is_image_exists", "")], "is_image_exists", None);
        check_refused(&[("min_age", "-1")], "min_age", None);
        check_refused(&[("min_age", "+1")], "min_age", None);
        check_refused(&[("min_age", "30.5")], "min_age", None);
        check_refused(&[("max_age", "65536")], "max_age", None);
        check_refused(&[("on", "2026-02-29")], "on", None);
        check_refused(&[("on", "2026-2-3")], "on", None);
        check_refused(&[("on", "")], "on", None);
        check_refused(&[("min_age", "1"), ("min_age", "2")], "min_age", None);
        check_refused(&[("minage", "1")], "minage", Some("min_age"));
        check_refused(&[("is_image_exist", "1")], "is_image_exist", Some("is_image_exists"));
        check_refused(&[("MAX_AGE", "1")], "MAX_AGE", Some("max_age"));
        check_refused(&[("frobnicate", "1")], "frobnicate", None);
    }

    /// The semantics as the contract words them, over ages, one row after the other.
    fn taken(filter: &Filter, on: Day, rows: &[(Day, bool)]) -> Vec<bool> {
        let age = |row: &(Day, bool)| age_on(row.0, on).map(Age::years);
        let by_values = |row: &&(Day, bool)| {
            let years = |bound, holds: fn(u16, u16) -> bool| match bound {
                Some(AgeBound::Years(years)) => age(row).is_some_and(|age| holds(age, years)),
                Some(AgeBound::Extreme) => age(row).is_some(),
                None => true,
            };
            filter.image.is_none_or(|image| image.takes(row.1))
                && years(filter.min_age, |age, years| age >= years)
                && years(filter.max_age, |age, years| age <= years)
        };
        let left: Vec<_> = rows.iter().filter(by_values).filter_map(age).collect();
        let extreme = |bound, found: Option<u16>| (bound == Some(AgeBound::Extreme)).then_some(found).flatten();
        let wanted = [
            extreme(filter.min_age, left.iter().min().copied()),
            extreme(filter.max_age, left.iter().max().copied()),
        ];
        let asks_extreme = [filter.min_age, filter.max_age].contains(&Some(AgeBound::Extreme));
        rows.iter()
            .map(|row| by_values(&row) && (!asks_extreme || wanted.iter().flatten().any(|years| age(row) == Some(*years))))
            .collect()
    }

    fn bounds() -> impl Strategy<Value = Option<AgeBound>> {
        prop_oneof![
            Just(None),
            Just(Some(AgeBound::Extreme)),
            (0..120_u16).prop_map(|years| Some(AgeBound::Years(years)))
        ]
    }

    proptest! {
        #[test]
        fn selections_agree_with_the_contract(
            rows in prop::collection::vec((-45_000..21_000_i64, any::<bool>()), 0..30),
            image in prop::option::of(prop_oneof![Just(ImageFilter::With), Just(ImageFilter::Without)]),
            min_age in bounds(),
            max_age in bounds(),
            on in -30_000..21_000_i64,
        ) {
            let day = |number: i64| crate::user::BirthTimestamp::from_ms(number * 86_400_000).unwrap().day();
            let rows: Vec<_> = rows.into_iter().map(|(birth, has_image)| (day(birth), has_image)).collect();
            let filter = Filter { image, min_age, max_age };
            let selection = filter.resolve(day(on), |image, births| {
                let left = rows.iter().filter(|row| births.contains(&row.0) && image.is_none_or(|image| image.takes(row.1)));
                let days: Vec<_> = left.map(|row| row.0).collect();
                Some((*days.iter().min()?, *days.iter().max()?))
            });
            let selected: Vec<_> = rows.iter().map(|row| selection.takes(row.0, row.1)).collect();
            prop_assert_eq!(selected, taken(&filter, day(on), &rows));
        }
    }
}
