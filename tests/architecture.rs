//! The structure of the workspace: dependencies between crates point one way, only some crates reach AWS, sibling files do not
//! import each other in a circle, one file convention, and no long files.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use roadcast_tests::tracked;
use serde_json::Value;

/// The crates of the workspace that each crate may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("roadcast-signals", &[]),
    ("roadcast-test-data", &[]),
    ("roadcast-traces", &[]),
    ("roadcast-blocks", &["roadcast-signals"]),
    ("roadcast-domain", &["roadcast-signals"]),
    ("roadcast-alerts", &["roadcast-domain", "roadcast-signals"]),
    ("roadcast-ports", &["roadcast-domain", "roadcast-signals"]),
    ("roadcast-codec", &["roadcast-blocks", "roadcast-domain", "roadcast-signals"]),
    ("roadcast-event-log", &["roadcast-blocks", "roadcast-codec", "roadcast-domain", "roadcast-ports", "roadcast-signals"]),
    (
        "roadcast-services",
        &[
            "roadcast-alerts",
            "roadcast-blocks",
            "roadcast-codec",
            "roadcast-domain",
            "roadcast-event-log",
            "roadcast-ports",
            "roadcast-signals",
        ],
    ),
    (
        "roadcast-aws",
        &[
            "roadcast-codec",
            "roadcast-domain",
            "roadcast-event-log",
            "roadcast-ports",
            "roadcast-signals",
            "roadcast-webhook-client",
        ],
    ),
    ("roadcast-testbed", &["roadcast-codec", "roadcast-domain", "roadcast-event-log", "roadcast-ports", "roadcast-signals"]),
    ("roadcast-aws-model", &["roadcast-ports", "roadcast-signals", "roadcast-testbed"]),
    (
        "roadcast-cost",
        &[
            "roadcast-aws-model",
            "roadcast-blocks",
            "roadcast-codec",
            "roadcast-domain",
            "roadcast-event-log",
            "roadcast-lambda-kit",
            "roadcast-ports",
            "roadcast-services",
            "roadcast-signals",
            "roadcast-testbed",
            "roadcast-traces",
        ],
    ),
    (
        "roadcast-lambda-kit",
        &["roadcast-codec", "roadcast-domain", "roadcast-ports", "roadcast-services", "roadcast-signals"],
    ),
    ("roadcast-webhook-client", &["roadcast-domain", "roadcast-ports", "roadcast-signals"]),
    ("roadcast-webhook-receiver", &["roadcast-domain"]),
];

/// Crates that may reach an SDK crate, beside the functions and the benchmarks of `benches`.
const MAY_REACH_AWS: [&str; 2] = ["roadcast-aws", "roadcast-cli"];

/// The packages of the workspace: their folder, and their normal dependencies.
fn packages() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let normal = dependencies.iter().filter(|dependency| dependency["kind"].is_null());
            let names = normal.filter_map(|dependency| dependency["name"].as_str().map(str::to_owned)).collect();
            let manifest = package["manifest_path"].as_str().expect("a path");
            let folder = manifest.rsplit('/').nth(2).unwrap_or_default().to_owned();
            (package["name"].as_str().expect("a name").to_owned(), (folder, names))
        })
        .collect()
}

#[test]
fn crates_depend_only_on_inner_crates() {
    let packages = packages();
    for (name, allowed) in ALLOWED {
        let (_, dependencies) = packages.get(*name).unwrap_or_else(|| panic!("{name} does not exist: change this list"));
        let ours: BTreeSet<&str> = dependencies.iter().map(String::as_str).filter(|d| d.starts_with("roadcast-")).collect();
        let surplus: Vec<_> = ours.difference(&allowed.iter().copied().collect()).copied().collect();
        assert!(surplus.is_empty(), "{name} must not depend on {surplus:?}");
    }
}

/// Whether no other crate depends on the crates of this folder.
fn is_outermost(folder: &str) -> bool {
    ["benches", "functions"].contains(&folder)
}

#[test]
fn every_crate_is_in_the_dependency_list() {
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    for (name, (folder, _)) in packages() {
        let outermost = is_outermost(&folder) || name == "roadcast-cli" || name == "roadcast-tests";
        assert!(outermost || known.contains(name.as_str()), "{name} is not in the list ALLOWED");
    }
}

#[test]
fn only_adapters_functions_and_cli_reach_an_sdk_crate() {
    for (name, (folder, dependencies)) in packages() {
        let reaches = dependencies.iter().any(|d| d.starts_with("aws-sdk-") || d == "aws-config");
        assert!(!reaches || is_outermost(&folder) || MAY_REACH_AWS.contains(&name.as_str()), "{name} reaches an SDK crate");
    }
}

#[test]
fn deployed_code_does_not_depend_on_the_testbed() {
    for (name, (_, dependencies)) in packages() {
        assert!(
            name == "roadcast-cli" || !dependencies.contains("roadcast-webhook-receiver"),
            "{name} depends on the receiver of webhooks"
        );
        assert!(
            ["roadcast-aws-model", "roadcast-cli", "roadcast-cost"].contains(&&*name)
                || !dependencies.contains("roadcast-testbed"),
            "{name} depends on the testbed"
        );
    }
}

