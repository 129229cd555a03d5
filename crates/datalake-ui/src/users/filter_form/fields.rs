//! The fields of the filter form, except column filters.

use maud::{Markup, html};

use crate::{
    components::{format::number, labels},
    users::{
        filter_form::state::{FormState, invalid_option, number_input_type},
        form_query::{AGE_MODE, AgeMode},
        request::{LIMIT, LIMITS},
    },
};

pub(crate) fn image(state: &FormState<'_>) -> Markup {
    let value = state.value("is_image_exists").to_lowercase();
    let options = [
        ("", "With or without", None),
        ("True", "With image", state.facets.map(|facets| facets.with_image)),
        ("False", "Without image", state.facets.map(|facets| facets.without_image)),
    ];
    let is_invalid = !options.iter().any(|(option, ..)| value == option.to_lowercase());
    html! {
        div.field {
            label for="is_image_exists" { "Image" }
            select #is_image_exists name="is_image_exists" aria-invalid=[state.aria_invalid("is_image_exists")] aria-describedby=[state.aria_describedby("is_image_exists")] {
                @for (option, label, users) in options {
                    option value=(option) selected[value == option.to_lowercase()] { (label) @if let Some(users) = users { " (" (number(users)) ")" } }
                }
                (invalid_option(is_invalid.then(|| state.value("is_image_exists"))))
            }
            (state.error_hint("is_image_exists"))
        }
    }
}

/// The age: a choice of the bounds, and their numbers of years. The style hides a number that the choice does not use.
pub(crate) fn age(state: &FormState<'_>) -> Markup {
    let mode = AgeMode::of(state.query.get("min_age"), state.query.get("max_age"));
    html! {
        div.field.age {
            label for=(AGE_MODE) { "Age" }
            div.controls {
                select id=(AGE_MODE) name=(AGE_MODE) {
                    @for option in AgeMode::ALL { option value=(option.as_str()) selected[option == mode] { (age_mode_label(option)) } }
                }
                (years(state, "min_age", "Minimum age", "min"))
                (years(state, "max_age", "Maximum age", "max"))
            }
            (state.error_hint("min_age"))
            (state.error_hint("max_age"))
        }
    }
}

fn years(state: &FormState<'_>, name: &str, label: &str, placeholder: &str) -> Markup {
    let value = state.value(name);
    html! {
        input id=(name) type=(number_input_type(value)) name=(name) value=(value) min="0" max="65535" step="1" inputmode="numeric"
            aria-label=(label) placeholder=(placeholder)
            aria-invalid=[state.aria_invalid(name)] aria-describedby=[state.aria_describedby(name)];
    }
}

fn age_mode_label(mode: AgeMode) -> &'static str {
    match mode {
        AgeMode::Any => "Any age",
        AgeMode::Range => "Range",
        AgeMode::Youngest => "Youngest",
        AgeMode::Oldest => "Oldest",
        AgeMode::Extremes => "Youngest and oldest",
        AgeMode::YoungestUpTo => "Youngest up to maximum",
        AgeMode::OldestFrom => "Oldest from minimum",
    }
}

pub(crate) fn order(state: &FormState<'_>) -> Markup {
    let keys = state.value("order").split(',').filter(|key| !key.is_empty());
    let lines = keys.map(|key| key.split_once('.').unwrap_or((key, "")));
    html! {
        fieldset {
            legend { "Sorting" }
            @for (index, (column, direction)) in lines.chain([("", "")]).enumerate() {
                @let number = index + 1;
                div.condition {
                    select name="order_by" aria-label={ "Sort column " (number) } {
                        option value="" { @if index == 0 { "by user" } @else { "then by user" } }
                        @for option in labels::ALL {
                            option value=(labels::name(option)) selected[labels::name(option) == column] { (labels::column(option)) }
                        }
                        (invalid_option((!column.is_empty() && labels::named(column).is_none()).then_some(column)))
                    }
                    select name="direction" aria-label={ "Sort direction " (number) } {
                        option value="asc" { "ascending" }
                        option value="desc" selected[direction == "desc"] { "descending" }
                        (invalid_option((!["", "asc", "desc"].contains(&direction)).then_some(direction)))
                    }
                }
            }
            (state.error_hint("order"))
        }
    }
}

/// The columns of the table. Selected ones come first, so that submitting the form keeps their order.
pub(crate) fn columns(state: &FormState<'_>) -> Markup {
    let requested = state.value("select").split(',').filter(|name| !name.is_empty());
    let mut selected: Vec<&str> = requested.collect();
    if selected.is_empty() {
        selected = labels::ALL.map(labels::name).to_vec();
    }
    let others = { labels::ALL.map(labels::name).into_iter() }.filter(|column| !selected.contains(column));
    let columns: Vec<&str> = selected.iter().copied().chain(others).collect();
    html! {
        fieldset {
            legend { "Columns" }
            div.choices {
                @for column in columns {
                    label {
                        input type="checkbox" name="select" value=(column) checked[selected.contains(&column)];
                        @match labels::named(column) { Some(named) => (labels::column(named)), None => (column) }
                    }
                }
            }
            (state.error_hint("select"))
        }
    }
}

pub(crate) fn page_and_version(state: &FormState<'_>) -> Markup {
    let default = LIMIT.to_string();
    let limit = state.query.get("limit").unwrap_or(&default);
    let options = LIMITS.map(|limit| limit.to_string());
    let is_invalid = !options.iter().any(|option| option == limit);
    let version = state.value("version");
    html! {
        fieldset.rest {
            legend.visually-hidden { "Page and version" }
            div.field {
                label for="limit" { "Users per page" }
                select #limit name="limit" aria-invalid=[state.aria_invalid("limit")] aria-describedby=[state.aria_describedby("limit")] {
                    @for option in &options { option value=(option) selected[option == limit] { (option) } }
                    (invalid_option(is_invalid.then_some(limit)))
                }
                (state.error_hint("limit"))
            }
            div.field {
                label for="version" { "Version" }
                input #version type=(number_input_type(version)) name="version" min="0" step="1" inputmode="numeric"
                    placeholder=[state.latest] value=(version)
                    aria-invalid=[state.aria_invalid("version")] aria-describedby=[state.aria_describedby("version")];
                (state.error_hint("version"))
            }
            div.field {
                label for="as_of" { "Point in time (UTC)" }
                input #as_of type="text" name="as_of" autocomplete="off" placeholder=(state.day.date()) value=(state.value("as_of"))
                    aria-invalid=[state.aria_invalid("as_of")] aria-describedby=[state.aria_describedby("as_of")];
                (state.error_hint("as_of"))
            }
        }
    }
}
