//! Random weights in any format.

use std::collections::BTreeMap;

use mains_blocks::quantize;
use mains_contract::{BlockFormat, DriverError, Graph, WeightData, WeightSource};

/// Random numbers that are the same on every run: `splitmix64` (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number from -1 to 1.
    pub fn unit(&mut self) -> f32 {
        // 24 bits are what a float32 holds exactly.
        let part = u32::try_from(self.bits() >> 40).expect("24 bits fit");
        part as f32 / 8_388_608.0 - 1.0
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.bits() % u64::from(bound)).expect("it is below a u32")
    }
}

/// Tensors by name.
#[derive(Debug, Default, Clone)]
pub struct Weights(BTreeMap<String, Tensor>);

#[derive(Debug, Clone)]
struct Tensor {
    format: BlockFormat,
    rows: usize,
    cols: usize,
    bytes: Vec<u8>,
}

impl Weights {
    /// Weights for all that `graph` declares: vectors near 1, the table `embd` from -1 to 1, matrices of a size that
    /// keeps the values of a layer near 1. A matrix is in the format that `format_of` gives its name.
    ///
    /// # Panics
    /// When a format can not hold a matrix of that width.
    #[must_use]
    pub fn random(graph: &Graph, seed: u64, format_of: impl Fn(&str) -> BlockFormat) -> Self {
        let mut random = Random(seed);
        let mut weights = Self::default();
        for declared in graph.weights() {
            let size = if declared.name == "embd" {
                1.0
            } else {
                2.0 / (declared.cols as f32).sqrt()
            };
            let numbers = (0..declared.rows * declared.cols).map(|_| {
                let number = random.unit();
                if declared.rows == 1 {
                    1.0 + 0.1 * number
                } else {
                    size * number
                }
            });
            let numbers: Vec<f32> = numbers.collect();
            let format = if declared.rows == 1 {
                BlockFormat::F32
            } else {
                format_of(&declared.name)
            };
            weights.insert(&declared.name, format, declared.rows, declared.cols, &numbers);
        }
        weights
    }

    /// Adds or replaces a tensor.
    ///
    /// # Panics
    /// When the format can not hold it.
    pub fn insert(&mut self, name: &str, format: BlockFormat, rows: usize, cols: usize, numbers: &[f32]) {
        let row_bytes = format.row_bytes(cols).expect("a test asks for whole blocks");
        let mut bytes = vec![0; rows * row_bytes];
        quantize(format, numbers, &mut bytes).expect("a test asks for numbers that the format holds");
        self.0.insert(
            name.to_owned(),
            Tensor {
                format,
                rows,
                cols,
                bytes,
            },
        );
    }

    /// Takes a tensor away.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// The formats of the weights of `graph`, by index.
    ///
    /// # Panics
    /// When one is missing.
    #[must_use]
    pub fn formats(&self, graph: &Graph) -> Vec<BlockFormat> {
        graph
            .weights()
            .iter()
            .map(|declared| self.0[&declared.name].format)
            .collect()
    }
}

impl WeightSource for Weights {
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError> {
        let tensor = self.0.get(name).ok_or_else(|| DriverError::Weight {
            name: name.to_owned(),
            reason: "there is none".to_owned(),
        })?;
        Ok(WeightData {
            format: tensor.format,
            rows: tensor.rows,
            cols: tensor.cols,
            bytes: &tensor.bytes,
        })
    }
}
