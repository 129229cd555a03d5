//! The graph of imports between the files of a crate, and its cycles.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use regex::Regex;

/// A module, as its segments below the crate; the crate's root has none.
type Module = Vec<String>;

/// Which files of a crate import which, tests aside. `src` is the crate's folder of sources.
pub(super) fn graph(src: &Path) -> BTreeMap<Module, BTreeSet<Module>> {
    let files = files(src);
    let modules: BTreeSet<Module> = files.keys().cloned().collect();
    let imports = |(module, text): (&Module, &String)| {
        let reached = paths(text).into_iter().filter_map(|path| owner(&modules, &resolve(&path, module)?));
        (module.clone(), reached.filter(|other| other != module).collect())
    };
    files.iter().map(imports).collect()
}

/// The cycles of the graph: the files that import one another, directly or not.
pub(super) fn cycles(graph: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let reachable: BTreeMap<&Module, BTreeSet<&Module>> = graph.keys().map(|module| (module, reach(graph, module))).collect();
    let mut cycles = Vec::new();
    for (module, reached) in &reachable {
        let cycle: BTreeSet<Module> = reached
            .iter()
            .filter(|other| reachable[**other].contains(module))
            .map(|other| (*other).clone())
            .collect();
        if cycle.len() > 1 && !cycles.contains(&cycle) {
            cycles.push(cycle);
        }
    }
    cycles
}

/// Every module that the module imports, directly or not.
fn reach<'a>(graph: &'a BTreeMap<Module, BTreeSet<Module>>, module: &'a Module) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut left = vec![module];
    while let Some(next) = left.pop() {
        left.extend(graph[next].iter().filter(|other| reached.insert(*other)));
    }
    reached
}

/// The files below a folder with their code, tests and comments aside.
fn files(src: &Path) -> BTreeMap<Module, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![src.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("bin") && !path.ends_with("tests") {
                folders.push(path);
            } else if path.extension() == Some("rs".as_ref()) && !path.ends_with("tests.rs") {
                let relative = path.strip_prefix(src).unwrap().with_extension("");
                let mut module: Module = relative.iter().map(|segment| segment.to_str().unwrap().to_owned()).collect();
                if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
                    module.pop();
                }
                found.insert(module, code(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// A file's text without comments and without the tests, which come last.
fn code(text: &str) -> String {
    let tests = Regex::new(r"(?s)\n#\[cfg\(test\)\]\n(#\[[^\n]*\n)*mod tests.*").unwrap();
    let code = tests.replace(text, "");
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths into the own crate that the code names, in `use` declarations and elsewhere. A re-export is no import: its module only gives a name.
fn paths(code: &str) -> Vec<Module> {
    let declaration = Regex::new(r"(?s)(pub(?:\([a-z]+\))?\s+)?\buse\s+((?:crate|super|self)\b[^;]*);").unwrap();
    let imports = declaration.captures_iter(code).filter(|captures| captures.get(1).is_none());
    let mut found: Vec<Module> = imports.flat_map(|captures| expand(&captures[2])).collect();
    let rest = declaration.replace_all(code, "");
    let inline = Regex::new(r"\b(?:crate|super)(?:::\w+)+").unwrap();
    let segments = |path: &str| path.split("::").map(str::to_owned).collect();
    found.extend(inline.find_iter(&rest).map(|path| segments(path.as_str())));
    found
}

/// The paths of a tree like `a::{b, c::{self, D as E}}`.
fn expand(tree: &str) -> Vec<Module> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.split("::").map(|segment| segment.trim().to_owned()).collect()];
    };
    let prefix: Module = prefix
        .split("::")
        .map(str::trim)
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
        .collect();
    let inner = rest.strip_suffix('}').expect("braces are balanced");
    let mut found = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, character) in inner.char_indices().chain([(inner.len(), ',')]) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let item = inner[start..at].trim();
                if !item.is_empty() {
                    found.extend(expand(item).into_iter().map(|path| [prefix.clone(), path].concat()));
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// The path from the crate's root on; none for a path above it.
fn resolve(path: &[String], module: &Module) -> Option<Module> {
    let mut absolute = match path.first()?.as_str() {
        "crate" => Vec::new(),
        _ => module.clone(),
    };
    for segment in path {
        match segment.as_str() {
            "crate" | "self" => {}
            "super" => drop(absolute.pop()?),
            name => absolute.push(name.to_owned()),
        }
    }
    Some(absolute)
}

/// The module that holds what the path names.
fn owner(modules: &BTreeSet<Module>, path: &Module) -> Option<Module> {
    let prefixes = (0..=path.len()).rev().map(|length| path[..length].to_vec());
    prefixes.into_iter().find(|prefix| modules.contains(prefix))
}

#[test]
fn trees_are_expanded_and_cycles_found() {
    let paths: Vec<String> = expand("crate::{a, b::{self, C as D}, e::F}")
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(paths, ["crate::a", "crate::b::self", "crate::b::C", "crate::e::F"]);
    let module = |name: &str| vec![name.to_owned()];
    let imports = [("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["a", "d"]), ("d", vec![])];
    let graph = imports.map(|(name, others)| (module(name), others.into_iter().map(module).collect()));
    assert_eq!(cycles(&graph.into()), [["a", "b", "c"].map(module).into()]);
}
