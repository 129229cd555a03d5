//! Calendar days, and completed years between them.
//!
//! Days are UTC calendar days. Nothing here reads a clock: the day is an argument.

use jiff::{Timestamp, civil::Date};

/// Milliseconds of one UTC day: timestamps have no leap seconds.
const DAY_MS: i64 = 86_400_000;

/// Days of 400 years.
const ERA_DAYS: i32 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i32 = 719_468;

/// A UTC calendar day as days since 1970-01-01; ages are computed from days. Invariant: within 0000-01-01 to 9999-12-30.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// The day of a date; none outside 0000-01-01 to 9999-12-30.
    ///
    /// This is `days_from_civil` of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms": statistics compute the days of a hundred
    /// birthdays, and a conversion by way of a time zone takes several times as long.
    pub fn from_date(date: Date) -> Option<Self> {
        let (month, day) = (i32::from(date.month()), i32::from(date.day()));
        let year = i32::from(date.year()) - i32::from(month <= 2);
        let months_since_march = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * months_since_march + 2) / 5 + day - 1;
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let number = era * ERA_DAYS + day_of_era - EPOCH_DAYS;
        Self::from_number(number)
    }

    /// The UTC day of an instant in milliseconds since 1970-01-01T00:00:00Z; none outside 0000-01-01 to 9999-12-30.
    #[inline]
    pub fn from_ms(milliseconds: i64) -> Option<Self> {
        Self::from_number(i32::try_from(milliseconds.div_euclid(DAY_MS)).ok()?)
    }

    /// The day of a number of days since 1970-01-01; none outside 0000-01-01 to 9999-12-30.
    #[inline]
    pub fn from_number(number: i32) -> Option<Self> {
        (Self::FIRST.0..=Self::LAST.0).contains(&number).then_some(Self(number))
    }

    /// The UTC day of an instant; the last day of the calendar for a later instant.
    pub fn of(timestamp: Timestamp) -> Self {
        let number = timestamp
            .as_millisecond()
            .div_euclid(DAY_MS)
            .clamp(Self::FIRST.0.into(), Self::LAST.0.into());
        Self(i32::try_from(number).expect("it is between two numbers of days"))
    }

    /// 0000-01-01, the first supported day.
    pub const FIRST: Self = Self(-719_528);

    /// 9999-12-30, the last supported day: the last one that `jiff` supports in every time zone.
    pub const LAST: Self = Self(2_932_895);

    /// The next day; none after [`Day::LAST`].
    pub fn next(self) -> Option<Self> {
        Self::from_number(self.0 + 1)
    }

    /// Days until a later day; 0 if it is not later.
    pub fn days_until(self, later: Self) -> usize {
        usize::try_from(later.0 - self.0).unwrap_or(0)
    }

    /// Days since 1970-01-01.
    pub fn number(self) -> i32 {
        self.0
    }

    /// The calendar date of the day.
    pub fn date(self) -> Date {
        let (year, month, day) = self.civil();
        let year = i16::try_from(year).expect("the invariant keeps days within the calendar");
        Date::new(year, month, day).expect("it is a date")
    }

    /// The year, month and day. Responses compute an age for every row, and a conversion by way of a time zone takes several times as long.
    ///
    /// This is `civil_from_days` of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms". Its years begin on 1 March, so a leap day
    /// is the last day of a year.
    #[inline]
    fn civil(self) -> (i32, i8, i8) {
        let days = self.0 + EPOCH_DAYS;
        let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / (ERA_DAYS - 1)) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let months_since_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
        let month = if months_since_march < 10 {
            months_since_march + 3
        } else {
            months_since_march - 9
        };
        let year = year_of_era + era * 400 + i32::from(month <= 2);
        let small = |number| i8::try_from(number).expect("months and days of months are at most 31");
        (year, small(month), small(day))
    }
}

/// An age in completed calendar years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Age(u16);

impl Age {
    /// Whole years.
    pub fn years(self) -> u16 {
        self.0
    }
}

/// The age on the day `on` since `birth`, a day of birth; none before it.
///
/// After a birth on 29 February, a year is completed on 1 March of a common year. Days are compared as calendar days, never as seconds.
pub fn age_on(birth: Day, on: Day) -> Option<Age> {
    Ages::on(on).of(birth)
}

