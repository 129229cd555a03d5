//! The first steps with a lake that has neither a table nor sources. An empty lake is waiting for sources; it has not failed.

use datalake_core::{
    dataset::{ColumnType, Dataset, KeyPattern},
    query::column::Column,
    row_id::RowId,
};
use maud::{Markup, html};

use crate::{
    components::{self, labels, run},
    overview::sample_source,
    page::run_permission::RunPermission,
};
use datalake_api::lake_label::LakeLabel;
use datalake_runs::run::Run;

/// The card. `lake` is the address for clients that may know it; `active` is the run that may create the table.
pub(super) fn card(dataset: &Dataset, lake: Option<&LakeLabel>, active: Option<&Run>, permission: RunPermission) -> Markup {
    let lake = lake.filter(|lake| !lake.address().is_empty());
    let sources = dataset.key().folder();
    let folder = lake.map_or_else(
        || sources.to_owned(),
        |lake| format!("{}/{sources}", lake.address().trim_end_matches('/')),
    );
    let entity = dataset.entity();
    html! {
        section.card #first-steps aria-labelledby="first-steps-title" data-banner="no-sources" {
            header {
                h2 #first-steps-title { "No " (labels::rows(dataset)) " yet" }
                @match active {
                    Some(run) => span.small { "Run " (run::link(run.run_id.as_str())) ": " (run::badge(run)) },
                    None => span.badge { "Waiting for sources" },
                }
            }
            ol.steps {
                li {
                    h3 { "Add sources" }
                    p {
                        "Put one " (labels::sources_in_sentence(dataset)[0]) " per " (entity) " into " code.wrap { (folder) } ", named by the " (entity) "'s ID, for example "
                        code { (file_name(dataset, dataset.key())) } "."
                        @for file in dataset.files() {
                            " " (article(&labels::file_in_sentence(file))) " is optional: " code { (file_name(dataset, &file.key)) } "."
                        }
                    }
                    pre.log tabindex="0" { (sample_source::csv(dataset)) }
                    // The samples are users.
                    @if let Some(lake) = lake.filter(|_| dataset == Dataset::users()) {
                        p.small.muted { "Or upload 100 sample users:" }
                        (components::shell(&format!("datalake init {} --samples", lake.arguments())))
                    }
                }
                li {
                    h3 { "Start a run" }
                    p {
                        "A run reads the sources and creates the table. "
                        @match permission {
                            RunPermission::NotOffered => "This server starts no runs: run the processor.",
                            _ => "This server starts a run automatically within 10 minutes. To start one now, use the button above.",
                        }
                    }
                    @if let (RunPermission::NotOffered, Some(lake)) = (permission, lake) {
                        (components::shell(&format!("datalake process {}", lake.arguments())))
                    }
                }
            }
        }
    }
}

/// The name of an object: that of the row 1000, or if a row has another ID than one text, the template of the names.
fn file_name(dataset: &Dataset, key: &KeyPattern) -> String {
    match RowId::parse("1000") {
        Ok(row_id) if Column::KEY.is_whole_id(dataset) && Column::KEY.column_type(dataset) == ColumnType::String => {
            let key = key.key_of(&row_id);
            key.rsplit('/').next().unwrap_or_default().to_owned()
        }
        _ => key.name_template(),
    }
}

/// A noun at the beginning of a sentence, with its article.
fn article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "An" } else { "A" };
    format!("{article} {noun}")
}
