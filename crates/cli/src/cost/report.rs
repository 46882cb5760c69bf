//! The report of `cost`, as JSON and as text.

use std::fmt::Write as _;

use roadcast_cost::day::Month;
use roadcast_cost::{Bill, FleetShare, Kind, Workload};
use serde_json::{Map, Value, json};

use super::CostArgs;

/// The maximum number of traffic lines of a bill to print.
const PRINTED_LINES: usize = 8;
/// Smaller fixed costs are not printed, in dollars.
const PRINTED_DOLLARS: f64 = 0.005;

/// The estimated bills.
pub(super) struct Report {
    options: CostArgs,
    workload: Workload,
    /// The ingest paths, by name.
    pub(super) designs: Vec<(&'static str, Bill, Option<Month>)>,
    /// Designs to compare with, by name.
    pub(super) references: Vec<(&'static str, Bill)>,
    /// The bill of `put_records` with one more fleet.
    pub(super) with_another_fleet: Bill,
    /// The bill of `put_records` with other settings, by what is different.
    pub(super) variations: Vec<(String, Bill)>,
    /// The bill of `put_records`, split by fleet.
    pub(super) fleet_shares: Vec<FleetShare>,
    /// By number of vehicles: `put_records`, `iot`, and the month of `put_records`.
    pub(super) scaling: Vec<(u32, Bill, Bill, Month)>,
}

impl Report {
    pub(super) fn new(options: CostArgs, workload: Workload) -> Self {
        Self {
            options,
            workload,
            designs: Vec::new(),
            references: Vec::new(),
            with_another_fleet: Bill::default(),
            variations: Vec::new(),
            fleet_shares: Vec::new(),
            scaling: Vec::new(),
        }
    }

    /// The bill that variations are compared with.
    fn put_records(&self) -> Option<&Bill> {
        self.designs.iter().find(|(name, ..)| *name == "put_records").map(|(_, bill, _)| bill)
    }

    pub(super) fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("vehicles".to_owned(), json!(self.workload.vehicles));
        object.insert("fleets".to_owned(), json!(self.workload.fleets));
        for (name, bill, month) in &self.designs {
            let mut design = self.sums(bill);
            design["items"] = json!(bill.lines);
            if let Some(month) = month {
                design["peak"] = json!(month.peak);
                design["bytesPerSample"] = json!(month.sizes);
            }
            object.insert(camel_case(name), design);
        }
        for (name, bill) in &self.references {
            let mut design = self.sums(bill);
            design["items"] = json!(bill.lines);
            object.insert(camel_case(name), design);
        }
        object.insert("putRecordsWithAnotherFleet".to_owned(), self.sums(&self.with_another_fleet));
        if self.options.knobs {
            let variation = |(change, bill): &(String, Bill)| json!({"change": change, "putRecords": self.sums(bill)});
            object.insert("variations".to_owned(), self.variations.iter().map(variation).collect());
        }
        if self.options.by_fleet {
            object.insert("fleetShares".to_owned(), json!(self.fleet_shares));
        }
        if self.options.scaling {
            let row = |(vehicles, bill, iot, month): &(u32, Bill, Bill, Month)| json!({"vehicles": vehicles, "putRecords": self.sums(bill), "iot": self.sums(iot), "peak": month.peak});
            object.insert("scaling".to_owned(), self.scaling.iter().map(row).collect());
        }
        Value::Object(object)
    }

    fn sums(&self, bill: &Bill) -> Value {
        let (fixed, fees) = (bill.sum(Kind::Fixed), bill.client_fees());
        json!({
            "traffic": bill.sum(Kind::Traffic),
            "trafficPerThousandVehicles": bill.sum(Kind::Traffic) / self.thousands(),
            "fixed": fixed,
            "clientFees": fees,
            "fixedWithoutClientFees": fixed - fees,
            "total": bill.total(),
        })
    }

    fn thousands(&self) -> f64 {
        f64::from(self.workload.vehicles) / 1000.0
    }

    pub(super) fn to_text(&self) -> String {
        let workload = &self.workload;
        let mut text = format!(
            "{} vehicles in {} fleets: {:.0} min of driving per day, one sample per second, ten samples per upload;\n\
             {:.1} M samples per month. At the peak, {:.0} vehicles drive at the same time. Prices: us-east-1, infra/prices.csv.\n\
             Traffic: the cost of ingesting and reading data. Fixed: the cost of a month in which no vehicle drives. Client fees:\n\
             what Cognito may charge for each machine client, besides; see docs/decisions/0050-validity-of-tokens.md.\n\n\
             {:<22}{:>12}{:>18}{:>10}{:>13}{:>12}\n",
            workload.vehicles,
            workload.fleets,
            workload.driven_minutes_a_day(),
            workload.samples() / 1e6,
            workload.peak(),
            "$ per month",
            "traffic",
            "1,000 vehicles",
            "fixed",
            "client fees",
            "total"
        );
        let bills = self.designs.iter().map(|(name, bill, _)| (name, bill));
        for (name, bill) in bills.chain(self.references.iter().map(|(name, bill)| (name, bill))) {
            let (traffic, fees) = (bill.sum(Kind::Traffic), bill.client_fees());
            let (per_thousand, fixed) = (traffic / self.thousands(), bill.sum(Kind::Fixed) - fees);
            let total = bill.total();
            let _ = writeln!(text, "{name:<22}{traffic:>12.2}{per_thousand:>18.2}{fixed:>10.2}{fees:>13.2}{total:>12.2}");
        }
        self.write_fixed(&mut text);
        for (name, bill, month) in &self.designs {
            write_design(&mut text, name, bill, month.as_ref());
        }
        self.write_variations(&mut text);
        self.write_fleet_shares(&mut text);
        self.write_scaling(&mut text);
        text
    }

    fn write_fixed(&self, text: &mut String) {
        let Some(bill) = self.put_records() else { return };
        let _ = writeln!(text, "\nfixed, of put_records:");
        for line in bill.lines.iter().filter(|line| line.kind == Kind::Fixed && line.dollars >= PRINTED_DOLLARS) {
            let _ = writeln!(text, "  {:<58}{:>18.0} {:<16}{:>9.2}", line.what, line.quantity, line.unit, line.dollars);
        }
        let fees = self.with_another_fleet.client_fees() - bill.client_fees();
        let fixed = self.with_another_fleet.sum(Kind::Fixed) - bill.sum(Kind::Fixed) - fees;
        let _ = writeln!(text, "  Another fleet adds {fixed:.2}, and {fees:.2} of client fees.");
    }

    fn write_variations(&self, text: &mut String) {
        let Some(bill) = self.put_records().filter(|_| !self.variations.is_empty()) else { return };
        let _ = writeln!(text, "\n{:<36}{:>12}{:>12}{:>12}", "put_records, $ if", "traffic", "fixed", "difference");
        for (change, varied) in &self.variations {
            let (traffic, fixed) = (varied.sum(Kind::Traffic), varied.sum(Kind::Fixed) - varied.client_fees());
            let difference = varied.total() - bill.total();
            let _ = writeln!(text, "{change:<36}{traffic:>12.2}{fixed:>12.2}{difference:>+12.2}");
        }
    }

    fn write_fleet_shares(&self, text: &mut String) {
        if self.fleet_shares.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{:<28}{:>10}{:>10}{:>10}", "put_records by fleet, $", "own", "shared", "total");
        for share in &self.fleet_shares {
            let _ = writeln!(text, "{:<28}{:>10.2}{:>10.2}{:>10.2}", share.fleet_id, share.own, share.shared, share.total);
        }
        let sum: f64 = self.fleet_shares.iter().map(|share| share.total).sum();
        let _ = writeln!(text, "{:<28}{:>10}{:>10}{sum:>10.2}", "total", "", "");
    }

    fn write_scaling(&self, text: &mut String) {
        if self.scaling.is_empty() {
            return;
        }
        let _ = writeln!(
            text,
            "\n{:>10}{:>14}{:>12}{:>8}{:>12}{:>12}   quotas to raise",
            "vehicles", "put_records", "iot", "shards", "processors", "writes/s"
        );
        for (vehicles, bill, iot, month) in &self.scaling {
            let _ = writeln!(
                text,
                "{vehicles:>10}{:>14.2}{:>12.2}{:>8.0}{:>12.0}{:>12.0}   {}",
                bill.sum(Kind::Traffic),
                iot.sum(Kind::Traffic),
                month.peak.shards,
                month.peak.processor_concurrency,
                month.peak.write_units_per_second,
                quotas(month)
            );
        }
    }
}

/// Writes sizes, peak and the largest traffic lines of an ingest path.
fn write_design(text: &mut String, name: &str, bill: &Bill, month: Option<&Month>) {
    let Some(month) = month else { return };
    let (peak, sizes) = (month.peak, month.sizes);
    let _ = writeln!(
        text,
        "\n{name}: {:.0} B per sample in JSON, {:.1} on the stream, {:.1} in the log and {:.1} for its origin;\n  \
         at the peak {:.0} records/s, {:.0} kB/s, {:.0} shards, {:.0} concurrent processors, {:.0} write units/s",
        sizes.json,
        sizes.record,
        sizes.block,
        sizes.origins,
        peak.records_per_second,
        peak.bytes_per_second / 1000.0,
        peak.shards,
        peak.processor_concurrency,
        peak.write_units_per_second
    );
    for line in bill.lines.iter().filter(|line| line.kind == Kind::Traffic).take(PRINTED_LINES) {
        let _ = writeln!(text, "  {:<58}{:>18.0} {:<16}{:>9.2}", line.what, line.quantity, line.unit, line.dollars);
    }
}

/// The default quotas of an account in us-east-1 that the peak exceeds.
fn quotas(month: &Month) -> String {
    let peak = month.peak;
    let limits = [
        ("Kinesis shards (20,000)", peak.shards, 20_000.0),
        ("Lambda concurrency (1,000)", peak.processor_concurrency, 1_000.0),
        ("DynamoDB table writes (40,000/s)", peak.write_units_per_second, 40_000.0),
        ("API requests (10,000/s)", peak.api_requests_per_second, 10_000.0),
    ];
    let over: Vec<&str> = limits.iter().filter(|(_, need, limit)| need > limit).map(|(name, ..)| *name).collect();
    if over.is_empty() { "none".to_owned() } else { over.join(", ") }
}

/// The name of a design as a JSON name: `put_records` is `putRecords`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        name + &head.to_uppercase() + rest
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_names_are_in_camel_case() {
        assert_eq!(camel_case("naive_with_delivery"), "naiveWithDelivery");
        assert_eq!(camel_case("iot"), "iot");
    }
}
