//! The keys of the unique entries of vehicle names. A VIN has an entry under the digest by each secret that is in use, so
//! that it stays unique and is found while the secret of the stack is rotated.

use std::collections::BTreeSet;
use std::sync::Arc;

use roadcast_domain::secret::{Secret, StackSecrets};
use roadcast_domain::subject::VehicleName;
use roadcast_domain::vin::Vin;
use roadcast_ports::PortError;
use roadcast_ports::secrets::SecretSource;

use crate::dynamodb::keys::Key;

/// Formats the keys of names.
pub(crate) struct NameKeys {
    /// `None` if no name is a VIN.
    secrets: Option<Arc<StackSecrets>>,
}

impl NameKeys {
    /// Returns the formatter for `names`. Reads the secret only if one of them is a VIN.
    pub(crate) async fn load<'n>(
        source: &impl SecretSource,
        mut names: impl Iterator<Item = &'n VehicleName> + Send,
    ) -> Result<Self, PortError> {
        let has_vin = names.any(|name| matches!(name, VehicleName::Vin(_)));
        Ok(Self::of_secrets(if has_vin { Some(source.secrets().await?) } else { None }))
    }

    /// Returns the formatter for `names` and for the digests that are kept of erased ones.
    pub(crate) async fn load_for_digests(source: &impl SecretSource, names: &[VehicleName]) -> Result<Self, PortError> {
        Ok(Self::of_secrets(if names.is_empty() { None } else { Some(source.secrets().await?) }))
    }

    /// Returns the formatter with secrets, or for external ids only.
    pub(crate) const fn of_secrets(secrets: Option<Arc<StackSecrets>>) -> Self {
        Self { secrets }
    }

    /// Returns the keys of a name under which its entry is stored and looked up: under the current secret first, and under
    /// the previous one, which other functions may still have as their current one.
    pub(crate) fn stored(&self, name: &VehicleName) -> Vec<Key> {
        match (name, self.secrets.as_deref()) {
            (VehicleName::External(id), _) => vec![Key::external_id(id)],
            (VehicleName::Vin(vin), secrets) => keys(vin, secrets.into_iter().flat_map(StackSecrets::stored)),
        }
    }

    /// Returns the keys under which an entry of a name may exist, also under the pending secret.
    pub(crate) fn all(&self, name: &VehicleName) -> Vec<Key> {
        match (name, self.secrets.as_deref()) {
            (VehicleName::External(id), _) => vec![Key::external_id(id)],
            (VehicleName::Vin(vin), secrets) => keys(vin, secrets.into_iter().flat_map(StackSecrets::all)),
        }
    }

    /// Returns the keys of the digests that are kept of a name if its vehicle was erased, also under the pending secret. A secret
    /// is found as long as a digest is kept.
    pub(crate) fn erased(&self, name: &VehicleName) -> Vec<Key> {
        let secrets = self.secrets.iter().flat_map(|secrets| secrets.all());
        secrets.map(|secret| Key::erased_name(name, secret)).collect()
    }

    /// Returns the keys of the digests of `names`, each once.
    pub(crate) fn erased_of(&self, names: &[VehicleName]) -> BTreeSet<Key> {
        names.iter().flat_map(|name| self.erased(name)).collect()
    }

    /// Returns the keys of `names` under which their entries are stored, each once: a transaction must not contain an item
    /// twice.
    pub(crate) fn stored_of(&self, names: &[VehicleName]) -> BTreeSet<Key> {
        names.iter().flat_map(|name| self.stored(name)).collect()
    }

    /// Returns the keys of the external ids in `names`, whose entries never change while a vehicle has the name. A VIN may
    /// have no entry under the current secret yet.
    pub(crate) fn settled_of(names: &[VehicleName]) -> BTreeSet<Key> {
        let keys = names.iter().filter_map(|name| match name {
            VehicleName::External(id) => Some(Key::external_id(id)),
            VehicleName::Vin(_) => None,
        });
        keys.collect()
    }

    /// Returns the keys of `names` under which entries may exist, each once.
    pub(crate) fn all_of(&self, names: &[VehicleName]) -> BTreeSet<Key> {
        names.iter().flat_map(|name| self.all(name)).collect()
    }
}

fn keys<'s>(vin: &Vin, secrets: impl Iterator<Item = &'s Secret>) -> Vec<Key> {
    secrets.map(|secret| Key::vin(vin, secret)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::external_id::ExternalId;

    use super::*;

    fn formatter(current: u8, previous: Option<u8>, pending: Option<u8>) -> NameKeys {
        let secret = |number: u8| Secret::new([number; 32]).unwrap();
        let secrets =
            StackSecrets { current: secret(current), previous: previous.map(secret), pending: pending.map(secret) };
        NameKeys::of_secrets(Some(Arc::new(secrets)))
    }

    fn vin() -> [VehicleName; 1] {
        [VehicleName::Vin("WVWZZZ3CZEE140287".parse().unwrap())]
    }

    /// The secrets of a function at the steps of two rotations, in order. A step follows when every function knows the one
    /// before, so that two functions at a time are at most one step apart.
    fn steps() -> Vec<NameKeys> {
        let steps = [
            (1, None, None),
            (1, None, Some(2)),
            (2, Some(1), None),
            (2, Some(1), Some(3)),
            (3, Some(2), None),
            (3, None, None),
        ];
        steps.into_iter().map(|(current, previous, pending)| formatter(current, previous, pending)).collect()
    }

    #[test]
    fn functions_one_step_apart_cannot_store_a_vin_twice() {
        for pair in steps().windows(2) {
            let [before, after] = [&pair[0], &pair[1]].map(|keys| keys.stored_of(&vin()));
            assert!(!before.is_disjoint(&after), "both write one of these entries, and only if it is absent");
        }
    }

    #[test]
    fn functions_one_step_apart_find_what_the_other_stored() {
        for pair in steps().windows(2) {
            for (writer, reader) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
                assert!(!reader.stored_of(&vin()).is_disjoint(&writer.stored_of(&vin())));
            }
        }
    }

    #[test]
    fn entry_left_by_a_function_one_step_apart_is_never_the_first() {
        let steps = steps();
        for (index, pair) in steps.windows(2).enumerate() {
            for (writer, remover) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
                let left = &writer.stored_of(&vin()) - &remover.all_of(&vin());
                // What is found under the previous secret only is compared with the vehicle.
                let firsts = steps[index..].iter().map(|step| step.stored(&vin()[0])[0].clone());
                assert!(left.is_disjoint(&firsts.collect()), "{left:?}");
            }
        }
    }

    #[test]
    fn vin_is_stored_again_at_each_write_of_its_vehicle() {
        let rotated = formatter(2, Some(1), None);
        let [vin] = vin();
        let names = [vin.clone(), VehicleName::External(ExternalId::new("bus", "1").unwrap())];
        let settled = NameKeys::settled_of(&names);
        let written: Vec<Key> = rotated.stored_of(&names).difference(&settled).cloned().collect();
        assert_eq!((settled.len(), BTreeSet::from_iter(written)), (1, rotated.stored_of(&[vin])));
    }
}
