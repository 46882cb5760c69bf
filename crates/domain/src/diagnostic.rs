//! Diagnostic trouble codes (SAE J2012).

use std::fmt;
use std::str::FromStr;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

/// The result of a vehicle's self-diagnosis at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// When it was read.
    pub at: Timestamp,
    /// Whether the malfunction indicator lamp was on; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mil: Option<bool>,
    /// The trouble codes, in the order in which they were sent.
    pub dtcs: Vec<TroubleCode>,
}

/// A trouble code and its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleCode {
    /// The code.
    pub code: Dtc,
    /// Active, pending or permanent.
    pub status: DtcStatus,
}

/// Status of a trouble code (SAE J1979 modes 03, 07 and 0A).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DtcStatus {
    /// Confirmed, mode 03.
    Active,
    /// Detected in the current or the last driving cycle, mode 07.
    Pending,
    /// Remains until the vehicle itself detects that the fault is repaired, mode 0A.
    Permanent,
}

/// A diagnostic trouble code: a letter P, C, B or U, a digit 0–3 and three hexadecimal digits, upper case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Dtc(String);

/// A text that is not a trouble code.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a trouble code is P, C, B or U, a digit 0-3 and three hexadecimal digits, such as P0301")]
pub struct InvalidDtc;

impl Dtc {
    /// Decodes the two bytes of a code as a vehicle sends them: 0x0123 is P0123 (SAE J2012 §4).
    pub fn from_bytes(raw: u16) -> Self {
        let letter = ['P', 'C', 'B', 'U'][usize::from(raw >> 14)];
        Self(format!("{letter}{}{:03X}", raw >> 12 & 3, raw & 0xFFF))
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Dtc {
    type Err = InvalidDtc;

    fn from_str(text: &str) -> Result<Self, InvalidDtc> {
        let code = text.to_ascii_uppercase();
        match code.as_bytes() {
            [b'P' | b'C' | b'B' | b'U', b'0'..=b'3', rest @ ..]
                if rest.len() == 3 && rest.iter().all(u8::is_ascii_hexdigit) =>
            {
                Ok(Self(code))
            }
            _ => Err(InvalidDtc),
        }
    }
}

impl TryFrom<String> for Dtc {
    type Error = InvalidDtc;

    fn try_from(text: String) -> Result<Self, InvalidDtc> {
        text.parse()
    }
}

impl From<Dtc> for String {
    fn from(code: Dtc) -> Self {
        code.0
    }
}

impl fmt::Display for Dtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_codes_are_decoded_as_in_sae_j2012() {
        for (raw, code) in [(0x0123, "P0123"), (0x4300, "C0300"), (0x9234, "B1234"), (0xC100, "U0100"), (0x3FFF, "P3FFF")] {
            assert_eq!(Dtc::from_bytes(raw).as_str(), code);
        }
    }

    #[test]
    fn other_texts_from_phone_loggers_are_not_trouble_codes() {
        for text in ["", "MIL is OFF0 codes", "4101000761001:00410100076100", "P4301", "P03O1", "P030", "X0301", "P03011"] {
            assert_eq!(text.parse::<Dtc>(), Err(InvalidDtc), "{text}");
        }
        assert_eq!("p0301".parse::<Dtc>().map(String::from), Ok("P0301".to_owned()));
    }
}
