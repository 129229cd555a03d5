//! Standard output: a closed pipe is not an error, a full disk is.

use std::{
    fs,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::settings::datalake;

/// Commands that print to standard output, over a lake with one source.
fn commands() -> (TempDir, Vec<Vec<String>>) {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("src-data")).unwrap();
    fs::write(dir.path().join("src-data/1.csv"), crate::process::csv("Ada")).unwrap();
    let lake = dir.path().to_str().unwrap();
    let first = datalake(&["process", "--lake", lake], &[]).output().unwrap();
    assert!(first.status.success(), "{first:?}");
    let commands = [
        "--help",
        "--version",
        "process --help",
        "completions bash",
        "man",
        &format!("process --lake {lake} --output json"),
        &format!("process --lake {lake} --dry-run"),
        &format!("process --lake {lake}"),
        &format!("init --lake {lake}"),
        &format!("repair --lake {lake}"),
        &format!("status --lake {lake}"),
        &format!("query --lake {lake}"),
        &format!("query --lake {lake} --output csv"),
        &format!("rejects --lake {lake} --output json"),
        &format!("runs --lake {lake}"),
        &format!("versions --lake {lake}"),
        &format!("doctor --lake {lake}"),
    ];
    let commands = commands.map(|command| command.split(' ').map(ToOwned::to_owned).collect());
    (dir, commands.into())
}

fn command(arguments: &[String]) -> Command {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    datalake(&arguments, &[])
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_is_reported() {
    let (_lake, commands) = commands();
    for arguments in commands {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command(&arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(
            stderr.contains("standard output") && stderr.contains("No space left"),
            "{arguments:?}: {stderr}"
        );
    }
}

#[test]
fn closed_pipe_is_not_an_error() {
    let (_lake, commands) = commands();
    for arguments in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(&arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("error") && !stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn man_pages_have_title_and_date() {
    let page = |variables: &[(&str, &str)]| {
        let output = datalake(&["man"], variables).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let dated = page(&[("SOURCE_DATE_EPOCH", "1700000000")]);
    let title = dated.lines().find(|line| line.starts_with(".TH")).unwrap_or_default();
    assert!(title.contains("DATALAKE 1") && title.contains("2023-11-14"), "{title}");
    let today = page(&[]);
    let title = today.lines().find(|line| line.starts_with(".TH")).unwrap_or_default();
    assert!(title.contains("20") && !title.contains("2023-11-14"), "{title}");

    let dir = TempDir::new().unwrap();
    let written = datalake(&["man", "--dir", dir.path().to_str().unwrap()], &[]).status().unwrap();
    assert!(written.success());
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let title = text.lines().find(|line| line.starts_with(".TH")).unwrap_or_default();
        let name = path.file_stem().unwrap().to_str().unwrap().to_uppercase();
        assert!(title.contains(&format!("{name} 1")), "{}: {title}", path.display());
    }
}
