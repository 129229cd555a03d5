//! Rows before and after, side by side, with what differs in them marked word by word. Deciding what is marked is pure.

use datalake_core::{row::RowView, user::BirthTimestamp};
use datalake_table::memory::difference::Difference;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{components, diff, users::rows};
use datalake_api::{limits::scan_pool::ScanPool, problem::Problem};

/// Rows on a page of their own: some 35 KB of it. The API gives all of them.
pub(crate) const ROWS_MAX: usize = 100;

/// Bytes of names on a page, but for those of the first row: others have some dozens of them.
const NAME_BYTES_MAX: usize = 16_000;

/// Words compared with words: two names of a thousand letters each, and no more work for what is no name.
const COMPARISONS_MAX: usize = 10_000;

/// What one version shows of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    first_name: String,
    last_name: String,
    birth: BirthTimestamp,
    has_image: bool,
}

/// A row that two versions show differently.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Changed {
    user_id: String,
    before: Option<Shown>,
    after: Option<Shown>,
}

/// The first rows that two versions show differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    rows: Vec<Changed>,
    has_more: bool,
}

impl Changes {
    /// At most so many. Between two rows that differ there may be millions to compare: this is done beside the threads that answer.
    pub(crate) async fn first_of(difference: Difference, rows_max: usize, scan_pool: &ScanPool) -> Result<Self, Problem> {
        let first = scan_pool.scan(move || Self::collect(difference, rows_max));
        first.await.map_err(|_| Problem::Internal)
    }

    fn collect(mut difference: Difference, rows_max: usize) -> Self {
        let (mut rows, mut name_bytes) = (Vec::new(), 0);
        while let Some(change) = difference.next_change() {
            let user_id = change.after.or(change.before).map_or("", |row| row.user_id);
            let row = Changed {
                user_id: user_id.to_owned(),
                before: change.before.map(Shown::from),
                after: change.after.map(Shown::from),
            };
            name_bytes += row.name_bytes();
            if !rows.is_empty() && (rows.len() >= rows_max || name_bytes > NAME_BYTES_MAX) {
                return Self { rows, has_more: true };
            }
            rows.push(row);
        }
        Self { rows, has_more: false }
    }
}

impl Changed {
    fn name_bytes(&self) -> usize {
        let names = |row: &Shown| row.first_name.len() + row.last_name.len();
        self.before.iter().chain(&self.after).map(names).sum()
    }
}

impl From<RowView<'_>> for Shown {
    fn from(row: RowView<'_>) -> Self {
        Self {
            first_name: row.first_name.to_owned(),
            last_name: row.last_name.to_owned(),
            birth: row.birth,
            has_image: row.has_image,
        }
    }
}

/// The rows with what differs marked between two versions.
pub(crate) fn table(changes: &Changes, since: u64, until: u64) -> Markup {
    let all = diff::address(since, until);
    html! {
        @if changes.rows.is_empty() {
            p.muted #no-changes { "No row differs." }
        } @else {
            (components::scroll("Rows before and after", &rows(&changes.rows, since, until)))
        }
        @if changes.has_more {
            p #more-changes { "These are the first " (changes.rows.len()) " by user id. " a href=(all.as_str()) { "All of them as NDJSON" } "." }
        }
        p.small.muted {
            "Struck out is what was, underlined what is. Pictures are not compared, only whether there is one; what came and went in between \
             does not show."
        }
    }
}

fn rows(rows: &[Changed], since: u64, until: u64) -> Markup {
    html! {
        table.changes #changes-rows {
            caption.visually-hidden { "Rows before and after, by user id" }
            thead {
                tr {
                    th scope="col" { "User" }
                    th scope="col" { "Change" }
                    th scope="col" { "First name" }
                    th scope="col" { "Last name" }
                    th scope="col" { "Born" }
                    th scope="col" { "Picture" }
                }
            }
            tbody {
                @for row in rows { (changed(row, since, until)) }
            }
        }
    }
}

