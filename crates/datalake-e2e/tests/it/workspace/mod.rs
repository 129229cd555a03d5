//! The architecture: dependencies between crates and files, owners of libraries, length of files.

mod columns;
mod imports;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .exec()
        .unwrap()
}

/// The dependencies of each crate, without those of tests.
fn dependencies(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let of = |package: &cargo_metadata::Package| {
        let normal = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal);
        normal.map(|dependency| dependency.name.clone()).collect()
    };
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| (package.name.to_string(), of(package)))
        .collect()
}

/// Images, chart and executable are released together.
#[test]
fn chart_has_the_version_of_the_executable() {
    let metadata = metadata();
    let executable = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name == "datalake")
        .unwrap();
    let chart = fs::read_to_string(metadata.workspace_root.join("helm/datalake/Chart.yaml")).unwrap();
    let expected = format!("appVersion: \"{}\"", executable.version);
    assert!(chart.lines().any(|line| line == expected), "{expected} is not in {chart}");
}

#[test]
fn crates_depend_only_on_allowed_crates() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("datalake-core", &[][..]),
        ("datalake-store", &["datalake-core"]),
        ("datalake-table", &["datalake-core", "datalake-store"]),
        ("datalake-processor", &["datalake-core", "datalake-store", "datalake-table"]),
        ("datalake-http", &[]),
        ("datalake-runs", &["datalake-core", "datalake-store"]),
        (
            "datalake-api",
            &[
                "datalake-core",
                "datalake-http",
                "datalake-runs",
                "datalake-store",
                "datalake-table",
            ],
        ),
        (
            "datalake-ui",
            &["datalake-api", "datalake-core", "datalake-http", "datalake-runs", "datalake-table"],
        ),
        (
            "datalake-server",
            &["datalake-api", "datalake-core", "datalake-http", "datalake-runs", "datalake-ui"],
        ),
        (
            "datalake",
            &[
                "datalake-api",
                "datalake-core",
                "datalake-http",
                "datalake-processor",
                "datalake-runs",
                "datalake-server",
                "datalake-store",
                "datalake-table",
            ],
        ),
        ("datalake-e2e", &[]),
        (
            "datalake-sim",
            &["datalake-core", "datalake-processor", "datalake-store", "datalake-table"],
        ),
    ]);
    let found = dependencies(&metadata());
    assert_eq!(
        found.keys().map(String::as_str).collect::<Vec<_>>(),
        allowed.keys().copied().collect::<Vec<_>>()
    );
    for (name, dependencies) in &found {
        let within: BTreeSet<_> = dependencies
            .iter()
            .filter(|other| found.contains_key(*other))
            .map(String::as_str)
            .collect();
        let may: BTreeSet<_> = allowed[name.as_str()].iter().copied().collect();
        assert!(within.is_subset(&may), "{name} depends on {:?}", within.difference(&may));
    }
}

#[test]
fn libraries_are_used_only_by_their_owners() {
    let owners: [(&str, &[&str]); 12] = [
        ("polars", &["datalake-table"]),
        ("parquet", &["datalake-table"]),
        ("aws-sdk-s3", &["datalake-store"]),
        ("aws-config", &["datalake-store"]),
        ("axum", &["datalake-api", "datalake-http", "datalake-server", "datalake-ui"]),
        ("maud", &["datalake-ui"]),
        ("pulldown-cmark", &["datalake-ui"]),
        ("utoipa", &["datalake-api", "datalake-server"]),
        ("kube", &["datalake-runs"]),
        ("k8s-openapi", &["datalake-runs"]),
        ("clap", &["datalake"]),
        ("anyhow", &["datalake"]),
    ];
    let found = dependencies(&metadata());
    for (library, expected) in owners {
        let users: Vec<_> = found
            .iter()
            .filter(|(_, uses)| uses.contains(library))
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(users, expected, "the users of {library}");
    }
}

/// The core performs no I/O: none of its dependencies does, including indirect ones.
#[test]
fn core_is_pure() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().unwrap();
    let name_of = |id: &cargo_metadata::PackageId| metadata[id].name.to_string();
    let mut reached = BTreeSet::new();
    let mut todo: Vec<_> = resolve.nodes.iter().filter(|node| name_of(&node.id) == "datalake-core").collect();
    while let Some(node) = todo.pop() {
        for dependency in &node.deps {
            let is_normal = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if is_normal && reached.insert(name_of(&dependency.pkg)) {
                todo.extend(resolve.nodes.iter().find(|node| node.id == dependency.pkg));
            }
        }
    }
    assert!(reached.contains("jiff"), "{reached:?}");
    for name in reached {
        let is_shell = ["tokio", "polars", "axum", "kube", "aws", "hyper", "reqwest"]
            .iter()
            .any(|shell| name.starts_with(shell));
        assert!(!is_shell, "the core depends on {name}");
    }
}

/// Each crate uses the lints of the workspace; without them, it would have no lints.
#[test]
fn every_crate_uses_the_workspace_lints() {
    for package in metadata().workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", package.name);
    }
}

