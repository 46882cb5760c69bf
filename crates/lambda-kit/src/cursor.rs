//! Pagination cursors: the position of the next page, bound to the caller and the query for which they were created.
//!
//! A cursor is opaque to callers, but not secret: its position is not encrypted. Its tag prevents its use by another caller,
//! with another query, or after a modification. Without a secret, a reader of this code can forge a tag. A forged cursor
//! gives access to nothing more than a normal query, because each page is authorized for its caller.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roadcast_domain::caller::CallerId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

/// Bytes of a tag: half of the digest, which prevents length extension.
const TAG_LEN: usize = 16;
/// The maximum length of a cursor in bytes.
const MAX_CURSOR_LEN: usize = 2048;

/// Encodes and decodes cursors.
#[derive(Clone, Default)]
pub struct Cursors {
    secret: Vec<u8>,
}

impl Cursors {
    /// Creates cursors whose tags depend on a secret, so that only holders of the secret can create them.
    pub fn keyed(secret: impl Into<Vec<u8>>) -> Self {
        Self { secret: secret.into() }
    }

    /// Creates cursors without a secret.
    pub fn unkeyed() -> Self {
        Self::default()
    }

    /// Returns the cursor for a position in the result that `caller` gets for `query`.
    pub fn encode(&self, caller: &CallerId, query: &str, position: &impl Serialize) -> Result<String, Problem> {
        let position = serde_json::to_vec(position).map_err(Problem::internal)?;
        let mut bytes = self.tag(caller, query, &position).to_vec();
        bytes.extend(position);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Returns the position of a cursor. Fails with `invalid-parameter` if it was not created for this caller and query.
    pub fn decode<P: DeserializeOwned>(&self, caller: &CallerId, query: &str, text: &str) -> Result<P, Problem> {
        self.position(caller, query, text)
            .and_then(|position| serde_json::from_slice(&position).ok())
            .ok_or_else(|| Problem::invalid_parameter("cursor", "is not a valid cursor for this query"))
    }

    fn position(&self, caller: &CallerId, query: &str, text: &str) -> Option<Vec<u8>> {
        if text.len() > MAX_CURSOR_LEN {
            return None;
        }
        let mut tag = URL_SAFE_NO_PAD.decode(text).ok()?;
        if tag.len() < TAG_LEN {
            return None;
        }
        let position = tag.split_off(TAG_LEN);
        // Compares every byte, so that the duration does not reveal how many match.
        let differences = self.tag(caller, query, &position).iter().zip(&tag).fold(0, |bits, (a, b)| bits | (a ^ b));
        (differences == 0).then_some(position)
    }

    fn tag(&self, caller: &CallerId, query: &str, position: &[u8]) -> [u8; TAG_LEN] {
        let (kind, id) = match caller {
            CallerId::Admin(client) => ("admin", client.as_str()),
            CallerId::Fleet(fleet) => ("fleet", fleet.as_str()),
            CallerId::Ingest(client) => ("ingest", client.as_str()),
        };
        let mut hash = Sha256::new();
        for part in
            [b"roadcast-cursor-1", self.secret.as_slice(), kind.as_bytes(), id.as_bytes(), query.as_bytes(), position]
        {
            // The length prefix makes the concatenation of the parts unambiguous.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&hash.finalize()[..TAG_LEN]);
        tag
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::ids::{ClientId, FleetId};

    use super::*;

    fn fleet(bits: u128) -> CallerId {
        CallerId::Fleet(FleetId::from_random_bits(bits))
    }

    #[test]
    fn cursor_decodes_to_its_position() {
        let cursors = Cursors::unkeyed();
        let text = cursors.encode(&fleet(1), "listVehicles", &("veh_x", 7)).unwrap();
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
        assert_eq!(cursors.decode::<(String, u32)>(&fleet(1), "listVehicles", &text).unwrap(), ("veh_x".to_owned(), 7));
    }

    #[test]
    fn cursor_of_another_caller_query_secret_or_type_is_refused() {
        let cursors = Cursors::keyed("s");
        let text = cursors.encode(&fleet(1), "q", &1).unwrap();
        let assert_refused = |cursors: &Cursors, caller: &CallerId, query: &str, text: &str| {
            let problem = cursors.decode::<u32>(caller, query, text).unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.errors()[0].pointer.as_str()), (400, "?cursor"));
        };
        assert_refused(&cursors, &fleet(2), "q", &text);
        assert_refused(&cursors, &CallerId::Admin(ClientId::new("a")), "q", &text);
        assert_refused(&cursors, &fleet(1), "r", &text);
        assert_refused(&Cursors::unkeyed(), &fleet(1), "q", &text);
        assert_refused(&cursors, &fleet(1), "q", &cursors.encode(&fleet(1), "q", &"text").unwrap());
        for text in ["", "x", "eyJ2IjoxfQ", &"A".repeat(3000), "ä", &text[1..], &format!("{text}A")] {
            assert_refused(&cursors, &fleet(1), "q", text);
        }
    }

    #[test]
    fn admin_and_ingest_client_with_equal_id_have_different_cursors() {
        let cursors = Cursors::unkeyed();
        let text = cursors.encode(&CallerId::Admin(ClientId::new("a")), "q", &1).unwrap();
        assert!(cursors.decode::<u32>(&CallerId::Ingest(ClientId::new("a")), "q", &text).is_err());
    }
}
