//! The monthly usage of a deployment without traffic, counted from the template.

use crate::meter::{Item, Usage};
use crate::workload::{DAYS, Workload};

/// Alarms of the template.
const ALARMS: f64 = 10.0;
/// Dashboards of the template.
const DASHBOARDS: f64 = 1.0;
/// Custom metrics: one per combination of name and reporting function.
const METRICS: f64 = 28.0;
/// Clients besides one per fleet: the admin client and the ingest client.
const OTHER_CLIENTS: f64 = 2.0;
/// Tokens per client and day: a token is valid for an hour and is reused as long.
const TOKENS_PER_DAY: f64 = 24.0;

/// Returns the monthly usage that does not depend on traffic.
pub fn fixed(workload: &Workload) -> Usage {
    let mut usage = Usage::default();
    usage.add(Item::AlarmMonth, None, ALARMS);
    usage.add(Item::DashboardMonth, None, DASHBOARDS);
    usage.add(Item::MetricMonth, None, METRICS);
    let clients = f64::from(workload.fleets) + OTHER_CLIENTS;
    usage.add(Item::CognitoClientMonth, None, clients);
    usage.add(Item::CognitoToken, None, clients * TOKENS_PER_DAY * DAYS);
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_usage_matches_the_template() {
        let template = include_str!("../../../template.yaml");
        let count = |kind: &str| template.matches(&format!("Type: AWS::CloudWatch::{kind}\n")).count();
        assert_eq!((count("Alarm"), count("Dashboard")), (ALARMS as usize, DASHBOARDS as usize));
        assert!(template.contains("AccessTokenValidity: 60"));
    }
}