/// The functions on the way of a sample.
const OF_SAMPLES: [&str; 3] = ["roadcast-stream-processor", "roadcast-alert-evaluator", "roadcast-enrichment"];

/// The release profile is for size. A crate without an override would make every sample slower.
#[test]
fn what_processes_samples_is_compiled_for_speed() {
    let manifest = include_str!("../Cargo.toml");
    let packages = packages();
    let (mut found, mut rest) = (BTreeSet::new(), OF_SAMPLES.map(str::to_owned).to_vec());
    while let Some(name) = rest.pop() {
        // The adapters of AWS wait for the network.
        if name.starts_with("roadcast-") && name != "roadcast-aws" && found.insert(name.clone()) {
            rest.extend(packages[&name].1.iter().cloned());
        }
    }
    assert!(found.contains("roadcast-signals"), "{found:?}");
    for name in found {
        let section = format!("[profile.release.package.{name}]\nopt-level = 3\n");
        assert!(manifest.contains(&section), "Cargo.toml has no override for {name}");
    }
}

/// Source files that may be long: tables, and nothing else.
const LONG_FILES: &[&str] = &[];
/// The longest source file, in lines.
const LINE_LIMIT: usize = 400;

#[test]
fn no_source_file_is_too_long() {
    for (file, text) in tracked(&[".rs"]) {
        let lines = text.lines().count();
        let is_long = lines > LINE_LIMIT && !LONG_FILES.contains(&file.as_str());
        assert!(!is_long, "{file} has {lines} lines; the limit is {LINE_LIMIT}");
    }
}

#[test]
fn modules_stand_beside_their_folder() {
    let files: Vec<String> = tracked(&["/mod.rs"]).into_iter().map(|(file, _)| file).collect();
    assert!(files.is_empty(), "name a module name.rs, beside its folder name/: {files:?}");
}

/// The modules that each source file of a crate imports, as paths from the root of the crate, by the file's module path.
fn imports_by_module() -> BTreeMap<String, BTreeSet<String>> {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in tracked(&[".rs"]) {
        let Some((folder, path)) = file.split_once("/src/") else { continue };
        let path = path.strip_suffix(".rs").expect("it ends so");
        if path.ends_with("tests") || matches!(path, "lib" | "main") {
            continue;
        }
        let module = format!("{folder}/{path}");
        let parent = module.rsplit_once('/').expect("a folder").0.to_owned();
        let source = text.split("#[cfg(test)]").next().unwrap_or_default();
        for path in use_paths(source) {
            let target = if let Some(rest) = path.strip_prefix("crate::") {
                format!("{folder}/{}", rest.replace("::", "/"))
            } else if let Some(rest) = path.strip_prefix("super::") {
                format!("{parent}/{}", rest.replace("super::", "../").replace("::", "/"))
            } else {
                continue;
            };
            imports.entry(module.clone()).or_default().insert(target);
        }
    }
    imports
}

/// The paths of the `use` declarations of a source file, with groups written out.
fn use_paths(source: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for declaration in source.split(';') {
        let Some(start) = declaration.rfind("use ") else { continue };
        let tree: String = declaration[start + 4..].split_whitespace().collect();
        expand("", &tree, &mut paths);
    }
    paths
}

/// Writes out a use tree: `a::{b, c::{d}}` becomes `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let Some(open) = tree.find('{') else {
        paths.push(format!("{prefix}{tree}"));
        return;
    };
    let Some(inner) = tree[open + 1..].strip_suffix('}') else { return };
    let prefix = format!("{prefix}{}", &tree[..open]);
    let (mut depth, mut from) = (0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &inner[from..at], paths);
                from = at + 1;
            }
            _ => {}
        }
    }
    if from < inner.len() {
        expand(&prefix, &inner[from..], paths);
    }
}

/// A circle of imports between modules of one folder, if there is one.
fn circle(edges: &BTreeMap<&str, BTreeSet<&str>>) -> Option<Vec<String>> {
    fn visit<'m>(
        at: &'m str,
        edges: &BTreeMap<&'m str, BTreeSet<&'m str>>,
        path: &mut Vec<&'m str>,
        done: &mut BTreeSet<&'m str>,
    ) -> bool {
        if let Some(first) = path.iter().position(|module| *module == at) {
            path.drain(..first);
            return true;
        }
        if !done.insert(at) {
            return false;
        }
        path.push(at);
        for next in edges.get(at).into_iter().flatten() {
            if visit(next, edges, path, done) {
                return true;
            }
        }
        path.pop();
        false
    }
    let mut done = BTreeSet::new();
    for module in edges.keys() {
        let mut path = Vec::new();
        if visit(module, edges, &mut path, &mut done) {
            return Some(path.into_iter().map(str::to_owned).collect());
        }
    }
    None
}

