//! `GET /v1/models` and `GET /v1/models/{id}`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// All models that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelList {
    /// `list`.
    pub object: Cow<'static, str>,
    /// The models.
    pub data: Vec<ModelBody>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelBody {
    /// Its name.
    pub id: String,
    /// `model`.
    pub object: Cow<'static, str>,
    /// When it became known, seconds since 1970.
    pub created: u64,
    /// `mains`.
    pub owned_by: Cow<'static, str>,
}

impl ModelList {
    /// The list of `models`: name and creation time.
    pub fn new(models: impl IntoIterator<Item = (String, u64)>) -> Self {
        Self {
            object: "list".into(),
            data: models
                .into_iter()
                .map(|(id, created)| ModelBody::new(id, created))
                .collect(),
        }
    }
}

impl ModelBody {
    /// The model `id`, known since `created`.
    #[must_use]
    pub const fn new(id: String, created: u64) -> Self {
        Self {
            id,
            object: Cow::Borrowed("model"),
            created,
            owned_by: Cow::Borrowed("mains"),
        }
    }
}
