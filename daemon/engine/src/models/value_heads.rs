//! Orders of the heads of linear attention in files.
//!
//! Several value heads share a key head. Hugging Face files have those of one key head side by side; GGUF files of some
//! families have the first of each key head, then the second of each, as programs repeat the keys (llama.cpp's converter,
//! `_LinearAttentionVReorderBase`). Or Hugging Face files have by key head what GGUF has by kind.

use crate::blocks::GatedDelta;

/// Which part of a layer with linear attention a tensor is, by what its rows are in the order of Hugging Face files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadOrder {
    /// All queries, all keys and, by key head, the values.
    Mixed,
    /// Values by key head.
    Values,
    /// One number a value head, by key head.
    Numbers,
    /// The same of the logarithm of what is negated in the graph.
    Decays,
    /// Its columns are values by key head.
    Columns,
    /// By key head its query, key, values and gates, of which queries, keys and values are taken.
    MixedOfGroups,
    /// The same, of which the gates are taken.
    GatesOfGroups,
}

impl HeadOrder {
    /// Which row of the files each row of the graph is (for [`Self::Columns`] each column), in a layer with these heads.
    pub(super) fn sources(self, heads: &GatedDelta) -> Vec<usize> {
        let keys = heads.key_heads * heads.key_dim;
        match self {
            Self::Mixed => {
                let values = tiled(heads, heads.value_dim);
                (0..2 * keys)
                    .chain(values.iter().map(|row| 2 * keys + row))
                    .collect()
            }
            Self::Values | Self::Columns => tiled(heads, heads.value_dim),
            Self::Numbers | Self::Decays => tiled(heads, 1),
            Self::MixedOfGroups => {
                let [query, key, value, _] = groups(heads);
                [query, key, value].concat()
            }
            Self::GatesOfGroups => {
                let [.., gates] = groups(heads);
                gates
            }
        }
    }

    /// Which of rows (0) and columns (1) are in the order; of a vector, the one row of a matrix, columns are.
    pub(super) fn along(self, [rows, _]: [usize; 2]) -> usize {
        usize::from(self == Self::Columns || rows == 1)
    }

    /// Rows (or columns) that files have of it.
    pub(super) fn stored(self, heads: &GatedDelta) -> usize {
        let keys = heads.key_heads * heads.key_dim;
        let values = heads.heads * heads.value_dim;
        match self {
            Self::Mixed => 2 * keys + values,
            Self::Values | Self::Columns => values,
            Self::Numbers | Self::Decays => heads.heads,
            Self::MixedOfGroups | Self::GatesOfGroups => 2 * (keys + values),
        }
    }
}

/// Heads of `width` rows: the first of each key head, then the second of each.
fn tiled(heads: &GatedDelta, width: usize) -> Vec<usize> {
    let shared = heads.heads / heads.key_heads.max(1);
    let of_key = |nth: usize| (0..heads.key_heads).map(move |key| key * shared + nth);
    let in_order = (0..shared).flat_map(of_key);
    in_order
        .flat_map(|head| head * width..(head + 1) * width)
        .collect()
}

/// Rows of all queries, keys, values and gates.
fn groups(heads: &GatedDelta) -> [Vec<usize>; 4] {
    let values = heads.heads / heads.key_heads.max(1) * heads.value_dim;
    let widths = [heads.key_dim, heads.key_dim, values, values];
    let group: usize = widths.iter().sum();
    let mut start = 0;
    widths.map(|width| {
        let first = start;
        start += width;
        let of_key = |key: usize| key * group + first..key * group + first + width;
        (0..heads.key_heads).flat_map(of_key).collect()
    })
}

#[cfg(test)]
mod tests {
    use mains_contract::Activation;

    use super::HeadOrder;
    use crate::blocks::{GatedDelta, GatedDeltaForm, Norm, NormKind};

    const HEADS: GatedDelta = GatedDelta {
        heads: 4,
        key_heads: 2,
        key_dim: 1,
        value_dim: 2,
        kernel: 4,
        activation: Activation::Silu,
        norm: Norm {
            kind: NormKind::Rms,
            epsilon: 1e-6,
        },
        form: GatedDeltaForm::Tiled,
    };

    #[test]
    fn value_heads_are_dealt_out_to_key_heads() {
        assert_eq!(HeadOrder::Numbers.sources(&HEADS), [0, 2, 1, 3]);
        assert_eq!(HeadOrder::Values.sources(&HEADS), [0, 1, 4, 5, 2, 3, 6, 7]);
        assert_eq!(
            HeadOrder::Mixed.sources(&HEADS),
            [0, 1, 2, 3, 4, 5, 8, 9, 6, 7, 10, 11]
        );
    }

    #[test]
    fn groups_come_apart_by_kind() {
        // A group: query, key, four values, four gates.
        let mixed = HeadOrder::MixedOfGroups.sources(&HEADS);
        assert_eq!(mixed, [0, 10, 1, 11, 2, 3, 4, 5, 12, 13, 14, 15]);
        let gates = HeadOrder::GatesOfGroups.sources(&HEADS);
        assert_eq!(gates, [6, 7, 8, 9, 16, 17, 18, 19]);
        assert_eq!(HeadOrder::GatesOfGroups.stored(&HEADS), 20);
    }
}
