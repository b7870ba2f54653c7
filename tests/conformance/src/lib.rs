//! Every op x driver and every family x driver, against the reference.