/// What modules import of their siblings: the imported path is the sibling itself, or something in it.
fn sibling_edges(imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, targets) in imports {
        let parent = module.rsplit_once('/').map_or("", |(parent, _)| parent);
        for target in targets {
            let Some(rest) = target.strip_prefix(parent).and_then(|rest| rest.strip_prefix('/')) else { continue };
            let sibling = format!("{parent}/{}", rest.split('/').next().unwrap_or_default());
            if let Some((sibling, _)) = imports.get_key_value(&sibling).filter(|(sibling, _)| *sibling != module) {
                edges.entry(module).or_default().insert(sibling);
            }
        }
    }
    edges
}

#[test]
fn sibling_files_do_not_import_each_other_in_a_circle() {
    let imports = imports_by_module();
    assert!(imports.len() > 100, "the sources are found");
    if let Some(circle) = circle(&sibling_edges(&imports)) {
        panic!("move what they share into a file of its own: {}", circle.join(" -> "));
    }
}

#[test]
fn circles_are_found() {
    let imports = |pairs: &[(&str, &str)]| -> BTreeMap<String, BTreeSet<String>> {
        pairs.iter().map(|(from, to)| ((*from).to_owned(), [(*to).to_owned()].into())).collect()
    };
    let circular = imports(&[("c/a", "c/b/B"), ("c/b", "c/d/D"), ("c/d", "c/a/A")]);
    assert_eq!(circle(&sibling_edges(&circular)).map(|circle| circle.len()), Some(3));
    let straight = imports(&[("c/a", "c/b/B"), ("c/b", "c/d/D"), ("c/d", "c/e/E")]);
    assert_eq!(circle(&sibling_edges(&straight)), None);
    assert_eq!(use_paths("use super::{a::{A, b::B}, c};"), ["super::a::A", "super::a::b::B", "super::c"]);
}

/// The most type parameters of a struct, enum or trait.
const TYPE_PARAMETER_LIMIT: usize = 4;

/// The structs, enums and traits that a source file declares with parameters in angle brackets, and their type parameters.
fn declared_type_parameters(source: &str) -> Vec<(String, Vec<String>)> {
    let mut declared = Vec::new();
    let mut rest = source;
    while let Some(line) = rest.split_inclusive('\n').next() {
        let declaration = rest.trim_start();
        let declaration = declaration.strip_prefix("pub").map_or(declaration, |public| {
            let path = public.strip_prefix('(').and_then(|path| path.split_once(')'));
            path.map_or(public, |(_, declaration)| declaration).trim_start()
        });
        let name = ["struct ", "enum ", "trait "].into_iter().find_map(|keyword| declaration.strip_prefix(keyword));
        if let Some((name, parameters)) = name.and_then(|name| name.split_once('<'))
            && name.bytes().all(|c| c.is_ascii_alphanumeric())
        {
            declared.push((name.to_owned(), type_parameters(parameters)));
        }
        rest = &rest[line.len()..];
    }
    declared
}

/// The names of the type parameters in a list without its opening bracket, up to its closing bracket.
fn type_parameters(list: &str) -> Vec<String> {
    let (mut depth, mut from, mut previous, mut parameters) = (1, 0, ' ', Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '<' | '(' => depth += 1,
            ')' => depth -= 1,
            '>' if previous != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            parameters.push(list[from..at].trim());
            from = at + 1;
        }
        if depth == 0 {
            break;
        }
        previous = c;
    }
    let is_type =
        |parameter: &&str| !parameter.is_empty() && !parameter.starts_with('\'') && !parameter.starts_with("const ");
    let name = |parameter: &str| parameter.split([':', '=']).next().unwrap_or_default().trim().to_owned();
    parameters.into_iter().filter(is_type).map(name).collect()
}

#[test]
fn type_parameters_are_few_and_named_by_their_role() {
    let mut found = 0;
    for (file, text) in tracked(&[".rs"]).into_iter().filter(|(file, _)| !file.starts_with("tests/")) {
        for (name, parameters) in declared_type_parameters(&text) {
            found += 1;
            assert!(parameters.len() <= TYPE_PARAMETER_LIMIT, "{file}: {name} has {} type parameters", parameters.len());
            // `T` is any item, about which nothing is known.
            let letter = parameters.iter().find(|parameter| parameter.len() == 1 && *parameter != "T");
            assert_eq!(letter, None, "{file}: name the type parameter of {name} by its role");
        }
    }
    assert!(found > 30, "the declarations are found");
}

#[test]
fn type_parameters_are_found() {
    let source = "pub(super) struct A<'a, Log: EventLog, T = ()> {\n    /// enum B<Q>\n    pub enum C<\n    K: Fn(u8) -> Vec<u8>,\n    const N: usize,\n>(K);\ntrait D {}\n";
    let expected = [("A", vec!["Log", "T"]), ("C", vec!["K"])];
    let found = declared_type_parameters(source);
    let found: Vec<(&str, Vec<&str>)> =
        found.iter().map(|(name, parameters)| (name.as_str(), parameters.iter().map(String::as_str).collect())).collect();
    assert_eq!(found, expected);
}
