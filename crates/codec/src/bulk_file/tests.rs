#![allow(clippy::unwrap_used)]
use std::io::Write as _;

use proptest::prelude::*;
use roadcast_domain::vehicle_mapping::RowFault;

use super::*;

const COMPRESSIONS: [Compression; 3] = [Compression::Plain, Compression::Gzip, Compression::Zstd];

fn compress(bytes: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::Plain => bytes.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::bulk::compress(bytes, 1).unwrap(),
    }
}

/// Pushes the bytes in chunks of these sizes and returns all lines.
fn split(mut lines: LineSplitter, bytes: &[u8], sizes: &[usize]) -> Result<Vec<Line>, DecompressError> {
    let (mut found, mut rest) = (Vec::new(), bytes);
    let mut sizes = sizes.iter().copied().cycle();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
        lines.push(chunk.to_vec());
        rest = after;
        while let Some(line) = lines.next_line()? {
            found.push(line);
        }
    }
    lines.finish();
    while let Some(line) = lines.next_line()? {
        found.push(line);
    }
    Ok(found)
}

/// The expected lines, by a simple implementation over the entire file.
fn expected_lines(bytes: &[u8]) -> Vec<Line> {
    let mut offset = 0;
    let pieces = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    pieces
        .map(|(index, piece)| {
            offset += piece.len() as u64;
            let line = piece.strip_suffix(b"\n").unwrap_or(piece);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let start = &line[..line.len().min(MAX_LINE_BYTES + 1)];
            let foreign = if index == 0 { ForeignContent::detect(start) } else { None };
            let text = if let Some(content) = foreign {
                Err(LineFault::Foreign(content))
            } else if line.len() > MAX_LINE_BYTES {
                let has_returns = start.contains(&b'\r') && std::str::from_utf8(start).is_ok();
                Err(if has_returns { LineFault::CarriageReturns } else { LineFault::TooLong })
            } else {
                std::str::from_utf8(line).map(str::to_owned).map_err(|_| LineFault::NotUtf8)
            };
            let text = if index == 0 { text.map(|text| text.trim_start_matches('\u{feff}').to_owned()) } else { text };
            Line { number: index as u64 + 1, end: offset, text }
        })
        .collect()
}

/// Bytes with many line endings and some lines near the length limit.
fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        4 => Just(b"\n".to_vec()),
        2 => Just(b"\r\n".to_vec()),
        2 => "[a-z,\"]{0,60}".prop_map(String::into_bytes),
        1 => (MAX_LINE_BYTES - 2..MAX_LINE_BYTES + 3).prop_map(|length| vec![b'x'; length]),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn lines_do_not_depend_on_chunks_or_compression(
        file in any_file(),
        sizes in prop::collection::vec(1_usize..5000, 1..5),
    ) {
        for compression in COMPRESSIONS {
            let found = split(LineSplitter::new(compression).unwrap(), &compress(&file, compression), &sizes).unwrap();
            prop_assert_eq!(&found, &expected_lines(&file), "{:?}", compression);
        }
    }

    #[test]
    fn resuming_after_a_line_returns_the_lines_after_it(file in any_file(), after: prop::sample::Index) {
        let all = expected_lines(&file);
        prop_assume!(!all.is_empty());
        let index = after.index(all.len());
        let Line { number, end, .. } = all[index];
        for compression in COMPRESSIONS {
            let bytes = match compression {
                Compression::Plain => file[usize::try_from(end).unwrap()..].to_vec(),
                Compression::Gzip | Compression::Zstd => compress(&file, compression),
            };
            let found = split(LineSplitter::resume(compression, number, end).unwrap(), &bytes, &[100]).unwrap();
            prop_assert_eq!(&found, &all[index + 1..], "{:?}", compression);
        }
    }

    #[test]
    fn splitting_arbitrary_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..50) {
        for compression in COMPRESSIONS {
            let _ = split(LineSplitter::new(compression).unwrap(), &bytes, &[size]);
        }
    }

    #[test]
    fn parsing_arbitrary_lines_never_panics(line: String) {
        let _ = RowParser::from_header(Ok(&line));
        let _ = RowParser::check_first_object(&line);
        let _ = RowParser::new(None).parse(&line);
        let _ = RowParser::new(Some(vec!["fleetId".to_owned(), "vin".to_owned()])).parse(&line);
    }

    #[test]
    fn quoted_cells_are_read_as_written(makes in prop::collection::vec("[ -~é]{0,20}", 1..4)) {
        // A name for each cell; `set` trims the values.
        let columns = ["make", "model", "fuelType"][..makes.len().min(3)].iter().map(|name| (*name).to_owned()).collect();
        let line: Vec<String> = makes.iter().map(|make| format!("\"{}\"", make.replace('"', "\"\""))).collect();
        let fields = RowParser::new(Some(columns)).parse(&line.join(",")).unwrap();
        prop_assert_eq!(fields.make.unwrap_or_default(), makes[0].trim());
    }

    #[test]
    fn row_without_its_last_quote_is_invalid(make in "[a-z,]{0,20}", model in "[a-z, ]{0,20}") {
        let rows = RowParser::new(Some(vec!["make".to_owned(), "model".to_owned()]));
        let fault = rows.parse(&format!("\"{make}\",\"{model}")).unwrap_err().fault;
        prop_assert_eq!(fault, RowFault::Quote);
    }
}