/// Ages on one day; cheaper than [`age_on`] for many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ages {
    day: Day,
    date: Date,
}

impl Ages {
    /// Ages on this day.
    pub fn on(day: Day) -> Self {
        Self { day, date: day.date() }
    }

    /// The day on which ages are computed.
    pub fn day(self) -> Day {
        self.day
    }

    /// The age since `birth`, as [`age_on`] defines it.
    #[inline]
    pub fn of(self, birth: Day) -> Option<Age> {
        if birth > self.day {
            return None;
        }
        let (year, month, day) = birth.civil();
        let before_birthday = (self.date.month(), self.date.day()) < (month, day);
        let years = i32::from(self.date.year()) - year - i32::from(before_birthday);
        Some(Age(
            u16::try_from(years).expect("birth is not after the day, so the difference is not negative")
        ))
    }
}

/// The last day of birth with an age of at least `age_at_least` years on a day, so that a filter by age compares only days.
///
/// None if that day is before the calendar begins: there is no such age.
pub fn last_birth_day(age_at_least: u16, on: Day) -> Option<Day> {
    let on = on.date();
    let year = i16::try_from(i32::from(on.year()) - i32::from(age_at_least)).ok()?;
    // On 29 February, the year is completed since births in a common year up to 28 February, but not since those on 1 March.
    let date = Date::new(year, on.month(), on.day()).or_else(|_| Date::new(year, 2, 28)).ok()?;
    Day::from_date(date)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let mut date = date(0, 1, 1);
        for number in Day::FIRST.0..=Day::LAST.0 {
            assert_eq!((Day(number).date(), Day::from_date(date)), (date, Some(Day(number))), "{number}");
            date = date.tomorrow().unwrap();
        }
        assert_eq!(Day::from_date(date), None);
        assert_eq!(Day::from_date(jiff::civil::date(-1, 12, 31)), None);
    }

    #[track_caller]
    fn check_age(birth: Date, on: Date, expected: Option<u16>) {
        let day = |date| Day::from_date(date).expect("within the calendar");
        assert_eq!(age_on(day(birth), day(on)).map(Age::years), expected, "born {birth}, on {on}");
    }

    #[test]
    fn ages_are_completed_calendar_years() {
        check_age(date(2000, 6, 15), date(2026, 6, 14), Some(25));
        check_age(date(2000, 6, 15), date(2026, 6, 15), Some(26));
        check_age(date(2000, 2, 29), date(2025, 2, 28), Some(24));
        check_age(date(2000, 2, 29), date(2025, 3, 1), Some(25));
        check_age(date(2000, 2, 29), date(2024, 2, 28), Some(23));
        check_age(date(2000, 2, 29), date(2024, 2, 29), Some(24));
        check_age(date(1850, 1, 1), date(2026, 1, 1), Some(176));
        check_age(date(2026, 1, 2), date(2026, 1, 2), Some(0));
        check_age(date(2026, 1, 2), date(2026, 1, 1), None);
    }

    #[test]
    fn days_of_instants_are_utc_days() {
        let day = |ms| Day::from_ms(ms).expect("within the calendar").date();
        assert_eq!(day(0), date(1970, 1, 1));
        assert_eq!(day(-1), date(1969, 12, 31));
        assert_eq!(day(86_399_999), date(1970, 1, 1));
        assert_eq!(day(-3_786_825_600_000), date(1850, 1, 1));
        assert_eq!(Day::from_ms(i64::MAX), None);
        assert_eq!(Day::from_ms(i64::MIN), None);
        assert_eq!(Day::FIRST.date(), date(0, 1, 1));
        assert_eq!(Day::LAST.date(), date(9999, 12, 30));
        assert_eq!(Day::LAST.next(), None);
    }

    proptest! {
        /// The last day of birth and the age agree for every birth and day.
        #[test]
        fn last_birth_day_agrees_with_age(birth in -60_000..30_000_i32, on in -60_000..30_000_i32, years in 0..200_u16) {
            let old_enough = age_on(Day(birth), Day(on)).is_some_and(|age| age.years() >= years);
            let by_day = last_birth_day(years, Day(on)).is_some_and(|last| Day(birth) <= last);
            prop_assert_eq!(old_enough, by_day);
        }
    }
}
