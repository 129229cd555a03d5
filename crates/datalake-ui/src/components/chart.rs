//! Charts as SVG. Pure: figures in, marks out.
//!
//! Widths are percentages and heights are pixels, so that a chart takes the width that there is while its words keep their size. The scale
//! stands in a drawing of its own to the left.
//!
//! A chart is for eyes and pointers. Its figures and its links stand once more in the table that goes with it, which is where keys and screen
//! readers find them: dozens of columns would be dozens of stops on the way past the chart.

use maud::{Markup, html};

use crate::components;

/// Pixels of the tallest column.
const PLOT_HEIGHT: u32 = 180;
/// Pixels above it, for the highest line's number.
const PLOT_TOP: u32 = 12;
/// Pixels below it, for what stands under the axis.
const PLOT_BOTTOM: u32 = 24;
/// More columns than this are too narrow for a finger, and for an eye.
pub(crate) const COLUMNS_MAX: usize = 30;
/// So many letters under the axis have room on a phone.
const LETTERS_MAX: usize = 30;
/// What is not nothing is seen.
const HEIGHT_MIN: f64 = 2.0;

/// One column: its parts stand on each other, the first at the bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Where a click leads.
    pub(crate) href: String,
    /// All of its figures in words.
    pub(crate) words: String,
    /// Under the axis.
    pub(crate) label: String,
    /// Class and figure of each part.
    pub(crate) parts: Vec<(&'static str, u64)>,
    /// A mark under the axis for what ended badly.
    pub(crate) is_marked: bool,
}

impl Column {
    fn total(&self) -> u64 {
        self.parts.iter().map(|(_, figure)| figure).sum()
    }
}

/// Columns beside each other; none is a gap.
pub(crate) fn columns(columns: &[Option<Column>]) -> Markup {
    let scale = Scale::up_to(columns.iter().flatten().map(Column::total).max().unwrap_or_default());
    let height = PLOT_TOP + PLOT_HEIGHT + PLOT_BOTTOM;
    let width = 100.0 / float(columns.len().max(1));
    let longest = columns.iter().flatten().map(|column| column.label.len()).max().unwrap_or_default();
    let labels_max = (LETTERS_MAX / longest.max(2)).max(1);
    let every = columns.len().div_ceil(labels_max).max(1);
    // A label each so many columns, counted from the first one that there is.
    let first = columns.iter().position(Option::is_some).unwrap_or_default();
    html! {
        div.plot {
            svg.chart.scale width=(scale.label_width()) height=(height) aria-hidden="true" focusable="false" {
                @for line in scale.lines() {
                    text x="100%" y=(rounded(scale.y(line) + 4.0)) { (components::number(line)) }
                }
            }
            svg.chart height=(height) aria-hidden="true" focusable="false" {
                @for line in scale.lines() {
                    @let (class, y) = (if line == 0 { "axis" } else { "grid" }, rounded(scale.y(line)));
                    line class=(class) x1="0" x2="100%" y1=(y) y2=(y) {}
                }
                @for (index, column) in columns.iter().enumerate() {
                    @if let Some(column) = column {
                        (drawn(column, &scale, width * float(index), width, (index + every - first % every).is_multiple_of(every)))
                    }
                }
            }
        }
    }
}

/// A column that begins at `left` of a hundred.
fn drawn(column: &Column, scale: &Scale, left: f64, width: f64, is_labelled: bool) -> Markup {
    let height = PLOT_TOP + PLOT_HEIGHT + PLOT_BOTTOM;
    let under = PLOT_TOP + PLOT_HEIGHT + 16;
    html! {
        a href=(column.href) tabindex="-1" {
            title { (column.words) }
            @for (class, y, tall) in stacked(column, scale) {
                rect class=(class) x=(percent(left + width * 0.1)) width=(percent(width * 0.8)) y=(rounded(y)) height=(rounded(tall)) {}
            }
            rect.hit x=(percent(left)) width=(percent(width)) height=(height) {}
        }
        @if column.is_marked {
            text.mark x=(percent(left + width / 2.0)) y=(under) { "×" }
        } @else if is_labelled && !column.label.is_empty() {
            text x=(percent(left + width / 2.0)) y=(under) { (column.label) }
        }
    }
}

/// What the colours of a chart stand for.
pub(crate) fn legend(entries: &[(&str, &str)]) -> Markup {
    html! {
        ul.legend {
            @for (class, words) in entries {
                li {
                    svg viewBox="0 0 10 10" aria-hidden="true" focusable="false" { rect class={ "swatch " (class) } width="10" height="10" rx="2" {} }
                    (words)
                }
            }
        }
    }
}

/// Class, upper edge and height of each part that is to be seen, from the bottom up.
fn stacked(column: &Column, scale: &Scale) -> Vec<(&'static str, f64, f64)> {
    let mut top = f64::from(PLOT_TOP + PLOT_HEIGHT);
    if column.total() == 0 && !column.is_marked {
        return vec![("idle", top - HEIGHT_MIN, HEIGHT_MIN)];
    }
    let seen = column.parts.iter().filter(|(_, figure)| *figure > 0);
    let stack = seen.map(|(class, figure)| {
        let tall = scale.height(*figure).max(HEIGHT_MIN);
        top -= tall;
        (*class, top, tall)
    });
    stack.collect()
}

