//! The histogram of ages: pure.

use maud::{Markup, html};

use crate::components::{
    self,
    chart::{self, Column},
};

/// How many users have which ages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bar {
    min_age: u16,
    max_age: u16,
    with_image: u64,
    without_image: u64,
}

/// The histogram with the same figures as a table. Both lists are ascending, as statistics have them: all users, and those with a picture.
pub(crate) fn histogram(all: &[(u16, u64)], with_image: &[(u16, u64)]) -> Markup {
    let bars = bars(all, with_image);
    let columns: Vec<Option<Column>> = bars.iter().map(|bar| (bar.users() > 0).then(|| column(bar))).collect();
    html! {
        section.card aria-labelledby="ages" {
            header {
                h2 #ages { "Ages" }
                (chart::legend(&[("with", "with picture"), ("without", "without")]))
            }
            @if bars.is_empty() {
                p.muted { "Nobody in the lake has an age." }
            } @else {
                (chart::columns(&columns))
                details #ages-table {
                    summary { "The figures as a table" }
                    (components::scroll("Users by age", &table(&bars)))
                }
            }
        }
    }
}

fn table(bars: &[Bar]) -> Markup {
    html! {
        table {
            caption.visually-hidden { "Users by age" }
            thead { tr { th scope="col" { "Age" } th.number scope="col" { "With picture" } th.number scope="col" { "Without" } } }
            tbody {
                @for bar in bars.iter().filter(|bar| bar.users() > 0) {
                    tr {
                        th scope="row" { a href=(bar.href()) { (bar.years()) } }
                        td.number { (components::number(bar.with_image)) }
                        td.number { (components::number(bar.without_image)) }
                    }
                }
            }
        }
    }
}

fn column(bar: &Bar) -> Column {
    let users = components::counted(bar.users(), "user", "users");
    Column {
        href: bar.href(),
        words: format!(
            "Age {}: {users}, {} with a picture",
            bar.years(),
            components::number(bar.with_image)
        ),
        label: bar.min_age.to_string(),
        parts: vec![("with", bar.with_image), ("without", bar.without_image)],
        is_marked: false,
    }
}

impl Bar {
    fn users(self) -> u64 {
        self.with_image + self.without_image
    }

    fn href(self) -> String {
        format!("/page/people?min_age={}&max_age={}", self.min_age, self.max_age)
    }

    fn years(self) -> String {
        if self.min_age == self.max_age {
            self.min_age.to_string()
        } else {
            format!("{}–{}", self.min_age, self.max_age)
        }
    }
}

/// Every age from the least to the greatest, or a round number of ages together where there are too many.
fn bars(all: &[(u16, u64)], with_image: &[(u16, u64)]) -> Vec<Bar> {
    let (Some((least, _)), Some((greatest, _))) = (all.first(), all.last()) else {
        return Vec::new();
    };
    let bin = |age: u16, years: u16| usize::from(age / years - least / years);
    let steps = chart::round_steps().filter_map(|step| u16::try_from(step).ok());
    let years = { steps }
        .find(|years| bin(*greatest, *years) < chart::COLUMNS_MAX)
        .unwrap_or(u16::MAX);
    let mut bars: Vec<Bar> = (least / years..=greatest / years)
        .map(|bin| Bar {
            min_age: bin.saturating_mul(years),
            max_age: bin.saturating_mul(years).saturating_add(years - 1),
            ..Bar::default()
        })
        .collect();
    for (age, users) in all {
        if let Some(bar) = bars.get_mut(bin(*age, years)) {
            bar.without_image += users;
        }
    }
    for (age, users) in with_image {
        let is_known = (*least..=*greatest).contains(age);
        if let Some(bar) = bars.get_mut(bin((*age).max(*least), years)).filter(|_| is_known) {
            bar.with_image += users;
            bar.without_image = bar.without_image.saturating_sub(*users);
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(all: &[(u16, u64)], with_image: &[(u16, u64)], expected: &[(u16, u16, u64, u64)]) {
        let bars = bars(all, with_image);
        let bars: Vec<_> = bars
            .iter()
            .map(|bar| (bar.min_age, bar.max_age, bar.with_image, bar.without_image))
            .collect();
        assert_eq!(bars, expected);
    }

    #[test]
    fn ages_are_columns() {
        check(&[], &[], &[]);
        check(&[(22, 1)], &[], &[(22, 22, 0, 1)]);
        check(&[(22, 3), (24, 1)], &[(22, 2)], &[(22, 22, 2, 1), (23, 23, 0, 0), (24, 24, 0, 1)]);
    }

    #[test]
    fn many_ages_share_columns() {
        let hundred: Vec<(u16, u64)> = (3..=102).map(|age| (age, 1)).collect();
        let grouped = bars(&hundred, &hundred[..1]);
        assert_eq!(grouped.len(), 21);
        assert_eq!((grouped[0].min_age, grouped[0].max_age), (0, 4));
        assert_eq!((grouped[0].with_image, grouped[0].without_image), (1, 1));
        assert_eq!(grouped.iter().map(|bar| bar.users()).sum::<u64>(), 100);
        let fifty: Vec<(u16, u64)> = (0..50).map(|age| (age, 1)).collect();
        assert_eq!(bars(&fifty, &[]).len(), 25);
        let thirty: Vec<(u16, u64)> = (1..=30).map(|age| (age, 1)).collect();
        assert_eq!(bars(&thirty, &[]).len(), 30);
        check_whole(&fifty);
        check_whole(&[(0, 1), (u16::MAX, 1)]);
        check_whole(&[(u16::MAX, 2)]);
    }

    /// Whatever the ages, nobody is lost and no column ends before it begins.
    #[track_caller]
    fn check_whole(all: &[(u16, u64)]) {
        let bars = bars(all, &[]);
        assert!(
            bars.len() <= chart::COLUMNS_MAX && bars.iter().all(|bar| bar.min_age <= bar.max_age),
            "{bars:?}"
        );
        let users: u64 = bars.iter().map(|bar| bar.users()).sum();
        assert_eq!(users, all.iter().map(|(_, users)| users).sum::<u64>(), "{all:?}");
    }

    #[test]
    fn a_column_leads_to_its_users() {
        let text = histogram(&[(22, 1_234), (23, 1)], &[(22, 1_000)]).into_string();
        assert!(text.contains("<a href=\"/page/people?min_age=22&amp;max_age=22\""), "{text}");
        assert!(text.contains("Age 22: 1,234 users, 1,000 with a picture"), "{text}");
        assert!(histogram(&[], &[]).into_string().contains("Nobody"));
    }
}
