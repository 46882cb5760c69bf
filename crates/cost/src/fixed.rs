//! What a deployment costs a month whatever is driven: counted from the template.

use crate::meter::{Item, Usage};

use crate::workload::{DAYS, Workload};

/// Alarms of the template.
const ALARMS: f64 = 10.0;
/// Dashboards of the template.
const DASHBOARDS: f64 = 1.0;
/// Custom metrics: each name with each function that reports it.
const METRICS: f64 = 28.0;
/// Machine clients beside one a fleet: the admin's, and one a way in.
const OTHER_CLIENTS: f64 = 2.0;
/// A token lasts an hour, and is kept as long.
const TOKENS_A_DAY: f64 = 24.0;

/// What stands there every month.
pub fn fixed(workload: &Workload) -> Usage {
    let mut usage = Usage::default();
    usage.add(Item::AlarmMonth, None, ALARMS);
    usage.add(Item::DashboardMonth, None, DASHBOARDS);
    usage.add(Item::MetricMonth, None, METRICS);
    let clients = f64::from(workload.fleets) + OTHER_CLIENTS;
    usage.add(Item::CognitoClientMonth, None, clients);
    usage.add(Item::CognitoToken, None, clients * TOKENS_A_DAY * DAYS);
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_is_what_the_template_says() {
        let template = include_str!("../../../template.yaml");
        let count = |kind: &str| template.matches(&format!("Type: AWS::CloudWatch::{kind}\n")).count();
        assert_eq!((count("Alarm"), count("Dashboard")), (ALARMS as usize, DASHBOARDS as usize));
        assert!(template.contains("AccessTokenValidity: 60"));
    }
}
