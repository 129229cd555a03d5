//! The sources that a run rejected, or accepted with warnings.

use std::borrow::Cow;

use datalake_core::{
    count::count,
    dataset::Dataset,
    reject::{Position, Reason},
    run::{RejectDetail, RunReport, SourceNotice},
};
use datalake_table::memory::snapshot::Snapshot;
use maud::{Markup, html};

use crate::{
    components::{format::number, reject_card::RejectCard, reject_titles},
    page::links,
};

/// The maximum number of sources in each table. The API returns more.
const SOURCES_MAX: usize = 10;

/// The maximum number of cards: each is twenty times larger than a row of the table.
const CARDS_MAX: usize = RunReport::REJECT_DETAILS_MAX;

/// Sources that the run rejected, or accepted with warnings; nothing if there are none. `recorded` is the version at the end of the run.
pub(crate) fn card(report: &RunReport, dataset: &Dataset, recorded: Option<&Snapshot>) -> Markup {
    let counts = &report.counts;
    html! {
        @if !report.rejects.is_empty() || !report.notices.is_empty() {
            section.card aria-labelledby="sources" {
                header { h2 #sources { "Sources with issues" } a.small href=(links::REJECTS) { "Currently rejected" } }
                @if !report.rejects.is_empty() {
                    h3 { "Rejected by this run" }
                    (rejects(report, dataset, recorded))
                }
                @if !report.notices.is_empty() {
                    h3 { "Accepted with warnings" }
                    (list("Sources accepted with warnings", "run-notices", &report.notices, counts.normalized + counts.warnings))
                }
            }
        }
    }
}

/// Cards of the first rejects, and a table of those without details.
fn rejects<'a>(report: &'a RunReport, dataset: &'a Dataset, recorded: Option<&'a Snapshot>) -> Markup {
    let dataset = recorded.map_or(dataset, |recorded| recorded.dataset());
    let cards: Vec<RejectCard<'_>> = match report.reject_details.as_slice() {
        [] => report
            .rejects
            .iter()
            .filter_map(|notice| recorded_card(notice, recorded?))
            .take(CARDS_MAX)
            .collect(),
        details => details.iter().take(CARDS_MAX).map(|detail| detail_card(dataset, detail)).collect(),
    };
    let has_card = |notice: &&SourceNotice| cards.iter().any(|card| card.key == notice.key);
    let others: Vec<SourceNotice> = report.rejects.iter().filter(|notice| !has_card(notice)).cloned().collect();
    let others_total = report.counts.rejected.saturating_sub(count(cards.len()));
    html! {
        @if !cards.is_empty() { ol.rejects #reject-cards { @for card in &cards { (card.item(&html! {})) } } }
        @if !others.is_empty() { (list("Sources rejected by this run", "run-rejects", &others, others_total)) }
    }
}

/// The card of a source that the table records as rejected for the same reason.
fn recorded_card<'a>(notice: &SourceNotice, recorded: &'a Snapshot) -> Option<RejectCard<'a>> {
    let rejects = recorded.rejects();
    let index = rejects.binary_search_by(|reject| (*reject.key).cmp(notice.key.as_str())).ok()?;
    let reject = rejects.get(index).filter(|reject| reject.exclusion.code() == notice.code)?;
    Some(RejectCard::of(recorded.dataset(), reject))
}

fn detail_card<'a>(dataset: &'a Dataset, detail: &'a RejectDetail) -> RejectCard<'a> {
    RejectCard {
        dataset,
        key: &detail.key,
        code: &detail.code,
        position: detail.byte_offset.map(|byte_offset| Position {
            line: detail.line,
            column: detail.column,
            byte_offset,
        }),
        excerpt: detail.excerpt.as_deref(),
        excerpt_offset: detail.excerpt_offset,
        reason: Some(Cow::Owned(Reason::new(
            detail.found.as_str(),
            detail.expected.as_str(),
            detail.remedy.as_str(),
        ))),
    }
}

fn list(caption: &str, id: &str, sources: &[SourceNotice], total: u64) -> Markup {
    let shown = sources.len().min(SOURCES_MAX);
    let has_all = u64::try_from(shown).is_ok_and(|shown| shown >= total);
    html! {
        div.scroll role="region" aria-label=(caption) tabindex="0" {
            table id=(id) {
                caption.visually-hidden { (caption) }
                thead { tr { th scope="col" { "Source" } th scope="col" { "Issue" } th scope="col" { "Code" } } }
                tbody {
                    @for source in sources.iter().take(shown) {
                        tr data-key=(source.key) {
                            th.wrap scope="row" { code { bdi { (source.key) } } }
                            td { (reject_titles::title_of_code(&source.code)) }
                            td { code { (source.code) } }
                        }
                    }
                }
            }
        }
        @if !has_all { p.small.muted { "The first " (shown) " of " (number(total)) ". The API returns up to " (RunReport::NOTICES_MAX) "." } }
    }
}
