//! The project uses the standard terms of the field: no words and phrases that a newcomer would have to learn first.
//!
//! `BANNED` lists what must not occur in sources, pages and contracts, with the standard term. A use that is right has a line
//! in `EXCEPTIONS`, with the reason.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::Path;

use roadcast_tests::tracked;

/// Words and phrases that must not occur, separated by `|`, each group with what to write instead. Names are split into their
/// words: `judge` is found in `judge_event`, `JudgeEvent` and "judge an event".
const BANNED: &[(&str, &str)] = &[
    ("judge|judges|judged|judging|judgement|judgment", "validate"),
    ("park|parks|parked|parking", "quarantine"),
    ("aside", "quarantine; next to, in addition to"),
    ("carry on|carries on|carried on|carrying on", "flush, continue"),
    ("go on|goes on|going on|went on|gone on", "continue, resume"),
    ("get on|gets on|getting on|got on", "make progress"),
    ("is told|are told|was told|were told|be told", "receives, is notified"),
    ("tell|tells|telling", "report, return, state"),
    ("somebody|nobody|whoever|whomever", "the caller, another client, no fleet"),
    ("lies|lie in|lay there|lie there", "is stored"),
    ("the road|whole road|one road", "data flow, pipeline"),
    ("of the first day", "built-in"),
    ("begun with|is begun", "started"),
    ("stand in for|stands in for|standing in for", "replace, differ from"),
    ("what became of|what came of|what becomes of|what became", "the outcome of"),
    ("a stretch|the stretch|each stretch|stretches|stretch ms", "range, scan"),
    ("horizon|horizons", "watermark"),
    ("so many", "at most {limit}"),
    ("anew", "again, a new"),
    ("cut to|cut down to|cuts it|cuts them|cuts events|cuts every", "redact to"),
    ("led out|leads out|lead on|leads on", "offboard; continue"),
    ("whole house|one house|front door", "the project"),
    ("by its turn|in its turn", "then, also"),
    ("customer|customers|tenant|tenants", "fleet"),
    ("misfit|misfits|schema book|schema register", "schema violation, SchemaRegistry, SchemaRegistration"),
    ("what is there|feed left|resubscribe", "status, FeedDisposition, replace_subscription"),
    ("front ports|quota headers|drop known", "RequestPorts, rate_limit_headers, drop_duplicates"),
    ("much quarantined|bulk load given up|what goes", "QuarantineRateHigh, BulkLoadDeadLetters, expire-resume-markers"),
    ("seed package|seed packages|packages seed", "built-in packages"),
    ("must not be there|is gone by|is there twice", "is not allowed, was removed, duplicate"),
    ("too much is going", "overloaded"),
    ("contradicts what", "conflicts with the current state"),
    ("on the way there|on its way there", "in transit"),
];

/// Types of the old dialect. As words of a text they may be right.
const BANNED_TYPES: &[&str] = &[
    "Answers",
    "Aside",
    "Deliver",
    "Each",
    "Enrich",
    "FeedLeft",
    "Fate",
    "Front",
    "FrontPorts",
    "Intake",
    "Judged",
    "LoadSchemas",
    "Misfit",
    "NotKept",
    "Numbered",
    "Onboard",
    "Parked",
    "ParkedSample",
    "Portion",
    "Process",
    "Quota",
    "Repeats",
    "RequestCounts",
    "Room",
    "Said",
    "SchemaBook",
    "Sight",
    "Standing",
    "Taken",
    "Within",
    "World",
];

/// A file (by the end of its path; empty for any), a text that the line contains, and the reason why the line is right.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("tests/vocabulary.rs", "", "this list itself"),
    ("", "TRIM_HORIZON", "a starting position of Kinesis"),
    ("", "ParkingBrake", "a signal of VSS"),
    ("CHANGELOG.md", "BulkLoadGivenUp", "the changelog lists renamed alarms"),
    ("docs/ARCHITECTURE.md", "the tenant that owns", "the glossary defines the term fleet"),
];

/// The longest name of a test, in characters.
const TEST_NAME_LIMIT: usize = 70;

/// The endings of the files that are checked.
const ENDINGS: [&str; 4] = [".rs", ".md", ".yaml", ".asl.json"];

/// A word of a text, in lower case.
struct Word {
    text: String,
    /// The line it stands in, counted from 1.
    line: usize,
    /// Whether it belongs to one phrase with the word before: there is no punctuation between them.
    is_joined: bool,
}

/// The words of a text. A name in camel or snake case is several words.
fn words(text: &str) -> Vec<Word> {
    let (mut words, mut word, mut line, mut is_joined) = (Vec::new(), String::new(), 1, false);
    let mut previous = ' ';
    for c in text.chars().chain([' ']) {
        let starts_word = c.is_ascii_uppercase() && previous.is_ascii_lowercase();
        if !word.is_empty() && (starts_word || !c.is_ascii_alphabetic()) {
            words.push(Word { text: std::mem::take(&mut word), line, is_joined });
            is_joined = true;
        }
        if c.is_ascii_alphabetic() {
            word.push(c.to_ascii_lowercase());
        } else if c == '\n' {
            line += 1;
        } else if !matches!(c, ' ' | '_' | '-' | '/' | '#' | '!' | '*') {
            is_joined = false;
        }
        previous = c;
    }
    words
}

