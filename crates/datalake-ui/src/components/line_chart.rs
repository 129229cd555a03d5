//! Small line charts as SVG: one value over time, with its smallest and its latest value. The vertical axis does not start at zero, so that small
//! changes are visible; the text states the range.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::components::format::short_time;

/// The size of the drawing, which stretches to the width of its box. Lines keep their width.
const WIDTH: i64 = 1_000;
const HEIGHT: i64 = 100;
/// The space above and below the line, so that points at the edge are complete.
const MARGIN: i64 = 8;

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) at: Timestamp,
    pub(crate) value: u64,
}

/// A chart with its title. `points` are in ascending order of time; `format` formats a value with its unit.
pub(crate) fn chart(id: &str, title: &str, points: &[Point], format: impl Fn(u64) -> String, now: Timestamp) -> Markup {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return html! {};
    };
    let values = || points.iter().map(|point| point.value);
    let (min, max) = (values().min().unwrap_or_default(), values().max().unwrap_or_default());
    let range = match min == max {
        true => "unchanged".to_owned(),
        false => format!("{} to {}", format(min), format(max)),
    };
    html! {
        figure.trend id=(id) {
            figcaption { span { (title) } " " strong { (format(last.value)) } }
            svg.line viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label={ (title) ": " (format(last.value)) ", " (range) } {
                polyline points=(line(points, min, max)) {}
                @for (point, (x, y)) in points.iter().zip(positions(points, min, max)) {
                    path data-mark d={ "M" (x) " " (y) "h0" } { title { (short_time(point.at, now)) " UTC: " (format(point.value)) } }
                }
            }
            p.small.muted { span { (short_time(first.at, now)) } span { (range) } span { (short_time(last.at, now)) } }
        }
    }
}

/// A line without axes; nothing if there are fewer than two points. A chart shows the values.
pub(crate) fn sparkline(title: &str, points: &[Point]) -> Markup {
    let values = || points.iter().map(|point| point.value);
    let (min, max) = (values().min().unwrap_or_default(), values().max().unwrap_or_default());
    html! {
        @if points.len() > 1 {
            svg.line.spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(title) {
                polyline points=(line(points, min, max)) {}
            }
        }
    }
}

fn line(points: &[Point], min: u64, max: u64) -> String {
    let pairs: Vec<_> = positions(points, min, max).map(|(x, y)| format!("{x},{y}")).collect();
    pairs.join(" ")
}

/// Where each point is drawn.
fn positions(points: &[Point], min: u64, max: u64) -> impl Iterator<Item = (i64, i64)> {
    let start = points.first().map_or(0, |point| point.at.as_second());
    let end = points.last().map_or(0, |point| point.at.as_second());
    points.iter().map(move |point| {
        let elapsed = point.at.as_second() - start;
        let x = match end - start {
            // A single point is in the middle.
            ..=0 => WIDTH / 2,
            seconds => elapsed * WIDTH / seconds,
        };
        let above = share(point.value - min, max - min, HEIGHT - 2 * MARGIN);
        (x, HEIGHT - MARGIN - above)
    })
}

/// `part / whole` of a length; half of it if all values are equal.
fn share(part: u64, whole: u64, length: i64) -> i64 {
    match whole {
        0 => length / 2,
        _ => i64::try_from(u128::from(part) * u128::from(length.unsigned_abs()) / u128::from(whole)).unwrap_or(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[(i64, u64)]) -> Vec<Point> {
        let point = |&(second, value): &(i64, u64)| Point {
            at: Timestamp::from_second(second).unwrap(),
            value,
        };
        values.iter().map(point).collect()
    }

    #[track_caller]
    fn check(values: &[(i64, u64)], min: u64, max: u64, expected: &str) {
        assert_eq!(line(&points(values), min, max), expected, "{values:?}");
    }

    #[test]
    fn points_are_at_their_time_and_value() {
        check(&[(0, 0), (10, 10), (40, 5)], 0, 10, "0,92 250,8 1000,50");
        check(&[(0, 100), (10, 101)], 100, 101, "0,92 1000,8");
        check(&[(7, 3)], 3, 3, "500,50");
        check(&[(0, u64::MAX), (1, 0)], 0, u64::MAX, "0,8 1000,92");
    }

    #[test]
    fn sparkline_needs_two_points() {
        assert_eq!(sparkline("Users", &points(&[(0, 1)])).into_string(), "");
        let text = sparkline("Users", &points(&[(0, 0), (10, 10)])).into_string();
        assert!(text.contains("points=\"0,92 1000,8\""), "{text}");
    }

    #[test]
    fn chart_states_range_and_latest_value() {
        let now = Timestamp::from_second(100).unwrap();
        let text = chart("users", "Users", &points(&[(0, 98), (60, 100)]), |value| value.to_string(), now).into_string();
        assert!(text.contains("aria-label=\"Users: 100, 98 to 100\""), "{text}");
        assert_eq!(text.matches("<title>").count(), 2);
        assert_eq!(chart("users", "Users", &[], |value| value.to_string(), now).into_string(), "");
    }
}
