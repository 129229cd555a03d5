//! Tests of the scale and the stacks of a chart.

use datalake_table::memory::distribution::BINS_MAX;

use super::*;

#[track_caller]
fn check_scale(max: u64, expected: &[u64]) {
    assert_eq!(Scale::up_to(max).lines().collect::<Vec<_>>(), expected, "up to {max}");
}

#[test]
fn grid_lines_are_round_numbers() {
    check_scale(0, &[0, 1]);
    check_scale(1, &[0, 1]);
    check_scale(5, &[0, 1, 2, 3, 4, 5]);
    check_scale(6, &[0, 2, 4, 6]);
    check_scale(26, &[0, 10, 20, 30]);
    check_scale(1_000_000, &[0, 200_000, 400_000, 600_000, 800_000, 1_000_000]);
}

#[test]
fn largest_number_does_not_overflow() {
    assert_eq!(Scale::up_to(u64::MAX).lines().next(), Some(0));
}

const AXES: Axes = Axes {
    unit: "rows",
    labels: Labels::Fitting,
    height: Height::Full,
};

fn column(series: &[(&'static str, u64)]) -> Column {
    Column {
        href: "/x".to_owned(),
        title: "title".to_owned(),
        label: "label".to_owned(),
        series: series.to_vec(),
        is_marked: false,
    }
}

#[track_caller]
fn check_stack(series: &[(&'static str, u64)], max: u64, expected: &[(&str, f64, f64)]) {
    assert_eq!(stack(&column(series), &Scale::up_to(max)), expected);
}

#[test]
fn values_are_stacked() {
    check_stack(&[("a", 5), ("b", 5)], 10, &[("a", 102.0, 90.0), ("b", 12.0, 90.0)]);
    check_stack(&[("a", 0), ("b", 10)], 10, &[("b", 12.0, 180.0)]);
    check_stack(&[("a", 0), ("b", 0)], 10, &[("idle", 190.0, 2.0)]);
}

#[track_caller]
fn check_max(totals: &[u64], height: Height, expected: u64) {
    let columns: Vec<_> = totals.iter().map(|total| Some(column(&[("a", *total)]))).collect();
    assert_eq!(max_to_scale(&columns, height), expected, "{totals:?}");
}

#[test]
fn much_taller_column_is_cut_off() {
    check_max(&[50_000, 3, 5], Height::Capped, 10);
    check_max(&[50_000, 3, 5], Height::Full, 50_000);
    check_max(&[20, 5], Height::Capped, 20);
    check_max(&[50_000], Height::Capped, 50_000);
    check_max(&[50_000, 0], Height::Capped, 50_000);
    check_max(&[], Height::Capped, 0);
    check_stack(&[("a", 300), ("b", 100)], 10, &[("a", 57.0, 135.0), ("b", 12.0, 45.0)]);
    let columns = [Some(column(&[("a", 50_000)])), Some(column(&[("a", 5)]))];
    let text = super::columns(
        &columns,
        Axes {
            height: Height::Capped,
            ..AXES
        },
    )
    .into_string();
    assert!(text.contains(">50,000</text>"), "{text}");
}

#[test]
fn small_value_is_visible() {
    check_stack(&[("a", 1)], 1_000_000, &[("a", 190.0, 2.0)]);
}

#[test]
fn columns_and_labels_fit_the_width() {
    for count in [0, 1, 2, 24, BINS_MAX] {
        let text = columns(&vec![Some(column(&[("a", 3), ("b", 4)])); count], AXES).into_string();
        let ends = text.split("<rect class=\"hit\" x=\"").skip(1).map(|rest| {
            let mut numbers = rest.split('%').map(|part| part.rsplit('"').next().unwrap().parse::<f64>().unwrap());
            numbers.next().unwrap() + numbers.next().unwrap()
        });
        let ends: Vec<f64> = ends.collect();
        assert_eq!(ends.len(), count);
        assert!(ends.iter().all(|end| *end <= 100.01), "{ends:?}");
        let labels = text.matches(">label</text>").count();
        assert!(
            labels * "label ".len() <= LABEL_CHARS_MAX && labels >= count.min(4),
            "{labels} labels of {count}"
        );
    }
}

#[test]
fn hostile_text_is_escaped() {
    let hostile = Column {
        href: "/page/runs/\"><script>".to_owned(),
        title: "</title><script>".to_owned(),
        label: "<script>".to_owned(),
        ..column(&[("a", 1)])
    };
    let text = columns(&[None, Some(hostile)], AXES).into_string();
    assert!(!text.contains("<script"), "{text}");
}
