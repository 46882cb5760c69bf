//! Writes of which each stands for itself, many in one transaction: that saves round trips, and changes nothing else.
//!
//! A group that one condition cancels says nothing of the others in it, so its units are written one by one afterwards. Nothing
//! may rely on two units being there at once: a reader may see some of a group before the others.

use std::collections::HashSet;
use std::future::Future;

use aws_sdk_dynamodb::Client;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_ports::batch_result::{BatchResult, is_per_item, per_item};
use roadcast_ports::{PortError, PortErrorKind};

use crate::backoff;
use crate::item::Item;
use crate::keys::Key;
use crate::transaction::{ACTIONS_PER_TRANSACTION, Condition, Transaction};

/// Groups that are written at the same time.
const GROUPS_AT_ONCE: usize = 8;
/// A new table takes some time to take writes as fast as they come, and one partition only takes a thousand units a second.
const TRIES: u32 = 20;

/// A write of one item: the table, the item, its key, and what must hold of the one that is there.
pub(crate) type ItemPut<'t> = (&'t str, Item, Key, Condition);

/// Writes each unit, which is all of its items or none, in groups of as many as one transaction takes. `written` is what is
/// answered of a unit that its group wrote; `alone` writes one whose group could not be written. Answers in the order of the
/// units. No unit may be larger than a transaction.
pub(crate) async fn put_each<T, F>(
    client: &Client,
    units: Vec<Vec<ItemPut<'_>>>,
    written: impl Fn() -> T + Send + Sync,
    alone: impl Fn(usize) -> F + Send + Sync,
    context: &'static str,
) -> BatchResult<T>
where
    T: Send,
    F: Future<Output = Result<T, PortError>> + Send,
{
    let (written, alone) = (&written, &alone);
    let groups = groups(units).into_iter().map(|Group { places, puts, .. }| async move {
        let is_written = put_group(client, puts, context).await?;
        let mut each = Vec::with_capacity(places.len());
        for place in places {
            each.push(if is_written { Ok(written()) } else { per_item(alone(place).await)? });
        }
        Ok::<_, PortError>(each)
    });
    let groups: Vec<_> = stream::iter(groups.collect::<Vec<_>>()).buffered(GROUPS_AT_ONCE).try_collect().await?;
    Ok(groups.into_iter().flatten().collect())
}

/// Units that are written together.
#[derive(Default)]
struct Group<'t> {
    places: Vec<usize>,
    puts: Vec<ItemPut<'t>>,
    keys: HashSet<(&'t str, Key)>,
}

impl<'t> Group<'t> {
    /// Whether a unit still goes in. A transaction may not name one item twice.
    fn takes(&self, unit: &[ItemPut<'t>]) -> bool {
        let fits = self.puts.len() + unit.len() <= ACTIONS_PER_TRANSACTION;
        fits && !unit.iter().any(|(table, _, key, _)| self.keys.contains(&(*table, key.clone())))
    }
}

/// The units in groups, in their order; an item that two units write is in two groups.
fn groups(units: Vec<Vec<ItemPut<'_>>>) -> Vec<Group<'_>> {
    let mut groups = vec![Group::default()];
    for (place, unit) in units.into_iter().enumerate() {
        if groups.last().is_some_and(|last| !last.takes(&unit)) {
            groups.push(Group::default());
        }
        if let Some(last) = groups.last_mut() {
            last.places.push(place);
            last.keys.extend(unit.iter().map(|(table, _, key, _)| (*table, key.clone())));
            last.puts.extend(unit);
        }
    }
    groups
}

/// Whether it was written; not, where a condition or what is refused may be of one unit alone.
async fn put_group(client: &Client, puts: Vec<ItemPut<'_>>, context: &'static str) -> Result<bool, PortError> {
    if puts.is_empty() {
        return Ok(true);
    }
    let mut transaction = Transaction::new(client, context);
    for (table, item, key, condition) in puts {
        transaction = transaction.put(table, item, &key, condition)?;
    }
    for attempt in 1.. {
        match transaction.clone().commit().await {
            Ok(()) => break,
            Err(error) if error.kind() == PortErrorKind::Throttled && attempt < TRIES => backoff::wait(attempt).await,
            Err(error) if is_per_item(error.kind()) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(name: &str) -> ItemPut<'static> {
        ("table", Item::new(), Key::keyed_request(name), Condition::None)
    }

    #[test]
    fn a_group_holds_as_many_units_as_a_transaction_takes_and_no_item_twice() {
        let mut units: Vec<_> = (0..60).map(|n| vec![put(&format!("a{n}")), put(&format!("b{n}"))]).collect();
        units.push(vec![put("a59")]);
        units.push(vec![put("c")]);
        let groups = groups(units);
        let places: Vec<_> = groups.iter().map(|group| (group.places[0], group.places.len(), group.puts.len())).collect();
        assert_eq!(places, [(0, 50, 100), (50, 10, 20), (60, 2, 2)]);
    }
}
