//! Names and master data of simulated vehicles.

use rand::RngExt;

use crate::row::{VehicleDetails, VehicleKey};

const SCHEME: &str = "sim";
const COMBUSTION: [(&str, &str, &str); 4] = [
    ("Volkswagen", "Golf", "gasoline"),
    ("Opel", "Movano", "diesel"),
    ("Toyota", "Avensis", "gasoline"),
    ("Skoda", "Octavia", "diesel"),
];
const ELECTRIC: [(&str, &str); 3] = [("Renault", "Zoe"), ("Hyundai", "Kona"), ("Nissan", "Leaf")];

/// The characters of a VIN (ISO 3779): all except I, O and Q.
const VIN_CHARACTERS: &[u8; 33] = b"0123456789ABCDEFGHJKLMNPRSTUVWXYZ";
/// The value of each character in the check digit (49 CFR 565).
const VIN_VALUES: [u32; 33] =
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9];
const VIN_WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
const CHECK_DIGIT: usize = 8;

/// Returns the name of a vehicle. It contains the seed, so that different simulations have different vehicles.
pub(super) fn key(seed: u64, index: usize) -> VehicleKey {
    VehicleKey::new(SCHEME, format!("{seed}-{index:05}"))
}

pub(super) fn details(is_electric: bool, rng: &mut impl RngExt) -> VehicleDetails {
    let (make, model, fuel_type) = if is_electric {
        let (make, model) = ELECTRIC[rng.random_range(0..ELECTRIC.len())];
        (make, model, "electric")
    } else {
        COMBUSTION[rng.random_range(0..COMBUSTION.len())]
    };
    VehicleDetails {
        make: Some(make.to_owned()),
        model: Some(model.to_owned()),
        model_year: Some(rng.random_range(2015..=2025)),
        fuel_type: Some(fuel_type.to_owned()),
        vin: Some(vin(rng)),
    }
}

/// Creates a VIN with the unassigned manufacturer code `ZZZ` and a valid check digit.
fn vin(rng: &mut impl RngExt) -> String {
    let z = VIN_CHARACTERS.len() - 1;
    let mut indices: [usize; 17] = std::array::from_fn(|position| match position {
        0..3 => z,
        // The serial number at the end is numeric, as for most manufacturers.
        11.. => rng.random_range(0..10),
        _ => rng.random_range(0..VIN_CHARACTERS.len()),
    });
    let sum: u32 = indices.iter().zip(VIN_WEIGHTS).map(|(index, weight)| VIN_VALUES[*index] * weight).sum();
    let remainder = sum % 11;
    let check = if remainder == 10 { 'X' } else { char::from_digit(remainder, 10).unwrap_or('0') };
    indices[CHECK_DIGIT] = VIN_CHARACTERS.iter().position(|character| char::from(*character) == check).unwrap_or_default();
    indices.iter().map(|index| char::from(VIN_CHARACTERS[*index])).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn vin_has_a_valid_check_digit() {
        let mut rng = StdRng::seed_from_u64(3);
        for _ in 0..200 {
            let vin = vin(&mut rng);
            assert_eq!(vin.len(), 17);
            let sum: u32 = vin
                .bytes()
                .zip(VIN_WEIGHTS)
                .map(|(byte, weight)| {
                    let index = VIN_CHARACTERS.iter().position(|character| *character == byte);
                    VIN_VALUES[index.unwrap_or_default()] * weight
                })
                .sum();
            let expected = if sum % 11 == 10 { "X".to_owned() } else { (sum % 11).to_string() };
            assert_eq!(&vin[CHECK_DIGIT..=CHECK_DIGIT], expected);
        }
    }
}