/// The banned phrases by their first word, each with its words and the index of its group.
fn phrases() -> HashMap<&'static str, Vec<(Vec<&'static str>, usize)>> {
    let mut phrases: HashMap<_, Vec<_>> = HashMap::new();
    for (group, (forms, _)) in BANNED.iter().enumerate() {
        for form in forms.split('|') {
            let words: Vec<&str> = form.split(' ').collect();
            phrases.entry(words[0]).or_default().push((words, group));
        }
    }
    phrases
}

/// What is wrong with a text: the line, and what to write instead.
fn findings(text: &str, phrases: &HashMap<&str, Vec<(Vec<&str>, usize)>>) -> Vec<(usize, String)> {
    let words = words(text);
    let mut findings = Vec::new();
    for (at, word) in words.iter().enumerate() {
        for (phrase, group) in phrases.get(word.text.as_str()).into_iter().flatten() {
            let found = words[at..].iter().zip(phrase).enumerate();
            let same = found.filter(|(n, (word, part))| word.text == **part && (*n == 0 || word.is_joined)).count();
            if same == phrase.len() {
                findings.push((word.line, format!("{:?}: write {:?}", phrase.join(" "), BANNED[*group].1)));
            }
        }
    }
    findings
}

/// The types of the old dialect that a source file declares.
fn banned_types(source: &str) -> Vec<(usize, String)> {
    let declared = |line: &str| -> Option<String> {
        let mut tokens = line.split_whitespace().skip_while(|token| !["struct", "enum", "trait", "type"].contains(token));
        let name = tokens.nth(1)?;
        Some(name.split(|c: char| !c.is_ascii_alphanumeric()).next()?.to_owned())
    };
    let named = source.lines().enumerate().filter_map(|(n, line)| Some((n + 1, declared(line)?)));
    named.filter(|(_, name)| BANNED_TYPES.contains(&name.as_str())).collect()
}

fn is_excepted(file: &str, line: &str) -> bool {
    EXCEPTIONS.iter().any(|(name, text, _)| file.ends_with(name) && line.contains(text))
}

/// The names of the tests in a source file.
fn test_names(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test && let Some(rest) = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ") {
            names.extend(rest.find(['(', '<']).map(|end| &rest[..end]));
            is_test = false;
        }
    }
    names
}

#[test]
fn only_standard_terms_are_used() {
    let phrases = phrases();
    let mut wrong = Vec::new();
    for (file, text) in tracked(&ENDINGS) {
        let lines: Vec<&str> = text.lines().collect();
        let types =
            if Path::new(&file).extension().is_some_and(|ending| ending == "rs") { banned_types(&text) } else { Vec::new() };
        let types = types.into_iter().map(|(line, name)| (line, format!("the type {name}")));
        for (number, finding) in findings(&text, &phrases).into_iter().chain(types) {
            let line = lines.get(number - 1).copied().unwrap_or_default();
            if !is_excepted(&file, line) {
                wrong.push(format!("{file}:{number}: {finding}\n    {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} uses of words that a newcomer would have to learn:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn test_names_are_short() {
    let mut long = Vec::new();
    for (file, text) in tracked(&[".rs"]) {
        let names = test_names(&text).into_iter().filter(|name| name.len() > TEST_NAME_LIMIT);
        long.extend(names.map(|name| format!("{file}: {name} ({} characters)", name.len())));
    }
    assert!(long.is_empty(), "test names have at most {TEST_NAME_LIMIT} characters:\n{}", long.join("\n"));
}

#[test]
fn every_exception_is_needed() {
    let phrases = phrases();
    let files = tracked(&ENDINGS);
    for (name, text, reason) in EXCEPTIONS {
        let mut lines = files.iter().filter(|(file, _)| file.ends_with(name)).flat_map(|(_, source)| source.lines());
        let is_needed = lines.any(|line| line.contains(text) && !findings(line, &phrases).is_empty());
        assert!(is_needed, "no line needs the exception {text:?} for {name:?} ({reason})");
    }
}

#[test]
fn banned_words_are_found_in_texts_and_names() {
    let phrases = phrases();
    for text in [
        "fn judge_event(event: &Event)",
        "/// Bad samples are set aside.",
        "let much_quarantined = 1;",
        "pub enum JudgeKind {",
        "/// It goes\n    /// on with the next one.",
        "MuchQuarantinedAlarm:",
    ] {
        assert!(!findings(text, &phrases).is_empty(), "{text}");
    }
    for text in ["fn validate_event(event: &Event)", "struct ByteBudget {", "It goes. On Monday it stops.", "a parkway"] {
        assert_eq!(findings(text, &phrases), [], "{text}");
    }
    assert_eq!(banned_types("pub(crate) struct Room<'a> {\nstruct Rooms;"), [(1, "Room".to_owned())]);
    assert_eq!(test_names("#[test]\nfn a_b() {\n#[tokio::test]\nasync fn c<T>() {\nfn d() {"), ["a_b", "c"]);
}
