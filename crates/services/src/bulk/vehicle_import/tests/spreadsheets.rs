//! Files as spreadsheets and people write them. Each is loaded, or refused with the cause and what to do.

use super::*;

const V1: &str = "WVWZZZ3CZEE140287";
const V2: &str = "1M8GDM9AXKP042788";

/// Returns a file of two rows with these separators of cells and lines.
fn two_rows(delimiter: &str, line_end: &str) -> String {
    let f = fleet(0);
    let rows = [["fleetId", "vin", "make"], [f.as_str(), V1, "Volkswagen"], [f.as_str(), V2, "MCI"]];
    rows.map(|cells| cells.join(delimiter) + line_end).concat()
}

fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

async fn summary_of(name: &str, content: impl AsRef<[u8]>) -> (Summary, Vec<Value>) {
    let fixture = VehicleImportFixture::new().await;
    let summary = fixture.load(&fixture.upload(name, content, 1)).await;
    (summary, fixture.report(name))
}

#[tokio::test]
async fn files_of_spreadsheets_are_loaded() {
    let f = fleet(0);
    let files = [
        ("crlf.csv", two_rows(",", "\r\n")),
        ("bom.csv", format!("\u{feff}{}", two_rows(",", "\r\n"))),
        ("blank-first-line.csv", format!("\r\n,,\r\n{}", two_rows(",", "\r\n"))),
        ("sep.csv", format!("\u{feff}sep=,\r\n{}", two_rows(",", "\r\n"))),
        ("empty-columns.csv", format!("fleetId,vin,,\r\n{f},{V1},,\r\n{f},{V2},,\r\n,,,\r\n,,,\r\n")),
        ("header-case.csv", format!("FLEETID, Vin ,Model Year\n{f},{V1},2014\n{f},{V2},\n")),
        ("booleans.csv", format!("fleetId,vin,removed\r\n{f},{V1},TRUE\r\n{f},{V2},FALSE\r\n")),
        ("mixed-line-ends.csv", format!("fleetId,vin\r\n{f},{V1}\n{f},{V2}")),
    ];
    for (name, text) in files {
        let (summary, report) = summary_of(name, text).await;
        assert_eq!((summary.counts, summary.refused), (counts(2, 0, 0, 0), None), "{name}: {report:?}");
    }
}

#[tokio::test]
async fn file_that_cannot_be_read_is_refused_with_what_to_do() {
    let files: [(&str, Vec<u8>, [&str; 2]); 14] = [
        ("cr.csv", two_rows(",", "\r").into(), ["carriage return", "CSV UTF-8 (Comma delimited)"]),
        ("long-cr.csv", two_rows(",", "\r").repeat(1000).into(), ["carriage return", "CSV UTF-8 (Comma delimited)"]),
        ("utf16.csv", utf16(&two_rows(",", "\r\n")), ["UTF-16", "CSV UTF-8 (Comma delimited)"]),
        ("semicolon.csv", two_rows(";", "\r\n").into(), ["semicolons", "CSV UTF-8 (Comma delimited)"]),
        ("sep.csv", format!("sep=;\r\n{}", two_rows(";", "\r\n")).into(), ["semicolons", "Comma delimited"]),
        ("tab.csv", two_rows("\t", "\n").into(), ["tabs", "CSV UTF-8 (Comma delimited)"]),
        ("workbook.csv", b"PK\x03\x04\x14\0\x06\0".to_vec(), ["spreadsheet", "CSV UTF-8 (Comma delimited)"]),
        ("workbook.xlsx", b"PK\x03\x04\x14\0\x06\0".to_vec(), ["must end in .csv", "CSV UTF-8 (Comma delimited)"]),
        ("document.csv", b"%PDF-1.7\n".to_vec(), ["PDF", "export"]),
        ("plain.csv.gz", two_rows(",", "\n").into(), ["not compressed", "remove .gz"]),
        ("empty.csv", Vec::new(), ["empty", "check"]),
        ("blank.csv", b"\r\n,,\r\n".to_vec(), ["empty", "check"]),
        ("csv.ndjson", two_rows(",", "\n").into(), ["is CSV", "rename it to .csv"]),
        ("array.ndjson", b"[{\"fleetId\":\"F\"},\n{}]\n".to_vec(), ["JSON array", "one object per line"]),
    ];
    for (name, content, expected) in files {
        let (summary, _) = summary_of(name, content).await;
        let refused = summary.refused.unwrap_or_else(|| panic!("{name} is refused"));
        assert_eq!(summary.counts, RowCounts::default(), "{name}");
        for text in expected {
            assert!(refused.detail.contains(text), "{name}: {}", refused.detail);
        }
    }
}

/// The name and the content of a file, and the line and the reason of each invalid row.
type DamagedFile<'a> = (&'a str, Vec<u8>, &'a [(u64, &'a str)]);

#[tokio::test]
async fn damaged_row_is_reported_and_the_next_row_is_loaded() {
    let (f, header) = (fleet(0), "fleetId,vin,make,model");
    let files: [DamagedFile<'_>; 5] = [
        (
            "quote.csv",
            format!("{header}\n{f},{V1},Renault,\"Twizy\nCargo\"\n{f},{V2},MCI,Bus\n").into(),
            &[(2, "quote"), (3, "quote")],
        ),
        ("cr.csv", format!("{header}\n{f},{V1},VW,Golf\r{f},{V1},,\n{f},{V2},MCI,Bus\n").into(), &[(2, "carriage_return")]),
        (
            "cp1252.csv",
            [format!("{header}\n{f},{V1},Citro").as_bytes(), b"\xebn,C3\n", format!("{f},{V2},,").as_bytes()].concat(),
            &[(2, "not_utf8")],
        ),
        ("nul.csv", format!("{header}\n{f},{V1},V\0W,Golf\n{f},{V2},MCI,Bus\n").into(), &[(2, "character")]),
        (
            "long.csv",
            format!("{header}\n{f},{V1},{},Golf\n{f},{V2},MCI,Bus\n", "x".repeat(1 << 20)).into(),
            &[(2, "too_long")],
        ),
    ];
    for (name, content, expected) in files {
        let (summary, report) = summary_of(name, content).await;
        let found: Vec<_> =
            report.iter().map(|line| (line["line"].as_u64().unwrap(), line["reason"].as_str().unwrap())).collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(summary.counts, counts(1, 0, 0, expected.len() as u64), "{name}");
    }
}

#[tokio::test]
async fn object_with_a_duplicate_member_is_reported() {
    let f = fleet(0);
    let text = format!(
        "{{\"fleetId\":\"{f}\",\"vin\":\"{V1}\",\"removed\":false,\"removed\":true}}\n{{\"fleetId\":\"{f}\",\"vin\":\"{V2}\"}}\n"
    );
    let (summary, report) = summary_of("a.ndjson", text).await;
    assert_eq!(summary.counts, counts(1, 0, 0, 1));
    assert_eq!((&report[0]["pointer"], &report[0]["reason"]), (&json!("/removed"), &json!("duplicate")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn file_of_any_bytes_is_loaded_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        has_header: bool,
        name in prop::sample::select(vec!["a.csv", "a.ndjson", "a.csv.gz", "a.jsonl.zst"]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let content = if has_header { [b"fleetId,vin,make\n".as_slice(), &bytes].concat() } else { bytes };
        let (summary, report) = runtime.block_on(summary_of(name, content));
        prop_assert_eq!(report.len() as u64, summary.counts.wrong);
        prop_assert_eq!(summary.counts.rows, summary.counts.wrong);
    }
}