/// The lines of code of the product by file, without comments and tests. Names of files start after `crates/`.
fn product_lines() -> Vec<(String, String)> {
    fn walk(folder: &Path, lines: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("tests") {
                    walk(&path, lines);
                }
                continue;
            }
            let name = path.display().to_string();
            if path.extension() != Some("rs".as_ref()) || path.ends_with("tests.rs") {
                continue;
            }
            let (_, name) = name.rsplit_once("/crates/").unwrap();
            let text = fs::read_to_string(&path).unwrap();
            // The tests are at the end of a file.
            let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            lines.extend(code.map(|line| (name.to_owned(), line.to_owned())));
        }
    }
    let mut lines = Vec::new();
    for package in metadata().workspace_packages() {
        walk(package.manifest_path.with_file_name("src").as_std_path(), &mut lines);
    }
    assert!(lines.len() > 1_000, "the source files are found");
    lines
}

/// The rest of a line from each occurrence of `word` as the beginning of a name.
fn uses<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    let is_within_name = |before: &str| before.ends_with(|character: char| character.is_alphanumeric() || character == '_');
    line.match_indices(word)
        .filter(move |(position, _)| !is_within_name(&line[..*position]))
        .map(|(position, _)| &line[position..])
}

/// Checks that only the owner, a file or a folder, has code of this kind, and that it has some: otherwise the pattern would be wrong.
#[track_caller]
fn check_owner(owner: &str, is_owned: impl Fn(&str) -> bool) {
    let (within, outside): (Vec<_>, Vec<_>) = product_lines()
        .into_iter()
        .filter(|(_, line)| is_owned(line))
        .partition(|(file, _)| file.starts_with(owner));
    assert!(outside.is_empty(), "only {owner} may contain: {outside:#?}");
    assert!(!within.is_empty(), "{owner} does not contain it");
}

/// A key begins with a folder of the lake; messages contain it in the middle.
#[test]
fn keys_are_formatted_in_one_place() {
    let prefixes = [
        "\"src-data/",
        "\"processed_data/",
        "\"_delta_log",
        "\"_ingest",
        "{SOURCES}",
        "{IMAGES}",
        "{RUNS}",
        "{TABLE}",
        "{LOG}",
        "{INGEST}",
    ];
    check_owner("datalake-core/src/keys", |line| {
        // Attributes contain examples for the OpenAPI description.
        !line.trim_start().starts_with("#[") && prefixes.iter().any(|prefix| line.contains(prefix))
    });
}

#[test]
fn statuses_of_failures_are_chosen_in_one_place() {
    let is_success = |name: &str| ["OK", "CREATED", "ACCEPTED", "NO_CONTENT", "PARTIAL_CONTENT", "NOT_MODIFIED"].contains(&name);
    check_owner("datalake-api/src/problem/", |line| {
        uses(line, "StatusCode::").any(|used| {
            let name = used["StatusCode::".len()..].split(|character: char| !character.is_alphanumeric() && character != '_');
            name.take(1).any(|name| !is_success(name) && name != "as_u16")
        })
    });
}

#[test]
fn libraries_are_named_only_by_their_owners() {
    let names = |library: &'static str| move |line: &str| uses(line, library).next().is_some();
    check_owner("datalake-runs/src/kubernetes/", names("kube::"));
    check_owner("datalake-runs/src/kubernetes/", names("k8s_openapi::"));
    check_owner("datalake-table/src/", names("polars::"));
    check_owner("datalake-store/src/s3/", |line| {
        uses(line, "aws_").any(|used| {
            used.split_once("::")
                .is_some_and(|(name, _)| !name.contains(|character: char| !character.is_alphanumeric() && character != '_'))
        })
    });
}

/// Files that import one another have to be read together: three at most.
#[test]
fn no_cycle_of_imports_has_more_than_three_files() {
    for package in metadata().workspace_packages() {
        let src = package.manifest_path.with_file_name("src");
        for cycle in imports::cycles(&imports::graph(src.as_std_path())) {
            let files: Vec<_> = cycle.iter().map(|module| module.join("::")).collect();
            assert!(files.len() <= 3, "{}: {files:#?}", package.name);
        }
    }
}

/// Lines of code, comments and tests aside, above which a file has more than one subject, as a rule.
const CODE_LINES_MAX: usize = 400;

/// Longer files, each with the reason.
const LONG_FILES: [(&str, &str); 0] = [];

#[test]
fn no_file_has_more_than_400_lines_of_code() {
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for (file, line) in product_lines() {
        *lines.entry(file).or_default() += usize::from(!line.trim().is_empty());
    }
    let long: Vec<_> = lines.iter().filter(|(_, count)| **count > CODE_LINES_MAX).collect();
    let unexplained: Vec<_> = long
        .iter()
        .filter(|(file, _)| !LONG_FILES.iter().any(|(known, _)| known == file))
        .collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
    let short: Vec<_> = LONG_FILES
        .iter()
        .filter(|(known, _)| !long.iter().any(|(file, _)| file == known))
        .collect();
    assert!(short.is_empty(), "no longer over the limit: {short:?}");
}
