//! Finds devices and reads their health.