fn changed(row: &Changed, since: u64, until: u64) -> Markup {
    let (kind, word, tone) = match (&row.before, &row.after) {
        (None, _) => ("insert", "added", "good"),
        (Some(_), Some(_)) => ("update", "changed", ""),
        (Some(_), None) => ("delete", "removed", "bad"),
    };
    let (before, after) = (row.before.as_ref(), row.after.as_ref());
    // One who was removed is there in the former version.
    let version = if after.is_some() { until } else { since };
    let texts = |text: fn(&Shown) -> &str| marked(before.map(text), after.map(text));
    let (born_before, born_after) = births(before.map(|row| row.birth), after.map(|row| row.birth));
    html! {
        tr data-user-id=(row.user_id) data-change=(kind) {
            th.wrap scope="row" {
                a href={ (rows::own(&row.user_id)) "?version=" (version) } { (row.user_id) }
            }
            td { span class={ "badge " (tone) } { (word) } }
            td.name.exact dir="auto" { (texts(|row| &row.first_name)) }
            td.name.exact dir="auto" { (texts(|row| &row.last_name)) }
            td.nowrap { (replaced(born_before.as_deref(), born_after.as_deref())) }
            td.nowrap { (replaced(before.map(picture), after.map(picture))) }
        }
    }
}

/// The days of both births; where they are one day, the moments.
fn births(before: Option<BirthTimestamp>, after: Option<BirthTimestamp>) -> (Option<String>, Option<String>) {
    let day = |birth: BirthTimestamp| birth.day().date().to_string();
    let moment = |birth: BirthTimestamp| Timestamp::from_millisecond(birth.as_ms()).map_or_else(|_| day(birth), |at| at.to_string());
    match (before, after) {
        (Some(before), Some(after)) if before != after && before.day() == after.day() => (Some(moment(before)), Some(moment(after))),
        (before, after) => (before.map(day), after.map(day)),
    }
}

fn picture(row: &Shown) -> &'static str {
    if row.has_image { "yes" } else { "no" }
}

/// A value that is one word, whatever stands in it.
fn replaced(before: Option<&str>, after: Option<&str>) -> Markup {
    html! {
        @if before == after {
            (after.unwrap_or_default())
        } @else {
            @if let Some(before) = before { del { (before) } }
            @if let Some(after) = after { ins { (after) } }
        }
    }
}

fn marked(before: Option<&str>, after: Option<&str>) -> Markup {
    html! {
        @for piece in pieces(before.unwrap_or_default(), after.unwrap_or_default()) {
            @match piece {
                Piece::Same(text) => (text),
                Piece::Gone(text) => del { (text) },
                Piece::New(text) => ins { (text) },
            }
        }
    }
}

/// A part of two texts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Both have it.
    Same(String),
    /// The former has it alone.
    Gone(String),
    /// The latter has it alone.
    New(String),
}

/// What turned one text into the other, in whole words; where something was replaced, what was stands first.
fn pieces(before: &str, after: &str) -> Vec<Piece> {
    let (before, after) = (words(before), words(after));
    let (mut pieces, mut gone, mut new) = (Vec::new(), String::new(), String::new());
    let (mut from, mut to) = (0, 0);
    let last = (before.len(), after.len());
    for (next_from, next_to) in kept(&before, &after).into_iter().chain([last]) {
        gone.extend(before[from..next_from].iter().copied());
        new.extend(after[to..next_to].iter().copied());
        (from, to) = (next_from + 1, next_to + 1);
        // None behind the last one.
        let word = before.get(next_from);
        if !gone.is_empty() {
            pieces.push(Piece::Gone(std::mem::take(&mut gone)));
        }
        if !new.is_empty() {
            pieces.push(Piece::New(std::mem::take(&mut new)));
        }
        match (word, pieces.last_mut()) {
            (Some(word), Some(Piece::Same(text))) => text.push_str(word),
            (Some(word), _) => pieces.push(Piece::Same((*word).to_owned())),
            (None, _) => {}
        }
    }
    pieces
}

/// Words, and what stands between them, which is cut into single characters.
fn words(text: &str) -> Vec<&str> {
    let is_between = |character: char| character.is_whitespace() || character.is_ascii_punctuation();
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match is_between(first) {
            true => first.len_utf8(),
            false => rest.find(is_between).unwrap_or(rest.len()),
        };
        let (word, behind) = rest.split_at(length);
        words.push(word);
        rest = behind;
    }
    words
}

