//! Names of packages.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits;

/// The name of a package, such as `track-and-trace`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageName(String);

/// A text that is not a package name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a package name is 1 to {} characters of a-z, 0-9 and inner hyphens", limits::PACKAGE_NAME_BYTES)]
pub struct InvalidPackageName;

impl PackageName {
    /// Creates the name of a built-in package. A test checks that it is valid.
    pub(super) fn built_in(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PackageName {
    type Err = InvalidPackageName;

    fn from_str(text: &str) -> Result<Self, InvalidPackageName> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for PackageName {
    type Error = InvalidPackageName;

    fn try_from(text: String) -> Result<Self, InvalidPackageName> {
        let is_edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
        let bytes = text.as_bytes();
        let has_valid_bytes = bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-');
        let is_name =
            has_valid_bytes && is_edge(bytes.first()) && is_edge(bytes.last()) && bytes.len() <= limits::PACKAGE_NAME_BYTES;
        if is_name { Ok(Self(text)) } else { Err(InvalidPackageName) }
    }
}

impl From<PackageName> for String {
    fn from(name: PackageName) -> Self {
        name.0
    }
}

/// A name has the order and the hash of its text.
impl Borrow<str> for PackageName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_lower_case_letters_digits_and_inner_hyphens() {
        for name in ["a", "tyres", "tyres-2", "2", &"x".repeat(64)] {
            assert_eq!(name.parse::<PackageName>().map(String::from).as_deref(), Ok(name));
        }
        for name in ["", "-a", "a-", "-", "Tyres", "a_b", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(name.parse::<PackageName>(), Err(InvalidPackageName), "{name}");
            assert!(serde_json::from_value::<PackageName>(name.into()).is_err(), "{name}");
        }
    }
}
