//! The README's commands give the README's answers.

use tempfile::TempDir;

use crate::server::Server;

/// The commands of the README's console blocks, each with the answer below it.
fn recipes() -> Vec<(String, String)> {
    let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"));
    let mut recipes: Vec<(String, String)> = Vec::new();
    let mut in_console = false;
    for line in readme.lines() {
        match line.strip_prefix("$ ") {
            _ if line.starts_with("```") => in_console = line == "```console",
            Some(command) if in_console => recipes.push((command.to_owned(), String::new())),
            None if in_console => {
                let (_, answer) = recipes.last_mut().expect("an answer stands below its command");
                answer.push_str(line);
                answer.push('\n');
            }
            _ => {}
        }
    }
    recipes
}

#[test]
fn recipes_give_their_answers() {
    let server = Server::start(TempDir::new().unwrap(), &["demo"]);
    assert!(server.json("/data").is_array());
    let recipes = recipes();
    assert!(recipes.len() >= 8, "the README has recipes");
    for (command, expected) in recipes {
        let output = server.shell(&command);
        let answer = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            answer.trim_end(),
            expected.trim_end(),
            "$ {command}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
