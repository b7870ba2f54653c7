//! Names of tensors that families share (GGUF: `gguf-py/gguf/constants.py` of llama.cpp; Hugging Face: the modules of
//! `transformers`).

use super::family::TensorName;
use super::transform::Transform;

type Names = &'static [TensorName];

/// Embedding, last norm and the matrix for the logits.
pub(super) const ENDS: Names = &[
    TensorName::new("token_embd.weight", "model.embed_tokens.weight"),
    TensorName::new("output_norm.weight", "model.norm.weight"),
    TensorName::new("output.weight", "lm_head.weight"),
];

/// Norms before both branches.
pub(super) const NORMS_BEFORE: Names = &[
    TensorName::new(
        "blk.{}.attn_norm.weight",
        "model.layers.{}.input_layernorm.weight",
    ),
    TensorName::new(
        "blk.{}.ffn_norm.weight",
        "model.layers.{}.post_attention_layernorm.weight",
    ),
];

/// Projections of queries and keys.
pub(super) const QUERY_KEY: Names = &[
    TensorName::new("blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight"),
    TensorName::new("blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight"),
    TensorName::new("blk.{}.attn_q.bias", "model.layers.{}.self_attn.q_proj.bias"),
    TensorName::new("blk.{}.attn_k.bias", "model.layers.{}.self_attn.k_proj.bias"),
];

/// The same where GGUF's rows are those of [`Transform::NeighboursInGguf`].
pub(super) const NEIGHBOURING_QUERY_KEY: Names = &[
    neighbours("blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight"),
    neighbours("blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight"),
    neighbours("blk.{}.attn_q.bias", "model.layers.{}.self_attn.q_proj.bias"),
    neighbours("blk.{}.attn_k.bias", "model.layers.{}.self_attn.k_proj.bias"),
];

/// Projection of values.
pub(super) const VALUE: Names = &[
    TensorName::new("blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight"),
    TensorName::new("blk.{}.attn_v.bias", "model.layers.{}.self_attn.v_proj.bias"),
];

/// Projection of what attention gives.
pub(super) const OUTPUT: Names = &[
    TensorName::new(
        "blk.{}.attn_output.weight",
        "model.layers.{}.self_attn.o_proj.weight",
    ),
    TensorName::new("blk.{}.attn_output.bias", "model.layers.{}.self_attn.o_proj.bias"),
];

/// Norms of query and key heads.
pub(super) const HEAD_NORMS: Names = &[
    TensorName::new(
        "blk.{}.attn_q_norm.weight",
        "model.layers.{}.self_attn.q_norm.weight",
    ),
    TensorName::new(
        "blk.{}.attn_k_norm.weight",
        "model.layers.{}.self_attn.k_norm.weight",
    ),
];

/// Biases of the norms before both branches, and of the last one.
pub(super) const PRE_NORM_BIASES: Names = &[
    TensorName::new("blk.{}.attn_norm.bias", "model.layers.{}.input_layernorm.bias"),
    TensorName::new(
        "blk.{}.ffn_norm.bias",
        "model.layers.{}.post_attention_layernorm.bias",
    ),
    TensorName::new("output_norm.bias", "model.norm.bias"),
];

/// Norms before both branches, where GGUF has the second by another name.
pub(super) const NORMS_BEFORE_MOVED: Names = &[
    TensorName::new(
        "blk.{}.attn_norm.weight",
        "model.layers.{}.input_layernorm.weight",
    ),
    TensorName::new(
        "blk.{}.post_attention_norm.weight",
        "model.layers.{}.post_attention_layernorm.weight",
    ),
];

/// Norms after both branches.
pub(super) const NORMS_AFTER: Names = &[
    TensorName::new(
        "blk.{}.post_attention_norm.weight",
        "model.layers.{}.post_attention_layernorm.weight",
    ),
    TensorName::new(
        "blk.{}.post_ffw_norm.weight",
        "model.layers.{}.post_feedforward_layernorm.weight",
    ),
];

/// Norms before both branches, where there are others after them.
pub(super) const NORMS_BEFORE_OF_FOUR: Names = &[
    TensorName::new(
        "blk.{}.attn_norm.weight",
        "model.layers.{}.input_layernorm.weight",
    ),
    TensorName::new(
        "blk.{}.ffn_norm.weight",
        "model.layers.{}.pre_feedforward_layernorm.weight",
    ),
];

