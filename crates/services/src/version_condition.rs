//! Conditions on the version of a stored resource, under which a request changes it (RFC 9110, 13.1).

/// The versions that a condition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Every version: the resource exists (`*`).
    Any,
    /// These versions. An empty list names none.
    Of(Vec<u64>),
}

impl Versions {
    /// Returns whether `version` is one of these versions.
    pub fn contains(&self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Of(versions) => versions.contains(&version),
        }
    }
}

/// The conditions of a request. The default allows every change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionCondition {
    /// The resource must be at one of these versions (`If-Match`).
    pub matching: Option<Versions>,
    /// The resource must be at none of these versions (`If-None-Match`).
    pub excluded: Option<Versions>,
}

impl VersionCondition {
    /// Returns whether a resource at this version may be changed.
    pub fn allows(&self, version: u64) -> bool {
        let is_matching = self.matching.as_ref().is_none_or(|versions| versions.contains(version));
        is_matching && !self.excluded.as_ref().is_some_and(|versions| versions.contains(version))
    }

    /// Returns whether the condition requires that the resource exists.
    pub const fn requires_existence(&self) -> bool {
        self.matching.is_some()
    }
}

/// The resource must be at this version.
impl From<u64> for VersionCondition {
    fn from(version: u64) -> Self {
        Self { matching: Some(Versions::Of(vec![version])), excluded: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_conditions_must_hold() {
        let of = |versions: &[u64]| Some(Versions::Of(versions.to_vec()));
        for (matching, excluded, allowed) in [
            (None, None, true),
            (Some(Versions::Any), None, true),
            (of(&[3, 7]), None, true),
            (of(&[]), None, false),
            (of(&[3]), None, false),
            (None, Some(Versions::Any), false),
            (None, of(&[3]), true),
            (Some(Versions::Any), of(&[3, 7]), false),
        ] {
            let condition = VersionCondition { matching, excluded };
            assert_eq!(condition.allows(7), allowed, "{condition:?}");
        }
    }
}
