//! Vehicle identification numbers (ISO 3779).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A vehicle identification number: 17 characters of A–Z and 0–9 without I, O and Q, upper case. Personal data: `Debug`
/// hides it, and it must not be used in a path, key, log line, metric or object name.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Vin(String);

/// Why a text is not a VIN.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVin {
    /// Not 17 characters.
    #[error("a VIN must have 17 characters")]
    Length,
    /// A character outside A–Z 0–9, or I, O or Q.
    #[error("a VIN must consist of A-Z and 0-9, without I, O and Q")]
    Character,
    /// The VIN is North American and its check digit (49 CFR 565.15) is wrong.
    #[error("the check digit (9th character) of this North American VIN is wrong")]
    CheckDigit,
}

impl Vin {
    /// Returns the VIN as text. It is personal data: do not log it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the 9th character is the check digit of 49 CFR 565.15. It is not required outside North America.
    pub fn has_valid_check_digit(&self) -> bool {
        check_digit(self.0.as_bytes()) == self.0.as_bytes().get(8).copied()
    }
}

impl FromStr for Vin {
    type Err = InvalidVin;

    fn from_str(text: &str) -> Result<Self, InvalidVin> {
        let text = text.trim().to_ascii_uppercase();
        if text.chars().count() != 17 {
            return Err(InvalidVin::Length);
        }
        if !text.bytes().all(|c| c.is_ascii_alphanumeric() && !matches!(c, b'I' | b'O' | b'Q')) {
            return Err(InvalidVin::Character);
        }
        let vin = Self(text);
        let north_american = matches!(vin.0.as_bytes()[0], b'1'..=b'5');
        if north_american && !vin.has_valid_check_digit() {
            return Err(InvalidVin::CheckDigit);
        }
        Ok(vin)
    }
}

impl TryFrom<String> for Vin {
    type Error = InvalidVin;

    fn try_from(text: String) -> Result<Self, InvalidVin> {
        text.parse()
    }
}

impl From<Vin> for String {
    fn from(vin: Vin) -> Self {
        vin.0
    }
}

/// Returns true for 17 letters and digits of either case without I, O and Q. The check digit is not verified: a VIN with a
/// typing error still identifies a vehicle. 17 digits are a number and 17 letters are a word; neither is a VIN.
pub fn looks_like_vin(word: &[u8]) -> bool {
    const LEN: usize = 17;
    word.len() == LEN
        && word.iter().any(u8::is_ascii_digit)
        && word.iter().any(u8::is_ascii_alphabetic)
        && !word.iter().any(|byte| matches!(byte.to_ascii_uppercase(), b'I' | b'O' | b'Q'))
}

impl fmt::Debug for Vin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vin(…)")
    }
}

/// Computes the check digit of 49 CFR 565.15(c): the sum of transliterated characters times position weights, modulo 11;
/// 10 is X.
fn check_digit(vin: &[u8]) -> Option<u8> {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let sum = vin.iter().zip(WEIGHTS).try_fold(0, |sum, (c, weight)| {
        let value = match c {
            b'0'..=b'9' => u32::from(c - b'0'),
            b'A'..=b'H' => u32::from(c - b'A') + 1,
            b'J'..=b'N' => u32::from(c - b'J') + 1,
            b'P' => 7,
            b'R' => 9,
            b'S'..=b'Z' => u32::from(c - b'S') + 2,
            _ => return None,
        };
        Some(sum + value * weight)
    })?;
    Some(match sum % 11 {
        10 => b'X',
        digit => b'0' + u8::try_from(digit).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digit_is_required_only_in_north_america() {
        assert!("1M8GDM9AXKP042788".parse::<Vin>().is_ok());
        assert_eq!("1M8GDM9A1KP042788".parse::<Vin>(), Err(InvalidVin::CheckDigit));
        let european: Vin = "WVWZZZ3CZEE140287".parse().unwrap();
        assert!(!european.has_valid_check_digit());
    }

    #[test]
    fn vin_is_upper_cased_and_its_characters_are_checked() {
        assert_eq!("wvwzzz3czee140287".parse::<Vin>().unwrap().as_str(), "WVWZZZ3CZEE140287");
        assert_eq!("WVWZZZ3CZEE14028".parse::<Vin>(), Err(InvalidVin::Length));
        assert_eq!("WVWZZZ3CZEE14028O".parse::<Vin>(), Err(InvalidVin::Character));
        assert_eq!("ÄVWZZZ3CZEE140287".parse::<Vin>(), Err(InvalidVin::Character));
    }

    #[test]
    fn debug_output_hides_the_vin() {
        let vin: Vin = "WVWZZZ3CZEE140287".parse().unwrap();
        assert!(!format!("{vin:?}").contains("WVW"));
    }

    #[test]
    fn vectors_are_accepted_or_refused_by_format_and_check_digit() {
        let table = csv::Reader::from_reader(include_str!("vin/vectors.csv").as_bytes());
        let mut count = 0;
        for row in table.into_records() {
            let row = row.unwrap();
            count += 1;
            let (vin, well_formed, check_digit_valid, case) = (&row[0], &row[1] == "true", &row[2] == "true", &row[3]);
            match vin.parse::<Vin>() {
                Ok(parsed) => {
                    assert_eq!((well_formed, parsed.has_valid_check_digit()), (true, check_digit_valid), "{vin}: {case}");
                }
                Err(InvalidVin::CheckDigit) => assert_eq!((well_formed, check_digit_valid), (true, false), "{vin}: {case}"),
                Err(_) => assert!(!well_formed, "{vin}: {case}"),
            }
        }
        assert_eq!(count, 37, "every vector was read");
    }
}
