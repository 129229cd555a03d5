//! The query string of a page, and variants of it for links.

use url::form_urlencoded;

/// The decoded pairs of a query string, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self(pairs.into_iter().map(owned).collect())
    }

    /// The pairs of a request's path and query.
    pub(crate) fn of_address(address: &str) -> Self {
        let query = address.split_once('?').map_or("", |(_, query)| query);
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of the first pair with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|pair| pair.0 == name).map(|pair| pair.1)
    }

    /// A copy without the pairs of these names.
    pub(crate) fn without(&self, names: &[&str]) -> Self {
        Self::new(self.iter().filter(|(name, _)| !names.contains(name)))
    }

    /// A copy without the pair at an index.
    pub(crate) fn without_index(&self, index: usize) -> Self {
        Self::new(self.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, pair)| pair))
    }

    /// A copy in which this is the only pair of its name.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut query = self.without(&[name]);
        query.push(name, value);
        query
    }

    /// A copy in which a parameter has another name.
    pub(crate) fn renamed(&self, name: &str, new_name: &str) -> Self {
        Self::new(
            self.iter()
                .map(|(found, value)| (if found == name { new_name } else { found }, value)),
        )
    }

    /// The pairs that select the version, and the day on which ages are computed.
    pub(crate) fn time_travel(&self) -> Self {
        Self::new(self.iter().filter(|(name, _)| ["on", "version", "as_of"].contains(name)))
    }

    /// A path followed by this query. An empty value is written without an equals sign, as in `?min_age`.
    pub(crate) fn address(&self, path: &str) -> String {
        let pair = |(name, value): (&str, &str)| match value {
            "" => encode(name),
            _ => format!("{}={}", encode(name), encode(value)),
        };
        let pairs: Vec<_> = self.iter().map(pair).collect();
        match pairs.as_slice() {
            [] => path.to_owned(),
            _ => format!("{path}?{}", pairs.join("&")),
        }
    }

    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

/// Percent-encodes a name or a value. Commas, colons and tildes stay readable, which a query allows.
fn encode(text: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace("%2C", ",").replace("%3A", ":").replace("%7E", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_of_a_query_keep_the_other_pairs() {
        let query = Query::new([("min_age", ""), ("cursor", "1~t"), ("first_name", "<&>"), ("view", "gallery")]);
        assert_eq!(query.address("/p"), "/p?min_age&cursor=1~t&first_name=%3C%26%3E&view=gallery");
        assert_eq!(
            query.with("view", "table").without(&["cursor"]).address("/p"),
            "/p?min_age&first_name=%3C%26%3E&view=table"
        );
        assert_eq!(
            query.without_index(0).without_index(0).address("/p"),
            "/p?first_name=%3C%26%3E&view=gallery"
        );
    }

    #[test]
    fn addresses_are_parsed_as_they_are_written() {
        let query = Query::new([("min_age", ""), ("first_name", "<&>")]);
        assert_eq!(Query::of_address(&query.address("/p")), query);
        assert_eq!(Query::of_address("/p"), Query::default());
        assert_eq!(Query::default().address("/p"), "/p");
    }
}
