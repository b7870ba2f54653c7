//! The bounds of a GGUF file. Each is well above every published model; a file beyond one is refused, never cut.

/// Tensors in a file. Mixtures with one tensor an expert reach 70,000.
pub const MAX_TENSORS: u64 = 1 << 18;
/// Metadata entries in a file. Published files have under 100.
pub const MAX_METADATA_ENTRIES: u64 = 4096;
/// Bytes of metadata and tensor records together: what is copied out of the file. The largest vocabularies take 15 MB, an
/// embedded `tokenizer.json` 35 MB.
pub const MAX_HEADER_BYTES: u64 = 128 << 20;
/// Bytes of a string in metadata; see [`MAX_HEADER_BYTES`] for the largest known.
pub const MAX_STRING_BYTES: u64 = 64 << 20;
/// Bytes of a key: the format's own bound.
pub const MAX_KEY_BYTES: u64 = (1 << 16) - 1;
/// Bytes of a tensor's name: the format's own bound (`GGML_MAX_NAME`).
pub const MAX_TENSOR_NAME_BYTES: u64 = 64;
/// Values in an array. The longest published are lists of merges, 600,000.
pub const MAX_ARRAY_LEN: u64 = 1 << 22;
/// Files of a split model. The largest published have under 100.
pub const MAX_PARTS: u64 = 1024;
/// Dimensions of a tensor: the format's own bound (`GGML_MAX_DIMS`).
pub const MAX_DIMS: u64 = 4;
/// Bytes that tensors' data may be aligned to. The default is 32; a page of 64 KiB is the largest of any system.
pub const MAX_ALIGNMENT: u64 = 1 << 16;
/// Bytes that tensors' data is aligned to when the file does not say: the format's own default.
pub const DEFAULT_ALIGNMENT: u64 = 32;
