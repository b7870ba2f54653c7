//! How far the measurement of what types cost a model is, in words.

use mains_wire::http::SensitivityStatus;

/// A word or two for a table.
pub(crate) fn short(status: &SensitivityStatus) -> String {
    match (status.state.as_str(), status.done, status.of) {
        ("measured", ..) => "yes".to_owned(),
        ("measuring", Some(done), Some(of)) => format!("{done} of {of}"),
        ("kept", ..) => "quantized".to_owned(),
        ("unknown" | "", ..) => "-".to_owned(),
        (state, ..) => state.to_owned(),
    }
}

/// A sentence for whoever looks closely; none when there is nothing to say.
pub(crate) fn sentence(status: &SensitivityStatus) -> Option<String> {
    let reason = status.reason.as_deref().unwrap_or("the box to be idle");
    Some(match (status.state.as_str(), status.done, status.of) {
        ("measuring", Some(done), Some(of)) => {
            format!("what types cost it is measured now, step {done} of {of}")
        }
        ("measuring", ..) => "what types cost it is measured now".to_owned(),
        ("waiting", Some(done), _) if done > 0 => {
            format!("what types cost it is measured later ({done} groups are); it waits for {reason}")
        }
        ("waiting", ..) => format!("what types cost it is measured later; it waits for {reason}"),
        ("failed", ..) => format!("what types cost it can not be measured: {reason}"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use mains_wire::http::SensitivityStatus;

    use super::{sentence, short};

    fn status(state: &str, done: Option<u32>, of: Option<u32>, reason: Option<&str>) -> SensitivityStatus {
        SensitivityStatus {
            state: state.to_owned(),
            done,
            of,
            reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn every_state_has_its_words() {
        for (status, few, more) in [
            (status("unknown", None, None, None), "-", ""),
            (status("measured", None, None, None), "yes", ""),
            (status("kept", None, None, None), "quantized", ""),
            (
                status("measuring", Some(3), Some(43), None),
                "3 of 43",
                "what types cost it is measured now, step 3 of 43",
            ),
            (
                status("waiting", Some(3), None, None),
                "waiting",
                "what types cost it is measured later (3 groups are); it waits for the box to be idle",
            ),
            (
                status("waiting", Some(0), None, Some("memory")),
                "waiting",
                "what types cost it is measured later; it waits for memory",
            ),
            (
                status("failed", None, None, Some("it has no tokenizer")),
                "failed",
                "what types cost it can not be measured: it has no tokenizer",
            ),
        ] {
            assert_eq!(short(&status), few);
            assert_eq!(sentence(&status).unwrap_or_default(), more);
        }
    }
}
