//! A package with the signals of the catalogue that it contains.

use std::sync::OnceLock;

use roadcast_signals::{Catalogue, SignalDef};

use super::Package;

/// A package with an index of its signals: every event that is delivered is redacted by them, and comparing a path with each
/// pattern takes a tenth of the time of a delivery.
#[derive(Clone, Debug)]
pub(crate) struct IndexedPackage {
    package: Package,
    /// A bit for each number of the catalogue. Created when a signal is looked up for the first time: many packages never are.
    numbers: OnceLock<Box<[u64]>>,
}

impl IndexedPackage {
    pub(crate) fn package(&self) -> &Package {
        &self.package
    }

    /// Whether the package contains this signal.
    pub(crate) fn contains(&self, def: &SignalDef) -> bool {
        let (word, bit) = position(def);
        self.numbers().get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn numbers(&self) -> &[u64] {
        self.numbers.get_or_init(|| {
            let mut numbers = Vec::new();
            for def in Catalogue::get().iter().filter(|def| self.package.contains_signal(def.path)) {
                let (word, bit) = position(def);
                if word >= numbers.len() {
                    numbers.resize(word + 1, 0);
                }
                numbers[word] |= bit;
            }
            numbers.into_boxed_slice()
        })
    }
}

/// Returns the word of a signal and its bit in it.
fn position(def: &SignalDef) -> (usize, u64) {
    (usize::from(def.number / 64), 1 << (def.number % 64))
}

impl From<Package> for IndexedPackage {
    fn from(package: Package) -> Self {
        Self { package, numbers: OnceLock::new() }
    }
}

impl PartialEq for IndexedPackage {
    fn eq(&self, other: &Self) -> bool {
        self.package == other.package
    }
}

impl Eq for IndexedPackage {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Packages;

    #[test]
    fn index_has_exactly_the_signals_that_the_patterns_match() {
        let packages = Packages::built_in();
        for package in packages.iter() {
            let indexed = packages.indexed(package.name.as_str()).unwrap();
            for def in Catalogue::get().iter() {
                assert_eq!(
                    indexed.contains(def),
                    package.contains_signal(def.path),
                    "{} {}",
                    package.name.as_str(),
                    def.path
                );
            }
        }
    }
}
