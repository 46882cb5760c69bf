//! What a fleet may see at one time, and what it no longer sees later.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Entitlement;
use crate::event::EventType;
use crate::package::{Package, PackageName, Packages};

/// What a fleet may see of a vehicle at one time: of each package, the data that was received from a time on. There is no end,
/// because a grant that is live contains the present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Visibility(Vec<VisiblePackage>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VisiblePackage {
    name: PackageName,
    /// A digest of the contents of the package at that time.
    contents: u32,
    /// The received time from which data is visible.
    from: Timestamp,
}

/// What a fleet saw at an earlier time and no longer sees.
#[derive(Clone, Debug)]
pub struct Lost<'p> {
    earlier: Vec<&'p VisiblePackage>,
    now: &'p Visibility,
    packages: &'p Packages,
}

impl Entitlement {
    /// Returns what the fleet may see at `now`.
    pub fn visibility(&self, packages: &Packages, now: Timestamp) -> Visibility {
        let live = self.grants.iter().filter(|grant| grant.is_live(now));
        let mut visible: Vec<VisiblePackage> = Vec::new();
        for (name, from) in live.flat_map(|grant| grant.packages.iter().map(|name| (name, grant.validity.valid_from))) {
            let Some(package) = packages.get(name.as_str()) else { continue };
            match visible.iter_mut().find(|visible| visible.name == *name) {
                Some(visible) => visible.from = visible.from.min(from),
                None => visible.push(VisiblePackage { name: name.clone(), contents: digest(package), from }),
            }
        }
        visible.sort_by(|a, b| a.name.cmp(&b.name));
        Visibility(visible)
    }
}

impl Visibility {
    /// Returns what was visible at an earlier time, and no longer is.
    pub fn lost_since<'p>(&'p self, earlier: &'p Self, packages: &'p Packages) -> Lost<'p> {
        let is_kept = |before: &VisiblePackage| {
            let is_same = |now: &VisiblePackage| now.name == before.name && now.contents == before.contents;
            self.0.iter().any(|now| is_same(now) && now.from <= before.from)
        };
        Lost { earlier: earlier.0.iter().filter(|before| !is_kept(before)).collect(), now: self, packages }
    }

    /// The received time from which data is visible that a package with `contains` contains; `None` if it is not visible.
    fn from(&self, packages: &Packages, contains: &impl Fn(&Package) -> bool) -> Option<Timestamp> {
        let visible = self.0.iter().filter(|visible| packages.get(visible.name.as_str()).is_some_and(contains));
        visible.map(|visible| visible.from).min()
    }
}

impl Lost<'_> {
    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.earlier.is_empty()
    }

    /// Whether values of a signal may have been visible that no longer are.
    pub fn contains_signal(&self, path: &str) -> bool {
        self.contains(|package| package.contains_signal(path))
    }

    /// Whether events of a type may have been visible that no longer are.
    pub fn contains_event_type(&self, event_type: &EventType) -> bool {
        self.contains(|package| package.event_types.contains(event_type))
    }

    fn contains(&self, contains: impl Fn(&Package) -> bool) -> bool {
        let now = self.now.from(self.packages, &contains);
        self.earlier.iter().any(|lost| {
            // What is not known of a package that has changed, it may have contained.
            let package = self.packages.get(lost.name.as_str()).filter(|package| digest(package) == lost.contents);
            package.is_none_or(&contains) && now.is_none_or(|now| now > lost.from)
        })
    }
}

fn digest(package: &Package) -> u32 {
    let mut hash = Sha256::new();
    for text in package.signals.iter().map(String::as_str).chain(package.event_types.iter().map(EventType::as_str)) {
        hash.update(text);
        hash.update([0]);
    }
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    u32::from_be_bytes([a, b, c, d])
}
