//! The query of a submitted form: fields without a value are no filters.

use crate::{page::query::Query, users::form_query::FORM};

/// The API's parameters for a submitted form.
pub(crate) fn to_api_query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Query {
    // A condition such as `note__isnull` has no value.
    let is_filter = |(name, value): &(&str, &str)| *name != FORM && (!value.trim().is_empty() || name.contains("__"));
    Query::new(pairs.into_iter().filter(is_filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fields_are_no_filters() {
        let pairs = [
            (FORM, "rows"),
            ("min_total", ""),
            ("max_total", "5"),
            ("note__isnull", ""),
            ("state", " "),
        ];
        assert_eq!(to_api_query(pairs).address("/x"), "/x?max_total=5&note__isnull");
    }
}
