//! Dead letters as text.

use serde_json::Value;

use crate::console::{Cell, Properties, Style, Table, printable};
use crate::json_text::text;

/// How many lines of the content are printed. With `--json`, all that the API returns are.
const PRINTED_LINES: usize = 20;
/// How many characters of a line are printed.
const PRINTED_CHARACTERS: usize = 400;

/// The letters of a list.
pub(super) fn table(letters: &[Value]) -> Table {
    let mut table =
        Table::new(&["dead letter", "failed", "hop", "state", "items", "reason", "fleet"], "no dead letters match");
    for letter in letters {
        table.row([
            Cell::text(text(letter, "deadLetterId")),
            Cell::time(text(letter, "lastAt")),
            Cell::text(text(letter, "hop")),
            Cell::state(text(letter, "state")),
            Cell::number(&letter["items"]),
            Cell::text(text(letter, "reason")),
            Cell::text(text(letter, "fleetId")),
        ]);
    }
    table
}

/// A letter and the start of its content.
pub(super) fn details(letter: &Value, style: Style) -> String {
    let content = match (letter["text"].as_str(), letter["base64"].as_str()) {
        (Some(text), _) => lines(text, letter["truncated"] == true),
        (None, Some(base64)) => format!("not UTF-8; as base64:\n{}", lines(base64, letter["truncated"] == true)),
        (None, None) => "The bytes do not exist any more.".to_owned(),
    };
    format!("{}\n\n{content}", properties(letter).render(style))
}

/// A letter of the quarantine: each of its items with the reason and where the fault is, and its data.
pub(crate) fn quarantined(letter: &Value, style: Style) -> String {
    let items: Vec<Value> = text(letter, "text").lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if items.is_empty() {
        return details(letter, style);
    }
    let mut table = Table::new(&["reason", "fault at", "vehicle", "sample", "arrived", "sequence number"], "");
    for item in items.iter().take(PRINTED_LINES) {
        table.row([
            Cell::text(text(item, "reason")),
            Cell::text(if text(item, "pointer").is_empty() { "/" } else { text(item, "pointer") }),
            Cell::text(text(item, "vid")),
            Cell::text(item["index"].as_u64().map_or_else(|| "all".to_owned(), |index| index.to_string())),
            Cell::time(text(item, "arrivedAt")),
            Cell::text(text(item, "seq")),
        ]);
        let data = item["data"].as_str().or_else(|| item["data_base64"].as_str()).unwrap_or_default();
        table.note(&shortened(data));
    }
    let more = items.len() > PRINTED_LINES || letter["truncated"] == true;
    let rest = if more { "\nThere are more items: --json prints them." } else { "" };
    format!("{}\n\n{}{rest}", properties(letter).render(style), table.render(style))
}

fn properties(letter: &Value) -> Properties {
    let mut properties = Properties::default();
    properties.add("dead letter", Cell::text(text(letter, "deadLetterId")));
    properties.add("state", Cell::state(text(letter, "state")));
    for (name, mark) in [("redriving by", &letter["claim"]), ("redriven by", &letter["redriven"])] {
        properties.add_some(name, mark["redriveId"].as_str().map(|id| Cell::text(format!("{id} at {}", text(mark, "at")))));
    }
    properties.add("hop", Cell::text(text(letter, "hop")));
    properties.add("reason", Cell::text(text(letter, "reason")));
    properties.add_some("detail", letter["detail"].as_str().map(Cell::text));
    properties.add_some("fleet", letter["fleetId"].as_str().map(Cell::text));
    properties.add("items", Cell::text(letter["items"].to_string()));
    properties.add("first", Cell::time(text(letter, "firstAt")));
    properties.add("last", Cell::time(text(letter, "lastAt")));
    let pointers = letter["pointers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    properties.add("pointers", Cell::text(pointers.collect::<Vec<_>>().join(" ")));
    let content = &letter["content"];
    properties.add(
        "content",
        Cell::text(format!("{} bytes in {} {}", content["bytes"], text(content, "bucket"), text(content, "key"))),
    );
    properties
}

/// The first lines of a text.
fn lines(text: &str, truncated: bool) -> String {
    let mut printed: Vec<String> = text.lines().take(PRINTED_LINES).map(|line| printable(&shortened(line))).collect();
    if truncated || text.lines().nth(PRINTED_LINES).is_some() {
        printed.push("… (--json prints more)".to_owned());
    }
    printed.join("\n")
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(PRINTED_CHARACTERS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn letter(content: &str) -> Value {
        json!({"deadLetterId": "dlt_1", "state": "kept", "hop": "quarantine", "reason": "type_unknown", "items": 1,
            "firstAt": "t", "lastAt": "u", "pointers": {"shard": "s-0", "attempts": 3}, "text": content, "truncated": false,
            "content": {"bucket": "archive", "key": "k", "bytes": 312}})
    }

    #[test]
    fn quarantined_items_are_shown_with_fault_and_data() {
        let item = json!({"reason": "type_unknown", "pointer": "/type", "samples": 1, "seq": "496", "arrivedAt": "t",
            "data": "{\"type\":\"x\u{1b}\"}"});
        let shown = quarantined(&letter(&format!("{item}\n")), Style::PLAIN);
        assert!(shown.contains("type_unknown  /type              all     t        496"), "{shown}");
        assert!(shown.contains("    {\"type\":\"x\\u{1b}\"}"), "{shown}");
        assert!(shown.contains("pointers     attempts=3 shard=s-0"), "{shown}");
    }

    #[test]
    fn content_is_shortened_and_other_content_is_stated() {
        let shown = details(&letter(&"x\n".repeat(30)), Style::PLAIN);
        assert_eq!(shown.matches("\nx").count(), PRINTED_LINES);
        assert!(shown.ends_with("… (--json prints more)"), "{shown}");
        assert!(details(&letter(&"ü".repeat(500)), Style::PLAIN).ends_with("ü…"));
        let mut gone = letter("");
        gone["text"] = Value::Null;
        assert!(details(&gone, Style::PLAIN).ends_with("do not exist any more."));
        assert_eq!(table(&[gone]).render(Style::PLAIN).lines().count(), 2);
    }
}
