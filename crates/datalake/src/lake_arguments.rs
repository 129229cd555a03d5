//! The arguments that select a lake, in commands that messages quote.

use clap::{CommandFactory, ValueEnum};

use crate::args::{AddressingStyle, Cli, Command, LakeArgs};

/// The arguments that select the same lake in a shell.
pub(crate) fn arguments(lake: &LakeArgs) -> String {
    let addressing = match lake.s3.addressing {
        AddressingStyle::Auto => None,
        style => style.to_possible_value().map(|value| value.get_name().to_owned()),
    };
    let flags = [
        ("--lake", Some(lake.lake.to_string())),
        ("--s3-endpoint", lake.s3.endpoint.as_ref().map(ToString::to_string)),
        ("--s3-region", lake.s3.region.as_ref().map(ToString::to_string)),
        ("--s3-addressing", addressing),
    ];
    let flags = flags
        .into_iter()
        .filter_map(|(flag, value)| Some(format!("{flag} {}", quoted(&value?))));
    flags.collect::<Vec<_>>().join(" ")
}

/// The text as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// The lake that a command works on.
pub(crate) fn lake_of(command: &Command) -> Option<&LakeArgs> {
    match command {
        Command::Up(args) => Some(&args.lake),
        Command::Serve(args) => Some(&args.lake),
        Command::Init(args) => Some(&args.lake),
        Command::Process(args) => Some(&args.lake),
        Command::Repair(args) => Some(&args.lake),
        Command::Status(args) => Some(&args.lake),
        Command::Query(args) | Command::Rejects(args) | Command::Versions(args) => Some(&args.lake),
        Command::Runs(args) => Some(&args.lake),
        Command::Doctor(args) => Some(&args.lake),
        Command::Demo(_) | Command::Healthcheck(_) | Command::Completions { .. } | Command::Man { .. } => None,
    }
}

/// The message with complete commands: each `datalake …` in backticks that needs a lake and names none gets these arguments.
pub(crate) fn with_complete_commands(message: &str, arguments: &str) -> String {
    let mut parts = message.split('`');
    let mut text = parts.next().unwrap_or_default().to_owned();
    // The parts are alternately in backticks and outside of them.
    for (index, part) in parts.enumerate() {
        text.push('`');
        match subcommand_without_lake(part).filter(|_| index % 2 == 0) {
            Some((command, rest)) => text.extend([command, " ", arguments, rest]),
            None => text.push_str(part),
        }
    }
    text
}

/// A quoted command that lacks its lake, split after the name of the subcommand.
fn subcommand_without_lake(quoted: &str) -> Option<(&str, &str)> {
    let after = quoted.strip_prefix("datalake ")?;
    let name = after.split(' ').next()?;
    let needs_lake = Cli::command()
        .find_subcommand(name)?
        .get_arguments()
        .any(|argument| argument.get_id() == "lake");
    (needs_lake && !after.contains("--lake ")).then(|| quoted.split_at("datalake ".len() + name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expected: &str) {
        assert_eq!(with_complete_commands(message, "--lake './my lake'"), expected);
    }

    #[test]
    fn quoted_commands_get_the_lake() {
        check(
            "no table; run `datalake process`, or `datalake process --full`",
            "no table; run `datalake process --lake './my lake'`, or `datalake process --lake './my lake' --full`",
        );
        check("create it with `datalake init --lake x`", "create it with `datalake init --lake x`");
    }

    #[test]
    fn other_text_is_unchanged() {
        for message in ["datalake process", "`datalake demo`", "`--lake` datalake process `x`", "a ` b"] {
            check(message, message);
        }
    }
}
