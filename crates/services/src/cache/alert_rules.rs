use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use roadcast_alerts::rule::Rule;
use roadcast_alerts::{RuleSet, RuleVersion};
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_ports::PortError;
use roadcast_ports::alerts::AlertRules;
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;

use super::{TTL_MS, TtlCache};

/// The maximum number of owners whose rules are cached.
const OWNERS: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// Bytes of all cached rules, estimated.
const MAX_BYTES: usize = 48 * 1024 * 1024;
/// Estimated bytes of a compiled rule, per byte of its definition and in addition.
const BYTES_PER_BYTE: usize = 4;
const RULE_BYTES: usize = 1024;

/// Caches the enabled rules of owners, compiled, until the version of their rules changes.
///
/// The version of all rules is read every [`TTL_MS`]. If it has changed, that of an owner is read when its rules are used next.
pub struct CachedAlertRules<Ports: PortSet> {
    rules: Ports::AlertRules,
    clock: Ports::Clock,
    version: TtlCache<(), u64>,
    by_owner: Mutex<CachedOwners>,
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

struct CachedOwners {
    by_owner: LruCache<RuleOwner, CachedOwner>,
    bytes: usize,
}

#[derive(Clone)]
struct CachedOwner {
    rules: Arc<OwnerRules>,
    /// The version of all rules under which they were current.
    current_at: u64,
}

impl<Ports: PortSet> CachedAlertRules<Ports> {
    /// An empty cache over `rules`.
    pub fn new(rules: Ports::AlertRules, clock: Ports::Clock) -> Self {
        let by_owner = Mutex::new(CachedOwners { by_owner: LruCache::sparse(OWNERS), bytes: 0 });
        Self { rules, clock, version: TtlCache::new(TTL_MS), by_owner }
    }

    /// Returns the version of all rules; 0 if there has never been one.
    pub(crate) async fn version(&self) -> Result<u64, PortError> {
        self.version.get_or_load(&(), self.clock.now(), || self.rules.version()).await
    }

    /// Returns the enabled rules of an owner.
    pub(crate) async fn get(&self, owner: &RuleOwner) -> Result<Arc<OwnerRules>, PortError> {
        let current_at = self.version().await?;
        let cached = self.cached().by_owner.get(owner).cloned();
        if let Some(cached) = &cached
            && cached.current_at == current_at
        {
            return Ok(Arc::clone(&cached.rules));
        }
        // Read before the rules: if they change in between, they are read again at the next version.
        let version = self.rules.owner_version(owner).await?;
        let rules = match cached {
            Some(CachedOwner { rules, .. }) if rules.version == version => rules,
            _ => Arc::new(OwnerRules::compile(version, &self.rules.list(owner).await?)),
        };
        self.cached().put(owner.clone(), CachedOwner { rules: Arc::clone(&rules), current_at });
        Ok(rules)
    }

    fn cached(&self) -> std::sync::MutexGuard<'_, CachedOwners> {
        self.by_owner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CachedOwners {
    fn put(&mut self, owner: RuleOwner, cached: CachedOwner) {
        self.bytes += cached.rules.bytes;
        if let Some((_, replaced)) = self.by_owner.push(owner, cached) {
            self.bytes -= replaced.rules.bytes;
        }
        while self.bytes > MAX_BYTES && self.by_owner.len() > 1 {
            let Some((_, evicted)) = self.by_owner.pop_lru() else { return };
            self.bytes -= evicted.rules.bytes;
        }
    }
}

impl OwnerRules {
    fn compile(version: u64, records: &[AlertRuleRecord]) -> Self {
        let enabled = || records.iter().filter(|record| record.enabled);
        let definitions: usize = enabled().map(|record| record.definition.len() * BYTES_PER_BYTE + RULE_BYTES).sum();
        let rules = RuleSet::new(enabled().filter_map(rule_version));
        Self { version, rules, bytes: RULE_BYTES + definitions }
    }
}

/// Returns a rule for the evaluation. The definition was parsed when it was stored; a version of Roadcast that no longer reads it does
/// not evaluate it, and says so.
fn rule_version(record: &AlertRuleRecord) -> Option<RuleVersion> {
    match Rule::parse(&record.definition) {
        Ok(rule) => Some(RuleVersion {
            owner: record.owner.clone(),
            rule_id: record.rule_id.clone(),
            version: record.version,
            active_from: record.active_from,
            rule: Arc::new(rule),
        }),
        Err(error) => {
            let (rule_id, error) = (record.rule_id.as_str(), error.to_string());
            tracing::error!(rule_id, error, "the stored alert rule {rule_id} is not evaluated: {error}");
            None
        }
    }
}
