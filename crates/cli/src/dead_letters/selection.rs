//! Which letters are listed or sent again.

use anyhow::Result;
use clap::Args;
use roadcast_domain::dead_letter::Hop;
use serde_json::{Value, json};

use crate::api::{Api, percent_encoded};
use crate::selectors::FleetSelector;
use crate::time_argument::PointInTime;

/// The period of the failures.
#[derive(Debug, Args)]
pub(crate) struct Period {
    /// Letters that failed at this time or later, such as 2026-11-24T00:00:00Z or 6h.
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<PointInTime>,
    /// Letters that failed before this time.
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<PointInTime>,
}

/// The filters of a list.
#[derive(Debug, Args)]
pub(crate) struct ListFilter {
    /// Letters of this fleet, named by id or name. Letters of hops before the fleet is known have none.
    #[arg(long, value_name = "FLEET")]
    fleet: Option<FleetSelector>,
    /// Letters in this state.
    #[arg(long, value_parser = ["kept", "redriving", "redriven"])]
    state: Option<String>,
    #[command(flatten)]
    period: Period,
    /// Maximum number of letters.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(super) limit: usize,
}

impl ListFilter {
    /// The path and query of the request.
    pub(super) async fn path(&self, api: &Api, hop: Option<Hop>) -> Result<String> {
        let fleet_id = match &self.fleet {
            Some(fleet) => Some(fleet.id(api).await?),
            None => None,
        };
        Ok(self.path_of(hop, fleet_id))
    }

    fn path_of(&self, hop: Option<Hop>, fleet_id: Option<String>) -> String {
        let filters = [
            ("hop", hop.map(|hop| hop.code().to_owned())),
            ("fleetId", fleet_id),
            ("state", self.state.clone()),
            ("since", self.period.since.map(|time| time.to_string())),
            ("until", self.period.until.map(|time| time.to_string())),
        ];
        let filters = filters.into_iter().filter_map(|(name, value)| Some(format!("&{name}={}", percent_encoded(&value?))));
        format!("/dead-letters?limit={}{}", self.limit.clamp(1, 100), filters.collect::<String>())
    }
}

/// The selection of a redrive; empty if nothing is selected.
pub(crate) fn body(hop: Option<Hop>, fleet_id: Option<&str>, period: &Period) -> Value {
    let mut selection = json!({});
    let members = [
        ("hop", hop.map(|hop| hop.code().to_owned())),
        ("fleetId", fleet_id.map(str::to_owned)),
        ("since", period.since.map(|time| time.to_string())),
        ("until", period.until.map(|time| time.to_string())),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            selection[name] = json!(value);
        }
    }
    selection
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        filter: ListFilter,
    }

    #[test]
    fn filters_become_the_query_and_the_selection() {
        let filter =
            Line::parse_from(["list", "--state", "kept", "--since", "2026-11-24T00:00:00Z", "--limit", "700"]).filter;
        assert_eq!(
            filter.path_of(Some(Hop::DeviceRule), Some("flt_1".to_owned())),
            "/dead-letters?limit=100&hop=device-rule&fleetId=flt_1&state=kept&since=2026-11-24T00%3A00%3A00.000Z"
        );
        assert_eq!(
            body(Some(Hop::Feed), Some("flt_1"), &filter.period),
            json!({"hop": "feed", "fleetId": "flt_1", "since": "2026-11-24T00:00:00.000Z"})
        );
        assert_eq!(body(None, None, &Period { since: None, until: None }), json!({}));
    }
}
