//! The columns of the users are named only by their declaration: the code works for every dataset.

use std::{
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

use super::metadata;

/// Where the columns may be named: the declaration.
const OWNER: &str = "datalake-core/src/dataset";

/// Files with sources of users, or with requests for the sample users. A file that names no column is removed from the list.
const SAMPLES: [&str; 3] = [
    "datalake-sim/src/sources.rs",
    "datalake/src/args/help.rs",
    "datalake/src/commands/demo.rs",
];

/// A line that names a column.
#[derive(Debug, PartialEq, Eq)]
struct Mention {
    /// Starts after `crates/`.
    file: String,
    line: usize,
    text: String,
}

#[test]
fn columns_of_the_users_are_named_only_by_their_declaration() {
    let names = Names::new();
    let mut found = Vec::new();
    for package in metadata().workspace_packages() {
        let src = package.manifest_path.with_file_name("src");
        for path in source_files(src.as_std_path()) {
            let (_, file) = path.to_str().unwrap().rsplit_once("/crates/").unwrap();
            if file.starts_with(OWNER) {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            found.extend(names.mentions(&text).map(|(line, text)| Mention {
                file: file.to_owned(),
                line,
                text: text.to_owned(),
            }));
        }
    }
    let unexpected: Vec<_> = { found.iter() }
        .filter(|mention| !SAMPLES.contains(&mention.file.as_str()))
        .map(|mention| format!("crates/{}:{}: {}", mention.file, mention.line, mention.text.trim()))
        .collect();
    assert!(
        unexpected.is_empty(),
        "derive these names from the dataset:\n{}",
        unexpected.join("\n")
    );
    let clean: Vec<_> = SAMPLES
        .iter()
        .filter(|file| !found.iter().any(|mention| mention.file == **file))
        .collect();
    assert!(clean.is_empty(), "these files no longer name a column: {clean:?}");
}

/// The source files below a folder, apart from those of tests.
fn source_files(src: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![src.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.ends_with("tests") || path.ends_with("tests.rs");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension() == Some("rs".as_ref()) && !is_test {
                found.push(path);
            }
        }
    }
    found
}

/// The names of the columns. Age is a common word, so that it is one only as a parameter, in the name of a statistic, or as a whole text.
struct Names {
    name: Regex,
    /// In addition within a text. Elsewhere it is that of HTTP.
    max_age: Regex,
    string: Regex,
}

impl Names {
    fn new() -> Self {
        let name = r#"first_name|last_name|birthts|img_path|\b(?:min|average|median|by)_age\b|\bage__|\bage\.(?:asc|desc)\b|"age""#;
        Self {
            name: Regex::new(name).unwrap(),
            max_age: Regex::new(r"[^{]\bmax_age\b").unwrap(),
            string: Regex::new(r#""(?:[^"\\]|\\.)*""#).unwrap(),
        }
    }

    /// The lines that name a column, with their numbers. Comments may name columns, but not in texts, which are examples of the API.
    fn mentions<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        let is_named = |line: &str| {
            let mut strings = self.string.find_iter(line).map(|string| string.as_str());
            let is_comment = line.trim_start().starts_with("//");
            !is_comment && self.name.is_match(line) || strings.any(|string| self.name.is_match(string) || self.max_age.is_match(string))
        };
        code_lines(text).filter(move |(_, line)| is_named(line))
    }
}

/// The lines of a file with their numbers, without the items of tests.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    /// What is skipped.
    enum Skipped {
        Nothing,
        /// The attributes and the first line of an item with this indentation.
        Head(usize),
        /// The lines up to the end of an item with this indentation.
        Body(usize),
    }
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let mut skipped = Skipped::Nothing;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        match skipped {
            Skipped::Nothing if line.trim() == "#[cfg(test)]" => skipped = Skipped::Head(indentation(line)),
            Skipped::Nothing => return true,
            Skipped::Head(indent) if line.trim_end().ends_with('{') => skipped = Skipped::Body(indent),
            Skipped::Head(_) if line.trim_end().ends_with([';', '}']) => skipped = Skipped::Nothing,
            Skipped::Body(indent) if line.starts_with(&format!("{}}}", " ".repeat(indent))) => skipped = Skipped::Nothing,
            Skipped::Head(_) | Skipped::Body(_) => {}
        }
        false
    })
}

#[test]
fn names_are_found_in_code_and_in_texts_of_comments() {
    let text = "fn min_age() {}\nlet a = \"age\";\n// The minimum is `min_age`.\n/// `[\"birthts\"]`\nlet age = 1;\n#[cfg(test)]\nmod a {\n    \
                first_name();\n}\nlet b = img_path;\n    #[cfg(test)]\n    pub(crate) fn b() -> String {\n        last_name()\n    }\n#[cfg(test)]\nmod \
                tests;\n\"by_age\"\nlet max_age = \"{max_age}\";\n\"min&max_age\"";
    let names = Names::new();
    let lines: Vec<_> = names.mentions(text).map(|(line, _)| line).collect();
    assert_eq!(lines, [1, 2, 4, 10, 17, 19]);
}
