//! The lines of an archived object without those of erased vehicles.

use roadcast_codec::archive_text;
use roadcast_codec::erasure::{ArchivedRecord, Remainder, owns_item, record_without};
use roadcast_codec::stream_record::RecordTexts;
use roadcast_domain::erasure::ErasureScope;

use crate::s3::archive_lines::{Data, QuarantineLine, RawLine, compress};

/// The largest text of an object. A batch of the stream has 6 MB at most.
const TEXT_BYTES: usize = 32 * 1024 * 1024;

/// A section of the archive.
#[derive(Copy, Clone)]
pub(super) enum Section {
    Raw,
    Quarantine,
}

/// What remains of an object.
pub(super) struct Rest {
    pub(super) remainder: Remainder,
    /// The number of lines that remain.
    pub(super) lines: usize,
}

impl Section {
    /// Returns what remains of the compressed lines of an object; `None` if they cannot be read. Lines that stay keep their bytes.
    pub(super) fn without(self, scope: &ErasureScope, object: &[u8]) -> Option<Rest> {
        let text = archive_text::decompress(object, TEXT_BYTES)?;
        let (mut kept, mut lines, mut is_changed) = (Vec::with_capacity(text.len()), 0, false);
        let mut texts = RecordTexts::default();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let changed = match self.line_without(scope, line, &mut texts)? {
                Remainder::Unchanged => None,
                Remainder::Changed(line) => Some(Some(line)),
                Remainder::Nothing => Some(None),
            };
            is_changed |= changed.is_some();
            let line = changed.as_ref().map_or(Some(line), |changed| changed.as_deref());
            if let Some(line) = line {
                kept.extend_from_slice(line);
                kept.push(b'\n');
                lines += 1;
            }
        }
        let remainder = match (is_changed, lines) {
            (false, _) => Remainder::Unchanged,
            (true, 0) => Remainder::Nothing,
            (true, _) => Remainder::Changed(compress(&kept).ok()?),
        };
        Some(Rest { remainder, lines })
    }

    fn line_without(self, scope: &ErasureScope, line: &[u8], texts: &mut RecordTexts) -> Option<Remainder> {
        match self {
            Self::Raw => raw_without(scope, serde_json::from_slice(line).ok()?, texts),
            Self::Quarantine => {
                let item: QuarantineLine = serde_json::from_slice(line).ok()?;
                let bytes = item.data.bytes().ok()?;
                let is_owned = owns_item(scope, item.vid.as_ref(), item.arrived_at, &bytes);
                Some(if is_owned { Remainder::Nothing } else { Remainder::Unchanged })
            }
        }
    }
}

fn raw_without(scope: &ErasureScope, line: RawLine, texts: &mut RecordTexts) -> Option<Remainder> {
    let data = line.data.bytes().ok()?;
    let record = ArchivedRecord { partition_key: &line.key, arrived_at: line.arrived_at, data: &data };
    Some(match record_without(scope, record, texts) {
        Remainder::Changed(data) => {
            let line = RawLine { data: Data::from_bytes(&data), ..line };
            Remainder::Changed(serde_json::to_vec(&line).ok()?)
        }
        remainder => remainder,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::ids::VehicleId;
    use roadcast_domain::refusal::Reason;
    use roadcast_ports::archive::QuarantinedItem;
    use roadcast_signals::Timestamp;

    use super::*;
    use crate::s3::archive_lines::{read, to_text};

    const NOW: Timestamp = Timestamp::from_ms(1_714_564_800_000);

    #[test]
    fn lines_of_other_vehicles_keep_their_bytes() {
        let [erased, other] = [1, 2].map(VehicleId::from_random_bits);
        let scope = ErasureScope::new([erased.clone()], Vec::new(), NOW);
        let raw = |key: &VehicleId, data: &str| RawLine {
            shard: "s".to_owned(),
            seq: "1".to_owned(),
            key: key.to_string(),
            arrived_at: NOW,
            data: Data::from_bytes(data.as_bytes()),
        };
        let mixed = format!(r#"[{{"subject":"{erased}"}},{{"subject":"{other}"}}]"#);
        let object = |lines: &[RawLine]| compress(&to_text(lines).unwrap()).unwrap();
        let rest = Section::Raw.without(&scope, &object(&[raw(&erased, "{}"), raw(&other, "{}"), raw(&other, &mixed)]));
        let rest = rest.unwrap();
        let Remainder::Changed(bytes) = rest.remainder else { panic!("unchanged") };
        let lines: Vec<RawLine> = read(&bytes).unwrap();
        assert_eq!((lines.len(), rest.lines, &lines[0]), (2, 2, &raw(&other, "{}")));
        assert!(!String::from_utf8_lossy(&lines[1].data.bytes().unwrap()).contains(erased.as_str()));
        let without = |lines: &[RawLine]| Section::Raw.without(&scope, &object(lines)).unwrap().remainder;
        assert_eq!(without(&[raw(&erased, "{}")]), Remainder::Nothing);
        assert_eq!(without(&[raw(&other, "{}")]), Remainder::Unchanged);
        assert!(Section::Raw.without(&scope, b"no frame").is_none());
    }

    #[test]
    fn quarantined_lines_of_erased_vehicles_are_removed() {
        let erased = VehicleId::from_random_bits(1);
        let scope = ErasureScope::new([erased.clone()], Vec::new(), NOW);
        let item = |vid: u128| QuarantinedItem {
            reason: Reason::TimeAhead,
            pointer: roadcast_domain::json_pointer::JsonPointer::ROOT,
            vid: Some(VehicleId::from_random_bits(vid)),
            eid: None,
            index: None,
            samples: 1,
            shard: "s".to_owned(),
            sequence_number: "1".to_owned(),
            arrived_at: NOW,
            bytes: vec![0xFF],
        };
        let lines = [item(1), item(2)].map(|item| QuarantineLine::new(&item));
        let rest = Section::Quarantine.without(&scope, &compress(&to_text(&lines).unwrap()).unwrap()).unwrap();
        let Remainder::Changed(bytes) = rest.remainder else { panic!("unchanged") };
        assert_eq!((read::<QuarantineLine>(&bytes).unwrap(), rest.lines), (vec![lines[1].clone()], 1));
    }
}
