//! Names of models.

use crate::StoreError;

/// Bytes of a model's name: it stands in URLs, file names and table columns.
pub const MAX_NAME_BYTES: usize = 128;

/// Whether `name` can be a model's: 1 to [`MAX_NAME_BYTES`] of `A-Z a-z 0-9 . _ : -`, and not only dots, which
/// mean folders.
///
/// # Errors
/// [`StoreError::Name`].
pub fn check_name(name: &str) -> Result<(), StoreError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    let good = (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(allowed)
        && name.bytes().any(|byte| byte != b'.');
    if good {
        Ok(())
    } else {
        Err(StoreError::Name {
            name: name.chars().take(MAX_NAME_BYTES).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::check_name;

    #[test]
    fn folders_and_paths_are_no_names() {
        for bad in ["", ".", "..", "a/b", "a b", "é", "a\0", &"x".repeat(129)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        for good in ["pilot", "qwen3:0.6b", "a.b_c-d", &"x".repeat(128)] {
            assert!(check_name(good).is_ok(), "{good:?}");
        }
    }

    proptest! {
        #[test]
        fn a_good_name_stays_inside_its_folder(name in ".*") {
            if check_name(&name).is_ok() {
                let joined = std::path::Path::new("/models").join(&name);
                prop_assert_eq!(joined.parent(), Some(std::path::Path::new("/models")));
                prop_assert_eq!(joined.components().count(), 3);
            }
        }
    }
}
