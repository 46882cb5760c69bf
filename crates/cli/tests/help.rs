//! The help of every command is that of `help.txt`, in which a change is reviewed as a user would read it.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::process::Command;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/help.txt");

/// The help of a command.
fn help(command: &[String]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_roadcast")).args(command).arg("-h").env_clear().output().expect("the tool runs");
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("a text")
}

/// The names of the subcommands in a help.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help.split("Commands:\n").nth(1).unwrap_or_default().lines().take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn help_is_as_reviewed_and_has_an_example() {
    let mut all = String::new();
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(command) = open.pop() {
        let text = help(&command);
        let name = ["cargo roadcast", &command.join(" ")].join(" ").trim_end().to_owned();
        let has_example = text.lines().any(|line| line.starts_with(' ') && line.contains("cargo roadcast"));
        assert!(has_example, "{name} --help has no example");
        let below = subcommands(&text).into_iter().rev();
        open.extend(below.map(|of| [&command[..], &[of]].concat()));
        // The options of every command are printed once.
        let text = if command.is_empty() { text } else { without_global_options(&text) };
        writeln!(all, "===== {name}\n{}", text.trim_end()).expect("a string");
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &all).expect("the golden file");
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    let difference =
        all.lines().zip(golden.lines().chain(std::iter::repeat(""))).find(|(found, expected)| found != expected);
    assert!(all == golden, "the help differs from tests/help.txt at {difference:?}; UPDATE_GOLDEN=1 writes it");
}

/// The help without the section of the options that choose the stack.
fn without_global_options(help: &str) -> String {
    let mut skipped = false;
    let lines = help.lines().filter(|line| {
        skipped = (*line == "Stack:") || (skipped && !line.is_empty());
        !skipped
    });
    lines.collect::<Vec<_>>().join("\n")
}
