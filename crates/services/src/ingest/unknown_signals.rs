//! Paths that look like signals of the catalogue but are not: usually misspelt. They are stored, but no package grants them.

use std::collections::HashSet;

use roadcast_domain::event::{Body, Event};
use roadcast_signals::{Catalogue, SignalPath};

use super::AcceptedEvent;

/// Maximum paths in one answer. Each of them is compared with the whole catalogue.
const MAX_PATHS: usize = 16;
/// The first segment of all paths of the catalogue.
const ROOT: &str = "Vehicle.";

/// A path below `Vehicle` that is not in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSignal {
    /// The path as it was sent.
    pub path: String,
    /// The path of the catalogue that it may mean.
    pub nearest: Option<&'static str>,
}

/// Returns the first 16 different paths of `events` that are below `Vehicle` but not in the catalogue, each with the
/// path that it may mean.
pub fn unknown_signals<'a>(events: impl IntoIterator<Item = &'a AcceptedEvent>) -> Vec<UnknownSignal> {
    let mut seen = HashSet::new();
    let paths = events.into_iter().flat_map(|event| &event.unknown_paths).filter(|path| seen.insert(path.as_str()));
    let signal = |path: &String| UnknownSignal {
        path: path.clone(),
        nearest: Catalogue::get().nearest(path).map(|nearest| nearest.path),
    };
    paths.take(MAX_PATHS).map(signal).collect()
}

/// Returns the different paths of an event that are below `Vehicle`, in any case, but not in the catalogue: at most
/// [`MAX_PATHS`] of them.
pub(super) fn unknown_paths(event: &Event) -> Vec<String> {
    let Body::Telemetry(telemetry) = &event.body else { return Vec::new() };
    let is_below_root = |path: &str| path.get(..ROOT.len()).is_some_and(|start| start.eq_ignore_ascii_case(ROOT));
    let paths = telemetry.samples.columns().iter().map(|column| &column.path);
    let unknown = paths.filter(|path| path.def().is_none() && is_below_root(path.as_str()));
    unknown.map(SignalPath::as_str).take(MAX_PATHS).map(str::to_owned).collect()
}
