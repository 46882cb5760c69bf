//! Why no response was received.

use roadcast_domain::webhook::AttemptOutcome;

/// An attempt without a response.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The outcome.
    pub(crate) outcome: AttemptOutcome,
    /// What is wrong with the certificate or the encryption of the receiver, for its people.
    pub(crate) detail: Option<String>,
}

impl Failure {
    /// Creates a failure without more details.
    pub(crate) const fn new(outcome: AttemptOutcome) -> Self {
        Self { outcome, detail: None }
    }

    /// Creates the failure of an error whose causes may contain one of TLS; `otherwise` is the outcome if they do not.
    pub(crate) fn from_error(error: &(dyn std::error::Error + 'static), otherwise: AttemptOutcome) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Self { outcome: AttemptOutcome::TlsFailed, detail: Some(tls.to_string()) };
            }
            // An I/O error that wraps another error has the source of that error as its source.
            if let Some(tls) =
                error.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()?.downcast_ref::<rustls::Error>())
            {
                return Self { outcome: AttemptOutcome::TlsFailed, detail: Some(tls.to_string()) };
            }
            cause = error.source();
        }
        Self::new(otherwise)
    }
}
