//! Renders the versions page.

use datalake_core::{count::count, dataset::Dataset, run::Counts};
use datalake_table::delta::version::{Author, VersionFacts};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::relative_time,
        pager::Pager,
        run,
        table::{self, Column, ColumnType},
    },
    page::{links, page_size::limit_parameter},
};
use datalake_api::{routes::versions::VERSIONS_MAX, snapshots::versions::RetainedVersions};

pub(crate) fn markup(retained: &RetainedVersions, limit: usize, is_first: bool, dataset: &Dataset, now: Timestamp) -> Markup {
    let RetainedVersions { newest, oldest, facts } = retained;
    let subtitle = html! {
        "Latest: version " (newest) ". History goes back to version " (oldest) "; row data is kept for one week after a version is replaced."
    };
    let can_compare = facts.len() > 1;
    let pager = pager(retained, limit, is_first);
    html! {
        (components::heading("Versions", &subtitle, &html! {}))
        section.card aria-label="Versions" {
            form #compare action=(links::CHANGES) method="get" {
                @if can_compare {
                    div.actions { button.primary type="submit" { "Compare selected" } }
                }
                (components::scroll("Versions, latest first", &table(facts, *oldest, can_compare, dataset, now)))
            }
        }
        @if pager.has_links() { (pager.markup()) }
    }
}

fn pager(retained: &RetainedVersions, limit: usize, is_first: bool) -> Pager {
    let facts = &retained.facts;
    let is_listed = |number: u64| usize::try_from(retained.newest - number).is_ok_and(|skipped| skipped + 1 < VERSIONS_MAX);
    let last = facts
        .last()
        .map(|last| last.number)
        .filter(|last| *last > retained.oldest && is_listed(*last));
    Pager {
        range: html! { @if let (Some(first), Some(last)) = (facts.first(), facts.last()) { "Versions " (first.number) "–" (last.number) } },
        jump: Markup::default(),
        first: (!is_first).then(|| (format!("{}{}", links::VERSIONS, limit_parameter('?', limit)), "Latest versions")),
        previous: facts.first().filter(|_| !is_first).map(|first| {
            let before = first.number.saturating_add(count(limit)).saturating_add(1);
            let address = match before > retained.newest {
                true => format!("{}{}", links::VERSIONS, limit_parameter('?', limit)),
                false => format!("{}?before={before}{}", links::VERSIONS, limit_parameter('&', limit)),
            };
            (address, "Newer versions")
        }),
        next: last.map(|last| {
            (
                format!("{}?before={last}{}", links::VERSIONS, limit_parameter('&', limit)),
                "Older versions",
            )
        }),
    }
}

const VERSION: Column = Column::new("Version", ColumnType::Title);
const COMPARED: [Column; 2] = [Column::new("From", ColumnType::Word), Column::new("To", ColumnType::Word)];

/// The columns of the facts of a version. `rows` is the title of the rows.
fn fact_columns(rows: &str) -> [Column<'_>; 7] {
    [
        Column::new("Committed", ColumnType::Word),
        Column::new("Author", ColumnType::Text),
        Column::new("Added", ColumnType::Change("+")),
        Column::new("Changed", ColumnType::Change("~")),
        Column::new("Removed", ColumnType::Change("−")),
        Column::new(rows, ColumnType::Number),
        Column::new("Changes", ColumnType::Word),
    ]
}

/// The first two versions are selected for comparison.
fn table(facts: &[VersionFacts], oldest: u64, can_compare: bool, dataset: &Dataset, now: Timestamp) -> Markup {
    let compared = if can_compare { &COMPARED[..] } else { &[] };
    let fact_columns = fact_columns(dataset.title());
    let columns = [&[VERSION], compared, &fact_columns].concat();
    html! {
        table.cards.long #versions {
            caption.visually-hidden { "Versions of the table, latest first" }
            (table::head(&columns))
            tbody {
                @for (index, facts) in facts.iter().enumerate() { (row(facts, &fact_columns, index, oldest, can_compare, now)) }
            }
        }
    }
}

fn row(facts: &VersionFacts, columns: &[Column<'_>; 7], index: usize, oldest: u64, can_compare: bool, now: Timestamp) -> Markup {
    let number = facts.number;
    let [from, to] = COMPARED;
    let [committed, author_column, added, changed, removed, users, changes] = *columns;
    let count = |of: fn(&Counts) -> u64| facts.counts.as_ref().map(of);
    let previous = number.checked_sub(1).filter(|previous| *previous >= oldest);
    html! {
        tr data-version=(number) {
            (VERSION.cell(&html! { span.in-card { "Version " } a href=(links::rows_at_version(number)) { (number) } }))
            @if can_compare {
                (from.cell(&radio("since", "From", number, index == 1)))
                (to.cell(&radio("until", "To", number, index == 0)))
            }
            (committed.cell(&relative_time(facts.committed_at, now)))
            (author_column.cell(&author(facts)))
            (added.count(count(|counts| counts.added)))
            (changed.count(count(|counts| counts.changed)))
            (removed.count(count(|counts| counts.removed)))
            (users.count(count(|counts| counts.users)))
            (changes.cell(&html! {
                @if let Some(previous) = previous {
                    a href=(links::changes(previous, number)) { span.visually-hidden { "Changes " } (previous) " → " (number) }
                } @else {
                    span.muted { "–" }
                }
            }))
        }
    }
}

fn radio(name: &str, label: &str, number: u64, is_selected: bool) -> Markup {
    html! { label.choice { input type="radio" name=(name) value=(number) checked[is_selected] aria-label={ (label) " version " (number) }; } }
}

fn author(facts: &VersionFacts) -> Markup {
    html! {
        @match (facts.author, &facts.run_id) {
            (_, Some(run_id)) => { "run " (run::link(run_id.as_str())) },
            (Author::Run, None) => "a run",
            (Author::OtherEngine, None) => {
                "another engine"
                @if let Some(operation) = &facts.operation { ": " (operation) }
            },
            (Author::Unknown, None) => span.muted { "unknown (log entry expired)" },
        }
    }
}
