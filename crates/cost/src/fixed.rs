//! The monthly usage of a deployment without traffic, counted from the template.

use roadcast_domain::caller::Scope;
use roadcast_lambda_kit::metrics::{Destination, Metric};

use crate::meter::{Item, Usage};
use crate::workload::{DAYS, MAPPING_POLLERS, Workload};

const TEMPLATE: &str = include_str!("../../../template.yaml");
/// Minutes per day in which an ingest or read client uses tokens. A token is reused as long as it is valid.
const CLIENT_MINUTES_PER_DAY: f64 = 24.0 * 60.0;
/// Minutes per day in which an admin uses tokens. A program that acts as admin all day needs 21 tokens more a day, which adds 1.42
/// a month.
const ADMIN_MINUTES_PER_DAY: f64 = 3.0 * 60.0;
/// Requests per day of one function environment that uses the secret all day: each of the three labels every half
/// hour, and the current one twice.
const SECRET_READS_PER_DAY: f64 = 4.0 * 2.0 * 24.0;
/// Function environments that use the secret all day. Others read it when they need it.
const ENVIRONMENTS: f64 = 10.0;
/// Long polls per day of one poller of an event source mapping: each waits for 20 s. A poll that returns messages ends earlier and
/// belongs to the traffic, so this is the most that an idle day costs.
const POLLS_PER_DAY: f64 = 24.0 * 60.0 * 3.0;

/// Returns the number of resources of a type in a template.
fn resources(template: &str, kind: &str) -> f64 {
    template.matches(&format!("    Type: {kind}\n")).count() as f64
}

/// Returns the metrics of all alarms, which are what CloudWatch bills: one per alarm, or all that its expression refers to. A query
/// counts as one metric.
fn alarm_metrics(template: &str) -> f64 {
    let alarms = template.split("    Type: AWS::CloudWatch::Alarm\n").skip(1);
    let metrics = alarms.map(|alarm| {
        // The next resource has the least indentation.
        let end = alarm.find("\n\n").unwrap_or(alarm.len());
        alarm[..end].matches("MetricStat:").count().max(1)
    });
    metrics.sum::<usize>() as f64
}

/// Returns the custom metrics of CloudWatch. Each is reported by one function, with one set of dimensions.
fn custom_metrics() -> f64 {
    Metric::ALL.iter().filter(|metric| metric.destination() == Destination::CloudWatch).count() as f64
}

/// Returns the number of event source mappings of queues.
fn queue_mappings(template: &str) -> f64 {
    let explicit = template.matches("EventSourceArn:").count();
    let by_transform = template.matches("          Type: SQS\n          Properties:\n            Queue:").count();
    (explicit + by_transform) as f64
}

