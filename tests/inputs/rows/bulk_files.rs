//! Bulk files as people and programs write them.

use serde_json::json;

use crate::row::{Row, row};
use crate::step::Step;

pub(crate) fn rows() -> Vec<Row> {
    vec![row("r01", "lines_end_in_lf_or_crlf", || {
        let lines = ["fleetId,vin", "{fleetId},WVWZZZ3CZEE000001", "{fleetId},WVWZZZ3CZEE000002"];
        let loaded = json!({"rows": 2, "loaded": 2, "report": []});
        let unchanged = json!({"rows": 2, "unchanged": 2, "report": []});
        let load = |name, ending, expected| Step::Load(name, lines.join(ending).into_bytes(), expected);
        vec![load("lf.csv", "\n", loaded), Step::Wait(1000), load("crlf.csv", "\r\n", unchanged)]
    })]
}
