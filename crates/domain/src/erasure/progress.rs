//! The steps of an erasure, in order.

use serde::{Deserialize, Serialize};

use super::ErasedStore;

/// A pass over the stores.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pass {
    /// Hides the vehicles, and erases what is stored about them.
    First,
    /// Erases what was written during the first pass.
    Second,
}

/// A step of a pass.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "step", content = "store")]
pub enum ErasureStep {
    /// Hides the vehicles from callers.
    Hide,
    /// Removes the vehicles from the subscriptions of all fleets.
    Subscriptions,
    /// Erases a store.
    Erase(ErasedStore),
}

/// What an erasure does next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErasureProgress {
    /// The pass.
    pub pass: Pass,
    /// The step.
    #[serde(flatten)]
    pub step: ErasureStep,
    /// Where the step continues; absent at its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
}

impl ErasureProgress {
    /// The first step of the first pass.
    pub const START: Self = Self { pass: Pass::First, step: ErasureStep::Hide, position: None };

    /// Returns the progress at another position of the same step.
    #[must_use]
    pub fn at(&self, position: String) -> Self {
        Self { position: Some(position), ..self.clone() }
    }

    /// Returns the next step; `None` after the last one.
    pub fn next(&self) -> Option<Self> {
        let start = |pass, step| Some(Self { pass, step, position: None });
        match self.step {
            ErasureStep::Hide => start(self.pass, ErasureStep::Subscriptions),
            ErasureStep::Subscriptions => start(self.pass, ErasureStep::Erase(ErasedStore::ALL[0])),
            ErasureStep::Erase(store) => {
                let following = ErasedStore::ALL.iter().skip_while(|other| **other != store).nth(1);
                match (following, self.pass) {
                    (Some(following), pass) => start(pass, ErasureStep::Erase(*following)),
                    (None, Pass::First) => start(Pass::Second, ErasureStep::Subscriptions),
                    (None, Pass::Second) => None,
                }
            }
        }
    }

    /// Whether this is the start of the second pass, which waits until its time.
    pub fn starts_second_pass(&self) -> bool {
        *self == Self { pass: Pass::Second, step: ErasureStep::Subscriptions, position: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pass_erases_every_store_once() {
        let steps: Vec<_> = std::iter::successors(Some(ErasureProgress::START), ErasureProgress::next).collect();
        for pass in [Pass::First, Pass::Second] {
            let of_pass = steps.iter().filter(|progress| progress.pass == pass);
            let stores = of_pass.filter_map(|progress| match progress.step {
                ErasureStep::Erase(store) => Some(store),
                ErasureStep::Hide | ErasureStep::Subscriptions => None,
            });
            let stores: Vec<_> = stores.collect();
            assert_eq!(stores, ErasedStore::ALL);
        }
        assert_eq!(steps.iter().filter(|progress| progress.starts_second_pass()).count(), 1);
        let text = serde_json::to_string(&steps[3].at("x".to_owned())).unwrap();
        assert_eq!(text, r#"{"pass":"first","step":"erase","store":"mappings","position":"x"}"#);
        assert_eq!(serde_json::from_str::<ErasureProgress>(&text).unwrap(), steps[3].at("x".to_owned()));
    }
}