/// Returns the monthly usage that does not depend on traffic.
pub fn fixed(workload: &Workload) -> Usage {
    let mut usage = Usage::default();
    usage.add(Item::AlarmMonth, None, alarm_metrics(TEMPLATE));
    usage.add(Item::CompositeAlarmMonth, None, resources(TEMPLATE, "AWS::CloudWatch::CompositeAlarm"));
    usage.add(Item::DashboardMonth, None, resources(TEMPLATE, "AWS::CloudWatch::Dashboard"));
    usage.add(Item::MetricMonth, None, custom_metrics());
    // One client for each fleet, and one that sends.
    let clients = f64::from(workload.fleets) + 1.0;
    let admins = 1.0;
    usage.add(Item::CognitoClientMonth, None, clients + admins);
    usage.add(Item::CognitoClientMonthUnbilled, None, clients + admins);
    let tokens_per_day = clients * CLIENT_MINUTES_PER_DAY / f64::from(Scope::Read.token_minutes())
        + admins * ADMIN_MINUTES_PER_DAY / f64::from(Scope::Admin.token_minutes());
    usage.add(Item::CognitoToken, None, tokens_per_day * DAYS);
    usage.add(Item::SecretMonth, None, resources(TEMPLATE, "AWS::SecretsManager::Secret"));
    usage.add(Item::SecretRead, None, ENVIRONMENTS * SECRET_READS_PER_DAY * DAYS);
    usage.add(Item::SqsRequest, None, queue_mappings(TEMPLATE) * MAPPING_POLLERS as f64 * POLLS_PER_DAY * DAYS);
    usage
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, clippy::unwrap_used)] // exact integers
    use super::*;
    use crate::day::parallelization_factor;
    use crate::webhooks::Webhooks;
    use crate::{Bill, IngestPath, Knobs, Prices};

    #[test]
    fn tokens_of_the_first_admin_are_valid_as_long_as_those_of_others() {
        assert!(TEMPLATE.contains(&format!("AccessTokenValidity: {}\n", Scope::Admin.token_minutes())));
    }

    /// The bill is that of the template.
    #[test]
    fn settings_are_the_defaults_of_the_template() {
        let default = |parameter: &str| {
            let of_parameter = TEMPLATE.split_once(&format!("\n  {parameter}:\n    Type: Number\n    Default: ")).unwrap().1;
            of_parameter.lines().next().unwrap().parse::<u16>().unwrap()
        };
        let knobs = Knobs::default();
        assert_eq!((knobs.window_s, knobs.poll_s), (default("BatchWindowSeconds"), default("FeedPollSeconds")));
        let concurrent = parallelization_factor(IngestPath::PutRecords, knobs.payload);
        assert_eq!(concurrent, usize::from(default("ParallelizationFactor")));
    }

    #[test]
    fn alarm_is_billed_by_its_metrics() {
        let alarm = "    Type: AWS::CloudWatch::Alarm\n    Properties:\n      MetricName: A\n\n";
        let expression = "    Type: AWS::CloudWatch::Alarm\n    Metrics:\n      - MetricStat: 1\n      - MetricStat: 2\n\n";
        assert_eq!(alarm_metrics(&format!("{alarm}{expression}{alarm}  Other:\n")), 4.0);
    }

    #[test]
    fn composite_alarms_are_billed_on_their_own() {
        let composite = "    Type: AWS::CloudWatch::CompositeAlarm\n";
        assert_eq!(resources(composite, "AWS::CloudWatch::CompositeAlarm"), 1.0);
        assert_eq!(alarm_metrics(composite), 0.0);
    }

    #[test]
    fn idle_mappings_of_queues_cost_a_quarter_of_a_dollar_each() {
        assert!(queue_mappings(TEMPLATE) >= 2.0, "enrichment has two");
        let polls = MAPPING_POLLERS as f64 * POLLS_PER_DAY * DAYS;
        let paid = Prices::bundled().unwrap().of(Item::SqsRequest).dollars * polls;
        assert_eq!(polls, 648_000.0);
        assert!((paid - 0.26).abs() < 0.01, "{paid}");
    }

    #[test]
    fn mapping_is_counted_in_both_forms_of_the_template() {
        let explicit = "      EventSourceArn: !GetAtt A.Arn\n";
        let by_transform = "          Type: SQS\n          Properties:\n            Queue: !GetAtt B.Arn\n";
        assert_eq!(queue_mappings(&format!("{explicit}{by_transform}")), 2.0);
        assert_eq!(queue_mappings("          Type: Kinesis\n          Properties:\n            Stream: A\n"), 0.0);
    }

    #[test]
    fn fixed_usage_does_not_depend_on_vehicles() {
        let prices = Prices::bundled().unwrap();
        let total = |vehicles| Bill::of(&prices, &Usage::default(), &fixed(&Workload { vehicles, fleets: 10 })).total();
        assert_eq!(total(1), total(1_000_000));
    }

    /// The key and the scheduler are those of webhooks, whose polls are among those of all queues.
    #[test]
    fn fixed_costs_stay_within_nine_dollars() {
        const LIMIT: f64 = 9.0;
        // Reads of empty feeds by ten fleets, measured by a run of `cargo roadcast cost`: docs/performance.md.
        const EMPTY_FEEDS: f64 = 1.21;
        let prices = Prices::bundled().unwrap();
        let mut usage = fixed(&Workload { vehicles: 10_000, fleets: 10 });
        let webhooks = Webhooks::idle();
        for item in Item::ALL.into_iter().filter(|item| *item != Item::SqsRequest) {
            usage.add(item, None, webhooks.total(item));
        }
        let bill = Bill::of(&prices, &Usage::default(), &usage);
        let dollars = bill.total() - bill.client_fees() + EMPTY_FEEDS;
        println!("fixed costs without client fees: {dollars:.2}");
        assert!(dollars <= LIMIT, "{dollars:.2}: {:?}", bill.lines);
    }

    #[test]
    fn custom_metrics_are_within_the_free_allowance() {
        let prices = Prices::bundled().unwrap();
        assert!(custom_metrics() > 0.0 && prices.dollars(Item::MetricMonth, custom_metrics()) == 0.0);
    }
}
