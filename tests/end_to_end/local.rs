//! The local AWS endpoint: who may call it.

use reqwest::blocking::Client;

use crate::shared::Shared;

pub(crate) fn page_of_another_origin_gets_nowhere(shared: &Shared) {
    let endpoint = &shared.stack().endpoint;
    let http = Client::builder().no_proxy().build().expect("a client");
    let status = |path: &str, headers: &[(&str, &str)]| {
        let request = http.post(format!("{endpoint}{path}")).body("{}");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().expect("a response").status().as_u16()
    };
    let token = "/oauth2/token";
    let invoke = "/2015-03-31/functions/roadcast-local-onboarding/invocations";
    for path in [token, invoke, "/_roadcast/quiesce"] {
        assert_eq!(status(path, &[("host", "evil.example")]), 403, "{path}: DNS rebinding");
        assert_eq!(status(path, &[("origin", "https://evil.example")]), 403, "{path}");
        assert_eq!(status(path, &[("origin", "null")]), 403, "{path}");
        assert_eq!(status(path, &[("sec-fetch-site", "cross-site")]), 403, "{path}: no origin, as for a form or an image");
    }
    // The page of the API reference has the origin of the endpoint.
    assert_ne!(status(token, &[("origin", endpoint)]), 403);
    assert_ne!(status(token, &[]), 403);
}
