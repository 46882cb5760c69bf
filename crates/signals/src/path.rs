use crate::{Catalogue, SignalDef, SignalRejection};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The longest path, in bytes.
pub const MAX_PATH_BYTES: usize = 256;

/// A signal's name: a catalogue entry, or an unknown path kept as it came.
///
/// Equality, order and hash are those of the path text, so that a signal that the catalogue learns later is still the
/// same signal, and a map can be searched with a `&str`.
#[derive(Clone)]
pub enum SignalPath {
    /// A signal of the catalogue.
    Known(&'static SignalDef),
    /// A well-formed path that the catalogue lacks: stored exactly, part of no package.
    Unknown(Box<str>),
}

impl SignalPath {
    /// Reads a path: 1 to 256 bytes, segments of `[A-Za-z0-9_-]` separated by single dots.
    pub fn parse(path: &str) -> Result<Self, SignalRejection> {
        if let Some(def) = Catalogue::get().by_path(path) {
            return Ok(Self::Known(def));
        }
        if is_well_formed(path) { Ok(Self::Unknown(path.into())) } else { Err(SignalRejection::BadPath) }
    }

    /// The path's text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(def) => def.path,
            Self::Unknown(path) => path,
        }
    }

    /// The catalogue's entry, for a known path.
    pub fn def(&self) -> Option<&'static SignalDef> {
        match self {
            Self::Known(def) => Some(def),
            Self::Unknown(_) => None,
        }
    }
}

pub(crate) fn is_well_formed(path: &str) -> bool {
    path.len() <= MAX_PATH_BYTES
        && path.split('.').all(|segment| {
            !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        })
}

impl From<&'static SignalDef> for SignalPath {
    fn from(def: &'static SignalDef) -> Self {
        Self::Known(def)
    }
}

impl std::str::FromStr for SignalPath {
    type Err = SignalRejection;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        Self::parse(path)
    }
}

impl PartialEq for SignalPath {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for SignalPath {}

impl PartialOrd for SignalPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SignalPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for SignalPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for SignalPath {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for SignalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SignalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.def().is_some() { "Known" } else { "Unknown" };
        write!(f, "{kind}({})", self.as_str())
    }
}

impl Serialize for SignalPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SignalPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathText;

        impl Visitor<'_> for PathText {
            type Value = SignalPath;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a dotted signal path")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<SignalPath, E> {
                SignalPath::parse(path).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(PathText)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_catalogue_path_is_known_and_any_other_well_formed_one_unknown() {
        assert!(SignalPath::parse("Vehicle.Speed").unwrap().def().is_some());
        for path in ["Vehicle.speed", "x", "Vehicle", "acme.door-3.open_1", &"a".repeat(MAX_PATH_BYTES)] {
            let parsed = SignalPath::parse(path).unwrap();
            assert!(parsed.def().is_none(), "{path}");
            assert_eq!(parsed.to_string(), path);
        }
    }

    #[test]
    fn refuses_malformed_paths() {
        for path in ["", ".", "a.", ".a", "a..b", "a b", "a/b", "Fahrzeug.Größe", "a\n", &"a".repeat(MAX_PATH_BYTES + 1)] {
            assert_eq!(SignalPath::parse(path), Err(SignalRejection::BadPath), "{path:?}");
        }
    }

    #[test]
    fn known_and_unknown_are_equal_and_ordered_by_their_text() {
        let known = SignalPath::parse("Vehicle.Speed").unwrap();
        let stored_before_it_was_known = SignalPath::Unknown("Vehicle.Speed".into());
        assert_eq!(known, stored_before_it_was_known);
        assert!(SignalPath::parse("Acme.Z").unwrap() < known);
        assert!(known < SignalPath::parse("acme.A").unwrap());
    }

    #[test]
    fn a_map_of_signals_is_searched_by_text() {
        let map = BTreeMap::from([(SignalPath::parse("Vehicle.Speed").unwrap(), 1)]);
        assert_eq!(map.get("Vehicle.Speed"), Some(&1));
    }

    #[test]
    fn json_goes_through_the_parser() {
        let path: SignalPath = serde_json::from_str(r#""Vehicle.Speed""#).unwrap();
        assert!(path.def().is_some());
        assert_eq!(serde_json::to_string(&path).unwrap(), r#""Vehicle.Speed""#);
        assert!(serde_json::from_str::<SignalPath>(r#""not a path""#).is_err());
    }
}
