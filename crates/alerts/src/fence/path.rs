//! Distances to lines.

use geo::{Coord, Distance, Euclidean, Line, Point};

use super::METRES_PER_DEGREE;
use super::bounds::Bounds;

/// The edges of lines.
#[derive(Clone, Debug)]
pub(super) struct Path {
    edges: Vec<Edge>,
}

#[derive(Clone, Debug)]
struct Edge {
    /// The area within the largest distance.
    reach: Bounds,
    start: Coord,
    /// Metres of a degree of longitude in the middle of the edge.
    metres_per_degree: f64,
    /// The edge in metres from its start.
    line: Line,
}

impl Path {
    /// Prepares lines for distances up to `max_m`.
    pub(super) fn new<'l>(lines: impl IntoIterator<Item = &'l [Coord]>, max_m: f64) -> Self {
        let edges = lines.into_iter().flat_map(|line| line.windows(2)).filter_map(|ends| {
            let [start, end] = *ends else { return None };
            let metres_per_degree = METRES_PER_DEGREE * f64::midpoint(start.y, end.y).to_radians().cos();
            let vector = Coord { x: (end.x - start.x) * metres_per_degree, y: (end.y - start.y) * METRES_PER_DEGREE };
            let line = Line::new(Coord::zero(), vector);
            Some(Edge { reach: Bounds::of(ends, max_m), start, metres_per_degree, line })
        });
        Self { edges: edges.collect() }
    }

    /// Whether a place is within a distance of one of the lines.
    pub(super) fn is_within(&self, at: Coord, distance_m: f64) -> bool {
        let is_near = |edge: &&Edge| {
            let x = (at.x - edge.start.x) * edge.metres_per_degree;
            let y = (at.y - edge.start.y) * METRES_PER_DEGREE;
            Euclidean.distance(&Point::new(x, y), &edge.line) <= distance_m
        };
        self.edges.iter().filter(|edge| edge.reach.contains(at)).any(|edge| is_near(&edge))
    }
}
