//! The eraser, 512 MiB: what it needs for a record of an archived object, beside the text of the object.

use roadcast_codec::erasure::{ArchivedRecord, Remainder, record_without};
use roadcast_codec::stream_record::{RecordTexts, compress, decode_text};
use roadcast_domain::erasure::ErasureScope;
use roadcast_ports::clock::Clock as _;

use crate::fixture::Fixture;
use crate::peak::{MIB, assert_peak, peak};
use crate::stream::hostile_records;

const BOUND: usize = 64 * MIB;

#[test]
fn erasure_from_hostile_records_is_bounded() {
    let fixture = peak(Fixture::new()).0;
    let records = hostile_records(&fixture);
    let scope = ErasureScope::new([fixture.vid.clone()], Vec::new(), records[0].raw.arrived_at);
    // The first event of each record is of the vehicle: the rest of the record is written again.
    let name_first = |data: &[u8]| {
        let text = decode_text(data).unwrap();
        compress(&text.replacen(r#","source":"#, &format!(r#","subject":"{}","source":"#, fixture.vid), 1))
    };
    let records: Vec<Vec<u8>> = records.iter().map(|record| name_first(&record.raw.data)).collect();
    let erase = async {
        let mut texts = RecordTexts::default();
        let rest_of = |data: &Vec<u8>| {
            let archived = ArchivedRecord { partition_key: "a partner", arrived_at: fixture.clock.now(), data };
            record_without(&scope, archived, &mut texts)
        };
        records.iter().map(rest_of).filter(|rest| matches!(rest, Remainder::Changed(_))).count()
    };
    assert_eq!(assert_peak("erasure from hostile records", BOUND, erase), records.len());
}
