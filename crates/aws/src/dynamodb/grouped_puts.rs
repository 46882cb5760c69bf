//! Many small atomic writes, grouped into few transactions to save round trips.
//!
//! A write set is written entirely or not at all. If one condition cancels a group, the other write sets of the group are
//! not known to be at fault, so each is then written on its own. No caller may rely on two write sets becoming visible
//! together: a reader may see one of a group before the others.

use std::collections::HashSet;
use std::future::Future;

use aws_sdk_dynamodb::Client;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_ports::batch_result::{BatchResult, is_item_error, push_item_result};
use roadcast_ports::{PortError, PortErrorKind};

use crate::backoff;
use crate::dynamodb::item::Item;
use crate::dynamodb::keys::Key;
use crate::dynamodb::transaction::{ACTIONS_PER_TRANSACTION, Condition, Transaction};

const MAX_CONCURRENT_GROUPS: usize = 8;
/// A new table needs some time until it accepts writes at full rate, and one partition accepts only a thousand units a
/// second.
const MAX_ATTEMPTS: u32 = 20;

/// A write of one item: the table, the item, its key, and the condition on the stored item.
pub(crate) type ItemPut<'t> = (&'t str, Item, Key, Condition);

/// Writes the sets in groups of at most one transaction each, and returns one result per set, in order. `success_value`
/// is the result of a set that was written with its group; `put_single` writes the set at an index whose group was
/// cancelled. No set may be larger than a transaction.
pub(crate) async fn put_grouped<T, F>(
    client: &Client,
    sets: Vec<Vec<ItemPut<'_>>>,
    success_value: impl Fn() -> T + Send + Sync,
    put_single: impl Fn(usize) -> F + Send + Sync,
    context: &'static str,
) -> BatchResult<T>
where
    T: Send,
    F: Future<Output = Result<T, PortError>> + Send,
{
    let (success_value, put_single) = (&success_value, &put_single);
    let groups = groups(sets).into_iter().map(|Group { indexes, puts, .. }| async move {
        let is_written = put_group(client, puts, context).await?;
        let mut results = Vec::with_capacity(indexes.len());
        for index in indexes {
            let result = if is_written { Ok(success_value()) } else { put_single(index).await };
            push_item_result(&mut results, result)?;
        }
        Ok::<_, PortError>(results)
    });
    let groups: Vec<_> = stream::iter(groups.collect::<Vec<_>>()).buffered(MAX_CONCURRENT_GROUPS).try_collect().await?;
    Ok(groups.into_iter().flatten().collect())
}

/// Write sets that share a transaction.
#[derive(Default)]
struct Group<'t> {
    indexes: Vec<usize>,
    puts: Vec<ItemPut<'t>>,
    keys: HashSet<(&'t str, Key)>,
}

impl<'t> Group<'t> {
    /// Returns whether the set can be added. A transaction must not contain one item twice.
    fn has_room_for(&self, set: &[ItemPut<'t>]) -> bool {
        let fits = self.puts.len() + set.len() <= ACTIONS_PER_TRANSACTION;
        fits && !set.iter().any(|(table, _, key, _)| self.keys.contains(&(*table, key.clone())))
    }
}

/// Groups the sets in their order. Two sets that write the same item are in different groups.
fn groups(sets: Vec<Vec<ItemPut<'_>>>) -> Vec<Group<'_>> {
    let mut groups = vec![Group::default()];
    for (index, set) in sets.into_iter().enumerate() {
        if groups.last().is_some_and(|last| !last.has_room_for(&set)) {
            groups.push(Group::default());
        }
        if let Some(last) = groups.last_mut() {
            last.indexes.push(index);
            last.keys.extend(set.iter().map(|(table, _, key, _)| (*table, key.clone())));
            last.puts.extend(set);
        }
    }
    groups
}

/// Writes a group. Returns false if it failed for a reason that may concern only one of its sets.
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
            Err(error) if error.kind() == PortErrorKind::Throttled && attempt < MAX_ATTEMPTS => backoff::wait(attempt).await,
            Err(error) if is_item_error(error.kind()) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
