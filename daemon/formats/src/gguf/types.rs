//! The published tensor types (ggml.h, `enum ggml_type`): known by name even where they are not read.

/// The name of the type with the id `id`, or `None` when none is published under it.
pub(super) fn type_name(id: u32) -> Option<&'static str> {
    Some(match id {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        4 => "Q4_2 (withdrawn)",
        5 => "Q4_3 (withdrawn)",
        6 => "Q5_0",
        7 => "Q5_1",
        8 => "Q8_0",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        30 => "BF16",
        31 => "Q4_0_4_4 (withdrawn)",
        32 => "Q4_0_4_8 (withdrawn)",
        33 => "Q4_0_8_8 (withdrawn)",
        34 => "TQ1_0",
        35 => "TQ2_0",
        36 => "IQ4_NL_4_4 (withdrawn)",
        37 => "IQ4_NL_4_8 (withdrawn)",
        38 => "IQ4_NL_8_8 (withdrawn)",
        39 => "MXFP4",
        40 => "NVFP4",
        41 => "Q1_0",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use mains_blocks::BlockFormat;

    use super::type_name;

    #[test]
    fn our_formats_have_their_published_ids() {
        for format in BlockFormat::ALL {
            assert_eq!(type_name(format.gguf_id()), Some(format.name()));
        }
    }
}
