//! The help of all commands: groups of commands and arguments, examples, exit statuses.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};

use super::Cli;

/// The commands in the order of their groups.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Serve", &["demo", "up", "serve"]),
    ("Process", &["init", "process", "repair"]),
    ("Read", &["status", "query", "rejects", "runs", "versions"]),
    ("Check", &["doctor", "healthcheck"]),
    ("Shell", &["completions", "man"]),
];

/// Where the documentation is.
const DOCUMENTATION: &str = "The folder docs/src of the repository has the documentation.";

/// Examples of each command. A test parses them.
const EXAMPLES: [(&str, &[&str]); 13] = [
    (
        "demo",
        &["datalake demo", "datalake demo --listen :8080 --token-file token --protect-reads"],
    ),
    (
        "up",
        &[
            "datalake up --lake ./lake",
            "datalake up --lake s3://bucket --schedule '*/15 * * * *' --listen 127.0.0.1:9000",
        ],
    ),
    (
        "serve",
        &[
            "datalake serve --lake s3://bucket --launcher none",
            "datalake serve --lake s3://bucket --listen :8080 --token-file token",
        ],
    ),
    (
        "init",
        &[
            "datalake init --lake ./lake --samples",
            "datalake init --lake s3://bucket/prefix --from ./sources",
        ],
    ),
    (
        "process",
        &[
            "datalake process --lake ./lake --dry-run",
            "datalake process --lake s3://bucket --s3-endpoint http://localhost:9000 --output json",
            "datalake process --lake s3://bucket --schedule @hourly",
        ],
    ),
    ("repair", &["datalake repair --lake s3://bucket"]),
    (
        "status",
        &[
            "datalake status --lake s3://bucket",
            "datalake status --lake s3://bucket --output json",
        ],
    ),
    (
        "query",
        &[
            "datalake query --lake ./lake 'min_age&limit=5'",
            "datalake query --lake ./lake last_name=Lee order=birthts",
            "datalake query --lake ./lake is_image_exists=False version=0 --output csv",
        ],
    ),
    (
        "rejects",
        &[
            "datalake rejects --lake ./lake",
            "datalake rejects --lake ./lake code=type limit=10 --output csv",
        ],
    ),
    (
        "runs",
        &[
            "datalake runs --lake ./lake limit=10",
            "datalake runs --lake ./lake --id run-20261124t080000z-0a1b2c3d",
        ],
    ),
    (
        "versions",
        &[
            "datalake versions --lake ./lake",
            "datalake versions --lake ./lake limit=1 --output json",
        ],
    ),
    (
        "doctor",
        &[
            "datalake doctor --lake s3://bucket",
            "datalake doctor --lake s3://bucket --output json",
        ],
    ),
    (
        "healthcheck",
        &["datalake healthcheck", "datalake healthcheck --url http://127.0.0.1:8081/healthz"],
    ),
];

/// The exit statuses of all commands.
const STATUSES: &str = "Exit status:\n  \
                        0  success, also if there was nothing to do\n  \
                        1  failure that a retry may resolve\n  \
                        2  invalid usage, configuration or permissions, or damage: a retry will not help\n  \
                        4  a guard blocked the run";

/// The command line with groups and examples in its help.
pub(crate) fn command() -> Command {
    let command = Cli::command();
    let groups = groups(&command);
    let command = command
        .help_template(format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}Options:\n{{options}}{{after-help}}"
        ))
        .after_help(format!(
            "{}\n\n{STATUSES}\n\n`datalake COMMAND --help` has examples of a command. {DOCUMENTATION}",
            examples(&["datalake demo", "datalake up --lake ./lake", "datalake status --lake ./lake"])
        ));
    let command = command.mut_args(described);
    command.mut_subcommands(|command| {
        let examples_of = EXAMPLES.iter().find(|(name, _)| *name == command.get_name());
        let is_about_runs = matches!(command.get_name(), "process" | "repair" | "doctor");
        let statuses = if is_about_runs { format!("\n\n{STATUSES}") } else { String::new() };
        let command = command.mut_args(described);
        match examples_of {
            Some((_, commands)) => command.after_help(format!("{}{statuses}", examples(commands))),
            None => command,
        }
    })
}

/// The commands with their descriptions, by group.
fn groups(command: &Command) -> String {
    let mut text = String::new();
    for (group, names) in GROUPS {
        writeln!(text, "{group}:").expect("writing to a string cannot fail");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            writeln!(text, "  {name:<13}{about}").expect("writing to a string cannot fail");
        }
        text.push('\n');
    }
    text
}

fn examples(commands: &[&str]) -> String {
    let lines: Vec<_> = commands.iter().map(|command| format!("  {command}")).collect();
    format!("Examples:\n{}", lines.join("\n"))
}

/// The argument in its group, without the current value of its variable, which may be a secret.
fn described(argument: Arg) -> Arg {
    let heading = match argument.get_id().as_str() {
        "lake" | "endpoint" | "region" | "addressing" => "Lake",
        "from" | "samples" | "dataset" => "Sources",
        "full"
        | "dry_run"
        | "allow_mass_delete"
        | "allow_mass_delete_of"
        | "max_reject_ratio"
        | "single_writer"
        | "schedule"
        | "run_id"
        | "launcher"
        | "cronjob"
        | "yes" => "Runs",
        "listen" | "admin_listen" | "trusted_proxies" | "title" | "url" => "Server",
        "token_file" | "token_hint" | "protect_reads" | "cors_origins" | "allowed_hosts" => "Access",
        _ => return argument.hide_env_values(true),
    };
    argument.hide_env_values(true).help_heading(heading)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_is_in_a_group() {
        let command = command();
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        let defined: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        assert_eq!(defined, grouped, "the groups have the order of the commands");
    }

    #[test]
    fn every_argument_of_a_lake_or_a_server_is_in_a_group() {
        let command = command();
        let ungrouped: BTreeSet<&str> = command
            .get_subcommands()
            .flat_map(Command::get_arguments)
            .filter(|argument| argument.get_help_heading().is_none() && !argument.is_positional() && !argument.is_hide_set())
            .map(|argument| argument.get_id().as_str())
            .collect();
        assert_eq!(ungrouped, ["dir", "id", "output"].into());
    }
}