/// Lines at round numbers, from 0 to at least the greatest figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scale {
    step: u64,
    count: u64,
}

impl Scale {
    /// At most five lines above the axis.
    fn up_to(greatest: u64) -> Self {
        let step = round_steps().find(|step| greatest.div_ceil(*step) <= 5).unwrap_or(u64::MAX);
        Self {
            step,
            count: greatest.div_ceil(step).max(1),
        }
    }

    fn lines(self) -> impl Iterator<Item = u64> {
        (0..=self.count).map(move |line| line.saturating_mul(self.step))
    }

    /// Pixels of the longest number.
    fn label_width(self) -> usize {
        8 * components::number(self.step.saturating_mul(self.count)).len()
    }

    fn height(self, figure: u64) -> f64 {
        f64::from(PLOT_HEIGHT) * ratio(figure, self.step.saturating_mul(self.count))
    }

    fn y(self, figure: u64) -> f64 {
        f64::from(PLOT_TOP + PLOT_HEIGHT) - self.height(figure)
    }
}

/// 1, 2, 5, 10, 20, 50, …
pub(crate) fn round_steps() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(1_u64), |power| power.checked_mul(10)).flat_map(|power| [1, 2, 5].map(|step| power.saturating_mul(step)))
}

/// How many hundredths of a percent: exact enough for a drawing, and the language has no lossy conversion but casts.
fn ratio(part: u64, whole: u64) -> f64 {
    let scaled = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    f64::from(u32::try_from(scaled).unwrap_or(u32::MAX)) / 1_000_000.0
}

fn float(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

fn rounded(pixels: f64) -> String {
    let text = format!("{pixels:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn percent(of_width: f64) -> String {
    format!("{of_width:.2}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_scale(greatest: u64, expected: &[u64]) {
        assert_eq!(Scale::up_to(greatest).lines().collect::<Vec<_>>(), expected, "up to {greatest}");
    }

    #[test]
    fn lines_stand_at_round_numbers() {
        check_scale(0, &[0, 1]);
        check_scale(1, &[0, 1]);
        check_scale(5, &[0, 1, 2, 3, 4, 5]);
        check_scale(6, &[0, 2, 4, 6]);
        check_scale(26, &[0, 10, 20, 30]);
        check_scale(1_000_000, &[0, 200_000, 400_000, 600_000, 800_000, 1_000_000]);
        // Nothing overflows.
        assert_eq!(Scale::up_to(u64::MAX).lines().next(), Some(0));
    }

    fn column(parts: &[(&'static str, u64)]) -> Column {
        Column {
            href: "/x".to_owned(),
            words: "words".to_owned(),
            label: "label".to_owned(),
            parts: parts.to_vec(),
            is_marked: false,
        }
    }

    #[track_caller]
    fn check_stack(parts: &[(&'static str, u64)], greatest: u64, expected: &[(&str, f64, f64)]) {
        assert_eq!(stacked(&column(parts), &Scale::up_to(greatest)), expected);
    }

    #[test]
    fn parts_stand_on_each_other() {
        check_stack(&[("a", 5), ("b", 5)], 10, &[("a", 102.0, 90.0), ("b", 12.0, 90.0)]);
        check_stack(&[("a", 0), ("b", 10)], 10, &[("b", 12.0, 180.0)]);
        check_stack(&[("a", 0), ("b", 0)], 10, &[("idle", 190.0, 2.0)]);
        // One of a million is still seen.
        check_stack(&[("a", 1)], 1_000_000, &[("a", 190.0, 2.0)]);
    }

    #[test]
    fn no_column_leaves_the_drawing() {
        for count in [0, 1, 2, 24, COLUMNS_MAX] {
            let text = columns(&vec![Some(column(&[("a", 3), ("b", 4)])); count]).into_string();
            let ends = text.split("<rect class=\"hit\" x=\"").skip(1).map(|rest| {
                let mut numbers = rest.split('%').map(|part| part.rsplit('"').next().unwrap().parse::<f64>().unwrap());
                numbers.next().unwrap() + numbers.next().unwrap()
            });
            let ends: Vec<f64> = ends.collect();
            assert_eq!(ends.len(), count);
            assert!(ends.iter().all(|end| *end <= 100.01), "{ends:?}");
            let labels = text.matches(">label</text>").count();
            assert!(
                labels * "label".len() <= LETTERS_MAX && (labels > 0) == (count > 0),
                "{labels} labels of {count}"
            );
        }
    }

    #[test]
    fn words_stay_words() {
        let hostile = Column {
            href: "/page/runs/\"><script>".to_owned(),
            words: "</title><script>".to_owned(),
            label: "<script>".to_owned(),
            ..column(&[("a", 1)])
        };
        let text = columns(&[None, Some(hostile)]).into_string();
        assert!(!text.contains("<script"), "{text}");
    }
}
