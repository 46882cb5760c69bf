use crate::{Catalogue, SignalDef, SignalRejection};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Maximum length of a path in bytes.
pub const MAX_PATH_BYTES: usize = 256;

/// The name of a signal: a catalogue entry, or an unknown path, stored unchanged.
///
/// Equality, order and hash are those of the path text, so that a signal that is added to the catalogue later remains the
/// same signal, and a map can be searched with a `&str`.
#[derive(Clone)]
pub enum SignalPath {
    /// A signal of the catalogue.
    Known(&'static SignalDef),
    /// A well-formed path that is not in the catalogue. Its values are stored exactly, and no package contains it.
    Unknown(Box<str>),
}

impl SignalPath {
    /// Parses a path: 1 to 256 bytes, segments of `[A-Za-z0-9_-]` separated by single dots. Fails with `BadPath` otherwise.
    pub fn parse(path: &str) -> Result<Self, SignalRejection> {
        if let Some(def) = Catalogue::get().by_path(path) {
            return Ok(Self::Known(def));
        }
        if is_well_formed(path) { Ok(Self::Unknown(path.into())) } else { Err(SignalRejection::BadPath) }
    }

    /// Returns the text of the path.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(def) => def.path,
            Self::Unknown(path) => path,
        }
    }

    /// Returns the catalogue entry, or `None` for an unknown path.
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
    fn well_formed_paths_outside_the_catalogue_are_unknown() {
        assert!(SignalPath::parse("Vehicle.Speed").unwrap().def().is_some());
        for path in ["Vehicle.speed", "x", "Vehicle", "acme.door-3.open_1", &"a".repeat(MAX_PATH_BYTES)] {
            let parsed = SignalPath::parse(path).unwrap();
            assert!(parsed.def().is_none(), "{path}");
            assert_eq!(parsed.to_string(), path);
        }
    }

    #[test]
    fn malformed_paths_are_refused() {
        for path in ["", ".", "a.", ".a", "a..b", "a b", "a/b", "Fahrzeug.Größe", "a\n", &"a".repeat(MAX_PATH_BYTES + 1)] {
            assert_eq!(SignalPath::parse(path), Err(SignalRejection::BadPath), "{path:?}");
        }
    }

    #[test]
    fn known_and_unknown_paths_are_compared_by_text() {
        let known = SignalPath::parse("Vehicle.Speed").unwrap();
        let unknown = SignalPath::Unknown("Vehicle.Speed".into());
        assert_eq!(known, unknown);
        assert!(SignalPath::parse("Acme.Z").unwrap() < known);
        assert!(known < SignalPath::parse("acme.A").unwrap());
    }

    #[test]
    fn map_of_signals_is_searched_by_text() {
        let map = BTreeMap::from([(SignalPath::parse("Vehicle.Speed").unwrap(), 1)]);
        assert_eq!(map.get("Vehicle.Speed"), Some(&1));
    }

    #[test]
    fn deserialization_validates_the_path() {
        let path: SignalPath = serde_json::from_str(r#""Vehicle.Speed""#).unwrap();
        assert!(path.def().is_some());
        assert_eq!(serde_json::to_string(&path).unwrap(), r#""Vehicle.Speed""#);
        assert!(serde_json::from_str::<SignalPath>(r#""not a path""#).is_err());
    }
}
