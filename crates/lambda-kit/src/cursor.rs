//! Cursors of lists: where the next page begins, bound to the caller and the query they were made for.
//!
//! A cursor is opaque to callers, not secret: it holds its position in plain. Its tag keeps it from being used by another
//! caller, with another query, or after somebody changed it. Without a secret, one who reads this code can make a tag; it
//! would get them no further than a query of their own does, because what a page holds is decided by who asks for it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roadcast_domain::caller::Caller;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

/// Bytes of a tag. Half of the digest, so that none can be extended.
const TAG_LEN: usize = 16;
/// Longer texts are no cursors of ours.
const MAX_TEXT_LEN: usize = 2048;

/// Makes and reads cursors.
#[derive(Clone, Default)]
pub struct Cursors {
    secret: Vec<u8>,
}

impl Cursors {
    /// Cursors that only ours make.
    pub fn keyed(secret: impl Into<Vec<u8>>) -> Self {
        Self { secret: secret.into() }
    }

    /// Cursors without a secret.
    pub fn unkeyed() -> Self {
        Self::default()
    }

    /// The cursor of that position in what `caller` gets for `query`.
    pub fn write(&self, caller: &Caller, query: &str, position: &impl Serialize) -> Result<String, Problem> {
        let position = serde_json::to_vec(position).map_err(Problem::internal)?;
        let mut bytes = self.tag(caller, query, &position).to_vec();
        bytes.extend(position);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The position of a cursor, if it was made for that caller and query.
    pub fn read<P: DeserializeOwned>(&self, caller: &Caller, query: &str, text: &str) -> Result<P, Problem> {
        self.position(caller, query, text)
            .and_then(|position| serde_json::from_slice(&position).ok())
            .ok_or_else(|| Problem::invalid_parameter("cursor", "is not a cursor of this list"))
    }

    fn position(&self, caller: &Caller, query: &str, text: &str) -> Option<Vec<u8>> {
        if text.len() > MAX_TEXT_LEN {
            return None;
        }
        let mut tag = URL_SAFE_NO_PAD.decode(text).ok()?;
        if tag.len() < TAG_LEN {
            return None;
        }
        let position = tag.split_off(TAG_LEN);
        // Every byte is looked at, so that the time taken does not tell how many were right.
        let differences = self.tag(caller, query, &position).iter().zip(&tag).fold(0, |bits, (a, b)| bits | (a ^ b));
        (differences == 0).then_some(position)
    }

    fn tag(&self, caller: &Caller, query: &str, position: &[u8]) -> [u8; TAG_LEN] {
        let (kind, id) = match caller {
            Caller::Admin(client) => ("admin", client.as_str()),
            Caller::Fleet(fleet) => ("fleet", fleet.as_str()),
            Caller::Ingest(client) => ("ingest", client.as_str()),
        };
        let mut hash = Sha256::new();
        for part in
            [b"roadcast-cursor-1", self.secret.as_slice(), kind.as_bytes(), id.as_bytes(), query.as_bytes(), position]
        {
            // The length first, so that no two lists of parts run together to the same text.
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

    fn fleet(bits: u128) -> Caller {
        Caller::Fleet(FleetId::from_random(bits))
    }

    #[test]
    fn a_cursor_leads_back_to_its_position() {
        let cursors = Cursors::unkeyed();
        let text = cursors.write(&fleet(1), "listVehicles", &("veh_x", 7)).unwrap();
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
        assert_eq!(cursors.read::<(String, u32)>(&fleet(1), "listVehicles", &text).unwrap(), ("veh_x".to_owned(), 7));
    }

    #[test]
    fn a_cursor_of_another_caller_query_secret_or_shape_is_refused() {
        let cursors = Cursors::keyed("s");
        let text = cursors.write(&fleet(1), "q", &1).unwrap();
        let refused = |cursors: &Cursors, caller: &Caller, query: &str, text: &str| {
            let problem = cursors.read::<u32>(caller, query, text).unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.errors()[0].pointer.as_str()), (400, "?cursor"));
        };
        refused(&cursors, &fleet(2), "q", &text);
        refused(&cursors, &Caller::Admin(ClientId::new("a")), "q", &text);
        refused(&cursors, &fleet(1), "r", &text);
        refused(&Cursors::unkeyed(), &fleet(1), "q", &text);
        refused(&cursors, &fleet(1), "q", &cursors.write(&fleet(1), "q", &"text").unwrap());
        for text in ["", "x", "eyJ2IjoxfQ", &"A".repeat(3000), "ä", &text[1..], &format!("{text}A")] {
            refused(&cursors, &fleet(1), "q", text);
        }
    }

    #[test]
    fn an_admin_and_an_ingest_client_of_one_id_have_different_cursors() {
        let cursors = Cursors::unkeyed();
        let text = cursors.write(&Caller::Admin(ClientId::new("a")), "q", &1).unwrap();
        assert!(cursors.read::<u32>(&Caller::Ingest(ClientId::new("a")), "q", &text).is_err());
    }
}
