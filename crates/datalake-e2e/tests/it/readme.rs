//! The commands of the README and of the pages about the API have the output that these show.

use std::{fs, process::Command};

use tempfile::TempDir;

use crate::server::{Server, executable};

const README: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"));

/// The pages with console blocks, and the number of their commands.
const PAGES: [(&str, usize); 3] = [
    (README, 5),
    (include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/api.md")), 13),
    (
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/api-clients.md")),
        1,
    ),
];

/// A README is read before anything else, so it has only what a new reader needs.
const README_BYTES_MAX: usize = 8 * 1024;

/// The commands of a page's console blocks, each with its output.
fn recipes(page: &str) -> Vec<(String, String)> {
    let mut recipes: Vec<(String, String)> = Vec::new();
    let mut in_console = false;
    for line in page.lines() {
        match line.strip_prefix("$ ") {
            _ if line.starts_with("```") => in_console = line == "```console",
            Some(command) if in_console => recipes.push((command.to_owned(), String::new())),
            None if in_console => {
                let (_, output) = recipes.last_mut().expect("output follows a command");
                output.push_str(line);
                output.push('\n');
            }
            _ => {}
        }
    }
    recipes
}

#[test]
fn commands_have_the_documented_output() {
    let server = Server::start(TempDir::new().unwrap(), &["demo"]);
    assert!(server.json("/data").is_array());
    for (command, expected) in PAGES.into_iter().flat_map(|(page, count)| {
        let recipes = recipes(page);
        assert_eq!(
            recipes.len(),
            count,
            "commands of the page that begins with {:?}",
            page.lines().next()
        );
        recipes
    }) {
        let output = server.shell(&command);
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            printed.trim_end(),
            expected.trim_end(),
            "$ {command}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// The commands of the shell block below a heading.
fn commands(heading: &str) -> Vec<&'static str> {
    let (_, section) = README.split_once(heading).expect("the README has the heading");
    let (_, block) = section.split_once("```sh\n").expect("a block of commands follows");
    let (block, _) = block.split_once("```").expect("the block ends");
    block.lines().collect()
}

#[test]
fn readme_is_short_and_sets_everything_up_with_two_commands() {
    assert!(README.len() <= README_BYTES_MAX, "{} bytes", README.len());
    for command in ["cargo run --release -- demo", "cargo test --workspace"] {
        assert_eq!(README.lines().filter(|line| line.trim() == command).count(), 1, "{command}");
    }
}

/// Runs the commands in order with a folder of sources. The server keeps running during the others.
#[test]
fn commands_of_deployment_succeed() {
    let folder = TempDir::new().unwrap();
    let sources = folder.path().join("my-sources");
    fs::create_dir(&sources).unwrap();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/src-data")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, sources.join(path.file_name().unwrap())).unwrap();
    }
    let commands = commands("## Deployment");
    let [init, up, dry_run, process] = commands[..] else {
        panic!("{commands:?}");
    };
    let path = format!("PATH={}:$PATH", executable().parent().unwrap().display());
    let initialized = Command::new("sh")
        .args(["-c", &format!("{path} {init}")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(initialized.status.success(), "{init}: {initialized:?}");
    let arguments: Vec<_> = up
        .split_once('#')
        .map_or(up, |(command, _)| command)
        .split_whitespace()
        .skip(1)
        .collect();
    let server = Server::start(folder, &arguments);
    assert_eq!(server.json("/stats")["count"], 100, "{up}");
    for (command, expected) in [(dry_run, "nothing was changed"), (process, "0 added, 0 changed, 0 removed")] {
        let output = server.shell(&format!("{path} {command}"));
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains(expected), "{command}: {output:?}");
    }
    assert_eq!(server.terminate(), Some(0));
}