/// The places of the words that both texts have, in their order: as many as can be.
fn kept(before: &[&str], after: &[&str]) -> Vec<(usize, usize)> {
    let prefix = before.iter().zip(after).take_while(|(before, after)| before == after).count();
    let (before, after) = (&before[prefix..], &after[prefix..]);
    let suffix = { before.iter().rev().zip(after.iter().rev()) }
        .take_while(|(before, after)| before == after)
        .count();
    let (rows, columns) = (before.len() - suffix, after.len() - suffix);
    let mut places: Vec<_> = (0..prefix).map(|at| (at, at)).collect();
    if rows * columns <= COMPARISONS_MAX {
        let middle = longest_common(&before[..rows], &after[..columns]);
        places.extend(middle.into_iter().map(|(from, to)| (prefix + from, prefix + to)));
    }
    places.extend((0..suffix).map(|at| (prefix + rows + at, prefix + columns + at)));
    places
}

fn longest_common(before: &[&str], after: &[&str]) -> Vec<(usize, usize)> {
    let width = after.len() + 1;
    // How many words the rest of both has in common, from each place on.
    let mut common = vec![0_u32; (before.len() + 1) * width];
    for from in (0..before.len()).rev() {
        for to in (0..after.len()).rev() {
            let at = from * width + to;
            common[at] = match before[from] == after[to] {
                true => common[at + width + 1] + 1,
                false => common[at + 1].max(common[at + width]),
            };
        }
    }
    let (mut from, mut to, mut places) = (0, 0, Vec::new());
    while from < before.len() && to < after.len() {
        let at = from * width + to;
        if before[from] == after[to] {
            places.push((from, to));
            (from, to) = (from + 1, to + 1);
        } else if common[at + width] >= common[at + 1] {
            from += 1;
        } else {
            to += 1;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is gone stands in square brackets, what is new in braces.
    #[track_caller]
    fn check(before: &str, after: &str, expected: &str) {
        let text: String = pieces(before, after)
            .into_iter()
            .map(|piece| match piece {
                Piece::Same(text) => text,
                Piece::Gone(text) => format!("[{text}]"),
                Piece::New(text) => format!("{{{text}}}"),
            })
            .collect();
        assert_eq!(text, expected, "{before:?} -> {after:?}");
    }

    #[test]
    fn words_that_differ() {
        check("", "", "");
        check("Ada", "Ada", "Ada");
        check("Ada", "Bea", "[Ada]{Bea}");
        check("", "Ada Lovelace", "{Ada Lovelace}");
        check("Ada Lovelace", "", "[Ada Lovelace]");
        check("Ada Byron", "Ada Lovelace", "Ada [Byron]{Lovelace}");
        check("Ada Byron King", "Ada King", "Ada [Byron ]King");
        check("Ada King", "Ada Byron King", "Ada {Byron }King");
        check("Smith-Jones", "Smith-Johns", "Smith-[Jones]{Johns}");
        check("O'Hara", "Hara", "[O']Hara");
        check("a b c d", "b x d y", "[a ]b [c]{x} d{ y}");
        check("Ada  B", "Ada B", "Ada [ ]B");
        check("1990-01-02", "1990-03-02", "1990-[01]{03}-02");
        check("محمد علي", "محمد عمر", "محمد [علي]{عمر}");
        check("山田 太郎", "山田 花子", "山田 [太郎]{花子}");
    }

    #[test]
    fn texts_of_many_words_are_not_compared_word_by_word() {
        let long = |word: &str| format!("same {} end", format!("{word} ").repeat(200));
        let found = pieces(&long("a"), &long("b"));
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(matches!(
            &found[..],
            [Piece::Same(_), Piece::Gone(_), Piece::New(_), Piece::Same(_)]
        ));
    }

    #[test]
    fn births_of_one_day_are_told_by_their_moments() {
        let birth = |ms| BirthTimestamp::from_ms(ms);
        let day = |text: &str| Some(text.to_owned());
        assert_eq!(births(birth(0), birth(86_400_000)), (day("1970-01-01"), day("1970-01-02")));
        assert_eq!(births(None, birth(1)), (None, day("1970-01-01")));
        assert_eq!(
            births(birth(0), birth(1_000)),
            (day("1970-01-01T00:00:00Z"), day("1970-01-01T00:00:01Z"))
        );
        assert_eq!(births(birth(5), birth(5)), (day("1970-01-01"), day("1970-01-01")));
    }
}
