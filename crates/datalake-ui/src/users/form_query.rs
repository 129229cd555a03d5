//! The query string of a page: what a form sends, in the words of the API, and the same with something else in it.
//!
//! A form without a script sends all of its fields, the empty ones too, and to the API an empty `min_age` is the youngest. So the form has
//! fields of its own and says by [`FORM`] that they are a form's; whoever sends them is led to what they mean. The address bar always holds
//! what the API takes.

use datalake_core::query::column::Column;
use url::form_urlencoded;

use datalake_api::request::cursor::CURSOR;

/// The field that tells a form's query from the API's.
pub(crate) const FORM: &str = "form";

/// How people are shown. It is the page's own; all else is the API's.
pub(crate) const VIEW: &str = "view";

/// The pairs of a query string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self(pairs.into_iter().map(owned).collect())
    }

    /// The pairs of an address as a browser asks for it.
    pub(crate) fn of_address(address: &str) -> Self {
        let query = address.split_once('?').map_or("", |(_, query)| query);
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|pair| pair.0 == name).map(|pair| pair.1)
    }

    /// But for the pairs of these names.
    pub(crate) fn without(&self, names: &[&str]) -> Self {
        Self::new(self.iter().filter(|(name, _)| !names.contains(name)))
    }

    /// But for the pair at a place.
    pub(crate) fn without_pair(&self, place: usize) -> Self {
        Self::new(self.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, pair)| pair))
    }

    /// With this as the only pair of its name.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut query = self.without(&[name]);
        query.push(name, value);
        query
    }

    /// A path with this behind it. Of a pair without a value the name alone is there, as it reads best.
    pub(crate) fn address(&self, path: &str) -> String {
        let pair = |(name, value): (&str, &str)| match value {
            "" => encoded(name),
            _ => format!("{}={}", encoded(name), encoded(value)),
        };
        let pairs: Vec<_> = self.iter().map(pair).collect();
        match pairs.as_slice() {
            [] => path.to_owned(),
            _ => format!("{path}?{}", pairs.join("&")),
        }
    }

    fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

/// As a query has it: commas and colons stand there for themselves, and are easier to read.
fn encoded(text: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace("%2C", ",").replace("%3A", ":").replace("%7E", "~")
}

/// As a segment of a path has it.
pub(crate) fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

