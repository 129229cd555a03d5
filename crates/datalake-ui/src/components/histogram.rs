//! The histogram of a column: the number of rows by value.

use datalake_core::{
    dataset::{Dataset, Value},
    query::column::Column,
    text::capitalized,
};
use datalake_table::memory::{distribution::Bin, summary::Histogram};
use maud::{Markup, html};

use crate::{
    components::{
        self,
        chart::{self, Axes, Height, Labels},
        format::number,
        labels,
    },
    page::{links, query::Query},
};

/// The histogram, with a table of the same numbers.
pub(crate) fn card(dataset: &Dataset, histogram: &Histogram) -> Markup {
    let chart = Chart {
        dataset,
        column: histogram.column,
        file: dataset.files().first().map(labels::file_in_sentence),
    };
    let bins = &histogram.bins;
    let columns: Vec<Option<chart::Column>> = bins.iter().map(|bin| Some(chart.column(bin))).collect();
    let id = format!("chart-{}", labels::name(dataset, histogram.column));
    let unit = format!("{} by {}", dataset.title(), labels::column_in_sentence(dataset, histogram.column));
    let axes = Axes {
        unit: &unit,
        labels: match bins.iter().any(|bin| bin.from != bin.to) {
            true => Labels::FittingAtEdges,
            false => Labels::Fitting,
        },
        height: Height::Full,
    };
    html! {
        section.card aria-labelledby=(id) {
            header {
                h2 id=(id) { (labels::column(dataset, histogram.column)) }
                @if let Some([with, without]) = chart.series() { (chart::legend(&[("with", with.as_str()), ("without", without.as_str())])) }
            }
            @if bins.is_empty() {
                p.muted { "No values to show." }
            } @else {
                (chart::columns(&columns, axes))
                details id={ (id) "-table" } {
                    summary { "Show as table" }
                    (components::scroll(&unit, &chart.table(&unit, bins)))
                }
                (chart::downloads())
            }
        }
    }
}

/// What all bars of a chart have in common.
struct Chart<'a> {
    dataset: &'a Dataset,
    column: Column,
    /// The first file, if the dataset has one.
    file: Option<String>,
}

impl Chart<'_> {
    /// The labels of the rows with and without the first file.
    fn series(&self) -> Option<[String; 2]> {
        let file = self.file.as_ref()?;
        Some([format!("with {file}"), format!("without {file}")])
    }

    fn column(&self, bin: &Bin) -> chart::Column {
        // Short labels, so that many fit.
        let start = bin.from.to_string();
        if bin.rows() == 0 {
            return chart::Column::label_only(start);
        }
        let rows = labels::counted_rows(self.dataset, bin.rows());
        let label = labels::column(self.dataset, self.column);
        let with = match &self.file {
            Some(file) => format!(", {} with {file}", number(bin.with_file)),
            None => String::new(),
        };
        chart::Column {
            href: self.href(bin),
            title: format!("{label} {}: {rows}{with}", range(bin)),
            label: start,
            series: match self.file {
                Some(_) => vec![("with", bin.with_file), ("without", bin.without_file)],
                None => vec![("with", bin.rows())],
            },
            is_marked: false,
        }
    }

    /// The list of the rows.
    fn href(&self, bin: &Bin) -> String {
        let name = labels::name(self.dataset, self.column);
        let [from, to] = match bin.from {
            Value::Integer(_) => [format!("min_{name}"), format!("max_{name}")],
            _ => [format!("{name}__gte"), format!("{name}__lt")],
        };
        let bounds = [bin.from.to_string(), bin.to.to_string()];
        Query::new([(from.as_str(), bounds[0].as_str()), (to.as_str(), bounds[1].as_str())]).address(links::ROWS)
    }

    fn table(&self, caption: &str, bins: &[Bin]) -> Markup {
        html! {
            table {
                caption.visually-hidden { (caption) }
                thead {
                    tr {
                        th scope="col" { (labels::column(self.dataset, self.column)) }
                        @match self.series() {
                            Some([with, without]) => { th.number scope="col" { (capitalized(&with)) } th.number scope="col" { (capitalized(&without)) } },
                            None => th.number scope="col" { (self.dataset.title()) },
                        }
                    }
                }
                tbody {
                    @for bin in bins.iter().filter(|bin| bin.rows() > 0) {
                        tr {
                            th scope="row" { a href=(self.href(bin)) { (range(bin)) } }
                            @if self.file.is_some() { td.number { (number(bin.with_file)) } }
                            td.number { (number(bin.without_file)) }
                        }
                    }
                }
            }
        }
    }
}

/// The values of a bar. Negative numbers are separated by a word, because a dash would look like a sign.
fn range(bin: &Bin) -> String {
    let (from, to) = (bin.from.to_string(), bin.to.to_string());
    match from == to {
        true => from,
        false if from.starts_with('-') => format!("{from} to {to}"),
        false => format!("{from}–{to}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::test_dataset::orders;

    fn bin(from: Value, to: Value, with_file: u64) -> Bin {
        Bin {
            from,
            to,
            with_file,
            without_file: 234,
        }
    }

    #[test]
    fn bar_of_integers_links_to_its_rows() {
        let bins = vec![bin(Value::Integer(22), Value::Integer(22), 1_000)];
        let column = Column::Derived(0);
        let text = card(Dataset::users(), &Histogram { column, bins }).into_string();
        assert!(text.contains("<a href=\"/page/users?min_age=22&amp;max_age=22\""), "{text}");
        assert!(text.contains("Age 22: 1,234 users, 1,000 with image"), "{text}");
        let bins = Vec::new();
        let empty = card(Dataset::users(), &Histogram { column, bins }).into_string();
        assert!(empty.contains("No values to show"), "{empty}");
    }

    #[test]
    fn axis_has_labels_of_empty_bars_as_well() {
        let from = |tenths: u32| Value::Number(f64::from(40 + tenths) / 10.0);
        let bins: Vec<Bin> = (0..20).map(|index| bin(from(index), from(index + 1), 0)).collect();
        let bins = { bins.into_iter().enumerate() }
            .map(|(index, bin)| Bin {
                without_file: u64::from(index == 7),
                ..bin
            })
            .collect();
        let column = Column::named(&orders(), "total").unwrap();
        let text = card(&orders(), &Histogram { column, bins }).into_string();
        let labels = text.split("y=\"208\">").skip(1).count();
        assert!((4..=9).contains(&labels), "{labels} labels: {text}");
        assert!(text.contains("<text x=\"0.00%\" y=\"208\">4</text>"), "{text}");
    }

    #[test]
    fn interval_of_floats_does_not_include_its_end() {
        let bins = vec![bin(Value::Number(-0.5), Value::Number(0.0), 1)];
        let column = Column::named(&orders(), "total").unwrap();
        let text = card(&orders(), &Histogram { column, bins }).into_string();
        assert!(text.contains("<a href=\"/page/users?total__gte=-0.5&amp;total__lt=0\""), "{text}");
        assert!(text.contains("Total -0.5 to 0: 235 orders, 1 with invoice"), "{text}");
    }
}
