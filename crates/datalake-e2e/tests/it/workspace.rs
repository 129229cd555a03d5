//! The arrows between the crates, and who may name which library.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .exec()
        .unwrap()
}

/// What each crate depends on, tests aside.
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

#[test]
fn arrows_point_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("datalake-core", &[][..]),
        ("datalake-store", &["datalake-core"]),
        ("datalake-table", &["datalake-core", "datalake-store"]),
        ("datalake-processor", &["datalake-core", "datalake-store", "datalake-table"]),
        ("datalake-api", &["datalake-core", "datalake-store", "datalake-table"]),
        (
            "datalake",
            &[
                "datalake-api",
                "datalake-core",
                "datalake-processor",
                "datalake-store",
                "datalake-table",
            ],
        ),
        ("datalake-e2e", &[]),
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
fn libraries_have_one_owner() {
    let owners: [(&str, &[&str]); 10] = [
        ("polars", &["datalake-table"]),
        ("parquet", &["datalake-table"]),
        ("aws-sdk-s3", &["datalake-store"]),
        ("aws-config", &["datalake-store"]),
        ("axum", &["datalake-api"]),
        ("utoipa", &["datalake-api"]),
        ("kube", &["datalake-api"]),
        ("k8s-openapi", &["datalake-api"]),
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
        assert_eq!(users, expected, "who names {library}");
    }
}

/// The core does no I/O: nothing in the whole tree below it could.
#[test]
fn the_core_is_pure() {
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
        assert!(!is_shell, "the core reaches {name}");
    }
}

/// Each crate takes the workspace's lints: a crate that forgot them would pass everything.
#[test]
fn every_crate_is_linted() {
    for package in metadata().workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", package.name);
    }
}
