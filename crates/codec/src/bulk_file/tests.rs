#![allow(clippy::unwrap_used)]
use std::io::Write as _;

use proptest::prelude::*;
use roadcast_domain::vehicle_mapping::RowFault;

use super::*;

const PACKINGS: [Packing; 3] = [Packing::Plain, Packing::Gzip, Packing::Zstd];

fn pack(bytes: &[u8], packing: Packing) -> Vec<u8> {
    match packing {
        Packing::Plain => bytes.to_vec(),
        Packing::Gzip => {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(bytes).unwrap();
            packer.finish().unwrap()
        }
        Packing::Zstd => zstd::bulk::compress(bytes, 1).unwrap(),
    }
}

fn feed(mut lines: Lines, bytes: &[u8], sizes: &[usize]) -> Result<Vec<Line>, Broken> {
    let (mut found, mut rest) = (Vec::new(), bytes);
    let mut sizes = sizes.iter().copied().cycle();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
        lines.push(piece.to_vec());
        rest = after;
        while let Some(line) = lines.next_line()? {
            found.push(line);
        }
    }
    lines.end();
    while let Some(line) = lines.next_line()? {
        found.push(line);
    }
    Ok(found)
}

/// What the lines are, found another way.
fn model(bytes: &[u8]) -> Vec<Line> {
    let mut at = 0;
    let pieces = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    pieces
        .map(|(place, piece)| {
            at += piece.len() as u64;
            let line = piece.strip_suffix(b"\n").unwrap_or(piece);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let text = if line.len() > MAX_LINE_BYTES {
                Err(LineFault::TooLong)
            } else {
                std::str::from_utf8(line).map(str::to_owned).map_err(|_| LineFault::NotUtf8)
            };
            let text = if place == 0 { text.map(|text| text.trim_start_matches('\u{feff}').to_owned()) } else { text };
            Line { number: place as u64 + 1, end: at, text }
        })
        .collect()
}

/// Bytes with many ends of lines, some of them beyond a line's limit.
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
    fn any_bytes_in_any_pieces_and_any_packing_are_the_same_lines(
        file in any_file(),
        sizes in prop::collection::vec(1_usize..5000, 1..5),
    ) {
        for packing in PACKINGS {
            let found = feed(Lines::new(packing).unwrap(), &pack(&file, packing), &sizes).unwrap();
            prop_assert_eq!(&found, &model(&file), "{:?}", packing);
        }
    }

    #[test]
    fn going_on_after_any_line_gives_the_lines_after_it(file in any_file(), after: prop::sample::Index) {
        let all = model(&file);
        prop_assume!(!all.is_empty());
        let place = after.index(all.len());
        let Line { number, end, .. } = all[place];
        for packing in PACKINGS {
            let bytes = if packing == Packing::Plain { file[usize::try_from(end).unwrap()..].to_vec() } else { pack(&file, packing) };
            let found = feed(Lines::resume(packing, number, end).unwrap(), &bytes, &[100]).unwrap();
            prop_assert_eq!(&found, &all[place + 1..], "{:?}", packing);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic_whatever_they_claim_to_be(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..50) {
        for packing in PACKINGS {
            let _ = feed(Lines::new(packing).unwrap(), &bytes, &[size]);
        }
    }

    #[test]
    fn no_line_makes_the_rows_panic(line: String) {
        let _ = Rows::by_header(&line);
        let _ = Rows::of(None).read(&line);
        let _ = Rows::of(Some(vec!["fleetId".to_owned(), "vin".to_owned()])).read(&line);
    }
}

#[test]
fn a_packed_file_of_several_parts_is_read_to_its_end_and_one_that_is_cut_off_is_broken() {
    for packing in [Packing::Gzip, Packing::Zstd] {
        let mut packed = pack(b"a\nb", packing);
        packed.extend(pack(b"c\n", packing));
        let texts: Vec<_> = feed(Lines::new(packing).unwrap(), &packed, &[7]).unwrap();
        let texts: Vec<_> = texts.into_iter().map(|line| line.text.unwrap()).collect();
        assert_eq!(texts, ["a", "bc"], "{packing:?}");
        assert!(feed(Lines::new(packing).unwrap(), &packed[..packed.len() - 3], &[7]).is_err(), "{packing:?}");
    }
}

#[test]
fn a_line_that_unpacks_without_end_is_passed_over_in_bounded_memory() {
    for packing in [Packing::Gzip, Packing::Zstd] {
        let packed = pack(&vec![b'x'; 64 << 20], packing);
        let mut lines = Lines::new(packing).unwrap();
        lines.push(packed);
        assert!(lines.next_line().unwrap().is_none());
        assert!(lines.out.capacity() + lines.line.capacity() < 4 << 20, "{packing:?}");
        lines.end();
        assert_eq!(lines.next_line().unwrap().unwrap().text, Err(LineFault::TooLong));
    }
}

#[test]
fn a_files_name_says_its_form_and_packing() {
    assert_eq!(form_of("vin-map/a.b.csv"), Some((Form::Csv, Packing::Plain)));
    assert_eq!(form_of("vin-map/A.NDJSON.GZ"), Some((Form::Ndjson, Packing::Gzip)));
    assert_eq!(form_of("x.jsonl.zst"), Some((Form::Ndjson, Packing::Zstd)));
    assert_eq!([form_of("vin-map/csv"), form_of("a.csv.zip"), form_of("a.gz")], [None, None, None]);
}

#[test]
fn columns_stand_in_any_order_and_cells_may_be_quoted() {
    let rows = Rows::by_header("vin, model ,fleetId").unwrap();
    let fields = rows.read("V,\"Twizy, \"\"Cargo\"\"\",F").unwrap();
    assert_eq!(
        (fields.vin.unwrap(), fields.model.unwrap(), fields.fleet_id.unwrap()),
        ("V".into(), "Twizy, \"Cargo\"".into(), "F".into())
    );
    for line in ["V,m", "V,m,F,", "", "V,\"m,F"] {
        assert_eq!(rows.read(line).unwrap_err().fault, RowFault::Columns, "{line:?}");
    }
    assert_eq!(Rows::by_header("fleetId,vin,colour"), Err(HeaderFault::Unknown));
    assert_eq!(Rows::by_header("fleetId,vin,vin"), Err(HeaderFault::Twice));
    assert_eq!(Rows::by_header("fleetId,make"), Err(HeaderFault::Missing));
    assert_eq!(Rows::by_header(""), Err(HeaderFault::Missing));
}

#[test]
fn members_have_their_types_and_no_others_are_taken() {
    let rows = Rows::of(None);
    let fields = rows.read(r#"{"fleetId":"F","vin":"V","modelYear":2014,"removed":true}"#).unwrap();
    assert_eq!((fields.model_year.as_deref(), fields.removed.as_deref()), (Some("2014"), Some("true")));
    let fault = |line| rows.read(line).map(|_| ()).map_err(|wrong| (wrong.pointer, wrong.fault));
    assert_eq!(fault("{"), Err(("", RowFault::NotJson)));
    assert_eq!(fault("[]"), Err(("", RowFault::NotJson)));
    assert_eq!(fault(r#"{"colour":"red"}"#), Err(("", RowFault::Member)));
    assert_eq!(fault(r#"{"vin":17}"#), Err(("/vin", RowFault::Type)));
    assert_eq!(fault(r#"{"removed":"true"}"#), Err(("/removed", RowFault::Type)));
    assert_eq!(fault(r#"{"make":null}"#), Err(("/make", RowFault::Type)));
}
