//! [`BulkFiles`], [`VehicleMappings`] and [`ImportProgress`]

use roadcast_domain::vehicle_mapping::{FileVersion, ImportLedger, MappedDetails, VehicleMapping};

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::bulk::{BulkFile, BulkFiles, Checkpoint, FileBody, ImportProgress, PutOutcome, RowCounts, VehicleMappings};
use crate::clock::Randomness;

/// Checks every implementation of [`BulkFiles`]. `upload` stores a file under a key and returns its description; `read`
/// returns the content of a key.
pub async fn bulk_files<F: BulkFiles>(
    files: &F,
    upload: impl AsyncFn(&str, &[u8]) -> BulkFile,
    read: impl AsyncFn(&str) -> Option<Vec<u8>>,
    random: &impl Randomness,
) {
    let key = format!("vin-map/suite {}+é.csv", Fixtures::new(random).word());
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let file = upload(&key, &bytes).await;
    for from in [0, 1, 999_999, bytes.len() - 1, bytes.len()] {
        let opened = files.open(&file, from as u64).await.expect("a file is opened at any offset up to its end");
        assert!(read_all(opened).await == bytes[from..], "a file is read from byte {from} to its end");
    }
    let changed = upload(&key, b"changed").await;
    assert_ne!(changed.content, file.content, "other bytes have another content digest");
    assert_eq!(upload(&key, b"changed").await.content, changed.content, "the same bytes have the same content digest");
    if file.object_version.is_none() {
        let replaced = files.open(&file, 0).await.err().map(|error| error.kind());
        assert_eq!(replaced, Some(PortErrorKind::Conflict), "opening a replaced file is a conflict");
    }

    files.store_report_part(&changed, 0, b"old".to_vec()).await.expect("a part is stored");
    files.store_report_part(&changed, 0, b"1\n".to_vec()).await.expect("a part is replaced");
    files.store_report_part(&changed, 1, b"2\n".to_vec()).await.expect("a part is stored");
    let (report, summary) = (format!("reports/{key}.report.ndjson"), format!("reports/{key}.summary.json"));
    files.store_report(&changed, 2, b"3\n".to_vec(), b"{}".to_vec()).await.expect("a report is stored");
    assert_eq!(read(&report).await.expect("the report exists"), b"1\n2\n3\n", "a report consists of its parts and lines");
    assert_eq!(read(&summary).await.expect("the summary exists"), b"{}");
    files.store_report(&changed, 0, Vec::new(), b"[]".to_vec()).await.expect("a report may be empty");
    assert_eq!(read(&report).await.expect("the empty report exists"), b"", "the last report replaces the previous one");
    files.request_resume(&changed).await.expect("a resume is requested");
}

async fn read_all(mut body: impl FileBody) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(bytes_read) = body.next().await.expect("a file is read") {
        bytes.extend(bytes_read);
    }
    bytes
}

/// Checks every implementation of [`VehicleMappings`].
pub async fn vehicle_mappings(map: &impl VehicleMappings, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let pairs: Vec<_> = (0..120).map(|_| (fixtures.fleet_id(), fixtures.vid())).collect();
    let details =
        MappedDetails { make: Some("Škoda \"é\"".to_owned()), model_year: Some(2015), ..MappedDetails::default() };
    let details = MappedDetails { external_id: Some(fixtures.external_id()), ..details };
    let mapping = |index: usize, second: i64| VehicleMapping {
        fleet_id: pairs[index].0.clone(),
        vid: pairs[index].1.clone(),
        details: details.clone(),
        removed: second % 2 == 0,
        version: FileVersion::new(NOON.plus_ms(second * 1000), "", "suite"),
        line: index as u64,
    };
    let get = async |pairs: &[_]| map.get(pairs).await.expect("get succeeds");
    assert_eq!(get(&[]).await, [], "no pairs have no results");
    for index in [3, 0, 119] {
        assert_eq!(map.put(&mapping(index, 5)).await.expect("put succeeds"), PutOutcome::Stored, "a new mapping is stored");
    }
    let stored = get(&pairs).await;
    for (index, stored) in stored.into_iter().enumerate() {
        let put = [3, 0, 119].contains(&index);
        assert_eq!(stored, put.then(|| mapping(index, 5)), "mappings are returned in the order of the pairs");
    }
    for (second, expect) in
        [(4, PutOutcome::NotNewer), (5, PutOutcome::NotNewer), (6, PutOutcome::Stored), (5, PutOutcome::NotNewer)]
    {
        assert_eq!(map.put(&mapping(3, second)).await.expect("put succeeds"), expect, "only a newer mapping is stored");
    }
    let twice = [pairs[3].clone(), pairs[0].clone(), pairs[3].clone()];
    let stored = get(&twice).await;
    let expect = [mapping(3, 6), mapping(0, 5), mapping(3, 6)].map(Some);
    assert_eq!(stored, expect, "the newer mapping is returned for each occurrence of a pair");
}

