//! Records of the stream, as devices, partners and the API put them: plain JSON, JSON compressed with zstd, and events whose
//! data is a block.
