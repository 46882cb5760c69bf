//! Packaging: uploads the artefacts of the template to a bucket, under keys that contain a digest of their content.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use aws_sdk_s3::primitives::ByteStream;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::build::FunctionZip;
use super::template::{self, Artefact, Location};
use crate::layout::Layout;

/// The bucket of the deployed artefacts.
pub(crate) const BUCKET: &str = "roadcast-local-artefacts";

/// A template with S3 locations, and the files to upload before it is deployed.
pub(crate) struct PackagedTemplate {
    pub(crate) body: String,
    uploads: BTreeMap<String, PathBuf>,
}

/// Replaces the paths in the template by S3 locations. Uploads nothing.
pub(crate) fn package(
    layout: &Layout,
    mut template: Value,
    functions: &BTreeMap<String, FunctionZip>,
) -> Result<PackagedTemplate> {
    let mut uploads = BTreeMap::new();
    template::relocate(&mut template, &mut |artefact| {
        let (key, path) = match artefact {
            Artefact::Binary(binary) => {
                let zipped = functions.get(binary).with_context(|| format!("{binary} was not built"))?;
                (zipped.file_name.clone(), layout.artefacts().join(&zipped.file_name))
            }
            Artefact::File(name) => {
                let path = layout.root().join(name);
                let bytes = fs::read(&path).with_context(|| format!("cannot read {name}, which template.yaml refers to"))?;
                let digest = hex::encode(Sha256::digest(&bytes));
                let stem = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (format!("{}-{stem}", &digest[..16]), path)
            }
        };
        uploads.insert(key.clone(), path);
        Ok(Location { bucket: BUCKET.to_owned(), key })
    })?;
    Ok(PackagedTemplate { body: template.to_string(), uploads })
}

impl PackagedTemplate {
    /// Uploads missing artefacts and the template. Returns the key of the template.
    pub(crate) async fn upload(&self, s3: &aws_sdk_s3::Client) -> Result<String> {
        if s3.head_bucket().bucket(BUCKET).send().await.is_err() {
            let region = aws_sdk_s3::types::BucketLocationConstraint::from(crate::aws::REGION);
            let location = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(region).build();
            s3.create_bucket()
                .bucket(BUCKET)
                .create_bucket_configuration(location)
                .send()
                .await
                .context("cannot create the bucket of the deployed artefacts")?;
        }
        for (key, path) in &self.uploads {
            if s3.head_object().bucket(BUCKET).key(key).send().await.is_err() {
                let body = ByteStream::from(fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
                put(s3, key, body).await?;
            }
        }
        let key = format!("template-{}.json", &hex::encode(Sha256::digest(self.body.as_bytes()))[..16]);
        put(s3, &key, ByteStream::from(self.body.clone().into_bytes())).await?;
        Ok(key)
    }
}

async fn put(s3: &aws_sdk_s3::Client, key: &str, body: ByteStream) -> Result<()> {
    s3.put_object().bucket(BUCKET).key(key).body(body).send().await.with_context(|| format!("cannot upload {key}"))?;
    Ok(())
}
