//! [`BulkFiles`], [`VehicleMappings`] and [`ImportProgress`]

use roadcast_domain::vehicle_mapping::{FileVersion, ImportLedger, MappedDetails, VehicleMapping};

use super::fresh::{Fresh, NOON};
use crate::PortErrorKind;
use crate::bulk::{BulkFile, BulkFiles, Checkpoint, FileBody, ImportProgress, PutOutcome, RowCounts, VehicleMappings};
use crate::clock::Randomness;

/// What every [`BulkFiles`] does. `upload` puts a file of that key and answers what its arrival would tell; `read` answers
/// what lies at a key.
pub async fn bulk_files<F: BulkFiles>(
    files: &F,
    upload: impl AsyncFn(&str, &[u8]) -> BulkFile,
    read: impl AsyncFn(&str) -> Option<Vec<u8>>,
    random: &impl Randomness,
) {
    let key = format!("vin-map/suite {}+é.csv", Fresh::new(random).word());
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let file = upload(&key, &bytes).await;
    for from in [0, 1, 999_999, bytes.len() - 1, bytes.len()] {
        let opened = files.open(&file, from as u64).await.expect("a file is opened at any of its bytes, and at its end");
        assert!(whole(opened).await == bytes[from..], "a file is read from byte {from} to its end");
    }
    let changed = upload(&key, b"changed").await;
    assert_ne!(changed.content, file.content, "other bytes are another content");
    assert_eq!(upload(&key, b"changed").await.content, changed.content, "the same bytes are the same content");
    if file.object_version.is_none() {
        let replaced = files.open(&file, 0).await.err().map(|error| error.kind());
        assert_eq!(replaced, Some(PortErrorKind::Conflict), "a file that was replaced is a conflict");
    }

    files.keep_part(&changed, 0, b"lost".to_vec()).await.expect("a part is kept");
    files.keep_part(&changed, 0, b"1\n".to_vec()).await.expect("a part is kept over itself");
    files.keep_part(&changed, 1, b"2\n".to_vec()).await.expect("a part is kept");
    let (report, summary) = (format!("reports/{key}.report.ndjson"), format!("reports/{key}.summary.json"));
    files.report(&changed, 2, b"3\n".to_vec(), b"{}".to_vec()).await.expect("a report is put together");
    assert_eq!(read(&report).await.expect("the report is beside the file"), b"1\n2\n3\n", "parts, then lines");
    assert_eq!(read(&summary).await.expect("the summary is beside the file"), b"{}");
    files.report(&changed, 0, Vec::new(), b"[]".to_vec()).await.expect("a report may be empty");
    assert_eq!(read(&report).await.expect("an empty report is there, too"), b"", "the last report stands");
    files.request_resume(&changed).await.expect("a file comes again");
}

async fn whole(mut body: impl FileBody) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await.expect("a file is read") {
        bytes.extend(piece);
    }
    bytes
}

/// What every [`VehicleMappings`] does.
pub async fn vehicle_map(map: &impl VehicleMappings, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    let pairs: Vec<_> = (0..120).map(|_| (fresh.fleet_id(), fresh.vid())).collect();
    let described =
        MappedDetails { make: Some("Škoda \"é\"".to_owned()), model_year: Some(2015), ..MappedDetails::default() };
    let described = MappedDetails { external_id: Some(fresh.external_id()), ..described };
    let mapping = |place: usize, second: i64| VehicleMapping {
        fleet_id: pairs[place].0.clone(),
        vid: pairs[place].1.clone(),
        described: described.clone(),
        removed: second % 2 == 0,
        version: FileVersion::new(NOON.plus_ms(second * 1000), "", "suite"),
        line: place as u64,
    };
    let get = async |pairs: &[_]| map.get(pairs).await.expect("get answers");
    assert_eq!(get(&[]).await, [], "nothing is asked, nothing is answered");
    for place in [3, 0, 119] {
        assert_eq!(map.put(&mapping(place, 5)).await.expect("put answers"), PutOutcome::Kept, "a new mapping is kept");
    }
    let kept = get(&pairs).await;
    for (place, kept) in kept.into_iter().enumerate() {
        let put = [3, 0, 119].contains(&place);
        assert_eq!(kept, put.then(|| mapping(place, 5)), "mappings are answered in the order of what was asked");
    }
    for (second, expect) in [(4, PutOutcome::Older), (5, PutOutcome::Older), (6, PutOutcome::Kept), (5, PutOutcome::Older)] {
        assert_eq!(map.put(&mapping(3, second)).await.expect("put answers"), expect, "only what is newer is kept");
    }
    let twice = [pairs[3].clone(), pairs[0].clone(), pairs[3].clone()];
    let kept = get(&twice).await;
    let expect = [mapping(3, 6), mapping(0, 5), mapping(3, 6)].map(Some);
    assert_eq!(kept, expect, "what is newer stands, and a pair may be asked for twice");
}

