use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use roadcast_alerts::{RuleSet, RuleVersion};
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_ports::alerts::AlertRules;
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, error_chain};

use super::{TTL_MS, TtlCache};
use crate::stored_rules::stored_version;

/// The maximum number of owners of whose rules something is cached.
const OWNERS: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// Bytes of all compiled rules, estimated.
const MAX_BYTES: usize = 48 * 1024 * 1024;
/// Estimated bytes of a compiled rule, per byte of its definition and in addition.
const BYTES_PER_BYTE: usize = 4;
const RULE_BYTES: usize = 1024;

/// Caches the enabled rules of owners until the version of their rules changes.
///
/// The version of all rules is read every [`TTL_MS`]. If it has changed, that of an owner is read when its rules are used next.
///
/// What an evaluation in memory needs to know of each owner is small, and kept for all of them. The compiled rules are needed to begin
/// an evaluation only. Those of all owners may be more than fit into memory, so they are kept for the owners that were used last.
pub struct CachedAlertRules<Ports: PortSet> {
    rules: Ports::AlertRules,
    clock: Ports::Clock,
    version: TtlCache<(), u64>,
    summaries: Mutex<LruCache<RuleOwner, CachedSummary>>,
    compiled: Mutex<CompiledRules>,
}

/// What is known of the enabled rules of an owner.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct RulesSummary {
    /// The version of the rules of the owner.
    pub(crate) version: u64,
    /// Whether the owner has no enabled rules.
    pub(crate) is_empty: bool,
    /// Whether a rule names attributes of vehicles.
    pub(crate) names_attributes: bool,
}

/// The enabled rules of an owner.
#[derive(Debug)]
pub(crate) struct OwnerRules {
    /// The version of the rules of the owner.
    pub(crate) version: u64,
    /// The rules.
    pub(crate) rules: RuleSet,
    bytes: usize,
}

#[derive(Copy, Clone)]
struct CachedSummary {
    summary: RulesSummary,
    /// The version of all rules under which it was current.
    current_at: u64,
}

struct CompiledRules {
    by_owner: LruCache<RuleOwner, Arc<OwnerRules>>,
    bytes: usize,
}

impl<Ports: PortSet> CachedAlertRules<Ports> {
    /// An empty cache over `rules`.
    pub fn new(rules: Ports::AlertRules, clock: Ports::Clock) -> Self {
        Self {
            rules,
            clock,
            version: TtlCache::new(TTL_MS),
            summaries: Mutex::new(LruCache::sparse(OWNERS)),
            compiled: Mutex::new(CompiledRules { by_owner: LruCache::sparse(OWNERS), bytes: 0 }),
        }
    }

    /// Returns the version of all rules; 0 if there has never been one.
    pub(crate) async fn version(&self) -> Result<u64, PortError> {
        self.version.get_or_load(&(), self.clock.now(), || self.rules.version()).await
    }

    /// Returns what is known of the enabled rules of an owner.
    pub(crate) async fn summary(&self, owner: &RuleOwner) -> Result<RulesSummary, PortError> {
        let current_at = self.version().await?;
        let cached = self.summaries().get(owner).copied();
        if let Some(CachedSummary { summary, .. }) = cached.filter(|cached| cached.current_at == current_at) {
            return Ok(summary);
        }
        // Read before the rules: if they change in between, they are read again at the next version.
        let version = self.rules.owner_version(owner).await?;
        let summary = match cached {
            Some(CachedSummary { summary, .. }) if summary.version == version => summary,
            _ => self.compile(owner, version).await?.summary(),
        };
        self.summaries().push(owner.clone(), CachedSummary { summary, current_at });
        Ok(summary)
    }

    /// Returns the enabled rules of an owner, compiled.
    pub(crate) async fn get(&self, owner: &RuleOwner) -> Result<Arc<OwnerRules>, PortError> {
        let RulesSummary { version, .. } = self.summary(owner).await?;
        let compiled = self.compiled().by_owner.get(owner).cloned();
        match compiled.filter(|rules| rules.version == version) {
            Some(rules) => Ok(rules),
            None => self.compile(owner, version).await,
        }
    }

    async fn compile(&self, owner: &RuleOwner, version: u64) -> Result<Arc<OwnerRules>, PortError> {
        let rules = Arc::new(OwnerRules::compile(version, &self.rules.list(owner).await?));
        self.compiled().put(owner.clone(), Arc::clone(&rules));
        Ok(rules)
    }

    fn summaries(&self) -> MutexGuard<'_, LruCache<RuleOwner, CachedSummary>> {
        self.summaries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn compiled(&self) -> MutexGuard<'_, CompiledRules> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CompiledRules {
    fn put(&mut self, owner: RuleOwner, rules: Arc<OwnerRules>) {
        self.bytes += rules.bytes;
        if let Some((_, replaced)) = self.by_owner.push(owner, rules) {
            self.bytes -= replaced.bytes;
        }
        while self.bytes > MAX_BYTES && self.by_owner.len() > 1 {
            let Some((_, evicted)) = self.by_owner.pop_lru() else { return };
            self.bytes -= evicted.bytes;
        }
    }
}

impl OwnerRules {
    fn summary(&self) -> RulesSummary {
        let Self { version, rules, .. } = self;
        RulesSummary { version: *version, is_empty: rules.is_empty(), names_attributes: rules.names_attributes() }
    }

    fn compile(version: u64, records: &[AlertRuleRecord]) -> Self {
        let enabled = || records.iter().filter(|record| record.enabled);
        let definitions: usize = enabled().map(|record| record.definition.len() * BYTES_PER_BYTE + RULE_BYTES).sum();
        let rules = RuleSet::new(enabled().filter_map(evaluated_version));
        Self { version, rules, bytes: RULE_BYTES + definitions }
    }
}

/// Returns a rule for the evaluation. A version of Roadcast that cannot read its definition does not evaluate it, and says so.
fn evaluated_version(record: &AlertRuleRecord) -> Option<RuleVersion> {
    let version = stored_version(record);
    if let Err(error) = &version {
        let (rule_id, error) = (record.rule_id.as_str(), error_chain(error));
        tracing::error!(rule_id, error, "the stored alert rule {rule_id} is not evaluated: {error}");
    }
    version.ok()
}
