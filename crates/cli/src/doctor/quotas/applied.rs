//! The quotas of the account, as Service Quotas states them.

use std::collections::BTreeMap;

use anyhow::{Error, Result};
use serde_json::{Value, json};

use crate::aws::{Service, SignedClient};

/// A quota by its name, and its default. The codes of quotas are not used: the documentation of AWS does not list them all.
pub(super) struct QuotaName {
    /// The code of the service.
    pub(super) service: &'static str,
    /// The names in lower case, the current one first.
    pub(super) names: &'static [&'static str],
    /// The default in most Regions.
    pub(super) default: i64,
}

/// The quotas of services, each read once.
pub(super) struct AppliedQuotas<'c> {
    client: &'c SignedClient,
    by_service: BTreeMap<&'static str, BTreeMap<String, i64>>,
    error: Option<Error>,
}

impl<'c> AppliedQuotas<'c> {
    pub(super) fn new(client: &'c SignedClient) -> Self {
        Self { client, by_service: BTreeMap::new(), error: None }
    }

    /// Returns a quota, or its default if Service Quotas does not state it.
    pub(super) async fn value(&mut self, quota: &QuotaName) -> i64 {
        if !self.by_service.contains_key(quota.service) {
            let read = self.read(quota.service).await.unwrap_or_else(|error| {
                self.error.get_or_insert(error);
                BTreeMap::new()
            });
            self.by_service.insert(quota.service, read);
        }
        let read = self.by_service.get(quota.service);
        quota.names.iter().find_map(|name| read?.get(*name)).copied().unwrap_or(quota.default)
    }

    /// Why quotas could not be read.
    pub(super) fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    async fn read(&self, service: &str) -> Result<BTreeMap<String, i64>> {
        let (mut quotas, mut token) = (BTreeMap::new(), Value::Null);
        for _ in 0..super::MAX_PAGES {
            let mut request = json!({ "ServiceCode": service, "MaxResults": 100 });
            if !token.is_null() {
                request["NextToken"] = token;
            }
            let operation = "ServiceQuotasV20190624.ListServiceQuotas";
            let mut page = self.client.call(Service::Quotas, operation, &request).await?;
            quotas.extend(page["Quotas"].as_array().into_iter().flatten().filter_map(named_value));
            token = page["NextToken"].take();
            if token.is_null() {
                break;
            }
        }
        Ok(quotas)
    }
}

/// The name of a quota in lower case, and its value. Service Quotas states whole numbers as doubles.
fn named_value(quota: &Value) -> Option<(String, i64)> {
    let value = quota["Value"].as_f64().filter(|value| (0.0..1e15).contains(value))?;
    // Within this range the conversion is exact but for the fraction.
    #[allow(clippy::cast_possible_truncation)]
    Some((quota["QuotaName"].as_str()?.to_lowercase(), value as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_found_by_name_and_other_values_are_ignored() {
        let named = |quota| named_value(&quota);
        assert_eq!(named(json!({ "QuotaName": "Event buses", "Value": 100.0 })), Some(("event buses".to_owned(), 100)));
        for quota in
            [json!({}), json!({ "QuotaName": "x" }), json!({ "QuotaName": "x", "Value": 1e300 }), json!({ "Value": 1 })]
        {
            assert_eq!(named(quota), None);
        }
    }
}
