//! The commands that the code, the chart and the documentation quote exist: each `datalake …` in backticks, and each in a shell block, parses.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::error::ErrorKind;

use crate::args::help;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Files and folders with text for operators. Tests and build results are left out.
const SOURCES: [&str; 11] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docker-compose.yml",
    "Dockerfile",
    "crates",
    "docs",
    "helm",
    "k8s",
];

const EXTENSIONS: [&str; 7] = ["rs", "md", "yaml", "yml", "tpl", "txt", "js"];

fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut left: Vec<PathBuf> = SOURCES.iter().map(|name| Path::new(ROOT).join(name)).collect();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let is_tests = path.file_name().is_some_and(|name| name == "tests" || name == "target");
            if !is_tests {
                left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        } else if path
            .extension()
            .is_none_or(|extension| EXTENSIONS.iter().any(|known| extension == *known))
        {
            files.push(path);
        }
    }
    // These files are tests, whose commands are examples and templates.
    files.retain(|file| !file.ends_with("quoted_commands.rs") && !file.ends_with("configuration_page.rs"));
    files
}

/// The commands in a text, without `datalake`.
fn commands(text: &str, is_code: bool) -> Vec<String> {
    let joined = join_continued(text);
    let mut commands: Vec<String> = Vec::new();
    for (start, _) in joined.match_indices("`datalake ") {
        let rest = &joined[start + "`datalake ".len()..];
        if let Some((command, _)) = rest.split_once('`') {
            commands.push(command.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    if !is_code {
        let lines = joined.lines().map(|line| line.trim_start().trim_start_matches("$ "));
        let in_blocks = lines
            .filter_map(|line| line.strip_prefix("datalake "))
            .filter(|rest| !is_prose(rest));
        commands.extend(in_blocks.map(str::to_owned));
    }
    commands
}

/// Whether a line that begins with `datalake` is a sentence.
fn is_prose(rest: &str) -> bool {
    let first = rest.split_whitespace().next().unwrap_or_default();
    let names: Vec<String> = help::command()
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    !first.starts_with('-') && !names.iter().any(|name| name == first)
}

/// The text with the lines joined that end with a backslash, as in strings and in shell commands.
pub(super) fn join_continued(text: &str) -> String {
    let mut parts = text.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |joined, part| joined + part.trim_start())
}

/// The arguments of a command line up to the end of the command, with values for placeholders.
fn arguments(command: &str) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut current: Option<String> = None;
    let mut quote = None;
    for character in command.chars() {
        match (quote, character) {
            (Some(end), _) if character == end => quote = None,
            (Some(_), _) => current.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                current.get_or_insert_default();
            }
            (None, ' ') => arguments.extend(current.take()),
            (None, '|' | '>' | ';' | '&' | '#' | ')') => break,
            (None, '[' | ']') => {}
            (None, _) => current.get_or_insert_default().push(character),
        }
    }
    arguments.extend(current);
    arguments
        .into_iter()
        .filter(|argument| !matches!(&**argument, "…" | "..."))
        .map(filled)
        .collect()
}

/// The argument, or an example of what a placeholder represents.
fn filled(argument: String) -> String {
    match &*argument {
        "COMMAND" => "process".to_owned(),
        "CRON" => "@hourly".to_owned(),
        "SHELL" => "bash".to_owned(),
        "HOST:PORT" => ":8080".to_owned(),
        _ if argument.contains('{') || argument.contains('$') => "x".to_owned(),
        _ => argument,
    }
}

#[test]
fn quoted_commands_exist() {
    let (mut found, mut wrong) = (0, Vec::new());
    for file in files() {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let is_code = file.extension().is_some_and(|extension| extension == "rs" || extension == "js");
        for command in commands(&text, is_code) {
            found += 1;
            let arguments = arguments(&command);
            // A text may name a flag without its value.
            let ends_with_flag = arguments.last().is_some_and(|last| last.starts_with("--"));
            let parsed = help::command().try_get_matches_from(std::iter::once("datalake".to_owned()).chain(arguments));
            match parsed.map_err(|error| error.kind()) {
                // A text may leave out the lake.
                Ok(_)
                | Err(
                    ErrorKind::MissingRequiredArgument
                    | ErrorKind::DisplayHelp
                    | ErrorKind::DisplayVersion
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
                ) => {}
                Err(ErrorKind::InvalidValue) if ends_with_flag => {}
                Err(kind) => wrong.push(format!("{}: datalake {command}: {kind:?}", file.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(found > 50, "commands are found: {found}");
}

#[test]
fn examples_in_the_help_are_complete() {
    let command = help::command();
    for command in command.get_subcommands() {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in examples.lines().filter_map(|line| line.strip_prefix("  datalake ")) {
            let arguments = std::iter::once("datalake".to_owned()).chain(arguments(line));
            let parsed = help::command().try_get_matches_from(arguments);
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
        }
    }
}

#[test]
fn commands_are_found_in_strings_and_blocks() {
    let code = "\"run `datalake process \\\n         --full` or `datalake up`\"";
    assert_eq!(commands(code, true), ["process --full", "up"]);
    let text = "```sh\n$ datalake init --lake x | cat\ndatalake process \\\n  --lake x\n```\ndatalake reads a lake.\n";
    assert_eq!(commands(text, false), ["init --lake x | cat", "process --lake x"]);
    assert_eq!(arguments("query --lake {lake} 'a&b' | cat"), ["query", "--lake", "x", "a&b"]);
}