#[test]
fn concatenated_frames_are_read_and_truncated_ones_fail() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut compressed = compress(b"a\nb", compression);
        compressed.extend(compress(b"c\n", compression));
        let texts: Vec<_> = split(LineSplitter::new(compression).unwrap(), &compressed, &[7]).unwrap();
        let texts: Vec<_> = texts.into_iter().map(|line| line.text.unwrap()).collect();
        assert_eq!(texts, ["a", "bc"], "{compression:?}");
        assert!(
            split(LineSplitter::new(compression).unwrap(), &compressed[..compressed.len() - 3], &[7]).is_err(),
            "{compression:?}"
        );
    }
}

#[test]
fn too_long_line_is_skipped_in_bounded_memory() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let compressed = compress(&vec![b'x'; 64 << 20], compression);
        let mut lines = LineSplitter::new(compression).unwrap();
        lines.push(compressed);
        assert!(lines.next_line().unwrap().is_none());
        assert!(lines.out.capacity() + lines.line.capacity() < 4 << 20, "{compression:?}");
        lines.finish();
        assert_eq!(lines.next_line().unwrap().unwrap().text, Err(LineFault::TooLong));
    }
}

#[test]
fn file_name_determines_format_and_compression() {
    assert_eq!(detect_format("vin-map/a.b.csv"), Some((FileFormat::Csv, Compression::Plain)));
    assert_eq!(detect_format("vin-map/A.NDJSON.GZ"), Some((FileFormat::Ndjson, Compression::Gzip)));
    assert_eq!(detect_format("x.jsonl.zst"), Some((FileFormat::Ndjson, Compression::Zstd)));
    assert_eq!([detect_format("vin-map/csv"), detect_format("a.csv.zip"), detect_format("a.gz")], [None, None, None]);
}

