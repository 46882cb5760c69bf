//! Signals whose numbers are mostly proportional to those of another one.

use roadcast_signals::{Column, Values};

use crate::sequence::Reference;

/// Returns the numbers of the signals to which the numbers of a signal may be proportional, the best first: the mass flow of
/// air, the fuel that it burns and the carbon dioxide that the fuel becomes; speeds from several sources.
const fn related(number: u16) -> &'static [u16] {
    match number {
        1286 => &[1058],
        1386 => &[1289],
        1387 => &[1286, 1058],
        1391 | 1392 => &[1386],
        _ => &[],
    }
}

/// Returns the points from which those of `column` may be predicted. `earlier` are the signals before it, with whether each is
/// written as points of its grid.
pub(crate) fn reference<'c>(column: &Column, earlier: &'c [Column], on_grid: &[bool]) -> Option<Reference<'c>> {
    let numbers = related(column.path.def()?.number);
    numbers.iter().find_map(|number| {
        let has_number = |other: &Column| other.path.def().is_some_and(|def| def.number == *number);
        let index = earlier.iter().rposition(has_number)?;
        let other = earlier.get(index)?;
        match &other.values {
            Values::Grid { points, .. } if on_grid.get(index) == Some(&true) && other.presence == column.presence => {
                Some(Reference { distance: (earlier.len() - index) as u64, numbers: points })
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use roadcast_signals::Catalogue;

    use super::*;

    #[test]
    fn related_signals_are_those_of_the_catalogue() {
        let path = |number: u16| Catalogue::get().by_number(number).map(|def| def.path);
        for (signal, others) in [
            ("Vehicle.OBD.Speed", &["Vehicle.Speed"][..]),
            ("Vehicle.OBD.FuelRate", &["Vehicle.OBD.MAF"]),
            ("Vehicle.CurrentLocation.Speed", &["Vehicle.OBD.Speed", "Vehicle.Speed"]),
            ("Vehicle.OBD.CalculatedMAF", &["Vehicle.OBD.FuelRate"]),
            ("Vehicle.Powertrain.CombustionEngine.CO2EmissionRate", &["Vehicle.OBD.FuelRate"]),
        ] {
            let number = Catalogue::get().by_path(signal).map_or(0, |def| def.number);
            let found: Vec<_> = related(number).iter().filter_map(|number| path(*number)).collect();
            assert_eq!(found, others, "{signal}");
            assert!(related(number).iter().all(|other| *other < number), "{signal} must be after the signals it refers to");
        }
    }
}
