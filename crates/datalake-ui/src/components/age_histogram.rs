//! The histogram of ages.

use maud::{Markup, html};

use crate::{
    components::{
        self,
        chart::{self, Axes, Column, Height, Labels},
        format::{counted, number},
    },
    page::links,
};

/// The number of users in a range of ages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bar {
    min_age: u16,
    max_age: u16,
    with_image: u64,
    without_image: u64,
}

const AXES: Axes = Axes {
    unit: "Users by age",
    labels: Labels::Fitting,
    height: Height::Full,
};

/// The histogram, with a table of the same numbers. Both lists contain pairs of age and count in ascending order: of all users, and of the users
/// with an image.
pub(crate) fn histogram(all: &[(u16, u64)], with_image: &[(u16, u64)]) -> Markup {
    let bars = bars(all, with_image);
    let columns: Vec<Option<Column>> = bars.iter().map(|bar| (bar.users() > 0).then(|| column(bar))).collect();
    html! {
        section.card aria-labelledby="ages" {
            header {
                h2 #ages { "Ages" }
                (chart::legend(&[("with", "with image"), ("without", "without image")]))
            }
            @if bars.is_empty() {
                p.muted { "No ages to show." }
            } @else {
                (chart::columns(&columns, AXES))
                details #ages-table {
                    summary { "Show as table" }
                    (components::scroll("Users by age", &table(&bars)))
                }
                (chart::downloads())
            }
        }
    }
}

fn table(bars: &[Bar]) -> Markup {
    html! {
        table {
            caption.visually-hidden { "Users by age" }
            thead { tr { th scope="col" { "Age" } th.number scope="col" { "With image" } th.number scope="col" { "Without image" } } }
            tbody {
                @for bar in bars.iter().filter(|bar| bar.users() > 0) {
                    tr {
                        th scope="row" { a href=(bar.href()) { (bar.range()) } }
                        td.number { (number(bar.with_image)) }
                        td.number { (number(bar.without_image)) }
                    }
                }
            }
        }
    }
}

fn column(bar: &Bar) -> Column {
    let users = counted(bar.users(), "user", "users");
    Column {
        href: bar.href(),
        title: format!("Age {}: {users}, {} with image", bar.range(), number(bar.with_image)),
        label: bar.range(),
        series: vec![("with", bar.with_image), ("without", bar.without_image)],
        is_marked: false,
    }
}

impl Bar {
    fn users(self) -> u64 {
        self.with_image + self.without_image
    }

    fn href(self) -> String {
        format!("{}?min_age={}&max_age={}", links::USERS, self.min_age, self.max_age)
    }

    fn range(self) -> String {
        if self.min_age == self.max_age {
            self.min_age.to_string()
        } else {
            format!("{}–{}", self.min_age, self.max_age)
        }
    }
}

/// One bar for each age from the minimum to the maximum. If there are too many, each bar covers the same round number of ages.
fn bars(all: &[(u16, u64)], with_image: &[(u16, u64)]) -> Vec<Bar> {
    let (Some((min, _)), Some((max, _))) = (all.first(), all.last()) else {
        return Vec::new();
    };
    let bin = |age: u16, years: u16| usize::from(age / years - min / years);
    let steps = chart::round_steps().filter_map(|step| u16::try_from(step).ok());
    let years = { steps }.find(|years| bin(*max, *years) < chart::COLUMNS_MAX).unwrap_or(u16::MAX);
    let mut bars: Vec<Bar> = (min / years..=max / years)
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
        let is_in_range = (*min..=*max).contains(age);
        if let Some(bar) = bars.get_mut(bin((*age).max(*min), years)).filter(|_| is_in_range) {
            bar.with_image += users;
            bar.without_image = bar.without_image.saturating_sub(*users);
        }
    }
    bars
}

#[cfg(test)]
mod tests;
