//! Uploads of objects whose size is not known in advance.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use roadcast_ports::PortError;

use crate::sdk_error::port_error;

/// The buffer size at which a part is sent. It is above the minimum part size of S3, 5 MiB.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// An upload that is split into parts once it is large. A small object is stored with a single request.
pub(crate) struct MultipartUpload<'c> {
    client: &'c Client,
    bucket: &'c str,
    key: &'c str,
    content_type: &'static str,
    context: &'static str,
    upload_id: Option<String>,
    completed: Vec<CompletedPart>,
    buffer: Vec<u8>,
}

impl<'c> MultipartUpload<'c> {
    pub(crate) fn new(
        client: &'c Client,
        bucket: &'c str,
        key: &'c str,
        content_type: &'static str,
        context: &'static str,
    ) -> Self {
        Self { client, bucket, key, content_type, context, upload_id: None, completed: Vec::new(), buffer: Vec::new() }
    }

    /// Appends bytes, and sends a part if enough are buffered.
    pub(crate) async fn add(&mut self, bytes: Vec<u8>) -> Result<(), PortError> {
        self.buffer.extend(bytes);
        if self.buffer.len() >= PART_BYTES { self.send_part().await } else { Ok(()) }
    }

    async fn send_part(&mut self) -> Result<(), PortError> {
        if self.upload_id.is_none() {
            let create = self.client.create_multipart_upload().bucket(self.bucket).key(self.key);
            let created = create.content_type(self.content_type).send().await;
            self.upload_id = created.map_err(|error| port_error(self.context, error))?.upload_id;
        }
        let number = i32::try_from(self.completed.len() + 1).unwrap_or(i32::MAX);
        let part = self
            .client
            .upload_part()
            .bucket(self.bucket)
            .key(self.key)
            .set_upload_id(self.upload_id.clone())
            .part_number(number)
            .body(ByteStream::from(std::mem::take(&mut self.buffer)))
            .send()
            .await
            .map_err(|error| port_error(self.context, error))?;
        self.completed.push(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build());
        Ok(())
    }

    /// Sends the remaining bytes and completes the object.
    pub(crate) async fn finish(&mut self) -> Result<(), PortError> {
        if self.upload_id.is_none() {
            let put = self.client.put_object().bucket(self.bucket).key(self.key).content_type(self.content_type);
            let put = put.body(ByteStream::from(std::mem::take(&mut self.buffer))).send().await;
            return put.map(|_| ()).map_err(|error| port_error(self.context, error));
        }
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut self.completed))).build();
        let complete = self.client.complete_multipart_upload().bucket(self.bucket).key(self.key);
        let complete = complete.set_upload_id(self.upload_id.clone()).multipart_upload(parts).send().await;
        complete.map(|_| ()).map_err(|error| port_error(self.context, error))
    }

    /// Deletes the parts that were sent. If that fails as well, the lifecycle rule of the bucket deletes them later.
    pub(crate) async fn abort(self) {
        if self.upload_id.is_some() {
            let abort = self.client.abort_multipart_upload().bucket(self.bucket).key(self.key);
            let _ = abort.set_upload_id(self.upload_id).send().await;
        }
    }
}
