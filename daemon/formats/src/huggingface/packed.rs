//! Checkpoints whose weights another program packed: refused by the name of the method.

use safetensors::Dtype;
use serde_json::Value;

use crate::Reason;

/// Refuses a configuration that says how its weights are packed (GPTQ, AWQ, bitsandbytes, FP8 ...).
///
/// # Errors
/// [`Reason::Quantized`].
pub(super) fn refuse_config(config: &Value) -> Result<(), Reason> {
    for key in ["quantization_config", "compression_config", "quantization"] {
        let Some(settings) = config.get(key).filter(|settings| !settings.is_null()) else {
            continue;
        };
        let loads = |bits: &str| settings[bits] == true;
        let method = match settings.get("quant_method").and_then(Value::as_str) {
            Some(method) => method,
            None if loads("load_in_4bit") || loads("load_in_8bit") => "bitsandbytes",
            None if key == "quantization" => "MLX",
            None => "an unnamed method",
        };
        return Err(Reason::Quantized {
            method: method.to_owned(),
        });
    }
    Ok(())
}

/// Refuses a tensor that only a packed checkpoint has, where the configuration says nothing: older programs kept their
/// settings elsewhere.
///
/// # Errors
/// [`Reason::Quantized`].
pub(super) fn refuse_tensor(name: &str, dtype: Dtype) -> Result<(), Reason> {
    let part = name.rsplit('.').next().unwrap_or(name);
    let method = match (part, dtype) {
        ("qweight" | "qzeros" | "g_idx", Dtype::I32) => "GPTQ or AWQ",
        ("absmax" | "quant_map" | "nested_absmax", _) | ("SCB", Dtype::F32) => "bitsandbytes",
        ("weight", Dtype::F8_E4M3 | Dtype::F8_E5M2) => "FP8",
        _ => return Ok(()),
    };
    Err(Reason::Quantized {
        method: format!("{method} (it has the tensor {name})"),
    })
}

#[cfg(test)]
mod tests {
    use safetensors::Dtype;
    use serde_json::json;

    use super::{refuse_config, refuse_tensor};

    #[test]
    fn configurations_are_refused_by_the_name_of_their_method() {
        let refused = |config| refuse_config(&config).unwrap_err().to_string();
        for method in ["gptq", "awq", "fp8", "compressed-tensors", "mxfp4", "aqlm", "hqq"] {
            let config = json!({"quantization_config": {"quant_method": method, "bits": 4}});
            assert!(refused(config).contains(&format!("quantized with {method},")));
        }
        for bits in ["load_in_4bit", "load_in_8bit"] {
            assert!(refused(json!({"quantization_config": {bits: true}})).contains("bitsandbytes"));
        }
        assert!(refused(json!({"quantization": {"group_size": 64, "bits": 4}})).contains("MLX"));
        assert!(refused(json!({"compression_config": {}})).contains("an unnamed method"));
        assert!(refuse_config(&json!({"quantization_config": null})).is_ok());
    }

    #[test]
    fn tensors_tell_of_their_method() {
        let refused = |name: &str, dtype| refuse_tensor(name, dtype).unwrap_err().to_string();
        assert!(
            refused("model.layers.0.self_attn.q_proj.qweight", Dtype::I32)
                .contains("GPTQ or AWQ (it has the tensor model")
        );
        assert!(refused("a.weight.absmax", Dtype::U8).contains("bitsandbytes"));
        assert!(refused("a.SCB", Dtype::F32).contains("bitsandbytes"));
        assert!(refused("a.weight", Dtype::F8_E4M3).contains("FP8"));
        assert!(refuse_tensor("a.weight", Dtype::BF16).is_ok());
        assert!(refuse_tensor("a.qweight", Dtype::BF16).is_ok());
    }
}