/// What the fields of the form say, in the order in which they are told.
#[derive(Default)]
struct Fields<'a> {
    image: &'a str,
    /// A number of years, or that the extreme is wanted.
    ages: [(&'a str, bool); 2],
    /// Column, operator, value.
    conditions: Vec<[&'a str; 3]>,
    on: &'a str,
    /// Column, direction.
    order: Vec<[&'a str; 2]>,
    select: Vec<&'a str>,
    limit: &'a str,
    version: &'a str,
    as_of: &'a str,
    view: &'a str,
    /// What the form has no field for: the API will say so.
    others: Vec<(&'a str, &'a str)>,
}

/// What a form's query asks for, in the words of the API.
pub(crate) fn canonical<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Query {
    let mut fields = Fields::default();
    for pair in pairs {
        fields.take(pair);
    }
    fields.query()
}

impl<'a> Fields<'a> {
    fn take(&mut self, (name, value): (&'a str, &'a str)) {
        let trimmed = value.trim();
        match name {
            FORM => {}
            "is_image_exists" => self.image = trimmed,
            "min_age" => self.ages[0].0 = trimmed,
            "youngest" => self.ages[0].1 = true,
            "max_age" => self.ages[1].0 = trimmed,
            "oldest" => self.ages[1].1 = true,
            "column" => self.conditions.push([trimmed, "", ""]),
            "order_by" => self.order.push([trimmed, ""]),
            "on" => self.on = trimmed,
            "select" => self.select.push(trimmed),
            "limit" => self.limit = trimmed,
            "version" => self.version = trimmed,
            "as_of" => self.as_of = trimmed,
            VIEW => self.view = trimmed,
            _ => match (name, self.conditions.last_mut(), self.order.last_mut()) {
                ("operator", Some(condition), _) => condition[1] = trimmed,
                // Spaces count in a name.
                ("value", Some(condition), _) => condition[2] = value,
                ("direction", _, Some(key)) => key[1] = trimmed,
                _ => self.others.push((name, value)),
            },
        }
    }

    fn query(&self) -> Query {
        let mut query = Query::default();
        let mut filled = |name, value: &str| {
            if !value.is_empty() {
                query.push(name, value);
            }
        };
        filled("is_image_exists", self.image);
        for (name, (years, is_extreme)) in ["min_age", "max_age"].into_iter().zip(self.ages) {
            match is_extreme {
                true => query.push(name, ""),
                false if !years.is_empty() => query.push(name, years),
                false => {}
            }
        }
        for [column, operator, value] in self.conditions.iter().filter(|condition| !condition[0].is_empty()) {
            let name = match *operator {
                // A name without an operator may stand there once.
                "" | "exact" if query.get(column).is_none() => (*column).to_owned(),
                "" => format!("{column}__exact"),
                operator => format!("{column}__{operator}"),
            };
            let value = if matches!(*operator, "isnull" | "notnull") { "" } else { value };
            query.push(&name, value);
        }
        let order: Vec<_> = self.order.iter().filter(|key| !key[0].is_empty()).map(ordered).collect();
        let select = match self.select.as_slice() {
            select if *select == Column::ALL.map(Column::name) => String::new(),
            select => select.join(","),
        };
        let view = if self.view == "table" { "" } else { self.view };
        for (name, value) in [
            ("on", self.on),
            ("order", &order.join(",")),
            ("select", &select),
            ("limit", self.limit),
            ("version", self.version),
            ("as_of", self.as_of),
            (VIEW, view),
        ] {
            if !value.is_empty() {
                query.push(name, value);
            }
        }
        for (name, value) in &self.others {
            query.push(name, value);
        }
        query
    }
}

fn ordered([column, direction]: &[&str; 2]) -> String {
    match *direction {
        "" | "asc" => (*column).to_owned(),
        direction => format!("{column}.{direction}"),
    }
}

/// What names the rows of a page's query on whatever page: neither how they look, nor where a page begins or how long it is.
pub(crate) fn of_all_pages(query: &Query) -> Query {
    query.without(&[VIEW, CURSOR, "limit", "format", "shape", "escape"])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an untouched form sends.
    const UNTOUCHED: &str = "form=people&is_image_exists=&min_age=&max_age=&on=&column=&operator=exact&value=&order_by=&direction=asc\
                             &select=user_id&select=first_name&select=last_name&select=birthts&select=img_path&select=age&limit=50\
                             &version=&as_of=";

    #[track_caller]
    fn check(sent: &str, expected: &str) {
        let pairs: Vec<_> = form_urlencoded::parse(sent.as_bytes()).into_owned().collect();
        let query = canonical(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        assert_eq!(query.address(""), expected, "sent: {sent}");
        // Who is led there is not led on.
        let led: Vec<_> = form_urlencoded::parse(expected.trim_start_matches('?').as_bytes())
            .into_owned()
            .collect();
        assert!(!led.iter().any(|(name, _)| name == FORM));
        assert_eq!(Query::new(led.iter().map(|(name, value)| (name.as_str(), value.as_str()))), query);
    }

    #[test]
    fn forms_in_the_words_of_the_api() {
        check(UNTOUCHED, "?limit=50");
        check("form=people", "");
        check(
            "form=people&is_image_exists=True&min_age=&max_age=+40+&limit=20",
            "?is_image_exists=True&max_age=40&limit=20",
        );
        check("form=people&min_age=&youngest=on&max_age=", "?min_age");
        check("form=people&min_age=30&max_age=&oldest=on", "?min_age=30&max_age");
        check("form=people&min_age=30&youngest=on&oldest=on", "?min_age&max_age");
        check("form=people&on=2020-01-01&view=gallery", "?on=2020-01-01&view=gallery");
        check("form=people&view=table", "");
        check("form=people&version=3&as_of=", "?version=3");
        check(
            "form=people&as_of=2026-11-24T12:00:00%2B02:00",
            "?as_of=2026-11-24T12:00:00%2B02:00",
        );
        check("form=people&select=age&select=user_id", "?select=age,user_id");
        check(
            "form=people&order_by=age&direction=desc&order_by=last_name&direction=asc&order_by=&direction=desc",
            "?order=age.desc,last_name",
        );
    }

    #[test]
    fn conditions_of_forms() {
        check("form=people&column=first_name&operator=exact&value=Ada", "?first_name=Ada");
        check(
            "form=people&column=first_name&operator=contains&value=+a%26b%27",
            "?first_name__contains=+a%26b%27",
        );
        check(
            "form=people&column=first_name&operator=not&value=A&column=&operator=exact&value=x&column=age&operator=gte&value=3",
            "?first_name__not=A&age__gte=3",
        );
        check(
            "form=people&column=first_name&operator=exact&value=A&column=first_name&operator=exact&value=B",
            "?first_name=A&first_name__exact=B",
        );
        check("form=people&column=last_name&operator=in&value=Lee,Fox", "?last_name__in=Lee,Fox");
        check("form=people&column=img_path&operator=isnull&value=left+over", "?img_path__isnull");
        check("form=people&column=first_name&value=Zo%C3%AB", "?first_name=Zo%C3%AB");
        // A value that was forgotten is not passed over: the API says what is wrong with it.
        check("form=people&column=birthts&operator=gt&value=", "?birthts__gt");
        check("form=people&column=height&operator=gt&value=1", "?height__gt=1");
    }

    #[test]
    fn what_no_form_sends_is_left_to_the_api() {
        check(
            "form=people&operator=gt&value=1&direction=desc",
            "?operator=gt&value=1&direction=desc",
        );
        check("form=people&frobnicate=1&cursor=x~y", "?frobnicate=1&cursor=x~y");
    }

    #[test]
    fn other_addresses() {
        let query = Query::new([("min_age", ""), ("cursor", "1~t"), ("first_name", "<&>"), ("view", "gallery")]);
        assert_eq!(query.address("/p"), "/p?min_age&cursor=1~t&first_name=%3C%26%3E&view=gallery");
        assert_eq!(of_all_pages(&query).address("/data.csv"), "/data.csv?min_age&first_name=%3C%26%3E");
        assert_eq!(
            query.with("view", "table").without(&["cursor"]).address("/p"),
            "/p?min_age&first_name=%3C%26%3E&view=table"
        );
        assert_eq!(
            query.without_pair(0).without_pair(0).address("/p"),
            "/p?first_name=%3C%26%3E&view=gallery"
        );
        assert_eq!(Query::default().address("/p"), "/p");
        assert_eq!(Query::of_address("/p"), Query::default());
        assert_eq!(Query::of_address(&query.address("/p")), query);
        assert_eq!(segment("a b+c/ü"), "a%20b%2Bc%2F%C3%BC");
    }
}