/// What every [`VehicleMappings`] does of many mappings at once, and how it lists them.
pub async fn vehicle_map_of_a_fleet(map: &impl VehicleMappings, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    let (fleet_id, other) = (fresh.fleet_id(), fresh.fleet_id());
    let mut vids: Vec<_> = (0..130).map(|_| fresh.vid()).collect();
    vids.sort_unstable();
    let mapping = |place: usize, second: i64| VehicleMapping {
        fleet_id: fleet_id.clone(),
        vid: vids[place].clone(),
        described: MappedDetails::default(),
        removed: place.is_multiple_of(2),
        version: FileVersion::new(NOON.plus_ms(second * 1000), "", "suite"),
        line: place as u64,
    };
    assert!(map.put_all(&[]).await.expect("put_all answers").is_empty(), "nothing is put, nothing is answered");
    let seconds = |place: usize| if place % 60 == 7 { 9 } else { 5 };
    for place in (0..130).filter(|place| place % 60 == 7) {
        assert_eq!(map.put(&mapping(place, 9)).await.expect("put answers"), PutOutcome::Kept, "a new mapping is kept");
    }
    map.put(&VehicleMapping { fleet_id: other.clone(), ..mapping(3, 5) }).await.expect("put answers");
    for again in [false, true] {
        let all: Vec<_> = (0..130).rev().map(|place| mapping(place, 5)).collect();
        let puts = map.put_all(&all).await.expect("put_all answers");
        for (mapping, put) in all.iter().zip(puts) {
            let is_older = again || mapping.line % 60 == 7;
            let expect = if is_older { PutOutcome::Older } else { PutOutcome::Kept };
            assert_eq!(put.expect("of each"), expect, "each is decided by itself, and answered in its place");
        }
    }
    let expect: Vec<_> = (0..130).map(|place| mapping(place, seconds(place))).collect();
    for limit in [1, 64, 129, 130, 1000] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = map.list(&fleet_id, after.as_ref(), limit).await.expect("list answers");
            assert!(page.len() <= limit, "a page holds at most its limit of {limit}");
            after = page.last().map(|last| last.vid.clone());
            let is_last = page.len() < limit;
            listed.extend(page);
            if is_last {
                break;
            }
        }
        assert!(listed == expect, "pages of {limit} hold each mapping of the fleet once, by vehicle, removed ones too");
    }
    assert_eq!(map.list(&other, None, 10).await.expect("list answers").len(), 1, "and none of another fleet");
    assert_eq!(map.list(&fresh.fleet_id(), None, 10).await.expect("list answers"), [], "a fleet may have none");
}

/// What every [`ImportProgress`] does. The ledger is one for all, so that the suite goes on from what is there.
pub async fn loads(loads: &impl ImportProgress, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    let file = |version: i64| BulkFile {
        key: format!("vin-map/{}.csv", fresh.word()),
        object_version: None,
        content: fresh.word(),
        version: FileVersion::new(NOON.plus_ms(version), "", &fresh.word()),
    };
    let (mine, other) = (file(1), file(1));
    assert_eq!(loads.checkpoint(&mine).await.expect("checkpoint answers"), None, "a file is not begun before it is");
    let mut checkpoint = Checkpoint {
        columns: Some(vec!["vin".to_owned(), "fleetId".to_owned()]),
        counts: RowCounts { rows: 1 << 40, ..RowCounts::default() },
        ..Checkpoint::default()
    };
    for line in [1, 2] {
        checkpoint.line = line;
        loads.keep_checkpoint(&mine, &checkpoint).await.expect("a checkpoint is kept");
        let kept = loads.checkpoint(&mine).await.expect("checkpoint answers");
        assert_eq!(kept.as_ref(), Some(&checkpoint), "the last checkpoint is kept");
    }
    assert_eq!(loads.checkpoint(&other).await.expect("checkpoint answers"), None, "each file has its own");

    let before: ImportLedger = loads.ledger().await.expect("ledger answers");
    let (mut first, mut second) = (before.clone(), before);
    first.begin(&mine.version, &mine.content, NOON);
    second.begin(&other.version, &other.content, NOON);
    loads.replace_ledger(&first).await.expect("the next revision is kept");
    let lost = loads.replace_ledger(&second).await.map_err(|error| error.kind());
    assert_eq!(lost, Err(PortErrorKind::Conflict), "of two that follow the same revision, one is kept");
    assert_eq!(loads.ledger().await.expect("ledger answers"), first, "the ledger is kept as it was given");
    first.end(&mine.version);
    loads.replace_ledger(&first).await.expect("and the next");
}
