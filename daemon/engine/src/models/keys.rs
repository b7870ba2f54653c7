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

/// A hyperparameter that Hugging Face does not have, or not by one name.
pub(super) const fn in_gguf(gguf: &'static str) -> Key {
    Key {
        gguf,
        huggingface: None,
    }
}

/// A hyperparameter that both have.
pub(super) const fn key(gguf: &'static str, huggingface: &'static str) -> Key {
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
pub(super) const LAYER_EPSILON: Key = key("attention.layer_norm_epsilon", "layer_norm_eps");
pub(super) const WINDOW: Key = key("attention.sliding_window", "sliding_window");
pub(super) const EXPERTS: Key = key("expert_count", "num_experts");
pub(super) const LOCAL_EXPERTS: Key = key("expert_count", "num_local_experts");
pub(super) const EXPERT_WIDTH: Key = key("expert_feed_forward_length", "moe_intermediate_size");
pub(super) const SHARED_EXPERT_WIDTH: Key = key(
    "expert_shared_feed_forward_length",
    "shared_expert_intermediate_size",
);
pub(super) const EXPERTS_USED: Key = key("expert_used_count", "num_experts_per_tok");
pub(super) const VALUE_DIM: Key = in_gguf("attention.value_length");
/// How many numbers of a head rotate.
pub(super) const ROTATED: Key = in_gguf("rope.dimension_count");
/// The same in layers with a window.
pub(super) const LOCAL_ROTATED: Key = in_gguf("rope.dimension_count_swa");
pub(super) const LOCAL_ROPE_BASE: Key = in_gguf("rope.freq_base_swa");
pub(super) const ROPE_FACTOR: Key = in_gguf("rope.scaling.factor");
pub(super) const ROPE_CONTEXT: Key = in_gguf("rope.scaling.original_context_length");
pub(super) const YARN_SCALE: Key = in_gguf("rope.scaling.attn_factor");
/// What queries and keys each grow by a unit of the natural logarithm of the scaling's factor, beside their rotation.
pub(super) const YARN_GROWTH: Key = in_gguf("rope.scaling.yarn_log_multiplier");
pub(super) const YARN_FAST: Key = in_gguf("rope.scaling.yarn_beta_fast");
pub(super) const YARN_SLOW: Key = in_gguf("rope.scaling.yarn_beta_slow");
