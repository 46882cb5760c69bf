//! Detection of files that are not UTF-8 text, by their first bytes.

/// What a file contains instead of UTF-8 text. The texts say what to do.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignContent {
    /// UTF-16 or UTF-32.
    #[error(
        "the file is UTF-16 or has NUL bytes, not UTF-8: save it as UTF-8; in Excel, choose \"CSV UTF-8 (Comma delimited)\", \
         not \"Unicode Text\""
    )]
    Utf16,
    /// A ZIP archive, such as `.xlsx` and `.ods`.
    #[error(
        "the file is a ZIP archive or a spreadsheet (.xlsx, .ods), not text: in Excel, save it as \"CSV UTF-8 (Comma \
         delimited)\"; compress files with gzip or zstd"
    )]
    Zip,
    /// An old format of Excel, `.xls`.
    #[error("the file is an Excel workbook (.xls), not text: save it as \"CSV UTF-8 (Comma delimited)\"")]
    OldWorkbook,
    /// PDF.
    #[error("the file is a PDF document, not text: export the table as CSV in UTF-8")]
    Pdf,
    /// HTML or XML.
    #[error("the file is HTML or XML: export the table as CSV in UTF-8, and check that the download was not an error page")]
    Markup,
    /// gzip, although the file name does not say so.
    #[error("the file is compressed with gzip, but its name does not end in .gz: rename it, or decompress it once more")]
    Gzip,
    /// zstd, although the file name does not say so.
    #[error("the file is compressed with zstd, but its name does not end in .zst: rename it, or decompress it once more")]
    Zstd,
}

impl ForeignContent {
    /// Detects the content from the start of the decompressed file.
    pub(super) fn detect(start: &[u8]) -> Option<Self> {
        const MAGIC: [(&[u8], ForeignContent); 9] = [
            (b"\xff\xfe", ForeignContent::Utf16),
            (b"\xfe\xff", ForeignContent::Utf16),
            (b"\0\0\xfe\xff", ForeignContent::Utf16),
            (b"PK\x03\x04", ForeignContent::Zip),
            (b"PK\x05\x06", ForeignContent::Zip),
            (b"\xd0\xcf\x11\xe0", ForeignContent::OldWorkbook),
            (b"%PDF-", ForeignContent::Pdf),
            (b"\x1f\x8b", ForeignContent::Gzip),
            (b"\x28\xb5\x2f\xfd", ForeignContent::Zstd),
        ];
        if let Some((_, content)) = MAGIC.iter().find(|(magic, _)| start.starts_with(magic)) {
            return Some(*content);
        }
        // ASCII characters in UTF-16 without a byte order mark: every second byte is NUL.
        if start.iter().take(4).any(|byte| *byte == 0) {
            return Some(Self::Utf16);
        }
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        text.trim_ascii_start().starts_with(b"<").then_some(Self::Markup)
    }
}