fn header(line: &str) -> Result<Option<Vec<String>>, HeaderFault> {
    let parser = RowParser::from_header(Ok(line))?;
    Ok(parser.map(|parser| parser.columns().unwrap_or_default().to_vec()))
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn columns_have_any_order_and_cells_may_be_quoted() {
    let rows = RowParser::from_header(Ok("vin, model ,fleetId")).unwrap().unwrap();
    let fields = rows.parse("V,\"Twizy, \"\"Cargo\"\"\",F").unwrap();
    assert_eq!(
        (fields.vin.unwrap(), fields.model.unwrap(), fields.fleet_id.unwrap()),
        ("V".into(), "Twizy, \"Cargo\"".into(), "F".into())
    );
    for (line, found) in [("V,m", 2), ("V,m,F,x", 4), ("V,m,F,,x", 5)] {
        assert_eq!(rows.parse(line).unwrap_err().fault, RowFault::Columns { expected: 3, found }, "{line:?}");
    }
    assert_eq!(rows.parse("V,m,F, ,").unwrap().fleet_id.as_deref(), Some("F"), "empty cells of unused columns");
    assert_eq!(header("fleetId,vin,colour"), Err(HeaderFault::UnknownColumn(3)));
    assert_eq!(header("fleetId,vin,VIN"), Err(HeaderFault::DuplicateColumn(3)));
    assert_eq!(header("fleetId,,vin"), Err(HeaderFault::UnnamedColumn(2)));
    assert_eq!(header("fleetId,make"), Err(HeaderFault::MissingColumn));
    assert_eq!(header("fleetId,\"vin"), Err(HeaderFault::Quote));
}

#[test]
fn lines_before_the_header_and_empty_columns_are_ignored() {
    for line in ["", "  ", ",,,", "sep=,", "sep="] {
        assert_eq!(header(line), Ok(None), "{line:?}");
    }
    assert_eq!(header("fleetId,vin,,"), Ok(Some(names(&["fleetId", "vin"]))));
    assert_eq!(header("\"Fleet ID\",VIN,model_year"), Ok(Some(names(&["fleetId", "vin", "modelYear"]))));
    let rows = RowParser::new(Some(names(&["fleetId", "vin"])));
    assert!(rows.is_blank(", ,") && !RowParser::new(None).is_blank(","));
}

#[test]
fn header_of_another_format_states_what_it_is() {
    for (line, fault) in [
        ("fleetId;vin;make", HeaderFault::Delimiter(';')),
        ("sep=;", HeaderFault::Delimiter(';')),
        ("\"fleetId\"\t\"vin\"", HeaderFault::Delimiter('\t')),
        ("fleetId|vin", HeaderFault::Delimiter('|')),
        ("fleetId,vin\rflt_0123456789abcdef,WVWZZZ3CZEE140287\r", HeaderFault::CarriageReturns),
        ("sep=,\rfleetId,vin\r", HeaderFault::CarriageReturns),
        ("{\"fleetId\":\"F\",\"vin\":\"V\"}", HeaderFault::JsonInCsv),
        ("flt_0123456789abcdef,WVWZZZ3CZEE140287", HeaderFault::MissingHeader),
    ] {
        assert_eq!(header(line), Err(fault), "{line:?}");
        assert!(!fault.to_string().contains("WVW"), "{fault}");
    }
    for (line, expected) in [
        ("[{\"fleetId\":\"F\"},", Err(HeaderFault::JsonArray)),
        ("fleetId,vin", Err(HeaderFault::CsvInNdjson)),
        ("fleetId;vin", Err(HeaderFault::Delimiter(';'))),
        ("{\"fleetId\":\"F\"}", Ok(())),
        ("nonsense", Ok(())),
    ] {
        assert_eq!(RowParser::check_first_object(line), expected, "{line:?}");
    }
}

#[test]
fn misplaced_quote_or_carriage_return_makes_a_row_invalid() {
    let rows = RowParser::new(Some(names(&["fleetId", "vin"])));
    let fault = |line| rows.parse(line).map(|_| ()).map_err(|invalid| invalid.fault);
    for line in ["F,\"V", "F,V\"", "F,\"V\"x", "F,\"V\" ", "F, \"V\"", "\"F,V", "F,\"\"\"", "F,V\"W\""] {
        assert_eq!(fault(line), Err(RowFault::Quote), "{line:?}");
    }
    for line in ["F,\"\"", "\"F\",\"V\"", "F,\"\"\"\""] {
        assert_eq!(fault(line), Ok(()), "{line:?}");
    }
    for line in ["F,V\rF,V", "F,\"V\r\"", "F,V\r"] {
        assert_eq!(fault(line), Err(RowFault::CarriageReturn), "{line:?}");
    }
    assert_eq!(RowParser::new(None).parse("{}\r{}").unwrap_err().fault, RowFault::CarriageReturn);
}

#[test]
fn file_that_is_no_text_states_what_it_is() {
    let contents: [(&[u8], ForeignContent); 10] = [
        (b"\xff\xfef\0l\0\r\0\n\0", ForeignContent::Utf16),
        (b"\xfe\xff\0f\0l", ForeignContent::Utf16),
        (b"f\0l\0e\0", ForeignContent::Utf16),
        (b"\0f\0l", ForeignContent::Utf16),
        (b"PK\x03\x04\x14\0", ForeignContent::Zip),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", ForeignContent::OldWorkbook),
        (b"%PDF-1.7\n", ForeignContent::Pdf),
        (b"\xef\xbb\xbf <html>\n", ForeignContent::Markup),
        (b"\x1f\x8b\x08\0", ForeignContent::Gzip),
        (b"\x28\xb5\x2f\xfd\x04", ForeignContent::Zstd),
    ];
    for (bytes, content) in contents {
        for compression in COMPRESSIONS {
            let lines = split(LineSplitter::new(compression).unwrap(), &compress(bytes, compression), &[3]).unwrap();
            assert_eq!(lines[0].text, Err(LineFault::Foreign(content)), "{compression:?}");
        }
    }
    let binary = [b"x\n".as_slice(), b"PK\x03\x04\n"].concat();
    let lines = split(LineSplitter::new(Compression::Plain).unwrap(), &binary, &[100]).unwrap();
    assert!(lines[1].text.is_ok(), "only the first line is checked");
}

#[test]
fn plain_file_named_as_compressed_is_not_compressed() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let error = split(LineSplitter::new(compression).unwrap(), b"fleetId,vin\n", &[100]).unwrap_err();
        assert!(matches!(error, DecompressError::NotCompressed), "{compression:?}: {error:?}");
        assert_eq!(split(LineSplitter::new(compression).unwrap(), b"", &[1]).unwrap(), [], "an empty file");
    }
}

#[test]
fn members_are_checked_for_name_and_type() {
    let rows = RowParser::new(None);
    let fields = rows.parse(r#"{"fleetId":"F","vin":"V","modelYear":2014,"removed":true}"#).unwrap();
    assert_eq!((fields.model_year.as_deref(), fields.removed.as_deref()), (Some("2014"), Some("true")));
    let fault = |line| rows.parse(line).map(|_| ()).map_err(|invalid| (invalid.member.unwrap_or_default(), invalid.fault));
    assert_eq!(fault("{"), Err(("", RowFault::NotJson)));
    assert_eq!(fault("[]"), Err(("", RowFault::NotJson)));
    assert_eq!(fault(r#"{"colour":"red"}"#), Err(("", RowFault::Member)));
    assert_eq!(fault(r#"{"vin":17}"#), Err(("vin", RowFault::Type)));
    assert_eq!(fault(r#"{"removed":"true"}"#), Err(("removed", RowFault::Type)));
    assert_eq!(fault(r#"{"make":null}"#), Err(("make", RowFault::Type)));
    assert_eq!(fault(r#"{"vin":"V","vin":"W"}"#), Err(("vin", RowFault::Duplicate)));
    assert_eq!(fault(r#"{"vin":"V","v\u0069n":"V"}"#), Err(("vin", RowFault::Duplicate)));
}
