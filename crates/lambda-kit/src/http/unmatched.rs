//! Requests for which API Gateway found no operation: an unknown path, or another method of a known path.
//!
//! API Gateway sends them to one function, which knows the paths of the contract. `docs/decisions/0037` has the reasons.

use super::{ApiRequest as _, Request};
use crate::problem::{Problem, ProblemType};

/// The resources of such requests: `/{proxy+}` does not match the root.
const RESOURCES: [&str; 2] = ["/", "/{proxy+}"];
/// The path parameter with the path, without the leading slash.
const PATH: &str = "proxy";

/// A path of the HTTP contract.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ContractPath {
    /// The path template, such as `/vehicles/{vid}`.
    pub template: &'static str,
    /// The methods of its operations.
    pub methods: &'static [&'static str],
}

impl ContractPath {
    /// Returns the number of literal segments if the template matches a path without its leading slash.
    fn matched_literals(&self, path: &str) -> Option<usize> {
        let mut template = self.template.trim_start_matches('/').split('/');
        let mut literals = 0;
        for segment in path.split('/') {
            let expected = template.next()?;
            if expected == segment {
                literals += 1;
            } else if segment.is_empty() || !expected.starts_with('{') {
                return None;
            }
        }
        template.next().is_none().then_some(literals)
    }
}

/// Returns the problem of a request without an operation: `method-not-allowed` for another method of a path of the contract,
/// otherwise `not-found`. Returns `None` for a request with an operation, and for a function that does not serve others, whose
/// `contract` is empty.
pub(super) fn problem(contract: &[ContractPath], request: &Request) -> Option<Problem> {
    if contract.is_empty() || !RESOURCES.contains(&request.resource()) {
        return None;
    }
    let path: String = request.path_parameter(PATH).unwrap_or_default();
    let matched = contract.iter().filter_map(|of_contract| Some((of_contract.matched_literals(&path)?, of_contract)));
    let known = matched.max_by_key(|(literals, _)| *literals).map(|(_, of_contract)| of_contract.methods);
    // If the path has the method, API Gateway matched the path in another way, so this is another resource.
    let other_methods = known.filter(|methods| !methods.contains(&request.method().as_str()));
    Some(other_methods.map_or_else(Problem::not_found, method_not_allowed))
}

/// Creates the problem of a method that a path does not have, with `Allow` (RFC 9110, 15.5.6).
pub(super) fn method_not_allowed(allowed: &[&str]) -> Problem {
    Problem::new(ProblemType::MethodNotAllowed).with_header("allow", allowed.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::*;
    use crate::http::testing;

    const CONTRACT: &[ContractPath] = &[
        ContractPath { template: "/things", methods: &["GET", "POST"] },
        ContractPath { template: "/things/{id}", methods: &["GET"] },
        ContractPath { template: "/things/latest", methods: &["PUT"] },
        ContractPath { template: "/things/{id}/parts/{part}", methods: &["DELETE"] },
    ];

    /// The status of a request, with the methods in `Allow`; `None` if it has an operation.
    fn answer(resource: &str, method: &str, path: Option<&str>) -> Option<(u16, Option<String>)> {
        let parameters: HashMap<&str, &str> = path.into_iter().map(|path| (PATH, path)).collect();
        let event = json!({"resource": resource, "httpMethod": method, "pathParameters": parameters});
        let problem = problem(CONTRACT, &testing::request(event))?;
        let allow = problem.headers().iter().find(|(name, _)| *name == "allow").map(|(_, value)| value.clone());
        Some((problem.status().as_u16(), allow))
    }

    #[test]
    fn other_method_of_a_known_path_gets_the_methods_of_the_path() {
        let refused = |method: &str, path: &str| answer("/{proxy+}", method, Some(path)).unwrap();
        let allow = |methods: &str| (405, Some(methods.to_owned()));
        assert_eq!(refused("DELETE", "things"), allow("GET, POST"));
        assert_eq!(refused("HEAD", "things"), allow("GET, POST"));
        assert_eq!(refused("POST", "things/t-1"), allow("GET"));
        assert_eq!(refused("OPTIONS", "things/t-1/parts/%2F"), allow("DELETE"));
        assert_eq!(refused("GET", "things/latest"), allow("PUT"), "a literal segment is matched before a parameter");
    }

    #[test]
    fn unknown_path_is_not_found() {
        for path in ["thing", "things/", "/things", "things/a/b", "things//parts/1", "things/a/parts/b/c", "Things", "", "é"]
        {
            assert_eq!(answer("/{proxy+}", "DELETE", Some(path)), Some((404, None)), "{path}");
        }
        assert_eq!(answer("/", "GET", None), Some((404, None)));
        assert_eq!(answer("/{proxy+}", "GET", Some("things")), Some((404, None)), "the path has this method");
    }

    #[test]
    fn request_with_an_operation_is_not_changed() {
        assert_eq!(answer("/things", "DELETE", None), None);
        let event = json!({"resource": "/{proxy+}", "httpMethod": "GET", "pathParameters": {"proxy": "other"}});
        assert!(problem(&[], &testing::request(event)).is_none(), "a function without the contract");
    }
}