/// Checks every implementation of [`VehicleMappings`]: many mappings in one call, and the list of a fleet.
pub async fn vehicle_mapping_lists(map: &impl VehicleMappings, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let (fleet_id, other) = (fixtures.fleet_id(), fixtures.fleet_id());
    let mut vids: Vec<_> = (0..130).map(|_| fixtures.vid()).collect();
    vids.sort_unstable();
    let mapping = |index: usize, second: i64| VehicleMapping {
        fleet_id: fleet_id.clone(),
        vid: vids[index].clone(),
        details: MappedDetails::default(),
        removed: index.is_multiple_of(2),
        version: FileVersion::new(NOON.plus_ms(second * 1000), "", "suite"),
        line: index as u64,
    };
    assert!(map.put_all(&[]).await.expect("put_all succeeds").is_empty(), "no mappings have no results");
    let seconds = |index: usize| if index % 60 == 7 { 9 } else { 5 };
    for index in (0..130).filter(|index| index % 60 == 7) {
        assert_eq!(map.put(&mapping(index, 9)).await.expect("put succeeds"), PutOutcome::Stored, "a new mapping is stored");
    }
    map.put(&VehicleMapping { fleet_id: other.clone(), ..mapping(3, 5) }).await.expect("put succeeds");
    for is_repeated in [false, true] {
        let all: Vec<_> = (0..130).rev().map(|index| mapping(index, 5)).collect();
        let puts = map.put_all(&all).await.expect("put_all succeeds");
        for (mapping, put) in all.iter().zip(puts) {
            let is_stale = is_repeated || mapping.line % 60 == 7;
            let expect = if is_stale { PutOutcome::NotNewer } else { PutOutcome::Stored };
            assert_eq!(put.expect("put succeeds"), expect, "each mapping has its own result, in order");
        }
    }
    let expect: Vec<_> = (0..130).map(|index| mapping(index, seconds(index))).collect();
    for limit in [1, 64, 129, 130, 1000] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = map.list(&fleet_id, after.as_ref(), limit).await.expect("list succeeds");
            assert!(page.len() <= limit, "a page has at most `limit` items: {limit}");
            after = page.last().map(|last| last.vid.clone());
            let is_last = page.len() < limit;
            listed.extend(page);
            if is_last {
                break;
            }
        }
        assert!(
            listed == expect,
            "pages of {limit} contain each mapping of the fleet once, ordered by vehicle, including removed ones"
        );
    }
    assert_eq!(map.list(&other, None, 10).await.expect("list succeeds").len(), 1, "a list contains only one fleet");
    assert_eq!(
        map.list(&fixtures.fleet_id(), None, 10).await.expect("list succeeds"),
        [],
        "a fleet without mappings has an empty list"
    );
}

/// Checks every implementation of [`ImportProgress`]. The ledger is shared, so the suite continues with the stored one.
pub async fn import_progress(progress: &impl ImportProgress, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let file = |version: i64| BulkFile {
        key: format!("vin-map/{}.csv", fixtures.word()),
        object_version: None,
        content: fixtures.word(),
        version: FileVersion::new(NOON.plus_ms(version), "", &fixtures.word()),
    };
    let (mine, other) = (file(1), file(1));
    assert_eq!(progress.checkpoint(&mine).await.expect("checkpoint succeeds"), None, "a new file has no checkpoint");
    let mut checkpoint = Checkpoint {
        columns: Some(vec!["vin".to_owned(), "fleetId".to_owned()]),
        counts: RowCounts { rows: 1 << 40, ..RowCounts::default() },
        runs: 7,
        ..Checkpoint::default()
    };
    for line in [1, 2] {
        checkpoint.line = line;
        progress.save_checkpoint(&mine, &checkpoint).await.expect("a checkpoint is stored");
        let stored = progress.checkpoint(&mine).await.expect("checkpoint succeeds");
        assert_eq!(stored.as_ref(), Some(&checkpoint), "the last checkpoint is returned");
    }
    assert_eq!(progress.checkpoint(&other).await.expect("checkpoint succeeds"), None, "each file has its own checkpoint");

    let before: ImportLedger = progress.ledger().await.expect("ledger succeeds");
    let (mut first, mut second) = (before.clone(), before);
    first.begin(&mine.version, &mine.content, NOON);
    second.begin(&other.version, &other.content, NOON);
    progress.replace_ledger(&first).await.expect("the next revision is stored");
    let lost = progress.replace_ledger(&second).await.map_err(|error| error.kind());
    assert_eq!(lost, Err(PortErrorKind::Conflict), "of two ledgers with the same revision, one is stored");
    assert_eq!(progress.ledger().await.expect("ledger succeeds"), first, "the ledger is returned unchanged");
    first.end(&mine.version);
    progress.replace_ledger(&first).await.expect("the revision after that is stored");
}
