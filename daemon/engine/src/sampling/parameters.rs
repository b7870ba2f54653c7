//! Parameters with every absent field filled in: the request's, then the model's own, then the neutral value.

use mains_types::{LogitBias, Sampling, SamplingDefaults};

/// A parameter outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{param} {reason}")]
pub struct SamplingError {
    /// The parameter's name in the API.
    pub param: &'static str,
    /// What it must be.
    pub reason: String,
}

/// How the next token of one choice is chosen. Fields as in [`Sampling`], ranges checked.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingParameters {
    /// 0 takes the most likely token.
    pub temperature: f32,
    /// 0 is all.
    pub top_k: u32,
    /// 1 is all.
    pub top_p: f32,
    /// 0 is all.
    pub min_p: f32,
    /// 0 is neutral.
    pub frequency_penalty: f32,
    /// 0 is neutral.
    pub presence_penalty: f32,
    /// 1 is neutral.
    pub repetition_penalty: f32,
    /// Added first; `-infinity` excludes a token.
    pub logit_bias: Vec<LogitBias>,
    /// Key of the random numbers.
    pub seed: u64,
    /// Tells choices with the same seed apart.
    pub choice: u32,
}

impl SamplingParameters {
    /// The most likely token, always.
    #[must_use]
    pub const fn greedy() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            repetition_penalty: 1.0,
            logit_bias: Vec::new(),
            seed: 0,
            choice: 0,
        }
    }

    /// Fills in what `request` leaves open from `defaults`, then with neutral values: temperature 1, no filters, no
    /// penalties. `fresh_seed` is taken when the request gives no seed.
    ///
    /// # Errors
    /// [`SamplingError`] names the parameter that is outside its range.
    pub fn resolve(
        request: &Sampling,
        defaults: &SamplingDefaults,
        fresh_seed: u64,
        choice: u32,
    ) -> Result<Self, SamplingError> {
        let pick =
            |given: Option<f32>, default: Option<f32>, neutral: f32| given.or(default).unwrap_or(neutral);
        let parameters = Self {
            temperature: pick(request.temperature, defaults.temperature, 1.0),
            top_k: request.top_k.or(defaults.top_k).unwrap_or(0),
            top_p: pick(request.top_p, defaults.top_p, 1.0),
            min_p: pick(request.min_p, defaults.min_p, 0.0),
            frequency_penalty: request.frequency_penalty.unwrap_or(0.0),
            presence_penalty: request.presence_penalty.unwrap_or(0.0),
            repetition_penalty: pick(request.repetition_penalty, defaults.repetition_penalty, 1.0),
            logit_bias: request.logit_bias.clone(),
            seed: request.seed.unwrap_or(fresh_seed),
            choice,
        };
        parameters.check()?;
        Ok(parameters)
    }

    /// Checks every range. NaN is in none.
    ///
    /// # Errors
    /// [`SamplingError`] names the first parameter outside its range.
    pub fn check(&self) -> Result<(), SamplingError> {
        within("temperature", self.temperature, 0.0, 2.0)?;
        within("top_p", self.top_p, f32::MIN_POSITIVE, 1.0)?;
        within("min_p", self.min_p, 0.0, 1.0)?;
        within("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?;
        within("presence_penalty", self.presence_penalty, -2.0, 2.0)?;
        within("repetition_penalty", self.repetition_penalty, 0.01, 100.0)?;
        for entry in &self.logit_bias {
            if entry.bias != f32::NEG_INFINITY {
                within("logit_bias", entry.bias, -100.0, 100.0)?;
            }
        }
        Ok(())
    }

    /// Whether logits are compared as the model gave them.
    pub(super) fn leaves_logits(&self) -> bool {
        self.logit_bias.is_empty() && !self.looks_back()
    }

    /// Whether a token's logit depends on what was said before: only then does a [`super::History`] matter.
    #[must_use]
    pub fn looks_back(&self) -> bool {
        self.repetition_penalty != 1.0 || self.frequency_penalty != 0.0 || self.presence_penalty != 0.0
    }
}

fn within(param: &'static str, value: f32, least: f32, most: f32) -> Result<(), SamplingError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let reason = if least == f32::MIN_POSITIVE {
        format!("must be above 0 and at most {most}, it is {value}")
    } else {
        format!("must be from {least} to {most}, it is {value}")
    };
    Err(SamplingError { param, reason })
}

#[cfg(test)]
mod tests {
    use mains_types::{Sampling, SamplingDefaults};

    use super::SamplingParameters;

    #[test]
    fn the_request_wins_then_the_model_then_neutral() {
        let defaults = SamplingDefaults {
            temperature: Some(0.6),
            top_k: Some(20),
            ..SamplingDefaults::default()
        };
        let request = Sampling {
            top_k: Some(5),
            ..Sampling::default()
        };
        let resolved = SamplingParameters::resolve(&request, &defaults, 9, 2).unwrap();
        assert_eq!(
            (resolved.temperature, resolved.top_k, resolved.top_p),
            (0.6, 5, 1.0)
        );
        assert_eq!((resolved.seed, resolved.choice), (9, 2));
        let silent = SamplingParameters::resolve(&Sampling::default(), &SamplingDefaults::default(), 0, 0);
        assert_eq!(silent.unwrap().temperature, 1.0);
    }

    #[test]
    fn a_parameter_outside_its_range_is_named() {
        for (temperature, top_p, name) in [
            (2.5, 1.0, "temperature"),
            (1.0, 0.0, "top_p"),
            (f32::NAN, 1.0, "temperature"),
        ] {
            let request = Sampling {
                temperature: Some(temperature),
                top_p: Some(top_p),
                ..Sampling::default()
            };
            let error =
                SamplingParameters::resolve(&request, &SamplingDefaults::default(), 0, 0).unwrap_err();
            assert_eq!(error.param, name);
        }
    }
}
