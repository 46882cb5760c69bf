//! Lists the vehicles that bulk files map to a fleet.

use std::collections::BTreeSet;

use anyhow::Result;
use reqwest::Method;
use serde::Deserialize;

use crate::api::Api;

/// The maximum page size of the operation.
const PAGE_SIZE: usize = 1000;

#[derive(Deserialize)]
struct Page {
    items: Vec<MappedVehicle>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct MappedVehicle {
    vid: String,
}

/// The vids of all mapped vehicles. After each page, `report_count` gets the number of vehicles so far.
pub(super) async fn list(api: &Api, fleet_id: &str, mut report_count: impl FnMut(usize)) -> Result<BTreeSet<String>> {
    let mut vids = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/fleets/{fleet_id}/vehicles?limit={PAGE_SIZE}{cursor}");
        let page: Page = api.json(Method::GET, &path, None).await?;
        vids.extend(page.items.into_iter().map(|vehicle| vehicle.vid));
        report_count(vids.len());
        match page.next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(vids),
        }
    }
}
