//! Back-tests.

use std::collections::{BTreeMap, VecDeque};

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::back_test::{BackTest, BackTestAlert, BackTestTask};
use roadcast_domain::ids::BackTestId;
use roadcast_ports::alerts::{BackTestQueue, BackTests};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::memory::Memory;
use crate::memory::state::insert_new;

/// What the ports of back-tests store. Nothing expires.
#[derive(Debug, Default)]
pub(super) struct BackTestStore {
    back_tests: BTreeMap<(RuleOwner, BackTestId), BackTest>,
    pages: BTreeMap<(BackTestId, String), Vec<BackTestAlert>>,
    tasks: VecDeque<BackTestTask>,
}

impl Memory {
    /// Returns and removes the next task of the queue of back-tests.
    pub fn take_back_test_task(&self) -> Option<BackTestTask> {
        self.state().alerts.back_tests.tasks.pop_front()
    }
}

impl BackTests for Memory {
    async fn create(&self, back_test: &BackTest) -> Result<(), PortError> {
        let key = (back_test.owner.clone(), back_test.back_test_id.clone());
        insert_new(&mut self.state().alerts.back_tests.back_tests, key, back_test, "creating a back-test")
    }

    async fn get(&self, owner: &RuleOwner, back_test_id: &BackTestId) -> Result<Option<BackTest>, PortError> {
        Ok(self.state().alerts.back_tests.back_tests.get(&(owner.clone(), back_test_id.clone())).cloned())
    }

    async fn list(&self, owner: &RuleOwner) -> Result<Vec<BackTest>, PortError> {
        let state = self.state();
        let of_owner = state.alerts.back_tests.back_tests.values().filter(|back_test| back_test.owner == *owner);
        Ok(of_owner.take(BackTest::MAX_PER_OWNER).cloned().collect())
    }

    async fn replace(&self, back_test: &BackTest) -> Result<(), PortError> {
        let mut state = self.state();
        let key = (back_test.owner.clone(), back_test.back_test_id.clone());
        match state.alerts.back_tests.back_tests.get_mut(&key) {
            Some(stored) if stored.revision == back_test.revision => {
                *stored = BackTest { revision: back_test.revision + 1, ..back_test.clone() };
                Ok(())
            }
            _ => Err(PortError::new(PortErrorKind::Conflict, "replacing a back-test")),
        }
    }

    async fn remove(&self, owner: &RuleOwner, back_test_id: &BackTestId) -> Result<(), PortError> {
        self.state().alerts.back_tests.back_tests.remove(&(owner.clone(), back_test_id.clone()));
        Ok(())
    }

    async fn store_alerts(
        &self,
        back_test_id: &BackTestId,
        page: &str,
        alerts: &[BackTestAlert],
        _expires_at: Timestamp,
    ) -> Result<(), PortError> {
        let key = (back_test_id.clone(), page.to_owned());
        self.state().alerts.back_tests.pages.insert(key, alerts.to_vec());
        Ok(())
    }

    async fn alerts(&self, back_test_id: &BackTestId, pages: &[String]) -> Result<Vec<BackTestAlert>, PortError> {
        let state = self.state();
        let mut alerts = Vec::new();
        for page in pages {
            let stored = state.alerts.back_tests.pages.get(&(back_test_id.clone(), page.clone()));
            let missing = || PortError::new(PortErrorKind::Internal, "reading the alerts of a back-test");
            alerts.extend(stored.ok_or_else(missing)?.iter().cloned());
        }
        Ok(alerts)
    }
}

impl BackTestQueue for Memory {
    async fn send(&self, task: &BackTestTask) -> Result<(), PortError> {
        self.state().alerts.back_tests.tasks.push_back(task.clone());
        Ok(())
    }
}
