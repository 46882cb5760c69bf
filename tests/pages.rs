//! Pages name source files that exist.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::path::Path;

use roadcast_tests::tracked;

#[test]
fn pages_name_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut missing = Vec::new();
    for (page, text) in tracked(&[".md"]) {
        if page == "CHANGELOG.md" {
            continue;
        }
        for name in text.split('`').skip(1).step_by(2).filter(|name| is_source_path(name)) {
            let candidates = [
                name.to_owned(),
                format!("crates/{name}"),
                format!("{}/{name}", page.rsplit_once('/').map_or("", |(folder, _)| folder)),
                format!("{}/src/{name}", page.rsplit_once('/').map_or("", |(folder, _)| folder)),
            ];
            if !candidates.iter().any(|path| root.join(path).exists()) {
                missing.push(format!("{page}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "pages name files that do not exist:\n{}", missing.join("\n"));
}

/// Whether a text in a page is the path of a Rust source file; `NAME` stands for any name.
fn is_source_path(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "rs")
        && name.contains('/')
        && !name.contains("NAME")
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"/_-.".contains(&c))
}
