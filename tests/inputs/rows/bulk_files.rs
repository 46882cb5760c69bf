//! Bulk files as people and programs write them.

use serde_json::{Value, json};

use crate::row::{Row, row};
use crate::step::Step;

const HEADER: &str = "fleetId,vin,make,model";
const FIRST: &str = "{fleetId},WVWZZZ3CZEE140287,Renault";
const SECOND: &str = "{fleetId},1M8GDM9AXKP042788,MCI,Bus";

fn load(name: &'static str, text: impl AsRef<[u8]>, expected: Value) -> Step {
    Step::Load(name, text.as_ref().to_vec(), expected)
}

/// Loads a file that is refused with this detail.
fn refused(name: &'static str, text: impl AsRef<[u8]>, detail: &str) -> Step {
    load(name, text, json!({"rows": 0, "loaded": 0, "refused": {"line": 1, "detail": detail}}))
}

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("r01", "lines_end_in_lf_or_crlf", || {
            let lines = ["fleetId,vin", "{fleetId},WVWZZZ3CZEE000001", "{fleetId},WVWZZZ3CZEE000002"];
            let loaded = json!({"rows": 2, "loaded": 2, "report": []});
            let unchanged = json!({"rows": 2, "unchanged": 2, "report": []});
            vec![load("lf.csv", lines.join("\n"), loaded), Step::Wait(1000), load("crlf.csv", lines.join("\r\n"), unchanged)]
        }),
        row("r01", "file_with_carriage_returns_alone_is_refused", || {
            let detail = "the lines end with a carriage return alone (\"CSV (Macintosh)\"): save the file as \"CSV UTF-8 \
                          (Comma delimited)\", with lines that end with LF or CRLF";
            vec![refused("cr-only.csv", format!("{HEADER}\r{FIRST},Twizy\r{SECOND}\r"), detail)]
        }),
        row("r01", "carriage_return_inside_a_line_makes_only_that_row_invalid", || {
            let text = format!("{HEADER}\n{FIRST},Twizy\r{SECOND}\n{SECOND}\n");
            let report = json!([{"line": 2, "pointer": "", "reason": "carriage_return"}]);
            vec![load("cr.csv", text, json!({"rows": 2, "loaded": 1, "wrong": 1, "report": report}))]
        }),
        row("r06", "duplicate_member_makes_a_row_invalid", || {
            let text = "{\"fleetId\":\"{fleetId}\",\"vin\":\"WVWZZZ3CZEE000001\",\"vin\":\"WVWZZZ3CZEE000002\"}\n";
            let report = json!([{"line": 1, "pointer": "/vin", "reason": "duplicate"}]);
            vec![load("a.ndjson", text, json!({"rows": 1, "loaded": 0, "wrong": 1, "report": report}))]
        }),
        row("r11", "row_with_an_open_quote_is_invalid", || {
            let text = format!("{HEADER}\n{FIRST},\"Twizy\nCargo\"\n{SECOND}\n");
            let report = json!([{"line": 2, "reason": "quote"}, {"line": 3, "reason": "quote"}]);
            vec![load("open-quote.csv", text, json!({"rows": 3, "loaded": 1, "wrong": 2, "report": report}))]
        }),
        row("r20", "booleans_have_any_case", || {
            let text = "fleetId,vin,removed\r\n{fleetId},WVWZZZ3CZEE140287,TRUE\r\n{fleetId},1M8GDM9AXKP042788,FALSE\r\n";
            vec![load("excel-true.csv", text, json!({"rows": 2, "loaded": 2, "report": []}))]
        }),
        row("r21", "file_in_utf_16_or_with_semicolons_is_refused_with_the_cause", || {
            let text = format!("\u{feff}{HEADER}\r\n");
            let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let encoding = "the file is UTF-16 or has NUL bytes, not UTF-8: save it as UTF-8; in Excel, choose \"CSV UTF-8 \
                            (Comma delimited)\", not \"Unicode Text\"";
            let delimiter = "the cells are separated by semicolons, not by commas: save the file as \"CSV UTF-8 (Comma \
                             delimited)\"; if Excel still writes them, set the list separator of the system to a comma";
            let semicolons = format!("{HEADER}\r\n{SECOND}\r\n").replace(',', ";");
            vec![refused("utf16le.csv", utf16, encoding), refused("semicolon.csv", semicolons, delimiter)]
        }),
    ]
}
