//! Packaging: what the template refers to goes into a bucket of the endpoint, under names made of its content.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use aws_sdk_s3::primitives::ByteStream;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::build::Zipped;
use super::layout::Layout;
use super::template::{self, Location, Referred};
use super::venv::hex;

/// The bucket of what is deployed.
pub(crate) const BUCKET: &str = "roadcast-local-artefacts";

/// A template that is ready to be deployed, and the files that must be uploaded before.
pub(crate) struct Packaged {
    pub(crate) body: String,
    uploads: BTreeMap<String, PathBuf>,
}

/// Puts locations in place of paths; uploads nothing yet.
pub(crate) fn package(layout: &Layout, mut template: Value, functions: &BTreeMap<String, Zipped>) -> Result<Packaged> {
    let mut uploads = BTreeMap::new();
    template::relocate(&mut template, &mut |referred| {
        let (key, path) = match referred {
            Referred::Binary(binary) => {
                let zipped = functions.get(binary).with_context(|| format!("{binary} was not built"))?;
                (zipped.file_name.clone(), layout.artefacts().join(&zipped.file_name))
            }
            Referred::File(name) => {
                let path = layout.root().join(name);
                let bytes =
                    fs::read(&path).with_context(|| format!("template.yaml refers to {name}, which cannot be read"))?;
                let digest = hex(&Sha256::digest(&bytes));
                let stem = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (format!("{}-{stem}", &digest[..16]), path)
            }
        };
        uploads.insert(key.clone(), path);
        Ok(Location { bucket: BUCKET.to_owned(), key })
    })?;
    Ok(Packaged { body: template.to_string(), uploads })
}

impl Packaged {
    /// Uploads what is not there yet, and the template itself; returns the template's key.
    pub(crate) async fn upload(&self, s3: &aws_sdk_s3::Client) -> Result<String> {
        if s3.head_bucket().bucket(BUCKET).send().await.is_err() {
            let region = aws_sdk_s3::types::BucketLocationConstraint::from(crate::aws::REGION);
            let place = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(region).build();
            s3.create_bucket()
                .bucket(BUCKET)
                .create_bucket_configuration(place)
                .send()
                .await
                .context("cannot create the bucket of what is deployed")?;
        }
        for (key, path) in &self.uploads {
            if s3.head_object().bucket(BUCKET).key(key).send().await.is_err() {
                let body = ByteStream::from(fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
                put(s3, key, body).await?;
            }
        }
        let key = format!("template-{}.json", &hex(&Sha256::digest(self.body.as_bytes()))[..16]);
        put(s3, &key, ByteStream::from(self.body.clone().into_bytes())).await?;
        Ok(key)
    }
}

async fn put(s3: &aws_sdk_s3::Client, key: &str, body: ByteStream) -> Result<()> {
    s3.put_object().bucket(BUCKET).key(key).body(body).send().await.with_context(|| format!("cannot upload {key}"))?;
    Ok(())
}
