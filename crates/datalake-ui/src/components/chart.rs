//! Stacked column charts as SVG.
//!
//! Widths are percentages and heights are pixels, so that a chart fills the available width while its text keeps its size. The scale is a
//! separate SVG on the left.
//!
//! The script shows the title of a column in a tooltip.
//!
//! Charts are hidden from the keyboard and from screen readers, because dozens of columns would be dozens of tab stops. Each chart has a table
//! with the same numbers and links instead.

use maud::{Markup, html};

use crate::components::format::number;

/// The height of the tallest column, in pixels.
const PLOT_HEIGHT: u32 = 180;
/// The space above the columns for the label of the highest grid line, in pixels.
const PLOT_TOP: u32 = 12;
/// The space below the axis for labels, in pixels.
const PLOT_BOTTOM: u32 = 24;
/// How many characters fit below the axis on a phone, with one between labels.
const LABEL_CHARS_MAX: usize = 36;
/// The minimum height of a value above zero, in pixels, so that it is visible.
const HEIGHT_MIN: f64 = 2.0;

/// One column of stacked values, from the bottom up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) href: String,
    /// The tooltip with all values.
    pub(crate) title: String,
    /// The text below the axis.
    pub(crate) label: String,
    /// CSS class and value of each series.
    pub(crate) series: Vec<(&'static str, u64)>,
    /// Whether there is a mark above the column, for runs that failed.
    pub(crate) is_marked: bool,
}

impl Column {
    /// A place without values that has a label.
    pub(crate) fn label_only(label: String) -> Self {
        Self {
            href: String::new(),
            title: String::new(),
            label,
            series: Vec::new(),
            is_marked: false,
        }
    }

    fn total(&self) -> u64 {
        self.series.iter().map(|(_, value)| value).sum()
    }
}

/// How columns are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axes<'a> {
    /// The title of the vertical axis.
    pub(crate) unit: &'a str,
    pub(crate) labels: Labels,
    pub(crate) height: Height,
}

/// Which labels are shown below the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Labels {
    /// As many as fit, evenly spaced.
    Fitting,
    /// As many as fit, evenly spaced, at the left edge of their columns: the values at which the columns begin.
    FittingAtEdges,
    /// All that are not empty.
    All,
}

/// How high the tallest column is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Height {
    Full,
    /// If one column is much taller than all others, it is cut off, so that the others remain visible.
    Capped,
}

/// A column that is this many times taller than the second one is cut off.
const CAP_RATIO: u64 = 4;

/// The largest total that is drawn to scale.
fn max_to_scale(columns: &[Option<Column>], height: Height) -> u64 {
    let mut totals: Vec<u64> = columns.iter().flatten().map(Column::total).collect();
    totals.sort_unstable_by(|a, b| b.cmp(a));
    match (totals.as_slice(), height) {
        ([first, second, ..], Height::Capped) if *second > 0 && *first > second.saturating_mul(CAP_RATIO) => second.saturating_mul(2),
        ([first, ..], _) => *first,
        ([], _) => 0,
    }
}

/// The chart; none is an empty place.
pub(crate) fn columns(columns: &[Option<Column>], axes: Axes<'_>) -> Markup {
    let scale = Scale::up_to(max_to_scale(columns, axes.height));
    let height = PLOT_TOP + PLOT_HEIGHT + PLOT_BOTTOM;
    let width = 100.0 / float(columns.len().max(1));
    let longest = columns
        .iter()
        .flatten()
        .map(|column| column.label.chars().count())
        .max()
        .unwrap_or_default();
    let labels_max = (LABEL_CHARS_MAX / (longest.max(2) + 1)).max(1);
    let every = match axes.labels {
        Labels::Fitting | Labels::FittingAtEdges => columns.len().div_ceil(labels_max).max(1),
        Labels::All => 1,
    };
    let label_at = match axes.labels {
        Labels::FittingAtEdges => 0.0,
        Labels::Fitting | Labels::All => width / 2.0,
    };
    // Labels are evenly spaced, starting at the first column.
    let first = columns.iter().position(Option::is_some).unwrap_or_default();
    html! {
        p.axis-title { (axes.unit) }
        div.plot {
            svg.chart.scale width=(scale.label_width()) height=(height) aria-hidden="true" focusable="false" {
                @for line in scale.lines() {
                    text x="100%" y=(rounded(scale.y(line) + 4.0)) { (number(line)) }
                }
            }
            svg.chart height=(height) aria-hidden="true" focusable="false" {
                @for line in scale.lines() {
                    @let (class, y) = (if line == 0 { "axis" } else { "grid" }, rounded(scale.y(line)));
                    line class=(class) x1="0" x2="100%" y1=(y) y2=(y) {}
                }
                @for (index, column) in columns.iter().enumerate() {
                    @if let Some(column) = column {
                        @let left = width * float(index);
                        (draw(column, &scale, left, width))
                        @if (index + every - first % every).is_multiple_of(every) && !column.label.is_empty() {
                            text x=(percent(left + label_at)) y=(PLOT_TOP + PLOT_HEIGHT + 16) { (column.label) }
                        }
                    }
                }
            }
        }
    }
}

