//! Conditional requests (RFC 9110, 13): `If-Match` and `If-None-Match`.

use http::header::{CONTENT_TYPE, ETAG};
use http::{Method, StatusCode};
use roadcast_services::{VersionCondition, Versions};

use super::headers::header_list;
use super::{ApiResponse as _, Body, Request, Response};

/// The value of `If-Match` or `If-None-Match`.
enum EntityTags {
    /// `*`: every version.
    Any,
    /// A list of tags. Parts that are not entity tags are omitted, because they match no version.
    Of(Vec<EntityTag>),
}

struct EntityTag {
    is_weak: bool,
    /// The tag without its quotation marks.
    opaque: String,
}

impl EntityTags {
    fn parse(list: &str) -> Self {
        let separators = [' ', '\t', ','];
        if list.trim() == "*" {
            return Self::Any;
        }
        let mut tags = Vec::new();
        let mut rest = list.trim_start_matches(separators);
        while !rest.is_empty() {
            let (is_weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |quoted| (true, quoted));
            rest = match quoted.strip_prefix('"').and_then(|text| text.split_once('"')) {
                Some((opaque, after)) => {
                    tags.push(EntityTag { is_weak, opaque: opaque.to_owned() });
                    after
                }
                None => rest.split_once(',').map_or("", |(_, after)| after),
            }
            .trim_start_matches(separators);
        }
        Self::Of(tags)
    }

    /// Returns the versions of the tags. A weak tag names no version in the strong comparison.
    fn versions(&self, weak_comparison: bool) -> Versions {
        let Self::Of(tags) = self else { return Versions::Any };
        let compared = tags.iter().filter(|tag| weak_comparison || !tag.is_weak);
        let version = |tag: &EntityTag| tag.opaque.parse().ok().filter(|version: &u64| version.to_string() == tag.opaque);
        Versions::Of(compared.filter_map(version).collect())
    }
}

/// Returns the conditions under which a request changes a resource. `If-Match` compares strongly, `If-None-Match` weakly.
pub(super) fn version_condition(request: &Request) -> VersionCondition {
    let versions = |name, weak| header_list(request, name).map(|list: String| EntityTags::parse(&list).versions(weak));
    VersionCondition { matching: versions("if-match", false), excluded: versions("if-none-match", true) }
}

/// Replaces the response to a `GET` request by 304 if the caller has this version, according to `If-None-Match`.
pub(super) fn unless_modified(request: &Request, mut response: Response) -> Response {
    let Some(list) = header_list(request, "if-none-match") else { return response };
    if request.method() != Method::GET || response.status() != StatusCode::OK {
        return response;
    }
    let Some(EntityTags::Of(found)) = response.header(ETAG.as_str()).map(EntityTags::parse) else { return response };
    let is_known = match EntityTags::parse(&list) {
        EntityTags::Any => true,
        EntityTags::Of(known) => known.iter().any(|known| found.iter().any(|found| found.opaque == known.opaque)),
    };
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::Empty;
        response.headers_mut().remove(CONTENT_TYPE);
    }
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::response;
    use crate::http::testing::request;

    fn versions(list: &str, weak_comparison: bool) -> Versions {
        EntityTags::parse(list).versions(weak_comparison)
    }

    #[test]
    fn list_names_the_versions_of_its_tags() {
        for (list, strong, weak) in [
            ("\"1\"", vec![1], vec![1]),
            ("\"1\", \"2\",W/\"3\"", vec![1, 2], vec![1, 2, 3]),
            (" ,\"1\" ,, \"a,\", \"2\"", vec![1, 2], vec![1, 2]),
            ("\"01\", \"+1\", \"\", \"99999999999999999999\"", vec![], vec![]),
            ("1, w/\"2\", \"3", vec![], vec![]),
            ("*, \"4\"", vec![4], vec![4]),
            ("", vec![], vec![]),
        ] {
            assert_eq!((versions(list, false), versions(list, true)), (Versions::Of(strong), Versions::Of(weak)), "{list}");
        }
        assert_eq!((versions(" * ", false), versions("*", true)), (Versions::Any, Versions::Any));
    }

    #[test]
    fn several_header_lines_are_one_list() {
        let request = request(json!({"resource": "/x", "httpMethod": "PUT",
            "multiValueHeaders": {"If-Match": ["\"1\"", "\"2\""], "If-None-Match": ["W/\"3\""]}}));
        let expected = VersionCondition { matching: Some(Versions::Of(vec![1, 2])), excluded: Some(Versions::Of(vec![3])) };
        assert_eq!(version_condition(&request), expected);
    }

    #[test]
    fn known_version_is_answered_without_a_body() {
        let answer = |method: &str, list: &str| {
            let request = request(json!({"resource": "/x", "httpMethod": method, "headers": {"If-None-Match": list}}));
            let tagged = response::ok(&json!({})).unwrap().with_header(ETAG, "\"2\"").unwrap();
            let response = unless_modified(&request, tagged);
            (response.status().as_u16(), response.body().len(), response.header("etag").map(str::to_owned))
        };
        let tag = Some("\"2\"".to_owned());
        for known in ["*", "\"2\"", "W/\"2\"", "\"1\", W/\"2\""] {
            assert_eq!(answer("GET", known), (304, 0, tag.clone()), "{known}");
        }
        for (method, other) in [("GET", "\"1\""), ("GET", "2"), ("POST", "*")] {
            assert_eq!(answer(method, other), (200, 2, tag.clone()), "{other}");
        }
    }
}
