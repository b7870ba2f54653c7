//! What was read, for GGUF metadata.

use serde_json::Value;

use super::{RopeFactors, Settings, size};
use crate::models::ModelError;
use crate::models::family::Setting;
use crate::models::keys::Key;
use crate::models::weights::refuse;

impl Settings {
    /// `number`, remembered for GGUF unless readers of that take the same without being told.
    #[expect(clippy::float_cmp, reason = "only the usual number itself need not be told")]
    pub(in crate::models) fn record_unless(
        &mut self,
        key: Key,
        usual: f32,
        number: f64,
    ) -> Result<f32, ModelError> {
        let number = self.record_number(key, key.gguf, &Value::from(number))?;
        if number == usual {
            self.read.pop();
        }
        Ok(number)
    }

    /// Remembers `size` for GGUF under `key`, instead of what was remembered there.
    pub(in crate::models) fn record_instead(&mut self, key: Key, size: usize) {
        let size = Setting::Integer(u32::try_from(size).unwrap_or(u32::MAX));
        match self.read.iter_mut().find(|(known, _)| *known == key.gguf) {
            Some((_, known)) => *known = size,
            None => self.read.push((key.gguf, size)),
        }
    }

    /// Whether there was something to remember for GGUF under `key` so far.
    pub(in crate::models) fn is_recorded(&self, key: Key) -> bool {
        self.read.iter().any(|(known, _)| *known == key.gguf)
    }

    /// What was read, under GGUF keys without the architecture's name, in the order of reading.
    pub(in crate::models) fn into_read(self) -> Vec<(&'static str, Setting)> {
        self.read
    }

    /// What the frequencies of the rotation are divided by: GGUF keeps it as tensors.
    pub(in crate::models) fn rope_factors(&self) -> RopeFactors {
        self.rope_factors.clone()
    }

    /// The factors that come as the tensor `name`, one a pair.
    pub(in crate::models) fn take_rope_factors(
        &mut self,
        name: &'static str,
        pairs: usize,
    ) -> Result<Option<Vec<f32>>, ModelError> {
        match self.hints.rope_factors.remove(name) {
            Some(factors) if factors.len() != pairs => Err(refuse(
                name,
                format!(
                    "it has {} numbers, heads have {pairs} pairs that rotate",
                    factors.len()
                ),
            )),
            factors => Ok(factors),
        }
    }

    /// Whether there are factors in a tensor `name`.
    pub(in crate::models) fn has_rope_factors(&self, name: &str) -> bool {
        self.hints.rope_factors.contains_key(name)
    }

    /// Remembers the factors for GGUF.
    pub(in crate::models) fn record_rope_factors(&mut self, name: &'static str, factors: Vec<f32>) {
        self.rope_factors.insert(name, factors);
    }

    /// Remembers a size of each layer for GGUF under `key`, instead of what was remembered there: one number where all
    /// are alike.
    pub(in crate::models) fn record_per_layer(&mut self, key: Key, sizes: &[usize]) {
        match sizes {
            [first, rest @ ..] if rest.iter().any(|size| size != first) => {
                let sizes = sizes.iter().map(|size| u32::try_from(*size).unwrap_or(u32::MAX));
                self.read.retain(|(known, _)| *known != key.gguf);
                self.read.push((key.gguf, Setting::Integers(sizes.collect())));
            }
            [first, ..] => self.record_instead(key, *first),
            [] => {}
        }
    }

    /// Remembers a number for GGUF under several keys, which programs do not agree on.
    pub(in crate::models) fn record_everywhere(&mut self, keys: [&'static str; 2], number: f32) {
        self.read.retain(|(known, _)| !keys.contains(known));
        self.read.extend(keys.map(|key| (key, Setting::Number(number))));
    }

    /// Remembers a name for GGUF.
    pub(in crate::models) fn record_text(&mut self, key: &'static str, text: &'static str) {
        self.read.retain(|(known, _)| *known != key);
        self.read.push((key, Setting::Text(text)));
    }

    /// Remembers a choice for GGUF.
    pub(in crate::models) fn record_flag(&mut self, key: &'static str, flag: bool) {
        self.read.push((key, Setting::Flag(flag)));
    }

    /// Remembers several numbers for GGUF.
    pub(in crate::models) fn record_integers(&mut self, key: &'static str, integers: Vec<u32>) {
        self.read.push((key, Setting::Integers(integers)));
    }

    /// Remembers a choice a layer for GGUF.
    pub(in crate::models) fn record_flags(&mut self, key: &'static str, flags: Vec<bool>) {
        self.read.retain(|(known, _)| *known != key);
        self.read.push((key, Setting::Flags(flags)));
    }

    /// Remembers a size for GGUF.
    pub(in crate::models) fn record_integer(
        &mut self,
        key: Key,
        name: &str,
        value: &Value,
    ) -> Result<usize, ModelError> {
        let integer = size(name, value)?;
        let stored = u32::try_from(integer).expect("MAX_SIZE is below 2^32");
        self.read.push((key.gguf, Setting::Integer(stored)));
        Ok(integer)
    }

    /// Remembers a positive number for GGUF.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "GGUF and the operations take float32"
    )]
    pub(in crate::models) fn record_number(
        &mut self,
        key: Key,
        name: &str,
        value: &Value,
    ) -> Result<f32, ModelError> {
        let number = value.as_f64().map(|number| number as f32);
        match number.filter(|number| number.is_finite() && *number > 0.0) {
            Some(number) => {
                self.read.push((key.gguf, Setting::Number(number)));
                Ok(number)
            }
            None => Err(ModelError::setting(name, value, "a number above 0")),
        }
    }
}
