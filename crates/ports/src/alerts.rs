//! Alert rules and back-tests: their storage, and the queue of back-tests.

use std::future::Future;

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::audit::Change;
use roadcast_domain::back_test::{BackTest, BackTestAlert, BackTestTask};
use roadcast_domain::ids::{BackTestId, ChangeId, RuleId};
use roadcast_signals::Timestamp;

use crate::PortError;

/// Storage of alert rules.
///
/// Each write raises two numbers: the version of all rules of the owner, and the version of all rules. A cache compares them to
/// detect changes. A write that adds to the rules of an owner names the owner's version under which it read them, so that concurrent
/// writes cannot exceed a limit of the owner together.
pub trait AlertRules: Send + Sync {
    /// Stores a new rule and the change. Fails with `Conflict` if the rule's id is stored, if the owner's version is not
    /// `owner_version`, or if the owner is a fleet that is being or has been offboarded.
    fn create(
        &self,
        rule: &AlertRuleRecord,
        owner_version: u64,
        change: &Change,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns a rule of an owner.
    fn get(
        &self,
        owner: &RuleOwner,
        rule_id: &RuleId,
    ) -> impl Future<Output = Result<Option<AlertRuleRecord>, PortError>> + Send;

    /// Returns all rules of an owner, at most [`AlertRuleRecord::MAX_PER_OWNER`], by id.
    fn list(&self, owner: &RuleOwner) -> impl Future<Output = Result<Vec<AlertRuleRecord>, PortError>> + Send;

    /// Replaces a rule, and stores the change. Fails with `Conflict` unless the version of `rule` follows the stored one and the
    /// owner's version is `owner_version`.
    fn replace(
        &self,
        rule: &AlertRuleRecord,
        owner_version: u64,
        change: &Change,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Deletes a rule, and stores the change. Fails with `Conflict` unless the stored version is that of `rule`.
    fn remove(&self, rule: &AlertRuleRecord, change: &Change) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns a number that differs after every change of a rule of any owner.
    fn version(&self) -> impl Future<Output = Result<u64, PortError>> + Send;

    /// Returns a number that differs after every change of a rule of this owner.
    fn owner_version(&self, owner: &RuleOwner) -> impl Future<Output = Result<u64, PortError>> + Send;

    /// Returns the changes of the operator's rules before `before`, newest first, at most `limit`. Those of the rules of a fleet are
    /// in the audit trail of the fleet.
    fn operator_changes(
        &self,
        before: Option<ChangeId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Change>, PortError>> + Send;
}

/// Storage of back-tests. They expire some days after they were started.
pub trait BackTests: Send + Sync {
    /// Stores a new back-test. Fails with `Conflict` if its id is stored.
    fn create(&self, back_test: &BackTest) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns a back-test of an owner.
    fn get(
        &self,
        owner: &RuleOwner,
        back_test_id: &BackTestId,
    ) -> impl Future<Output = Result<Option<BackTest>, PortError>> + Send;

    /// Returns the back-tests of an owner, at most [`BackTest::MAX_PER_OWNER`], by id.
    fn list(&self, owner: &RuleOwner) -> impl Future<Output = Result<Vec<BackTest>, PortError>> + Send;

    /// Replaces a back-test; the stored revision is increased by one. Fails with `Conflict` unless the stored revision is that of
    /// `back_test`.
    fn replace(&self, back_test: &BackTest) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Deletes a back-test. Succeeds without a change if it does not exist.
    fn remove(&self, owner: &RuleOwner, back_test_id: &BackTestId) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Stores a page of alerts of a back-test, of at most [`BackTest::MAX_PAGE_BYTES`]. Pages of different names do not affect each
    /// other.
    fn store_alerts(
        &self,
        back_test_id: &BackTestId,
        page: &str,
        alerts: &[BackTestAlert],
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the alerts of these pages, in their order. The names are sorted. Fails with `Internal` if a page does not exist.
    fn alerts(
        &self,
        back_test_id: &BackTestId,
        pages: &[String],
    ) -> impl Future<Output = Result<Vec<BackTestAlert>, PortError>> + Send;
}

/// The queue of the evaluation of back-tests.
pub trait BackTestQueue: Send + Sync {
    /// Sends a task, which is delivered at least once.
    fn send(&self, task: &BackTestTask) -> impl Future<Output = Result<(), PortError>> + Send;
}
