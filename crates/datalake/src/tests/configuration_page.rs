//! The tables of flags in `docs/src/configuration.md`, which the definitions of the arguments determine.

use std::{
    fmt::{Display, Write},
    fs,
};

use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::args::Cli;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/configuration.md");

/// Rewrites the page. The page has this command, too.
const UPDATE: &str = "DATALAKE_WRITE_DOCS=1 cargo test --workspace --bin datalake configuration_page";

const END: &str = "<!-- end generated -->";

#[test]
#[expect(clippy::disallowed_methods, reason = "the variable is an argument of this test")]
fn page_has_the_flags_of_every_command() {
    let page = fs::read_to_string(PAGE).unwrap();
    let begin = format!("<!-- begin generated: {UPDATE} -->\n");
    let (before, rest) = page.split_once(&begin).expect("the page marks where the tables begin");
    let (written, after) = rest.split_once(END).expect("the page marks where the tables end");
    let tables = tables();
    if std::env::var_os("DATALAKE_WRITE_DOCS").is_some() {
        fs::write(PAGE, format!("{before}{begin}{tables}{END}{after}")).unwrap();
        return;
    }
    assert!(written == tables, "docs/src/configuration.md is out of date; run: {UPDATE}");
}

/// A section with a table for each command.
fn tables() -> String {
    let mut root = Cli::command();
    // Adds the global arguments to the commands.
    root.build();
    let commands = root.get_subcommands().filter(|command| command.get_name() != "help");
    commands.map(section).collect::<String>() + "\n"
}

fn section(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = format!(
        "\n### `datalake {}`\n\n{about}.\n\n| flag | environment | default | description |\n|---|---|---|---|\n",
        command.get_name()
    );
    let is_help = |arg: &Arg| matches!(arg.get_action(), ArgAction::Help | ArgAction::Version);
    for arg in command.get_arguments().filter(|arg| !is_help(arg) && !arg.is_hide_set()) {
        let environment = arg.get_env().map(|name| code(name.display())).unwrap_or_default();
        let cells = [code(flag(arg)), environment, default(arg), description(arg)];
        writeln!(text, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")).unwrap();
    }
    text
}

fn code(text: impl Display) -> String {
    format!("`{text}`")
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

/// `--lake URL`, `-v, --verbose`, or `SHELL`.
fn flag(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let names = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
    let value = arg.get_value_names().and_then(<[_]>::first).filter(|_| takes_value(arg));
    match value {
        Some(value) => format!("{names} {value}").trim_start().to_owned(),
        None => names,
    }
}

fn default(arg: &Arg) -> String {
    let values = arg.get_default_values().iter().map(|value| code(value.display()));
    match values.collect::<Vec<_>>().join(", ") {
        values if takes_value(arg) && !values.is_empty() => values,
        _ if arg.is_required_set() => "required".to_owned(),
        _ if !takes_value(arg) => "off".to_owned(),
        _ => "none".to_owned(),
    }
}

/// The help, and the values of a flag with a fixed set of them.
fn description(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values = arg
        .get_possible_values()
        .into_iter()
        .filter(|value| takes_value(arg) && !value.is_hide_set());
    let values = values.map(|value| match value.get_help() {
        Some(help) => format!(
            "{}: {}",
            code(value.get_name()),
            uncapitalized(&help.to_string().replace(['<', '>'], ""))
        ),
        None => code(value.get_name()),
    });
    let values = values.collect::<Vec<_>>().join("; ");
    urls_as_code(&if values.is_empty() { help } else { format!("{help}. {values}") })
}

fn uncapitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_lowercase().chain(characters).collect())
        .unwrap_or_default()
}

/// The text with its URLs as code, so that they are not links.
fn urls_as_code(text: &str) -> String {
    let word = |word: &str| match word.trim_end_matches(['.', ',', ';']) {
        url if url.contains("://") => format!("{}{}", code(url), &word[url.len()..]),
        _ => word.to_owned(),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