/// Embedding, logits and norms, whose gains Hugging Face files keep without the 1 that is added to them.
pub(super) const ENDS_PLUS_ONE: Names = &[
    TensorName::new("token_embd.weight", "model.embed_tokens.weight"),
    TensorName::new("output.weight", "lm_head.weight"),
    plus_one("output_norm.weight", "model.norm.weight"),
    plus_one(
        "blk.{}.attn_norm.weight",
        "model.layers.{}.input_layernorm.weight",
    ),
    plus_one(
        "blk.{}.attn_q_norm.weight",
        "model.layers.{}.self_attn.q_norm.weight",
    ),
    plus_one(
        "blk.{}.attn_k_norm.weight",
        "model.layers.{}.self_attn.k_norm.weight",
    ),
];

/// The norms of Gemma's branches beyond these.
pub(super) const GEMMA_NORMS: Names = &[
    plus_one(
        "blk.{}.post_attention_norm.weight",
        "model.layers.{}.post_attention_layernorm.weight",
    ),
    plus_one(
        "blk.{}.ffn_norm.weight",
        "model.layers.{}.pre_feedforward_layernorm.weight",
    ),
    plus_one(
        "blk.{}.post_ffw_norm.weight",
        "model.layers.{}.post_feedforward_layernorm.weight",
    ),
];

/// A gated feed-forward part.
pub(super) const GATED: Names = &[
    TensorName::new("blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight"),
    TensorName::new("blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight"),
    TensorName::new("blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight"),
    TensorName::new("blk.{}.ffn_gate.bias", "model.layers.{}.mlp.gate_proj.bias"),
    TensorName::new("blk.{}.ffn_up.bias", "model.layers.{}.mlp.up_proj.bias"),
    TensorName::new("blk.{}.ffn_down.bias", "model.layers.{}.mlp.down_proj.bias"),
];

/// A router with experts that have a tensor each in Hugging Face files.
pub(super) const EXPERTS: Names = &[
    TensorName::new("blk.{}.ffn_gate_inp.weight", "model.layers.{}.mlp.gate.weight"),
    TensorName::new(
        "blk.{}.ffn_gate_exps.weight",
        "model.layers.{}.mlp.experts.{}.gate_proj.weight",
    ),
    TensorName::new(
        "blk.{}.ffn_up_exps.weight",
        "model.layers.{}.mlp.experts.{}.up_proj.weight",
    ),
    TensorName::new(
        "blk.{}.ffn_down_exps.weight",
        "model.layers.{}.mlp.experts.{}.down_proj.weight",
    ),
];

/// The expert that every token uses, where it is named as several.
pub(super) const SHARED_EXPERTS: Names = &[
    TensorName::new(
        "blk.{}.ffn_gate_shexp.weight",
        "model.layers.{}.mlp.shared_experts.gate_proj.weight",
    ),
    TensorName::new(
        "blk.{}.ffn_up_shexp.weight",
        "model.layers.{}.mlp.shared_experts.up_proj.weight",
    ),
    TensorName::new(
        "blk.{}.ffn_down_shexp.weight",
        "model.layers.{}.mlp.shared_experts.down_proj.weight",
    ),
];

/// The expert that every token uses, and its gate.
pub(super) const SHARED_EXPERT: Names = &[
    TensorName::new(
        "blk.{}.ffn_gate_inp_shexp.weight",
        "model.layers.{}.mlp.shared_expert_gate.weight",
    ),
    TensorName::new(
        "blk.{}.ffn_gate_shexp.weight",
        "model.layers.{}.mlp.shared_expert.gate_proj.weight",
    ),
    TensorName::new(
        "blk.{}.ffn_up_shexp.weight",
        "model.layers.{}.mlp.shared_expert.up_proj.weight",
    ),
    TensorName::new(
        "blk.{}.ffn_down_shexp.weight",
        "model.layers.{}.mlp.shared_expert.down_proj.weight",
    ),
];

/// A gated feed-forward part with gate and up, in that order, in one tensor.
pub(super) const FUSED_GATED: Names = &[
    TensorName::new("blk.{}.ffn_up.weight", "model.layers.{}.mlp.gate_up_proj.weight"),
    TensorName::new("blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight"),
];

/// All of a Llama.
pub(super) const LLAMA: &[Names] = &[ENDS, NORMS_BEFORE, NEIGHBOURING_QUERY_KEY, VALUE, OUTPUT, GATED];

/// The same without another order of rows in GGUF.
pub(super) const QWEN: &[Names] = &[ENDS, NORMS_BEFORE, QUERY_KEY, VALUE, OUTPUT, GATED];

pub(super) const fn plus_one(gguf: &'static str, huggingface: &'static str) -> TensorName {
    TensorName::new(gguf, huggingface).with(Transform::PlusOne)
}

const fn neighbours(gguf: &'static str, huggingface: &'static str) -> TensorName {
    TensorName::new(gguf, huggingface).with(Transform::NeighboursInGguf)
}
