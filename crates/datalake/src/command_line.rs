//! Parses the command line and the environment. Invalid values are reported with their source and without credentials.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::{
    Arg, ArgMatches, Command, Error, FromArgMatches,
    builder::{Resettable, StyledStr},
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use datalake_store::{masking::mask, setting_text::white_space_problem};

use crate::{
    args::{Cli, help},
    commands, exit,
};

/// The arguments, or the exit status after help, the version or an error was printed.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    let mut command = without_empty_variables(help::command());
    // The arguments of a command can be formatted only after it is built.
    command.build();
    let parsed = command.try_get_matches_from_mut(std::env::args_os()).and_then(|matches| {
        check_white_space(&command, &matches)?;
        Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    });
    parsed.map_err(|error| report(&command, error))
}

/// Treats empty variables as unset: `docker compose` passes such variables.
fn without_empty_variables(command: Command) -> Command {
    command
        .mut_args(|argument| match argument.get_env().map(variable) {
            Some(Some(value)) if value.is_empty() => argument.env(Resettable::Reset),
            _ => argument,
        })
        .mut_subcommands(without_empty_variables)
}

#[expect(clippy::disallowed_methods, reason = "the only place that reads the variables of arguments")]
fn variable(name: &std::ffi::OsStr) -> Option<OsString> {
    std::env::var_os(name)
}

/// Rejects settings of all types with white space at the ends or with a line break.
fn check_white_space(command: &Command, matches: &ArgMatches) -> Result<(), Error> {
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        let Ok(Some(values)) = matches.try_get_raw(id) else { continue };
        let source = matches.value_source(id);
        let problem = values
            .filter_map(|value| value.to_str())
            .find_map(|value| Some((value, white_space_problem(value)?)));
        let Some((value, problem)) = problem.filter(|_| source != Some(ValueSource::DefaultValue)) else {
            continue;
        };
        let origin = match (source, argument.get_env()) {
            (Some(ValueSource::EnvVariable), Some(name)) => format!("{argument}, from the variable {}", name.display()),
            _ => argument.to_string(),
        };
        let message = format!("invalid value '{}' for '{origin}': {problem}", mask(value));
        return Err(command.clone().error(ErrorKind::ValueValidation, message));
    }
    match matches.subcommand() {
        Some((name, matches)) => command
            .find_subcommand(name)
            .map_or(Ok(()), |command| check_white_space(command, matches)),
        None => Ok(()),
    }
}

fn report(command: &Command, mut error: Error) -> ExitCode {
    if !error.use_stderr() {
        return match commands::print(text_of(&error, io::stdout().is_terminal()).as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => exit::report(&error, None),
        };
    }
    if let Some(name) = variable_of(command, &error) {
        let tip = StyledStr::from(format!("the value is from the variable {name}"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    if let Some(tip) = missing_variables(&error) {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
    }
    let text = without_secrets(text_of(&error, io::stderr().is_terminal()));
    // If stderr is closed, the exit status still reports the error.
    let _closed = io::stderr().lock().write_all(text.as_bytes());
    ExitCode::from(exit::USAGE)
}

fn text_of(error: &Error, is_terminal: bool) -> String {
    let text = error.render();
    match is_terminal && crate::logging::has_color() {
        true => text.ansi().to_string(),
        false => text.to_string(),
    }
}

/// The variables that may be set instead of the missing arguments.
fn missing_variables(error: &Error) -> Option<String> {
    let (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missing))) = (error.kind(), error.get(ContextKind::InvalidArg))
    else {
        return None;
    };
    // An empty variable was removed from the arguments that were parsed.
    let mut command = help::command();
    command.build();
    let defined: Vec<&Arg> = command.get_subcommands().flat_map(Command::get_arguments).collect();
    let variables: Vec<String> = missing
        .iter()
        .filter_map(|missing| defined.iter().find(|argument| argument.to_string() == *missing)?.get_env())
        .map(|name| name.display().to_string())
        .collect();
    (!variables.is_empty()).then(|| format!("pass it as an argument, or set the variable {}", variables.join(", ")))
}

/// The variable that contains the invalid value.
fn variable_of(command: &Command, error: &Error) -> Option<String> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else {
        return None;
    };
    let commands = std::iter::once(command).chain(command.get_subcommands());
    let name = commands
        .flat_map(Command::get_arguments)
        .find(|defined| defined.to_string() == *argument)?
        .get_env()?;
    let is_argument = std::env::args_os().any(|given| given.to_string_lossy().ends_with(value.as_str()));
    let is_variable = variable(name).is_some_and(|variable| variable.to_string_lossy() == *value);
    (is_variable && !is_argument).then(|| name.display().to_string())
}

/// Masks possible credentials in the message of an error, which contains the arguments, and escapes line breaks in them.
fn without_secrets(text: String) -> String {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let given = arguments.chain(variables()).flat_map(|value| {
        let value_of_flag = value.split_once('=').map(|(_, value)| value.to_owned());
        std::iter::once(value).chain(value_of_flag)
    });
    given.fold(text, |text, value| match mask(&value) {
        shown if shown != value => text.replace(&value, &shown),
        _ => text,
    })
}

/// The values of the variables of all arguments.
fn variables() -> impl Iterator<Item = String> {
    let command = help::command();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    let names: Vec<_> = commands
        .flat_map(Command::get_arguments)
        .filter_map(|argument| argument.get_env().map(ToOwned::to_owned))
        .collect();
    names
        .into_iter()
        .filter_map(|name| Some(variable(&name)?.to_string_lossy().into_owned()))
}
