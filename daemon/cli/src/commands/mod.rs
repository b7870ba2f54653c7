//! One file a command.

pub(crate) mod admin;
pub(crate) mod ask;
pub(crate) mod chat;
pub(crate) mod devices;
pub(crate) mod docs;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod families;
pub(crate) mod import;
pub(crate) mod logs;
pub(crate) mod measure;
pub(crate) mod models;
pub(crate) mod plan;
pub(crate) mod prepare;
pub(crate) mod show;
pub(crate) mod siblings;
pub(crate) mod status;
pub(crate) mod support;
pub(crate) mod usage;
pub(crate) mod watch;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What may stand in a path's segment as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b':');

/// The path of a model's resource.
pub(crate) fn model_path(model: &str, rest: &str) -> String {
    format!("/v1/models/{}{rest}", utf8_percent_encode(model, SEGMENT))
}

/// The path of an administrator's action on a model.
pub(crate) fn admin_model_path(model: &str, action: &str) -> String {
    format!("{}/{action}", admin_path(model))
}

/// The path of a model as an administrator has it.
pub(crate) fn admin_path(model: &str) -> String {
    format!("/admin/models/{}", utf8_percent_encode(model, SEGMENT))
}

/// A path with the query's given values.
pub(crate) fn with_query<'a>(
    path: &str,
    query: impl IntoIterator<Item = (&'a str, Option<String>)>,
) -> String {
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    for (key, value) in query {
        if let Some(value) = value {
            encoded.append_pair(key, &value);
        }
    }
    let encoded = encoded.finish();
    if encoded.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{encoded}")
    }
}

#[cfg(test)]
mod tests {
    use super::{model_path, with_query};

    #[test]
    fn names_can_not_leave_their_segment() {
        assert_eq!(model_path("a/../b?c", "/plan"), "/v1/models/a%2F..%2Fb%3Fc/plan");
        assert_eq!(model_path("qwen3:0.6b", ""), "/v1/models/qwen3:0.6b");
    }

    #[test]
    fn absent_values_are_left_out() {
        assert_eq!(with_query("/x", [("a", None)]), "/x");
        assert_eq!(
            with_query("/x", [("a", Some("1+2".into())), ("b", None)]),
            "/x?a=1%2B2"
        );
    }
}
