//! Hyperparameters of several families under both names (GGUF: `docs/gguf.md` of the ggml project; Hugging Face: the
//! configuration classes of `transformers`).

/// A hyperparameter's two names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// In GGUF, behind the architecture's name and a dot.
    pub(super) gguf: &'static str,
    /// In `config.json`; none when Hugging Face has no such setting.
    pub(super) huggingface: Option<&'static str>,
}

const fn key(gguf: &'static str, huggingface: &'static str) -> Key {
    Key {
        gguf,
        huggingface: Some(huggingface),
    }
}

pub(super) const LAYERS: Key = key("block_count", "num_hidden_layers");
pub(super) const CONTEXT: Key = key("context_length", "max_position_embeddings");
pub(super) const WIDTH: Key = key("embedding_length", "hidden_size");
pub(super) const FEED_FORWARD: Key = key("feed_forward_length", "intermediate_size");
pub(super) const HEADS: Key = key("attention.head_count", "num_attention_heads");
pub(super) const KV_HEADS: Key = key("attention.head_count_kv", "num_key_value_heads");
pub(super) const HEAD_DIM: Key = key("attention.key_length", "head_dim");
pub(super) const RMS_EPSILON: Key = key("attention.layer_norm_rms_epsilon", "rms_norm_eps");
pub(super) const ROPE_BASE: Key = key("rope.freq_base", "rope_theta");
pub(super) const VALUE_DIM: Key = Key {
    gguf: "attention.value_length",
    huggingface: None,
};