/// A column whose left edge is at `left` percent.
fn draw(column: &Column, scale: &Scale, left: f64, width: f64) -> Markup {
    let height = PLOT_TOP + PLOT_HEIGHT + PLOT_BOTTOM;
    let is_cut = column.total() > scale.max();
    html! {
        @if !column.series.is_empty() {
            a href=(column.href) tabindex="-1" data-mark {
                title { (column.title) }
                @for (class, y, column_height) in stack(column, scale) {
                    rect class=(class) x=(percent(left + width * 0.1)) width=(percent(width * 0.8)) y=(rounded(y)) height=(rounded(column_height)) {}
                }
                @if is_cut { rect.break x=(percent(left)) width=(percent(width)) y=(PLOT_TOP + 10) height="5" {} }
                rect.hit x=(percent(left)) width=(percent(width)) height=(height) {}
            }
        }
        @if is_cut {
            text x=(percent(left + width / 2.0)) y=(PLOT_TOP - 2) { (number(column.total())) }
        }
        @if column.is_marked {
            text.mark x=(percent(left + width / 2.0)) y=(rounded(scale.y(column.total().min(scale.max())) - 4.0)) { "×" }
        }
    }
}

/// Buttons of the script that save the numbers and the drawing of a chart.
pub(crate) fn downloads() -> Markup {
    html! {
        p.download {
            button.plain type="button" data-download="csv" { "Download CSV" }
            button.plain type="button" data-download="svg" { "Download SVG" }
        }
    }
}

/// The button of the script that saves the numbers of a chart.
pub(crate) fn csv_download() -> Markup {
    html! { p.download { button.plain type="button" data-download="csv" { "Download CSV" } } }
}

/// The legend: class and label of each series.
pub(crate) fn legend(entries: &[(&str, &str)]) -> Markup {
    html! {
        ul.legend {
            @for (class, label) in entries {
                li {
                    svg viewBox="0 0 10 10" aria-hidden="true" focusable="false" { rect class={ "swatch " (class) } width="10" height="10" rx="2" {} }
                    (label)
                }
            }
        }
    }
}

/// Class, top and height of each value above zero, from the bottom up.
fn stack(column: &Column, scale: &Scale) -> Vec<(&'static str, f64, f64)> {
    let mut top = f64::from(PLOT_TOP + PLOT_HEIGHT);
    if column.total() == 0 && !column.is_marked {
        return vec![("idle", top - HEIGHT_MIN, HEIGHT_MIN)];
    }
    let visible = column.series.iter().filter(|(_, value)| *value > 0);
    let is_cut = column.total() > scale.max();
    let stacked = visible.map(|(class, value)| {
        let height = match is_cut {
            true => f64::from(PLOT_HEIGHT) * ratio(*value, column.total()),
            false => scale.height(*value),
        };
        let height = height.max(HEIGHT_MIN);
        top -= height;
        (*class, top, height)
    });
    stacked.collect()
}

/// Grid lines at round numbers, from 0 to at least the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scale {
    step: u64,
    count: u64,
}

impl Scale {
    /// At most five grid lines above the axis.
    fn up_to(max: u64) -> Self {
        let step = round_steps().find(|step| max.div_ceil(*step) <= 5).unwrap_or(u64::MAX);
        Self {
            step,
            count: max.div_ceil(step).max(1),
        }
    }

    /// The highest grid line.
    fn max(self) -> u64 {
        self.step.saturating_mul(self.count)
    }

    fn lines(self) -> impl Iterator<Item = u64> {
        (0..=self.count).map(move |line| line.saturating_mul(self.step))
    }

    /// The width of the longest label, in pixels.
    fn label_width(self) -> usize {
        8 * number(self.max()).len()
    }

    fn height(self, value: u64) -> f64 {
        f64::from(PLOT_HEIGHT) * ratio(value, self.max())
    }

    fn y(self, value: u64) -> f64 {
        f64::from(PLOT_TOP + PLOT_HEIGHT) - self.height(value)
    }
}

/// 1, 2, 5, 10, 20, 50, …
fn round_steps() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(1_u64), |power| power.checked_mul(10)).flat_map(|power| [1, 2, 5].map(|step| power.saturating_mul(step)))
}

/// `part / whole`, to six decimals. The lints deny casts from `u64` to `f64`.
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

/// The length of a bar, in percent of the longest one.
pub(crate) fn percent_of(value: u64, longest: u64) -> String {
    percent(100.0 * ratio(value, longest))
}

fn percent(of_width: f64) -> String {
    format!("{of_width:.2}%")
}

#[cfg(test)]
mod tests;
